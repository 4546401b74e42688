//! The callers: five habits of reading the slot file, and one caller that nobody listed.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::faults::FaultName;
use super::log::ConsumerRow;
use super::state::slot_value;
use super::world::Shared;
use super::{SandboxError, ids};

/// When a consumer looks at the slot file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Before every call.
    EachCall,
    /// When this time has passed since the last look.
    Every(Duration),
    /// When it starts; it starts this often and makes so many calls.
    AtStart(Duration, u32),
    /// Only when told to.
    WhenTold,
}

/// One caller.
#[derive(Debug, Clone)]
pub(super) struct Habit {
    pub(super) app: &'static str,
    /// In words, for people.
    pub(super) habit: &'static str,
    /// What a policy would say.
    pub(super) cadence: &'static str,
    reads: Reads,
    /// Between two calls, at rate 1.
    pause: Duration,
    routes: &'static [Asks],
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Chat,
    Stream,
    Tools,
    Responses,
    Embeddings,
}

/// The five habits.
pub(super) const HABITS: [Habit; 5] = [
    Habit {
        app: "web",
        habit: "reads the slot before every call",
        cadence: "continuous",
        reads: Reads::EachCall,
        pause: Duration::from_millis(50),
        routes: &[Asks::Chat, Asks::Stream],
    },
    Habit {
        app: "worker",
        habit: "reads the slot every second",
        cadence: "continuous",
        reads: Reads::Every(Duration::from_secs(1)),
        pause: Duration::from_millis(100),
        routes: &[Asks::Responses],
    },
    Habit {
        app: "nightly",
        habit: "starts every three seconds, reads the slot, makes three calls, ends",
        cadence: "3s",
        reads: Reads::AtStart(Duration::from_secs(3), 3),
        pause: Duration::ZERO,
        routes: &[Asks::Embeddings, Asks::Embeddings, Asks::Chat],
    },
    Habit {
        app: "batch",
        habit: "keeps its key until it is reloaded",
        cadence: "continuous",
        reads: Reads::WhenTold,
        pause: Duration::from_millis(200),
        routes: &[Asks::Chat],
    },
    Habit {
        app: "agent",
        habit: "keeps its key for two seconds",
        cadence: "continuous",
        reads: Reads::Every(Duration::from_secs(2)),
        pause: Duration::from_millis(200),
        routes: &[Asks::Tools, Asks::Stream],
    },
];

/// What every caller needs.
struct Caller {
    shared: Arc<Shared>,
    client: reqwest::Client,
    stop: watch::Receiver<bool>,
    turn: usize,
}

/// Starts all callers; each ends after its current call when told to stop.
pub(super) fn start(shared: &Arc<Shared>, stop: &watch::Receiver<bool>) -> Result<Vec<JoinHandle<()>>, SandboxError> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|why| SandboxError::system("make the consumers' HTTP client", &why))?;
    let caller = || Caller { shared: Arc::clone(shared), client: client.clone(), stop: stop.clone(), turn: 0 };
    let mut tasks = vec![tokio::spawn(unlisted(caller()))];
    if shared.options.consumers {
        for habit in HABITS {
            tasks.push(tokio::spawn(live(caller(), habit)));
        }
    }
    Ok(tasks)
}

/// Reads the slot file for a consumer. What cannot be read changes nothing.
pub(super) fn load(shared: &Shared, app: &str, asked: bool) -> Result<(), String> {
    let text = fs::read_to_string(&shared.slot).map_err(|why| why.to_string());
    let value = text.and_then(|text| slot_value(&text).ok_or_else(|| "no key in it".to_owned()));
    let value = value.map_err(|why| format!("the slot file cannot be used: {why}"))?;
    let mut world = shared.world();
    let now = world.now_ms();
    let memory = world.state.consumers.entry(app.to_owned()).or_default();
    memory.loaded_at = Some(now);
    if asked || memory.value.as_ref() != Some(&value) {
        memory.value = Some(value);
        memory.generation += 1;
        world.save().map_err(|why| format!("failed to {why}"))?;
    }
    Ok(())
}

async fn live(mut caller: Caller, habit: Habit) {
    let shared = Arc::clone(&caller.shared);
    let mut read_at: Option<Instant> = None;
    let remembers = |app: &str| {
        let world = shared.world();
        let memory = world.state.consumers.get(app);
        memory.is_some_and(|memory| memory.value.is_some())
    };
    let pause = match habit.reads {
        Reads::AtStart(every, _) => every,
        Reads::EachCall | Reads::Every(_) | Reads::WhenTold => habit.pause.div_f64(shared.options.rate),
    };
    if !remembers(habit.app) {
        let _it_tries_again_below = load(&shared, habit.app, false);
    }
    while caller.waits(pause).await {
        if stopped(&shared, habit.app) {
            continue;
        }
        let due = match habit.reads {
            Reads::EachCall | Reads::AtStart(..) => true,
            Reads::Every(period) => read_at.is_none_or(|at| at.elapsed() >= period),
            Reads::WhenTold => !remembers(habit.app),
        };
        if due {
            read_at = Some(Instant::now());
            let _the_last_value_stays = load(&shared, habit.app, false);
        }
        let calls = match habit.reads {
            Reads::AtStart(_, calls) => calls,
            Reads::EachCall | Reads::Every(_) | Reads::WhenTold => 1,
        };
        for _ in 0..calls {
            if stopped(&shared, habit.app) || *caller.stop.borrow() {
                break;
            }
            caller.call(habit.app, habit.routes).await;
        }
    }
}

/// The caller of the fault `unlisted_caller`: it holds what the slot held when it first came, for ever.
async fn unlisted(mut caller: Caller) {
    let shared = Arc::clone(&caller.shared);
    let name = FaultName::UnlistedCaller;
    loop {
        let (app, every) = {
            let world = shared.world();
            let faults = &world.state.faults;
            let every = faults.number(name, "every_ms").unwrap_or(20);
            (faults.text(name, "app").map(str::to_owned), every)
        };
        if !caller.waits(Duration::from_millis(every.max(1))).await {
            return;
        }
        let Some(app) = app.filter(|app| !stopped(&shared, app)) else {
            continue;
        };
        let known = shared.world().state.consumers.contains_key(&app);
        if !known && load(&shared, &app, false).is_err() {
            continue;
        }
        caller.call(&app, &[Asks::Chat]).await;
    }
}

fn stopped(shared: &Shared, app: &str) -> bool {
    let world = shared.world();
    world.state.consumers.get(app).is_some_and(|memory| memory.stopped)
}

impl Caller {
    /// Waits; false when it is time to end.
    async fn waits(&mut self, pause: Duration) -> bool {
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// One call, never repeated, written down whatever comes back.
    async fn call(&mut self, app: &str, routes: &[Asks]) {
        let turn = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let data = &self.shared.urls.data;
        let Some(base) = data.get(turn % data.len().max(1)) else {
            return;
        };
        let Some(asks) = routes.get(turn % routes.len().max(1)) else {
            return;
        };
        let Ok(request_id) = ids::random(&format!("{app}-"), 8) else {
            return;
        };
        let (ts, value) = {
            let mut world = self.shared.world();
            let memory = world.state.consumers.get(app);
            let Some(value) = memory.and_then(|memory| memory.value.clone()) else {
                return;
            };
            let key_id = world.state.tables.by_secret(&value).map(|key| key.id.clone());
            let counted = world.counted.entry(app.to_owned()).or_default();
            counted.busy = true;
            counted.last_key_id = key_id;
            (world.now(), value)
        };
        let (path, body) = request(*asks);
        let sent = self
            .client
            .post(format!("{base}/{path}"))
            .header("x-client-app", app)
            .header("x-request-id", &request_id)
            .bearer_auth(value)
            .json(&body)
            .send()
            .await;
        let status = match sent {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let _only_to_reuse_the_connection = answer.bytes().await;
                status
            }
            Err(_) => 0,
        };
        let row = ConsumerRow { ts, consumer: app.to_owned(), request_id, status };
        let mut world = self.shared.world();
        world.logs.consumers.append(&row);
        let counted = world.counted.entry(app.to_owned()).or_default();
        counted.add(&row);
        counted.busy = false;
    }
}

fn request(asks: Asks) -> (&'static str, Value) {
    let messages = json!([{"role": "user", "content": "hello"}]);
    match asks {
        Asks::Chat => ("v1/chat/completions", json!({"model": "demo-small", "messages": messages})),
        Asks::Stream => ("v1/chat/completions", json!({"model": "demo-small", "messages": messages, "stream": true})),
        Asks::Tools => (
            "v1/chat/completions",
            json!({"model": "demo-small", "messages": messages,
                "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]}),
        ),
        Asks::Responses => ("v1/responses", json!({"model": "demo-small", "input": "hello"})),
        Asks::Embeddings => ("v1/embeddings", json!({"model": "demo-embed", "input": "hello"})),
    }
}
