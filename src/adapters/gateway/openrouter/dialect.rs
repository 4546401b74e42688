//! What differs between the members of the family: paths, names of fields, and what can be done at all.

use crate::rotation::Disable;

/// Which API is spoken. It is configured, confirmed by what a listing looks like, and never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenRouter; its address ends with `/api/v1`.
    OpenRouter,
    /// ARouter as its SDKs and reference pages describe it.
    ARouter,
    /// ARouter as its rotation guide describes it: no switch, no paging, other names.
    ARouterLegacy,
}

impl Dialect {
    /// How messages name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OpenRouter => "OpenRouter",
            Self::ARouter => "ARouter",
            Self::ARouterLegacy => "ARouter (legacy API)",
        }
    }

    /// The word that plans freeze.
    pub(super) fn tenant(self) -> &'static str {
        match self {
            Self::OpenRouter => "openrouter",
            Self::ARouter => "arouter",
            Self::ARouterLegacy => "arouter-legacy",
        }
    }

    /// Where keys are managed.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::OpenRouter => &["keys"],
            Self::ARouter => &["api", "v1", "keys"],
            Self::ARouterLegacy => &["v1", "keys"],
        }
    }

    /// Where a key asks about itself: the sources name different places.
    pub(super) fn own(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::OpenRouter => &[&["key"]],
            Self::ARouter => &[&["api", "v1", "key"], &["v1", "key"]],
            Self::ARouterLegacy => &[&["v1", "key"]],
        }
    }

    /// Where one finished call can be looked up.
    pub(super) fn generation(self) -> &'static [&'static str] {
        match self {
            Self::OpenRouter => &["generation"],
            Self::ARouter | Self::ARouterLegacy => &["api", "v1", "generation"],
        }
    }

    /// What stands before the path of a call.
    pub(super) fn data(self) -> &'static [&'static str] {
        match self {
            Self::OpenRouter => &[],
            Self::ARouter | Self::ARouterLegacy => &["v1"],
        }
    }

    /// The field that holds a key's id, and the one that must not be there.
    pub(super) fn id(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenRouter | Self::ARouter => ("hash", "spending_limit"),
            Self::ARouterLegacy => ("id", "hash"),
        }
    }

    /// What a new key is given as it stands on the old one. Other restrictions cannot be sent, and the comparison names them.
    pub(super) fn sent(self) -> &'static [&'static str] {
        match self {
            Self::OpenRouter => &["limit", "limit_reset", "include_byok_in_limit", "workspace_id"],
            Self::ARouter => &["limit", "limit_reset", "allowed_providers", "allowed_models"],
            Self::ARouterLegacy => &["spending_limit", "allowed_providers"],
        }
    }

    /// How a key is switched off.
    pub(super) fn disable(self) -> Disable {
        match self {
            Self::OpenRouter | Self::ARouter => Disable::Reversible,
            Self::ARouterLegacy => Disable::None,
        }
    }

    /// A key can be changed after it was made.
    pub(super) fn updates(self) -> bool {
        self != Self::ARouterLegacy
    }
}
