//! The checks that every rotation is judged by: `gates: auto`. Fixed before any data come.

mod provider;

use crate::rotation::{Ask, Check, Disable, Gate, GatewayCaps, Kind, Must, Place, Span, Timing, UsageKind, UsagePlan, Which};

/// The whole pack, for what this gateway and this usage source can show. The outgoing value of a provider key is taken as unknown.
pub fn standard_gates(kind: &Kind, caps: &GatewayCaps, usage: &UsagePlan, timing: &Timing) -> Vec<Gate> {
    pack(kind, caps, usage, timing, false)
}

/// The same; with `known` the policy leads to the outgoing value of a provider key.
pub(super) fn pack(kind: &Kind, caps: &GatewayCaps, usage: &UsagePlan, timing: &Timing, known: bool) -> Vec<Gate> {
    let mut gates = match kind {
        Kind::Router => router(caps, usage, timing),
        Kind::Provider { .. } => provider::gates(caps, usage, timing, known),
    };
    if !usage.sees_refused {
        // What leaves no row cannot be counted; the plan names the gap instead of asking for ever.
        for gate in &mut gates {
            gate.checks.retain(|c| !matches!(c.ask, Ask::Invariant(Must::NoneRefused(_)) | Ask::Soak { .. }));
        }
    }
    gates
}

fn router(caps: &GatewayCaps, usage: &UsagePlan, timing: &Timing) -> Vec<Gate> {
    let rows = usage.kind == UsageKind::Rows;
    let mut gates = vec![
        gate(
            Place::Bound,
            vec![
                must("slots_hold_old", Must::SlotsHoldOld),
                must("admin_differs", Must::AdminDiffers),
                accept("old_accepted", Which::Old),
                must("way_back", Must::WayBack),
            ],
        ),
        gate(
            Place::Prepared,
            vec![
                scope(),
                must("one_key", Must::SingleNew),
                must("admin_differs", Must::AdminDiffers),
                must("staged", Must::PendingIsNew),
                accept("new_accepted", Which::New),
                // Catches a gateway whose new key ends the old one.
                accept("old_accepted", Which::Old),
            ],
        ),
        gate(Place::Canary, canary(rows)),
        gate(Place::Reloaded, vec![check("acknowledged", Ask::Coverage { key: Which::New })]),
        gate(Place::Flipped, flipped(rows)),
        gate(Place::Drained, drained(timing)),
        gate(Place::BeforeDisable, before(timing)),
        gate(Place::Soaked, soaked(timing)),
        gate(Place::BeforeDelete, before_delete(caps, timing)),
        gate(
            Place::Gone,
            vec![
                check("old_refused", Ask::Reject { key: Which::Old }),
                accept("new_accepted", Which::New),
                must("old_absent", Must::Absent(Which::Old)),
            ],
        ),
        gate(Place::Complete, vec![must("evidence", Must::EvidenceComplete), must("one_key", Must::SingleNew)]),
    ];
    gates.extend(undo(timing));
    gates
}

fn canary(rows: bool) -> Vec<Check> {
    let mut checks = vec![accept("new_accepted", Which::New)];
    if rows {
        checks.push(check("attributed", Ask::Attributed));
    }
    checks
}

fn flipped(rows: bool) -> Vec<Check> {
    let mut checks = vec![accept("new_accepted", Which::New), must("slots_hold_new", Must::SlotsHold(Which::New))];
    if rows {
        checks.push(must("none_refused", Must::NoneRefused(Which::New)));
    }
    checks
}

fn drained(timing: &Timing) -> Vec<Check> {
    let mut checks = observed(timing);
    checks.push(skippable("coverage", Ask::Coverage { key: Which::New }));
    checks.push(skippable("unknown_callers", Ask::UnknownCallers));
    checks
}

/// What hold watches for either kind of key.
fn observed(timing: &Timing) -> Vec<Check> {
    let mut checks = vec![skippable("drain", Ask::Zero { key: Which::Old }), must("none_refused", Must::NoneRefused(Which::New))];
    if timing.observation > Span::ZERO {
        checks.insert(0, skippable("observation", Ask::Elapsed { at_least: timing.observation }));
    }
    checks
}

fn before(timing: &Timing) -> Vec<Check> {
    let mut checks = drained(timing);
    checks.push(scope());
    checks.push(must("one_key", Must::SingleNew));
    checks.push(accept("new_accepted", Which::New));
    checks.push(must("admin_differs", Must::AdminDiffers));
    checks
}

fn soaked(timing: &Timing) -> Vec<Check> {
    vec![
        check("old_refused", Ask::Reject { key: Which::Old }),
        accept("new_accepted", Which::New),
        skippable("soak", Ask::Soak { key: Which::Old, at_least: timing.soak }),
    ]
}

fn before_delete(caps: &GatewayCaps, timing: &Timing) -> Vec<Check> {
    match caps.disable {
        // Nothing was switched off before: what is judged before a disable is judged before the deletion.
        Disable::None => before(timing),
        Disable::Reversible | Disable::ByExpiry | Disable::Irreversible => {
            let mut checks = soaked(timing);
            checks.push(scope());
            checks
        }
    }
}

fn undo(timing: &Timing) -> Vec<Gate> {
    let back = vec![check("drain", Ask::Zero { key: Which::New }), must("slots_hold_old", Must::SlotsHold(Which::Old))];
    // A new key that others deleted leaves no drain to judge, and a slot may still hold it.
    let undone =
        vec![must("none_left", Must::NoneNew), accept("old_accepted", Which::Old), must("slots_hold_old", Must::SlotsHold(Which::Old))];
    vec![
        gate(Place::OldAccepted, vec![accept("old_accepted", Which::Old)]),
        gate(Place::Returned, vec![check("returned", Ask::Coverage { key: Which::Old })]),
        gate(Place::NewDrained, back),
        gate(
            Place::NewSoaked,
            vec![
                check("new_refused", Ask::Reject { key: Which::New }),
                accept("old_accepted", Which::Old),
                check("soak", Ask::Soak { key: Which::New, at_least: timing.undo_window }),
            ],
        ),
        gate(Place::Undone, undone),
    ]
}

fn must(id: &str, must: Must) -> Check {
    check(id, Ask::Invariant(must))
}

fn accept(id: &str, key: Which) -> Check {
    check(id, Ask::Accept { key })
}

fn scope() -> Check {
    check("scope", Ask::Equal { allow: Vec::new() })
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
