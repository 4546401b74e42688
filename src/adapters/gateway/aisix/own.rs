//! Calls of ours, for a reader of counters: a counter does not tell whose call it counted.

use crate::rotation::Time;
use std::cell::RefCell;
use std::rc::Rc;

/// One call that the gateway served for us.
pub(crate) struct OwnCall {
    /// The proxy that was called.
    pub(crate) place: String,
    /// The id that we gave it.
    pub(crate) request: String,
    /// By the gateway's clock.
    pub(crate) at: Time,
}

/// Calls that no reading of the counters has taken in yet.
#[derive(Clone, Default)]
pub struct OwnCalls(Rc<RefCell<Vec<OwnCall>>>);

impl OwnCalls {
    pub(super) fn made(&self, call: OwnCall) {
        // Nothing is borrowed across a wait, so this never fails; were it to, the call would count as somebody else's.
        if let Ok(mut calls) = self.0.try_borrow_mut() {
            calls.push(call);
        }
    }

    /// Those at one place, which are then forgotten here.
    pub(crate) fn take(&self, place: &str) -> Vec<OwnCall> {
        let Ok(mut calls) = self.0.try_borrow_mut() else { return Vec::new() };
        let (here, elsewhere) = std::mem::take(&mut *calls).into_iter().partition(|call| call.place == place);
        *calls = elsewhere;
        here
    }
}
