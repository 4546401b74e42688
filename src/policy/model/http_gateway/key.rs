//! Where in a listed key things are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneOrMore;
use crate::policy::scalar::Pointer;

/// Where in a listed key things are. Everything that is not named here is taken for a permission: the new key must have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Its id.
    pub id: IdAt,
    /// Its display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NameAt>,
    /// The text in which keyroll leaves its marker, such as a note, a tag, or a part of the name: a lost key is found by it.
    pub marker: MarkerAt,
    /// What says that the key is accepted; without it every listed key is, until its expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<EnabledAt>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Pointer>,
    /// When it ends by itself; nothing, zero, and negative numbers mean never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Pointer>,
    /// When it was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Pointer>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Pointer>,
    /// The key itself, where the listing shows it in clear. It is never kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Pointer>,
    /// What changes by itself or belongs to one key alone, such as a use counter: not compared. `*` stands for any part of a path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volatile: Vec<Pointer>,
    /// How times are written into requests; RFC 3339 when absent. Read is any of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_format: Option<TimeFormat>,
}

/// Where the id is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IdAt {
    /// At this place.
    Field(Pointer),
    /// It is made of the key.
    Sha256Of(Sha256Of),
}

/// An id that is the hash of the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sha256Of {
    /// Where the key is, in clear.
    pub sha256_of: Pointer,
}

/// Where the name is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NameAt {
    /// At this place.
    Field(Pointer),
    /// It is the first part of a text.
    Part(NamePart),
}

impl NameAt {
    /// The place.
    pub fn at(&self) -> &Pointer {
        match self {
            NameAt::Field(at) => at,
            NameAt::Part(part) => &part.at,
        }
    }
}

/// A name that shares its text with the marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamePart {
    /// Which place.
    pub at: Pointer,
    /// The name ends where this stands.
    pub before: String,
}

/// Where the marker is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkerAt {
    /// Which place.
    pub at: Pointer,
    /// How many bytes the place holds; a marker needs about 30. 64 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// The marker is what follows this, where it shares its text with the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What is written in place of the `:` of a marker, where the gateway does not take it: one of `-`, `_` and `.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub colon: Option<String>,
}

/// What says that a key is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnabledAt {
    /// Which place.
    pub at: Pointer,
    /// Accepted when it is this, or one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<OneOrMore>,
    /// Accepted unless it is this, or one of these; also when nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<OneOrMore>,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-12-24T18:00:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970, as a number.
    Seconds,
    /// Milliseconds since 1970, as a number.
    Milliseconds,
    /// `2026-12-24`.
    Date,
}
