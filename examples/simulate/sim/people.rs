//! People who do things between any two steps of the run. What they do is remembered, so that its own consequences are not blamed
//! on the run; what the run makes of it is.

use super::gateway::{Hand, Limits, State};
use super::world::{Listing, World};
use keyroll::rotation::ModelName;

/// How lively people are in this world.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct People {
    /// In a thousand, at each step.
    pub(crate) chance: u32,
    /// So many things may still happen.
    pub(crate) left: u8,
    /// When they last changed something that a look could show.
    pub(crate) last_edit: i64,
    /// The wall clock is put right again then.
    pub(crate) clock_back: Option<i64>,
}

/// Three days.
const DAYS: i64 = 3 * 86_400_000;

impl World {
    /// Perhaps somebody does something now.
    pub(crate) fn people_act(&mut self) {
        if self.people.clock_back.is_some_and(|at| at <= self.now) {
            self.people.clock_back = None;
            self.wall = 0;
            self.tell(|| "the wall clock is right again".into());
        }
        if self.people.left == 0 || !self.rng.chance(self.people.chance) {
            return;
        }
        self.people.left -= 1;
        let what = self.rng.below(22);
        self.one_act(what);
    }

    fn one_act(&mut self, what: u64) {
        let now = self.now;
        let old = self.old;
        let new = self.gateway.keys.iter().rposition(|k| k.made_by == Hand::Tool);
        self.tell(|| format!("PEOPLE do number {what}"));
        let edits = match what {
            0 => self.switch(Some(old), State::Off),
            1 => self.switch(Some(old), State::On),
            2 => self.switch(Some(old), State::Gone),
            3 => self.switch(new, State::Off),
            4 => self.switch(new, State::On),
            5 => self.switch(new, State::Gone),
            6 => self.with_key(new, |k| k.name = "renamed by hand".into()),
            7 => self.with_key(new, |k| {
                k.marker = String::new();
                k.marker_by_person = true;
            }),
            8 => self.duplicate(new),
            9 => self.with_key(Some(old), |k| k.limits = Limits { budget: Some(1), ..k.limits }),
            10 => self.with_key(new, |k| k.limits = Limits { budget: None, ..k.limits }),
            11 | 12 => self.other_field(),
            13 => {
                let value = self.gateway.keys[old].value;
                self.write_slot(value)
            }
            14 => {
                let value = self.values.fresh();
                self.write_slot(value)
            }
            15 => self.foreign_pending(),
            16 => self.forget_previous(),
            17 => self.new_model(),
            18 => {
                self.wall = if self.rng.chance(500) { DAYS } else { -DAYS };
                self.people.clock_back = Some(now + self.rng.span(300, 8_000));
                false
            }
            19 => {
                let shard = usize::try_from(self.rng.below(2)).unwrap_or(0);
                let to = now + self.rng.span(700, 7_000);
                self.log.silence(shard, now, to);
                false
            }
            20 => {
                let kinds = [
                    // A stale answer is never older than the gateway needs to settle; a short one lacks the sentinel too.
                    (Listing::Stale, super::gateway::SETTLES),
                    (Listing::Short, 1_500),
                    (Listing::Twice, 1_500),
                    (Listing::Over, 1_500),
                    (Listing::Foreign, 1_500),
                ];
                let (kind, most) = kinds[usize::try_from(self.rng.below(5)).unwrap_or(0)];
                self.listing = Some((kind, now + self.rng.span(20, most)));
                false
            }
            _ => {
                self.admin_is = self.admin_is.or(Some(if self.rng.chance(500) { old } else { new.unwrap_or(old) }));
                self.admin_since = now;
                true
            }
        };
        if edits {
            self.people.last_edit = now;
        }
    }

    fn switch(&mut self, key: Option<usize>, state: State) -> bool {
        let Some(key) = key else { return false };
        if self.gateway.keys[key].state() == state || self.gateway.keys[key].state() == State::Gone {
            return false;
        }
        self.gateway.set(key, state, Hand::Person, self.now, &mut self.rng)
    }

    fn with_key(&mut self, key: Option<usize>, edit: impl FnOnce(&mut super::gateway::Key)) -> bool {
        let Some(key) = key.map(|k| &mut self.gateway.keys[k]).filter(|k| k.state() != State::Gone) else { return false };
        edit(key);
        true
    }

    fn duplicate(&mut self, key: Option<usize>) -> bool {
        let Some(key) = key.filter(|k| self.gateway.keys[*k].state() != State::Gone) else { return false };
        let value = self.values.fresh();
        let (marker, limits) = (self.gateway.keys[key].marker.clone(), self.gateway.keys[key].limits);
        let copy = self.gateway.make(value, &marker, limits, Hand::Person, self.now, &mut self.rng);
        self.gateway.keys[copy].copy_of = Some(key);
        true
    }

    fn other_field(&mut self) -> bool {
        let Some(slot) = self.slots.first_mut() else { return false };
        slot.other_meant += 1;
        slot.other = slot.other_meant;
        slot.version += 1;
        true
    }

    fn write_slot(&mut self, value: usize) -> bool {
        let Some(slot) = self.slots.last_mut() else { return false };
        if slot.current == value {
            return false;
        }
        slot.put(value, Hand::Person);
        true
    }

    fn foreign_pending(&mut self) -> bool {
        let value = self.values.fresh();
        let Some(slot) = self.slots.first_mut() else { return false };
        slot.pending = Some(("another-run".into(), value));
        slot.version += 1;
        true
    }

    fn forget_previous(&mut self) -> bool {
        let Some(slot) = self.slots.first_mut() else { return false };
        slot.previous = None;
        true
    }

    /// Somebody points one more model at the old provider key.
    fn new_model(&mut self) -> bool {
        if self.gateway.models.is_empty() {
            return false;
        }
        let name = ModelName::new(format!("model-{}", self.gateway.models.len() + 1));
        self.gateway.models.push(super::gateway::Model { name, points: vec![(self.old, [self.now; super::gateway::REPLICAS])] });
        true
    }
}
