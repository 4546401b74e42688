//! The data plane of one replica: decide on the key, then on the scope, then answer, and leave a row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::faults::FaultName;
use super::log::Row;
use super::replica::Refusal;
use super::replies::{self, Tokens};
use super::server::{Answer, Call, Problem, Reply};
use super::tables::{Key, Tables};
use super::upstream;
use super::world::{Shared, World};

/// How long the sandbox's models think.
const THINKING: Duration = Duration::from_millis(2);
/// What a token costs.
const PRICE_USD: f64 = 0.000_002;

/// The families of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Chat,
    Responses,
    Embeddings,
    Models,
    WhoAmI,
}

impl Route {
    fn of(method: &str, path: &[&str]) -> Option<Self> {
        match (method, path) {
            ("POST", ["v1", "chat", "completions"]) => Some(Self::Chat),
            ("POST", ["v1", "responses"]) => Some(Self::Responses),
            ("POST", ["v1", "embeddings"]) => Some(Self::Embeddings),
            ("GET", ["v1", "models"]) => Some(Self::Models),
            ("GET", ["v1", "whoami"]) => Some(Self::WhoAmI),
            _ => None,
        }
    }

    /// Its name in scopes and in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat-completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Models => "models",
            Self::WhoAmI => "whoami",
        }
    }

    /// True for calls that ask a model; the others any accepted key may make.
    fn asks_a_model(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => true,
            Self::Models | Self::WhoAmI => false,
        }
    }
}

/// What was found out about a call on the way to its answer.
#[derive(Default)]
struct Found {
    key: Option<Key>,
    model: Option<String>,
    provider_key_id: Option<String>,
    tokens: u64,
    stream: bool,
    slower: Duration,
}

/// Answers one call on a replica.
pub(super) async fn handle(shared: &Arc<Shared>, replica: usize, call: &Call) -> Answer {
    let segments = call.segments();
    if let ["upstream", "v1", rest @ ..] = segments.as_slice() {
        return Answer::Reply(upstream::handle(shared, call, rest));
    }
    if call.method == "GET" && segments == ["healthz"] {
        return Answer::Reply(Reply::json(200, &json!({"ok": true})));
    }
    let Some(route) = Route::of(&call.method, &segments) else {
        return Answer::Reply(Problem::not_found("path").reply());
    };
    let began = Instant::now();
    let mut found = Found::default();
    let (ts, decided) = {
        let mut world = shared.world();
        let decided = decide(&mut world, replica, route, call, &mut found);
        (world.now(), decided)
    };
    tokio::time::sleep(THINKING + found.slower).await;
    let mut world = shared.world();
    let (reply, error_type) = match decided {
        Ok(reply) => (reply, None),
        Err(problem) => (told(&world, problem.clone(), call).reply(), Some(problem.kind)),
    };
    let mut row = Row {
        ts,
        request_id: call.request_id.clone(),
        key_id: None,
        key_name: None,
        owner: None,
        provider_key_id: found.provider_key_id,
        consumer: call.header("x-client-app", 64).map(str::to_owned),
        purpose: match call.header("x-keyroll-purpose", 16) {
            Some("probe") => "probe".to_owned(),
            Some(_) | None => "app".to_owned(),
        },
        route: route.name().to_owned(),
        model: found.model,
        status: reply.status,
        error_type: error_type.map(str::to_owned),
        latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        tokens: found.tokens,
        // A call has far fewer tokens than a float can count.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        cost_usd: found.tokens as f64 * PRICE_USD,
        stream: found.stream,
        replica,
    };
    attribute(&world, found.key.as_ref(), &mut row);
    world.record(row);
    Answer::Reply(reply)
}

/// Names the key of a row, as the faults allow.
fn attribute(world: &World, key: Option<&Key>, row: &mut Row) {
    let Some(key) = key else { return };
    let tables = &world.state.tables;
    let wrong = world.state.faults.is_on(FaultName::UsageOnWrongOwner) && tables.is_newest(key);
    let other = || {
        let same = tables.oldest_of(key.owner.as_deref(), &key.id);
        same.or_else(|| tables.sorted().into_iter().find(|other| other.id != key.id))
    };
    let named = if wrong { other() } else { Some(key) };
    if let Some(named) = named {
        row.key_id = Some(named.id.clone());
        row.key_name = Some(named.name.clone());
        row.owner.clone_from(&named.owner);
    }
}

/// The error as the caller reads it.
fn told(world: &World, mut problem: Problem, call: &Call) -> Problem {
    if world.state.faults.is_on(FaultName::EchoKeyInErrors)
        && let Some(secret) = call.bearer()
    {
        problem.message = format!("{} (key provided: {secret})", problem.message);
    }
    problem
}

/// Everything between the request and the answer, in the order of a real gateway: key, limits, body, scope, model.
fn decide(world: &mut World, replica: usize, route: Route, call: &Call, found: &mut Found) -> Result<Reply, Problem> {
    let secret = call.bearer().ok_or_else(|| refused(Refusal::Missing))?;
    // A refused call belongs to the key that has, or ever had, this secret.
    found.key = world.state.tables.by_secret(secret).cloned();
    let key = world.judge(replica, secret).map_err(refused)?;
    found.key = Some(key.clone());
    if world.fault_means(FaultName::LatencyShift, &key) {
        let ms = world.state.faults.number(FaultName::LatencyShift, "ms");
        found.slower = Duration::from_millis(ms.unwrap_or(0));
    }
    in_burst(world, &key)?;
    let tables = world.seen_by(replica);
    match route {
        Route::WhoAmI => {
            let body = json!({"key_id": key.id, "name": key.name, "owner": key.owner});
            return Ok(Reply::json(200, &body));
        }
        Route::Models => {
            let names: Vec<_> = tables.models.keys().map(String::as_str).filter(|name| key.scope.allows("models", name)).collect();
            return Ok(replies::models(&names));
        }
        Route::Chat | Route::Responses | Route::Embeddings => {}
    }
    within_limits(world, &key)?;
    let asked: Value = call.json()?;
    let model = asked.get("model").and_then(Value::as_str);
    let model = model.ok_or_else(|| Problem::bad("model is missing"))?;
    found.model = Some(model.chars().filter(|sign| !sign.is_control()).take(128).collect());
    found.stream = asked.get("stream") == Some(&Value::Bool(true));
    allowed(&tables, &key, route, model)?;
    let tokens = Tokens::of(call.body.len(), 8);
    found.provider_key_id = tables.models.get(model).map(|model| model.provider_key_id.clone());
    upstream::serve(world, &tables, model)?;
    found.tokens = tokens.total();
    let now = world.now_ms() / 1000;
    let id = &call.request_id;
    Ok(match route {
        Route::Responses => replies::responses(id, now, model, &asked, tokens),
        Route::Embeddings => replies::embeddings(model, tokens),
        Route::Chat | Route::Models | Route::WhoAmI => replies::chat(id, now, model, &asked, tokens),
    })
}

fn refused(refusal: Refusal) -> Problem {
    let message = "the API key is not accepted";
    Problem::new(401, "invalid_api_key", refusal.code(), message)
}

/// The fault `bursts_5xx`: of every so many accepted calls the first few fail.
fn in_burst(world: &mut World, key: &Key) -> Result<(), Problem> {
    if !world.fault_means(FaultName::Bursts5xx, key) {
        return Ok(());
    }
    let faults = &world.state.faults;
    let every = faults.number(FaultName::Bursts5xx, "every").unwrap_or(1);
    let length = faults.number(FaultName::Bursts5xx, "len").unwrap_or(0);
    let place = world.burst % every.max(1);
    world.burst += 1;
    if place < length {
        let message = "the gateway is overloaded";
        return Err(Problem::new(503, "overloaded", "overloaded", message));
    }
    Ok(())
}

fn within_limits(world: &mut World, key: &Key) -> Result<(), Problem> {
    if !world.within_rpm(key) {
        let message = "the key has used up its calls of this minute";
        return Err(Problem::new(429, "rate_limit_exceeded", "rpm", message));
    }
    let spent = world.usage.keys.get(&key.id).map_or(0.0, |used| used.cost_usd);
    if key.scope.limit("budget_usd").is_some_and(|budget| spent >= budget) {
        let message = "the key has spent its budget";
        return Err(Problem::new(429, "insufficient_quota", "budget", message));
    }
    Ok(())
}

fn allowed(tables: &Tables, key: &Key, route: Route, model: &str) -> Result<(), Problem> {
    debug_assert!(route.asks_a_model(), "only these have a scope");
    if !key.scope.allows("routes", route.name()) {
        let message = "the key may not use this route";
        return Err(Problem::new(403, "forbidden", "route_not_allowed", message));
    }
    if !key.scope.allows("models", model) {
        let message = "the key may not use this model";
        return Err(Problem::new(403, "forbidden", "model_not_allowed", message));
    }
    if !tables.models.contains_key(model) {
        return Err(Problem::new(404, "not_found", "model_not_found", "no such model"));
    }
    Ok(())
}
