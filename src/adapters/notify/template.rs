//! A sentence with places in it: `{credential} is parked: {text}`.

use crate::ports::Notice;
use crate::support::text::clean_to;

/// No message is longer.
const LONGEST: usize = 2000;

/// The template with a notice put in, each place once: what is put in is not read again. Every value is cleaned and passed through `quote`.
pub(super) fn render(template: &str, notice: &Notice, quote: fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len().saturating_add(notice.text.len()));
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        let value = match name {
            "credential" => notice.credential.as_str(),
            "event" => notice.event,
            "run" => notice.run.as_str(),
            "text" => notice.text.as_str(),
            // The policy's check says so; here it stays as it is.
            _ => {
                out.push('{');
                rest = after;
                continue;
            }
        };
        out.push_str(&quote(&clean_to(value, LONGEST)));
        rest = behind;
    }
    out.push_str(rest);
    out
}
