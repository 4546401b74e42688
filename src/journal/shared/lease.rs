//! The lease as an object that its holder rewrites again and again, each time only if nobody else did.
//!
//! Nobody compares clocks of two machines. Who wants it watches it: when it was not rewritten for a full term of its holder's, by the
//! watcher's own clock, it is taken, again only if it is still the object that was watched.

use super::{Beat, Created, Shared, clock_now};
use crate::journal::{Held, StateError, Taker};
use crate::rotation::{Holder, RunId, Time};
use crate::support::objects::{Object, ObjectProblem, When};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Others may be quicker; not so often.
const TRIES: usize = 10;
/// So many beats in one term.
const BEATS: u32 = 4;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Body {
    v: u32,
    holder: Holder,
    since: Time,
    session: String,
    /// Makes each writing another one, also where a store compares contents.
    beat: u64,
    term_ms: u64,
    /// It was given back.
    free: bool,
}

/// The right to execute a run, among all machines; given back when dropped.
#[derive(Debug)]
pub(in crate::journal) struct RemoteLease {
    beat: Arc<Beat>,
    thread: Option<JoinHandle<()>>,
}

fn key(run: &RunId) -> String {
    format!("runs/{run}/lease.json")
}

impl Shared {
    /// Takes the lease. The second value says that its holder did not give it back.
    ///
    /// # Errors
    /// [`StateError::Held`] while another process has it. Where that process may be gone, the error says that asking again is worth it.
    pub(in crate::journal) fn lease(self: &Arc<Self>, run: &RunId, taker: &Taker) -> Result<(RemoteLease, bool), StateError> {
        let key = key(run);
        let mut body = Body {
            v: 1,
            holder: taker.holder.clone(),
            since: taker.at,
            session: self.session.clone(),
            beat: 0,
            term_ms: u64::try_from(self.term.as_millis()).unwrap_or(u64::MAX),
            free: false,
        };
        for _ in 0..TRIES {
            let text = self.text(&key, &body)?;
            let Some(there) = self.get("read", &key)? else {
                match self.create(&key, &text).map_err(|e| self.failed("write to", &e))? {
                    Created::Ours(etag) => return Ok((self.hold(run, body, etag), false)),
                    Created::Others(_) => continue,
                }
            };
            let now: Body = serde_json::from_slice(&there.bytes).map_err(|_| self.damaged(&key, "it is not a lease"))?;
            if !now.free && !self.is_over(run, &there, &now) {
                let watched = self.watches(run);
                return Err(StateError::Held(Box::new(Held {
                    run: run.clone(),
                    age: Some(taker.at.since(now.since)),
                    holder: Some(now.holder),
                    watched,
                })));
            }
            body.beat = now.beat.wrapping_add(1);
            let text = self.text(&key, &body)?;
            if let Some(etag) = self.replace(&key, &text, &there.etag).map_err(|e| self.failed("write to", &e))? {
                return Ok((self.hold(run, body, etag), !now.free));
            }
            self.forget(run);
        }
        Err(StateError::Remote { place: self.place.clone(), why: "others take the same lease all the time; try again".into() })
    }

    /// It was seen unchanged for a whole term of its holder's, by our own clock.
    fn is_over(&self, run: &RunId, there: &Object, now: &Body) -> bool {
        let Ok(mut watched) = self.watched.lock() else { return false };
        let at = clock_now();
        let seen = watched.entry(run.to_string()).or_insert_with(|| (there.etag.clone(), at));
        if seen.0 != there.etag {
            // It beats: whoever holds it lives. Nothing is watched any more.
            watched.insert(run.to_string(), (String::new(), at));
            return false;
        }
        at.saturating_sub(seen.1) > now.term_ms
    }

    /// Asking again is worth it: no beat was seen since the first look.
    fn watches(&self, run: &RunId) -> bool {
        self.watched.lock().is_ok_and(|w| w.get(run.as_str()).is_some_and(|(etag, _)| !etag.is_empty()))
    }

    fn forget(&self, run: &RunId) {
        if let Ok(mut watched) = self.watched.lock() {
            watched.remove(run.as_str());
        }
    }

    /// Who executes the run now, as far as one look can tell: a lease whose beats have stopped is nobody's.
    pub(in crate::journal) fn lease_holder(&self, run: &RunId) -> Option<(Holder, Time)> {
        let there = self.get("read", &key(run)).ok()??;
        let now: Body = serde_json::from_slice(&there.bytes).ok()?;
        // Both times are the store's own.
        let silent = there.age.is_some_and(|age| age > now.term_ms.saturating_mul(2).saturating_add(2000));
        (!now.free && !silent).then_some((now.holder, now.since))
    }

    fn text(&self, key: &str, body: &Body) -> Result<Vec<u8>, StateError> {
        serde_json::to_vec(body).map_err(|_| self.damaged(key, "it cannot be written"))
    }

    /// Keeps it from here on.
    fn hold(self: &Arc<Self>, run: &RunId, body: Body, etag: String) -> RemoteLease {
        self.forget(run);
        let beat = Arc::new(Beat::default());
        // What waits already is seen before the first step.
        self.refresh(run, &beat);
        let (shared, ours, run) = (self.clone(), beat.clone(), run.clone());
        let thread = std::thread::Builder::new().name("lease".into()).spawn(move || shared.keep(&run, body, etag, &ours)).ok();
        if thread.is_none() {
            // Nobody would renew it.
            beat.lose();
        }
        RemoteLease { beat, thread }
    }

    fn keep(&self, run: &RunId, mut body: Body, mut etag: String, beat: &Beat) {
        let key = key(run);
        let every = self.term / BEATS;
        let mut renewed = clock_now();
        while !beat.wait(every) {
            if beat.is_asleep() {
                continue;
            }
            body.beat = body.beat.wrapping_add(1);
            let Ok(text) = serde_json::to_vec(&body) else { break };
            match self.renew(&key, text, &etag) {
                Ok(Some(new)) => {
                    etag = new;
                    renewed = clock_now();
                }
                Ok(None) => {
                    beat.lose();
                    return;
                }
                // Whoever waits for it may have it by now.
                Err(_) if u128::from(clock_now().saturating_sub(renewed)) > self.term.as_millis() => {
                    beat.lose();
                    return;
                }
                Err(_) => {}
            }
            self.refresh(run, beat);
        }
        if beat.is_asleep() {
            return;
        }
        body.free = true;
        body.beat = body.beat.wrapping_add(1);
        if let Ok(text) = serde_json::to_vec(&body) {
            // Where this fails, whoever comes next waits for a term.
            let _ = self.renew(&key, text, &etag);
        }
    }

    /// One try, so that a beat that hangs is not followed by late ones; its own unclear answer is cleared up by the next look.
    fn renew(&self, key: &str, text: Vec<u8>, etag: &str) -> Result<Option<String>, ObjectProblem> {
        match self.objects.put(key, text, &When::Is(etag.to_owned())) {
            Ok(etag) => Ok(Some(etag)),
            Err(ObjectProblem::Condition) => match self.objects.get(key)? {
                // A beat of ours whose answer was lost.
                Some(there) if there.session == self.session => Ok(Some(there.etag)),
                Some(_) | None => Ok(None),
            },
            Err(e) => Err(e),
        }
    }
}

impl RemoteLease {
    pub(in crate::journal) fn beat(&self) -> &Arc<Beat> {
        &self.beat
    }
}

impl Drop for RemoteLease {
    fn drop(&mut self) {
        self.beat.stop();
        if let Some(thread) = self.thread.take() {
            // It gives the lease back; a call has a limit.
            let _ = thread.join();
        }
    }
}
