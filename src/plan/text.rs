//! The plan for a reader: what will happen, in order, and what each step waits for.

use crate::rotation::{
    Ask, Check, Disable, Kind, KnownBy, MarkerRule, Mint, Must, Overlap, Phase, Place, Plan, Reload, Swap, Time, UsageKind, Which, opens_at,
};
use std::fmt::Write;

/// The plan as text, for a terminal or a ticket. `width` is a hint for wrapping nothing: lines are short by themselves.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the results are dropped.
    let _ = head(&mut out, plan);
    let _ = capabilities(&mut out, plan);
    let _ = scope(&mut out, plan);
    let _ = steps(&mut out, plan);
    let _ = people(&mut out, plan);
    let _ = calendar(&mut out, plan);
    let _ = facts(&mut out, plan);
    out
}

fn head(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let kind = match &plan.kind {
        Kind::Router => "router key",
        Kind::Provider { .. } => "provider key",
    };
    writeln!(out, "keyroll will rotate the {kind} {} ({})", plan.about.credential, plan.about.environment)?;
    writeln!(out, "  outgoing    {}  \"{}\"", plan.old.id, plan.old.name)?;
    writeln!(out, "  gateway     {} at {}, as {}", plan.gateway.driver, plan.gateway.identity.base, plan.gateway.identity.principal)?;
    writeln!(out, "  reason      {}", plan.about.reason)?;
    if let Some(ticket) = &plan.about.ticket {
        writeln!(out, "  ticket      {ticket}")?;
    }
    writeln!(out, "  plan id     {}", plan.id())
}

/// What every step below rests on.
fn capabilities(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let caps = &plan.gateway.caps;
    let known = match caps.known_by {
        KnownBy::Documentation => "as documented",
        KnownBy::Measured => "as measured on the real software",
        KnownBy::Probe => "as tried on this gateway today",
    };
    let overlap = match caps.overlap {
        Overlap::SeparateIds => "class A: each key has an id of its own, so their use is told apart",
        Overlap::OneIdTwoSecrets => "class B: one id with two secrets, so their use is not told apart",
        Overlap::OneIdNoOverlap => "class B0: one id, and a new secret ends the old one at once",
        Overlap::TwoSlots => "class C: two places, and a new secret ends what its place held",
        Overlap::ActivateOnFirstUse => "class D: the first use of the new secret begins the end of the old one",
        Overlap::HumanMints => "class E: a person makes the key",
    };
    let mint = match caps.mint {
        Mint::CallerChooses => "keyroll chooses its value",
        Mint::ShownOnce => "the gateway draws its value and shows it once",
        Mint::Supplied => "its value comes from its issuer and can be read there again",
        Mint::Issued => "its value comes from its issuer, which is asked once",
    };
    let again = match caps.marker {
        MarkerRule::None => "cannot be found again after a lost answer".to_owned(),
        MarkerRule::Label(most) => format!("is found again by a mark of up to {most} bytes"),
    };
    let disable = match caps.disable {
        Disable::Reversible => "by a switch that can be turned back",
        Disable::ByExpiry => "by moving its end into the past, which can be taken back",
        Disable::Irreversible => "for good: it cannot be enabled again",
        Disable::None => "not at all: there is only deletion",
    };
    writeln!(out, "\nWhat this gateway can do, {known}")?;
    writeln!(out, "  overlap     {overlap}")?;
    writeln!(out, "  new key     {mint}; it {again}")?;
    writeln!(out, "  disable     {disable}")?;
    writeln!(out, "  settles     within {}; an enabled key may be refused for {} more", caps.settles_in, caps.refusal_cache)
}

fn scope(out: &mut String, plan: &Plan) -> std::fmt::Result {
    writeln!(out, "\nPermissions of the new key (copied, then compared; a broader key fails prepare)")?;
    for (field, value) in &plan.old.scope {
        writeln!(out, "  = {field}: {value}")?;
    }
    if plan.old.scope.is_empty() {
        writeln!(out, "  = none are set on the old key")?;
    }
    if let Kind::Provider { models, .. } = &plan.kind {
        for model in models {
            writeln!(out, "  ~ model {model}: {} → the new key", plan.old.id)?;
        }
    }
    Ok(())
}

fn steps(out: &mut String, plan: &Plan) -> std::fmt::Result {
    writeln!(out, "\nSteps")?;
    let mut n = 0;
    let mut step = |out: &mut String, sign: &str, what: &str| {
        n += 1;
        writeln!(out, "  {n:>2}. {sign} {what}")
    };
    phase(out, Phase::Prepare)?;
    needs(out, plan, Place::Bound)?;
    let stage = |out: &mut String, step: &mut dyn FnMut(&mut String, &str, &str) -> std::fmt::Result| -> std::fmt::Result {
        for slot in &plan.slots {
            step(out, "+", &format!("stage the new value beside the current one in {}", slot.name))?;
        }
        Ok(())
    };
    match plan.gateway.caps.mint {
        Mint::CallerChooses => {
            stage(out, &mut step)?;
            step(out, "+", "mint the key with the staged value")?;
        }
        Mint::ShownOnce | Mint::Supplied | Mint::Issued => {
            if let Kind::Provider { .. } = plan.kind {
                let again = if plan.gateway.caps.mint == Mint::Issued { ", once" } else { "" };
                step(out, "+", &format!("ask the issuer for the new value{again}; make a key with it, marked"))?;
            } else {
                step(out, "+", "mint the new key, marked with the run's id")?;
            }
            stage(out, &mut step)?;
        }
    }
    needs(out, plan, Place::Prepared)?;
    phase(out, Phase::Canary)?;
    needs(out, plan, Place::Canary)?;
    phase(out, Phase::Flip)?;
    for slot in &plan.slots {
        let how = match slot.caps.swap {
            Swap::CompareAndSet => "compare-and-set",
            Swap::LastWriteWins => "not atomic: read before and after",
        };
        step(out, "~", &format!("promote in {} ({how})", slot.name))?;
    }
    for model in plan.models() {
        step(out, "~", &format!("repoint model {model}, only if it still points at {}", plan.old.id))?;
    }
    for consumer in plan.readers() {
        match &consumer.reload {
            Reload::Dynamic { ttl } => writeln!(out, "      · {} reads it by itself within {ttl}", consumer.app)?,
            Reload::Told { how } => step(out, "~", &format!("reload {} ({how}), and see it on the new key before the next", consumer.app))?,
            Reload::ByHand => step(out, "~", &format!("{} reloads {} by hand", consumer.owner, consumer.app))?,
        }
    }
    needs(out, plan, Place::Flipped)?;
    phase(out, Phase::Hold)?;
    needs(out, plan, Place::Drained)?;
    phase(out, Phase::Revoke)?;
    match plan.gateway.caps.disable {
        Disable::Reversible | Disable::ByExpiry => {
            needs(out, plan, Place::BeforeDisable)?;
            step(out, "~", &format!("disable {}; it can be enabled again", plan.old.id))?;
            needs(out, plan, Place::Soaked)?;
        }
        Disable::Irreversible => {
            needs(out, plan, Place::BeforeDisable)?;
            step(out, "!", &format!("disable {}   ◀ point of no return", plan.old.id))?;
            needs(out, plan, Place::Soaked)?;
        }
        Disable::None => {}
    }
    needs(out, plan, Place::BeforeDelete)?;
    let mark = if plan.gateway.caps.disable == Disable::Irreversible { "" } else { "   ◀ point of no return" };
    step(out, "-", &format!("delete {}{mark}", plan.old.id))?;
    if let (Kind::Provider { .. }, true) = (&plan.kind, plan.knows_old()) {
        writeln!(out, "      · {} revokes the old value at the provider", plan.about.owner)?;
    }
    needs(out, plan, Place::Gone)?;
    phase(out, Phase::Archive)?;
    needs(out, plan, Place::Complete)?;
    step(out, "~", "mark the new key as live")?;
    for slot in &plan.slots {
        step(out, "-", &format!("unlink the previous value in {}", slot.name))?;
    }
    step(out, "+", "scan the evidence for every secret, then seal it")
}

fn phase(out: &mut String, phase: Phase) -> std::fmt::Result {
    writeln!(out, "  {phase}")
}

fn needs(out: &mut String, plan: &Plan, place: Place) -> std::fmt::Result {
    let Some(gate) = plan.gates.iter().find(|g| g.point == place) else { return Ok(()) };
    // What was asked a few lines above is asked afresh before a change that hurts; a reader needs to see only what is added.
    let before = match place {
        Place::BeforeDisable => asks(plan, Place::Drained),
        Place::BeforeDelete => asks(plan, Place::Soaked),
        Place::Bound
        | Place::Prepared
        | Place::Canary
        | Place::Reloaded
        | Place::Flipped
        | Place::Drained
        | Place::Soaked
        | Place::Gone
        | Place::Complete
        | Place::OldAccepted
        | Place::Returned
        | Place::NewDrained
        | Place::NewSoaked
        | Place::Undone => Vec::new(),
    };
    let (again, first): (Vec<&Check>, Vec<&Check>) = gate.checks.iter().partition(|c| before.contains(&&c.ask));
    if !again.is_empty() {
        let ids: Vec<&str> = again.iter().map(|c| c.id.as_str()).collect();
        writeln!(out, "      ? judged again, at this very moment: {}", ids.join(", "))?;
    }
    for check in first {
        writeln!(out, "      ? {}", words(check, plan))?;
    }
    Ok(())
}

/// What a gate of the plan asks.
fn asks(plan: &Plan, place: Place) -> Vec<&Ask> {
    plan.gates.iter().filter(|g| g.point == place).flat_map(|g| &g.checks).map(|c| &c.ask).collect()
}

/// One check in words.
pub(super) fn words(check: &Check, plan: &Plan) -> String {
    let key = |w: &Which| w.name();
    match &check.ask {
        Ask::Equal { .. } => "new key may do exactly what the old one may".to_owned(),
        Ask::Accept { key: w } if matches!(plan.kind, Kind::Provider { .. }) => {
            format!("the provider accepts the {} value: {}", key(w), families(plan))
        }
        Ask::Reject { key: w } if matches!(plan.kind, Kind::Provider { .. }) => {
            format!("the provider refuses the {} value {} times, beside the other one", key(w), plan.timing.repeats)
        }
        Ask::Accept { key: w } => {
            format!("{} key is accepted: {} at {}", key(w), families(plan), count(plan.gateway.endpoints.len(), "endpoint"))
        }
        Ask::Reject { key: w } => {
            format!("{} key is refused {} times at every endpoint while the other one works", key(w), plan.timing.repeats)
        }
        Ask::Zero { key: w } => {
            let longest = plan.slowest_consumer().map(|c| format!(", because of {}", c.app)).unwrap_or_default();
            let window = if *w == Which::Old { plan.timing.drain_window } else { plan.timing.undo_window };
            format!("no use of the {} key for {window}{longest}, in a log that is shown to be alive", key(w))
        }
        Ask::Coverage { key: w } => format!("every consumer is seen on the {} key, or says so", key(w)),
        Ask::UnknownCallers => "no caller is left that nobody claims".into(),
        Ask::Attributed => "our own calls are logged under the new key and its owner".into(),
        Ask::Invariant(must) => invariant(must).into(),
        Ask::Elapsed { at_least } => format!("at least {at_least} have passed"),
        Ask::Soak { at_least, .. } => format!("for {at_least} nobody but us is refused"),
        Ask::Human { role } => format!("{role} says so"),
        Ask::Later { kind } => format!("`{}` ({kind}): not in this build, must be waived by name", check.id),
    }
}

fn invariant(must: &Must) -> &'static str {
    match must {
        Must::SlotsHoldOld => "every slot holds this very key",
        Must::PendingIsNew => "the new value waits in every slot",
        Must::SlotsHold(Which::New) => "every slot holds the new value",
        Must::SlotsHold(Which::Old) => "every slot holds the old value",
        Must::AdminDiffers => "keyroll's own credentials are not the rotated key",
        Must::WayBack => "the old value can be put back",
        Must::SingleNew => "exactly one key carries this run's marker",
        Must::NoneNew => "no key of this run is left",
        Must::Listed(Which::Old) => "the gateway lists the old key as accepted",
        Must::Listed(Which::New) => "the gateway lists the new key as accepted",
        Must::Serves(Which::New) => "consumers' calls are served with the new key",
        Must::Serves(Which::Old) => "consumers' calls are served with the old key",
        Must::NoReference(_) => "no model references it any more",
        Must::Projected(_) => "every replica serves the models with it",
        Must::Absent(_) => "it is gone from a complete listing",
        Must::NoneRefused(_) => "no consumer call was refused on the new key",
        Must::CadenceKnown => "every consumer names its cadence",
        Must::EvidenceComplete => "every required piece of evidence is there",
        Must::Searchable => "every value that the evidence is searched for can be read",
    }
}

fn people(out: &mut String, plan: &Plan) -> std::fmt::Result {
    if plan.approvals.is_empty() && plan.by_hand.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nPeople")?;
    for rule in &plan.approvals {
        let not = if rule.not_requester { ", not the requester" } else { "" };
        writeln!(out, "  {} must approve {}{not}", rule.role, rule.phase)?;
    }
    for kind in &plan.by_hand {
        writeln!(out, "  {} is done by hand; keyroll says what, and checks", kind.name())?;
    }
    Ok(())
}

fn calendar(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let start = plan.made_at;
    let hold = start.plus(plan.timing.observation.max(plan.timing.drain_window));
    let windowed = |at: Time| plan.windows.as_ref().map_or(Some(at), |w| opens_at(w, at));
    let disable = windowed(hold);
    let delete = disable.and_then(|d| windowed(d.plus(plan.timing.soak)));
    writeln!(out, "\nCalendar, if it starts now and nothing is in the way (UTC)")?;
    writeln!(out, "  start         {}", start.rfc3339())?;
    writeln!(out, "  hold ends     {}", hold.rfc3339())?;
    for (name, at, wanted) in [("disable", disable, Some(hold)), ("delete", delete, disable.map(|d| d.plus(plan.timing.soak)))] {
        match (at, wanted) {
            (Some(at), Some(wanted)) if at > wanted => writeln!(out, "  {name:<13} {}   moved by the change windows", at.rfc3339())?,
            (Some(at), _) => writeln!(out, "  {name:<13} {}", at.rfc3339())?,
            (None, _) => writeln!(out, "  {name:<13} never: the change windows leave no hour")?,
        }
    }
    match plan.watcher {
        Some(tick) => writeln!(out, "  watched       every {tick} by `keyroll tick`"),
        None => writeln!(out, "  watched       by the process that runs it"),
    }
}

fn facts(out: &mut String, plan: &Plan) -> std::fmt::Result {
    let usage = &plan.usage;
    writeln!(out, "\nWhat drain will rest on")?;
    writeln!(
        out,
        "  {} from {} with a lag of {}; refused calls {}",
        count(usage.shards.len(), "log part"),
        usage.source,
        usage.lag,
        if usage.sees_refused { "leave rows" } else { "leave no row" }
    )?;
    let shows = match usage.kind {
        UsageKind::Rows => "each request, by key",
        UsageKind::Counters => "how many requests each key served, between two looks",
        UsageKind::Spend => "money, and no single request",
        UsageKind::None => "nothing",
    };
    let callers = if usage.names_caller { "and by caller" } else { "without a caller's name" };
    let back = usage.reaches.map_or_else(|| "an unknown time".to_owned(), Time::rfc3339);
    writeln!(out, "  it shows {shows} {callers}, back to {back}")?;
    writeln!(out, "\nHosts and places that will be contacted")?;
    for host in &plan.hosts {
        writeln!(out, "  {host}")?;
    }
    for (title, lines) in [("Gaps that the evidence will name", &plan.gaps), ("Warnings", &plan.warnings)] {
        if !lines.is_empty() {
            writeln!(out, "\n{title}")?;
            for line in lines {
                for (n, part) in wrapped(line).into_iter().enumerate() {
                    writeln!(out, "  {} {part}", if n == 0 { "!" } else { " " })?;
                }
            }
        }
    }
    Ok(())
}

/// A sentence in lines that fit a terminal of 80 columns.
fn wrapped(text: &str) -> Vec<String> {
    const LONGEST: usize = 74;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= LONGEST => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn families(plan: &Plan) -> String {
    plan.probes.iter().map(|p| if p.stream { format!("{} (stream)", p.family) } else { p.family.clone() }).collect::<Vec<_>>().join(", ")
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
