//! `keys` and `orphans`: the population of keys, and what no finished run accounts for.

use crate::cli::args::{Global, PolicyOnly};
use crate::cli::clock;
use crate::cli::fault::Fault;
use crate::cli::out::Out;
use crate::cli::signals::Stop as Signal;
use crate::cli::wire::Wired;
use crate::cli::{load, session};
use crate::journal::StateDir;
use crate::ports::{Gateway, Ports, SecretStore};
use crate::rotation::{KeyFacts, Marker, Record, Snapshot, Span, Time};

struct Population {
    state: StateDir,
    keys: Vec<KeyFacts>,
    slots: Vec<(String, Snapshot)>,
    base: String,
    at: Time,
    interval: Option<Span>,
}

fn read(args: &PolicyOnly, global: &Global, out: &Out) -> Result<Population, Fault> {
    let loaded = load::policy(&args.policy, args.env.as_deref(), out)?;
    let state = StateDir::make(session::state_path(global, Some(&loaded.policy))?)?;
    let interval = loaded.policy.rotation.interval.map(|p| Span(p.as_millis()));
    session::runtime()?.block_on(async {
        let wired = Wired::connect(&loaded.policy, &state, None, &Signal::default(), out).await?;
        let keys = wired.gateway().list().await?;
        let base = wired.gateway().identity().await?.base;
        let mut slots = Vec::new();
        for (i, (name, _)) in wired.slot_names().into_iter().enumerate() {
            if let Some(store) = wired.slot(crate::rotation::SlotNo(u16::try_from(i).unwrap_or(u16::MAX))) {
                slots.push((name, store.observe().await?));
            }
        }
        Ok(Population { state: state.clone(), keys, slots, base, at: clock::wall(), interval })
    })
}

pub(crate) fn keys(args: &PolicyOnly, global: &Global, out: &Out) -> Result<u8, Fault> {
    let p = read(args, global, out)?;
    let overdue = |k: &KeyFacts| match (p.interval, k.created_at) {
        (Some(interval), Some(created)) => Some(p.at.since(created) > interval),
        (None, _) | (_, None) => None,
    };
    if out.json {
        let rows: Vec<_> = p
            .keys
            .iter()
            .map(|k| {
                serde_json::json!({
                    "id": k.id, "name": k.name, "owner": k.owner, "enabled": k.enabled, "marker": k.marker, "created_at": k.created_at,
                    "last_used_at": k.last_used_at, "expires_at": k.expires_at, "scope": k.scope, "overdue": overdue(k),
                })
            })
            .collect();
        out.value(&serde_json::json!({ "v": 1, "source": p.base, "query": "every key, disabled ones included", "at": p.at, "rows": rows.len(), "keys": rows }));
        return Ok(0);
    }
    let rows = p
        .keys
        .iter()
        .map(|k| {
            let age = k.created_at.map_or_else(|| "?".into(), |t| p.at.since(t).to_string());
            let used = k.last_used_at.map_or_else(|| "never or unknown".into(), |t| format!("{} ago", p.at.since(t)));
            let state = match (k.enabled, overdue(k)) {
                (false, _) => "disabled",
                (true, Some(true)) => "overdue",
                (true, Some(false) | None) => "enabled",
            };
            vec![k.id.to_string(), k.name.clone(), k.owner.clone(), state.into(), age, used, k.marker.clone()]
        })
        .collect();
    out.data(&out.table(&["id", "name", "owner", "state", "age", "last used", "marker"], rows));
    out.say(&format!("{} at {}, {}", crate::support::text::plural(p.keys.len(), "key", "keys"), p.base, p.at.rfc3339()));
    Ok(0)
}

pub(crate) fn orphans(args: &PolicyOnly, global: &Global, out: &Out) -> Result<u8, Fault> {
    let p = read(args, global, out)?;
    let mut found = Vec::new();
    for key in &p.keys {
        let Some(run) = Marker::run(&key.marker) else { continue };
        let what = match p.state.load(&run) {
            Ok((records, _)) if matches!(records.last(), Some(Record::Finished { .. })) => "made by a run that is over and did not keep it",
            Ok(_) => continue, // an open run accounts for it
            Err(_) => "made by a run that this state does not know",
        };
        found.push((key.id.to_string(), run.to_string(), what));
    }
    for (name, snapshot) in &p.slots {
        let Some(run) = &snapshot.pending_run else { continue };
        let open =
            p.state.load(&crate::rotation::RunId::new(run.as_str())).is_ok_and(|(r, _)| !matches!(r.last(), Some(Record::Finished { .. })));
        if !open {
            found.push((format!("pending version in {name}"), run.clone(), "staged by a run that is over or unknown here"));
        }
    }
    if out.json {
        let rows: Vec<_> = found.iter().map(|(what, run, why)| serde_json::json!({ "what": what, "run": run, "why": why })).collect();
        out.value(&serde_json::json!({ "v": 1, "source": p.base, "at": p.at, "orphans": rows }));
    } else if found.is_empty() {
        out.say("no orphans: every marked key and pending version belongs to an open run");
    } else {
        out.data(&out.table(&["what", "run", "why"], found.iter().map(|(a, b, c)| vec![a.clone(), b.clone(), (*c).to_owned()]).collect()));
        out.say(
            "delete one only after its owner confirms that nothing uses it: not in any slot, no call in the log for the longest cadence",
        );
    }
    Ok(if found.is_empty() { 0 } else { crate::cli::fault::exit::FOUND })
}
