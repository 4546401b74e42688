//! The state machine of a rotation: pure, synchronous, no clock, no input or output.
//!
//! A [`Run`] is a fold over [`Record`]s ([`Run::apply`] is the only way in), and [`next()`] says what to do from what the run knows:
//! an effect, a gate to judge, a look, a question, or a wait. The data types that a plan, a capability, and a verdict consist of live
//! here too, because everything else speaks in them.
//!
//! | file | idea |
//! |---|---|
//! | `phase` | phases, directions, ends |
//! | `effect` | what is done to the outside, and what came of it |
//! | `record` | the lines of a journal |
//! | `run`, `apply` | the state, and how records change it |
//! | `session` | a new session, and clocks that jump |
//! | `next/` | the way forward and the way back |
//! | `drift` | expected against seen |
//! | `amend` | a person accepts what differs |
//! | `carry` | models of a provider key that appear, or are moved by others, meanwhile |
//! | `plan`, `capability`, `verdict` | data that the rest is written in |
//! | `ids`, `time` | names and instants |

mod amend;
mod apply;
mod capability;
mod carry;
mod drift;
mod effect;
mod ids;
mod inventory;
mod next;
mod phase;
mod plan;
mod record;
mod run;
mod session;
#[cfg(test)]
mod tests;
mod time;
mod verdict;
mod windows;

pub use capability::*;
pub use drift::{Drift, Seen, differing, drift};
pub use effect::*;
pub use ids::*;
pub use inventory::{Inventory, SlotSeen};
pub use next::{Step, Wait, next};
pub use phase::*;
pub use plan::*;
pub use record::*;
pub use run::*;
pub use session::CLOCK_TOLERANCE;
pub use time::{Span, Stamp, Time};
pub use verdict::*;
pub use windows::{open, opens_at};
