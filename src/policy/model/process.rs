//! How a run behaves around its phases: times, windows, people, places.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Nothing, gate::Window, reference::Ref};
use crate::policy::scalar::{Moment, Period, TimeOfDay, Url, Zone};

/// The phases, as the policy writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "the words are explained in the module `rotation`")]
pub enum PhaseName {
    Prepare,
    Canary,
    Flip,
    Hold,
    Revoke,
    Archive,
}

impl PhaseName {
    /// All of them, in their order.
    pub const ALL: [PhaseName; 6] =
        [PhaseName::Prepare, PhaseName::Canary, PhaseName::Flip, PhaseName::Hold, PhaseName::Revoke, PhaseName::Archive];

    /// The word.
    pub fn text(self) -> &'static str {
        match self {
            PhaseName::Prepare => "prepare",
            PhaseName::Canary => "canary",
            PhaseName::Flip => "flip",
            PhaseName::Hold => "hold",
            PhaseName::Revoke => "revoke",
            PhaseName::Archive => "archive",
        }
    }
}

/// Effects that somebody else may carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "the words are explained in the module `rotation`")]
pub enum EffectName {
    Mint,
    Stage,
    Promote,
    Repoint,
    Reload,
    Enable,
    Disable,
    Delete,
    Retire,
}

/// Who carries out an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhoActs {
    /// A person: keyroll prints the call and checks the result.
    Hand,
    /// Another tool: keyroll only checks the result.
    External,
}

/// When irreversible effects may happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Time zone of all times in this block.
    pub timezone: Zone,
    /// Allowed hours; always when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Hours>,
    /// Times in which nothing irreversible happens, whatever the hours say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blackouts: Vec<Blackout>,
}

/// Allowed hours of some days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days; every day when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DayName>,
    /// First minute.
    pub from: TimeOfDay,
    /// End; `24:00` is the end of the day.
    pub to: TimeOfDay,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum DayName {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time in which nothing irreversible happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// Its beginning.
    pub from: Moment,
    /// Its end; a day alone is meant to its last minute.
    pub to: Moment,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Notify {
    /// One line on standard error.
    Stderr(Nothing),
    /// A program, with the record as JSON on its standard input.
    Command(#[schemars(length(min = 1))] Vec<String>),
    /// An address; webhook addresses are secrets, so this is a reference.
    Webhook(Box<Webhook>),
    /// The summary of a job in GitHub Actions; nothing elsewhere.
    #[serde(rename = "github_summary")]
    GithubSummary(Nothing),
}

/// An address that is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where the address is kept.
    pub url: Ref,
    /// What is sent: `generic` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<WebhookFormat>,
    /// The text, with `{credential}`, `{event}`, `{run}`, and `{text}` put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub template: Option<String>,
    /// Only these events; all when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<NoticeEvent>,
}

impl Webhook {
    /// What a template may name.
    pub const PLACEHOLDERS: [&str; 4] = ["credential", "event", "run", "text"];

    /// The first thing between braces in the template that it may not name.
    pub fn unknown_placeholder(&self) -> Option<&str> {
        let pieces = self.template.as_deref().unwrap_or_default().split('{').skip(1);
        pieces.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).find(|name| !Self::PLACEHOLDERS.contains(name))
    }
}

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(missing_docs, reason = "the words of a notice")]
pub enum NoticeEvent {
    Moved,
    Turned,
    Reopened,
    Asked,
    Emergency,
    Parked,
    Stuck,
    Finished,
}

impl NoticeEvent {
    /// The word that a notice carries.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Turned => "turned",
            Self::Reopened => "reopened",
            Self::Asked => "asked",
            Self::Emergency => "emergency",
            Self::Parked => "parked",
            Self::Stuck => "stuck",
            Self::Finished => "finished",
        }
    }
}

/// What an address is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// A JSON object with `v`, `run`, `credential`, `event`, and `text`.
    Generic,
    /// A JSON object with `text`, as Slack and what speaks its dialect take it.
    Slack,
}

/// How the evidence is signed and fingerprinted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceOut {
    /// The signature of the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign: Option<Sign>,
    /// A timestamp authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Url>,
    /// The organisation's key for fingerprints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<Ref>,
    /// The file of people who may approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<String>,
    /// Where finished bundles are copied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// The signature of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// The private key.
    pub key: Ref,
}

/// Lengths of time that have sensible defaults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Time between two looks while waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Period>,
    /// Longest time for one outside call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
    /// How old an intent may be when its call leaves; at most 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_before: Option<Period>,
    /// How long the old key stays disabled before it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Period>,
    /// Until every part of the gateway has seen a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles_in: Option<Period>,
    /// How long the old key must be silent; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_window: Option<Window>,
    /// How long the new key must be silent before a rollback removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_drain: Option<Period>,
    /// How often an observation is repeated before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub repeats: Option<u32>,
}

/// Who looks while the run is parked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watcher {
    /// The longest gap between two looks.
    pub tick: Period,
}

/// Risks that are accepted in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accept {
    /// The gateway cannot enable a disabled key again.
    OneWayRevoke,
    /// It cannot be shown that the slots hold the key that is rotated.
    UnprovenBinding,
    /// The state is on this machine only.
    LocalState,
    /// The gateway leaves no trace of refused calls.
    RefusedCallersNotObservable,
    /// No log can be read.
    UnobservedLog,
    /// A new value that died with a process is not looked for in the evidence.
    LostValueNotSearched,
}

/// What a failed check before revoke does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// Everything goes back (the default).
    Rollback,
    /// Everything stays as it is.
    Stop,
}

/// What the first refused caller during soak does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnRefusedCaller {
    /// The old key is enabled again (the default).
    Reopen,
    /// A person decides.
    Ask,
}

/// Rows that make one policy into many runs; `${column}` in any text stands for the row's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ForEach {
    /// A CSV file whose first line names the columns.
    Csv(#[schemars(length(min = 1))] String),
    /// Keys of the gateway.
    Gateway(GatewayRows),
}

/// Which keys of the gateway; all that is written must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayRows {
    /// How the alias begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_prefix: Option<String>,
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Only keys older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Period>,
}
