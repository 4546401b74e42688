//! Since when a consumer should be on a key, and whether its own word says so.

use super::Case;
use super::clock::SourceClock;
use crate::rotation::{Ack, App, ConsumerPlan, Course, Span, Time, Which};

/// What a consumer's acknowledgements are worth.
pub(super) enum Word {
    /// Every one of them names the key's value, loaded since the move.
    Holds,
    /// It said nothing.
    Silent,
    /// It said something that does not count, and why.
    Void(String),
}

/// Since when consumers had to be on this key: the first reload of this flip came after every slot was moved.
pub(super) fn moved(case: &Case<'_>, clock: &SourceClock<'_>, key: Which) -> Option<Time> {
    let run = case.run;
    let since = match key {
        Which::New => &run.since.flip,
        Which::Old => &run.since.back,
    };
    let first = run.reloads.values().filter(|(flip, _)| current(case, key) && *flip == run.flip).map(|(_, stamp)| clock.of(stamp)).min();
    first.or_else(|| clock.latest([since]))
}

/// The same for one consumer: its own reload, if it had one.
pub(super) fn moved_one(case: &Case<'_>, clock: &SourceClock<'_>, app: &App, key: Which) -> Option<Time> {
    match case.run.reloads.get(app) {
        Some((flip, stamp)) if current(case, key) && *flip == case.run.flip => Some(clock.of(stamp)),
        Some(_) | None => moved(case, clock, key),
    }
}

/// The reloads of the current flip lead to this key.
fn current(case: &Case<'_>, key: Which) -> bool {
    match (case.run.course, key) {
        (Course::Forward, Which::New) | (Course::Undo, Which::Old) => true,
        (Course::Forward, Which::Old) | (Course::Undo, Which::New) => false,
    }
}

/// What the consumer says it holds. One part of it that does not hold the key is enough to doubt the whole.
pub(super) fn word(case: &Case<'_>, clock: &SourceClock<'_>, consumer: &ConsumerPlan, key: Which) -> Word {
    let Some(start) = moved_one(case, clock, &consumer.app, key) else { return Word::Silent };
    let mut said = Word::Silent;
    for ack in case.reading.acks.iter().filter(|a| a.app == consumer.app) {
        if let Some(doubt) = doubt(case, ack, key, start) {
            return Word::Void(doubt);
        }
        said = Word::Holds;
    }
    said
}

/// Two clocks on one machine, asked one after the other, differ by this much at most. A word from an earlier flip is older than that.
const JITTER: Span = Span(250);

fn doubt(case: &Case<'_>, ack: &Ack, key: Which, start: Time) -> Option<String> {
    let run = case.run;
    let (value, id) = match key {
        Which::New => (run.new.as_ref().map(|n| &n.value), run.new.as_ref().map(|n| &n.id)),
        Which::Old => (run.plan.slots.first().and_then(|s| s.current_is.as_ref()), Some(&run.plan.old.id)),
    };
    #[cfg(feature = "bugs")]
    if crate::bugs::on(crate::bugs::Bug::AckOfEarlierFlip) {
        return None;
    }
    // The value, where it can tell; else the key's id; a word that names neither is bound to nothing.
    let same = match (&ack.holds, &ack.key) {
        (Some(holds), _) if value.is_some() => value == Some(holds),
        (_, Some(key)) => id == Some(key),
        (Some(_), None) => return Some(format!("it names a value, and the {} value is not known here", key.name())),
        (None, None) => return Some("it answers without saying which value it holds".into()),
    };
    if !same {
        return Some(format!("it loaded at {} and holds another value", ack.loaded_at.rfc3339()));
    }
    (ack.loaded_at.plus(JITTER) < start)
        .then(|| format!("it loaded at {}, before it was moved at {}", ack.loaded_at.rfc3339(), start.rfc3339()))
}
