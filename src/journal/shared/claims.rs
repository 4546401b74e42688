//! Claims as objects: each is written only if nobody has it, or if what was read of it counts for nothing any more.
//!
//! None is ever removed. One that is given up says so in its place, because a removal cannot be made to depend on what is removed.

use super::{Created, Shared};
use crate::journal::{Claim, Claimed, StateDir, StateError, Taker};
use crate::rotation::{Record, RunId};
use crate::secret::sha256_hex;
use crate::support::objects::Object;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "claims/";
/// A run that has claims and no first line for so long, by the store's own clock, is not about to begin.
const NEVER_BEGAN: u64 = 120_000;
/// Others may be quicker; not so often.
const TRIES: usize = 20;

/// A claim as it lies in the bucket.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(flatten)]
    claim: Claim,
    /// It was given up.
    #[serde(default)]
    free: bool,
}

impl Shared {
    /// Claims every resource for a run, or none.
    pub(in crate::journal) fn claim_all(
        &self,
        state: &StateDir,
        run: &RunId,
        resources: &[String],
        reason: &str,
        taker: &Taker,
    ) -> Result<(), StateError> {
        let mut wanted: Vec<&String> = resources.iter().collect();
        // In one order for everybody: of two runs that want the same things, one gets all of them.
        wanted.sort();
        wanted.dedup();
        let mut made = Vec::new();
        for resource in wanted {
            let claim = Claim::of(resource, run, reason, taker);
            match self.claim_one(state, claim, taker) {
                Ok(true) => made.push(resource.clone()),
                Ok(false) => {}
                Err(e) => {
                    for resource in made {
                        // What stays is a claim of a run that never began.
                        let _ = self.give_up(&key(&resource), run);
                    }
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// True when it was taken now, false when the run had it already.
    fn claim_one(&self, state: &StateDir, claim: Claim, taker: &Taker) -> Result<bool, StateError> {
        let key = key(&claim.resource);
        let body =
            serde_json::to_vec(&Body { claim: claim.clone(), free: false }).map_err(|_| self.damaged(&key, "it cannot be written"))?;
        for _ in 0..TRIES {
            let Some(there) = self.get("read", &key)? else {
                match self.create(&key, &body).map_err(|e| self.failed("write to", &e))? {
                    Created::Ours(_) => return Ok(true),
                    Created::Others(_) => continue,
                }
            };
            let now = self.read_claim(&key, &there)?;
            if now.claim.resource != claim.resource {
                return Err(self.damaged(&key, "it is about another resource than its name says"));
            }
            if !now.free && now.claim.run == claim.run {
                return Ok(false);
            }
            if !now.free && self.counts(state, &now.claim.run, &there)? {
                let age = taker.at.since(now.claim.since);
                return Err(StateError::Claimed(Box::new(Claimed { claim: now.claim, age })));
            }
            if self.replace(&key, &body, &there.etag).map_err(|e| self.failed("write to", &e))?.is_some() {
                return Ok(true);
            }
        }
        Err(StateError::Remote { place: self.place.clone(), why: "others change the same claim all the time; try again".into() })
    }

    /// A run's claims stand in the way of others. Whatever cannot be found out counts.
    fn counts(&self, state: &StateDir, run: &RunId, claim: &Object) -> Result<bool, StateError> {
        if StateDir::check(run).is_err() {
            return Ok(true);
        }
        match state.load(run) {
            Ok((records, _)) => Ok(!matches!(records.last(), Some(Record::Finished { .. }))),
            Err(StateError::NoSuchRun { .. }) => {
                let old = claim.age.is_some_and(|age| age > NEVER_BEGAN);
                // Once its first line is void it can never begin, however long it slept.
                Ok(!old || !self.void(run).map_err(|e| self.failed("write to", &e))?)
            }
            Err(_) => Ok(true),
        }
    }

    /// Gives up every claim of a run, and says which there were.
    pub(in crate::journal) fn release(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        let mut gone = Vec::new();
        for name in self.objects.list(FOLDER, None, false).map_err(|e| self.failed("list", &e))? {
            // One that cannot be read is not known to be ours.
            if let Ok(Some(resource)) = self.give_up(&format!("{FOLDER}{name}"), run) {
                gone.push(resource);
            }
        }
        gone.sort();
        Ok(gone)
    }

    fn give_up(&self, key: &str, run: &RunId) -> Result<Option<String>, StateError> {
        let Some(there) = self.get("read", key)? else { return Ok(None) };
        let now = self.read_claim(key, &there)?;
        if now.free || now.claim.run != *run {
            return Ok(None);
        }
        let resource = now.claim.resource.clone();
        let body = serde_json::to_vec(&Body { claim: now.claim, free: true }).map_err(|_| self.damaged(key, "it cannot be written"))?;
        // Where it changed meanwhile it is another run's: only a claim that counts for nothing is taken.
        let replaced = self.replace(key, &body, &there.etag).map_err(|e| self.failed("write to", &e))?;
        Ok(replaced.map(|_| resource))
    }

    /// The claim on a resource, whether or not it still counts.
    pub(in crate::journal) fn claim_on(&self, resource: &str) -> Result<Option<Claim>, StateError> {
        let key = key(resource);
        let Some(there) = self.get("read", &key)? else { return Ok(None) };
        let now = self.read_claim(&key, &there)?;
        Ok((!now.free).then_some(now.claim))
    }

    /// Every claim.
    pub(in crate::journal) fn claims(&self) -> Result<Vec<Claim>, StateError> {
        let mut all = Vec::new();
        for name in self.objects.list(FOLDER, None, false).map_err(|e| self.failed("list", &e))? {
            let key = format!("{FOLDER}{name}");
            if let Some(there) = self.get("read", &key)? {
                all.push(self.read_claim(&key, &there)?);
            }
        }
        let mut all: Vec<Claim> = all.into_iter().filter(|c| !c.free).map(|c| c.claim).collect();
        all.sort_by(|a, b| a.resource.cmp(&b.resource));
        Ok(all)
    }

    fn read_claim(&self, key: &str, there: &Object) -> Result<Body, StateError> {
        let body: Body = serde_json::from_slice(&there.bytes).map_err(|_| self.damaged(key, "it is not a claim"))?;
        if body.claim.v == 1 { Ok(body) } else { Err(self.damaged(key, "a newer keyroll wrote it")) }
    }
}

fn key(resource: &str) -> String {
    format!("{FOLDER}{}.json", sha256_hex(resource.as_bytes()))
}
