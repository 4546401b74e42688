//! The checks that every rotation is judged by: `gates: auto`. Fixed before any data come.

use crate::rotation::{Ask, Check, Disable, Gate, GatewayCaps, Kind, Must, Place, Span, Timing, UsageKind, UsagePlan, Which};

/// The whole pack, for what this gateway and this usage source can show.
pub fn standard_gates(kind: &Kind, caps: &GatewayCaps, usage: &UsagePlan, timing: &Timing) -> Vec<Gate> {
    let rows = usage.kind == UsageKind::Rows;
    let provider = matches!(kind, Kind::Provider { .. });
    let mut gates = vec![
        gate(Place::Bound, bound(provider)),
        gate(Place::Prepared, prepared(provider)),
        gate(Place::Canary, canary(rows)),
        gate(Place::Reloaded, vec![check("acknowledged", Ask::Coverage { key: Which::New })]),
        gate(Place::Flipped, flipped(provider, rows)),
        gate(Place::Drained, drained(provider, timing)),
        gate(Place::BeforeDisable, before(provider, timing)),
        gate(Place::Soaked, soaked(timing)),
        gate(Place::BeforeDelete, before_delete(provider, caps, timing)),
        gate(
            Place::Gone,
            vec![
                check("old_refused", Ask::Reject { key: Which::Old }),
                check("new_accepted", Ask::Accept { key: Which::New }),
                check("old_absent", Ask::Invariant(Must::Absent(Which::Old))),
            ],
        ),
        gate(
            Place::Complete,
            vec![check("evidence", Ask::Invariant(Must::EvidenceComplete)), check("one_key", Ask::Invariant(Must::SingleNew))],
        ),
    ];
    gates.extend(undo(provider, timing));
    if !usage.sees_refused {
        // What leaves no row cannot be counted; the plan names the gap instead of asking for ever.
        for gate in &mut gates {
            gate.checks.retain(|c| !matches!(c.ask, Ask::Invariant(Must::NoneRefused(_)) | Ask::Soak { .. }));
        }
    }
    gates
}

fn bound(provider: bool) -> Vec<Check> {
    let mut checks =
        vec![check("admin_differs", Ask::Invariant(Must::AdminDiffers)), check("old_accepted", Ask::Accept { key: Which::Old })];
    if !provider {
        checks.insert(0, check("slots_hold_old", Ask::Invariant(Must::SlotsHoldOld)));
        checks.push(check("way_back", Ask::Invariant(Must::WayBack)));
    }
    checks
}

fn prepared(provider: bool) -> Vec<Check> {
    let mut checks = vec![
        check("scope", Ask::Equal { allow: Vec::new() }),
        check("one_key", Ask::Invariant(Must::SingleNew)),
        check("admin_differs", Ask::Invariant(Must::AdminDiffers)),
    ];
    if !provider {
        checks.push(check("staged", Ask::Invariant(Must::PendingIsNew)));
        checks.push(check("new_accepted", Ask::Accept { key: Which::New }));
        // Catches a gateway whose new key ends the old one.
        checks.push(check("old_accepted", Ask::Accept { key: Which::Old }));
    }
    checks
}

fn canary(rows: bool) -> Vec<Check> {
    let mut checks = vec![check("new_accepted", Ask::Accept { key: Which::New })];
    if rows {
        checks.push(check("attributed", Ask::Attributed));
    }
    checks
}

fn flipped(provider: bool, rows: bool) -> Vec<Check> {
    let mut checks = vec![check("new_accepted", Ask::Accept { key: Which::New })];
    if provider {
        checks.push(check("projected", Ask::Invariant(Must::Projected(Which::New))));
    } else {
        checks.push(check("slots_hold_new", Ask::Invariant(Must::SlotsHold(Which::New))));
    }
    if rows {
        checks.push(check("none_refused", Ask::Invariant(Must::NoneRefused(Which::New))));
    }
    checks
}

fn drained(provider: bool, timing: &Timing) -> Vec<Check> {
    let mut checks =
        vec![skippable("drain", Ask::Zero { key: Which::Old }), check("none_refused", Ask::Invariant(Must::NoneRefused(Which::New)))];
    if timing.observation > Span::ZERO {
        checks.insert(0, skippable("observation", Ask::Elapsed { at_least: timing.observation }));
    }
    if provider {
        checks.push(check("projected", Ask::Invariant(Must::Projected(Which::New))));
        checks.push(check("no_reference", Ask::Invariant(Must::NoReference(Which::Old))));
    } else {
        checks.push(skippable("coverage", Ask::Coverage { key: Which::New }));
        checks.push(skippable("unknown_callers", Ask::UnknownCallers));
    }
    checks
}

fn before(provider: bool, timing: &Timing) -> Vec<Check> {
    let mut checks = drained(provider, timing);
    checks.push(check("scope", Ask::Equal { allow: Vec::new() }));
    checks.push(check("one_key", Ask::Invariant(Must::SingleNew)));
    checks.push(check("new_accepted", Ask::Accept { key: Which::New }));
    checks.push(check("admin_differs", Ask::Invariant(Must::AdminDiffers)));
    checks
}

fn soaked(timing: &Timing) -> Vec<Check> {
    vec![
        check("old_refused", Ask::Reject { key: Which::Old }),
        check("new_accepted", Ask::Accept { key: Which::New }),
        skippable("soak", Ask::Soak { key: Which::Old, at_least: timing.soak }),
    ]
}

fn before_delete(provider: bool, caps: &GatewayCaps, timing: &Timing) -> Vec<Check> {
    let mut checks = match caps.disable {
        // Nothing was switched off before: what is judged before a disable is judged before the deletion.
        Disable::None => before(provider, timing),
        Disable::Reversible | Disable::ByExpiry | Disable::Irreversible => {
            let mut checks = soaked(timing);
            checks.push(check("scope", Ask::Equal { allow: Vec::new() }));
            checks
        }
    };
    if provider && !checks.iter().any(|c| c.id == "no_reference") {
        checks.push(check("no_reference", Ask::Invariant(Must::NoReference(Which::Old))));
    }
    checks
}

fn undo(provider: bool, timing: &Timing) -> Vec<Gate> {
    let mut back = vec![check("drain", Ask::Zero { key: Which::New })];
    if provider {
        back.push(check("projected", Ask::Invariant(Must::Projected(Which::Old))));
        back.push(check("no_reference", Ask::Invariant(Must::NoReference(Which::New))));
    } else {
        back.push(check("slots_hold_old", Ask::Invariant(Must::SlotsHold(Which::Old))));
    }
    let mut undone = vec![check("none_left", Ask::Invariant(Must::NoneNew)), check("old_accepted", Ask::Accept { key: Which::Old })];
    if !provider {
        // A new key that others deleted leaves no drain to judge, and a slot may still hold it.
        undone.push(check("slots_hold_old", Ask::Invariant(Must::SlotsHold(Which::Old))));
    }
    vec![
        gate(Place::OldAccepted, vec![check("old_accepted", Ask::Accept { key: Which::Old })]),
        gate(Place::Returned, vec![check("returned", Ask::Coverage { key: Which::Old })]),
        gate(Place::NewDrained, back),
        gate(
            Place::NewSoaked,
            vec![
                check("new_refused", Ask::Reject { key: Which::New }),
                check("old_accepted", Ask::Accept { key: Which::Old }),
                check("soak", Ask::Soak { key: Which::New, at_least: timing.undo_window }),
            ],
        ),
        gate(Place::Undone, undone),
    ]
}

fn gate(point: Place, checks: Vec<Check>) -> Gate {
    Gate { point, checks }
}

fn check(id: &str, ask: Ask) -> Check {
    Check { id: id.into(), ask, skippable: false }
}

fn skippable(id: &str, ask: Ask) -> Check {
    Check { id: id.into(), ask, skippable: true }
}
