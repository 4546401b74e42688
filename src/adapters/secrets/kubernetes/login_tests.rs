//! Which way in is taken, and what a login program is given and gives.
#![expect(clippy::unwrap_used, reason = "a test may")]

use super::*;
use secrecy_free::exposed;

/// Reads what only the library's own type holds, through its written form.
mod secrecy_free {
    use kube::config::AuthInfo;

    pub(super) fn exposed(info: &AuthInfo, field: &str) -> Option<String> {
        serde_json::to_value(info).ok()?.get(field)?.as_str().map(str::to_owned)
    }
}

fn kubeconfig(user: &serde_json::Value) -> Kubeconfig {
    let text = serde_json::json!({
        "current-context": "dev",
        "contexts": [
            { "name": "dev", "context": { "cluster": "c1", "user": "u1" } },
            { "name": "prod", "context": { "cluster": "c2", "user": "u1" } },
            { "name": "broken", "context": { "cluster": "nowhere", "user": "u1" } },
        ],
        "clusters": [
            { "name": "c1", "cluster": { "server": "https://dev.example.com:6443" } },
            { "name": "c2", "cluster": { "server": "https://prod.example.com" } },
        ],
        "users": [{ "name": "u1", "user": user }],
    });
    serde_json::from_value(text).unwrap()
}

fn find(context: Option<&str>, cluster: Option<&str>) -> Result<(String, String), String> {
    let wanted = Wanted { context: context.map(Into::into), cluster: cluster.map(Into::into) };
    let login = Login::find(&wanted, Some(kubeconfig(&serde_json::json!({ "token": "t" }))))?;
    let Source::File(_, context) = login.source else { return Err("a pod".into()) };
    Ok((context, origin(&login.server)))
}

#[test]
fn the_policy_names_its_cluster_and_another_one_is_refused() {
    assert_eq!(find(Some("prod"), None).unwrap().1, "https://prod.example.com:443");
    assert_eq!(find(None, Some("https://PROD.example.com:443/")).unwrap().0, "prod");
    assert_eq!(find(None, Some("5b1c-uid")).unwrap().0, "dev", "the uid is asked for later");
    assert!(find(None, None).unwrap_err().contains("names no cluster"));
    assert!(find(Some("nobody"), None).unwrap_err().contains("no context nobody"));
    assert!(find(Some("broken"), None).unwrap_err().contains("no API server"));
    assert!(find(Some("dev"), Some("https://prod.example.com")).unwrap_err().contains("another cluster"));
    assert!(find(None, Some("https://other.example.com")).unwrap_err().contains("no context"));
    assert!(find(None, Some("ftp://x")).unwrap_err().contains("no address"));
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn program(script: &str) -> (Result<Option<i64>, String>, AuthInfo) {
    let exec: ExecConfig = serde_json::from_value(serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
        "env": [{ "name": "FROM_KUBECONFIG", "value": "yes" }],
    }))
    .unwrap();
    let mut info = AuthInfo::default();
    let ran = wait(run(&exec, &mut info, &["HOME".to_owned()], &Scrubber::new()));
    (ran, info)
}

#[test]
fn a_login_program_gets_little_and_gives_a_credential() {
    let say = r#"printf '{"status":{"token":"tok-%s-%s-%s","expirationTimestamp":"2027-01-15T08:00:00Z"}}' "$FROM_KUBECONFIG" "${HOME:-none}" "${CARGO_MANIFEST_DIR:-none}""#;
    let (until, info) = program(say);
    assert_eq!(until, Ok(Some(1_800_000_000_000)));
    assert_eq!(exposed(&info, "token").as_deref(), Some("tok-yes-none-none"));
    let (_, info) = program(r#"printf '{"status":{"clientCertificateData":"PEM","clientKeyData":"KEY"}}'"#);
    assert_eq!(exposed(&info, "client-certificate-data").as_deref(), Some("UEVN"));
    assert_eq!(exposed(&info, "client-key-data").as_deref(), Some("S0VZ"));
}

#[test]
fn what_a_login_program_prints_is_never_repeated() {
    for script in
        ["echo tok-secret-1; echo tok-secret-2 >&2; exit 3", "echo tok-secret-1", "printf '{\"status\":{}}'; echo tok-secret-2 >&2"]
    {
        let why = program(script).0.unwrap_err();
        assert!(why.contains("login program sh") && !why.contains("tok-secret"), "{why}");
    }
}

#[test]
fn a_pod_or_a_given_up_way_is_told() {
    let old = kubeconfig(&serde_json::json!({ "auth-provider": { "name": "gcp", "config": {} } }));
    let wanted = Wanted { context: Some("dev".into()), cluster: None };
    let login = Login::find(&wanted, Some(old)).unwrap_or_else(|e| unreachable!("{e}"));
    let why = wait(login.settings(&[], &Scrubber::new())).err().unwrap();
    assert!(why.contains("auth-provider"), "{why}");
}

#[test]
fn hosts_that_need_no_proxy() {
    for (host, exceptions, excepted) in [
        ("prod.example.com", "example.com", true),
        ("prod.example.com", ".example.com, other", true),
        ("prod.example.com", "prod.example.com", true),
        ("prod.example.com", "*", true),
        ("prod.badexample.com", "example.com", false),
        ("prod.example.com", "", false),
        ("prod.example.com", "other.com", false),
    ] {
        assert_eq!(is_excepted(host, exceptions), excepted, "{host} {exceptions}");
    }
}
