//! Each trap of the gateway's contract as one test of the driver on a real etcd. `traps.md` lists them.

use crate::aisix::etcd::Etcd;
use crate::aisix::{Version, World};
use crate::between::Between;
use crate::etcd::EtcdServer;
use crate::place::{OLD, UP, soon};
use keyroll::adapters::gateway::{AdminAccess, AisixGateway, AisixOwnCalls, AisixProber, AisixSettings, AisixStore, EtcdAccess, aisix};
use keyroll::ports::{Gateway, MintRequest, Minted, PortError, Prober};
use keyroll::rotation::{CallClass, Endpoint, KeyFacts, KeyId, Marker, ModelName, Probe, RequestId, Span};
use keyroll::secret::{FingerprintKey, SecretText, sha256_hex};
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// A gateway of two processes and the driver in this process.
struct Case {
    world: World,
    gateway: AisixGateway,
    prober: AisixProber,
    _dir: tempfile::TempDir,
}

fn settings(world: &World, etcd: &str, provider: bool) -> AisixSettings {
    let replica = |n: usize| (world.proxies[n].clone(), world.statuses[n].clone(), None);
    AisixSettings {
        store: AisixStore::Etcd(EtcdAccess { url: etcd.to_owned(), prefix: world.store.prefix.clone(), login: None }),
        replicas: (0..world.replicas.len()).map(replica).collect(),
        provider: provider.then(|| (None, Some("openai-main".to_owned()))),
        provider_url: None,
        lifetime: None,
        live_within: Span(700),
        call_timeout: Span::seconds(3),
        ca_pem: None,
        fingerprints: Rc::new(FingerprintKey::from_bytes(&[7; 32]).ok().unwrap()),
        own: AisixOwnCalls::default(),
    }
}

impl Case {
    fn new(server: &EtcdServer, prefix: &str, provider: bool) -> Self {
        Self::with(server, prefix, Version::Newest, |world| settings(world, &server.url, provider))
    }

    /// Up to 0.8.2, through its admin listener.
    fn admin(server: &EtcdServer, prefix: &str, version: Version, provider: bool) -> Self {
        Self::with(server, prefix, version, |world| {
            let key = SecretText::new(crate::aisix::admin::ADMIN);
            AisixSettings {
                store: AisixStore::Admin(AdminAccess { url: world.admin_url.clone(), key }),
                ..settings(world, &server.url, provider)
            }
        })
    }

    fn with(server: &EtcdServer, prefix: &str, version: Version, settings: impl FnOnce(&World) -> AisixSettings) -> Self {
        let store = Etcd { url: server.url.clone(), prefix: format!("/{prefix}") };
        let dir = tempfile::tempdir().unwrap();
        let world = World::start(&store, version, 2, dir.path());
        world.furnish(UP);
        world.caller("c1", OLD, &json!({"display_name": "app-a", "team_id": "t1", "future": [1]}));
        let (gateway, prober) = aisix(settings(&world)).unwrap();
        let case = Self { world, gateway, prober, _dir: dir };
        case.settled();
        case
    }

    /// Both processes have taken everything that was written.
    fn settled(&self) {
        let newest = self.world.store.range("").unwrap().1.iter().map(|(_, _, revision)| *revision).max();
        soon("both have it", || (0..2).all(|r| self.world.status(r)["applied"]["applied_revision"].as_i64() >= newest));
    }

    async fn key(&self, id: &str) -> KeyFacts {
        self.gateway.list().await.unwrap().into_iter().find(|k| k.id.as_str() == id).unwrap()
    }

    async fn mint(&self, old: &str, value: &str) -> Result<Minted, PortError> {
        let (like, value) = (self.key(old).await, SecretText::new(value));
        let marker = Marker::new("keyroll:abcdefghijklmnop:1");
        self.gateway.mint(MintRequest { like: &like, marker: &marker, name: "app-a 2026-11-21", value: Some(&value) }).await
    }

    async fn class(&self, replica: usize, value: &str) -> CallClass {
        let endpoint = Endpoint::new(&self.world.proxies[replica]);
        let probe = Probe { family: "chat".into(), model: "chat-prod".into(), stream: false };
        self.prober.call(&endpoint, &probe, &SecretText::new(value), &RequestId::new("kr-test-1")).await.class
    }

    async fn whose(&self, value: &str) -> Result<Option<KeyId>, PortError> {
        self.prober.identify(&SecretText::new(value), &RequestId::new("kr-test-2")).await
    }

    fn document(&self, id: &str) -> Value {
        self.world.store.get("api_keys", id).unwrap()
    }
}

const NEW: &str = "sk-kr-new-0123456789abcdef0123";

#[track_caller]
fn refused(result: Result<impl Sized, PortError>, says: &str) {
    match result.err().unwrap() {
        PortError::Refused { why, .. } => assert!(why.contains(says), "{why}"),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn unsure(result: Result<impl Sized, PortError>, says: &str) {
    let error = result.err().unwrap();
    assert!(error.may_have_happened() && error.to_string().contains(says), "{error}");
}

#[track_caller]
fn conflict(result: Result<impl Sized, PortError>) {
    let error = result.err().unwrap();
    assert!(matches!(error, PortError::Conflict { .. }), "{error}");
}

fn id(text: &str) -> KeyId {
    KeyId::new(text)
}

async fn two_rows_with_one_hash(server: &EtcdServer) {
    let case = Case::new(server, "twins", false);
    case.world.caller("c2", OLD, &json!({}));
    case.settled();
    refused(case.mint("c1", NEW).await, "c2 hold the same credential");
    refused(case.gateway.set_enabled(&id("c1"), false).await, "c2 authenticate the same value");
    refused(case.gateway.delete(&id("c1")).await, "c2 (the same credential)");
    assert!(case.whose(OLD).await.err().unwrap().to_string().contains("same credential"));
    assert_eq!(case.key("c1").await.scope["same_credential_as"], json!(["c2"]));
    // A value that is used already is not given to a second row.
    case.world.store.delete("api_keys", "c2");
    conflict(case.mint("c1", OLD).await);
    assert_eq!(case.world.store.ids("api_keys"), ["c1"]);
}

async fn an_invalid_document_does_not_revoke(server: &EtcdServer) {
    let case = Case::new(server, "invalid", false);
    let mut broken = case.document("c1");
    broken["disabled"] = json!("yes");
    case.world.store.put("api_keys", "c1", &broken);
    case.settled();
    assert!(case.key("c1").await.enabled, "a word is no switch");
    assert_eq!(case.class(0, OLD).await, CallClass::Accepted);
    // A write of ours that the processes do not take is not called done.
    let mut broken = case.document("c1");
    broken["disabled"] = json!(false);
    broken["rate_limit"] = json!("many");
    case.world.store.put("api_keys", "c1", &broken);
    case.settled();
    unsure(case.gateway.set_enabled(&id("c1"), false).await, "does not serve the document as it is now (schema_failed)");
    assert_eq!(case.class(0, OLD).await, CallClass::Accepted);
}

async fn a_hash_in_another_form_never_authenticates(server: &EtcdServer) {
    let case = Case::new(server, "forms", false);
    for (row, hash) in [("upper", sha256_hex(b"sk-upper").to_uppercase()), ("line", format!("{}\n", sha256_hex(b"sk-line")))] {
        case.world.store.put("api_keys", row, &json!({"key_hash": hash, "allowed_models": ["*"]}));
    }
    case.settled();
    assert_eq!((case.whose("sk-upper").await.unwrap(), case.whose("sk-line").await.unwrap()), (None, None));
    assert_eq!(case.whose(OLD).await.unwrap(), Some(id("c1")));
    // Stored and not served: what the gateway refuses is nobody's.
    assert!(case.gateway.set_enabled(&id("c1"), false).await.is_ok());
    assert_eq!(case.whose(OLD).await.unwrap(), None);
}

async fn stored_is_not_live(server: &EtcdServer) {
    let case = Case::new(server, "stale", false);
    case.world.replicas[1].frozen.store(true, Ordering::SeqCst);
    unsure(case.gateway.set_enabled(&id("c1"), false).await, "has not taken the change");
    assert_eq!((case.class(0, OLD).await, case.class(1, OLD).await), (CallClass::Refused, CallClass::Accepted));
    case.world.replicas[1].frozen.store(false, Ordering::SeqCst);
    case.settled();
    assert!(case.gateway.set_enabled(&id("c1"), true).await.is_ok());
    // Cut off from its store it serves on, says `synced`, and is not believed.
    case.world.replicas[1].cut_off.store(true, Ordering::SeqCst);
    unsure(case.gateway.set_enabled(&id("c1"), false).await, "not connected to its store");
    assert_eq!((case.world.status(1)["state"].as_str(), case.class(1, OLD).await), (Some("synced"), CallClass::Accepted));
    case.world.replicas[1].cut_off.store(false, Ordering::SeqCst);
    // Slow is not stale.
    case.world.replicas[0].slow.store(300, Ordering::SeqCst);
    case.settled();
    assert!(case.gateway.set_enabled(&id("c1"), true).await.is_ok());
    assert_eq!(case.class(0, OLD).await, CallClass::Accepted);
}

async fn a_change_keeps_what_it_does_not_know(server: &EtcdServer) {
    let case = Case::new(server, "keeps", false);
    let before = case.document("c1");
    case.gateway.set_enabled(&id("c1"), false).await.unwrap();
    case.gateway.set_enabled(&id("c1"), true).await.unwrap();
    let mut after = case.document("c1");
    assert_eq!(after["disabled"], false);
    after.as_object_mut().unwrap().remove("disabled");
    assert_eq!(after, before);
    // The new row has it all, nothing of ours is in it, and it cannot be made twice.
    let made = case.mint("c1", NEW).await.unwrap();
    let copy = case.document(made.id.as_str());
    assert_eq!(
        (&copy["team_id"], &copy["future"], &copy["allowed_models"]),
        (&before["team_id"], &before["future"], &before["allowed_models"])
    );
    assert!(!copy.to_string().contains("keyroll:") && copy["key_hash"] == sha256_hex(NEW.as_bytes()).as_str());
    conflict(case.mint("c1", "sk-kr-other-0123456789").await);
    assert_eq!((case.class(0, NEW).await, case.class(1, NEW).await), (CallClass::Accepted, CallClass::Accepted));
    // A person's edit between our look and our write is neither lost nor overwritten.
    let store = case.world.store.clone();
    let edit = move || {
        let mut document = store.get("api_keys", "c1").unwrap();
        document["rate_limit"] = json!({"rpm": 7});
        store.put("api_keys", "c1", &document);
    };
    let (url, times) = Between::First(Box::new(edit)).before(&server.url);
    let (overtaken, _) = aisix(settings(&case.world, &url, false)).unwrap();
    conflict(overtaken.set_enabled(&id("c1"), false).await);
    assert_eq!((*times.lock().unwrap(), &case.document("c1")["rate_limit"]), (1, &json!({"rpm": 7})));
    assert_eq!(case.document("c1")["disabled"], false);
}

async fn a_rule_that_names_a_row_does_not_follow(server: &EtcdServer) {
    let case = Case::new(server, "rules", false);
    case.world.store.put("rate_limit_policies", "r1", &json!({"scope_ref": "c1", "limits": {"rpm": 1}}));
    case.settled();
    refused(case.mint("c1", NEW).await, "rate_limit_policies/r1 (scope_ref)");
    refused(case.gateway.delete(&id("c1")).await, "rate_limit_policies/r1");
    case.world.store.delete("rate_limit_policies", "r1");
    case.world.store.put("claim_mappings", "m", &json!({"resolve": {"api_key_id": "c1"}}));
    refused(case.gateway.delete(&id("c1")).await, "claim_mappings/m (resolve)");
    case.world.store.put("claim_mappings", "m", &json!({"conditions": ["caller == 'c1'"], "display_name": "c1", "provider": "c1"}));
    refused(case.gateway.delete(&id("c1")).await, "claim_mappings/m (conditions)");
    case.world.store.put("claim_mappings", "m", &json!({"conditions": ["caller == 'c11'"], "display_name": "c1", "provider": "c1"}));
    case.settled();
    case.gateway.delete(&id("c1")).await.unwrap();
    assert_eq!(case.class(1, OLD).await, CallClass::Refused);
    conflict(case.gateway.delete(&id("c1")).await);
}

async fn every_restriction_is_compared(server: &EtcdServer) {
    let case = Case::new(server, "parity", false);
    let mut whole = json!({"key_hash": sha256_hex(b"sk-whole"), "allowed_models": ["chat-*"], "team_id": "t", "user_id": "u", "user_name": "n",
        "rate_limit": {"rps": 1, "rpm": 2, "rph": 3, "rpd": 4, "tpm": 5, "tpd": 6, "concurrency": 7}, "new_limit": {"per": "hour"}});
    case.world.store.put("api_keys", "whole", &whole);
    let like = case.key("whole").await;
    let paths = ["/allowed_models/0", "/team_id", "/user_id", "/user_name", "/new_limit/per"].map(str::to_owned).into_iter();
    let limits = ["rps", "rpm", "rph", "rpd", "tpm", "tpd", "concurrency"].map(|limit| format!("/rate_limit/{limit}"));
    for (n, path) in paths.chain(limits).enumerate() {
        let mut other = whole.clone();
        other["key_hash"] = json!(format!("{n}"));
        let field = other.pointer_mut(&path).unwrap();
        *field = if field.is_string() { json!("*") } else { json!(1_000_000) };
        case.world.store.put("api_keys", "broader", &other);
        assert_ne!(case.key("broader").await.scope, like.scope, "{path}");
        // Left out altogether it is broader still.
        let top = path.split('/').nth(1).unwrap();
        other = whole.clone();
        other.as_object_mut().unwrap().remove(top);
        case.world.store.put("api_keys", "broader", &other);
        assert_ne!(case.key("broader").await.scope, like.scope, "{top}");
    }
    // What says who it is, and not what it may, is no difference.
    whole["key_hash"] = json!("another");
    whole["display_name"] = json!("another");
    case.world.store.put("api_keys", "broader", &whole);
    assert_eq!(case.key("broader").await.scope, like.scope);
}

async fn a_login_to_etcd(server: &EtcdServer) {
    let case = Case::new(server, "login", false);
    let ask = |path: &str, body: Value| {
        let answer = crate::aisix::http::call("POST", &format!("{}/v3/auth/{path}", server.url), &[], &body.to_string());
        assert_eq!(answer.map(|(status, ..)| status), Some(200), "{path}");
    };
    let range = |from: &str| json!({"permType": "READWRITE", "key": crate::between::base64(from), "range_end": crate::between::base64(&from.replace("/login/", "/login0"))});
    ask("user/add", json!({"name": "root", "password": "root"}));
    ask("user/grant", json!({"user": "root", "role": "root"}));
    for (user, prefixes) in [("whole", &["/login/", "/keyroll/login/"][..]), ("half", &["/login/"][..])] {
        ask("user/add", json!({"name": user, "password": "pw-0123456789"}));
        ask("role/add", json!({"name": user}));
        for prefix in prefixes {
            ask("role/grant", json!({"name": user, "perm": range(prefix)}));
        }
        ask("user/grant", json!({"user": user, "role": user}));
    }
    ask("enable", json!({}));
    let as_user = |user: Option<(&str, &str)>| {
        let login = user.map(|(name, password)| (name.to_owned(), SecretText::new(password)));
        let store = AisixStore::Etcd(EtcdAccess { url: server.url.clone(), prefix: "/login".into(), login });
        aisix(AisixSettings { store, ..settings(&case.world, &server.url, false) }).unwrap().0
    };
    let gateway = as_user(Some(("whole", "pw-0123456789")));
    let all = gateway.list().await.unwrap();
    assert_eq!((all.len(), gateway.identity().await.unwrap().principal.as_str()), (1, "whole"));
    let (value, marker) = (SecretText::new(NEW), Marker::new("keyroll:abcdefghijklmnop:1"));
    let request = MintRequest { like: &all[0], marker: &marker, name: "x", value: Some(&value) };
    gateway.mint(request).await.unwrap();
    assert_eq!(gateway.list().await.unwrap().iter().filter(|k| k.marker == marker.as_str()).count(), 1);
    refused(as_user(Some(("whole", "wrong"))).list().await, "check user and password");
    refused(as_user(Some(("half", "pw-0123456789"))).list().await, "the same below /keyroll");
    refused(as_user(None).list().await, "it asks for a user");
}

async fn an_end_is_not_copied(server: &EtcdServer) {
    let case = Case::new(server, "ends", false);
    case.world.caller("c3", "sk-three", &json!({"expires_at": "2030-01-01T00:00:00Z"}));
    case.settled();
    refused(case.mint("c3", NEW).await, "name `lifetime`");
    let mut with_life = settings(&case.world, &server.url, false);
    with_life.lifetime = Some(Span::hours(48));
    let (gateway, _) = aisix(with_life).unwrap();
    let (like, value, marker) = (case.key("c3").await, SecretText::new(NEW), Marker::new("keyroll:abcdefghijklmnop:1"));
    let made = gateway.mint(MintRequest { like: &like, marker: &marker, name: "c3", value: Some(&value) }).await.unwrap();
    let facts = case.key(made.id.as_str()).await;
    let left = facts.expires_at.unwrap().since(gateway.now().await.unwrap());
    assert!((Span::hours(47)..=Span::hours(49)).contains(&left), "{left}");
    assert_eq!((facts.scope, case.class(1, NEW).await), (like.scope, CallClass::Accepted));
    // It is known from now on how long such a key lives.
    assert!(facts.created_at.is_some());
}

async fn strange_ids_are_ids(server: &EtcdServer) {
    let case = Case::new(server, "ids", false);
    case.world.caller("a/b c", "sk-strange", &json!({}));
    case.settled();
    let shown = case.whose("sk-strange").await.unwrap().unwrap();
    assert_eq!(shown.as_str(), "a@2fb@20c");
    case.gateway.set_enabled(&shown, false).await.unwrap();
    assert!(!case.key("a@2fb@20c").await.enabled && case.document("a/b c")["disabled"] == true);
    // What is no document at all is listed, and never taken for an unrestricted key.
    case.world.store.put_bytes("api_keys/none", b"not json");
    assert!(case.key("none").await.scope.contains_key("document"));
}

async fn another_store_is_noticed(server: &EtcdServer) {
    let case = Case::new(server, "one", false);
    case.gateway.identity().await.unwrap();
    let mut elsewhere = settings(&case.world, &server.url, false);
    elsewhere.store = AisixStore::Etcd(EtcdAccess { url: server.url.clone(), prefix: "/none".into(), login: None });
    let (gateway, _) = aisix(elsewhere).unwrap();
    refused(gateway.identity().await, "is this its store, and its prefix?");
}

async fn the_providers_refusal_is_not_ours(server: &EtcdServer) {
    let case = Case::new(server, "upstream", false);
    case.world.upstream.revoke(UP);
    assert_eq!(case.world.chat(0, OLD, "chat-prod", "x").0, 401, "the same status as a refused caller");
    assert_eq!((case.class(0, OLD).await, case.class(0, "sk-nobody").await), (CallClass::UpstreamFault, CallClass::Refused));
    // A dangling model reads like the caller's own mistake.
    case.world.store.delete("provider_keys", "pk-1");
    soon("it dangles", || case.world.chat(0, OLD, "chat-prod", "x").0 == 400);
    assert_eq!(case.class(0, OLD).await, CallClass::Unknown);
}

async fn a_provider_key_is_let_go_of_first(server: &EtcdServer) {
    let case = Case::new(server, "let-go", true);
    let model = ModelName::new("chat-prod");
    let pk = id("pk-1");
    refused(case.gateway.delete(&pk).await, "chat-prod");
    // A model that would point nowhere is not made, and one that moved meanwhile is left alone.
    conflict(case.gateway.repoint(&model, &pk, &id("none")).await);
    let made = case.mint("pk-1", "up-next-0123456789abcdef01").await.unwrap();
    conflict(case.gateway.repoint(&model, &made.id, &pk).await);
    // One process does not have the key yet.
    case.world.replicas[1].frozen.store(true, Ordering::SeqCst);
    let row = case.world.store.get("provider_keys", made.id.as_str()).unwrap();
    case.world.store.put("provider_keys", made.id.as_str(), &row);
    refused(case.gateway.repoint(&model, &pk, &made.id).await, "does not serve the key yet");
    case.world.replicas[1].frozen.store(false, Ordering::SeqCst);
    case.settled();
    case.gateway.repoint(&model, &pk, &made.id).await.unwrap();
    let projected = case.gateway.projection().await.unwrap();
    assert!(projected.len() == 2 && projected.iter().all(|(_, _, at)| *at == made.id), "{projected:?}");
    // A process that is behind serves nobody knows what.
    case.world.replicas[1].frozen.store(true, Ordering::SeqCst);
    let mut document = case.world.store.get("models", "m-1").unwrap();
    document["retries"] = json!(2);
    case.world.store.put("models", "m-1", &document);
    let at = |n: usize| case.world.proxies[n].clone();
    soon("the other has it", || {
        case.world.status(0)["applied"]["applied_revision"].as_i64() > case.world.status(1)["applied"]["applied_revision"].as_i64()
    });
    let projected = case.gateway.projection().await.unwrap();
    let serves = |url: &str| projected.iter().find(|(e, ..)| e.as_str() == url).unwrap().2.clone();
    assert_eq!((serves(&at(0)), serves(&at(1))), (made.id.clone(), id("none")));
    case.world.replicas[1].frozen.store(false, Ordering::SeqCst);
    case.settled();
    // A model that appears between the look for references and the deletion holds the deletion up.
    let store = case.world.store.clone();
    let appears = move || {
        let document = json!({"display_name": "late", "provider": "openai", "model_name": "m", "provider_key_id": "pk-1"});
        store.put("models", "late", &document);
    };
    let (url, times) = Between::First(Box::new(appears)).before(&server.url);
    let (overtaken, _) = aisix(settings(&case.world, &url, true)).unwrap();
    refused(overtaken.delete(&pk).await, "late");
    assert_eq!((*times.lock().unwrap(), case.world.store.get("provider_keys", "pk-1").is_some()), (1, true));
    case.world.store.delete("models", "late");
    case.settled();
    case.gateway.delete(&pk).await.unwrap();
    assert!(matches!(case.gateway.set_enabled(&made.id, false).await, Err(PortError::Unsupported { .. })));
    assert_eq!(case.world.chat(1, OLD, "chat-prod", "x").0, 401, "the provider does not know the new secret");
}

async fn secrets_stay_out_of_facts(server: &EtcdServer) {
    let case = Case::new(server, "facts", true);
    let mut row = case.world.store.get("provider_keys", "pk-1").unwrap();
    row["request"] = json!({"headers": {"x-secret": "hidden-in-a-header"}});
    row["api_base"] = json!("https://user:hidden-in-an-address@host/v1");
    case.world.store.put("provider_keys", "pk-1", &row);
    let shown = serde_json::to_string(&case.gateway.list().await.unwrap()).unwrap();
    for hidden in [UP, "hidden-in-a-header", "hidden-in-an-address"] {
        assert!(!shown.contains(hidden), "{hidden}");
    }
    // A second row with the same secret would die with it.
    case.world.store.put("provider_keys", "pk-2", &json!({"display_name": "other", "api_key": UP}));
    refused(case.mint("pk-1", "up-next-0123456789abcdef01").await, "pk-2 hold the same credential");
}

async fn an_admin_listener_that_does_not_write(server: &EtcdServer) {
    let newer = Case::admin(server, "newer", Version::Newest, false);
    refused(newer.gateway.identity().await, "it only reads, as from 0.9.0 on");
    // It lists writes and has its resources from a file: each write would be refused.
    let by_file = Case::admin(server, "by-file", Version::WritableByFile, false);
    refused(by_file.gateway.identity().await, "reads its resources from file");
}

async fn admin_writes_are_whole_and_looked_at(server: &EtcdServer) {
    let case = Case::admin(server, "admin-caller", Version::Writable, false);
    case.world.store.delete("api_keys", "c1");
    case.world.store.put(
        "api_keys",
        "c1",
        &json!({"key_hash": sha256_hex(OLD.as_bytes()), "allowed_models": ["chat-*"], "rate_limit": {"rpm": 9}}),
    );
    case.settled();
    case.gateway.identity().await.unwrap();
    // A lost answer: the row is there once, with our text in it, and a second try cannot make another.
    let lose = |what: &str| assert!(case.world.admin.lose.lock().unwrap().insert(what.to_owned()));
    let marked = |keys: Vec<KeyFacts>| -> Vec<KeyFacts> { keys.into_iter().filter(|k| k.marker.starts_with("keyroll:")).collect() };
    lose("POST api_keys");
    unsure(case.mint("c1", NEW).await, "");
    case.settled();
    let [made] = &marked(case.gateway.list().await.unwrap())[..] else { panic!("not exactly one") };
    assert_eq!((made.marker.as_str(), &made.scope, made.enabled), ("keyroll:abcdefghijklmnop:1", &case.key("c1").await.scope, true));
    conflict(case.mint("c1", NEW).await);
    assert_eq!((case.class(0, NEW).await, case.class(1, NEW).await), (CallClass::Accepted, CallClass::Accepted));
    // Our text is no model that could be called.
    let status = case.world.chat(0, NEW, "keyroll:abcdefghijklmnop:1", "x").0;
    assert_eq!(status, 404);
    for (what, enabled) in [("PUT api_keys", false), ("PUT api_keys", true)] {
        lose(what);
        unsure(case.gateway.set_enabled(&id("c1"), enabled).await, "");
        assert_eq!(case.key("c1").await.enabled, enabled);
        case.gateway.set_enabled(&id("c1"), enabled).await.unwrap();
    }
    assert_eq!(case.document("c1")["rate_limit"], json!({"rpm": 9}));
    case.gateway.mark(&made.id, &Marker::live()).await.unwrap();
    assert_eq!(case.key(made.id.as_str()).await.marker, "keyroll:live");
    assert_eq!(case.document(made.id.as_str())["allowed_models"], json!(["chat-*", "keyroll:live"]));
    // A copy of a marked row carries the new row's text and not the old one's.
    case.gateway.set_enabled(&id("c1"), false).await.unwrap();
    lose("DELETE api_keys");
    unsure(case.gateway.delete(&id("c1")).await, "");
    conflict(case.gateway.delete(&id("c1")).await);
    case.settled();
    let value = SecretText::new("sk-kr-third-0123456789abcdef01");
    let (like, marker) = (case.key(made.id.as_str()).await, Marker::new("keyroll:abcdefghijklmnop:2"));
    let third = case.gateway.mint(MintRequest { like: &like, marker: &marker, name: "x", value: Some(&value) }).await.unwrap();
    assert_eq!(case.document(third.id.as_str())["allowed_models"], json!(["chat-*", "keyroll:abcdefghijklmnop:2"]));
    // One that is not a whole number of what was sent: a limit that it drops without a word shows when both are compared.
    case.world.caller("c5", "sk-five", &json!({"rate_limit": {"rpm": 1, "rpy": 5}}));
    case.settled();
    let like = case.key("c5").await;
    let (value, marker) = (SecretText::new("sk-kr-fourth-0123456789abcdef0"), Marker::new("keyroll:abcdefghijklmnop:3"));
    let fourth = case.gateway.mint(MintRequest { like: &like, marker: &marker, name: "x", value: Some(&value) }).await.unwrap();
    assert_ne!(case.key(fourth.id.as_str()).await.scope, like.scope);
}

#[test]
fn every_trap() {
    let server = EtcdServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        two_rows_with_one_hash(&server).await;
        an_invalid_document_does_not_revoke(&server).await;
        a_hash_in_another_form_never_authenticates(&server).await;
        stored_is_not_live(&server).await;
        a_change_keeps_what_it_does_not_know(&server).await;
        a_rule_that_names_a_row_does_not_follow(&server).await;
        every_restriction_is_compared(&server).await;
        an_end_is_not_copied(&server).await;
        strange_ids_are_ids(&server).await;
        another_store_is_noticed(&server).await;
        the_providers_refusal_is_not_ours(&server).await;
        a_provider_key_is_let_go_of_first(&server).await;
        secrets_stay_out_of_facts(&server).await;
        an_admin_listener_that_does_not_write(&server).await;
        admin_writes_are_whole_and_looked_at(&server).await;
        // Last: it closes the store to all who have no login.
        a_login_to_etcd(&server).await;
    });
}
