//! A line of AISIX's access log: text, with one line for a request that was served and one for a caller whose key is switched off.
//!
//! Fields may hold what a caller sent, in quotes and escaped; so they are read one after the other and never searched for.

use super::jsonl::AisixCaller;
use super::line::{Class, Line};
use crate::rotation::{Span, Time};
use crate::support::escaped_id::escape;
use std::borrow::Cow;

const SERVED: &str = "aisix_obs::access_log: proxy request completed";
const REFUSED: &str = "aisix::auth: rejected inbound credential";
/// A time without a fraction may mean any instant of its second: the latest, so that no use looks older than it is.
const SECOND: Span = Span(999);

/// Reads a line; none when it has no usable time, or is not what it seems. Lines about other things are rows of no key.
pub(super) fn read(line: &[u8], by: &AisixCaller) -> Option<Line<'static>> {
    let text = plain(&String::from_utf8_lossy(line));
    let (stamp, rest) = text.split_once(' ')?;
    let at = Time::parse(stamp)?;
    let at = if stamp.contains('.') { at } else { at.plus(SECOND) };
    let mut found = Line {
        at,
        key: Cow::default(),
        caller: Cow::default(),
        owner: Cow::default(),
        request: Cow::default(),
        shard: Cow::default(),
        class: Class::Other,
    };
    let count = |target: &str| rest.matches(target).count();
    let (target, refused) = match (count(SERVED), count(REFUSED)) {
        (0, 0) => return Some(found),
        (1, 0) => (SERVED, false),
        (0, 1) => (REFUSED, true),
        // A caller's text that looks like a line of its own: which of the two is real cannot be told.
        _ => return None,
    };
    let (before, fields) = rest.split_once(target)?;
    let span = before.split_once("request_id=").and_then(|(_, id)| id.rsplit_once('}')).map(|(id, _)| id.trim_matches('"').to_owned());
    let (mut key, mut request, mut status) = (None, span, None);
    for (name, value) in pairs(fields)? {
        match name {
            "api_key_id" => key = Some(value),
            "request_id" => request = Some(value),
            "status" => status = value.parse::<u16>().ok(),
            _ => {}
        }
    }
    // A row of a request whose key cannot be told is not silently nobody's.
    found.key = Cow::Owned(escape(&key?));
    let request = request.unwrap_or_default();
    found.caller = match by {
        AisixCaller::Unknown => Cow::default(),
        AisixCaller::RequestId => Cow::Owned(caller(&request)),
        AisixCaller::Always(name) => Cow::Owned(name.clone()),
    };
    found.request = Cow::Owned(request);
    found.class = match (refused, status) {
        (true, _) => Class::Refused,
        (false, Some(200..=399)) => Class::Accepted,
        (false, _) => Class::Other,
    };
    Some(found)
}

/// Who set this request id: what is before its last dash. An id that the gateway drew names nobody.
fn caller(id: &str) -> String {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let drawn = id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(hex);
    if drawn { String::new() } else { id.rsplit_once('-').map_or(id, |(name, _)| name).to_owned() }
}

/// `name=value` and `name="value"` and `name=Some("value")`, in order; none when a quote does not end. Words between them are skipped.
fn pairs(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            rest = after.trim_start();
            continue;
        };
        let (value, after) = match (value.strip_prefix('"'), value.strip_prefix("Some(\"")) {
            (Some(quoted), _) => quote(quoted)?,
            (None, Some(quoted)) => {
                let (value, after) = quote(quoted)?;
                (value, after.strip_prefix(')')?)
            }
            (None, None) => {
                let (value, after) = value.split_at(value.find(' ').unwrap_or(value.len()));
                (value.to_owned(), after)
            }
        };
        found.push((name, value));
        rest = after.trim_start();
    }
    Some(found)
}

/// A text up to the quote that ends it, and what follows.
fn quote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

/// The text without colours.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.find(|c: char| c.is_ascii_alphabetic()).and_then(|end| after.get(end + 1..)).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    const LINE: &str = r#"2026-11-21T07:07:00Z  INFO request{request_id=web-17}: aisix_obs::access_log: proxy request completed method="POST" path="/v1/chat/completions" status=200 latency_ms=6 provider="openai" model="chat-prod" api_key_id="c1" prompt_tokens=5 request_id="web-17" provider_request_id="chatcmpl-1" routing_attempt_count=1"#;

    fn told(line: &str) -> Option<(String, String, String, Class)> {
        let line = read(line.as_bytes(), &AisixCaller::RequestId)?;
        Some((line.key.into_owned(), line.request.into_owned(), line.caller.into_owned(), line.class))
    }

    fn row(key: &str, request: &str, caller: &str, class: Class) -> Option<(String, String, String, Class)> {
        Some((key.into(), request.into(), caller.into(), class))
    }

    #[test]
    fn a_served_request_names_its_key_its_id_and_who_set_it() {
        assert_eq!(told(LINE), row("c1", "web-17", "web", Class::Accepted));
        assert_eq!(told(&LINE.replace("status=200", "status=401")), row("c1", "web-17", "web", Class::Other));
        let drawn = LINE.replace("web-17", "0b5a5f3e-0000-4000-8000-00000000000a");
        assert_eq!(told(&drawn).unwrap().2, "");
        assert_eq!(read(LINE.as_bytes(), &AisixCaller::Always("app".into())).unwrap().caller, "app");
        let coloured = LINE.replace(" INFO", " \u{1b}[32mINFO\u{1b}[0m").replace("api_key_id", "\u{1b}[3mapi_key_id\u{1b}[0m");
        assert_eq!(told(&coloured), told(LINE));
        // The whole second counts.
        assert_eq!(read(LINE.as_bytes(), &AisixCaller::RequestId).unwrap().at, Time::parse("2026-11-21T07:07:00.999Z").unwrap());
    }

    #[test]
    fn a_refused_caller_is_told_by_the_row_that_is_switched_off() {
        let line = r#"2026-11-21T07:07:00.123456Z  WARN request{request_id=kr-a-b}: aisix::auth: rejected inbound credential reason=key_disabled api_key_id=Some("c1") source_ip=127.0.0.1"#;
        assert_eq!(told(line), row("c1", "kr-a-b", "kr-a", Class::Refused));
        assert_eq!(told(&line.replace("request{request_id=kr-a-b}: ", "")), row("c1", "", "", Class::Refused));
        // A key that is not known has no row to name.
        assert_eq!(told(&line.replace("Some(\"c1\")", "None")).unwrap().0, "None");
    }

    #[test]
    fn what_a_caller_writes_into_a_field_is_no_field() {
        let path = LINE.replace("/v1/chat/completions", r#"/x\" api_key_id=\"c9"#);
        assert_eq!(told(&path), told(LINE));
        let twice = LINE.replace("/v1/chat/completions", "/aisix_obs::access_log: proxy request completed");
        assert_eq!(told(&twice), None);
        let id = LINE.replace("web-17", "aisix::auth: rejected inbound credential");
        assert_eq!(told(&id), None);
        assert_eq!(told(&LINE.replace(r#"api_key_id="c1" "#, "")), None);
    }

    #[test]
    fn other_lines_are_rows_of_nobody_and_lines_without_a_time_are_none() {
        let usage = r#"2026-11-21T07:07:00Z  INFO aisix_obs::usage: provider call completed request_id="web-17" status=200"#;
        assert_eq!(told(usage), row("", "", "", Class::Other));
        assert_eq!(told("   at src/main.rs:10"), None);
    }
}
