//! What this adapter refuses, and what it says: by the documentation of AWS, on the strict stand-in.

use crate::stores::{NEW, OLD, OTHER, TestSlot, World, conflict, no, ok, run, value};
use crate::wait;
use crate::world::Service;
use keyroll::ports::{Place, PortError, Retire, SecretStore};

/// Changes the secret in one way, and gives back what observe warns of and what stage says.
fn refused(change: fn(&mut crate::aws::Secret)) -> (String, String) {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        let double = service.double.as_ref().unwrap();
        double.edit(&slot.name, change);
        let warnings = ok(store.observe().await).warnings.join("; ");
        double.calls();
        let why = conflict(&service, store.stage(&run("r1"), &value(NEW)).await);
        assert!(!double.calls().iter().any(|c| c.starts_with("Put") || c.starts_with("Update")), "something was sent all the same");
        (warnings, why)
    })
}

#[test]
fn what_others_rule_over_is_warned_of_and_refused_by_name() {
    type Change = fn(&mut crate::aws::Secret);
    let cases: [(Change, &str); 6] = [
        (|s| s.managed = true, "managed rotation"),
        (|s| s.owner = Some("rds".into()), "rds"),
        (|s| s.deleted = true, "scheduled for deletion"),
        (|s| s.primary = Some("us-east-1".into()), "us-east-1"),
        (|s| s.copies = vec![("eu-west-1".into(), "Failed".into()), ("eu-west-2".into(), "InSync".into())], "eu-west-1 (Failed)"),
        (
            |s| {
                let version = crate::aws::Version { id: "x".repeat(36), value: "{}".into(), labels: vec!["AWSPENDING".into()], made: 0 };
                s.versions.push(version);
            },
            "AWSPENDING",
        ),
    ];
    for (change, word) in cases {
        let (warnings, why) = refused(change);
        assert!(warnings.contains(word), "{word}: {warnings}");
        assert!(why.contains(word), "{word}: {why}");
    }
}

#[test]
fn a_pending_label_that_a_person_set_is_not_taken() {
    let (_, why) = refused(|s| s.versions[0].labels.push("KEYROLL_PENDING".into()));
    assert!(why.contains("keyroll did not make it"), "{why}");
}

#[test]
fn the_fields_that_changed_are_named_and_their_values_are_not() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        ok(store.stage(&run("r1"), &value(NEW)).await);
        slot.stranger_writes_other(OTHER[1]).await;
        let guard = ok(store.observe().await).guard;
        let why = conflict(&service, store.promote(&run("r1"), &guard).await);
        assert!(why.contains("other fields changed") && why.contains(": db;"), "{why}");
        assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
        // Staged once more, from the document as it is now, it goes through.
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        ok(store.promote(&run("r1"), &staged.guard).await);
        assert_eq!((slot.consumer().await.as_deref(), slot.other().await.as_deref()), (Some(NEW), Some(OTHER[1])));
    });
}

#[test]
fn the_way_back_outlives_two_writes_of_a_stranger() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let (_, staged) = ok(slot.open().stage(&run("r1"), &value(NEW)).await);
        ok(slot.open().promote(&run("r1"), &staged.guard).await);
        // `AWSPREVIOUS` is far away by now, and AWS may purge what has no label.
        slot.stranger_writes_other(OTHER[1]).await;
        slot.stranger_writes_other("wednesday").await;
        let store = slot.open();
        let old = ok(store.read(Place::Previous).await).unwrap();
        assert_eq!(old.expose(), OLD);
        let guard = ok(store.observe().await).guard;
        ok(store.demote(&run("r1"), &guard, &old).await);
        assert_eq!((slot.consumer().await.as_deref(), slot.other().await.as_deref()), (Some(OLD), Some("wednesday")));
        let dropped = ok(store.drop_pending(&run("r1")).await);
        assert_eq!((dropped.pending, dropped.previous), (None, None));
    });
}

#[test]
fn a_change_is_sent_once_and_a_read_may_be_repeated() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        let double = service.double.as_ref().unwrap();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        double.throttle(2);
        ok(store.observe().await);
        // Turned away once, at the first call that changes something.
        let (tapped, tap) = slot.open_tapped().unwrap();
        tap.arm(crate::proxy::Fault::Status(503), 1, slot.changing());
        let error = no(&service, tapped.promote(&run("r1"), &staged.guard).await);
        assert!(error.may_have_happened(), "a server that fails may have done it: {error:?}");
        let changes = tap.seen().len();
        assert!(tap.fired() && changes > 0);
        double.calls();
        tap.disarm();
        double.throttle(0);
        ok(store.promote(&run("r1"), &staged.guard).await);
        // Nothing came later by itself: one label that leads back, one flip.
        let calls = double.calls();
        assert_eq!(calls.iter().filter(|c| *c == "UpdateSecretVersionStage").count(), 2, "{calls:?}");
    });
}

#[test]
fn too_many_calls_is_a_clear_no() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        let (tapped, tap) = slot.open_tapped().unwrap();
        tap.arm(crate::proxy::Fault::Status(429), 1, slot.changing());
        let error = no(&service, tapped.promote(&run("r1"), &staged.guard).await);
        assert!(matches!(&error, PortError::Unreachable { may_have_happened: false, why, .. } if why.contains("too many")), "{error:?}");
        assert_eq!(slot.consumer().await.as_deref(), Some(OLD));
    });
}

#[test]
fn a_staged_version_is_not_sent_again_and_lives_through_losing_its_label() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        let double = service.double.as_ref().unwrap();
        let (version, _) = ok(store.stage(&run("r1"), &value(NEW)).await);
        double.calls();
        let (again, _) = ok(store.stage(&run("r1"), &value(NEW)).await);
        assert_eq!(version, again, "the id comes from the run and the document");
        assert!(!double.calls().contains(&"PutSecretValue".to_owned()), "sent again without need");
        // Dropped, and wanted again: the token is known, so the put changes nothing and the label has to be moved.
        ok(store.drop_pending(&run("r1")).await);
        let (third, seen) = ok(store.stage(&run("r1"), &value(NEW)).await);
        assert_eq!((third.clone(), seen.pending), (version, third));
    });
}

#[test]
fn retiring_takes_labels_and_says_that_it_destroys_nothing() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let store = slot.open();
        let (_, staged) = ok(store.stage(&run("r1"), &value(NEW)).await);
        let promoted = ok(store.promote(&run("r1"), &staged.guard).await);
        let old = promoted.previous.unwrap();
        let retired = ok(store.retire(&run("r1"), Retire::Destroy).await);
        assert!(retired.warnings.iter().any(|w| w.contains("unlabelled, not destroyed")), "{:?}", retired.warnings);
        let labels = |id: &str| {
            service.double.as_ref().unwrap().edit(&slot.name, |s| s.versions.iter().find(|v| v.id == id).unwrap().labels.clone())
        };
        assert!(labels(old.as_str()).is_empty());
        assert_eq!(labels(retired.current.unwrap().as_str()), ["AWSCURRENT"]);
    });
}

#[test]
fn who_signs_is_told_and_a_secret_that_is_not_there_is_no_empty_slot() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let seen = ok(slot.open().observe().await);
        assert!(seen.warnings.iter().any(|w| w.contains("signed by arn:aws:iam::111122223333")), "{:?}", seen.warnings);
        slot.client.delete_secret().secret_id(&slot.name).force_delete_without_recovery(true).send().await.unwrap();
        let why = conflict(&service, slot.open().observe().await);
        assert!(why.contains("account and region") && why.contains("request 0000"), "{why}");
    });
}

#[test]
fn nobody_there_is_a_clear_no() {
    wait(async {
        let service = Service::strict(true);
        let slot = service.slot().await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = no(&service, slot.handle(crate::aws::OWNER, port).stage(&run("r1"), &value(NEW)).await);
        assert!(matches!(error, PortError::Unreachable { may_have_happened: false, .. }), "{error:?}");
    });
}
