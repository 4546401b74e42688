//! The oracle's last word: what the world looks like when nothing moves any more.

use super::drive::{Left, load};
use super::gateway::{Hand, State};
use super::scenarios::Prepared;
use super::world::World;
use keyroll::rotation::{Drift, Effect};

/// Judges the end of a run.
pub(crate) fn at_the_end(prepared: &Prepared, w: &mut World, left: Left, why: &str) {
    // What lost its marker to a person cannot be found again once the journal forgot it, too.
    let hidden = |i: usize| w.restored_at.is_some() && w.gateway.keys[i].marker_by_person;
    let made = |i: &usize| w.gateway.keys[*i].made_by == Hand::Tool && w.gateway.keys[*i].state() != State::Gone && !hidden(*i);
    let alive: Vec<usize> = (0..w.gateway.keys.len()).filter(made).collect();
    if w.slots.iter().any(|s| s.other != s.other_meant) {
        w.judge.broken(w.now, 1, "another field of a shared document was changed");
    }
    match left {
        Left::Done => done(w, &alive),
        Left::RolledBack => rolled_back(w, &alive),
        Left::Parked | Left::Stuck => named(prepared, w, &alive, why),
    }
}

fn done(w: &mut World, alive: &[usize]) {
    let now = w.now;
    let by_person = |k: usize| w.gateway.keys[k].last().is_some_and(|c| c.by == Hand::Person);
    if w.gateway.keys[w.old].state() != State::Gone {
        w.judge.broken(now, 2, "it is called done and the old key lives");
    }
    let live: Vec<usize> = alive.iter().copied().filter(|k| w.gateway.keys[*k].marker == "keyroll:live").collect();
    if alive.len() > 1 {
        w.judge.broken(now, 3, "more than one key of the run is left");
    }
    if live.is_empty()
        && !w.gateway.keys.iter().enumerate().any(|(k, key)| key.made_by == Hand::Tool && (by_person(k) || key.marker_by_person))
    {
        w.judge.broken(now, 3, "it is called done and no key is marked live");
    }
    if let Some(k) = live.first().copied() {
        let value = w.gateway.keys[k].value;
        if w.slots.iter().any(|s| s.current != value && s.current_by != Hand::Person) {
            w.judge.broken(now, 1, "it is called done and a slot does not hold the new value");
        }
    }
    if !w.sealed || !w.scanned {
        w.judge.broken(now, 2, "it is called done and nothing was sealed");
    }
    if w.claimed {
        w.judge.broken(now, 6, "it is called done and the claim is still held");
    }
}

fn rolled_back(w: &mut World, alive: &[usize]) {
    let now = w.now;
    if !alive.iter().all(|k| w.gateway.keys[*k].marker_by_person) {
        w.judge.broken(now, 3, "it is called rolled back and a key of the run is left");
    }
    let old = &w.gateway.keys[w.old];
    if old.state() != State::On && !old.last().is_some_and(|c| c.by == Hand::Person) {
        w.judge.broken(now, 1, "it is called rolled back and the old key is off");
    }
    let value = old.value;
    if w.slots.iter().any(|s| s.current != value && s.current_by != Hand::Person) {
        w.judge.broken(now, 1, "it is called rolled back and a slot does not hold the old value");
    }
}

/// Whatever lives must be named in what the run says of itself.
fn named(prepared: &Prepared, w: &mut World, alive: &[usize], why: &str) {
    if alive.is_empty() {
        return;
    }
    let Ok(run) = load(prepared, w) else { return };
    for k in alive {
        let key = &w.gateway.keys[*k];
        let id = &key.id;
        let known = run.new.as_ref().is_some_and(|n| n.id == *id)
            || run.strays.iter().any(|(s, _)| s == id)
            || run.drift.iter().chain(&run.amended).any(|d| matches!(d, Drift::Twins { ids } if ids.contains(id)))
            || run.open.as_ref().is_some_and(|o| match &o.effect {
                Effect::Mint { marker } => key.marker == marker.as_str() || key.marker_by_person,
                other => format!("{other:?}").contains(id.as_str()),
            })
            || why.contains(id.as_str())
            || w.trail.named.contains(id)
            // It was marked as the live one before somebody put an older journal back.
            || (key.marker == "keyroll:live" && w.restored_at.is_some())
            // The journal forgot it, and no honest listing was seen since.
            || w.restored_at.is_some_and(|at| w.looked <= at)
            || run.failed.as_ref().is_some_and(|f| f.why.contains(id.as_str()))
            || run.stuck.as_ref().is_some_and(|(why, _)| why.contains(id.as_str()))
            // A person took the marker away before its answer arrived: nobody can know.
            || key.marker_by_person;
        if !known {
            w.judge.broken(w.now, 3, "a key of the run lives and its status does not name it");
            return;
        }
    }
}
