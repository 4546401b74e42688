//! Each fault can be seen from outside.

use super::*;
use FaultName as F;

async fn disable(sandbox: &Box, id: &str) -> u16 {
    let off = json!({"enabled": false});
    sandbox.admin(Method::PATCH, &format!("keys/{id}"), Some(off)).await.0
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test]
async fn changes_arrive_late() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::ProjectionDelay).with("ms", 500)).await;
    disable(&sandbox, &id).await;
    sleep(200).await;
    assert_eq!(sandbox.chat(0, &secret).await.0, 200, "documented: 60 ms");
    sandbox.until(0, &secret, 401).await;
}

#[tokio::test]
async fn one_replica_lags() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::ReplicaLag).with("replica", 1).with("ms", 600)).await;
    disable(&sandbox, &id).await;
    sandbox.until(2, &secret, 401).await;
    assert_eq!(sandbox.chat(1, &secret).await.0, 200);
    sandbox.until(1, &secret, 401).await;
}

#[tokio::test]
async fn an_answer_is_lost_and_the_key_exists() {
    let sandbox = Box::new();
    let count = async |marker: &str| {
        let keys = sandbox.get(&format!("keys?marker={marker}")).await;
        keys["data"].as_array().unwrap().len()
    };
    sandbox.switch(FaultSpec::on(F::LostResponse).with("on", "mint")).await;
    let lost = sandbox.try_admin(Method::POST, "keys", Some(like_old("a"))).await;
    assert!(lost.is_err());
    assert_eq!(count("run-a").await, 1, "exactly one, and nobody knows its secret");
    let spec = FaultSpec::on(F::LostResponse).with("on", "mint").with("before", true);
    sandbox.switch(spec).await;
    assert!(sandbox.try_admin(Method::POST, "keys", Some(like_old("b"))).await.is_err());
    assert_eq!(count("run-b").await, 0);
    sandbox.mint(like_old("b")).await;
    sandbox.switch(FaultSpec::on(F::LostResponse).with("on", "disable")).await;
    let (id, _) = sandbox.old().await;
    let off = Some(json!({"enabled": false}));
    assert!(sandbox.try_admin(Method::PATCH, &format!("keys/{id}"), off).await.is_err());
    assert_eq!(sandbox.get(&format!("keys/{id}")).await["enabled"], false);
}

#[tokio::test]
async fn rows_come_late_or_not_at_all() {
    let mut sandbox = Box::new();
    let (_, secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::LogLag).with("ms", 300)).await;
    sandbox.chat(0, &secret).await;
    assert_eq!(sandbox.rows().len(), 0);
    sleep(400).await;
    assert_eq!(sandbox.rows().len(), 1);
    sandbox.switch(FaultSpec::on(F::ExporterStopped).with("replica", 1)).await;
    for replica in 0..3 {
        assert_eq!(sandbox.chat(replica, &secret).await.0, 200);
    }
    sandbox.stop();
    let replicas: Vec<_> = sandbox.rows().iter().map(|row| row.replica).collect();
    assert_eq!(replicas, [0, 0, 2], "a graceful end writes what was held back");
}

#[tokio::test]
async fn the_new_keys_use_is_logged_under_another_key() {
    let sandbox = Box::new();
    sandbox.on(F::UsageOnWrongOwner).await;
    let (old, old_secret) = sandbox.old().await;
    let (new, secret) = sandbox.mint(like_old("new")).await;
    sandbox.until(2, &secret, 200).await;
    let row = sandbox.rows().into_iter().rfind(|row| row.status == 200).unwrap();
    assert_eq!(row.key_id, Some(old.clone()));
    sandbox.chat(0, &old_secret).await;
    assert!(sandbox.rows().iter().all(|row| row.key_id.as_ref() != Some(&new)));
}

#[tokio::test]
async fn a_mint_can_be_broader_or_deadly_or_double_or_nothing() {
    let sandbox = Box::new();
    let (old, old_secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::ScopeDropped).with("field", "rpm")).await;
    let (id, _) = sandbox.mint(like_old("broad")).await;
    assert_eq!(sandbox.get(&format!("keys/{id}")).await["scope"]["rpm"], Value::Null);

    sandbox.on(F::DuplicateMint).await;
    sandbox.mint(like_old("twin")).await;
    let twins = sandbox.get("keys?marker=run-twin").await;
    assert_eq!(twins["data"].as_array().unwrap().len(), 2);

    sandbox.on(F::MintReturnsOld).await;
    assert_eq!(sandbox.mint(like_old("none")).await, (old.clone(), old_secret.clone()));
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::MintReturnsOld) }).await;

    sandbox.on(F::GraceKillsOld).await;
    sandbox.mint(like_old("grace")).await;
    sandbox.until(2, &old_secret, 401).await;
    assert_eq!(sandbox.get(&format!("keys/{old}")).await["enabled"], true, "says the admin API");
    let on = json!({"enabled": true});
    sandbox.admin(Method::PATCH, &format!("keys/{old}"), Some(on)).await;
    sandbox.until(2, &old_secret, 200).await;
}

#[tokio::test]
async fn a_new_key_dies_later() {
    let sandbox = Box::new();
    sandbox.switch(FaultSpec::on(F::NewKeyDies).with("after_ms", 400)).await;
    let (id, secret) = sandbox.mint(like_old("new")).await;
    sandbox.until(2, &secret, 200).await;
    sandbox.until(2, &secret, 401).await;
    assert_eq!(sandbox.get(&format!("keys/{id}")).await["enabled"], true);
}

#[tokio::test]
async fn one_replica_ignores_the_disable() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::DisableIgnoredByReplica).with("replica", 1)).await;
    disable(&sandbox, &id).await;
    sandbox.until(2, &secret, 401).await;
    sleep(100).await;
    assert_eq!(sandbox.chat(0, &secret).await.0, 401);
    assert_eq!(sandbox.chat(1, &secret).await.0, 200);
}

#[tokio::test]
async fn calls_fail_in_bursts_or_slow_down_for_the_new_key_only() {
    let sandbox = Box::new();
    let (_, old) = sandbox.old().await;
    let (_, new) = sandbox.mint(like_old("new")).await;
    sandbox.until(2, &new, 200).await;
    let burst = FaultSpec::on(F::Bursts5xx).with("every", 4).with("len", 2);
    sandbox.switch(burst.with("only", "new")).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(sandbox.chat(2, &new).await.0);
        assert_eq!(sandbox.chat(2, &old).await.0, 200);
    }
    assert_eq!(seen, [503, 503, 200, 200, 503, 503]);
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::Bursts5xx) }).await;
    sandbox.switch(FaultSpec::on(F::LatencyShift).with("ms", 200)).await;
    sandbox.chat(2, &old).await;
    let row = sandbox.rows().pop().unwrap();
    assert!(row.latency_ms >= 200, "{}", row.latency_ms);
}

#[tokio::test]
async fn errors_repeat_the_key() {
    let sandbox = Box::new();
    sandbox.on(F::EchoKeyInErrors).await;
    let (_, body) = sandbox.chat(0, "sbx-secret-of-nobody").await;
    assert!(body.to_string().contains("sbx-secret-of-nobody"));
}

#[tokio::test]
async fn a_remembered_refusal_outlives_the_enable() {
    let sandbox = Box::new();
    let (id, secret) = sandbox.old().await;
    sandbox.switch(FaultSpec::on(F::RefusalCache).with("ms", 400)).await;
    disable(&sandbox, &id).await;
    sandbox.until(2, &secret, 401).await;
    let on = json!({"enabled": true});
    sandbox.admin(Method::PATCH, &format!("keys/{id}"), Some(on)).await;
    for _ in 0..4 {
        sleep(150).await;
        assert_eq!(sandbox.chat(2, &secret).await.0, 401, "asking keeps it warm");
    }
    sleep(500).await;
    assert_eq!(sandbox.chat(2, &secret).await.0, 200);
}

#[tokio::test]
async fn refusals_leave_no_trace() {
    let sandbox = Box::new();
    sandbox.on(F::RefusedLeaveNoRow).await;
    assert_eq!(sandbox.chat(0, "sbx-nobody").await.0, 401);
    let (_, secret) = sandbox.old().await;
    sandbox.chat(0, &secret).await;
    assert_eq!(sandbox.rows().len(), 1);
}

#[tokio::test]
async fn lists_lie() {
    let sandbox = Box::new();
    for number in 0..52 {
        sandbox.mint(like_old(&format!("k{number}"))).await;
    }
    let ids = |page: Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap().clone();
        rows.iter().map(|row| row["id"].to_string()).collect()
    };
    sandbox.on(F::ListIgnoresPaging).await;
    let page = sandbox.get("keys").await;
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let next = sandbox.get(&format!("keys?cursor={cursor}")).await;
    assert_eq!(ids(page), ids(next));
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::ListIgnoresPaging) }).await;
    sandbox.switch(FaultSpec::on(F::ListMisses).with("n", 3)).await;
    let next = sandbox.get(&format!("keys?cursor={cursor}")).await;
    assert_eq!(ids(next).len(), 1, "54 keys without the 3 newest");
    assert!(ids(sandbox.get("keys?marker=run-k51").await).is_empty());
    sandbox.on(F::ListOverReturns).await;
    let all = ids(sandbox.get("keys?marker=run-k1").await);
    assert_eq!(all.len(), 51);
    assert_eq!(all.first(), all.last());
}

#[tokio::test]
async fn the_admin_api_is_down_slow_or_somebody_elses() {
    let sandbox = Box::new();
    let (id, _) = sandbox.old().await;
    let identity = sandbox.get("identity").await;
    sandbox.on(F::WrongTenant).await;
    assert_ne!(sandbox.get("identity").await["org"], identity["org"]);
    assert_eq!(sandbox.get("keys").await["data"], json!([]));
    assert_eq!(disable(&sandbox, &id).await, 404);
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::WrongTenant) }).await;
    sandbox.switch(FaultSpec::on(F::AdminSlow).with("ms", 200)).await;
    let began = Instant::now();
    sandbox.get("identity").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    sandbox.on(F::AdminDown).await;
    assert_eq!(disable(&sandbox, &id).await, 503);
    sandbox.switch(FaultSpec::on(F::AdminDown).with("how", "drop")).await;
    assert!(sandbox.try_admin(Method::GET, "identity", None).await.is_err());
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::AdminDown) }).await;
    assert_eq!(sandbox.get(&format!("keys/{id}")).await["enabled"], true);
}

#[tokio::test]
async fn somebody_nobody_listed_keeps_the_old_key() {
    let sandbox = Box::new();
    let (old, _) = sandbox.old().await;
    let spec = FaultSpec::on(F::UnlistedCaller).with("app", "ghost").with("every_ms", 20);
    sandbox.switch(spec).await;
    sleep(200).await;
    sandbox.write_slot("sbx-another-value-entirely");
    sleep(200).await;
    let (_, ghost) = sandbox.control(Method::GET, "consumers/ghost", None).await;
    assert_eq!((&ghost["key_id"], &ghost["listed"]), (&json!(old), &json!(false)));
    let rows = sandbox.rows();
    assert!(rows.len() > 4);
    assert!(rows.iter().all(|row| row.consumer.as_deref() == Some("ghost") && row.status == 200));
}

#[tokio::test]
async fn a_misspelt_fault_is_refused() {
    let sandbox = Box::new();
    for body in [
        json!({"name": "log_leg"}),
        json!({"name": "log_lag", "args": {"seconds": 2}}),
        json!({"name": "log_lag", "args": {"ms": "2"}}),
        json!({"name": "log_lag", "off": true}),
    ] {
        let (status, _) = sandbox.control(Method::POST, "faults", Some(body.clone())).await;
        assert_eq!(status, 400, "{body}");
    }
    let (_, faults) = sandbox.control(Method::GET, "faults", None).await;
    assert_eq!(faults["on"], json!({}));
    assert_eq!(faults["known"].as_array().unwrap().len(), F::ALL.len());
}

#[tokio::test]
async fn a_write_lands_after_its_caller_has_given_up() {
    let sandbox = Box::new();
    sandbox.switch(FaultSpec::on(F::AdminSlow).with("ms", 300)).await;
    let url = format!("{}/admin/keys", sandbox.urls.admin);
    let request = sandbox.http.post(url).bearer_auth(&sandbox.admin_key).json(&like_old("late"));
    assert!(request.timeout(Duration::from_millis(100)).send().await.is_err());
    let marked = async || sandbox.get("keys?marker=run-late").await["data"].as_array().unwrap().len();
    sandbox.switch(FaultSpec { on: false, ..FaultSpec::on(F::AdminSlow) }).await;
    assert_eq!(marked().await, 0, "a look right after the time-out finds nothing");
    sleep(400).await;
    assert_eq!(marked().await, 1);
}
