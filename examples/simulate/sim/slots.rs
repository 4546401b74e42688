//! The fake secret store: one document a slot, of which one field is ours.

use super::gateway::Hand;
use keyroll::rotation::{LateWrite, StoreCaps, Swap};

/// One slot.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) caps: StoreCaps,
    pub(crate) version: u64,
    pub(crate) current: usize,
    /// Who wrote the current value.
    pub(crate) current_by: Hand,
    pub(crate) previous: Option<usize>,
    pub(crate) pending: Option<(String, usize)>,
    /// Another field of the document, and what people made it.
    pub(crate) other: u32,
    pub(crate) other_meant: u32,
    /// The other field as it was when our value was staged.
    pub(crate) other_staged: u32,
}

impl Slot {
    /// A slot of a store that compares and sets, or of one where the last write wins.
    pub(crate) fn new(current: usize, guarded: bool) -> Self {
        let (swap, late_write) =
            if guarded { (Swap::CompareAndSet, LateWrite::Fenceable) } else { (Swap::LastWriteWins, LateWrite::WaitOut) };
        Self {
            caps: StoreCaps { swap, read_back: true, late_write, shared_document: guarded },
            version: 1,
            current,
            current_by: Hand::Before,
            previous: None,
            pending: None,
            other: 0,
            other_meant: 0,
            other_staged: 0,
        }
    }

    pub(crate) fn guarded(&self) -> bool {
        self.caps.swap == Swap::CompareAndSet
    }

    pub(crate) fn guard(&self) -> String {
        format!("g{}", self.version)
    }

    /// The guard still fits, or this store has none.
    pub(crate) fn fits(&self, guard: &str) -> bool {
        !self.guarded() || guard.strip_prefix('g').and_then(|v| v.parse().ok()) == Some(self.version)
    }

    /// Makes a value the current one.
    pub(crate) fn put(&mut self, value: usize, by: Hand) {
        if self.current != value {
            self.previous = Some(self.current);
        }
        self.current = value;
        self.current_by = by;
        self.version += 1;
    }
}
