//! The pack of a provider key, which differs in three things.
//!
//! - Nobody here knows the outgoing value, unless the policy leads to it: the gateway never tells it. So nothing may ask whether it is
//!   accepted; the listing says whether it is switched on, and that nothing uses it any more is shown by references and rows.
//! - Our own calls go to the provider and leave no row at the gateway. That a key works *there* is shown by consumers who are served
//!   with it; they are the sign of life of the log, too.
//! - A key that the gateway has let go of may still be alive at the provider. Where its value is known, the end is the provider's own
//!   refusal; else the end is called `dereferenced-upstream-alive`.

use super::{accept, check, gate, must, observed, scope, skippable};
use crate::rotation::{Ask, Check, Disable, Gate, GatewayCaps, Mint, Must, Place, Timing, UsageKind, UsagePlan, Which};

pub(super) fn gates(caps: &GatewayCaps, usage: &UsagePlan, timing: &Timing, known: bool) -> Vec<Gate> {
    let rows = usage.kind == UsageKind::Rows || (usage.kind == UsageKind::Counters && usage.names_caller);
    let pack = Pack { rows, once: caps.mint == Mint::Issued, known, timing };
    let mut gates = vec![
        gate(Place::Bound, pack.and_old(vec![must("admin_differs", Must::AdminDiffers), must("old_listed", Must::Listed(Which::Old))])),
        gate(Place::Prepared, pack.prepared()),
        gate(Place::Canary, vec![accept("new_accepted", Which::New)]),
        gate(Place::Flipped, pack.flipped()),
        gate(Place::Drained, pack.drained()),
        gate(Place::BeforeDisable, pack.before()),
        gate(Place::Soaked, pack.soaked()),
        gate(Place::BeforeDelete, pack.before_delete(caps.disable)),
        gate(Place::Gone, pack.gone()),
        gate(Place::Complete, pack.complete()),
    ];
    gates.extend(pack.undo());
    gates
}

/// What the pack depends on.
struct Pack<'a> {
    /// The usage source shows who was served with which key.
    rows: bool,
    /// The issuer is asked once: after a crash the new value cannot be read again.
    once: bool,
    /// The outgoing value is known.
    known: bool,
    timing: &'a Timing,
}

impl Pack<'_> {
    /// The provider accepts the old value, where that can be asked.
    fn and_old(&self, mut checks: Vec<Check>) -> Vec<Check> {
        if self.known {
            checks.push(accept("old_accepted", Which::Old));
        }
        checks
    }

    /// The gateway can use this key: shown by those it serves, else by the provider.
    fn works(&self, key: Which) -> Check {
        let name = |what: &str| format!("{}_{what}", key.name());
        if self.rows { must(&name("serves"), Must::Serves(key)) } else { accept(&name("accepted"), key) }
    }

    fn prepared(&self) -> Vec<Check> {
        self.and_old(vec![
            scope(),
            must("one_key", Must::SingleNew),
            must("admin_differs", Must::AdminDiffers),
            accept("new_accepted", Which::New),
            must("old_listed", Must::Listed(Which::Old)),
        ])
    }

    fn flipped(&self) -> Vec<Check> {
        let mut checks = vec![must("projected", Must::Projected(Which::New)), must("new_listed", Must::Listed(Which::New))];
        if self.rows {
            checks.push(must("none_refused", Must::NoneRefused(Which::New)));
        }
        checks
    }

    fn drained(&self) -> Vec<Check> {
        let mut checks = observed(self.timing);
        checks.push(self.works(Which::New));
        checks.extend(moved(Which::New));
        checks
    }

    fn before(&self) -> Vec<Check> {
        let mut checks = self.drained();
        checks.extend([scope(), must("one_key", Must::SingleNew), must("new_listed", Must::Listed(Which::New))]);
        checks.push(must("admin_differs", Must::AdminDiffers));
        checks
    }

    fn soaked(&self) -> Vec<Check> {
        let mut checks = vec![self.works(Which::New)];
        checks.extend(moved(Which::New));
        checks.push(must("none_refused", Must::NoneRefused(Which::New)));
        checks.push(skippable("soak", Ask::Soak { key: Which::Old, at_least: self.timing.soak }));
        checks
    }

    fn before_delete(&self, disable: Disable) -> Vec<Check> {
        match disable {
            Disable::None => self.before(),
            Disable::Reversible | Disable::ByExpiry | Disable::Irreversible => {
                let mut checks = self.soaked();
                checks.extend([scope(), must("new_listed", Must::Listed(Which::New))]);
                checks
            }
        }
    }

    fn gone(&self) -> Vec<Check> {
        let mut checks = vec![must("old_absent", Must::Absent(Which::Old)), self.works(Which::New)];
        if self.known {
            // The gateway has let go of it; that it is dead, only the provider can say.
            checks.push(check("old_refused", Ask::Reject { key: Which::Old }));
        }
        checks
    }

    fn complete(&self) -> Vec<Check> {
        let mut checks = vec![must("evidence", Must::EvidenceComplete), must("one_key", Must::SingleNew)];
        if self.once {
            checks.push(must("searchable", Must::Searchable));
        }
        checks
    }

    fn undo(&self) -> Vec<Gate> {
        let mut back = vec![check("drain", Ask::Zero { key: Which::New })];
        back.extend(moved(Which::Old));
        let mut soaked = vec![must("old_listed", Must::Listed(Which::Old))];
        soaked.extend(moved(Which::Old));
        soaked.push(check("soak", Ask::Soak { key: Which::New, at_least: self.timing.undo_window }));
        let undone = vec![must("none_left", Must::NoneNew), must("old_listed", Must::Listed(Which::Old))];
        vec![
            gate(Place::OldAccepted, self.and_old(vec![must("old_listed", Must::Listed(Which::Old))])),
            gate(Place::NewDrained, back),
            gate(Place::NewSoaked, soaked),
            gate(Place::Undone, self.and_old(undone)),
        ]
    }
}

/// Every model is on this key, everywhere, and none is left on the other.
fn moved(to: Which) -> [Check; 2] {
    let from = match to {
        Which::New => Which::Old,
        Which::Old => Which::New,
    };
    [must("projected", Must::Projected(to)), must("no_reference", Must::NoReference(from))]
}
