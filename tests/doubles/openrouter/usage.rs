//! What can be known of calls afterwards: counters with a lag, generations by id, days, hours. No API here lists a key's calls.

use super::fields::stamp;
use super::server::{Answer, Request};
use super::world::{Call, Key, Trap, Who, World};
use chrono::{DateTime, Datelike as _, Duration, NaiveDate, NaiveTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl World {
    fn moment(&self) -> DateTime<Utc> {
        i64::try_from(self.clock.now()).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
    }

    /// When the period began, in milliseconds; none: the beginning of time.
    fn began(&self, period: Option<&str>) -> u64 {
        let today = self.moment().date_naive();
        let day = match period {
            Some("daily") => today,
            Some("weekly") => today - Duration::days(i64::from(today.weekday().num_days_from_monday())),
            Some("monthly") => today.with_day(1).unwrap_or(today),
            _ => return 0,
        };
        u64::try_from(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).unwrap_or_default()
    }

    /// Calls that were served for a key, up to some time.
    fn of<'a>(&'a self, id: &'a str, until: u64) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |c| c.refused.is_none() && c.key.as_deref() == Some(id) && c.at <= until)
    }

    /// What a key has spent, as its counters show it.
    pub(super) fn shown(&self, key: &Key, period: Option<&str>) -> f64 {
        if self.has(Trap::CountersStand) {
            return 0.0;
        }
        let (since, until) = (self.began(period), self.clock.now().saturating_sub(self.usage_lag));
        key.extra + self.of(&key.id, until).filter(|c| c.at >= since).map(|c| c.cost).sum::<f64>()
    }

    /// What a key has spent, as the data plane knows it.
    pub(super) fn spent(&self, key: &Key) -> f64 {
        let since = self.began(key.limit_reset.as_deref());
        key.extra + self.of(&key.id, u64::MAX).filter(|c| c.at >= since).map(|c| c.cost).sum::<f64>()
    }

    pub(super) fn last_used(&self, id: &str) -> Option<u64> {
        self.of(id, self.clock.now().saturating_sub(self.usage_lag)).map(|c| c.at).max()
    }
}

/// One operation.
pub(super) fn handle(world: &mut World, operation: &str, request: &Request) -> Result<Answer, Answer> {
    match operation {
        "generation" => generation(world, request),
        "activity" => activity(world, request),
        _ => report(world, operation == "timeseries", request),
    }
}

fn generation(world: &World, request: &Request) -> Result<Answer, Answer> {
    let wrapped = world.dialect == super::Dialect::OpenRouter;
    if matches!(world.who(request)?, Who::Manager) && !wrapped {
        return Err(world.error(403, "management keys have no generations"));
    }
    request.only(if wrapped { &["id"] } else { &["id", "key"] }).map_err(|why| world.error(400, &why))?;
    let Some(id) = request.parameter("id") else { return Err(world.error(400, "id: required")) };
    let until = world.clock.now().saturating_sub(world.usage_lag);
    let Some(call) = world.calls.iter().find(|c| c.id == id && c.refused.is_none() && c.at <= until) else {
        return Err(world.error(404, &format!("Generation {id} not found")));
    };
    let provider = call.model.split('/').next().unwrap_or_default();
    let (input, output) = call.tokens;
    if wrapped {
        let data = json!({"id": call.id, "model": call.model, "provider_name": provider, "created_at": stamp(call.at),
            "total_cost": call.cost, "usage": call.cost, "tokens_prompt": input, "tokens_completion": output, "streamed": call.stream,
            "is_byok": false, "latency": 12, "cancelled": false, "finish_reason": "stop"});
        return Ok(Answer::json(200, &json!({"data": data})));
    }
    Ok(Answer::json(
        200,
        &json!({"id": call.id, "model": call.model, "provider": provider, "created_at": stamp(call.at), "latency_ms": 12,
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output, "cost": call.cost,
                "is_byok": false}}),
    ))
}

/// Thirty days that are over; of yesterday only half an hour after midnight.
fn activity(world: &World, request: &Request) -> Result<Answer, Answer> {
    world.managed(request)?;
    request.only(&["date", "api_key_hash", "user_id", "group_by", "workspace_id"]).map_err(|why| world.error(400, &why))?;
    let last = (world.moment() - Duration::minutes(30)).date_naive() - Duration::days(1);
    let first = world.moment().date_naive() - Duration::days(30);
    let wanted = match request.parameter("date") {
        None => None,
        Some(text) => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) if (first..=last).contains(&day) => Some(day),
            Ok(_) => return Err(world.error(400, "date must be within the last 30 (completed) UTC days")),
            Err(_) => return Err(world.error(400, "date: expected YYYY-MM-DD")),
        },
    };
    if request.parameter("group_by").is_some_and(|g| g != "workspace") {
        return Err(world.error(400, "group_by: expected workspace"));
    }
    let key = match request.parameter("api_key_hash") {
        Some(hash) if !world.keys.iter().any(|k| k.id == hash) => return Err(world.error(404, "API key not found")),
        key => key,
    };
    let mut rows: BTreeMap<(NaiveDate, String), (u64, u64, u64, f64)> = BTreeMap::new();
    for call in world.calls.iter().filter(|c| c.refused.is_none() && key.is_none_or(|k| c.key.as_deref() == Some(k))) {
        let at = i64::try_from(call.at).ok().and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_default();
        let day = at.date_naive();
        if (first..=last).contains(&day) && wanted.is_none_or(|w| w == day) {
            let row = rows.entry((day, call.model.clone())).or_default();
            *row = (row.0 + 1, row.1 + call.tokens.0, row.2 + call.tokens.1, row.3 + call.cost);
        }
    }
    let row = |((day, model), (requests, input, output, cost)): (&(NaiveDate, String), &(u64, u64, u64, f64))| {
        json!({"date": day.to_string(), "model": model, "model_permaslug": model, "endpoint_id": format!("ep-{model}"),
            "provider_name": model.split('/').next(), "requests": requests, "prompt_tokens": input, "completion_tokens": output,
            "reasoning_tokens": 0, "usage": cost, "byok_usage_inference": 0})
    };
    Ok(Answer::json(200, &json!({"data": rows.iter().map(row).collect::<Vec<_>>()})))
}

/// ARouter's totals and hours.
fn report(world: &World, series: bool, request: &Request) -> Result<Answer, Answer> {
    let own = match world.who(request)? {
        Who::Manager => None,
        Who::Holder(at) => world.keys.get(at).map(|k| k.id.clone()),
    };
    let known: &[&str] = &["start_time", "end_time", "key_id", "provider_id", "model", "key", "granularity"];
    let known = if series { known } else { known.get(..6).unwrap_or_default() };
    request.only(known).map_err(|why| world.error(400, &why))?;
    let time = |name: &str| {
        let text = request.parameter(name).unwrap_or_default();
        let parsed = DateTime::parse_from_rfc3339(text).map(|t| u64::try_from(t.timestamp_millis()).unwrap_or_default());
        parsed.map_err(|_| world.error(400, &format!("{name}: expected RFC 3339 time")))
    };
    let (start, end) = (time("start_time")?, time("end_time")?);
    let step = match request.parameter("granularity") {
        None | Some("hourly") => 3_600_000,
        Some("daily") => 86_400_000,
        Some("monthly") => 30 * 86_400_000,
        Some(_) => return Err(world.error(400, "granularity: expected hourly, daily or monthly")),
    };
    let key = own.as_deref().or_else(|| request.parameter("key_id"));
    let until = world.clock.now().saturating_sub(world.usage_lag);
    let fits = |c: &&Call| {
        let provider = c.model.split('/').next();
        c.refused.is_none()
            && (start..end).contains(&c.at)
            && c.at <= until
            && key.is_none_or(|k| c.key.as_deref() == Some(k))
            && request.parameter("model").is_none_or(|m| c.model == m)
            && request.parameter("provider_id").is_none_or(|p| provider == Some(p))
    };
    let calls: Vec<&Call> = world.calls.iter().filter(fits).collect();
    let sums = |calls: &[&Call]| {
        json!({"requests": calls.len(), "input_tokens": calls.iter().map(|c| c.tokens.0).sum::<u64>(),
            "output_tokens": calls.iter().map(|c| c.tokens.1).sum::<u64>(), "estimated_cost_usd": calls.iter().map(|c| c.cost).sum::<f64>()})
    };
    let grouped = |name: &str, of: &dyn Fn(&Call) -> String| -> Vec<Value> {
        let mut groups: BTreeMap<String, Vec<&Call>> = BTreeMap::new();
        for call in &calls {
            groups.entry(of(call)).or_default().push(call);
        }
        let row = |(group, calls): (&String, &Vec<&Call>)| {
            let mut row = sums(calls);
            row[name] = json!(group);
            row
        };
        groups.iter().map(row).collect()
    };
    if series {
        let points = grouped("timestamp", &|c| stamp(c.at - c.at % step));
        return Ok(Answer::json(200, &json!({"data_points": points})));
    }
    let mut body = sums(&calls);
    body["by_provider"] = json!(grouped("provider_id", &|c| c.model.split('/').next().unwrap_or_default().to_owned()));
    body["by_model"] = json!(grouped("model", &|c| c.model.clone()));
    Ok(Answer::json(200, &body))
}
