//! Policies to start from: the published template completed, or a short one that works.

use super::{Overlay, diagnostic::Diagnostic, missing::missing_blocks, model::Policy, parse, source::Source};

/// Which short policy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// For the gateway inside keyroll: works at once.
    Sandbox,
    /// For a LiteLLM proxy: names and addresses are to be changed.
    LiteLlm,
}

/// A short policy: at most twelve lines, and free of problems.
pub fn starter(kind: Starter) -> &'static str {
    match kind {
        Starter::Sandbox => include_str!("starter/sandbox.yaml"),
        Starter::LiteLlm => include_str!("starter/litellm.yaml"),
    }
}

/// The file as it is, with the missing blocks added: filled from what the file says, with comments where a person must
/// look. The answer is the problems instead, when the file has errors.
pub fn skeleton(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(source, &Overlay::none());
    let Some(policy) = parsed.policy else {
        return Err(parsed.diagnostics);
    };
    let mut text = source.text.trim_end().to_owned();
    // An explicit end of the document would put the new blocks into a second one.
    if let Some(open) = text.strip_suffix("\n...") {
        text = open.trim_end().to_owned();
    }
    text.push('\n');
    if policy.version.is_none() {
        text.push_str("\nversion: 1\n");
    }
    for block in missing_blocks(&policy) {
        text.push_str(&format!("\n# Added: {}.\n", block.why));
        text.push_str(&match block.name {
            "gateway" => gateway(&policy),
            "consumers" => consumers(&policy),
            "probes" => probes(&policy),
            "slots" => slots(),
            _ => block.example.to_owned(),
        });
    }
    if policy.approvals.is_empty() {
        text.push_str("\n# Added: who must agree before the old key is revoked.\n");
        text.push_str("approvals:\n  revoke: { role: security, of: 1, not_requester: true }\n");
    }
    text.push_str(LATER);
    // A flow map (`{…}`) as the whole file cannot be continued; the check below finds that and anything like it.
    let check = Source { path: source.path.clone(), text, sha256: String::new() };
    let parsed = parse(&check, &Overlay::none());
    if parsed.has_errors() { Err(parsed.diagnostics) } else { Ok(check.text) }
}

const LATER: &str = "
# More blocks, when they are wanted:
# windows:
#   timezone: Europe/Vienna
#   allow: [{ days: [mon, tue, wed, thu], from: \"09:00\", to: \"16:00\" }]
# timing: { soak: 24h }
# watcher: { tick: 10m }        # how often `keyroll tick` runs while this rotation is parked
# notify: [{ stderr: {} }]
# state: .keyroll
";

fn gateway(policy: &Policy) -> String {
    let base = policy.rotation.scope.as_ref().and_then(|scope| scope.gateway_base_url.as_ref());
    let (url, note) = match base {
        Some(url) => (url.origin(), "from gateway_base_url; the admin API may have another address"),
        None => ("https://router.example.com", "change me"),
    };
    format!(
        "gateway:\n  litellm:                      # change me if it is another gateway: `keyroll gateways` lists them\n    url: {url}    # {note}\n    admin: {{ env: GATEWAY_ADMIN_KEY }}    # the variable that holds an admin credential, never the key that is rotated\n    # key: {{ alias: … }}           # without it the key is found by the value in the slot\n"
    )
}

fn slots() -> String {
    "slots:\n  - file: { path: .env, name: GATEWAY_API_KEY }    # change me: where the applications read the key\n  # - vault: { mount: kv, path: ai/router/my-app, field: api_key }\n".to_owned()
}

fn consumers(policy: &Policy) -> String {
    let apps: Vec<&str> = policy.rotation.scope.iter().flat_map(|scope| scope.apps.iter().map(|app| app.as_str())).collect();
    let apps = if apps.is_empty() { vec!["my-app"] } else { apps };
    let mut text = "consumers:\n".to_owned();
    for app in apps {
        text.push_str(&format!(
            "  - app: {app}\n    owner: {owner}\n    cadence: 24h               # change me: `continuous`, or the longest pause between two calls\n    reload: {{ by: hand }}       # or: {{ command: [\"./deploy.sh\", \"{app}\"] }}\n    seen_as: {{ field: app, equals: {app} }}    # how its calls are recognised in the log\n",
            owner = quote(&policy.rotation.owner),
        ));
    }
    text
}

/// One probe for each family the template's routes name; a chat when they name none.
fn probes(policy: &Policy) -> String {
    let routes: Vec<String> =
        policy.rotation.scope.iter().flat_map(|scope| scope.allowed_routes.iter().map(|route| route.to_ascii_lowercase())).collect();
    let mut families: Vec<&str> = [("chat", "chat"), ("responses", "response"), ("embeddings", "embedding")]
        .into_iter()
        .filter(|(_, part)| routes.iter().any(|route| route.contains(part)))
        .map(|(family, _)| family)
        .collect();
    if families.is_empty() {
        families.push("chat");
    }
    let mut text = "probes:                         # change me: a cheap model that this key may call\n".to_owned();
    for family in families {
        let model = if family == "embeddings" { "text-embedding-3-small" } else { "gpt-4o-mini" };
        text.push_str(&format!("  - {family}: {{ model: {model} }}\n"));
    }
    text
}

/// A text as a YAML double-quoted scalar, when it needs quotes.
fn quote(text: &str) -> String {
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if simple {
        return text.to_owned();
    }
    // JSON strings are YAML double-quoted scalars.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "skeleton_tests.rs"]
mod tests;
