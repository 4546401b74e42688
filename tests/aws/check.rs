//! What `doctor` says of a slot in AWS: every hindrance by name, with what to do, and nothing is changed.

use crate::aws::{EXPIRED, NOBODY, OWNER};
use crate::stores::{TestSlot, World, silent};
use crate::wait;
use crate::world::{Service, Slot};
use keyroll::ports::{About, Finding, Health};
use keyroll::rotation::Time;

fn looked(prepare: impl AsyncFnOnce(&Service, &Slot) -> keyroll::adapters::secrets::AwsStore) -> Vec<Finding> {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = prepare(&service, &slot).await;
        let double = service.double.as_ref().unwrap();
        double.calls();
        let found = store.check(Time(0)).await;
        assert!(!double.calls().iter().any(|c| c.starts_with("Put") || c.starts_with("Update")), "something was sent");
        silent(&service, &format!("{found:?}"));
        found
    })
}

#[track_caller]
fn names(found: &[Finding], about: About, what: &str, fix: &str) {
    let fits = |f: &&Finding| f.about == about && f.what.contains(what) && f.fix.as_ref().is_some_and(|t| t.contains(fix));
    assert!(found.iter().filter(|f| f.health == Health::Bad).any(|f| fits(&f)), "{what}: {found:#?}");
}

#[test]
fn a_slot_in_order_has_nothing_bad_and_says_what_cannot_be_tried() {
    let found = looked(async |_, slot| slot.open());
    assert!(found.iter().all(|f| f.health != Health::Bad), "{found:#?}");
    assert!(found.iter().any(|f| f.about == About::Login && f.what.contains(OWNER)), "{found:#?}");
    assert!(found.iter().any(|f| f.health == Health::Note && f.what.contains("PutSecretValue")), "{found:#?}");
}

#[test]
fn each_hindrance_is_named_with_its_fix() {
    let found = looked(async |_, slot| slot.handle(NOBODY, slot.port));
    names(&found, About::Permission, "permission", "allow secretsmanager:DescribeSecret");
    let found = looked(async |_, slot| slot.handle(EXPIRED, slot.port));
    names(&found, About::Login, "expired", "log in again");
    let found = looked(async |service, slot| {
        service.double.as_ref().unwrap().edit(&slot.name, |s| s.managed = true);
        slot.open()
    });
    names(&found, About::Place, "managed rotation", "rotation");
    let found = looked(async |_, slot| slot.elsewhere());
    names(&found, About::Place, "no such secret", "correct `secret:`");
    let found = looked(async |service, slot| {
        service.double.as_ref().unwrap().edit(&slot.name, |s| s.versions[0].value = r#"{"apikey":"x","db\u001b[31m":"y"}"#.into());
        slot.open()
    });
    names(&found, About::Place, "it has no field `api_key`; it has apikey", "into `field:`");
    assert!(!format!("{found:?}").contains("\\u{1b}"), "{found:?}");
    let found = looked(async |_, slot| slot.handle(OWNER, crate::closed_port()));
    names(&found, About::Reach, "no connection", "check the endpoint");
}
