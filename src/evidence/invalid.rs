//! Everything that can be wrong with a bundle, each in its own words.

/// Why a bundle is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what it is")]
pub enum Invalid {
    #[error("verify the bundle: {path} cannot be read ({why}); give the folder that holds manifest-sha256.txt")]
    Unreadable { path: String, why: String },
    #[error(
        "verify the bundle: {path} is a link or a device; a bundle holds plain files only, so this copy was made or changed by something else"
    )]
    Link { path: String },
    #[error("verify the bundle: `{path}` is not a name that a bundle may hold; nothing outside the folder was read")]
    Path { path: String },
    #[error("verify the bundle: {what}; no run makes a bundle of this size, so it was not read")]
    TooBig { what: String },
    #[error("verify the bundle: line {line} of manifest-sha256.txt is not `<64 hex digits>  <path>`")]
    ManifestLine { line: usize },
    #[error("verify the bundle: manifest-sha256.txt lists {path} twice")]
    Duplicate { path: String },
    #[error("verify the bundle: {path} is missing; the manifest lists it")]
    Missing { path: String },
    #[error("verify the bundle: {path} was added; the manifest does not list it")]
    Added { path: String },
    #[error("verify the bundle: {path} was changed; its SHA-256 is not the one in the manifest")]
    Changed { path: String },
    #[error("verify the bundle: bag-info.txt has no single, well-formed {field}")]
    BagInfo { field: &'static str },
    #[error("verify the bundle: bag-info.txt says Payload-Oxum {said}, the payload has {found}")]
    Oxum { said: String, found: String },
    #[error("verify the bundle: {path} is required and the manifest does not list it; absence is not proof")]
    Required { path: &'static str },
    #[error("verify the bundle: the journal inside is damaged: {why}")]
    Journal { why: String },
    #[error("verify the bundle: journal.jsonl ends with an unfinished line; it was cut off after it was sealed")]
    Torn,
    #[error("verify the bundle: the journal ends at line {found} (hash {head}), bag-info.txt says {said}; lines were cut off or added")]
    Head { found: u64, head: String, said: String },
    #[error("verify the bundle: the plan in the journal has id {found}, {said} is written in {place}")]
    PlanId { found: String, said: String, place: &'static str },
    #[error(
        "verify the bundle: {path} does not say what the journal says; it was written by something else, or edited together with the manifest"
    )]
    NotFromJournal { path: String },
    #[error("verify the bundle: negative-test.json says the end state is {said}, the journal shows {found}")]
    EndState { said: String, found: &'static str },
    #[error("verify the bundle: redaction.json {why}")]
    Redaction { why: &'static str },
    #[error("verify the bundle: it is about {what} {found}, and {wanted} was asked for; this is the bundle of something else")]
    Other { what: &'static str, found: String, wanted: String },
}
