//! The stable codes of policy problems: numbers never change their meaning and are never reused.

use serde::{Serialize, Serializer};

use super::diagnostic::Severity;

/// One kind of problem a policy can have. See [`Code::text`] for its stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`Code::about` says what each one means")]
pub enum Code {
    Unreadable,
    TooLarge,
    NotUtf8,
    Empty,
    Syntax,
    TabIndent,
    TooDeep,
    TooMuch,
    DuplicateKey,
    SecondDocument,
    UnknownAnchor,
    UnsupportedYaml,
    KeyNotText,
    TooManyProblems,
    UnknownField,
    MissingField,
    WrongType,
    EmptyValue,
    UnknownWord,
    UnknownKind,
    OneKindOnly,
    OutOfRange,
    EmptyList,
    EmptyText,
    LiteralSecret,
    SecretNotReference,
    CredentialsInUrl,
    BadVariableName,
    AdminIsRotated,
    BadDuration,
    BadUrl,
    BadRate,
    BadTime,
    BadDate,
    BadZone,
    BadStatus,
    BadName,
    BadReason,
    BadState,
    BadPointer,
    VersionUnsupported,
    RevokeWithoutDrain,
    KeySelector,
    KeyAndProviderKey,
    AddressContradiction,
    DuplicateApp,
    UnknownApp,
    AppWithoutConsumer,
    DuplicateIdentity,
    SeveralCanaries,
    DuplicateGateId,
    GateCondition,
    WindowBelowFloor,
    DurationOutOfRange,
    DuplicateSlot,
    SlotFormat,
    WindowNeverOpen,
    IntervalTooShort,
    OverlayLoosens,
    UnknownEnvironment,
    OverlayMismatch,
    UseUnreadable,
    UseForbidden,
    RowsUnreadable,
    UnknownPlaceholder,
    GatewayDescription,
    NotInThisBuild,
    LaterBuild,
    InsecureUrl,
    OutsideScope,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: &'static [Code] = &[
        Code::Unreadable,
        Code::TooLarge,
        Code::NotUtf8,
        Code::Empty,
        Code::Syntax,
        Code::TabIndent,
        Code::TooDeep,
        Code::TooMuch,
        Code::DuplicateKey,
        Code::SecondDocument,
        Code::UnknownAnchor,
        Code::UnsupportedYaml,
        Code::KeyNotText,
        Code::TooManyProblems,
        Code::UnknownField,
        Code::MissingField,
        Code::WrongType,
        Code::EmptyValue,
        Code::UnknownWord,
        Code::UnknownKind,
        Code::OneKindOnly,
        Code::OutOfRange,
        Code::EmptyList,
        Code::EmptyText,
        Code::LiteralSecret,
        Code::SecretNotReference,
        Code::CredentialsInUrl,
        Code::BadVariableName,
        Code::AdminIsRotated,
        Code::BadDuration,
        Code::BadUrl,
        Code::BadRate,
        Code::BadTime,
        Code::BadDate,
        Code::BadZone,
        Code::BadStatus,
        Code::BadName,
        Code::BadReason,
        Code::BadState,
        Code::BadPointer,
        Code::VersionUnsupported,
        Code::RevokeWithoutDrain,
        Code::KeySelector,
        Code::KeyAndProviderKey,
        Code::AddressContradiction,
        Code::DuplicateApp,
        Code::UnknownApp,
        Code::AppWithoutConsumer,
        Code::DuplicateIdentity,
        Code::SeveralCanaries,
        Code::DuplicateGateId,
        Code::GateCondition,
        Code::WindowBelowFloor,
        Code::DurationOutOfRange,
        Code::DuplicateSlot,
        Code::SlotFormat,
        Code::WindowNeverOpen,
        Code::IntervalTooShort,
        Code::OverlayLoosens,
        Code::UnknownEnvironment,
        Code::OverlayMismatch,
        Code::UseUnreadable,
        Code::UseForbidden,
        Code::RowsUnreadable,
        Code::UnknownPlaceholder,
        Code::GatewayDescription,
        Code::NotInThisBuild,
        Code::LaterBuild,
        Code::InsecureUrl,
        Code::OutsideScope,
    ];

    /// The stable name, as printed and as written into SARIF.
    pub fn text(self) -> &'static str {
        self.row().0
    }

    /// A short name in words.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// One sentence about what the code means.
    pub fn about(self) -> &'static str {
        self.row().2
    }

    /// Whether a problem of this kind refuses the policy.
    pub fn severity(self) -> Severity {
        match self.text() {
            text if text >= "KR090" => Severity::Warning,
            _ => Severity::Error,
        }
    }

    // One row per code reads best as a table.
    #[rustfmt::skip]
    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Code::Unreadable => ("KR001", "unreadable", "The file cannot be opened or read."),
            Code::TooLarge => ("KR002", "too-large", "The file is larger than a policy can be."),
            Code::NotUtf8 => ("KR003", "not-utf8", "The file is not UTF-8 text."),
            Code::Empty => ("KR004", "empty", "The file holds no policy."),
            Code::Syntax => ("KR005", "yaml-syntax", "The text is not valid YAML at this place."),
            Code::TabIndent => ("KR006", "tab-indent", "YAML is indented with spaces, never with tabs."),
            Code::TooDeep => ("KR007", "too-deep", "Lists or maps are nested deeper than any policy needs."),
            Code::TooMuch => ("KR008", "too-much", "The document, with its aliases written out, is larger than a policy can be."),
            Code::DuplicateKey => ("KR009", "duplicate-key", "The same field is written twice in one map."),
            Code::SecondDocument => ("KR010", "second-document", "The file holds more than one YAML document."),
            Code::UnknownAnchor => ("KR011", "unknown-anchor", "An alias refers to an anchor that is not defined before it."),
            Code::UnsupportedYaml => ("KR012", "unsupported-yaml", "Tags, directives and merge keys are not part of the policy language."),
            Code::KeyNotText => ("KR013", "key-not-text", "Field names are plain text."),
            Code::TooManyProblems => ("KR014", "too-many-problems", "There are more problems than can be listed usefully."),
            Code::UnknownField => ("KR020", "unknown-field", "The field does not exist at this place."),
            Code::MissingField => ("KR021", "missing-field", "A field that is needed here is not written."),
            Code::WrongType => ("KR022", "wrong-type", "The value is of another kind than the field takes."),
            Code::EmptyValue => ("KR023", "empty-value", "The field is written without a value."),
            Code::UnknownWord => ("KR024", "unknown-word", "The word is not one of those the field takes."),
            Code::UnknownKind => ("KR025", "unknown-kind", "The kind named here does not exist."),
            Code::OneKindOnly => ("KR026", "one-kind-only", "Exactly one kind can be chosen here."),
            Code::OutOfRange => ("KR027", "out-of-range", "The number is outside the range of the field."),
            Code::EmptyList => ("KR028", "empty-list", "The list needs at least one entry."),
            Code::EmptyText => ("KR029", "empty-text", "The text is empty."),
            Code::LiteralSecret => ("KR030", "literal-secret", "Something that looks like a key is written in the policy."),
            Code::SecretNotReference => ("KR031", "secret-not-reference", "A secret is given as text instead of a reference to where it is kept."),
            Code::CredentialsInUrl => ("KR032", "credentials-in-url", "An address carries a user name or a password."),
            Code::BadVariableName => ("KR033", "bad-variable-name", "The name of an environment variable is not valid."),
            Code::AdminIsRotated => ("KR034", "admin-is-rotated", "The admin credential is read from the very place that is being rotated."),
            Code::BadDuration => ("KR040", "bad-duration", "The length of time cannot be read."),
            Code::BadUrl => ("KR041", "bad-url", "The address is not a usable http or https URL."),
            Code::BadRate => ("KR042", "bad-rate", "The rate cannot be read as a percentage."),
            Code::BadTime => ("KR043", "bad-time", "The time of day cannot be read."),
            Code::BadDate => ("KR044", "bad-date", "The date cannot be read."),
            Code::BadZone => ("KR045", "bad-zone", "The time zone is not known."),
            Code::BadStatus => ("KR046", "bad-status", "The status class cannot be read."),
            Code::BadName => ("KR047", "bad-name", "The name has characters that are not safe in file names and reports."),
            Code::BadReason => ("KR048", "bad-reason", "The reason of the rotation is none of the known ones."),
            Code::BadState => ("KR049", "bad-state", "The place for shared state is neither a folder nor a supported address."),
            Code::BadPointer => ("KR050", "bad-pointer", "The text is not a JSON Pointer."),
            Code::VersionUnsupported => ("KR060", "version-unsupported", "The policy is written for another version of the language."),
            Code::RevokeWithoutDrain => ("KR061", "revoke-without-drain", "The policy asks to revoke the old key while it may still be in use."),
            Code::KeySelector => ("KR062", "key-selector", "The key to rotate is named in no way or in several ways."),
            Code::KeyAndProviderKey => ("KR063", "key-and-provider-key", "A rotation is of a router key or of a provider key, not of both."),
            Code::AddressContradiction => ("KR064", "address-contradiction", "The addresses of the gateway contradict each other."),
            Code::DuplicateApp => ("KR065", "duplicate-app", "The same application is listed twice."),
            Code::UnknownApp => ("KR066", "unknown-app", "An application is named that is not a consumer of this policy."),
            Code::AppWithoutConsumer => ("KR067", "app-without-consumer", "An application in scope is missing from the consumers."),
            Code::DuplicateIdentity => ("KR068", "duplicate-identity", "Two consumers would be recognised by the same sign in the log."),
            Code::SeveralCanaries => ("KR069", "several-canaries", "More than one consumer is marked as canary."),
            Code::DuplicateGateId => ("KR070", "duplicate-gate-id", "Two checks have the same id."),
            Code::GateCondition => ("KR071", "gate-condition", "A check does not say what it checks, or says it in two ways."),
            Code::WindowBelowFloor => ("KR072", "window-below-floor", "The drain window is shorter than production allows."),
            Code::DurationOutOfRange => ("KR073", "duration-out-of-range", "The length of time is too short or too long for its purpose."),
            Code::DuplicateSlot => ("KR074", "duplicate-slot", "The same slot is listed twice."),
            Code::SlotFormat => ("KR075", "slot-format", "The format of a file slot does not fit its fields."),
            Code::WindowNeverOpen => ("KR076", "window-never-open", "A change window or blackout ends before it begins."),
            Code::IntervalTooShort => ("KR077", "interval-too-short", "The rotation interval is shorter than one rotation takes."),
            Code::OverlayLoosens => ("KR080", "overlay-loosens", "An environment overlay touches something other than addresses."),
            Code::UnknownEnvironment => ("KR081", "unknown-environment", "The policy has no overlay for the environment asked for."),
            Code::OverlayMismatch => ("KR082", "overlay-mismatch", "An overlay changes what is rotated instead of where."),
            Code::UseUnreadable => ("KR083", "use-unreadable", "The shared file named by `use` cannot be used."),
            Code::UseForbidden => ("KR084", "use-forbidden", "A shared file holds a block that belongs into the policy itself."),
            Code::RowsUnreadable => ("KR085", "rows-unreadable", "The rows of `for_each` cannot be read."),
            Code::UnknownPlaceholder => ("KR086", "unknown-placeholder", "A placeholder names nothing that can be put in: no column of `for_each`, no part of a notice."),
            Code::GatewayDescription => ("KR087", "gateway-description", "The description of a gateway contradicts itself, or lacks what a rotation needs."),
            Code::NotInThisBuild => ("KR090", "not-in-this-build", "The policy is read, but this build cannot carry it out."),
            Code::LaterBuild => ("KR091", "later-build", "The check is understood, but needs a later build to be judged."),
            Code::InsecureUrl => ("KR092", "insecure-url", "Credentials would travel unencrypted over the network."),
            Code::OutsideScope => ("KR093", "outside-scope", "A consumer is not named in the scope of the rotation."),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn names_are_unique_ordered_and_described() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        let unique: BTreeSet<_> = texts.iter().collect();
        assert_eq!(unique.len(), texts.len());
        assert!(texts.is_sorted());
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), texts.len());
        // `ALL` is written by hand: the last variant's place in the enum tells whether one was forgotten.
        assert_eq!(Code::OutsideScope as usize + 1, Code::ALL.len());
        for code in Code::ALL {
            assert!(code.about().ends_with('.') && code.about().len() > 15, "{code:?}");
            assert!(code.text().starts_with("KR") && code.text().len() == 5);
        }
    }
}
