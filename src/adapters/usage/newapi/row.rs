//! One row of new-api's log. Its number is no identity: in some versions it is reduced.

use crate::rotation::Time;
use serde_json::{Map, Value};

/// What is kept of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// When it was written, to a second.
    pub(super) second: i64,
    /// 2 a call that was served, 5 one that failed.
    pub(super) kind: u64,
    /// The name of the token.
    pub(super) token_name: String,
    /// The gateway's id of the call, where rows show it.
    pub(super) request: Option<String>,
    /// Everything else, to tell rows of one second apart.
    rest: String,
}

impl Row {
    /// A row that can be counted.
    pub(super) fn of(row: &Map<String, Value>) -> Option<Self> {
        let token_name = row.get("token_name")?.as_str()?.to_owned();
        let request = row.get("request_id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        Some(Self { request, second: row.get("created_at")?.as_i64()?, kind: row.get("type")?.as_u64()?, token_name, rest: rest(row) })
    }

    /// The end of its second.
    pub(super) fn end(&self) -> Time {
        Time(self.second.saturating_mul(1000).saturating_add(999))
    }
}

/// A short form of the whole row: it may hold texts of customers, which are not kept.
fn rest(row: &Map<String, Value>) -> String {
    crate::secret::sha256_hex(Value::Object(row.clone()).to_string().as_bytes())
}
