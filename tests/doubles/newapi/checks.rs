//! What the double of new-api must do and refuse; a part of `tests/gateway_doubles.rs`.

use super::newapi::{Build, Double, Fail, Token, Trap, USER};
use super::{MINUTE, Said, chat, send};
use serde_json::{Value, json};

/// The console, as a driver of this build speaks to it.
struct Console {
    double: Double,
    build: Build,
}

impl Console {
    fn new(build: Build) -> (Self, Token) {
        let double = Double::start(build, 2);
        let token = double.mint("app");
        (Self { double, build }, token)
    }

    fn try_ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Said> {
        let (access, user) = (self.double.access(), USER.to_string());
        let mut headers = vec![("authorization", access.as_str())];
        if self.build != Build::Newest {
            headers.push(("new-api-user", &user));
        }
        send(method, &format!("{}{path}", self.double.console()), &headers, body.as_ref())
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Said {
        self.try_ask(method, path, body).unwrap()
    }

    /// The data of a yes; none: a refusal with status 200.
    fn data(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let said = self.ask(method, path, body);
        assert_eq!(said.status, 200, "{}", said.text);
        said.body["success"].as_bool().unwrap().then(|| said.body["data"].clone())
    }

    fn create(&self, name: &str) -> Option<Value> {
        self.data("POST", "/api/token/", Some(whole(name)))
    }

    fn set(&self, id: u64, status: u64) -> Option<Value> {
        self.data("PUT", "/api/token/?status_only=true", Some(json!({"id": id, "status": status})))
    }

    fn call(&self, router: usize, token: &Token) -> u16 {
        chat(&self.double.data()[router], &token.secret(), "small").status
    }
}

/// A form that leaves nothing to zero.
fn whole(name: &str) -> Value {
    json!({"name": name, "expired_time": -1, "remain_quota": 0, "unlimited_quota": true, "model_limits_enabled": true,
        "model_limits": "small,big", "allow_ips": "127.0.0.1\n10.0.0.1", "group": "vip"})
}

#[test]
fn a_token_is_created_found_revealed_switched_and_deleted() {
    for build in [Build::Old, Build::June, Build::Newest] {
        let (console, _) = Console::new(build);
        assert_eq!(console.create("app of r1"), Some(Value::Null), "no id and no key");
        let found = console.data("GET", "/api/token/search?keyword=app%20of%20r1&token=", None).unwrap();
        let found = if build == Build::Old { &found } else { &found["items"] };
        let (id, shown) = (found[0]["id"].as_u64().unwrap(), found[0]["key"].as_str().unwrap());
        assert_eq!(found.as_array().unwrap().len(), 1);
        let revealed = console.ask("POST", &format!("/api/token/{id}/key"), None);
        let key = if build == Build::Old {
            assert_eq!(revealed.status, 404);
            shown.to_owned()
        } else {
            assert!(shown.contains("****"));
            revealed.body["data"]["key"].as_str().unwrap().to_owned()
        };
        let token = console.double.live().pop().unwrap();
        assert_eq!((key.len(), &key, token.id), (48, &token.key, id));
        assert_eq!([console.call(0, &token), console.call(1, &token)], [200, 200]);
        assert_eq!(console.set(id, 2).unwrap()["status"], 2);
        assert_eq!([console.call(0, &token), console.call(1, &token)], [401, 401]);
        assert!(console.set(id, 1).is_some() && console.call(0, &token) == 200);
        assert_eq!(console.data("DELETE", &format!("/api/token/{id}"), None), Some(Value::Null));
        assert_eq!(console.data("DELETE", &format!("/api/token/{id}"), None), None);
        assert_eq!((console.call(0, &token), console.double.live().len()), (401, 1));
    }
}

#[test]
fn new_api_says_no_to_wrong_forms_in_200_and_to_strangers_in_401() {
    let (console, token) = Console::new(Build::June);
    let mut wrong = vec![json!({"name": "x".repeat(51)}), json!({"name": "é".repeat(26)}), json!({"name": "x", "remain_quota": -1})];
    for (field, value) in
        [("key", json!("mine")), ("status", json!(1)), ("expired_time", json!("never")), ("model_limits", json!(["small"]))]
    {
        let mut form = whole("x");
        form[field] = value;
        wrong.push(form);
    }
    for form in wrong {
        assert_eq!(console.data("POST", "/api/token/", Some(form.clone())), None, "{form}");
    }
    for path in [
        "/api/token/?page=1",
        "/api/token/?p=x",
        "/api/token/search?name=app",
        "/api/token/search?keyword=%25a%25",
        "/api/log/self?token=app",
    ] {
        assert_eq!(console.data("GET", path, None), None, "{path}");
    }
    assert!(console.set(token.id, 3).is_none() && console.set(999, 2).is_none());
    assert_eq!((console.ask("POST", "/api/token", Some(whole("x"))).status, console.ask("GET", "/v1/models", None).status), (307, 404));
    assert_eq!(console.double.live().len(), 1);
    let url = format!("{}/api/token/", console.double.console());
    let access = console.double.access();
    for (headers, status) in [
        (vec![("new-api-user", "7")], 401),
        (vec![("authorization", access.as_str())], 401),
        (vec![("authorization", access.as_str()), ("new-api-user", "root")], 401),
        (vec![("authorization", access.as_str()), ("new-api-user", "1")], 401),
        (vec![("authorization", "sk-nothing"), ("new-api-user", "7")], 401),
        (vec![("authorization", &format!("Bearer {access}")), ("new-api-user", "7")], 200),
    ] {
        assert_eq!(send("GET", &url, &headers, None).unwrap().status, status, "{headers:?}");
    }
    let foreign = console.double.mint_for("theirs", 8);
    assert_eq!(console.data("GET", &format!("/api/token/{}", foreign.id), None), None);
    console.data("GET", "/api/user/token", None).unwrap();
    assert_eq!(send("GET", &url, &[("authorization", &access), ("new-api-user", "7")], None).unwrap().status, 401);
    let (newest, _) = Console::new(Build::Newest);
    let stranger = send("GET", &format!("{}/api/token/", newest.double.console()), &[], None).unwrap();
    assert_eq!((stranger.status, &stranger.body["code"]), (401, &json!("AUTH_UNAUTHORIZED")));
}

#[test]
fn new_api_zeroes_what_an_update_does_not_mention() {
    let (console, _) = Console::new(Build::June);
    console.create("scoped").unwrap();
    let token = console.double.live().pop().unwrap();
    console.set(token.id, 2).unwrap();
    let kept = console.data("GET", &format!("/api/token/{}", token.id), None).unwrap();
    assert_eq!((&kept["group"], &kept["expired_time"], &kept["status"]), (&json!("vip"), &json!(-1), &json!(2)));
    let sent_back = console.data("PUT", "/api/token/", Some(kept)).unwrap();
    assert_eq!((&sent_back["group"], &sent_back["status"]), (&json!("vip"), &json!(2)));
    console.double.trap(Trap::StatusOnlyIgnored, true);
    let zeroed = console.set(token.id, 1).unwrap();
    assert_eq!(
        (&zeroed["group"], &zeroed["expired_time"], &zeroed["name"], &zeroed["status"]),
        (&json!(""), &json!(0), &json!(""), &json!(2))
    );
    console.double.trap(Trap::StatusOnlyIgnored, false);
    console.double.trap(Trap::StatusStays, true);
    assert_eq!((console.set(token.id, 1).unwrap()["status"].as_u64(), console.double.live()[1].status), (Some(1), 2));
}

#[test]
fn the_saga_of_a_new_token_breaks_at_each_step() {
    let (console, app) = Console::new(Build::June);
    let double = &console.double;
    double.lose("create", 1);
    assert!(console.try_ask("POST", "/api/token/", Some(whole("lost"))).is_none());
    double.trap(Trap::CreateSaysNo, true);
    assert!(console.create("denied").is_none());
    double.trap(Trap::CreateSaysNo, false);
    double.list_lag(MINUTE);
    let named = |name: &str| console.data("GET", &format!("/api/token/search?keyword={name}"), None).unwrap()["total"].as_u64();
    assert_eq!((named("lost"), double.live().len()), (Some(0), 3));
    double.later(MINUTE);
    assert_eq!((named("lost"), named("denied"), named("ap"), named("ap%25")), (Some(1), Some(1), Some(0), Some(1)));
    double.trap(Trap::SearchFuzzy, true);
    assert_eq!(named("ap"), Some(1));
    let key = || console.ask("POST", &format!("/api/token/{}/key", app.id), None);
    double.trap(Trap::RevealMasked, true);
    assert!(key().body["data"]["key"].as_str().unwrap().contains("***"));
    double.trap(Trap::RevealMasked, false);
    double.trap(Trap::RevealOnce, true);
    assert_eq!((key().status, key().body["success"].as_bool()), (200, Some(false)));
    double.trap(Trap::RevealRefused, true);
    assert_eq!(key().status, 403);
    double.trap(Trap::RevealRefused, false);
    double.allowance(0, 1);
    assert_eq!((key().status, key().text.as_str(), named("app")), (429, "", Some(1)));
    assert_eq!(console.ask("GET", "/api/token/search?keyword=app", None).status, 429);
    double.most_tokens(3);
    assert_eq!(console.create("one too many"), None);
    double.fail("create", &[Fail::After(502)]);
    double.most_tokens(4);
    assert_eq!((console.ask("POST", "/api/token/", Some(whole("kept"))).status, double.live().len()), (502, 4));
    for trap in [Trap::ReusesIds, Trap::DropsScope, Trap::DropsExpiry, Trap::DropsQuota, Trap::UniqueNames] {
        double.trap(trap, true);
    }
    console.data("DELETE", &format!("/api/token/{}", app.id), None).unwrap();
    assert_eq!(console.create("kept"), None);
    console.data("POST", "/api/token/", Some(json!({"name": "again", "group": "vip", "remain_quota": 5, "expired_time": 1}))).unwrap();
    let again = double.live().pop().unwrap();
    assert_eq!((again.id, again.group.as_str(), again.unlimited, again.expires), (app.id, "", true, -1));
}

#[test]
fn spent_expired_and_scoped_tokens_are_refused_like_disabled_ones() {
    let (console, app) = Console::new(Build::June);
    let double = &console.double;
    double.edit(app.id, |t| (t.unlimited, t.remain) = (false, 600));
    assert_eq!([console.call(0, &app), console.call(0, &app), console.call(1, &app)], [200, 200, 401]);
    let said = chat(&double.data()[0], &app.secret(), "small");
    assert_eq!((said.body["error"]["type"].as_str(), double.live()[0].status), (Some("new_api_error"), 4));
    assert!(said.head.contains("x-oneapi-request-id") && said.text.contains("request id: "));
    assert_eq!(console.set(app.id, 1), None, "an exhausted token is not enabled");
    double.trap(Trap::ExhaustedIs403, true);
    assert_eq!(console.call(0, &app), 403);
    let usage =
        send("GET", &format!("{}/api/usage/token/", double.console()), &[("authorization", &format!("Bearer {}", app.secret()))], None);
    assert_eq!(usage.unwrap().body["data"]["total_used"], 1000);
    let other = double.mint("other");
    assert_eq!(chat(&double.data()[0], &format!("{}-9", other.secret()), "small").status, 200);
    let refused = |change: &dyn Fn(&mut Token)| {
        let token = double.mint("one");
        double.edit(token.id, change);
        console.call(0, &token)
    };
    assert_eq!(refused(&|t| t.expires = 0), 401);
    assert_eq!(refused(&|t| t.allow_ips = "10.0.0.1".into()), 403);
    assert_eq!(refused(&|t| t.group = "gone".into()), 403);
    assert_eq!(refused(&|t| (t.model_limits_enabled, t.model_limits) = (true, "big".into())), 403);
    double.wallet(0);
    let broke = chat(&double.data()[0], &other.secret(), "small");
    assert_eq!((broke.status, broke.body["error"]["code"].as_str()), (403, Some("insufficient_user_quota")));
}

#[test]
fn rows_are_found_by_name_late_or_never() {
    let (console, app) = Console::new(Build::June);
    let double = &console.double;
    double.mint("other");
    double.log_lag(MINUTE);
    double.usage_lag(10 * MINUTE);
    console.call(0, &app);
    chat(&double.data()[1], "sk-unknown", "small");
    let rows = |query: &str| console.data("GET", &format!("/api/log/self?p=1&page_size=50&token_name=app{query}"), None).unwrap();
    assert_eq!(rows("")["total"], 0);
    double.later(MINUTE);
    assert_eq!((&rows("&type=2")["total"], &rows("&type=5")["total"]), (&json!(1), &json!(0)));
    let row = rows("")["items"][0].clone();
    assert!(row["token_id"].is_null() && row["other"].is_string() && row["token_name"] == "app", "{row}");
    let used = || console.data("GET", &format!("/api/token/{}", app.id), None).unwrap()["used_quota"].as_i64();
    assert_eq!(used(), Some(0));
    double.later(10 * MINUTE);
    assert_eq!(used(), Some(500));
    double.upstream(Some(500));
    console.call(1, &app);
    double.upstream(None);
    double.trap(Trap::LogsOff, true);
    console.call(1, &app);
    double.trap(Trap::LogsOff, false);
    double.later(MINUTE);
    assert_eq!((&rows("")["total"], &rows("&type=5")["total"], double.served().len()), (&json!(2), &json!(1), 4));
    double.trap(Trap::SmallRowIds, true);
    assert!(rows("")["items"][0]["id"].as_u64().unwrap() < 1024);
    assert_eq!(console.data("GET", "/api/log/self/stat?token_name=app", None).unwrap()["quota"], 500);
    assert_eq!(console.ask("GET", "/api/log/", None).status, 403);
    let all =
        send("GET", &format!("{}/api/log/", double.console()), &[("authorization", &double.admin_access()), ("new-api-user", "1")], None);
    assert_eq!(all.unwrap().body["data"]["items"][0]["token_id"], app.id);
    let own = send("GET", &format!("{}/api/log/token", double.console()), &[("authorization", &format!("Bearer {}", app.secret()))], None);
    assert_eq!(own.unwrap().body["data"][0]["token_id"], app.id);
}

#[test]
fn pages_begin_where_the_build_says_and_routers_lag() {
    let (console, app) = Console::new(Build::Old);
    console.double.mint("second");
    console.double.page(1);
    let name = |console: &Console, query: &str| {
        let data = console.data("GET", &format!("/api/token/?{query}"), None).unwrap();
        let items = if console.build == Build::Old { &data } else { &data["items"] };
        items[0]["name"].as_str().map(str::to_owned)
    };
    let names = |console: &Console| ["p=0", "p=1", "p=2", "p=3"].map(|p| name(console, p).unwrap_or_default());
    assert_eq!(names(&console), ["second", "app", "", ""]);
    assert_eq!(name(&console, "p=1&page_size=100").unwrap(), "app");
    let (june, _) = Console::new(Build::June);
    june.double.mint("second");
    june.double.page(1);
    assert_eq!(names(&june), ["second", "second", "app", ""]);
    june.double.trap(Trap::LoopingPages, true);
    assert_eq!(name(&june, "p=90").unwrap(), "second");
    console.double.behind(1, MINUTE);
    console.double.read_lag(MINUTE);
    console.set(app.id, 2).unwrap();
    let status = || console.data("GET", &format!("/api/token/{}", app.id), None).unwrap()["status"].as_u64();
    assert_eq!(status(), Some(1));
    console.double.read_lag(std::time::Duration::ZERO);
    assert_eq!(status(), Some(2));
    assert_eq!([console.call(0, &app), console.call(1, &app)], [401, 200]);
    console.double.later(MINUTE);
    assert_eq!(console.call(1, &app), 401);
    console.double.trap(Trap::ServesDisabled, true);
    assert_eq!(console.call(1, &app), 200);
    console.data("DELETE", &format!("/api/token/{}", app.id), None).unwrap();
    assert_eq!(console.call(0, &app), 401);
    console.double.trap(Trap::Revives, true);
    assert_eq!(console.call(0, &app), 200);
}

#[test]
fn other_habits_of_forks_are_switches() {
    let (console, app) = Console::new(Build::Newest);
    let double = &console.double;
    let body = json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "ping"}]});
    let stream = || super::ask("POST", &format!("{}/chat/completions", double.data()[0]), &app.secret(), Some(&body)).text;
    assert!(stream().contains("[DONE]") && stream().contains("total_tokens"));
    double.trap(Trap::CutStream, true);
    assert!(!stream().contains("[DONE]"));
    double.trap(Trap::OtherIsObject, true);
    assert!(console.data("GET", "/api/log/self", None).unwrap()["items"][0]["other"].is_object());
    let one = || console.data("GET", &format!("/api/token/{}", app.id), None).unwrap();
    assert_eq!(one()["used_quota"], 1500);
    double.trap(Trap::CountersStand, true);
    assert!(one()["used_quota"] == 0 && one()["key"] != json!(app.key));
    double.trap(Trap::EchoesSecret, true);
    assert_eq!(one()["key"], app.key);
    let refused = |secret: &str| chat(&double.data()[0], secret, "small");
    assert!(refused("sk-nobody").text.contains("sk-nobody") && !refused("sk-nobody").text.contains("Invalid"));
    double.trap(Trap::English, true);
    assert!(refused("sk-nobody").text.contains("Invalid token"));
    console.set(app.id, 2).unwrap();
    double.trap(Trap::DisabledLooksLikeQuota, true);
    assert_eq!((refused(&app.secret()).status, refused("sk-nobody").status), (403, 401));
    let mut form = whole("x");
    form["nonsense"] = json!(1);
    assert_eq!(console.data("POST", "/api/token/", Some(form.clone())), None);
    double.trap(Trap::DropsUnknown, true);
    assert!(console.data("POST", "/api/token/", Some(form)).is_some());
    assert!(console.create("x").is_some(), "a name may come twice");
    assert_eq!(console.data("GET", "/api/token/search?keyword=x", None).unwrap()["total"], 2);
    let keys = console.data("POST", "/api/token/batch/keys", Some(json!({"ids": [app.id]}))).unwrap();
    assert_eq!(keys["keys"][app.id.to_string()], app.key);
    assert_eq!(console.data("GET", "/api/user/self/groups", None).unwrap()["vip"]["ratio"], 1);
    assert_eq!(console.data("POST", "/api/token/batch", Some(json!({"ids": [app.id]}))), Some(json!(1)));
    assert_eq!(console.data("POST", "/api/token/batch", Some(json!({"ids": [app.id]}))), None);
}

#[test]
fn a_naive_driver_is_found_out() {
    let (console, app) = Console::new(Build::June);
    let double = &console.double;
    // A disable by a partial update: a yes, a refused key, and a token that nobody can switch on again.
    let said = console.data("PUT", "/api/token/", Some(json!({"id": app.id, "status": 2}))).unwrap();
    assert_eq!((said["status"].as_u64(), console.call(0, &app)), (Some(1), 401));
    assert!(console.set(app.id, 1).is_none());
    // A second create after a lost answer: two tokens of one name.
    double.lose("create", 1);
    assert!(console.try_ask("POST", "/api/token/", Some(whole("new"))).is_none());
    assert!(console.create("new").is_some());
    assert_eq!(double.tokens().iter().filter(|t| t.name == "new").count(), 2);
    // A group that went away refuses like a scope, not like a key.
    double.groups(&["default"]);
    let new = double.live().pop().unwrap();
    assert_eq!(console.call(0, &new), 403);
    double.slow("list", MINUTE / 300);
    let began = std::time::Instant::now();
    console.data("GET", "/api/token/", None).unwrap();
    assert!(began.elapsed() >= MINUTE / 300);
    assert_eq!((double.calls("create"), double.waiting()), (2, vec![]));
}
