//! new-api's envelope and pages. A failure may come with status 200; its message is in any language and is never read.

use crate::adapters::gateway::wire::{Access, Admin, Http, Reply};
use crate::ports::{PortError, Result};
use crate::support::http::HttpProblem;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Rows that a page is asked to hold; fewer may come.
const PAGE: &str = "100";

/// What every answer of the console is wrapped in.
#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    data: Value,
}

/// The console, asked as one user.
pub(crate) struct Console {
    pub(crate) admin: Admin,
}

/// Rows of a listing, and whether they are all.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Map<String, Value>>,
    /// More were there than were read.
    pub(crate) cut: bool,
    /// How many there are, where this version counts.
    pub(crate) total: Option<u64>,
}

/// One page.
struct Page {
    rows: Vec<Map<String, Value>>,
    /// Newer versions count; older ones show a bare list and begin with page 0.
    total: Option<u64>,
}

impl Console {
    /// Nothing is called yet.
    pub(crate) fn new(access: Access, user: u64) -> std::result::Result<Self, HttpProblem> {
        let http = Http::new(access.call_timeout, access.ca_pem);
        // Versions up to the middle of 2026 refuse without the user's number.
        let admin = Admin::new("new-api", &access.base, access.admin, http)?.with_header("new-api-user", user.to_string());
        Ok(Self { admin })
    }

    /// Reads something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, action: &str, path: &[&str], query: &[(&str, &str)]) -> Result<T> {
        let reply = self.admin.look(path, query).await?;
        let envelope: Envelope = self.admin.read(action, &reply)?;
        if !envelope.success {
            return Err(self.refused(action, "status 200 and `success: false`; check the access token, the user's number and the limits"));
        }
        self.data(envelope.data)
    }

    /// Changes something, once.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        action: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T> {
        let reply = self.admin.answer(method, path, query, body).await?;
        self.changed(action, &reply)
    }

    /// What a change was answered with.
    pub(crate) fn changed<T: DeserializeOwned>(&self, action: &str, reply: &Reply) -> Result<T> {
        let envelope: Envelope = self.admin.changed(action, reply)?;
        if !envelope.success {
            return Err(self.refused(action, "status 200 and `success: false`: it was not done"));
        }
        self.data(envelope.data)
    }

    fn data<T: DeserializeOwned>(&self, data: Value) -> Result<T> {
        serde_json::from_value(data).map_err(|_| self.admin.unreadable("`data` is not the expected document"))
    }

    /// What was asked is not done.
    pub(crate) fn refused(&self, action: &str, why: &str) -> PortError {
        PortError::Refused { system: self.admin.system.clone(), action: action.to_owned(), why: why.to_owned() }
    }

    /// The thing is not there, or in another state.
    pub(crate) fn conflict(&self, action: &str, why: &str) -> PortError {
        PortError::Conflict { system: self.admin.system.clone(), action: action.to_owned(), why: why.to_owned() }
    }

    /// All rows of a listing, in as many pages as it takes, up to `most` pages.
    pub(crate) async fn pages(&self, action: &str, path: &[&str], query: &[(&str, &str)], most: u64) -> Result<Rows> {
        let first = self.page(action, path, query, 1).await?;
        let Some(total) = first.total else { return self.bare(action, path, query, most).await };
        let mut rows = first.rows;
        for number in 2..=most {
            if u64::try_from(rows.len()).is_ok_and(|n| n >= total) {
                break;
            }
            let page = self.page(action, path, query, number).await?;
            if page.rows.is_empty() {
                break;
            }
            rows.extend(page.rows);
        }
        let cut = u64::try_from(rows.len()).is_ok_and(|n| n < total);
        Ok(Rows { rows, cut, total: Some(total) })
    }

    /// The bare lists of older versions: pages from 0 until one is empty.
    async fn bare(&self, action: &str, path: &[&str], query: &[(&str, &str)], most: u64) -> Result<Rows> {
        let mut rows: Vec<Map<String, Value>> = Vec::new();
        let mut before = Vec::new();
        for number in 0..most {
            let page = self.page(action, path, query, number).await?;
            if page.rows.is_empty() {
                return Ok(Rows { rows, cut: false, total: None });
            }
            if page.rows == before {
                return Err(self
                    .admin
                    .unreadable("two pages of a listing are the same: paging is ignored, so the listing is not complete"));
            }
            before.clone_from(&page.rows);
            rows.extend(page.rows);
        }
        Ok(Rows { rows, cut: true, total: None })
    }

    async fn page(&self, action: &str, path: &[&str], query: &[(&str, &str)], number: u64) -> Result<Page> {
        let number_text = number.to_string();
        let mut query = query.to_vec();
        query.extend([("p", number_text.as_str()), ("page_size", PAGE)]);
        let data: Value = self.get(action, path, &query).await?;
        let (rows, total) = match data {
            Value::Null => (Value::Array(Vec::new()), None),
            Value::Array(_) => (data, None),
            Value::Object(mut fields) => {
                if fields.get("page").and_then(Value::as_u64).is_some_and(|shown| shown != number) {
                    return Err(self.admin.unreadable(format!("asked for page {number} of a listing, it answered with another")));
                }
                let total = fields.get("total").and_then(Value::as_u64);
                let total = total.ok_or_else(|| self.admin.unreadable("a page of a listing does not say how many rows there are"))?;
                (fields.remove("items").unwrap_or_default(), Some(total))
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(self.admin.unreadable("a listing is no list")),
        };
        // An empty page may be written as null.
        let rows = if rows.is_null() { Vec::new() } else { self.data(rows)? };
        Ok(Page { rows, total })
    }
}
