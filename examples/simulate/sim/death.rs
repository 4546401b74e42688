//! Deaths: a boundary is counted before and after each journal line and each call that changes something.

use keyroll::rotation::{EffectKind, Record};

/// Where, relative to an effect, a process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Crash {
    BeforeIntent,
    AfterIntent,
    BeforeCall,
    AfterCall,
    BeforeOutcome,
    AfterOutcome,
    /// At a line that is neither intent nor outcome.
    Between,
}

impl Crash {
    /// Those that every effect has.
    pub(crate) const OF_EFFECTS: [Self; 6] =
        [Self::BeforeIntent, Self::AfterIntent, Self::BeforeCall, Self::AfterCall, Self::BeforeOutcome, Self::AfterOutcome];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforeIntent => "before intent",
            Self::AfterIntent => "after intent",
            Self::BeforeCall => "before call",
            Self::AfterCall => "answer lost",
            Self::BeforeOutcome => "before outcome",
            Self::AfterOutcome => "after outcome",
            Self::Between => "between",
        }
    }
}

/// When the processes of one run die.
#[derive(Debug, Clone, Default)]
pub(crate) struct Death {
    /// For each session the boundary it dies at; none lives.
    pub(crate) planned: Vec<u32>,
    /// A session that dies in a line leaves a part of it.
    pub(crate) torn: bool,
    /// Sessions begun so far, those of rivals left out.
    pub(crate) session: usize,
    /// Boundaries passed in this session.
    pub(crate) count: u32,
    /// This session is over; nothing it does reaches the outside.
    pub(crate) dead: bool,
    /// Where processes died.
    pub(crate) happened: Vec<(Option<EffectKind>, Crash)>,
    /// The session stops here for long, and another takes over.
    pub(crate) pause: Option<u32>,
}

impl Death {
    /// Begins a session.
    pub(crate) fn reborn(&mut self) {
        self.session += 1;
        self.count = 0;
        self.dead = false;
    }

    /// Passes a boundary; true when this is the end.
    pub(crate) fn strikes(&mut self, effect: Option<EffectKind>, crash: Crash) -> bool {
        if self.dead {
            return true;
        }
        let here = self.count;
        self.count += 1;
        let fated = self.session.checked_sub(1).and_then(|s| self.planned.get(s)) == Some(&here);
        if fated {
            self.dead = true;
            self.happened.push((effect, crash));
        }
        fated
    }
}

/// The boundary names around a journal line.
pub(crate) fn around(record: &Record, open: Option<EffectKind>) -> (Option<EffectKind>, Crash, Crash) {
    match record {
        Record::Began { effect, .. } => (Some(effect.kind()), Crash::BeforeIntent, Crash::AfterIntent),
        Record::Ended { .. } => (open, Crash::BeforeOutcome, Crash::AfterOutcome),
        Record::Planned { .. }
        | Record::Opened { .. }
        | Record::Looked { .. }
        | Record::Spawned { .. }
        | Record::Calls { .. }
        | Record::Judged { .. }
        | Record::Moved { .. }
        | Record::Turned { .. }
        | Record::Reopened { .. }
        | Record::Asked { .. }
        | Record::Answered { .. }
        | Record::Waived { .. }
        | Record::Excepted { .. }
        | Record::Amended { .. }
        | Record::Emergency { .. }
        | Record::Parked { .. }
        | Record::Stuck { .. }
        | Record::Noted { .. }
        | Record::Unlocked { .. }
        | Record::Checkpoint { .. }
        | Record::Finished { .. } => (open, Crash::Between, Crash::Between),
    }
}
