//! The counters of one process, read from its text format.

use crate::rotation::CallerCount;
use std::collections::BTreeMap;

/// Requests by provider key, caller key, and outcome.
const REQUESTS: &str = "aisix_proxy_requests_total";

/// How often something ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Ended {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) other: u64,
}

/// What the counters of a process said at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counters {
    /// By provider key, then by caller key.
    pub(super) requests: BTreeMap<String, BTreeMap<String, Ended>>,
    /// All counters together: it never falls while a process lives.
    pub(super) sum: u64,
}

impl Ended {
    pub(super) fn total(self) -> u64 {
        self.accepted.saturating_add(self.refused).saturating_add(self.other)
    }

    /// What came since; none when it fell.
    pub(super) fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            accepted: self.accepted.checked_sub(before.accepted)?,
            refused: self.refused.checked_sub(before.refused)?,
            other: self.other.checked_sub(before.other)?,
        })
    }

    pub(super) fn add_to(self, count: &mut CallerCount) {
        count.accepted = count.accepted.saturating_add(self.accepted);
        count.refused = count.refused.saturating_add(self.refused);
        count.other = count.other.saturating_add(self.other);
    }
}

impl Counters {
    /// All requests.
    pub(super) fn requests(&self) -> u64 {
        self.requests.values().flat_map(BTreeMap::values).fold(0, |sum, ended| sum.saturating_add(ended.total()))
    }

    /// Callers that a provider key served.
    pub(super) fn by_provider(&self, key: &str) -> impl Iterator<Item = &str> {
        self.requests.get(key).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// Requests of one caller key that one provider key served.
    pub(super) fn of(&self, key: &str, caller: &str) -> Ended {
        self.requests.get(key).and_then(|callers| callers.get(caller)).copied().unwrap_or_default()
    }

    /// Requests of one caller key.
    pub(super) fn of_caller(&self, caller: &str) -> Ended {
        let mut sum = Ended::default();
        for ended in self.requests.values().filter_map(|callers| callers.get(caller)) {
            sum.accepted = sum.accepted.saturating_add(ended.accepted);
            // A provider that refuses the gateway's credential refuses no caller.
            sum.other = sum.other.saturating_add(ended.refused).saturating_add(ended.other);
        }
        sum
    }

    /// These belong to another process: a counter of one and the same never falls.
    pub(super) fn fell_below(&self, before: &Self) -> bool {
        let fell = |(key, callers): (&String, &BTreeMap<String, Ended>)| {
            callers.iter().any(|(caller, ended)| self.of(key, caller).since(*ended).is_none())
        };
        self.sum < before.sum || before.requests.iter().any(fell)
    }
}

/// Reads the text; none when a line of ours cannot be read.
pub(super) fn parse(text: &str) -> Option<Counters> {
    let mut counters = Counters::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None => (BTreeMap::new(), rest),
        };
        if !name.ends_with("_total") {
            continue;
        }
        // A time may follow the number.
        let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
        if !(0.0..9e15).contains(&value) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        let value = value as u64;
        counters.sum = counters.sum.saturating_add(value);
        if name != REQUESTS {
            continue;
        }
        let text = |label: &str| labels.get(label).cloned().unwrap_or_default();
        let by_caller = counters.requests.entry(text("provider_key_id")).or_default();
        let ended = by_caller.entry(text("api_key_id")).or_default();
        // A provider that refuses the gateway's credential is passed on as 401 or 403.
        let into = match text("status").parse::<u16>() {
            Ok(200..=399) => &mut ended.accepted,
            Ok(401 | 403) => &mut ended.refused,
            Ok(_) | Err(_) => &mut ended.other,
        };
        *into = into.saturating_add(value);
    }
    Some(counters)
}

/// Labels up to the bracket that ends them, and what follows.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        loop {
            match chars.next()? {
                (at, '"') => {
                    rest = after.get(at + 1..)?;
                    break;
                }
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, c) => value.push(c),
            }
        }
        found.insert(name.trim().to_owned(), value);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_both_keys_and_by_how_they_ended() {
        let text = "# HELP x\naisix_config_source_connected 1\n\
            aisix_proxy_requests_total{model=\"a,b}\\\"c\",provider_key_id=\"pk-2\",api_key_id=\"c1\",status=\"200\"} 496\n\
            aisix_proxy_requests_total{provider_key_id=\"pk-2\",api_key_id=\"c1\",status=\"401\"} 3 1700000000\n\
            aisix_proxy_requests_total{provider_key_id=\"pk-2\",api_key_id=\"c1\",status=\"503\"} 2\n\
            aisix_auth_decisions_total{result=\"denied\"} 9\n";
        let counters = parse(text).unwrap();
        assert_eq!(counters.requests["pk-2"]["c1"], Ended { accepted: 496, refused: 3, other: 2 });
        assert_eq!(counters.sum, 510);
        assert!(parse("aisix_proxy_requests_total{api_key_id=\"c1} 4").is_none() && parse("a_total NaN").is_none());
    }
}
