//! Everything behind the double: tokens, calls, switches, and who manages.

use super::faults::{Clock, Faults, History, drawn, sha256};
use super::server::{Answer, Request};
use super::{ADMIN, OPERATIONS, USER};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Which new-api this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    Old,
    June,
    Newest,
}

/// What a build or a fork may do that a driver must survive. All off at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trap {
    /// `status_only` is not known: the update is a full one.
    StatusOnlyIgnored,
    /// A change of the status says yes and does nothing.
    StatusStays,
    /// Revealing wants another proof of who asks.
    RevealRefused,
    /// Revealing shows what lists show.
    RevealMasked,
    /// A secret is revealed once.
    RevealOnce,
    /// A new token takes the id of the token that was deleted last.
    ReusesIds,
    /// Create keeps no group, models or addresses.
    DropsScope,
    /// Create makes every token unlimited.
    DropsQuota,
    /// Create makes every token last for ever.
    DropsExpiry,
    /// Fields that the API does not have are taken and dropped.
    DropsUnknown,
    /// A second token of one name is refused.
    UniqueNames,
    /// Create does its work and says `success:false`.
    CreateSaysNo,
    /// Every page is the first one.
    LoopingPages,
    /// A search finds names that hold the keyword.
    SearchFuzzy,
    /// Answers hold secrets in clear where this build masks them, and refusals repeat what was presented.
    EchoesSecret,
    /// An exhausted token is a 403 (older builds).
    ExhaustedIs403,
    /// A disabled token is told that its quota is gone.
    DisabledLooksLikeQuota,
    /// Routers go on serving disabled tokens.
    ServesDisabled,
    /// Routers go on serving deleted tokens.
    Revives,
    /// Calls leave no rows.
    LogsOff,
    /// Row ids are what is left of them after division by 1024.
    SmallRowIds,
    /// `other` is an object instead of a string with JSON in it.
    OtherIsObject,
    /// Counters of tokens stand still.
    CountersStand,
    /// Messages are in English.
    English,
    /// A stream ends without its end.
    CutStream,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Missing,
    Unknown,
    Disabled,
    Expired,
    Exhausted,
    Address,
    Group,
    Model,
    Wallet,
    Form,
    Upstream,
}

/// A token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Never used twice, unlike the id.
    pub(crate) serial: u64,
    pub(crate) id: u64,
    pub(crate) user: u64,
    /// Forty-eight characters, without `sk-`.
    pub(crate) key: String,
    /// 1 enabled, 2 disabled, 3 expired, 4 exhausted.
    pub(crate) status: u64,
    pub(crate) name: String,
    /// Milliseconds.
    pub(crate) created: u64,
    /// Seconds of Unix time, or -1.
    pub(crate) expires: i64,
    pub(crate) remain: i64,
    pub(crate) unlimited: bool,
    pub(crate) model_limits_enabled: bool,
    pub(crate) model_limits: String,
    pub(crate) allow_ips: String,
    pub(crate) group: String,
    pub(crate) cross_group_retry: bool,
    pub(crate) auto_groups: Value,
    pub(crate) deleted: bool,
    pub(crate) revealed: usize,
}

impl Token {
    /// As callers present it.
    pub(crate) fn secret(&self) -> String {
        format!("sk-{}", self.key)
    }
}

/// A chat call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    /// Milliseconds.
    pub(crate) at: u64,
    pub(crate) router: usize,
    pub(crate) serial: Option<u64>,
    pub(crate) token_id: u64,
    pub(crate) user: u64,
    /// At the time of the call.
    pub(crate) token_name: String,
    pub(crate) group: String,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) quota: i64,
    pub(crate) refused: Option<Refusal>,
    /// Log rows were off.
    pub(crate) unlogged: bool,
}

pub(super) struct World {
    pub(super) build: Build,
    pub(super) tokens: Vec<Token>,
    /// Of each token by serial, as routers hear of it.
    pub(super) histories: BTreeMap<u64, History<Token>>,
    pub(super) calls: Vec<Call>,
    pub(super) traps: BTreeSet<Trap>,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) behind: BTreeMap<usize, u64>,
    pub(super) access: String,
    pub(super) admin_access: String,
    pub(super) list_lag: u64,
    pub(super) read_lag: u64,
    pub(super) usage_lag: u64,
    pub(super) log_lag: u64,
    pub(super) page: usize,
    pub(super) most: usize,
    pub(super) reveals_left: usize,
    pub(super) searches_left: usize,
    pub(super) wallet: i64,
    pub(super) upstream: Option<u16>,
    pub(super) groups: Vec<String>,
    pub(super) log: Vec<(usize, String, String, u16)>,
    made: u64,
    /// Ids of deleted tokens.
    pub(super) freed: Vec<u64>,
}

impl World {
    pub(super) fn new(build: Build) -> Self {
        Self {
            build,
            tokens: Vec::new(),
            histories: BTreeMap::new(),
            calls: Vec::new(),
            traps: BTreeSet::new(),
            faults: Faults::new(OPERATIONS),
            clock: Clock::default(),
            behind: BTreeMap::new(),
            access: drawn(32),
            admin_access: drawn(32),
            list_lag: 0,
            read_lag: 0,
            usage_lag: 0,
            log_lag: 0,
            page: 100,
            most: 1000,
            reveals_left: usize::MAX,
            searches_left: usize::MAX,
            wallet: 1_000_000_000,
            upstream: None,
            groups: vec!["default".into(), "vip".into()],
            log: Vec::new(),
            made: 0,
            freed: Vec::new(),
        }
    }

    pub(super) fn has(&self, trap: Trap) -> bool {
        self.traps.contains(&trap)
    }

    /// Seconds of Unix time.
    pub(super) fn seconds(&self) -> i64 {
        i64::try_from(self.clock.now() / 1000).unwrap_or(i64::MAX)
    }

    /// A token with a fresh value, not yet among the others.
    pub(super) fn fresh(&mut self, name: &str, user: u64) -> Token {
        self.made += 1;
        let reused = if self.has(Trap::ReusesIds) { self.freed.pop() } else { None };
        Token {
            serial: self.made,
            id: reused.unwrap_or(40 + self.made),
            user,
            key: sha256(&drawn(64)).chars().take(48).collect(),
            status: 1,
            name: name.into(),
            created: self.clock.now(),
            expires: -1,
            remain: 0,
            unlimited: true,
            model_limits_enabled: false,
            model_limits: String::new(),
            allow_ips: String::new(),
            group: String::new(),
            cross_group_retry: false,
            auto_groups: Value::Null,
            deleted: false,
            revealed: 0,
        }
    }

    /// A token that is known everywhere.
    pub(super) fn mint(&mut self, name: &str, user: u64) -> Token {
        let mut token = self.fresh(name, user);
        // Nobody waits for it to be listed.
        token.created = token.created.saturating_sub(86_400_000);
        self.histories.insert(token.serial, History::settled(token.clone()));
        self.tokens.push(token.clone());
        token
    }

    pub(super) fn edit(&mut self, id: u64, change: impl FnOnce(&mut Token)) {
        let token = self.tokens.iter_mut().find(|t| t.id == id && !t.deleted).unwrap_or_else(|| panic!("no token {id}"));
        change(token);
        self.histories.insert(token.serial, History::settled(token.clone()));
    }

    /// Tells the routers of a change of a token, each in its time.
    pub(super) fn changed(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(token) = self.tokens.get(at) else { return };
        match self.histories.get_mut(&token.serial) {
            Some(history) => history.change(now, token.clone()),
            None => {
                self.histories.insert(token.serial, History::from(now, token.clone()));
            }
        }
    }

    /// A message in the language of this server.
    pub(super) fn say<'a>(&self, own: &'a str, english: &'a str) -> &'a str {
        if self.has(Trap::English) { english } else { own }
    }

    /// A business failure: a 200 that says no.
    pub(super) fn no(&self, own: &str, english: &str) -> Answer {
        Answer::json(200, &json!({"success": false, "message": self.say(own, english)})).refusal()
    }

    /// A form that this API does not take.
    pub(super) fn form(&self, why: &str) -> Answer {
        self.no(&format!("无效的参数: {why}"), &format!("invalid parameter: {why}"))
    }

    /// A yes with data.
    pub(super) fn yes(data: Value) -> Answer {
        Answer::json(200, &json!({"success": true, "message": "", "data": data}))
    }

    fn stranger(&self, status: u16, own: &str, english: &str, code: &str) -> Answer {
        let mut body = json!({"success": false, "message": self.say(own, english)});
        if self.build == Build::Newest {
            body["code"] = json!(code);
        }
        Answer::json(status, &body)
    }

    /// Who manages; the user's number, when the request says it right.
    pub(super) fn manager(&self, request: &Request) -> Result<u64, Answer> {
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").unwrap_or(sent);
        let user = match token {
            "" => {
                return Err(self.stranger(
                    401,
                    "无权进行此操作,未登录且未提供 access token",
                    "not logged in and no access token",
                    "AUTH_UNAUTHORIZED",
                ));
            }
            token if token == self.access => USER,
            token if token == self.admin_access => ADMIN,
            _ => return Err(self.stranger(401, "无权进行此操作,access token 无效", "invalid access token", "AUTH_UNAUTHORIZED")),
        };
        if self.build == Build::Newest {
            return Ok(user);
        }
        match request.header("new-api-user").map(str::parse::<u64>) {
            None => Err(self.stranger(401, "无权进行此操作,未提供 New-Api-User", "no permission: New-Api-User is missing", "")),
            Some(Err(_)) => {
                Err(self.stranger(401, "无权进行此操作,New-Api-User 格式错误", "no permission: New-Api-User has a wrong format", ""))
            }
            Some(Ok(said)) if said == user => Ok(user),
            Some(Ok(_)) => {
                Err(self.stranger(401, "无权进行此操作,New-Api-User 与登录用户不匹配", "no permission: New-Api-User is another user", ""))
            }
        }
    }

    /// Rows of one page, as this build writes pages.
    pub(super) fn paged(&self, request: &Request, rows: Vec<Value>) -> Result<Answer, Answer> {
        let number = |name: &str| match request.parameter(name).map(str::parse::<usize>) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(self.form(name)),
        };
        let size = match number("page_size")? {
            None | Some(0) => 10,
            // More than the most is silently the most.
            Some(n) => n.min(100),
        };
        let size = size.min(self.page);
        let old = self.build == Build::Old;
        let page = match number("p")? {
            // Page 0 is page 1 again, in all builds but the oldest.
            Some(p) if !old => p.max(1),
            Some(p) => p + 1,
            None => 1,
        };
        let skipped = if self.has(Trap::LoopingPages) { 0 } else { (page - 1).saturating_mul(size) };
        let total = rows.len();
        let items: Vec<Value> = rows.into_iter().skip(skipped).take(size).collect();
        Ok(Self::yes(if old { json!(items) } else { json!({"page": page, "page_size": size, "total": total, "items": items}) }))
    }
}
