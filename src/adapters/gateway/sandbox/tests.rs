//! The adapter against the gateway inside keyroll, over real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use super::*;
use crate::adapters::usage::JsonlUsage;
use crate::ports::{Prober, UsageQuery, UsageSource};
use crate::rotation::{CallClass, Probe, RequestId, Which};
use crate::sandbox::{self, FaultSpec, Options, Running};
use crate::usage::{Mapping, Settings};
use std::time::Duration;

struct World {
    _folder: tempfile::TempDir,
    running: Running,
    admin: String,
}

fn world(faults: &[&str], change: impl FnOnce(&mut Options)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.consumers = false;
    options.faults = faults.iter().map(|f| serde_json::from_str::<FaultSpec>(f).unwrap()).collect();
    change(&mut options);
    let running = sandbox::start(options).unwrap();
    let admin = std::fs::read_to_string(&running.admin_key_file).unwrap();
    World { _folder: folder, running, admin }
}

impl World {
    fn access(&self) -> Access {
        let base = self.running.urls.admin.clone();
        Access { base, admin: SecretText::new(self.admin.as_str()), call_timeout: Span::seconds(10), ca_pem: None }
    }

    fn router(&self) -> SandboxGateway {
        SandboxGateway::router(self.access()).unwrap()
    }

    fn provider(&self) -> SandboxGateway {
        SandboxGateway::provider(self.access()).unwrap()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        self.running.urls.data.iter().map(Endpoint::new).collect()
    }

    fn slot(&self) -> SecretText {
        let text = std::fs::read_to_string(&self.running.urls.store).unwrap();
        crate::support::dotenv::get(&text, "GATEWAY_API_KEY").unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn named(gateway: &SandboxGateway, name: &str) -> KeyFacts {
    gateway.list().await.unwrap().into_iter().find(|k| k.name == name).unwrap()
}

async fn mint(gateway: &SandboxGateway, like: &KeyFacts, value: Option<&SecretText>) -> Result<Minted> {
    let marker = Marker::new("keyroll:run:1");
    gateway.mint(MintRequest { like, marker: &marker, name: "new key", value }).await
}

fn chat() -> Probe {
    Probe { family: "chat".into(), model: "demo-small".into(), stream: true }
}

fn request(n: u32) -> RequestId {
    RequestId::new(format!("kr-test-{n}"))
}

#[test]
fn a_router_key_is_made_like_the_old_one_used_disabled_and_deleted() {
    let world = world(&[], |_| {});
    let (gateway, endpoints) = (world.router(), world.endpoints());
    let prober = SandboxProber::router(endpoints.clone(), Span::seconds(10));
    wait(async {
        let identity = gateway.identity().await.unwrap();
        assert!(identity.tenant.starts_with("sandbox-org/") && !identity.principal.is_empty());
        let caps = gateway.capabilities().await.unwrap();
        assert_eq!((caps.mint, caps.disable, caps.settles_in), (Mint::ShownOnce, Disable::Reversible, Span(150)));
        assert_eq!(gateway.endpoints().await.unwrap().len(), 3);
        let old = named(&gateway, "demo-app-key").await;
        assert_eq!(prober.identify(&world.slot(), &request(0)).await, Ok(Some(old.id.clone())));
        let new = mint(&gateway, &old, None).await.unwrap();
        let facts = named(&gateway, "new key").await;
        assert_eq!((&facts.scope, &facts.owner, facts.marker.as_str()), (&old.scope, &old.owner, "keyroll:run:1"));
        assert!(new.created_at.is_some() && facts.id == new.id);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let families = [("chat", true), ("chat", false), ("tools", false), ("responses", true)];
        for (n, (family, stream)) in (1..).zip(families) {
            let probe = Probe { family: family.into(), model: "demo-small".into(), stream };
            let said = prober.call(&endpoints[1], &probe, &new.value, &request(n)).await;
            assert_eq!((said.class, said.status), (CallClass::Accepted, 200), "{family}");
        }
        let embeddings = Probe { family: "embeddings".into(), model: "demo-embed".into(), stream: false };
        assert_eq!(prober.call(&endpoints[0], &embeddings, &new.value, &request(9)).await.class, CallClass::Accepted);
        let forbidden = Probe { model: "no-such-model".into(), ..chat() };
        assert_eq!(prober.call(&endpoints[0], &forbidden, &new.value, &request(10)).await.class, CallClass::Forbidden);
        gateway.set_enabled(&new.id, false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let said = prober.call(&endpoints[2], &chat(), &new.value, &request(11)).await;
        assert_eq!((said.class, said.status), (CallClass::Refused, 401));
        gateway.mark(&new.id, &Marker::live()).await.unwrap();
        assert_eq!(named(&gateway, "new key").await.marker, Marker::live().as_str());
        gateway.delete(&new.id).await.unwrap();
        assert!(matches!(gateway.delete(&new.id).await, Err(PortError::Conflict { .. })));
        assert!(gateway.list().await.unwrap().iter().all(|k| k.id != new.id));

        let settings = Settings::new(gateway.log_files().await.unwrap(), Mapping::sandbox());
        let usage = JsonlUsage::new(settings).unwrap();
        let own = (1..12).map(|n| (request(n), Which::New)).collect();
        let now = gateway.now().await.unwrap();
        let query = UsageQuery { old: &old.id, new: Some(&new.id), from: now.minus(Span::minutes(1)), to: now, own: &own };
        let table = usage.read(query).await.unwrap();
        assert_eq!(table.own[&request(1)].key, Some(Which::New));
        assert_eq!(table.own[&request(1)].owner, old.owner);
        assert!(table.own[&request(11)].refused && !table.own[&request(9)].refused);
        assert_eq!((table.malformed, table.new.len(), table.shards.len()), (0, 0, 3), "all rows of the new key are ours");
        assert_eq!(table.old.values().map(crate::rotation::CallerCount::total).sum::<u64>(), 1, "the question whose key it is");
        assert!(table.watermark().is_some() && usage.describe().await.unwrap().sees_refused);
    });
}

#[test]
fn a_provider_key_is_made_pointed_at_and_projected() {
    let world = world(&[], |_| {});
    let gateway = world.provider();
    wait(async {
        assert_eq!(gateway.capabilities().await.unwrap().mint, Mint::Supplied);
        let old = gateway.list().await.unwrap().into_iter().next().unwrap();
        assert!(matches!(mint(&gateway, &old, None).await, Err(PortError::Refused { .. })));
        let value = SecretText::new("ups-0123456789abcdef0123456789");
        let new = mint(&gateway, &old, Some(&value)).await.unwrap();
        assert!(new.value.same_as(&value));
        assert_eq!(named(&gateway, "new key").await.scope, old.scope);
        let models = gateway.models().await.unwrap();
        assert!(models.len() == 2 && models.iter().all(|(_, at)| *at == old.id));
        let model = &models[0].0;
        gateway.repoint(model, &old.id, &new.id).await.unwrap();
        assert!(matches!(gateway.repoint(model, &old.id, &new.id).await, Err(PortError::Conflict { .. })));
        assert!(matches!(gateway.delete(&old.id).await, Err(PortError::Conflict { .. })), "a model refers to it");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let served = gateway.projection().await.unwrap();
        assert_eq!(served.iter().filter(|(_, m, at)| m == model && *at == new.id).count(), 3);
        assert!(served.iter().all(|(at, _, _)| world.endpoints().contains(at)));
        let prober = SandboxProber::provider(world.endpoints(), Span::seconds(10));
        let said = prober.call(&world.endpoints()[0], &Probe { stream: false, ..chat() }, &value, &request(1)).await;
        assert_eq!(said.class, CallClass::Refused, "the provider does not know it");
        let router = SandboxProber::router(world.endpoints(), Span::seconds(10));
        let probe = Probe {
            model: model.to_string(),
            family: if model.as_str().contains("embed") { "embeddings" } else { "chat" }.into(),
            stream: false,
        };
        let said = router.call(&world.endpoints()[0], &probe, &world.slot(), &request(2)).await;
        assert_eq!(said.class, CallClass::UpstreamFault);
    });
}

#[test]
fn a_lost_answer_may_have_made_a_key_and_the_listing_shows_it() {
    let world = world(&[r#"{"name":"lost_response","on":true,"args":{"on":"mint"}}"#], |_| {});
    let gateway = world.router();
    wait(async {
        let old = named(&gateway, "demo-app-key").await;
        let error = mint(&gateway, &old, None).await.err().unwrap();
        assert!(matches!(error, PortError::Unreachable { may_have_happened: true, .. }), "{error}");
        assert_eq!(gateway.list().await.unwrap().iter().filter(|k| k.marker == "keyroll:run:1").count(), 1, "sent exactly once");
    });
}

#[test]
fn many_keys_are_listed_whole_and_faulty_listings_are_refused() {
    let first = world(&[], |o| o.caller_chosen = true);
    let gateway = first.router();
    wait(async {
        assert_eq!(gateway.capabilities().await.unwrap().mint, Mint::CallerChooses);
        let old = named(&gateway, "demo-app-key").await;
        let value = SecretText::new("sbx-chosen-0123456789abcdef");
        assert!(mint(&gateway, &old, Some(&value)).await.unwrap().value.same_as(&value));
        assert!(matches!(mint(&gateway, &old, Some(&value)).await, Err(PortError::Conflict { .. })), "the value is taken");
        for _ in 0..60 {
            mint(&gateway, &old, None).await.unwrap();
        }
        assert_eq!(gateway.list().await.unwrap().len(), 63);
    });
    let client = |fault: &str| {
        let body = fault.to_owned();
        let url = format!("{}/faults", first.running.urls.control);
        wait(async move {
            reqwest::Client::builder().no_proxy().build().unwrap().post(url).body(body).send().await.unwrap().error_for_status().unwrap()
        });
    };
    client(r#"{"name":"list_ignores_paging","on":true}"#);
    assert!(matches!(wait(gateway.list()), Err(PortError::Unreadable { .. })));
    client(r#"{"name":"list_ignores_paging","on":false}"#);
    client(r#"{"name":"list_over_returns","on":true}"#);
    assert_eq!(wait(gateway.list()).unwrap().len(), 63);
}

#[test]
fn a_wrong_admin_key_and_an_echoed_key_are_handled() {
    let world = world(&[r#"{"name":"echo_key_in_errors","on":true}"#], |_| {});
    let stranger = SandboxGateway::router(Access { admin: SecretText::new("wrong-admin-key"), ..world.access() }).unwrap();
    let error = wait(stranger.list()).unwrap_err();
    assert!(matches!(&error, PortError::Refused { why, .. } if why.contains("admin_key_invalid")), "{error}");
    let prober = SandboxProber::router(world.endpoints(), Span::seconds(10));
    let said = wait(prober.call(&world.endpoints()[0], &chat(), &SecretText::new("sbx-nobodys-key-0123456789"), &request(1)));
    assert_eq!(said.class, CallClass::Refused);
}

#[test]
fn an_expiring_key_is_followed_by_one_that_lives_as_long() {
    let world = world(&[], |_| {});
    let gateway = world.router();
    wait(async {
        let mut like = named(&gateway, "demo-app-key").await;
        let now = gateway.now().await.unwrap();
        like.created_at = Some(now.minus(Span::minutes(90 * 24 * 60)));
        like.expires_at = Some(now.plus(Span::minutes(60)));
        mint(&gateway, &like, None).await.unwrap();
        let end = named(&gateway, "new key").await.expires_at.unwrap();
        assert!(end > now.plus(Span::minutes(90 * 24 * 60)), "{}", end.rfc3339());
        like.created_at = None;
        assert!(matches!(mint(&gateway, &like, None).await, Err(PortError::Refused { .. })));
    });
}
