//! What the tests of this folder share.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::{JournalFile, Lease, StateDir, StateError, Taker};
use crate::rotation::{End, Holder, Record, RunId, Span, Time};

pub(super) fn noted(what: &str) -> Record {
    Record::Noted { what: what.to_owned() }
}

pub(super) fn finished() -> Record {
    Record::Finished { end: End::Done, took: Span::ZERO }
}

pub(super) fn run(id: &str) -> RunId {
    RunId::new(id)
}

pub(super) fn taker(host: &str) -> Taker {
    Taker { holder: Holder { host: host.into(), pid: 7, user: "ann".into() }, boot: "boot-1".into(), at: Time(60_000) }
}

pub(super) fn now() -> Time {
    Time(1_767_323_045_678)
}

/// A state folder that goes away with the first value.
pub(super) fn state() -> (tempfile::TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::make(dir.path().join("state")).unwrap();
    (dir, state)
}

pub(super) fn begin(state: &StateDir, id: &str, resources: &[&str]) -> Result<(Lease, JournalFile), StateError> {
    let resources: Vec<String> = resources.iter().map(|r| (*r).to_owned()).collect();
    state.create_run(&run(id), &resources, "scheduled", &taker("here"), now)
}
