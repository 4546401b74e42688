//! Keys on the admin API: list, mint, read, change, delete, and the faults of each.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::admin::{label, time};
use super::faults::FaultName;
use super::ids;
use super::server::{Call, Problem, Reply};
use super::tables::{Key, Scope};
use super::world::{Shared, World};

/// Rows of one page of the list.
pub(super) const PAGE: usize = 50;
/// Bytes that a marker may have.
pub(super) const MOST_MARKER: usize = 256;
const MOST_NAME: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mint {
    name: String,
    marker: Option<String>,
    #[serde(default)]
    scope: Map<String, Value>,
    owner: Option<String>,
    secret: Option<String>,
    expires_at: Option<String>,
}

/// A change; `null` for marker, owner and expiry takes the value away, which is why they are options of options.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    enabled: Option<bool>,
    name: Option<String>,
    #[serde(default, deserialize_with = "said")]
    marker: Option<Option<String>>,
    #[serde(default, deserialize_with = "said")]
    owner: Option<Option<String>>,
    scope: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "said")]
    expires_at: Option<Option<String>>,
}

/// Tells a `null` that was written from a field that was left out.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

/// A key as the admin API shows it: everything but the secret.
pub(super) fn row(world: &World, key: &Key) -> Value {
    let used = world.usage.keys.get(&key.id);
    json!({
        "id": key.id,
        "name": key.name,
        "marker": key.marker,
        "owner": key.owner,
        "enabled": key.enabled,
        "created_at": ids::iso(key.created_at),
        "last_used_at": used.and_then(|used| used.last_used_at.as_deref()),
        "expires_at": key.expires_at.map(ids::iso),
        "scope": key.scope.shown(),
    })
}

/// `GET /admin/keys?cursor=&marker=&name=`: oldest first, disabled ones included.
pub(super) fn list(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let world = shared.world();
    let faults = &world.state.faults;
    let after = match call.query.get("cursor").map(String::as_str) {
        None | Some("") => 0,
        Some(_) if faults.is_on(FaultName::ListIgnoresPaging) => 0,
        Some(cursor) => cursor
            .strip_prefix('c')
            .and_then(|number| number.parse::<u64>().ok())
            .ok_or_else(|| Problem::bad("the cursor is not one of this list"))?,
    };
    let mut keys = world.state.tables.sorted();
    if faults.is_on(FaultName::WrongTenant) {
        keys.clear();
    }
    if let Some(missed) = faults.number(FaultName::ListMisses, "n") {
        let kept = keys.len().saturating_sub(usize::try_from(missed).unwrap_or(usize::MAX));
        keys.truncate(kept);
    }
    let over = faults.is_on(FaultName::ListOverReturns);
    if !over {
        let wanted = |have: Option<&str>, name: &str| call.query.get(name).is_none_or(|want| have == Some(want));
        keys.retain(|key| wanted(key.marker.as_deref(), "marker") && wanted(Some(&key.name), "name"));
    }
    let rest: Vec<_> = keys.into_iter().filter(|key| key.seq > after).collect();
    let more = rest.len() > PAGE;
    let page: Vec<_> = rest.into_iter().take(PAGE).collect();
    let next = page.last().filter(|_| more).map(|key| format!("c{}", key.seq));
    let mut rows: Vec<_> = page.iter().map(|key| row(&world, key)).collect();
    if over && let Some(first) = rows.first().cloned() {
        rows.push(first);
    }
    Ok(Reply::json(200, &json!({"data": rows, "next_cursor": next})))
}

/// `GET /admin/keys/{id}`.
pub(super) fn read(shared: &Shared, id: &str) -> Result<Reply, Problem> {
    let world = shared.world();
    let key = found(&world, id)?;
    Ok(Reply::json(200, &row(&world, key)))
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a Key, Problem> {
    let foreign = world.state.faults.is_on(FaultName::WrongTenant);
    let key = world.state.tables.live(id).filter(|_| !foreign);
    key.ok_or_else(|| Problem::not_found("key"))
}

/// `POST /admin/keys`: the secret is in this answer and in no other.
pub(super) fn create(shared: &Shared, call: &Call) -> Result<Reply, Problem> {
    let asked: Mint = call.json()?;
    let mut scope = Scope(asked.scope);
    scope.check().map_err(Problem::bad)?;
    let secret = match asked.secret {
        None => ids::random("sbx-", 20)?,
        Some(_) if !shared.options.caller_chosen => {
            return Err(Problem::bad("this gateway chooses the secret itself"));
        }
        Some(chosen) => chosen_secret(chosen)?,
    };
    let mut world = shared.world();
    if let Some(twin) = world.state.tables.by_secret(&secret) {
        let message = format!("key {} has this secret", twin.id);
        return Err(Problem::conflict("secret_exists", &message));
    }
    let faults = world.state.faults.clone();
    if let Some(field) = faults.text(FaultName::ScopeDropped, "field") {
        scope.0.remove(field);
    }
    if faults.is_on(FaultName::MintReturnsOld) {
        let tables = &world.state.tables;
        let old = tables.oldest_of(asked.owner.as_deref(), "");
        let old = old.ok_or_else(|| Problem::not_found("old key"))?;
        return Ok(Reply::json(201, &minted(old)));
    }
    let now = world.now_ms();
    let dies = faults.number(FaultName::NewKeyDies, "after_ms");
    let key = Key {
        id: ids::random("key_", 8)?,
        seq: world.state.next_seq(),
        name: label("name", &asked.name, MOST_NAME)?.to_owned(),
        marker: marker(asked.marker)?,
        owner: asked.owner,
        secret,
        enabled: true,
        created_at: now,
        expires_at: time(asked.expires_at.as_deref())?,
        scope,
        deleted: false,
        dead_from: dies.map(|after| now.saturating_add_unsigned(after)),
        seeded: false,
    };
    if faults.is_on(FaultName::GraceKillsOld) {
        for other in world.state.tables.keys.values_mut() {
            if other.owner == key.owner {
                other.dead_from = Some(now);
            }
        }
    }
    if faults.is_on(FaultName::DuplicateMint) {
        let seq = world.state.next_seq();
        insert(&mut world, twin(&key, seq)?);
    }
    let answer = minted(&key);
    insert(&mut world, key);
    world.commit()?;
    Ok(Reply::json(201, &answer))
}

fn insert(world: &mut World, key: Key) {
    world.state.tables.keys.insert(key.id.clone(), key);
}

/// A second key with the same words and another secret: what "duplicate" in a console makes.
pub(super) fn twin(key: &Key, seq: u64) -> Result<Key, Problem> {
    Ok(Key { id: ids::random("key_", 8)?, seq, secret: ids::random("sbx-", 20)?, seeded: false, ..key.clone() })
}

fn minted(key: &Key) -> Value {
    json!({"id": key.id, "secret": key.secret, "created_at": ids::iso(key.created_at)})
}

fn marker(text: Option<String>) -> Result<Option<String>, Problem> {
    if let Some(text) = &text {
        label("marker", text, MOST_MARKER)?;
    }
    Ok(text)
}

fn chosen_secret(secret: String) -> Result<String, Problem> {
    let plain = |sign: u8| sign.is_ascii_graphic() && !br#""'\"#.contains(&sign);
    if !(20..=256).contains(&secret.len()) || !secret.bytes().all(plain) {
        return Err(Problem::bad("the secret must have 20 to 256 visible ASCII signs, no quote and no backslash"));
    }
    Ok(secret)
}

/// `PATCH /admin/keys/{id}`.
pub(super) fn change(shared: &Shared, id: &str, call: &Call) -> Result<Reply, Problem> {
    let asked: Change = call.json()?;
    if let Some(name) = &asked.name {
        label("name", name, MOST_NAME)?;
    }
    let marker = asked.marker.map(marker).transpose()?;
    let expires_at = asked.expires_at.map(|at| time(at.as_deref())).transpose()?;
    let scope = asked.scope.map(Scope);
    if let Some(scope) = &scope {
        scope.check().map_err(Problem::bad)?;
    }
    let mut world = shared.world();
    found(&world, id)?;
    let key = world.state.tables.live_mut(id);
    let key = key.ok_or_else(|| Problem::not_found("key"))?;
    if let Some(enabled) = asked.enabled {
        key.enabled = enabled;
        if enabled {
            // Switching a key on brings it back, whatever had killed it behind the admin API's back.
            key.dead_from = None;
        }
    }
    key.name = asked.name.unwrap_or_else(|| key.name.clone());
    key.marker = marker.unwrap_or_else(|| key.marker.clone());
    key.owner = asked.owner.unwrap_or_else(|| key.owner.clone());
    key.scope = scope.unwrap_or_else(|| key.scope.clone());
    key.expires_at = expires_at.unwrap_or(key.expires_at);
    world.commit()?;
    let key = found(&world, id)?;
    Ok(Reply::json(200, &row(&world, key)))
}

/// `DELETE /admin/keys/{id}`: 404 when there is none, also the second time.
pub(super) fn delete(shared: &Shared, id: &str) -> Result<Reply, Problem> {
    let mut world = shared.world();
    found(&world, id)?;
    if let Some(key) = world.state.tables.live_mut(id) {
        key.deleted = true;
    }
    world.commit()?;
    Ok(Reply::json(200, &json!({"id": id, "deleted": true})))
}
