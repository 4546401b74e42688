//! The journal: the real codec and chain over bytes in memory, with the fence that the file has.

use super::death::around;
use super::drive;
use super::scenarios::Prepared;
use super::world::World;
use keyroll::journal::Chain;
use keyroll::ports::{AppendError, Journal};
use keyroll::rotation::{Record, Time};
use std::cell::RefCell;
use std::rc::Rc;

/// What lies on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Paper {
    pub(crate) bytes: Vec<u8>,
    /// Where the next line goes on.
    pub(crate) end: Chain,
    /// Where each line ends.
    pub(crate) ends: Vec<usize>,
}

impl Paper {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), end: Chain::new(), ends: Vec::new() }
    }

    /// Writes the next line.
    pub(crate) fn write(&mut self, record: &Record, at: Time) -> Result<(), String> {
        self.end.append_to(&mut self.bytes, record, at).map_err(|e| e.to_string())?;
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

/// One session's hold on it.
pub(crate) struct Pen<'p> {
    pub(crate) prepared: &'p Prepared,
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) me: u32,
    /// The last line this session knows of.
    pub(crate) last: u64,
}

impl Journal for Pen<'_> {
    fn append(&mut self, record: &Record) -> Result<u64, AppendError> {
        let gone = || AppendError::Storage { why: "the process is dead".into() };
        let pause = {
            let world = &mut *self.world.borrow_mut();
            let (effect, before, after) = around(record, world.trail.open);
            if world.death.dead {
                return Err(gone());
            }
            let at = Time(world.now + world.wall);
            if world.death.strikes(effect, before) {
                world.tell(|| format!("DIES {} {}", before.name(), effect.map_or("-", |e| e.name())));
                if world.death.torn {
                    // A part of the line reached the disk.
                    let line = world.journal.end.clone().append(record, at).map_err(|_| gone())?;
                    world.journal.bytes.extend_from_slice(&line[..line.len() / 2]);
                }
                return Err(gone());
            }
            if self.last != world.journal.end.seq() {
                world.tell(|| format!("process {} is fenced", self.me));
                return Err(AppendError::Fenced);
            }
            world.tell(|| format!("[{}] {}", self.me, story(record)));
            world.journal.write(record, at).map_err(|why| AppendError::Storage { why })?;
            self.last = world.journal.end.seq();
            world.youngest = world.youngest.max(self.me);
            let works = world.gateway.keys[world.old].works_everywhere(world.now);
            if let Some((promise, what)) = world.trail.take(record, world.now, works) {
                world.judge.broken(world.now, promise, what);
            }
            if matches!(record, Record::Turned { .. }) {
                world.turn_at = None;
            }
            if world.death.strikes(effect, after) {
                world.tell(|| format!("DIES {} {}", after.name(), effect.map_or("-", |e| e.name())));
            }
            let pause = world.death.pause == Some(world.death.count);
            if pause {
                world.death.pause = None;
            }
            pause
        };
        if pause {
            drive::rival(&self.world, self.prepared);
        }
        Ok(self.last)
    }

    fn head(&self) -> String {
        self.world.borrow().journal.end.head().to_owned()
    }
}

fn story(record: &Record) -> String {
    match record {
        Record::Judged { point, checks, .. } => {
            let open: Vec<String> = checks
                .iter()
                .filter(|c| c.verdict != keyroll::rotation::Verdict::Pass)
                .map(|c| format!("{} {:?}: {}", c.check, c.verdict, c.why))
                .collect();
            format!("judged {point:?}: {}", if open.is_empty() { "pass".into() } else { open.join(" | ") })
        }
        Record::Calls { ids } => format!("calls {}", ids.len()),
        Record::Planned { .. } => "planned".into(),
        other => {
            let text = format!("{other:?}");
            text.chars().take(400).collect()
        }
    }
}
