//! A person at the console: changes that no run made.

use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::twin;
use super::server::{Call, Problem, Reply};
use super::world::Shared;

/// What a person does to a key.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Disable,
    Enable,
    Rename,
    Edit,
    Delete,
    Duplicate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    #[serde(rename = "do")]
    deed: Deed,
    /// The id, or the name of the oldest key that has it.
    key: String,
    /// The new name, for `rename`.
    name: Option<String>,
    /// Fields of the scope to set, for `edit`; `null` lifts a limit.
    #[serde(default)]
    scope: serde_json::Map<String, Value>,
}

/// `POST /people`.
pub(super) fn act(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let act: Act = call.json()?;
    let mut world = shared.world();
    let tables = &world.state.tables;
    let named = || tables.sorted().into_iter().find(|key| key.name == act.key);
    let key = tables.live(&act.key).or_else(named);
    let mut key = key.ok_or_else(|| Problem::not_found("key"))?.clone();
    match act.deed {
        Deed::Disable => key.enabled = false,
        Deed::Enable => {
            key.enabled = true;
            key.dead_from = None;
        }
        Deed::Rename => {
            key.name = act.name.ok_or_else(|| Problem::bad("rename needs a name"))?;
        }
        Deed::Edit => {
            key.scope.0.extend(act.scope);
            key.scope.check().map_err(Problem::bad)?;
        }
        Deed::Delete => key.deleted = true,
        Deed::Duplicate => {
            let seq = world.state.next_seq();
            key = twin(&key, seq)?;
            key.created_at = world.now_ms();
        }
    }
    let answer = json!({"id": key.id, "name": key.name});
    world.state.tables.keys.insert(key.id.clone(), key);
    world.commit()?;
    Ok(Reply::json(200, &answer))
}
