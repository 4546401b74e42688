//! Why a rotation is done.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BadText, bad};
use crate::policy::code::Code;

/// Why a rotation is done. The published template writes free text; the words decide which of five kinds it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason {
    /// What follows from the reason.
    pub kind: ReasonKind,
    /// As the person wrote it.
    pub text: String,
}
text_type!(
    Reason,
    "reason",
    r"^([Ss]cheduled|[Ss]uspected[-_ ][Ll]eak|[Oo]ffboarding|[Vv]endor[-_ ][Cc]hange|[Ii]ncident)",
    "Begins with scheduled, suspected-leak, offboarding, vendor-change or incident; more words may follow."
);

/// The kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// The calendar says so.
    Scheduled,
    /// The key may be known to others.
    SuspectedLeak,
    /// A person who had access leaves.
    Offboarding,
    /// A vendor's or contractor's environment changes.
    VendorChange,
    /// Part of handling an incident.
    Incident,
}

impl ReasonKind {
    /// Whether somebody may hold the old key who should not: then nothing goes back to it without a person's word.
    pub fn distrusts_old_key(self) -> bool {
        match self {
            ReasonKind::SuspectedLeak | ReasonKind::Offboarding | ReasonKind::Incident => true,
            ReasonKind::Scheduled | ReasonKind::VendorChange => false,
        }
    }
}

impl Reason {
    /// Reads a reason.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        let plain = text.trim().to_ascii_lowercase().replace([' ', '_'], "-");
        let kinds = [
            ("scheduled", ReasonKind::Scheduled),
            ("suspected-leak", ReasonKind::SuspectedLeak),
            ("offboarding", ReasonKind::Offboarding),
            ("vendor-change", ReasonKind::VendorChange),
            ("incident", ReasonKind::Incident),
        ];
        match kinds.iter().find(|(word, _)| plain.starts_with(word)) {
            Some((_, kind)) => Ok(Self { kind: *kind, text: text.to_owned() }),
            None => bad(
                Code::BadReason,
                "this reason is none of those that decide how a rotation runs",
                "begin with `scheduled`, `suspected-leak`, `offboarding`, `vendor-change` or `incident`; more words may follow",
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
