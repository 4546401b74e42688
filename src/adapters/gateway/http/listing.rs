//! The whole listing: every page, bounded, and refused when it goes round in a circle or is visibly not all.

use super::admin::{Admin, Op};
use super::document::structure;
use super::exchange::{Answer, next_link};
use super::row::{self, Row};
use super::values::Values;
use crate::policy::model::http_gateway::{HttpRequest, Method, Paging};
use crate::ports::{PortError, Result};
use crate::rotation::KeyId;
use reqwest::Url;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A listing with more pages is not believed.
const MOST_PAGES: u64 = 1000;
/// A listing with more keys is not believed.
const MOST_KEYS: usize = 50_000;
/// Calls per key are made for at most so many keys.
const MOST_DETAILS: usize = 500;

/// Signs of a page that has a next one.
const MORE: [&str; 10] =
    ["has_more", "hasMore", "has_next", "hasNext", "next", "next_cursor", "nextCursor", "next_page", "nextPageToken", "next_page_token"];

/// Where a walk goes after a page.
enum Next {
    End,
    Query(String),
    Address(Url),
}

impl Admin {
    /// Every key.
    pub(super) async fn rows(&self) -> Result<Vec<Row>> {
        let list = &self.described.list;
        let mut documents: Vec<(String, &HttpRequest, Value)> = Vec::new();
        let also = list.also.iter().enumerate().map(|(i, request)| (format!("list.also[{i}]"), request));
        for (field, request) in [("list.request".to_owned(), &list.request)].into_iter().chain(also) {
            documents.extend(self.walk(&field, request).await?.into_iter().map(|document| (field.clone(), request, document)));
        }
        if !list.detail.is_empty() && documents.len() > MOST_DETAILS {
            let why = format!("there are {} keys, and calls per key are made for at most {MOST_DETAILS}", documents.len());
            return Err(self.unreadable(op("list.detail", &list.request), why));
        }
        let mut by_id: BTreeMap<KeyId, Row> = BTreeMap::new();
        for (field, request, document) in documents {
            let document = if list.detail.is_empty() { document } else { self.with_details(&field, request, document).await? };
            let row = row::read(&self.described, document, self.time_or_ours()).map_err(|why| self.unreadable(op(&field, request), why))?;
            // A row given twice is harmless while both say the same.
            if by_id.get(&row.facts.id).is_some_and(|known| !known.agrees(&row)) {
                let why = format!("the listing shows key {} twice, and differently", row.facts.id);
                return Err(self.unreadable(op(&field, request), why));
            }
            by_id.insert(row.facts.id.clone(), row);
        }
        Ok(by_id.into_values().collect())
    }

    /// A listed document with the answers of the calls about this one key.
    async fn with_details(&self, field: &str, request: &HttpRequest, listed: Value) -> Result<Value> {
        let Some(id) = row::id_text(&self.described, &listed).filter(|id| KeyId::is_safe(id)) else {
            return Err(self.nothing_at(op(field, request), "fields.id", "of a listed key", &listed));
        };
        let mut shown = listed.clone();
        row::without_secret(&self.described, &mut shown);
        let mut document = listed;
        for (i, detail) in self.described.list.detail.iter().enumerate() {
            let field = format!("list.detail[{i}]");
            let named = format!("{field}.request");
            let op = op(&named, &detail.request);
            let values = Values::default().with("id", id.as_str()).with("key", shown.clone());
            let (_, answer) = self.read(op, &values).await?;
            let part = match &detail.at {
                None => answer,
                Some(at) => match answer.pointer(at.as_str()) {
                    Some(part) => part.clone(),
                    None => return Err(self.nothing_at(op, &format!("{field}.at"), at.as_str(), &answer)),
                },
            };
            let Some(fields) = document.as_object_mut() else { continue };
            match (&detail.field, part) {
                (Some(name), part) => {
                    fields.insert(name.clone(), part);
                }
                (None, Value::Object(more)) => fields.extend(more),
                (None, other) => {
                    let why = format!("`{field}` needs `as:` with a name for its answer, which is {}", structure(&other));
                    return Err(self.unreadable(op, why));
                }
            }
        }
        if row::id_text(&self.described, &document).as_deref() == Some(id.as_str()) {
            Ok(document)
        } else {
            Err(self.unreadable(op("list.detail", request), format!("asked about key {id}, it answered about another one")))
        }
    }

    async fn walk(&self, field: &str, request: &HttpRequest) -> Result<Vec<Value>> {
        let op = op(field, request);
        let values = Values::default();
        let first = self.url(op, &values)?;
        let mut walk = Walk { all: Vec::new(), ids: BTreeSet::new(), cursors: BTreeSet::new(), total: None };
        let mut url = self.first_page(&first);
        for page in 0..MOST_PAGES {
            let (answer, document) = self.read_at(op, &values, url.clone()).await?;
            let rows = self.items(op, &document)?;
            let empty = rows.is_empty();
            if !walk.take(&self.described, rows) && page > 0 {
                let why = "a further page shows only keys that were shown before, so the listing is not complete: the gateway does not apply `paging` as it is described";
                return Err(self.unreadable(op, why));
            }
            if walk.all.len() > MOST_KEYS {
                return Err(self.unreadable(op, format!("the listing has more than {MOST_KEYS} keys")));
            }
            if let Some(total) = &self.described.list.total {
                let found = document.pointer(total.as_str()).and_then(Value::as_u64);
                walk.total = Some(found.ok_or_else(|| self.nothing_at(op, "list.total", total.as_str(), &document))?);
            }
            match self.next(op, page, empty, &walk, &answer, &document, &url)? {
                Next::End => return self.complete(op, walk),
                Next::Query(value) => {
                    if !walk.cursors.insert(value.clone()) {
                        return Err(self.circle(op));
                    }
                    url = self.with_query(&first, &value);
                }
                Next::Address(next) => {
                    if !walk.cursors.insert(next.as_str().to_owned()) {
                        return Err(self.circle(op));
                    }
                    url = next;
                }
            }
        }
        Err(self.unreadable(op, format!("the listing has more than {MOST_PAGES} pages, so it is not complete")))
    }

    fn circle(&self, op: Op<'_>) -> PortError {
        self.unreadable(op, "the listing goes round in a circle, so it is not complete")
    }

    fn complete(&self, op: Op<'_>, walk: Walk) -> Result<Vec<Value>> {
        match walk.total {
            Some(total) if (walk.ids.len() as u64) < total => {
                Err(self.unreadable(op, format!("it says that there are {total} keys and shows {}, so it is not complete", walk.ids.len())))
            }
            Some(_) | None => Ok(walk.all),
        }
    }

    /// The rows of a page.
    fn items(&self, op: Op<'_>, document: &Value) -> Result<Vec<Value>> {
        let found = match &self.described.list.items {
            None => Some(document),
            Some(at) => document.pointer(at.as_str()),
        };
        match found {
            Some(Value::Array(items)) => Ok(items.iter().map(row::as_object).collect()),
            // What an empty list is in some languages; only where the policy says that a list is.
            Some(Value::Null) if self.described.list.items.is_some() => Ok(Vec::new()),
            Some(Value::Object(rows)) if self.described.list.items.is_some() && rows.values().all(Value::is_object) => {
                Ok(rows.iter().map(|(name, row)| row::named(name, row)).collect())
            }
            Some(_) | None => {
                let at = self.described.list.items.as_ref().map_or("(the whole answer)", |at| at.as_str());
                Err(self.nothing_at(op, "list.items", at, document))
            }
        }
    }

    fn first_page(&self, url: &Url) -> Url {
        match &self.described.list.paging {
            Some(Paging::Page(page)) => self.with_query(url, &page.first.unwrap_or(1).to_string()),
            Some(Paging::Offset(_)) => self.with_query(url, "0"),
            Some(Paging::Cursor(_) | Paging::Link(_) | Paging::Next(_) | Paging::None(_)) | None => url.clone(),
        }
    }

    fn with_query(&self, url: &Url, value: &str) -> Url {
        let name = match &self.described.list.paging {
            Some(Paging::Page(page)) => &page.query,
            Some(Paging::Offset(page)) => &page.query,
            Some(Paging::Cursor(page)) => &page.query,
            Some(Paging::Link(_) | Paging::Next(_) | Paging::None(_)) | None => return url.clone(),
        };
        let mut url = url.clone();
        let others: Vec<(String, String)> = url.query_pairs().filter(|(n, _)| n != name).map(|(n, v)| (n.into(), v.into())).collect();
        url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
        url
    }

    #[expect(clippy::too_many_arguments, reason = "everything a page says about the next one")]
    fn next(&self, op: Op<'_>, page: u64, empty: bool, walk: &Walk, answer: &Answer, document: &Value, at: &Url) -> Result<Next> {
        let reached = walk.total.is_some_and(|total| walk.ids.len() as u64 >= total);
        let no_more = |more: &Option<crate::policy::scalar::Pointer>| -> Result<bool> {
            let Some(more) = more else { return Ok(false) };
            let found = document.pointer(more.as_str()).and_then(Value::as_bool);
            found.map(|more| !more).ok_or_else(|| self.nothing_at(op, "list.paging.….more", more.as_str(), document))
        };
        Ok(match &self.described.list.paging {
            None => {
                self.surely_all(op, walk, answer, document)?;
                Next::End
            }
            Some(Paging::None(_)) => Next::End,
            Some(Paging::Page(by)) => {
                let pages = match &by.pages {
                    None => None,
                    Some(at) => {
                        let found = document.pointer(at.as_str()).and_then(Value::as_u64);
                        Some(found.ok_or_else(|| self.nothing_at(op, "list.paging.page.pages", at.as_str(), document))?)
                    }
                };
                let last = pages.is_some_and(|pages| page + 1 >= pages);
                if empty || last || reached || no_more(&by.more)? {
                    Next::End
                } else {
                    Next::Query((u64::from(by.first.unwrap_or(1)) + page + 1).to_string())
                }
            }
            Some(Paging::Offset(by)) => {
                if empty || reached || no_more(&by.more)? {
                    Next::End
                } else {
                    Next::Query(walk.all.len().to_string())
                }
            }
            Some(Paging::Cursor(by)) => {
                let found = document.pointer(by.at.as_str()).map(super::values::shown).filter(|cursor| !cursor.is_empty());
                match found {
                    _ if no_more(&by.more)? => Next::End,
                    Some(cursor) => Next::Query(cursor),
                    None if by.more.is_some() => return Err(self.nothing_at(op, "list.paging.cursor.at", by.at.as_str(), document)),
                    None => {
                        self.surely_all(op, walk, answer, document)?;
                        Next::End
                    }
                }
            }
            Some(Paging::Link(_)) => match answer.link.as_deref().and_then(next_link) {
                Some(next) => Next::Address(self.same_host(op, at, &next)?),
                None => {
                    self.surely_all(op, walk, answer, document)?;
                    Next::End
                }
            },
            Some(Paging::Next(by)) => match document.pointer(by.at.as_str()).and_then(Value::as_str).filter(|next| !next.is_empty()) {
                Some(next) => Next::Address(self.same_host(op, at, next)?),
                None => {
                    self.surely_all(op, walk, answer, document)?;
                    Next::End
                }
            },
        })
    }

    /// The admin credential goes to no other host because a page says so.
    fn same_host(&self, op: Op<'_>, at: &Url, next: &str) -> Result<Url> {
        let url = at.join(next).map_err(|_| self.unreadable(op, "the next page's address cannot be read"))?;
        if url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none() {
            Ok(url)
        } else {
            Err(self.unreadable(op, "the next page's address is on another host, where the admin credential is not sent"))
        }
    }

    /// A last page must not look as if there were more: a paging that is described wrongly ends too early, and silently.
    fn surely_all(&self, op: Op<'_>, walk: &Walk, answer: &Answer, document: &Value) -> Result<()> {
        let and = "describe it in `list.paging`, or write `paging: { none: {} }` if this page really is all";
        if answer.link.as_deref().and_then(next_link).is_some() {
            return Err(self.unreadable(op, format!("the answer has a `Link` header to a next page; {and}")));
        }
        let blocks = document.as_object().into_iter().flat_map(|o| std::iter::once(document).chain(o.values().filter(|v| v.is_object())));
        for block in blocks {
            let says = |name: &&&str| match block.get(**name) {
                None | Some(Value::Null | Value::Bool(false) | Value::Object(_) | Value::Array(_)) => false,
                Some(Value::Bool(true)) => true,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Number(n)) => n.as_u64().is_some_and(|n| n > 0),
            };
            if let Some(name) = MORE.iter().find(says) {
                return Err(self.unreadable(op, format!("the answer has `{name}`, so there are more pages; {and}")));
            }
            let number = |name: &str| block.get(name).and_then(Value::as_u64);
            let more = ["total", "total_count", "totalCount"].iter().find(|name| number(name).is_some_and(|n| n > walk.all.len() as u64));
            let alone = self.described.list.paging.is_none();
            let pages = ["total_pages", "totalPages", "last_page"].iter().find(|name| alone && number(name).is_some_and(|n| n > 1));
            if let Some(name) = more.or(pages) {
                return Err(self.unreadable(op, format!("the answer's `{name}` is more than it shows; {and}")));
            }
        }
        Ok(())
    }
}

/// What a walk has seen.
struct Walk {
    all: Vec<Value>,
    ids: BTreeSet<String>,
    cursors: BTreeSet<String>,
    total: Option<u64>,
}

impl Walk {
    /// Takes a page; false when it has rows and none of them is new.
    fn take(&mut self, described: &crate::policy::model::http_gateway::HttpGateway, rows: Vec<Value>) -> bool {
        let empty = rows.is_empty();
        let mut new = false;
        for row in rows {
            new |= self.ids.insert(row::id_text(described, &row).unwrap_or_default());
            self.all.push(row);
        }
        new || empty
    }
}

fn op<'a>(field: &'a str, request: &'a HttpRequest) -> Op<'a> {
    Op { action: "list the keys", field, request, usual: Method::Get }
}
