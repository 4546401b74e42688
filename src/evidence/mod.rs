//! Journal → redacted bundle → checked bundle, and what people read.
//!
//! A bundle is a folder of plain files that explains one run to somebody who was not there, holds no secret, and can be checked with
//! tools that everybody has. All of it but `redaction.json` is a function of the journal it covers and of the version that wrote it,
//! so a checker makes it again and compares.
//!
//! | file | idea |
//! |---|---|
//! | `lines` | the journal's lines and their chain: the one place that knows the format |
//! | `timeline`, `words` | the journal sorted, and the names that files and report share |
//! | `files` | journal → payload |
//! | `phases`, `gates`, `negative`, `people`, `versions`, `gaps` | one file, or one kind of file, of a bundle each |
//! | `report`, `story`, `text` | the page for people, its careful sentences, foreign text as text |
//! | `summary` | a run in a few fields, for `status` |
//! | `scan` | the search for secrets, with a planted fake |
//! | `payload`, `write` | manifest and tag file; payload → folder |
//! | `tree`, `verify`, `invalid` | folder → verdict, for hostile folders too |
//! | `seal` | all of it as the engine's [`Seal`](crate::ports::Seal) |

mod files;
#[cfg(test)]
mod fixture;
mod gaps;
mod gates;
mod invalid;
mod lines;
mod negative;
mod payload;
mod people;
mod phases;
mod report;
mod scan;
mod seal;
mod story;
mod summary;
mod text;
mod timeline;
mod tree;
mod verify;
mod versions;
mod words;
mod write;

pub use files::{CollectError, collect, collect_journal};
pub use invalid::Invalid;
pub use lines::{BadLine, Entry, Lines, read};
pub use negative::EndState;
pub use payload::{BAG_INFO, MANIFEST, Payload, REDACTION, TOOL_VERSION};
pub use report::report;
pub use scan::{Needle, NotSearched, Planted, Redaction, scan};
pub use seal::{FileSeal, NEW, OLD};
pub use summary::{BundleLine, CheckNow, GateNow, KeyLine, SlotLine, Stuck, Summary, Waiting, summary};
pub use verify::{Expect, Verified, verify};
pub use write::{Sealer, unsigned, write};
