//! Gateways that only a policy describes: whole rotations through the binary, against doubles of several shapes.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[path = "doubles/http_gateways/mod.rs"]
mod http_gateways;

use http_gateways::world::{Key, hold};
use http_gateways::{Place, Shape};

/// A whole rotation; the old and the new key.
fn rotate(shape: Shape) -> (Place, Key, Key) {
    let place = Place::new(shape);
    place.run().ends(0);
    place.rotated();
    assert_eq!((place.count("mint"), place.count("delete")), (1, 1));
    let world = hold(&place.world);
    let new = world.live().last().unwrap().clone();
    let old = world.keys.iter().find(|k| k.id == place.old).unwrap().clone();
    drop(world);
    (place, old, new)
}

#[test]
fn cookie_login_cursor_pages_and_hashes_as_ids() {
    let (place, old, new) = rotate(Shape::Cookies);
    assert_eq!(new.limits["ips"], old.limits["ips"]);
    assert_eq!(new.limits["rpm"], old.limits["rpm"]);
    assert_eq!(new.limits["models"], old.limits["models"]);
    assert_eq!(new.note, "keyroll:live");
    assert!(hold(&place.world).logins > 1, "the session ran out and nobody noticed");
}

#[test]
fn disable_by_expiry_with_clear_values_and_a_marker_in_the_name() {
    let (_place, old, new) = rotate(Shape::Expiry);
    assert_eq!(new.limits["quota"], old.limits["quota"]);
    assert!(new.name.starts_with("app 2") && new.name.ends_with(" #keyroll:live"), "{}", new.name);
    assert!(old.expires.is_some());
}

#[test]
fn a_chosen_value_no_switch_and_bindings_of_the_old_key() {
    let (_place, old, new) = rotate(Shape::Chosen);
    assert_eq!((&new.limits, &new.groups), (&old.limits, &old.groups));
    assert_eq!(new.note, "keyroll.live");
}

#[test]
fn linked_pages_and_an_unproven_binding() {
    let (_place, _old, new) = rotate(Shape::Linked);
    assert_eq!(new.note, "keyroll:live");
}
