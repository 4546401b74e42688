//! Two independent counts of the same requests: what the consumers saw, and what the gateway logged.

use crate::cli::out::{Out, Tone};
use crate::rotation::{End, Kind, Run, Time};
use crate::sandbox::Running;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    requests: u64,
    refused: u64,
    after_disable: u64,
}

#[derive(Deserialize)]
struct Row {
    ts: String,
    request_id: String,
    status: u16,
    purpose: Option<String>,
    consumer: Option<String>,
}

/// Stops the consumers, so that both sides are at rest, and compares.
pub(super) async fn tell(running: &Running, run: &Run, out: &Out) {
    let Some(start) = run.since.start.as_ref().map(|s| s.at) else { return };
    let disabled = run.since.disabled.as_ref().map(|s| s.at);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    if let Ok(client) = &client {
        for app in &run.plan.consumers {
            let _ = client.post(format!("{}/consumers/{}/stop", running.urls.control, app.app)).send().await;
        }
    }
    let dir = running.admin_key_file.parent().unwrap_or(Path::new("."));
    let files: Vec<_> = std::fs::read_dir(&running.urls.log).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    let logged = read(&files, run);
    let mut counted = read(&[dir.join("consumers.jsonl")], run);
    // One clock decides what belongs to the run: a request that both sides know is dated by the gateway.
    for (id, row) in &mut counted {
        if let Some(other) = logged.get(id) {
            row.at = other.at;
        }
    }
    // Who is refused for a provider key hears of it from the gateway in other words.
    let refusals: &[u16] = if matches!(run.plan.kind, Kind::Provider { .. }) { &[401, 403, 502] } else { &[401, 403] };
    let consumers = count(&counted, start, disabled, refusals);
    let gateway = count(&logged, start, disabled, refusals);
    if let Ok(client) = &client {
        // The next run on this sandbox needs them again.
        for app in &run.plan.consumers {
            let _ = client.post(format!("{}/consumers/{}/start", running.urls.control, app.app)).send().await;
        }
    }
    let agree = consumers == gateway && consumers.requests > 0;
    if out.json {
        out.value(&serde_json::json!({
            "kind": "witness", "v": 1, "agree": agree,
            "consumers": { "requests": consumers.requests, "refused": consumers.refused, "after_disable": consumers.after_disable },
            "gateway_log": { "requests": gateway.requests, "refused": gateway.refused, "after_disable": gateway.after_disable },
        }));
        return;
    }
    let row = |who: &str, c: Count| vec![who.to_owned(), c.requests.to_string(), c.after_disable.to_string(), c.refused.to_string()];
    out.say(&out.table(
        &["counted by", "requests", "after the disable", "refused"],
        vec![row("the consumers", consumers), row("the gateway's log", gateway)],
    ));
    let done = run.ended == Some(End::Done);
    let verdict = match (agree, consumers.refused == 0 && gateway.refused == 0) {
        (true, true) if done => out.paint(Tone::Good, "the two counts agree, and no consumer request was refused"),
        (true, true) => "the two counts agree, and no consumer request was refused".into(),
        (false, _) => out.paint(Tone::Bad, "the two counts do not agree"),
        (true, false) => out.paint(Tone::Bad, "consumer requests were refused"),
    };
    out.say(&format!("  {verdict}"));
}

/// One request of a listed consumer.
struct Request {
    at: Time,
    status: u16,
}

fn read(files: &[PathBuf], run: &Run) -> BTreeMap<String, Request> {
    let mut requests = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for line in text.lines() {
            let Ok(row) = serde_json::from_str::<Row>(line) else { continue };
            let listed = row.consumer.as_deref().is_some_and(|c| run.plan.claimed_by(c).is_some());
            let app = row.purpose.as_deref().is_none_or(|p| p == "app");
            if let (Some(at), true, true) = (Time::parse(&row.ts), listed, app) {
                requests.insert(row.request_id, Request { at, status: row.status });
            }
        }
    }
    requests
}

fn count(requests: &BTreeMap<String, Request>, start: Time, disabled: Option<Time>, refusals: &[u16]) -> Count {
    let mut count = Count::default();
    for request in requests.values().filter(|r| r.at >= start) {
        count.requests += 1;
        count.refused += u64::from(refusals.contains(&request.status));
        count.after_disable += u64::from(disabled.is_some_and(|d| request.at >= d));
    }
    count
}
