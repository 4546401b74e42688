//! Every change of the world that the engine can ask for, as data, so that it can also land late; and what the oracle says to it.

use super::fleet::{OURS, Reads};
use super::gateway::{Hand, Limits, State};
use super::world::World;
use keyroll::ports::PortError;
use keyroll::rotation::{App, Ask, KeyId, Marker, ModelName, Place, Point, RunId, Which};

/// A change.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Mint { marker: Marker, value: Option<usize>, broad: bool },
    Enable(KeyId, bool),
    Delete(KeyId),
    Mark(KeyId, Marker),
    Repoint(ModelName, KeyId, KeyId),
    Stage(usize, RunId, usize),
    Promote(usize, RunId, String),
    Demote(usize, String, usize),
    Fence(usize, String),
    DropPending(usize, RunId),
    Retire(usize),
    Reload(App),
}

/// What a change answers: the number of a new key, or nothing.
pub(crate) type Answer = Result<Option<usize>, PortError>;

pub(crate) fn conflict(why: &str) -> PortError {
    PortError::Conflict { system: "the fake".into(), action: "change".into(), why: why.into() }
}

impl World {
    /// Makes a change. `looked` is when its sender last looked; what people did after that he could not know.
    pub(crate) fn apply(&mut self, act: &Act, looked: i64, late: bool) -> Answer {
        // What people did is excused only for as long as an honest engine may be under way since its look.
        let raced = self.people.last_edit > looked && self.now - self.people.last_edit < 1_600;
        self.tell(|| format!("{}{act:?}", if late { "(late) " } else { "" }));
        match act {
            Act::Mint { marker, value, broad } => {
                let value = value.unwrap_or_else(|| self.values.fresh());
                let limits = self.gateway.keys[self.old].limits;
                let limits = if *broad { Limits { budget: None, ..limits } } else { limits };
                let key = self.gateway.make(value, marker.as_str(), limits, Hand::Tool, self.now, &mut self.rng);
                Ok(Some(key))
            }
            Act::Enable(id, on) => {
                let key = self.known(id)?;
                if *on {
                    self.judge_enable(key, raced);
                } else {
                    self.judge_disable(key, raced);
                }
                let state = if *on { State::On } else { State::Off };
                if let Some(last) = self.gateway.keys[key].changes.last_mut() {
                    last.met |= raced && last.state == state && last.by == Hand::Person;
                }
                if self.gateway.set(key, state, Hand::Tool, self.now, &mut self.rng) { Ok(None) } else { Err(conflict("no such key")) }
            }
            Act::Delete(id) => {
                let key = self.known(id)?;
                if self.gateway.keys[key].state() == State::Gone {
                    return Err(conflict("no such key"));
                }
                self.judge_delete(key, raced);
                self.gateway.set(key, State::Gone, Hand::Tool, self.now, &mut self.rng);
                Ok(None)
            }
            Act::Mark(id, marker) => {
                let key = self.known(id)?;
                self.gateway.keys[key].marker = marker.as_str().to_owned();
                if !self.calm && self.rng.chance(500) {
                    // The store keeps earlier versions only so long.
                    self.tell(|| "earlier versions are gone".into());
                    self.slots.iter_mut().for_each(|s| s.previous = None);
                }
                Ok(None)
            }
            Act::Repoint(model, from, to) => {
                let (from, to) = (self.known(from)?, self.known(to)?);
                let Some(m) = self.gateway.models.iter().position(|m| m.name == *model) else { return Err(conflict("no such model")) };
                if self.gateway.models[m].key() != from {
                    return Err(conflict("it points elsewhere"));
                }
                self.judge_target(to, raced);
                self.gateway.point(m, to, self.now, &mut self.rng);
                Ok(None)
            }
            Act::Stage(slot, run, value) => {
                let s = &mut self.slots[*slot];
                if s.pending.as_ref().is_some_and(|(r, _)| r != run.as_str()) {
                    return Err(conflict("pending belongs to another run"));
                }
                s.pending = Some((run.as_str().to_owned(), *value));
                s.other_staged = s.other;
                s.version += 1;
                Ok(None)
            }
            Act::Promote(slot, run, guard) => {
                let s = &self.slots[*slot];
                let Some((owner, value)) = s.pending.clone() else { return Err(conflict("nothing is pending")) };
                if owner != run.as_str() || !s.fits(guard) {
                    return Err(conflict("the slot changed"));
                }
                match self.gateway.by_value(value) {
                    Some(key) => self.judge_target(key, raced),
                    None if raced => {}
                    None => self.judge.broken(self.now, 1, "a value that no key has was made current"),
                }
                self.slots[*slot].put(value, Hand::Tool);
                self.newcomers(*slot);
                Ok(None)
            }
            Act::Demote(slot, guard, value) => {
                if !self.slots[*slot].fits(guard) {
                    return Err(conflict("the slot changed"));
                }
                match self.gateway.by_value(*value) {
                    Some(key) => self.judge_target(key, raced),
                    None => self.judge.broken(self.now, 1, "a value that no key has was made current"),
                }
                self.slots[*slot].put(*value, Hand::Tool);
                #[cfg(feature = "bugs")]
                if keyroll::bugs::on(keyroll::bugs::Bug::WholeDocumentRollback) {
                    self.slots[*slot].other = self.slots[*slot].other_staged;
                }
                Ok(None)
            }
            Act::Fence(slot, guard) => {
                let s = &mut self.slots[*slot];
                if !s.fits(guard) {
                    return Err(conflict("the slot changed"));
                }
                s.version += 1;
                Ok(None)
            }
            Act::DropPending(slot, run) => {
                let s = &mut self.slots[*slot];
                if s.pending.as_ref().is_some_and(|(r, _)| r == run.as_str()) {
                    s.pending = None;
                    s.version += 1;
                }
                Ok(None)
            }
            Act::Retire(slot) => {
                let s = &mut self.slots[*slot];
                s.previous = None;
                s.pending = None;
                s.version += 1;
                Ok(None)
            }
            Act::Reload(app) => {
                let now = self.now;
                // The command starts at once; what it does comes a little later, whether or not its parent lives.
                let delay = self.rng.span(5, 60);
                self.child_until = now + delay + self.rng.span(0, 150);
                for pod in self.pods.iter_mut().filter(|p| super::fleet::LABELS[usize::from(p.label)] == app.as_str()) {
                    if pod.deaf > 0 {
                        pod.deaf -= 1;
                    } else {
                        pod.reload_at = Some(now + delay);
                    }
                }
                Ok(None)
            }
        }
    }

    /// Who waits for the slot to be moved reads it now.
    fn newcomers(&mut self, slot: usize) {
        let after = self.blind_after.take().map(|after| self.now + after);
        self.log.blind_from = self.log.blind_from.or(after);
        for pod in self.pods.iter_mut().filter(|p| p.reads == Reads::Moved && p.slot == slot) {
            pod.reads = Reads::Never;
            let at = self.now + self.rng.span(20, 400);
            pod.reload_at = Some(at);
            pod.next_call = at + self.rng.span(1, 400);
        }
    }

    fn known(&self, id: &KeyId) -> Result<usize, PortError> {
        self.gateway.find(id).ok_or_else(|| conflict("no such key"))
    }

    /// A slot or a model is pointed at this key: it must work, and allow no more than the old one.
    fn judge_target(&mut self, key: usize, raced: bool) {
        let target = &self.gateway.keys[key];
        let dead_by_person = target.last().is_some_and(|c| c.by == Hand::Person && c.state != State::On);
        if !(target.works_everywhere(self.now) || raced && dead_by_person) {
            self.judge.broken(self.now, 1, "consumers were sent to a key that is not accepted everywhere");
        }
        let gone = self.gateway.keys[self.old].state() == State::Gone;
        let old = self.gateway.keys[self.old].limits;
        // What a key that is gone was last allowed, nobody can compare with any more.
        if !gone && target.limits.broader_than(old) && !raced && !self.trail.scope_accepted {
            self.judge.broken(self.now, 5, "a key that may do more than the old one was made current");
        }
    }

    fn judge_enable(&mut self, key: usize, raced: bool) {
        let last = self.gateway.keys[key].last().copied();
        // Our own enable landed unheard, and somebody undid it before it was looked for: nobody can see that.
        let unheard = matches!(self.gateway.keys[key].changes.as_slice(), [.., on, _] if on.state == State::On && on.by == Hand::Tool)
            && self.now - self.people.last_edit < 1_600;
        // Somebody who switches it on and off again leaves it as we left it.
        let as_left = matches!(self.gateway.keys[key].changes.as_slice(), [.., off, on, _]
            if off.state == State::Off && off.by == Hand::Tool && on.state == State::On && on.by == Hand::Person);
        // Somebody switched it off between our look and our own disable, which was answered as if it had done it.
        let met = last.is_some_and(|c| c.met);
        if last.is_some_and(|c| c.state == State::Off && c.by == Hand::Person) && !raced && !unheard && !as_left && !met {
            self.judge.broken(self.now, 5, "a key that a person had switched off was enabled");
        }
        if key == self.old {
            self.judge.reopened += 1;
            self.disabled_at = None;
            self.trail.approved = false;
        }
    }

    fn judge_disable(&mut self, key: usize, raced: bool) {
        let now = self.now;
        if key == self.old {
            self.judge_holders(key, raced, "the old key was disabled while a listed consumer held it");
            let again = self.gateway.keys[key].state() != State::On;
            if !again && self.plan.approval(keyroll::rotation::Phase::Revoke).is_some() && !self.trail.emergency {
                if !self.trail.agreed && !raced {
                    self.judge.broken(now, 2, "the old key was disabled without an agreement for this very attempt");
                }
                self.trail.agreed = false;
            }
            let known = self.trail.passed(Place::BeforeDisable).is_none_or(|judged| self.admin_since < judged - 60);
            let ours = self.admin_is.is_some_and(|k| k == key || self.gateway.keys[k].state() != State::Gone);
            if ours && known && !again {
                self.judge.broken(now, 6, "the old key was disabled while the admin credential was a key of this run");
            }
            let elsewhere = self
                .gateway
                .keys
                .iter()
                .any(|k| k.made_by == Hand::Tool && k.state() != State::Gone && k.limits.broader_than(self.gateway.keys[key].limits));
            if elsewhere && !raced && !self.trail.scope_accepted {
                self.judge.broken(now, 5, "the old key was disabled although the new one may do more");
            }
            self.judge_quiet(raced);
            if !again {
                self.judge_references(raced);
            }
            self.disabled_at = Some(now);
            self.after_disable();
        } else if self.gateway.keys[key].made_by == Hand::Tool {
            self.judge_holders(key, raced, "the new key was disabled while a listed consumer held it");
        } else {
            self.judge.broken(now, 1, "a key that is not of this run was disabled");
        }
    }

    fn judge_delete(&mut self, key: usize, raced: bool) {
        let now = self.now;
        if key == self.old {
            self.judge_holders(key, raced, "the old key was deleted while a listed consumer held it");
            self.judge_soak();
            self.judge_references(raced);
            let off = self.gateway.keys[key].last().is_some_and(|c| c.state == State::Off && c.by == Hand::Tool);
            if off && self.old_is_tried() && self.gateway.keys[key].works_somewhere(now) {
                self.judge.broken(now, 2, "the old key was deleted while a replica still accepted it");
            }
        } else if self.gateway.keys[key].made_by == Hand::Tool {
            self.judge_holders(key, raced, "a new key was deleted while a listed consumer held it");
            let value = self.gateway.keys[key].value;
            if !raced && self.slots.iter().any(|s| s.current == value && s.current_by != Hand::Person) {
                self.judge.broken(now, 1, "a key was deleted that a slot holds");
            }
        } else if !self.taken_for_ours(key) {
            self.judge.broken(now, 1, "a key that is not of this run was deleted");
        }
    }

    /// A person copied the key of a mint whose answer was lost, marker and all, removed the original, and nobody uses the copy: one key
    /// carries the marker of one mint and is younger than its intent, so it is what that mint made, for all that anybody can see.
    fn taken_for_ours(&self, key: usize) -> bool {
        let original = self.gateway.keys[key].copy_of.filter(|o| self.gateway.keys[*o].made_by == Hand::Tool);
        let removed = original.is_some_and(|o| {
            let last = self.gateway.keys[o].last();
            self.gateway.keys[o].marker == self.gateway.keys[key].marker
                && last.is_some_and(|c| c.state == State::Gone && c.by == Hand::Person)
        });
        removed && !self.log.rows.iter().any(|r| r.key == Some(key) && r.label != OURS)
    }

    /// What the scenario does once the old key is disabled.
    fn after_disable(&mut self) {
        let now = self.now;
        for pod in self.pods.iter_mut().filter(|p| !p.listed && p.next_call == i64::MAX) {
            pod.next_call = now + 150;
        }
        if self.asks_back {
            self.asks_back = false;
            self.turn_at = Some(now + 250);
        }
    }

    /// No model may reference a provider key that is about to be refused.
    fn judge_references(&mut self, raced: bool) {
        if !raced && self.gateway.models.iter().any(|m| m.key() == self.old) {
            self.judge.broken(self.now, 1, "the old key was switched off while a model referenced it");
        }
    }

    /// Nobody who is listed may hold a key that is about to be refused.
    fn judge_holders(&mut self, key: usize, raced: bool, what: &'static str) {
        if raced || (self.trail.emergency && key == self.old) {
            return;
        }
        let value = self.gateway.keys[key].value;
        let excepted = |label: u16| self.trail.excepted.iter().any(|e| e == super::fleet::LABELS[usize::from(label)]);
        let model_on = |m: usize| (0..super::gateway::REPLICAS).any(|r| self.gateway.models[m].at_replica(r, self.now) == key);
        let held = self.pods.iter().any(|p| {
            let holds = match p.model {
                Some(m) => model_on(m),
                None => p.holds == value,
            };
            let scenario = self.flaky == Some(p.label) && key != self.old;
            p.listed && p.wrote != Hand::Person && !excepted(p.label) && !scenario && holds
        });
        if held {
            self.judge.broken(self.now, 2, what);
        }
    }

    /// The drain gate passed just now: no use of the old key by anybody may lie in the window it spoke of.
    fn judge_quiet(&mut self, raced: bool) {
        let Some(judged) = self.trail.passed(Place::BeforeDisable) else { return };
        if raced || self.trail.emergency || self.trail.accepted {
            return;
        }
        let window = i64::try_from(self.plan.timing.drain_window.0).unwrap_or(0);
        // What is newer than this no source can show yet.
        let (from, to) = (judged - window + 1, judged - 800);
        let used = self.log.rows.iter().find(|r| {
            r.label != OURS
                && !r.refused
                && r.key == Some(self.old)
                && (from..to).contains(&r.at)
                // A source that went blind a moment ago has not been found out yet.
                && !(r.visible == i64::MAX && self.log.blind_from.is_some_and(|from| from > judged - 7_000))
                && !self.trail.excepted.iter().any(|e| e == super::fleet::LABELS[usize::from(r.label)])
        });
        if let Some(row) = used.cloned() {
            self.tell(|| format!("used: {row:?}, judged at {}", judged - super::world::EPOCH));
            self.judge.broken(self.now, 2, "the old key was disabled although it was used within the drain window");
        }
    }

    /// Nobody can see the refusal of a value that nobody knows, nor that a log would show one: then both are named gaps, and what counts
    /// are the references and the drain.
    fn old_is_tried(&self) -> bool {
        self.plan.checks(&Point::BeforeDelete).iter().any(|c| matches!(c.ask, Ask::Reject { key: Which::Old }))
    }

    /// The soak passed: nobody who is not excepted may have been refused in it.
    fn judge_soak(&mut self) {
        let Some(disabled) = self.disabled_at else { return };
        if self.trail.emergency || self.trail.accepted {
            return;
        }
        let soak = i64::try_from(self.plan.timing.soak.0).unwrap_or(0);
        if self.now < disabled + soak {
            self.judge.broken(self.now, 2, "the old key was deleted before its soak was over");
        }
        let tried = self.old_is_tried();
        let refused = self.log.rows.iter().find(|r| {
            (tried || r.visible < i64::MAX)
                && r.label != OURS
                && r.refused
                && r.key == Some(self.old)
                && (disabled..disabled + soak).contains(&r.at)
                && !self.trail.excepted.iter().any(|e| e == super::fleet::LABELS[usize::from(r.label)])
        });
        if let Some(row) = refused.cloned() {
            self.tell(|| format!("refused: {row:?}"));
            self.judge.broken(self.now, 2, "the old key was deleted although a caller had been refused in its soak");
        }
    }
}
