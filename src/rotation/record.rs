//! The lines of a journal. What a run knows, it knows from these and from nothing else.

use super::{
    App, Child, Drift, Effect, EffectKind, End, GatewayCaps, Judged, Outcome, Phase, Plan, Point, Reading, RequestId, RunId, SlotNo, Span,
    Stamp, Time, Which,
};
use serde::{Deserialize, Serialize};

/// One thing that happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The first line: the whole plan.
    Planned {
        /// The run.
        run: RunId,
        /// The plan it obeys from here on.
        plan: Box<Plan>,
        /// Its digest.
        plan_id: super::PlanId,
    },
    /// A process took the lease.
    Opened {
        /// Who.
        holder: Holder,
        /// Clocks then.
        stamp: Stamp,
        /// The lease was taken from somebody who did not give it back, on another machine.
        taken_over: bool,
        /// How gates are judged by this binary.
        gate_semantics: u32,
    },
    /// The world was compared with what the journal expects.
    Looked {
        /// What differs and matters.
        drift: Vec<Drift>,
        /// Guards that moved without touching our field.
        guards: Vec<(SlotNo, String)>,
        /// Capabilities now, where they are weaker than planned.
        weaker: Option<Box<GatewayCaps>>,
    },
    /// An intent. Synced before anything leaves this process.
    Began {
        /// Running number of the effect.
        n: u32,
        /// What is about to happen.
        effect: Effect,
        /// Clocks then.
        stamp: Stamp,
        /// Not sent any more after this.
        send_before: Time,
    },
    /// The effect started a child process.
    Spawned {
        /// Of which effect.
        n: u32,
        /// The child.
        child: Child,
    },
    /// An outcome.
    Ended {
        /// Of which effect.
        n: u32,
        /// Its kind, for readers of single lines.
        kind: EffectKind,
        /// What came of it.
        outcome: Outcome,
        /// How it is known.
        by: By,
        /// Clocks then.
        stamp: Stamp,
    },
    /// Calls of ours that are about to be made, by exact id.
    Calls {
        /// Their ids and the key each uses.
        ids: Vec<(RequestId, Which)>,
    },
    /// A gate was judged.
    Judged {
        /// Where.
        point: Point,
        /// What was read.
        reading: Box<Reading>,
        /// What each check said.
        checks: Vec<Judged>,
    },
    /// The run entered a phase.
    Moved {
        /// Which.
        to: Phase,
    },
    /// The run turns back.
    Turned {
        /// Why.
        why: String,
        /// A person's name, if one asked.
        by: Option<String>,
    },
    /// The old key will be enabled again; consumers stay on the new one.
    Reopened {
        /// Why.
        why: String,
        /// Refused callers that caused it.
        callers: Vec<App>,
        /// Somebody nobody listed is among them.
        unknown: bool,
    },
    /// A person's agreement was asked for. It signs this very state.
    Asked {
        /// For which phase.
        phase: Phase,
        /// Which attempt at it.
        attempt: u32,
        /// Whose.
        role: String,
        /// Hash of the line before this one.
        head: String,
    },
    /// A person answered.
    Answered {
        /// The phase that was asked about.
        phase: Phase,
        /// The attempt.
        attempt: u32,
        /// The head in the question that is answered.
        head: String,
        /// Who.
        by: String,
        /// Yes.
        yes: bool,
        /// Why not, or a remark.
        why: String,
        /// How the name is known.
        proof: Proof,
    },
    /// A check is waived, by name and with an end.
    Waived {
        /// At which point.
        point: Point,
        /// Which check.
        check: String,
        /// Who.
        by: String,
        /// Why.
        why: String,
        /// Until when.
        until: Time,
    },
    /// A consumer may stay on the old key.
    Excepted {
        /// Which.
        exception: super::Exception,
        /// Who says so.
        by: String,
    },
    /// A person accepts that the world differs from what was left.
    Amended {
        /// Which differences.
        accepts: Vec<Drift>,
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// Emergency mode from here on.
    Emergency {
        /// Who.
        by: String,
        /// Why.
        why: String,
        /// Consumers seen on the old key lately: they will be refused.
        breaks: Vec<App>,
    },
    /// The run waits without a process.
    Parked {
        /// What for.
        why: String,
        /// When to look again.
        wake_at: Option<Time>,
        /// A person must do something.
        person: bool,
    },
    /// The run cannot go on or back by itself.
    Stuck {
        /// Why.
        why: String,
        /// What to do, in order.
        steps: Vec<String>,
    },
    /// Something worth keeping that changes nothing.
    Noted {
        /// What.
        what: String,
    },
    /// A claim or a lease was removed by a person.
    Unlocked {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// Reserved: a signed head.
    Checkpoint {
        /// The head.
        head: String,
        /// Signature over it.
        signature: String,
    },
    /// The end.
    Finished {
        /// Which.
        end: End,
        /// How long it took, by the boot clock where one session did it all, else by wall time.
        took: Span,
    },
}

/// A process that executes a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Holder {
    /// Machine.
    pub host: String,
    /// Process.
    pub pid: u32,
    /// Operating system's user.
    pub user: String,
}

/// How an outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The system answered.
    Answer,
    /// A look afterwards.
    Look,
    /// A person did it and a look confirmed it.
    Person,
}

/// How a person's name is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The operating system says so, nothing more.
    Asserted,
    /// A signature by a principal of the allowed signers.
    Signed {
        /// The signature, armoured.
        signature: String,
        /// The principal.
        principal: String,
    },
}
