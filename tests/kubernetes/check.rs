//! What `doctor` says of a Secret that a controller owns, and of one in order.

use crate::stores::{OLD, TestSlot as _, World as _};
use crate::wait;
use crate::world::Cluster;
use keyroll::adapters::secrets::AnyStore;
use keyroll::ports::{About, Health};
use keyroll::rotation::Time;
use serde_json::json;

#[test]
fn a_controller_that_would_undo_the_change_is_named_with_what_to_do_instead() {
    wait(async {
        let cluster = Cluster::start();
        let slot = (&cluster).slot().await;
        let found = AnyStore::Kubernetes(Box::new(slot.open())).check(Time(keyroll::support::clock::wall_millis())).await;
        assert!(found.iter().all(|f| f.health != Health::Bad), "{found:#?}");
        let owner =
            json!({ "metadata": { "ownerReferences": [{ "kind": "ExternalSecret", "name": "router", "uid": "u", "controller": true }] } });
        cluster.double.secret("chat", &slot.name, &[("api_key", OLD)], owner);
        let _before = cluster.double.calls();
        let found = AnyStore::Kubernetes(Box::new(slot.open())).check(Time(keyroll::support::clock::wall_millis())).await;
        let bad: Vec<_> = found.iter().filter(|f| f.health == Health::Bad && f.about == About::Place).collect();
        assert!(bad.iter().any(|f| f.what.contains("ExternalSecret") && f.fix.is_some()), "{found:#?}");
        assert!(cluster.double.calls().iter().all(|c| c.starts_with("GET ") || c.contains("review")), "something was changed");
        assert!(!format!("{found:?}").contains(OLD));
    });
}
