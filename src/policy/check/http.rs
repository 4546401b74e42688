//! A described gateway: does the description hold together, and can it never put a secret where secrets must not be?

use super::Checks;
use crate::policy::{
    code::Code,
    mask::quoted,
    model::http_gateway::{AdminAuth, DisableCalls, Document, HttpGateway, HttpRequest, IdAt, Identify, OffOn, Rule, placeholder},
};

/// A marker in full: `keyroll:`, sixteen signs, and a number.
const MARKER: u32 = 28;
/// Families that a probe can have.
const FAMILIES: [&str; 5] = ["chat", "tools", "embeddings", "responses", "structured"];

/// What a request may mention.
struct Known {
    /// Placeholders that have a value here.
    words: &'static [&'static str],
    /// Placeholders that have one in the body only, because they are secret.
    secret: &'static [&'static str],
    /// The call must say which key it is about.
    of_one_key: bool,
}

const NOTHING: Known = Known { words: &["null"], secret: &[], of_one_key: false };
const LOGIN: Known = Known { words: &["null"], secret: &["admin"], of_one_key: false };
const DETAIL: Known = Known { words: &["id", "key"], secret: &[], of_one_key: true };
const MINT: Known =
    Known { words: &["name", "marker", "owner", "expires_at", "lifetime", "old", "null"], secret: &["secret"], of_one_key: false };
const REVEAL: Known =
    Known { words: &["id", "name", "marker", "owner", "expires_at", "old", "answer", "key", "null"], secret: &[], of_one_key: true };
const THEN: Known = Known {
    words: &["id", "name", "marker", "owner", "expires_at", "lifetime", "old", "answer", "item", "key", "null"],
    secret: &[],
    of_one_key: true,
};
const SWITCH: Known = Known { words: &["id", "key", "past", "null"], secret: &[], of_one_key: true };
const DELETE: Known = Known { words: &["id", "key", "null"], secret: &[], of_one_key: true };
const MARK: Known = Known { words: &["id", "key", "name", "marker", "null"], secret: &[], of_one_key: true };
const WHOSE: Known = Known { words: &["sha256", "null"], secret: &["secret"], of_one_key: false };
const CALL: Known = Known { words: &["model", "null"], secret: &[], of_one_key: false };

pub(super) fn check(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    requests(checks, gateway, path);
    mint(checks, gateway, path);
    fields(checks, gateway, path);
    switch(checks, gateway, path);
    let data = format!("{path}.data");
    rules(checks, &gateway.data.refused, &format!("{data}.refused"));
    for (family, call) in &gateway.data.calls {
        if !FAMILIES.contains(&family.as_str()) {
            let help = format!("families are {}", FAMILIES.join(", "));
            wrong(checks, &format!("{data}.calls.{family}"), format!("no probe has the family {}", quoted(family)), help);
        }
        request(checks, &call.request, &format!("{data}.calls.{family}.request"), &CALL);
    }
    if gateway.provider_key.is_some() {
        checks.say(
            Code::NotInThisBuild,
            &format!("{path}.provider_key"),
            "a described gateway can rotate the keys that applications present, not yet those it presents itself",
            "`plan` will refuse this policy",
        );
    }
}

fn requests(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    if let Some(AdminAuth::Login(login)) = &gateway.auth {
        request(checks, &login.request, &format!("{path}.auth.login.request"), &LOGIN);
        for (index, send) in login.send.iter().enumerate() {
            if send.at.is_some() == send.cookie.is_some() {
                let help = "write `at:` with its place in the answer, or `cookie:` with its name";
                wrong(checks, &format!("{path}.auth.login.send[{index}]"), "this does not say what is sent, or says it twice", help);
            }
        }
    }
    if let Some(identity) = &gateway.identity {
        request(checks, &identity.request, &format!("{path}.identity.request"), &NOTHING);
    }
    request(checks, &gateway.list.request, &format!("{path}.list.request"), &NOTHING);
    for (index, one) in gateway.list.also.iter().enumerate() {
        request(checks, one, &format!("{path}.list.also[{index}]"), &NOTHING);
    }
    for (index, detail) in gateway.list.detail.iter().enumerate() {
        request(checks, &detail.request, &format!("{path}.list.detail[{index}].request"), &DETAIL);
    }
    request(checks, &gateway.delete, &format!("{path}.delete"), &DELETE);
    if let Some(mark) = &gateway.mark {
        request(checks, mark, &format!("{path}.mark"), &MARK);
        if !mentions(mark, "marker") {
            wrong(checks, &format!("{path}.mark"), "this call sends no `{{marker}}`", "put it where `fields.marker` reads it");
        }
    }
    if gateway.mark.is_some() && gateway.marker_stays == Some(true) {
        let both = "one says how a marker is replaced, the other that nothing can";
        wrong(checks, &format!("{path}.marker_stays"), "this contradicts `mark:`", both);
    }
    match &gateway.identify {
        Some(Identify::Admin(whose)) => request(checks, &whose.request, &format!("{path}.identify.admin.request"), &WHOSE),
        Some(Identify::Data(whose)) => request(checks, &whose.request, &format!("{path}.identify.data.request"), &NOTHING),
        Some(Identify::Listed(_)) if gateway.fields.secret.is_none() => {
            let help = "add `fields.secret:` with the place of the key, or use another way";
            wrong(checks, &format!("{path}.identify"), "the listing does not say where it shows the keys", help);
        }
        Some(Identify::Listed(_) | Identify::Sha256(_)) | None => {}
    }
}

fn mint(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    let mint = &gateway.mint;
    let place = format!("{path}.mint");
    request(checks, &mint.request, &format!("{place}.request"), &MINT);
    if let Some(reveal) = &mint.reveal {
        request(checks, &reveal.request, &format!("{place}.reveal.request"), &REVEAL);
    }
    for (index, then) in mint.then.iter().enumerate() {
        request(checks, &then.request, &format!("{place}.then[{index}].request"), &THEN);
    }
    let ways = [gateway.caller_chooses(), mint.reveal.is_some(), mint.secret.is_some() && !gateway.caller_chooses()];
    if ways.iter().filter(|way| **way).count() != 1 {
        let help =
            "write `secret:` (shown in the answer), or `reveal:` (a second call shows it), or `{{secret}}` in the body (we choose it)";
        wrong(checks, &place, "a mint must say in exactly one way where the new value is", help);
    }
    // Only the first call counts: between it and the next one a crash would leave a key that nobody can find.
    if !mentions(&mint.request, "marker") {
        let help = "send `{{marker}}` in the first call, where `fields.marker` reads it; a name will do: `\"{{name}} #{{marker}}\"`";
        wrong(
            checks,
            &format!("{place}.request"),
            "the new key carries no marker, so one whose answer is lost could not be found again",
            help,
        );
    }
}

fn fields(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    let fields = &gateway.fields;
    let place = format!("{path}.fields");
    if let Some(enabled) = &fields.enabled
        && enabled.is.is_some() == enabled.not.is_some()
    {
        let help = "write `is:` with what an accepted key has, or `not:` with what a refused one has";
        wrong(checks, &format!("{place}.enabled"), "this does not say when a key is accepted, or says it twice", help);
    }
    if fields.marker.max.is_some_and(|max| max < MARKER) {
        let help = "use a place that holds a whole marker: a note, a description, metadata";
        wrong(checks, &format!("{place}.marker.max"), format!("a marker needs {MARKER} bytes; half a marker finds nothing"), help);
    }
    if fields.marker.colon.as_deref().is_some_and(|sign| !["-", "_", "."].contains(&sign)) {
        wrong(checks, &format!("{place}.marker.colon"), "this sign cannot stand for the `:` of a marker", "write `-`, `_` or `.`");
    }
    if let (IdAt::Field(id), Some(secret)) = (&fields.id, &fields.secret)
        && id == secret
    {
        let help = "write `id: { sha256_of: … }` and send `{{key/…}}` where a call needs another name of the key";
        wrong(checks, &format!("{place}.id"), "the id is the key itself, and ids are shown and kept", help);
    }
}

fn switch(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    let both = |checks: &mut Checks<'_>, calls: &OffOn, place: &str| {
        request(checks, &calls.off, &format!("{place}.off"), &SWITCH);
        request(checks, &calls.on, &format!("{place}.on"), &SWITCH);
        if calls.off == calls.on {
            wrong(checks, place, "switching off and on are the same call", "say what differs");
        }
    };
    let place = format!("{path}.disable");
    match &gateway.disable {
        DisableCalls::Flag(calls) => {
            both(checks, calls, &format!("{place}.flag"));
            seen(checks, gateway, path);
        }
        DisableCalls::Expiry(calls) => {
            both(checks, calls, &format!("{place}.expiry"));
            if gateway.fields.expires_at.is_none() {
                let help = "add `fields.expires_at:`, so that a look can tell what became of the call";
                wrong(checks, &format!("{place}.expiry"), "the listing does not show when a key ends", help);
            }
            if !mentions(&calls.off, "past") {
                wrong(checks, &format!("{place}.expiry.off"), "this call sends no `{{past}}`", "put it into the field of the expiry");
            }
        }
        DisableCalls::OneWay(calls) => {
            request(checks, &calls.off, &format!("{place}.one_way.off"), &SWITCH);
            seen(checks, gateway, path);
        }
        DisableCalls::None(_) => {}
    }
}

/// What a switch did must show.
fn seen(checks: &mut Checks<'_>, gateway: &HttpGateway, path: &str) {
    if gateway.fields.enabled.is_none() {
        let help = "add `fields.enabled:`, so that a look can tell what became of the call";
        wrong(checks, &format!("{path}.disable"), "the listing does not show whether a key is on", help);
    }
}

fn request(checks: &mut Checks<'_>, request: &HttpRequest, path: &str, known: &Known) {
    let plain = request.path.starts_with('/') && !request.path.contains(['?', '#', '\\']) && !request.path.contains("..");
    if !plain {
        let help = "begin with `/`; query parameters stand in `query:`";
        wrong(checks, &format!("{path}.path"), "this is not a path below the base address", help);
    }
    let outside = [("path", vec![request.path.as_str()]), ("query", request.query.values().map(String::as_str).collect())];
    for (field, texts) in outside.into_iter().chain([("headers", request.headers.values().map(String::as_str).collect())]) {
        for text in texts {
            one(checks, text, &format!("{path}.{field}"), known, false);
        }
    }
    for text in request.body.iter().flat_map(|body| body.texts()) {
        one(checks, text, &format!("{path}.body"), known, true);
    }
    let document = request.from.map(|from| match from {
        Document::Key => "key",
        Document::Old => "old",
    });
    if let Some(word) = document
        && !known.words.contains(&word)
    {
        wrong(checks, &format!("{path}.from"), format!("this call is about no {word} key"), "write the body out");
    }
    if known.of_one_key && !["id", "key", "answer", "item"].iter().any(|word| mentions(request, word)) && document.is_none() {
        wrong(checks, path, "this call does not say which key it is about", "put `{{id}}` into its path or body");
    }
}

fn one(checks: &mut Checks<'_>, text: &str, path: &str, known: &Known, body: bool) {
    let Some(slots) = placeholder::slots(text) else {
        let help = "write `{{id}}`, `{{old/field}}`, or `{{id|number}}`, closed by two braces";
        return wrong(checks, path, "a placeholder in this text cannot be read", help);
    };
    for slot in slots {
        let name = slot.name.as_str();
        let secret = known.secret.contains(&name);
        if secret && !body {
            wrong(checks, path, format!("`{{{{{name}}}}}` is secret, and addresses and headers end up in logs"), "send it in the body");
        } else if !secret && !known.words.contains(&name) {
            let all: Vec<String> = known.words.iter().chain(known.secret).map(|word| format!("`{{{{{word}}}}}`")).collect();
            wrong(checks, path, format!("{} has no value in this call", quoted(name)), format!("possible here are {}", all.join(", ")));
        }
    }
}

fn mentions(request: &HttpRequest, word: &str) -> bool {
    let body = request.body.iter().flat_map(|body| body.texts());
    let mut texts = [request.path.as_str()].into_iter().chain(request.query.values().map(String::as_str)).chain(body);
    texts.any(|text| placeholder::slots(text).unwrap_or_default().iter().any(|slot| slot.name == word))
}

/// A refusal must be told from an outage, a limit, and a success.
fn rules(checks: &mut Checks<'_>, rules: &[Rule], path: &str) {
    for (index, rule) in rules.iter().enumerate() {
        let bare = rule.conditions.is_empty() && rule.text.is_none();
        let vague = rule.status.is_none_or(|status| status < 400 || status == 429 || status >= 500);
        if bare && vague {
            let help = "add `where:` or `text:` with what only a refused credential is told";
            wrong(checks, &format!("{path}[{index}]"), "answers like this come for other reasons than a refused credential, too", help);
        }
    }
}

fn wrong(checks: &mut Checks<'_>, path: &str, message: impl Into<String>, help: impl Into<String>) {
    checks.say(Code::GatewayDescription, path, message, help);
}
