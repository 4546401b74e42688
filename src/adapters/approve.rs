//! Agreement from wherever the wiring looks for it: the run's inbox, where `keyroll approve` leaves it.

use crate::ports::{Answer, Approver, PortError, Question, Result};

/// How an answer to one question is looked up.
pub type Lookup = Box<dyn Fn(&Question) -> std::result::Result<Option<Answer>, String>>;

/// An approver that looks up answers.
pub struct Answers {
    lookup: Lookup,
}

impl Answers {
    /// Looks answers up like this.
    pub fn new(lookup: Lookup) -> Self {
        Self { lookup }
    }

    /// Nobody answers.
    pub fn none() -> Self {
        Self { lookup: Box::new(|_| Ok(None)) }
    }
}

impl Approver for Answers {
    async fn ask(&self, question: &Question) -> Result<Option<Answer>> {
        (self.lookup)(question).map_err(|why| PortError::Unreachable { system: "the inbox".into(), why, may_have_happened: false })
    }
}
