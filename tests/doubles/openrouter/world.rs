//! Everything behind the double: keys, calls, switches, and who a credential is.

use super::OPERATIONS;
use super::faults::{Clock, Faults, History, drawn, sha256};
use super::server::{Answer, Request};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Which API this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenRouter,
    ARouter,
    ARouterLegacy,
}

impl Dialect {
    /// Before `/chat/completions`.
    pub(crate) fn data(self) -> &'static str {
        if self == Self::OpenRouter { "/api/v1" } else { "/v1" }
    }

    /// Where keys are.
    pub(crate) fn keys(self) -> &'static str {
        if self == Self::ARouterLegacy { "/v1/keys" } else { "/api/v1/keys" }
    }

    fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenRouter => ("sk-or-v1-", "sk-or-v1-"),
            Self::ARouter => ("lr_live_", "lr_mgmt_"),
            Self::ARouterLegacy => ("lr_live_", "lr_live_"),
        }
    }
}

/// What a service may do that a driver must survive. All off at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trap {
    /// Every page is the first one: `offset` and `page_token` are ignored.
    LoopingCursor,
    /// Disabled keys are never listed, whatever is asked.
    HidesDisabled,
    /// Create keeps neither providers nor models.
    DropsScope,
    /// Create keeps no limit.
    DropsLimit,
    /// Create keeps no expiry.
    DropsExpiry,
    /// Fields that the API does not have are taken and dropped.
    DropsUnknown,
    /// An update says yes and changes nothing.
    UpdateStays,
    /// An update takes what it does not mention for null.
    ClearsUnsaid,
    /// A guardrail says that it was assigned, and was not.
    AssignsNothing,
    /// Answers repeat the whole secret: reads and updates in `key`, refusals in their message.
    EchoesSecret,
    /// A second key of one name is refused with 400.
    UniqueNames,
    /// Ids are not derived from the secret (ARouter's never are).
    OpaqueIds,
    /// The data plane goes on serving disabled keys.
    ServesDisabled,
    /// The data plane goes on serving deleted keys.
    Revives,
    /// Keys say when they were last used (legacy keys always do).
    LastUsed,
    /// Reading a key moves its own counter.
    ReadsSpend,
    /// Counters stand still.
    CountersStand,
    /// No read of one key (ARouter's SDKs have none).
    NoGetByHash,
    /// Errors are `{code,message}` (the ARouter SDKs read both).
    FlatErrors,
    /// A delete answers 204 without a body.
    DeleteWithoutBody,
    /// Key info moves to `/v1/key` (ARouter's limits guide).
    KeyInfoAtV1,
    /// No usage reports.
    NoUsageApi,
    /// A disabled key is told that its quota is gone.
    DisabledLooksLikeQuota,
    /// An expired key is a 500.
    ExpiredIs500,
    /// The body is judged before the key.
    BodyFirst,
    /// A stream ends without its end.
    CutStream,
    /// A stream has an error in it, with status 200.
    FailingStream,
    /// Ordinary keys manage nothing, also in the legacy dialect.
    OrdinaryKeysManageNothing,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Disabled,
    Expired,
    Management,
    OverLimit,
    Scope,
    Form,
    Upstream,
}

/// A key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// `hash`, or `id` in the legacy dialect.
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) name: String,
    pub(crate) management: bool,
    pub(crate) disabled: bool,
    pub(crate) deleted: bool,
    pub(crate) limit: Option<f64>,
    pub(crate) limit_reset: Option<String>,
    pub(crate) include_byok_in_limit: bool,
    pub(crate) providers: Option<Vec<String>>,
    pub(crate) models: Option<Vec<String>>,
    pub(crate) creator: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) guardrail: Option<String>,
    /// Milliseconds of Unix time, as all times here.
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) expires: Option<u64>,
    /// Spent by other means than calls.
    pub(crate) extra: f64,
}

/// A chat call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) at: u64,
    pub(crate) replica: usize,
    pub(crate) key: Option<String>,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) cost: f64,
    pub(crate) tokens: (u64, u64),
    pub(crate) refused: Option<Refusal>,
}

pub(super) struct Guardrail {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) models: Vec<String>,
}

pub(super) struct World {
    pub(super) dialect: Dialect,
    pub(super) keys: Vec<Key>,
    /// Of each key, as the data planes hear of it.
    pub(super) histories: BTreeMap<String, History<Key>>,
    pub(super) guardrails: Vec<Guardrail>,
    pub(super) calls: Vec<Call>,
    pub(super) traps: BTreeSet<Trap>,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) behind: BTreeMap<usize, u64>,
    pub(super) cache_refusals: u64,
    /// Until when a replica repeats a refusal of a secret.
    pub(super) refusals: BTreeMap<(usize, String), (u64, Refusal)>,
    pub(super) list_lag: u64,
    pub(super) read_lag: u64,
    pub(super) usage_lag: u64,
    pub(super) page: usize,
    pub(super) over_limit: (u16, &'static str),
    pub(super) upstream: Option<u16>,
    pub(super) log: Vec<(String, String, u16)>,
}

/// Whose a credential is.
pub(super) enum Who {
    Manager,
    /// Place of the key.
    Holder(usize),
}

impl World {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            keys: Vec::new(),
            histories: BTreeMap::new(),
            guardrails: Vec::new(),
            calls: Vec::new(),
            traps: BTreeSet::new(),
            faults: Faults::new(OPERATIONS),
            clock: Clock::default(),
            behind: BTreeMap::new(),
            cache_refusals: 0,
            refusals: BTreeMap::new(),
            list_lag: 0,
            read_lag: 0,
            usage_lag: 0,
            page: 100,
            over_limit: if dialect == Dialect::OpenRouter { (403, "") } else { (402, "payment_required") },
            upstream: None,
            log: Vec::new(),
        }
    }

    pub(super) fn has(&self, trap: Trap) -> bool {
        self.traps.contains(&trap)
    }

    /// A key with a fresh value, not yet among the others.
    pub(super) fn fresh(&self, name: &str) -> Key {
        let now = self.clock.now();
        let secret = format!("{}{}", self.dialect.prefixes().0, drawn(64));
        let id = match self.dialect {
            Dialect::OpenRouter if !self.has(Trap::OpaqueIds) => sha256(&secret),
            Dialect::OpenRouter | Dialect::ARouter => drawn(64),
            Dialect::ARouterLegacy => format!("key_{}", drawn(12)),
        };
        Key {
            id,
            secret,
            name: name.into(),
            management: false,
            disabled: false,
            deleted: false,
            limit: None,
            limit_reset: None,
            include_byok_in_limit: false,
            providers: None,
            models: None,
            creator: Some("user_1".into()),
            workspace: Some("ws_default".into()),
            guardrail: None,
            created: now,
            updated: now,
            expires: None,
            extra: 0.0,
        }
    }

    /// A key that is known everywhere.
    pub(super) fn mint(&mut self, name: &str) -> Key {
        let mut key = self.fresh(name);
        // Nobody waits for it to be listed.
        key.created = key.created.saturating_sub(86_400_000);
        self.histories.insert(key.id.clone(), History::settled(key.clone()));
        self.keys.push(key.clone());
        key
    }

    /// The credential that manages; a key like others in ARouter's lists.
    pub(super) fn manager(&mut self) -> String {
        let mut key = self.fresh("management");
        key.secret = format!("{}{}", self.dialect.prefixes().1, drawn(64));
        key.management = true;
        self.histories.insert(key.id.clone(), History::settled(key.clone()));
        self.keys.push(key.clone());
        key.secret
    }

    pub(super) fn edit(&mut self, id: &str, change: impl FnOnce(&mut Key)) {
        let key = self.keys.iter_mut().find(|k| k.id == id).unwrap_or_else(|| panic!("no key {id}"));
        change(key);
        self.histories.insert(id.to_owned(), History::settled(key.clone()));
    }

    /// Tells the data planes of a change of a key, each in its time.
    pub(super) fn changed(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(key) = self.keys.get_mut(at) else { return };
        key.updated = now;
        match self.histories.get_mut(&key.id) {
            Some(history) => history.change(now, key.clone()),
            None => {
                self.histories.insert(key.id.clone(), History::from(now, key.clone()));
            }
        }
    }

    pub(super) fn guardrail(&mut self, name: &str, models: &[&str]) -> String {
        let id = format!("550e8400-e29b-41d4-a716-{}", drawn(12));
        let models = models.iter().map(|m| (*m).to_owned()).collect();
        self.guardrails.push(Guardrail { id: id.clone(), name: name.into(), models });
        id
    }

    /// The credential of a request, wherever this dialect lets it be.
    pub(super) fn presented<'a>(&self, request: &'a Request) -> Option<&'a str> {
        let elsewhere = || request.header("x-api-key").or_else(|| request.parameter("key"));
        let elsewhere = if self.dialect == Dialect::OpenRouter { None } else { elsewhere() };
        request.bearer().or(elsewhere)
    }

    /// Whose the credential is, if it works on the admin side.
    pub(super) fn who(&self, request: &Request) -> Result<Who, Answer> {
        let Some(secret) = self.presented(request) else { return Err(self.error(401, "No auth credentials found")) };
        let found = self.keys.iter().position(|k| k.secret == secret && !k.deleted && !k.disabled);
        let found = found.filter(|at| self.keys.get(*at).and_then(|k| k.expires).is_none_or(|end| end > self.clock.now()));
        match found {
            Some(at) if self.keys.get(at).is_some_and(|k| k.management) => Ok(Who::Manager),
            Some(at) => Ok(Who::Holder(at)),
            None => Err(self.error(401, &self.echo("User not found.", secret))),
        }
    }

    /// Only for whom it manages. Never by a query parameter: addresses are written to logs.
    pub(super) fn managed(&self, request: &Request) -> Result<(), Answer> {
        if request.bearer().is_none() {
            return Err(self.error(401, "No auth credentials found"));
        }
        match self.who(request)? {
            Who::Manager => Ok(()),
            Who::Holder(_) if self.dialect == Dialect::ARouterLegacy && !self.has(Trap::OrdinaryKeysManageNothing) => Ok(()),
            Who::Holder(_) => Err(self.error(403, "Only management keys can perform this operation")),
        }
    }

    /// A message, with the secret in it where that is the trap.
    pub(super) fn echo(&self, message: &str, secret: &str) -> String {
        if self.has(Trap::EchoesSecret) { format!("{message} Key provided: {secret}") } else { message.to_owned() }
    }

    /// An error of this dialect.
    pub(super) fn error(&self, status: u16, message: &str) -> Answer {
        let kind = match status {
            401 => "authentication_error",
            402 => "payment_required",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        self.error_of(status, kind, message)
    }

    /// An error with its own type.
    pub(super) fn error_of(&self, status: u16, kind: &str, message: &str) -> Answer {
        let body = match self.dialect {
            Dialect::OpenRouter => json!({"error": {"code": status, "message": message}, "user_id": "user_1"}),
            Dialect::ARouter | Dialect::ARouterLegacy if self.has(Trap::FlatErrors) => json!({"code": kind, "message": message}),
            Dialect::ARouter | Dialect::ARouterLegacy => json!({"error": {"message": message, "type": kind}}),
        };
        Answer::json(status, &body)
    }
}
