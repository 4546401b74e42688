//! One fake world: virtual time, and everything that happens in it.

use super::death::{Crash, Death};
use super::fleet::{COPIED, LAG, Log, OURS, Pod, Reads, Row};
use super::gateway::{Gateway, Hand, REPLICAS};
use super::judge::Judge;
use super::people::People;
use super::rng::Rng;
use super::slots::Slot;
use super::trail::Trail;
use keyroll::rotation::{EffectKind, Plan, RequestId, RunId};
use keyroll::secret::{Fingerprint, FingerprintKey, SecretText};
use std::sync::Arc;

/// Virtual time begins here: 2026-01-05 08:00 UTC.
pub(crate) const EPOCH: i64 = 1_767_600_000_000;
/// A call that was sent may land this much later, and no later.
pub(crate) const CALL: i64 = 500;

/// No run needs more calls than this.
const MOST_CALLS: u32 = 60_000;

/// Secret values, by number.
#[derive(Clone)]
pub(crate) struct Values {
    texts: Vec<String>,
    prints: Vec<Fingerprint>,
    key: Arc<FingerprintKey>,
}

impl Values {
    pub(crate) fn new(key: Arc<FingerprintKey>) -> Self {
        Self { texts: Vec::new(), prints: Vec::new(), key }
    }

    /// The number of a value.
    pub(crate) fn number(&mut self, text: &str) -> usize {
        if let Some(i) = self.texts.iter().position(|t| t == text) {
            return i;
        }
        self.texts.push(text.to_owned());
        self.prints.push(self.key.of(&SecretText::new(text)));
        self.texts.len() - 1
    }

    /// A value nobody had before.
    pub(crate) fn fresh(&mut self) -> usize {
        let text = format!("sk-simulated-value-{:06}", self.texts.len());
        self.number(&text)
    }

    pub(crate) fn secret(&self, number: usize) -> SecretText {
        SecretText::new(self.texts[number].as_str())
    }

    pub(crate) fn print(&self, number: usize) -> Fingerprint {
        self.prints[number].clone()
    }
}

/// How often calls go wrong, in a thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Applied, and the answer is lost.
    pub(crate) lost: u32,
    /// Not applied, and nobody can know.
    pub(crate) dropped: u32,
    /// Never sent, and that is known.
    pub(crate) unsent: u32,
    /// The answer is lost and the change lands later.
    pub(crate) late: u32,
    /// Said no.
    pub(crate) refused: u32,
    /// A read fails.
    pub(crate) unread: u32,
    /// A call of ours to the data plane meets another fault.
    pub(crate) probes: u32,
    /// A key is made with fewer restrictions than asked for.
    pub(crate) broad: u32,
}

/// What a listing does wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The newest key and the sentinel are missing.
    Short,
    /// The newest key is missing; a stale replica answers.
    Stale,
    /// Every row comes twice.
    Twice,
    /// Rows of others, with text that looks like our marker.
    Over,
    /// Another tenant answers.
    Foreign,
}

/// A change that was sent and has not landed.
#[derive(Clone)]
pub(crate) struct Late {
    pub(crate) at: i64,
    pub(crate) act: super::acts::Act,
    pub(crate) looked: i64,
}

/// Everything.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: i64,
    /// Our wall clock is this much ahead.
    pub(crate) wall: i64,
    pub(crate) rng: Rng,
    pub(crate) plan: Arc<Plan>,
    pub(crate) run: RunId,
    pub(crate) gateway: Gateway,
    pub(crate) slots: Vec<Slot>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) log: Log,
    pub(crate) values: Values,
    /// The outgoing key's number.
    pub(crate) old: usize,
    /// The value that an issuer supplies, where one does.
    pub(crate) supplied: Option<usize>,
    pub(crate) late: Vec<Late>,
    pub(crate) faults: Faults,
    pub(crate) listing: Option<(Listing, i64)>,
    pub(crate) death: Death,
    pub(crate) people: People,
    pub(crate) judge: Judge,
    pub(crate) trail: Trail,
    /// When the engine last read the complete listing.
    pub(crate) looked: i64,
    /// Sessions are numbered; an older one must not change anything once a younger one wrote a line.
    pub(crate) youngest: u32,
    /// The journal.
    pub(crate) journal: super::chain::Paper,
    /// The fold of the journal, kept beside it; most sessions begin with this copy, one in thirty reads the bytes instead.
    pub(crate) fold: Option<keyroll::rotation::Run>,
    /// The run's claim is held.
    pub(crate) claimed: bool,
    /// A reload's child process runs until then.
    pub(crate) child_until: i64,
    /// A person asks to turn back from then on.
    pub(crate) turn_at: Option<i64>,
    /// A person will ask that shortly after the old key was disabled.
    pub(crate) asks_back: bool,
    /// An approver answers yes from then on; none: nobody answers.
    pub(crate) approver: Option<i64>,
    /// The admin credential is suddenly a key of this run.
    pub(crate) admin_is: Option<usize>,
    pub(crate) admin_since: i64,
    /// The journal was put back then.
    pub(crate) restored_at: Option<i64>,
    /// What was scanned: both values were among the needles.
    pub(crate) scanned: bool,
    /// The bundle is written.
    pub(crate) sealed: bool,
    /// Old was last disabled by the run at this instant.
    pub(crate) disabled_at: Option<i64>,
    /// So long after the first consumer is moved, the source stops to show the keys of this run.
    pub(crate) blind_after: Option<i64>,
    /// The gateway refuses this caller on the new key, some time after the flip.
    pub(crate) flaky: Option<u16>,
    /// The source attributes our calls to somebody else.
    pub(crate) wrong_owner: bool,
    /// Nothing but lost answers and reads happens here: the run must come to an end by itself.
    pub(crate) calm: bool,
    /// Calls made so far.
    pub(crate) calls: u32,
    /// Story of a replay.
    pub(crate) story: Option<Vec<String>>,
}

impl World {
    /// Lets time pass; everything due happens in its order.
    pub(crate) fn advance(&mut self, to: i64) {
        loop {
            let call = self.pods.iter().enumerate().min_by_key(|(_, p)| p.due()).map(|(i, p)| (p.due(), i));
            let late = self.late.iter().enumerate().min_by_key(|(_, l)| l.at).map(|(i, l)| (l.at, i));
            match (call, late) {
                (_, Some((at, i))) if at <= to && call.is_none_or(|(c, _)| at <= c) => {
                    self.now = self.now.max(at);
                    let late = self.late.swap_remove(i);
                    self.tell(|| format!("late: {:?} lands", late.act));
                    // Nobody hears the answer.
                    let _ = self.apply(&late.act, late.looked, true);
                }
                (Some((at, i)), _) if at <= to => {
                    self.now = self.now.max(at);
                    self.pod(i);
                }
                _ => break,
            }
        }
        self.now = self.now.max(to);
    }

    /// No slot and no model is left on the old key.
    pub(crate) fn moved(&self) -> bool {
        let old = self.gateway.keys[self.old].value;
        self.slots.iter().all(|s| s.current != old) && self.gateway.models.iter().all(|m| m.key() != self.old)
    }

    /// What the listing does wrong now, if anything.
    pub(crate) fn lying(&self) -> Option<Listing> {
        self.listing.filter(|(_, until)| self.now < *until).map(|(kind, _)| kind)
    }

    /// A little time passes, as it does around every call; people may act.
    pub(crate) fn tick(&mut self) {
        self.restless();
        let step = self.rng.span(1, 6);
        self.advance(self.now + step);
        self.people_act();
    }

    /// An engine that goes round in circles is a violation, not a reason to wait for ever.
    pub(crate) fn restless(&mut self) {
        self.calls += 1;
        if self.calls > MOST_CALLS && !self.death.dead {
            self.death.dead = true;
            self.judge.broken(self.now, 0, "the run went round in circles");
        }
    }

    fn pod(&mut self, i: usize) {
        let now = self.now;
        if self.pods[i].reload_at.is_some_and(|at| at <= now) {
            self.pods[i].reload_at = None;
            self.load(i);
            return;
        }
        self.pods[i].next_call = now + self.pods[i].cadence;
        if let Reads::Every(ttl) = self.pods[i].reads
            && now - self.pods[i].loaded_at >= ttl
        {
            self.load(i);
        }
        let replica = self.pods[i].replica;
        if !self.pods[i].pinned {
            self.pods[i].replica = (replica + 1) % REPLICAS;
        }
        let pod = &self.pods[i];
        let key = match pod.model {
            Some(model) => Some(self.gateway.models[model].at_replica(replica, now)),
            None => self.gateway.by_value(pod.holds),
        };
        let (label, listed) = (pod.label, pod.listed);
        let own = pod.copies.then(|| RequestId::new(COPIED));
        let mut accepted = self.gateway.call(replica, key, now, false);
        let on_new = key.is_some_and(|k| self.gateway.keys[k].made_by == Hand::Tool);
        let flaky = accepted && on_new && self.flaky == Some(label) && self.trail.flipped_at.is_some_and(|at| now > at + 500);
        accepted &= !flaky;
        self.log.add(Row {
            at: now,
            visible: now + self.rng.span(0, LAG),
            key,
            label,
            own,
            known_to: 0,
            refused: !accepted,
            shard: replica,
        });
        // What the gateway does to this caller is the scenario, not the run.
        if accepted || flaky {
            return;
        }
        if listed {
            self.outage(i, key);
        } else {
            self.judge.strangers_refused += 1;
        }
    }

    fn load(&mut self, i: usize) {
        let pod = &mut self.pods[i];
        if let Some(slot) = self.slots.get(pod.slot) {
            pod.holds = slot.current;
            pod.wrote = slot.current_by;
        }
        pod.loaded_at = self.now;
    }

    /// A listed consumer was refused: a violation, unless a person's own hand or words caused it.
    fn outage(&mut self, i: usize, key: Option<usize>) {
        let pod = &self.pods[i];
        let by_person = pod.wrote == Hand::Person
            // This caller is refused on the new key by the scenario itself.
            || (self.flaky == Some(pod.label) && key.is_some_and(|k| self.gateway.keys[k].made_by == Hand::Tool))
            || match key {
                None => true,
                Some(k) => {
                    self.gateway.keys[k].last().is_some_and(|c| c.by == Hand::Person) || self.gateway.keys[k].made_by == Hand::Person
                }
            };
        let in_words = self.trail.emergency && key == Some(self.old);
        let label = super::fleet::LABELS[usize::from(pod.label)];
        let excepted = self.trail.excepted.iter().any(|e| e == label);
        if by_person || in_words || excepted {
            return;
        }
        self.tell(|| format!("OUTAGE: {label} is refused on key {key:?}"));
        self.judge.broken(self.now, 1, "a listed consumer was refused");
    }

    /// A call of ours with a credential.
    pub(crate) fn probe(&mut self, replica: usize, value: usize, request: &RequestId) -> bool {
        let key = self.gateway.by_value(value);
        let accepted = self.gateway.probe(replica, key, self.now, &mut self.rng);
        let visible = self.now + self.rng.span(0, LAG);
        self.log.add(Row {
            at: self.now,
            visible,
            key,
            label: OURS,
            own: Some(request.clone()),
            known_to: 0,
            refused: !accepted,
            shard: replica,
        });
        accepted
    }

    /// Passes a boundary around a call.
    pub(crate) fn strikes(&mut self, crash: Crash) -> bool {
        let open = self.trail.open;
        let struck = self.death.strikes(open, crash);
        if struck {
            self.tell(|| format!("DIES {} {}", crash.name(), open.map_or("-", EffectKind::name)));
        }
        struck
    }

    /// Adds to the story, if somebody listens.
    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        let now = self.now - EPOCH;
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9} ms  {}", now, what()));
        }
    }
}

impl Pod {
    fn due(&self) -> i64 {
        self.reload_at.map_or(self.next_call, |at| at.min(self.next_call))
    }
}
