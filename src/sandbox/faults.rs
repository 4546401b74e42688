//! The switches: each makes the gateway misbehave in one way that real gateways do.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SandboxError;

/// The name of a fault, in `snake_case` wherever it is text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultName {
    /// Every replica sees a change only after `ms`, whatever the gateway documents.
    ProjectionDelay,
    /// One replica lags `ms` behind the others.
    ReplicaLag,
    /// The answer to an admin write is lost on its way back (or, `before`, the write itself).
    LostResponse,
    /// Request log lines appear `ms` late.
    LogLag,
    /// One replica writes no request log lines.
    ExporterStopped,
    /// Calls of the newest key are logged under another key and owner.
    UsageOnWrongOwner,
    /// A mint ignores one field of the scope: the new key may do more.
    ScopeDropped,
    /// A mint kills the owner's other keys while the admin API still calls them enabled.
    GraceKillsOld,
    /// One replica goes on serving disabled keys.
    DisableIgnoredByReplica,
    /// Of every `every` accepted calls the first `len` end in 503.
    #[serde(rename = "bursts_5xx")]
    Bursts5xx,
    /// Accepted calls take `ms` longer.
    LatencyShift,
    /// Error bodies repeat the key that was presented.
    EchoKeyInErrors,
    /// Replicas remember a refusal for `ms`; each further refused call prolongs it.
    RefusalCache,
    /// Refused calls leave no line in the request log.
    RefusedLeaveNoRow,
    /// The key list answers every cursor with its first page.
    ListIgnoresPaging,
    /// The key list ignores its filters and repeats a row.
    ListOverReturns,
    /// The key list omits the `n` newest keys.
    ListMisses,
    /// One mint makes two keys with one marker; the answer names one.
    DuplicateMint,
    /// A key minted now stops working after `after_ms`; the admin API still calls it enabled.
    NewKeyDies,
    /// Somebody nobody listed calls with the key that the slot held when the fault was switched on.
    UnlistedCaller,
    /// A mint makes nothing and answers with the owner's oldest key.
    MintReturnsOld,
    /// The admin API answers 503, or (`how: drop`) hangs up.
    AdminDown,
    /// The admin API thinks for `ms` before it acts.
    AdminSlow,
    /// The admin address leads to another organisation, which has no keys.
    WrongTenant,
}

/// One row of the list of faults, for `--help` and `GET /faults`.
#[derive(Debug, Clone, Serialize)]
pub struct FaultDoc {
    /// Its name.
    pub name: FaultName,
    /// The arguments it understands, with what holds when they are left out.
    pub args: &'static [(&'static str, &'static str)],
}

impl FaultName {
    /// Every fault.
    pub const ALL: [Self; 24] = [
        Self::ProjectionDelay,
        Self::ReplicaLag,
        Self::LostResponse,
        Self::LogLag,
        Self::ExporterStopped,
        Self::UsageOnWrongOwner,
        Self::ScopeDropped,
        Self::GraceKillsOld,
        Self::DisableIgnoredByReplica,
        Self::Bursts5xx,
        Self::LatencyShift,
        Self::EchoKeyInErrors,
        Self::RefusalCache,
        Self::RefusedLeaveNoRow,
        Self::ListIgnoresPaging,
        Self::ListOverReturns,
        Self::ListMisses,
        Self::DuplicateMint,
        Self::NewKeyDies,
        Self::UnlistedCaller,
        Self::MintReturnsOld,
        Self::AdminDown,
        Self::AdminSlow,
        Self::WrongTenant,
    ];

    /// Its name as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProjectionDelay => "projection_delay",
            Self::ReplicaLag => "replica_lag",
            Self::LostResponse => "lost_response",
            Self::LogLag => "log_lag",
            Self::ExporterStopped => "exporter_stopped",
            Self::UsageOnWrongOwner => "usage_on_wrong_owner",
            Self::ScopeDropped => "scope_dropped",
            Self::GraceKillsOld => "grace_kills_old",
            Self::DisableIgnoredByReplica => "disable_ignored_by_replica",
            Self::Bursts5xx => "bursts_5xx",
            Self::LatencyShift => "latency_shift",
            Self::EchoKeyInErrors => "echo_key_in_errors",
            Self::RefusalCache => "refusal_cache",
            Self::RefusedLeaveNoRow => "refused_leave_no_row",
            Self::ListIgnoresPaging => "list_ignores_paging",
            Self::ListOverReturns => "list_over_returns",
            Self::ListMisses => "list_misses",
            Self::DuplicateMint => "duplicate_mint",
            Self::NewKeyDies => "new_key_dies",
            Self::UnlistedCaller => "unlisted_caller",
            Self::MintReturnsOld => "mint_returns_old",
            Self::AdminDown => "admin_down",
            Self::AdminSlow => "admin_slow",
            Self::WrongTenant => "wrong_tenant",
        }
    }

    /// The arguments it understands, each with its default.
    pub fn args(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::ProjectionDelay | Self::LogLag => &[("ms", "2000")],
            Self::ReplicaLag => &[("replica", "0"), ("ms", "2000")],
            Self::LostResponse => &[("on", "any"), ("times", "1"), ("before", "false")],
            Self::ExporterStopped | Self::DisableIgnoredByReplica => &[("replica", "0")],
            Self::ScopeDropped => &[("field", "models")],
            Self::Bursts5xx => &[("every", "20"), ("len", "5"), ("only", "all")],
            Self::LatencyShift => &[("ms", "500"), ("only", "all")],
            Self::RefusalCache => &[("ms", "5000")],
            Self::ListMisses => &[("n", "1")],
            Self::NewKeyDies => &[("after_ms", "2000")],
            Self::UnlistedCaller => &[("app", "quarter-end-job"), ("every_ms", "500")],
            Self::AdminDown => &[("how", "503")],
            Self::AdminSlow => &[("ms", "1000")],
            Self::UsageOnWrongOwner
            | Self::GraceKillsOld
            | Self::EchoKeyInErrors
            | Self::RefusedLeaveNoRow
            | Self::ListIgnoresPaging
            | Self::ListOverReturns
            | Self::DuplicateMint
            | Self::MintReturnsOld
            | Self::WrongTenant => &[],
        }
    }

    /// Every fault with its arguments.
    pub fn catalogue() -> Vec<FaultDoc> {
        Self::ALL.into_iter().map(|name| FaultDoc { name, args: name.args() }).collect()
    }

    fn default_of(self, arg: &str) -> &'static str {
        self.args().iter().find(|(name, _)| *name == arg).map_or("", |(_, default)| default)
    }
}

impl FromStr for FaultName {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, SandboxError> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|name| name.as_str()).collect();
            SandboxError::Fault { why: format!("no fault has that name; there are {}", names.join(", ")) }
        })
    }
}

/// A fault to switch: what `POST /faults` takes and `--fault name[=json]` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Which.
    pub name: FaultName,
    /// On or off.
    #[serde(default = "yes")]
    pub on: bool,
    /// Its arguments; what is left out has the default of [`FaultName::args`].
    #[serde(default)]
    pub args: Map<String, Value>,
}

fn yes() -> bool {
    true
}

impl FaultSpec {
    /// A fault that is on, with its default arguments.
    pub fn on(name: FaultName) -> Self {
        Self { name, on: true, args: Map::new() }
    }

    /// The same fault with one argument set.
    #[must_use]
    pub fn with(mut self, arg: &str, value: impl Into<Value>) -> Self {
        self.args.insert(arg.to_owned(), value.into());
        self
    }

    /// Refuses an argument that the fault does not have or whose kind is wrong: a typing error must not make a fault
    /// that silently does something else.
    pub(super) fn check(&self) -> Result<(), SandboxError> {
        for (arg, value) in &self.args {
            let known = self.name.args();
            let Some((_, default)) = known.iter().find(|(name, _)| name == arg) else {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                return Err(SandboxError::Fault { why: format!("{} takes [{}] and nothing else", self.name.as_str(), names.join(", ")) });
            };
            let fits = match (default.parse::<u64>(), *arg == "how") {
                (Ok(_), false) => value.is_u64(),
                _ if default.parse::<bool>().is_ok() => value.is_boolean(),
                _ => value.is_string(),
            };
            if !fits {
                return Err(SandboxError::Fault { why: format!("the argument {arg} of {} must look like {default}", self.name.as_str()) });
            }
        }
        Ok(())
    }
}

impl FromStr for FaultSpec {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, SandboxError> {
        let (name, args) = text.split_once('=').unwrap_or((text, "{}"));
        let spec = Self {
            name: name.parse()?,
            on: true,
            args: serde_json::from_str(args).map_err(|_| SandboxError::Fault {
                why: format!("the arguments of {name} are no JSON object; write {name}={{\"ms\":500}}"),
            })?,
        };
        spec.check()?;
        Ok(spec)
    }
}

/// What an admin write does, as far as `lost_response` tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// A new key, provider key or model.
    Mint,
    /// Switched on.
    Enable,
    /// Switched off.
    Disable,
    /// Removed.
    Delete,
    /// A model moved to another provider key.
    Repoint,
    /// Any other change.
    Edit,
}

impl Write {
    fn name(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Delete => "delete",
            Self::Repoint => "repoint",
            Self::Edit => "edit",
        }
    }
}

/// When the answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The request never arrived: nothing happened.
    Before,
    /// The change happened; nobody hears of it.
    After,
}

/// The faults that are on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Faults(BTreeMap<FaultName, Map<String, Value>>);

impl Faults {
    /// Switches one on or off; switching on again replaces the arguments.
    pub(super) fn switch(&mut self, spec: &FaultSpec) -> Result<(), SandboxError> {
        spec.check()?;
        if spec.on {
            self.0.insert(spec.name, spec.args.clone());
        } else {
            self.0.remove(&spec.name);
        }
        Ok(())
    }

    /// True when it is on.
    pub(super) fn is_on(&self, name: FaultName) -> bool {
        self.0.contains_key(&name)
    }

    /// A number argument of a fault that is on, or its default; `None` when it is off.
    pub(super) fn number(&self, name: FaultName, arg: &str) -> Option<u64> {
        let args = self.0.get(&name)?;
        args.get(arg).and_then(Value::as_u64).or_else(|| name.default_of(arg).parse().ok())
    }

    /// A text argument of a fault that is on, or its default; `None` when it is off.
    pub(super) fn text(&self, name: FaultName, arg: &str) -> Option<&str> {
        let args = self.0.get(&name)?;
        let given = args.get(arg).and_then(Value::as_str);
        Some(given.unwrap_or_else(|| name.default_of(arg)))
    }

    /// True when the fault is on and its `replica` is this one.
    pub(super) fn hits_replica(&self, name: FaultName, replica: usize) -> bool {
        self.number(name, "replica") == u64::try_from(replica).ok()
    }

    /// Uses up one lost response, if one is due for this write.
    pub(super) fn take_lost(&mut self, write: Write) -> Option<Lost> {
        let on = self.text(FaultName::LostResponse, "on")?;
        if on != "any" && on != write.name() {
            return None;
        }
        let times = self.number(FaultName::LostResponse, "times")?;
        let args = self.0.get_mut(&FaultName::LostResponse)?;
        let before = args.get("before").and_then(Value::as_bool) == Some(true);
        if times > 1 {
            args.insert("times".to_owned(), Value::from(times - 1));
        } else {
            self.0.remove(&FaultName::LostResponse);
        }
        Some(if before { Lost::Before } else { Lost::After })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn names_agree_in_code_and_in_json() {
        for name in FaultName::ALL {
            let json = serde_json::to_value(name).unwrap();
            assert_eq!(json, name.as_str(), "serde and as_str differ");
            assert_eq!(name.as_str().parse::<FaultName>().unwrap(), name);
        }
    }

    #[test]
    fn a_switch_reads_as_name_and_json() {
        let spec: FaultSpec = "log_lag={\"ms\":7}".parse().unwrap();
        assert_eq!(spec, FaultSpec::on(FaultName::LogLag).with("ms", 7));
        assert!("log_lag={\"msec\":7}".parse::<FaultSpec>().is_err());
        assert!("log_lag={\"ms\":\"7\"}".parse::<FaultSpec>().is_err());
        assert!("lag".parse::<FaultSpec>().is_err());
        assert!("lost_response={\"before\":true}".parse::<FaultSpec>().is_ok());
        assert!("admin_down={\"how\":\"drop\"}".parse::<FaultSpec>().is_ok());
    }

    #[test]
    fn lost_responses_are_counted_and_chosen() {
        let mut faults = Faults::default();
        let spec = FaultSpec::on(FaultName::LostResponse).with("on", "mint").with("times", 2);
        faults.switch(&spec).unwrap();
        assert_eq!(faults.take_lost(Write::Disable), None);
        assert_eq!(faults.take_lost(Write::Mint), Some(Lost::After));
        assert_eq!(faults.take_lost(Write::Mint), Some(Lost::After));
        assert_eq!(faults.take_lost(Write::Mint), None);
        faults.switch(&FaultSpec::on(FaultName::LostResponse).with("before", true)).unwrap();
        assert_eq!(faults.take_lost(Write::Delete), Some(Lost::Before));
    }

    #[test]
    fn defaults_hold_only_while_on() {
        let mut faults = Faults::default();
        assert_eq!(faults.number(FaultName::ListMisses, "n"), None);
        faults.switch(&FaultSpec::on(FaultName::ListMisses)).unwrap();
        assert_eq!(faults.number(FaultName::ListMisses, "n"), Some(1));
        assert!(!faults.hits_replica(FaultName::ExporterStopped, 0));
    }
}
