//! People: asked, and told.

use super::Result;
use crate::rotation::{Phase, PlanId, Proof, RunId};

/// A question to a person, bound to one state of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The run.
    pub run: RunId,
    /// Its plan.
    pub plan: PlanId,
    /// What is agreed to.
    pub phase: Phase,
    /// Which attempt at it.
    pub attempt: u32,
    /// Journal head when asked.
    pub head: String,
    /// Whose agreement.
    pub role: String,
    /// This person's agreement does not count.
    pub not: Option<String>,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub by: String,
    /// Yes.
    pub yes: bool,
    /// Why not, or a remark.
    pub why: String,
    /// How the name is known.
    pub proof: Proof,
}

/// Where agreement comes from.
pub trait Approver {
    /// The answer to exactly this question, if there is one yet.
    async fn ask(&self, question: &Question) -> Result<Option<Answer>>;
}

/// Something people may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The run.
    pub run: RunId,
    /// The credential.
    pub credential: String,
    /// A stable word: `moved`, `turned`, `reopened`, `asked`, `emergency`, `parked`, `stuck`, `finished`.
    pub event: &'static str,
    /// One sentence.
    pub text: String,
}

/// Where people are told. A failure is a record, never a blocker.
pub trait Notifier {
    /// Tells them.
    async fn tell(&self, notice: &Notice) -> Result<()>;
}
