//! Starts, ends, deaths, and the consumers.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::super::SandboxError;
use super::super::log::ConsumerRow;
use super::*;

#[tokio::test]
async fn a_restart_keeps_keys_faults_and_addresses() {
    let mut sandbox = Box::new();
    let (id, secret) = sandbox.mint(like_old("new")).await;
    sandbox.until(2, &secret, 200).await;
    sandbox.switch(FaultSpec::on(FaultName::AdminSlow).with("ms", 1)).await;
    let before = sandbox.get(&format!("keys/{id}")).await;
    sandbox.stop();
    let again = start(quiet(sandbox.dir.path())).unwrap();
    assert_eq!(again.urls, sandbox.urls);
    let after = sandbox.get(&format!("keys/{id}")).await;
    assert_eq!(before, after, "the time of the last use is rebuilt from the log");
    assert_eq!(sandbox.chat(2, &secret).await.0, 200);
    let (_, faults) = sandbox.control(Method::GET, "faults", None).await;
    assert_eq!(faults["on"], json!({"admin_slow": {"ms": 1}}));
    again.stop().unwrap();
}

#[tokio::test]
async fn a_folder_has_one_sandbox_and_loopback_is_all_there_is() {
    let sandbox = Box::new();
    let second = start(quiet(sandbox.dir.path()));
    assert!(matches!(second, Err(SandboxError::FolderTaken { .. })));
    let dir = tempfile::tempdir().unwrap();
    let mut options = quiet(dir.path());
    options.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(start(options), Err(SandboxError::NotLoopback { .. })));
    let mut options = quiet(dir.path());
    options.replicas = 0;
    assert!(matches!(start(options), Err(SandboxError::Option { .. })));
    let taken = sandbox.urls.admin.rsplit(':').next().unwrap().to_owned();
    let mut options = quiet(dir.path());
    options.listen.set_port(taken.parse().unwrap());
    assert!(matches!(start(options), Err(SandboxError::System { .. })));
}

#[tokio::test]
async fn quit_ends_it_and_a_lost_port_is_replaced() {
    let mut sandbox = Box::new();
    let (status, _) = sandbox.control(Method::POST, "quit", None).await;
    assert_eq!(status, 200);
    let running = sandbox.running.as_ref().unwrap();
    tokio::time::timeout(Duration::from_secs(5), running.finished()).await.unwrap();
    sandbox.stop();
    let port = sandbox.urls.data[1].rsplit(':').next().unwrap().to_owned();
    let _squatter = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let again = start(quiet(sandbox.dir.path())).unwrap();
    assert_eq!(again.urls.admin, sandbox.urls.admin);
    assert_ne!(again.urls.data[1], sandbox.urls.data[1]);
}

/// Shows nothing by itself: the process that the next test kills.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os("SANDBOX_VICTIM_DIR") else {
        return;
    };
    let mut options = quiet(Path::new(&dir));
    options.consumers = true;
    let running = start(options).unwrap();
    let urls = serde_json::to_vec(&running.urls).unwrap();
    super::super::state::replace(&Path::new(&dir).join("urls.json"), &urls).unwrap();
    std::thread::sleep(Duration::from_secs(30));
}

#[tokio::test]
async fn kill_nine_loses_nothing_that_was_answered() {
    let mut sandbox = Box::new();
    let (old, _) = sandbox.old().await;
    sandbox.stop();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::tests::life::victim"])
        .env("SANDBOX_VICTIM_DIR", sandbox.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = sandbox.dir.path().join("urls.json");
    for _ in 0..500 {
        if file.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let urls: super::super::Urls = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(urls, sandbox.urls);
    let mut minted = Vec::new();
    for number in 0..20 {
        minted.push(sandbox.mint(like_old(&format!("k{number}"))).await);
    }
    sandbox.write_slot(&minted[0].1);
    let off = json!({"enabled": false});
    sandbox.admin(Method::PATCH, &format!("keys/{old}"), Some(off)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let mut options = quiet(sandbox.dir.path());
    options.consumers = true;
    let again = start(options).unwrap();
    assert_eq!(again.urls, urls);
    for (id, secret) in &minted {
        assert_eq!(sandbox.get(&format!("keys/{id}")).await["enabled"], true);
        assert_eq!(sandbox.chat(0, secret).await.0, 200);
    }
    assert_eq!(sandbox.get(&format!("keys/{old}")).await["enabled"], false);
    let (_, batch) = sandbox.control(Method::GET, "consumers/batch", None).await;
    assert_eq!(batch["key_id"], old, "it still holds what it held");
    let (_, web) = sandbox.control(Method::GET, "consumers/web", None).await;
    assert_eq!(web["key_id"], minted[0].0);
    again.stop().unwrap();
}

fn busy() -> Box {
    Box::with(|options| {
        options.consumers = true;
        options.rate = 5.0;
    })
}

async fn consumer(sandbox: &Box, app: &str) -> Value {
    sandbox.control(Method::GET, &format!("consumers/{app}"), None).await.1
}

#[tokio::test]
async fn the_consumers_and_the_log_count_the_same() {
    let mut sandbox = busy();
    let (old, _) = sandbox.old().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let off = json!({"enabled": false});
    sandbox.admin(Method::PATCH, &format!("keys/{old}"), Some(off)).await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    // Slow calls, so that the end comes while some are under way.
    let on = json!({"enabled": true});
    sandbox.admin(Method::PATCH, &format!("keys/{old}"), Some(on)).await;
    sandbox.switch(FaultSpec::on(FaultName::LatencyShift).with("ms", 200)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    sandbox.stop();
    let own = rows::<ConsumerRow>(&sandbox.dir.path().join("consumers.jsonl"));
    let mut witnessed = BTreeMap::new();
    for row in own {
        witnessed.insert(row.request_id, (row.consumer, row.status));
    }
    let mut logged = BTreeMap::new();
    for row in sandbox.rows() {
        logged.insert(row.request_id, (row.consumer.unwrap(), row.status));
    }
    assert!(logged.len() > 100, "{}", logged.len());
    assert_eq!(witnessed, logged);
    for app in ["web", "worker", "nightly", "batch", "agent"] {
        assert!(logged.values().any(|(by, _)| by == app), "{app} never called");
    }
    assert!(logged.values().any(|(_, status)| *status == 401), "refusals count as well");
}

#[tokio::test]
async fn each_habit_moves_in_its_own_time_and_batch_only_when_told() {
    let sandbox = busy();
    let (old, _) = sandbox.old().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (new, secret) = sandbox.mint(like_old("new")).await;
    sandbox.until(2, &secret, 200).await;
    let generation = consumer(&sandbox, "web").await["generation"].as_u64().unwrap();
    sandbox.write_slot(&secret);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let web = consumer(&sandbox, "web").await;
    assert_eq!((&web["key_id"], web["generation"].as_u64()), (&json!(new), Some(generation + 1)));
    tokio::time::sleep(Duration::from_millis(3300)).await;
    for app in ["worker", "agent", "nightly"] {
        assert_eq!(consumer(&sandbox, app).await["last_key_id"], new, "{app}");
    }
    assert_eq!(consumer(&sandbox, "batch").await["last_key_id"], old);
    let (_, told) = sandbox.control(Method::POST, "consumers/batch/reload", None).await;
    assert_eq!(told["key_id"], new);
    assert!(told["loaded_at"].is_i64());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(consumer(&sandbox, "batch").await["last_key_id"], new);
    let (status, _) = sandbox.control(Method::POST, "consumers/nobody/reload", None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn an_unreadable_slot_leaves_the_last_value_and_a_stop_is_quiet() {
    let sandbox = busy();
    let (old, _) = sandbox.old().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    std::fs::remove_file(&sandbox.urls.store).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let web = consumer(&sandbox, "web").await;
    assert_eq!((&web["key_id"], &web["last_status"]), (&json!(old), &json!(200)));
    let (status, _) = sandbox.control(Method::POST, "consumers/web/reload", None).await;
    assert_eq!(status, 409);
    let (_, stopped) = sandbox.control(Method::POST, "consumers/web/stop", None).await;
    assert_eq!((&stopped["running"], &stopped["busy"]), (&json!(false), &json!(false)));
    assert_eq!(stopped["requests"], stopped["logged"]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(consumer(&sandbox, "web").await["requests"], stopped["requests"]);
    sandbox.control(Method::POST, "consumers/web/start", None).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_ne!(consumer(&sandbox, "web").await["requests"], stopped["requests"]);
}

#[tokio::test]
async fn people_and_clocks_interfere() {
    let sandbox = Box::new();
    let (old, secret) = sandbox.old().await;
    let act = async |body: Value| sandbox.control(Method::POST, "people", Some(body)).await;
    let (_, copy) = act(json!({"do": "duplicate", "key": "demo-app-key"})).await;
    assert_ne!(copy["id"], old);
    act(json!({"do": "edit", "key": old, "scope": {"rpm": 7}})).await;
    act(json!({"do": "rename", "key": old, "name": "other"})).await;
    act(json!({"do": "disable", "key": old})).await;
    let row = sandbox.get(&format!("keys/{old}")).await;
    assert_eq!((&row["scope"]["rpm"], &row["name"], &row["enabled"]), (&json!(7), &json!("other"), &json!(false)));
    sandbox.until(2, &secret, 401).await;
    act(json!({"do": "enable", "key": old})).await;
    act(json!({"do": "delete", "key": old})).await;
    assert_eq!(sandbox.admin(Method::GET, &format!("keys/{old}"), None).await.0, 404);
    assert_eq!(act(json!({"do": "delete", "key": old})).await.0, 404);

    let skew = json!({"skew_ms": 259_200_000});
    sandbox.control(Method::POST, "clock", Some(skew)).await;
    let url = format!("{}/healthz", sandbox.urls.data[0]);
    let answer = sandbox.http.get(url).send().await.unwrap();
    let date = chrono::DateTime::parse_from_rfc2822(answer.headers()["date"].to_str().unwrap()).unwrap();
    let ahead = date.timestamp() - chrono::Utc::now().timestamp();
    assert!((259_190..=259_210).contains(&ahead), "{ahead}");
    let (_, state) = sandbox.control(Method::GET, "state", None).await;
    assert!(!state.to_string().contains(&secret));
    assert_eq!(state["keys"][0]["deleted"], true);
}
