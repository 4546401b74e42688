//! The sentences that a careful reader quotes: the result, the drain, the refused requests, and how each consumer is known.
//! Each claims what the journal shows and no more.

use super::text::count;
use super::timeline::{Look, Timeline};
use super::words;
use crate::rotation::{Ack, Ask, ConsumerPlan, Course, Effect, End, Kind, Overlap, Run, Span, Time, Verdict, Which};
use std::collections::{BTreeMap, BTreeSet};

/// How a run stands, in one word and one sentence.
pub(super) struct Result {
    pub(super) word: &'static str,
    pub(super) sentence: String,
}

/// The result as far as the journal covers it. A bundle is written before the last record, so closing counts as the end.
pub(super) fn result(run: &Run) -> Result {
    let let_go = run.verdicts.values().filter(|v| v.advances() && **v != Verdict::Pass).count();
    let open = run.verdicts.values().filter(|v| !v.advances()).count();
    let closing = run.scanned
        || run.open.as_ref().is_some_and(|open| match open.effect {
            Effect::Scan | Effect::Seal => true,
            Effect::Mint { .. }
            | Effect::Stage { .. }
            | Effect::Promote { .. }
            | Effect::Repoint { .. }
            | Effect::Reload { .. }
            | Effect::Disable { .. }
            | Effect::Enable { .. }
            | Effect::Delete { .. }
            | Effect::Discard { .. }
            | Effect::Demote { .. }
            | Effect::Fence { .. }
            | Effect::DropPending { .. }
            | Effect::Retire { .. }
            | Effect::MarkLive { .. } => false,
        });
    let end = match (&run.ended, closing, run.course) {
        (Some(end), ..) => Some(end.clone()),
        (None, true, Course::Forward) => Some(End::Done),
        (None, true, Course::Undo) => {
            let (why, asked) = run.turned.clone().unwrap_or_default();
            Some(End::RolledBack { why, asked })
        }
        (None, false, Course::Forward | Course::Undo) => None,
    };
    match end {
        Some(End::Done) => Result {
            word: if run.emergency.is_some() { "Rotated in an emergency" } else { "Rotated" },
            sentence: match (let_go, open) {
                (0, 0) => "The key was replaced; every check that was judged passed at last.".into(),
                (n, 0) => {
                    format!("The key was replaced; {} let go by people and shown as such below.", count(n, "check was", "checks were"))
                }
                (n, open) => format!(
                    "The key was replaced; {} let go by people, and {} pass when last judged: see Gates.",
                    count(n, "check was", "checks were"),
                    count(open, "check did not", "checks did not")
                ),
            },
        },
        Some(End::RolledBack { why, asked }) => {
            let who = if asked { "A person turned the run back" } else { "The run turned back" };
            let whom = if matches!(run.plan.kind, Kind::Provider { .. }) { "models" } else { "consumers" };
            let consumers =
                if run.was_flipped() { format!("{whom} are on the old key again") } else { format!("{whom} never left the old key") };
            Result { word: "Rolled back", sentence: format!("{who}; {consumers}. Why: {why}") }
        }
        None => match &run.stuck {
            Some((why, _)) => Result { word: "Stuck", sentence: format!("The run cannot go on or back by itself: {why}") },
            None => Result { word: "Not finished", sentence: format!("The run is in {}.", run.phase) },
        },
    }
}

/// The outgoing key of the direction the run goes.
pub(super) fn outgoing(run: &Run) -> Which {
    match run.course {
        Course::Forward => Which::Old,
        Course::Undo => Which::New,
    }
}

fn incoming(run: &Run) -> Which {
    match run.course {
        Course::Forward => Which::New,
        Course::Undo => Which::Old,
    }
}

/// What may be said about the use of the outgoing key.
pub(super) fn drain(run: &Run, line: &Timeline<'_>) -> String {
    let key = outgoing(run);
    let name = key.name();
    let judged = |look: &Look<'_>| {
        let zero = |id: &str| run.plan.checks(look.point).iter().any(|c| c.id == id && matches!(&c.ask, Ask::Zero { key: k } if *k == key));
        look.checks.iter().find(|j| zero(&j.check)).map(|j| j.verdict)
    };
    let Some((at, verdict)) = line.looks.iter().enumerate().rev().find_map(|(i, l)| judged(l).map(|v| (i, v))) else {
        return format!("Whether anything still used the {name} key was not judged.");
    };
    match verdict {
        Verdict::Pass => {}
        Verdict::Waived => return format!("The check that nothing uses the {name} key any more was WAIVED, so no such statement is made."),
        Verdict::Skipped => {
            return format!(
                "The check that nothing uses the {name} key any more was SKIPPED in emergency mode, so no such statement is made."
            );
        }
        Verdict::Fail | Verdict::Inconclusive | Verdict::NoData | Verdict::Error => {
            return format!("That nothing uses the {name} key any more was not shown: {}.", words::verdict(verdict));
        }
    }
    let separable = match run.plan.gateway.caps.overlap {
        Overlap::SeparateIds | Overlap::HumanMints => true,
        Overlap::OneIdTwoSecrets | Overlap::OneIdNoOverlap | Overlap::TwoSlots | Overlap::ActivateOnFirstUse => false,
    };
    if !separable {
        return format!("This gateway ends or mixes keys by itself, so no statement is made about the use of the {name} key.");
    }
    // Later readings count too: a use that came after the gate had passed must not vanish from the sentence.
    let tables: Vec<_> = line.looks.iter().skip(at).filter_map(|l| l.reading.usage.as_ref().map(|u| (l.at, u))).collect();
    let Some((read_at, first)) = tables.first() else {
        return format!("Whether anything still used the {name} key was judged without a usage table.");
    };
    let last_use = tables.iter().flat_map(|(_, u)| u.of(key).values()).filter_map(|c| c.last_used).max();
    let since = last_use.unwrap_or(first.from);
    let reach = first.reaches.or(run.plan.usage.reaches).map_or_else(|| "an unknown time".to_owned(), |r| days(read_at.since(r)));
    let shards: BTreeSet<&str> = tables.iter().flat_map(|(_, u)| &u.shards).map(|s| s.name.as_str()).collect();
    let parts = if shards.is_empty() { String::new() } else { format!(" ({})", shards.into_iter().collect::<Vec<_>>().join(", ")) };
    let excepted = if run.exceptions.is_empty() { "" } else { " Excepted consumers are counted too." };
    let complete = tables.last().and_then(|(_, u)| u.watermark());
    let complete = complete.map(|t| format!(" The source was complete up to {}.", t.rfc3339())).unwrap_or_default();
    format!(
        "Use of the {name} key: no use seen since {} by any source listed; sources reach back {reach}. Sources: {}{parts}.{complete}{excepted}",
        since.rfc3339(),
        run.plan.usage.source,
    )
}

/// `7 days`, or shorter lengths as they are.
fn days(span: Span) -> String {
    let days = usize::try_from(span.0 / 86_400_000).unwrap_or(usize::MAX);
    if days == 0 { span.to_string() } else { count(days, "day", "days") }
}

/// What may be said about refused requests of consumers.
pub(super) fn refused(run: &Run, line: &Timeline<'_>) -> String {
    if !run.plan.usage.sees_refused {
        return "Whether a consumer's request was refused cannot be said: refused callers are not observable here.".into();
    }
    let tables: Vec<_> = line.looks.iter().filter_map(|l| l.reading.usage.as_ref()).collect();
    let (Some(from), Some(to)) = (tables.iter().map(|t| t.from).min(), tables.iter().map(|t| t.to).max()) else {
        return "Whether a consumer's request was refused cannot be said: no usage was read.".into();
    };
    // Windows of readings overlap, so counts are not added up: the largest of each caller is a lower bound.
    let mut most: BTreeMap<(Which, &str), u64> = BTreeMap::new();
    for table in &tables {
        for key in [Which::Old, Which::New] {
            for (caller, count) in table.of(key).iter().filter(|(_, c)| c.refused > 0) {
                let seen = most.entry((key, caller.as_str())).or_default();
                *seen = (*seen).max(count.refused);
            }
        }
    }
    if !most.is_empty() {
        let who = most.iter().map(|((key, caller), n)| {
            let caller = if caller.is_empty() { "an unnamed caller" } else { caller };
            format!("{caller} at least {n} on the {} key", key.name())
        });
        return format!("Requests of consumers were refused: {}.", who.collect::<Vec<_>>().join("; "));
    }
    if !tables.iter().any(|t| t.own.values().any(|row| row.refused)) {
        return "No refused request of a consumer was found, but neither was a refused one of our own: whether this source shows refusals was not proven in this run.".into();
    }
    format!(
        "No consumer request was refused in what was read, from {} to {}; the source shows refusals (our own were found in it).",
        from.rfc3339(),
        to.rfc3339()
    )
}

/// How it is known that a consumer is on the incoming key.
pub(super) fn known(run: &Run, line: &Timeline<'_>, consumer: &ConsumerPlan) -> String {
    let key = incoming(run);
    let (value, id) = match key {
        Which::New => (run.new.as_ref().map(|n| &n.value), run.new.as_ref().map(|n| &n.id)),
        Which::Old => (run.plan.slots.first().and_then(|s| s.current_is.as_ref()), Some(&run.plan.old.id)),
    };
    let holds = |ack: &Ack| (ack.holds.is_some() && ack.holds.as_ref() == value) || (ack.key.is_some() && ack.key.as_ref() == id);
    let mut seen: Option<(Time, u64)> = None;
    let mut acked: Option<Time> = None;
    // What was seen before the run moved consumers this way says nothing about where they are now.
    let start = match run.course {
        Course::Forward => None,
        Course::Undo => line.stays.iter().rev().find(|s| s.stage == words::Stage::WayBack).map(|s| s.from),
    };
    for look in &line.looks {
        let rows = look.reading.usage.iter().flat_map(|u| u.of(key)).filter(|(c, _)| consumer.seen_as.iter().any(|s| s == c.as_str()));
        for (at, total) in rows.filter_map(|(_, c)| c.last_used.map(|at| (at, c.total()))) {
            seen = seen.max(Some((at, total)));
        }
        for ack in look.reading.acks.iter().filter(|a| a.app == consumer.app && holds(a)) {
            acked = acked.max(Some(ack.loaded_at));
        }
    }
    let seen = seen.filter(|(at, _)| start.is_none_or(|s| *at >= s));
    let acked = acked.filter(|at| start.is_none_or(|s| *at >= s));
    let mut ways = Vec::new();
    if let Some(at) = acked {
        ways.push(format!("acknowledged: holds it since {}", at.rfc3339()));
    }
    if let Some((at, calls)) = seen {
        ways.push(format!(
            "seen in the usage, {} in the last window, newest {}",
            count(usize::try_from(calls).unwrap_or(usize::MAX), "call", "calls"),
            at.rfc3339()
        ));
    }
    if let Some(e) = run.exceptions.iter().find(|e| e.app == consumer.app) {
        ways.push(format!("EXCEPTED until {}", e.until.rfc3339()));
    }
    if ways.is_empty() {
        return match run.reloads.get(&consumer.app) {
            Some((_, at)) => format!("not shown; last told to reload at {}", at.at.rfc3339()),
            None => "not shown".into(),
        };
    }
    ways.join("; ")
}
