//! `init`: a first policy, or a template completed.

use crate::cli::args::Init;
use crate::cli::fault::Fault;
use crate::cli::out::Out;
use crate::policy::{self, Source, Starter};

pub(crate) fn run(args: &Init, out: &Out) -> Result<u8, Fault> {
    let text = match &args.from {
        Some(path) => {
            let source = Source::read(path).map_err(|problem| {
                let diagnostic = problem.diagnostic();
                Fault::usage(diagnostic.message.clone()).hint(diagnostic.help.clone())
            })?;
            policy::skeleton(&source).map_err(|problems| {
                let parsed = policy::parse(&source, &policy::Overlay::none());
                out.shout(&policy::render::text(&problems, &parsed.sources, out.colour));
                Fault::shown(crate::cli::fault::exit::USAGE)
            })?
        }
        None => policy::starter(if args.litellm { Starter::LiteLlm } else { Starter::Sandbox }).to_owned(),
    };
    match &args.out {
        Some(path) => {
            crate::support::atomic::create_new_synced(path, text.as_bytes(), 0o644).map_err(|e| Fault::usage(e.to_string()))?;
            out.say(&format!("wrote {}; next: keyroll lint {}", path.display(), path.display()));
        }
        None => out.data(&text),
    }
    Ok(0)
}
