//! `lint` and `schema`: no network, no runtime, no clients.

use crate::cli::args::Lint;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::{Out, Tone};
use crate::policy::{self, Overlay, Source};
use crate::support::text::plural;

pub(crate) fn run(args: &Lint, out: &Out) -> Result<u8, Fault> {
    let overlay = args.env.as_ref().map_or_else(Overlay::none, Overlay::env);
    let mut diagnostics = Vec::new();
    let mut sources = Vec::new();
    let mut texts = Vec::new();
    for path in &args.policies {
        match Source::read(path) {
            Ok(source) => {
                let parsed = policy::parse(&source, &overlay);
                let shown = policy::render::text(&parsed.diagnostics, &parsed.sources, out.colour);
                texts.push((path, policy::render::counts(&parsed.diagnostics), shown));
                let offset = sources.len();
                diagnostics.extend(parsed.diagnostics.into_iter().map(|mut d| {
                    d.span.file += offset;
                    d
                }));
                sources.extend(parsed.sources);
            }
            Err(problem) => {
                let diagnostic = problem.diagnostic();
                let shown = policy::render::text(std::slice::from_ref(&diagnostic), &[], out.colour);
                texts.push((path, (1, 0), shown));
                diagnostics.push(diagnostic);
            }
        }
    }
    let (errors, _) = policy::render::counts(&diagnostics);
    if args.sarif {
        out.data(&serde_json::to_string_pretty(&policy::render::sarif(&diagnostics, &sources)).unwrap_or_default());
    } else if out.json {
        out.value(&policy::render::json(&diagnostics, &sources));
    } else {
        for (path, (errors, warnings), shown) in texts {
            if !shown.is_empty() {
                out.data(&shown);
            }
            let (tone, word) = if errors == 0 { (Tone::Good, "valid") } else { (Tone::Bad, "not valid") };
            let rest = match (errors, warnings) {
                (0, 0) => String::new(),
                (e, w) => format!(": {}, {}", plural(e, "error", "errors"), plural(w, "warning", "warnings")),
            };
            out.say(&format!("{}: {}{rest}", path.display(), out.paint(tone, word)));
        }
    }
    Ok(if errors == 0 { 0 } else { exit::USAGE })
}

pub(crate) fn schema(out: &Out) -> Result<u8, Fault> {
    out.data(&serde_json::to_string_pretty(&policy::schema()).unwrap_or_default());
    Ok(0)
}
