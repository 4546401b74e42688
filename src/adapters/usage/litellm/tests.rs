//! The spend log, by a server that keeps rows and answers as version 1.106.2 does.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::{LiteLlmUsage, Settings};
use crate::policy::model::gateway::Caller;
use crate::ports::{PortError, UsageQuery, UsageSource};
use crate::rotation::{App, CallerCount, KeyId, RequestId, Span, Time, UsageTable, Which};
use crate::secret::SecretText;
use crate::support::own_call;
use crate::usage::Ours;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const T0: i64 = 1_795_000_000_000;

/// The log: rows, how many calls were answered, and whether the filter for a key works.
struct Log {
    base: String,
    rows: Arc<Mutex<Vec<Value>>>,
    calls: Arc<Mutex<u32>>,
}

fn parameter(line: &str, name: &str) -> Option<String> {
    let query = line.split([' ', '?']).nth(2)?;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(found.replace('+', " ").replace("%3A", ":"))
}

fn answer(rows: &[Value], line: &str, filters: bool) -> Value {
    let second = |name: &str| Time::parse(&format!("{}Z", parameter(line, name).unwrap().replace(' ', "T"))).unwrap();
    let number = |name: &str| parameter(line, name).unwrap().parse::<usize>().unwrap();
    let (from, to) = (second("start_date"), second("end_date"));
    let at = |row: &Value| Time::parse(row["startTime"].as_str().unwrap()).unwrap_or(from);
    let key = parameter(line, "api_key").filter(|_| filters);
    let mut found: Vec<&Value> =
        rows.iter().filter(|r| (from..=to).contains(&at(r)) && key.as_ref().is_none_or(|k| r["api_key"] == **k)).collect();
    found.sort_by_key(|row| at(row));
    if parameter(line, "sort_order").unwrap() == "desc" {
        found.reverse();
    }
    let (size, page, total) = (number("page_size"), number("page"), found.len());
    let data: Vec<&Value> = found.into_iter().skip((page - 1) * size).take(size).collect();
    json!({"data": data, "total": total.min(10_000), "page": page, "total_pages": total.min(10_000).div_ceil(size), "total_is_capped": total > 10_000})
}

impl Log {
    fn new(filters: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (rows, calls) = (Arc::new(Mutex::new(Vec::<Value>::new())), Arc::new(Mutex::new(0)));
        let (kept, count) = (rows.clone(), calls.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().take(2000).flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                let mut request = [0; 8192];
                let length = stream.read(&mut request).unwrap_or(0);
                let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned();
                *count.lock().unwrap() += 1;
                let body = if line.contains("/spend/") { answer(&kept.lock().unwrap(), &line, filters).to_string() } else { "{}".into() };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 14:57:07 GMT\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Self { base, rows, calls }
    }

    fn add(&self, ms: i64, key: &str, more: Value) {
        let mut rows = self.rows.lock().unwrap();
        let mut row = json!({"request_id": format!("r{}", rows.len()), "api_key": key, "startTime": Time(T0 + ms).rfc3339(), "status": "success",
            "end_user": "web", "metadata": {}});
        for (name, value) in more.as_object().unwrap() {
            row[name.as_str()] = value.clone();
        }
        rows.push(row);
    }

    fn source(&self, places: &[&str], caller: Option<Caller>) -> LiteLlmUsage {
        LiteLlmUsage::new(Settings {
            base: self.base.clone(),
            admin: SecretText::new("sk-admin-0123456789"),
            call_timeout: Span(3000),
            ca_pem: None,
            places: places.iter().map(|p| (*p).to_owned()).collect(),
            lag: Span(15_000),
            caller,
            ours: Ours(std::rc::Rc::new(|id| id.starts_with("kr-mac"))),
        })
        .unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn read(source: &LiteLlmUsage, own: &[&str]) -> Result<UsageTable, PortError> {
    let own: BTreeMap<RequestId, Which> = own.iter().map(|id| (RequestId::new(*id), Which::Old)).collect();
    let (old, new) = (KeyId::new("old"), KeyId::new("new"));
    wait(source.read(UsageQuery { old: &old, new: Some(&new), from: Time(T0), to: Time(T0 + 100_000), own: &own }))
}

fn of(table: &UsageTable, which: Which, caller: &str) -> CallerCount {
    table.of(which).get(&App::new(caller)).cloned().unwrap_or_default()
}

fn problem(code: &str, class: &str, message: &str, provider: &str) -> Value {
    json!({"status": "failure", "metadata": {"error_information":
        {"error_code": code, "error_class": class, "error_message": message, "llm_provider": provider}}})
}

#[test]
fn rows_are_counted_by_key_and_caller_and_refusals_are_told_from_other_failures() {
    let log = Log::new(true);
    log.add(1_000, "old", json!({}));
    log.add(2_000, "old", problem("", "Exception", "Key is blocked. Update via …", ""));
    log.add(3_000, "old", problem("401", "ProxyException", "Authentication Error - Expired Key.", ""));
    log.add(4_000, "old", problem("401", "KeyNotFoundError", "…", ""));
    log.add(5_000, "old", problem("401", "AuthenticationError", "the provider's own key is wrong", "openai"));
    log.add(6_000, "old", problem("429", "RateLimitError", "…", ""));
    log.add(7_000, "new", json!({"end_user": "", "metadata": {"user_agent": "batch/1.2 (x)"}}));
    log.add(8_000, "third", json!({}));
    let table = read(&log.source(&["a"], None), &[]).unwrap();
    let web = of(&table, Which::Old, "web");
    assert_eq!((web.accepted, web.refused, web.other), (1, 3, 2));
    assert_eq!((web.last_refused, web.last_used), (Some(Time(T0 + 4_000)), Some(Time(T0 + 6_000))));
    assert_eq!(of(&table, Which::New, "batch").accepted, 1);
    assert_eq!((table.rows, table.reaches, table.watermark()), (8, Some(Time(T0 + 1_000)), Some(Time(T0 + 8_000 - 15_000))));
    let by_agent = read(&log.source(&["a"], Some(Caller::EndUser)), &[]).unwrap();
    assert_eq!(of(&by_agent, Which::New, "").accepted, 1, "no other field is taken than the one that was asked for");
}

#[test]
fn our_own_call_is_found_also_where_only_its_user_agent_was_kept() {
    let log = Log::new(true);
    log.add(1_000, "new", json!({"litellm_call_id": "kr-1", "team_id": "t"}));
    log.add(2_000, "new", json!({"litellm_call_id": "kr-1"}));
    let mut refused = problem("", "Exception", "Key is blocked.", "");
    refused["litellm_call_id"] = json!("made by the gateway");
    refused["metadata"]["user_agent"] = json!(own_call::agent("kr-2", 1));
    log.add(3_000, "old", refused);
    log.add(4_000, "old", json!({"metadata": {"user_agent": own_call::agent("kr-foreign", 0)}}));
    log.add(5_000, "old", json!({"metadata": {"user_agent": own_call::agent("kr-mac-of-a-plan", 0)}}));
    let table = read(&log.source(&["a", "b"], None), &["kr-1", "kr-2"]).unwrap();
    let (one, two) = (&table.own[&RequestId::new("kr-1")], &table.own[&RequestId::new("kr-2")]);
    assert_eq!((one.key, one.owner.as_str(), one.at, one.refused), (Some(Which::New), "t", Time(T0 + 1_000), false));
    assert_eq!((two.key, two.refused), (Some(Which::Old), true));
    assert_eq!(of(&table, Which::New, "web").accepted, 1, "whoever repeats our id is somebody else");
    assert_eq!((of(&table, Which::Old, "web").accepted, table.own.len()), (1, 2), "an id that is not ours is a use");
}

#[test]
fn each_instance_must_be_heard_from_by_a_call_of_ours() {
    let log = Log::new(true);
    log.add(1_000, "new", json!({"metadata": {"user_agent": own_call::agent("kr-1", 0)}}));
    log.add(9_000, "new", json!({}));
    let source = log.source(&["a", "b"], None);
    assert_eq!(read(&source, &["kr-1", "kr-2"]).unwrap().watermark(), None, "b may have stopped writing");
    log.add(3_000, "new", json!({"metadata": {"user_agent": own_call::agent("kr-2", 1)}}));
    assert_eq!(read(&source, &["kr-1", "kr-2"]).unwrap().watermark(), Some(Time(T0 + 1_000 - 15_000)));
}

#[test]
fn a_row_that_shows_late_is_found_and_what_is_known_is_not_read_again() {
    let log = Log::new(true);
    for n in 0..250 {
        log.add(n * 10, "old", json!({}));
    }
    let source = log.source(&["a"], None);
    assert_eq!(of(&read(&source, &[]).unwrap(), Which::Old, "web").accepted, 250);
    *log.calls.lock().unwrap() = 0;
    assert_eq!(of(&read(&source, &[]).unwrap(), Which::Old, "web").accepted, 250);
    assert!(*log.calls.lock().unwrap() <= 6, "a reading without news counts and walks through no page");
    log.add(500, "old", json!({"end_user": "late"}));
    assert_eq!(of(&read(&source, &[]).unwrap(), Which::Old, "late").accepted, 1);
}

#[test]
fn more_rows_than_can_be_counted_are_read_in_parts() {
    let log = Log::new(true);
    for n in 0..10_500 {
        log.add(n * 9, "old", json!({}));
    }
    let table = read(&log.source(&["a"], None), &[]).unwrap();
    assert_eq!((of(&table, Which::Old, "web").accepted, table.rows), (10_500, 10_500));
}

#[test]
fn a_filter_that_is_ignored_and_a_time_that_cannot_be_read_are_noticed() {
    let log = Log::new(false);
    log.add(1_000, "old", json!({}));
    log.add(2_000, "stranger", json!({}));
    assert!(matches!(read(&log.source(&["a"], None), &[]), Err(PortError::Unreadable { .. })));
    let log = Log::new(true);
    log.add(1_000, "old", json!({"startTime": "yesterday"}));
    assert_eq!(read(&log.source(&["a"], None), &[]).unwrap().malformed, 1);
}
