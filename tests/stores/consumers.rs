//! Consumers that read the secret from a store through its own API, and call the sandbox's data plane with what they read.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a consumer reads the secret; made and used inside its own thread and runtime.
pub(crate) trait Source: 'static {
    /// What the store says now; none when it does not answer with a value.
    async fn read(&self) -> Option<String>;
}

/// One caller: its name, its pause between calls, and how long it keeps what it read.
type Habit = (&'static str, Duration, Duration);

/// As `policy.yaml` of the whole rotations names them.
const HABITS: [Habit; 4] = [
    ("web", Duration::from_millis(60), Duration::ZERO),
    ("worker", Duration::from_millis(120), Duration::from_secs(1)),
    ("agent", Duration::from_millis(200), Duration::from_secs(2)),
    ("nightly", Duration::from_secs(3), Duration::ZERO),
];

#[derive(Default)]
struct Counts {
    by_status: BTreeMap<u16, usize>,
    /// What went wrong, without any value.
    refused: Vec<String>,
    unread: usize,
    /// The different values that were read, in order.
    values: Vec<String>,
}

/// All consumers; they stop when dropped.
pub(crate) struct Fleet {
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

impl Fleet {
    /// Starts them: `source` is called once in each thread.
    pub(crate) fn start<S: Source>(data: &[String], source: impl Fn() -> S + Send + Sync + 'static) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Counts::default())));
        let source = Arc::new(source);
        let threads = HABITS
            .into_iter()
            .map(|habit| {
                let (stop, counts, source, data) = (stop.clone(), counts.clone(), source.clone(), data.to_vec());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(live(habit, &source(), &data, &stop, &counts));
                })
            })
            .collect();
        Self { stop, counts, threads }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _its_counts_stand = thread.join();
        }
    }

    /// Ends them; every call they made must have been accepted.
    pub(crate) fn none_was_refused(mut self) -> Vec<String> {
        self.end();
        let counts = self.counts.lock().unwrap();
        assert!(counts.refused.is_empty(), "{} refused: {:?}", counts.refused.len(), counts.refused.first());
        let good = counts.by_status.get(&200).copied().unwrap_or_default();
        println!("{good} calls by consumers that read the store, none refused; {} reads without an answer", counts.unread);
        assert!(good > 50, "only {good} calls: {:?}", counts.by_status);
        counts.values.clone()
    }
}

async fn live<S: Source>((app, pause, keeps): Habit, source: &S, data: &[String], stop: &AtomicBool, counts: &Mutex<Counts>) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let mut held: Option<(String, Instant)> = None;
    for turn in 0_usize.. {
        if held.as_ref().is_none_or(|(_, at)| at.elapsed() >= keeps) {
            match source.read().await {
                Some(value) => {
                    let mut counts = counts.lock().unwrap();
                    if counts.values.last() != Some(&value) && !counts.values.contains(&value) {
                        counts.values.push(value.clone());
                    }
                    held = Some((value, Instant::now()));
                }
                None => counts.lock().unwrap().unread += 1,
            }
        }
        if let Some((value, _)) = &held {
            let call = client
                .post(format!("{}/v1/chat/completions", data[turn % data.len()]))
                .header("x-client-app", app)
                .header("x-request-id", format!("{app}-{turn}"))
                .bearer_auth(value)
                .json(&json!({ "model": "demo-small", "messages": [{ "role": "user", "content": "hello" }] }));
            let status = match call.send().await {
                Ok(answer) => answer.status().as_u16(),
                Err(_) => 0,
            };
            let mut counts = counts.lock().unwrap();
            *counts.by_status.entry(status).or_default() += 1;
            if status == 401 || status == 403 {
                counts.refused.push(format!("{app} call {turn}: {status}"));
            }
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}
