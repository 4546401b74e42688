//! The command line: argv, terminal, colour, exit codes. The only module that prints, and the one that wires adapters to ports.
//!
//! `args` (what may be written) → `commands/` (one file per verb) → `wire` (policy → ports) → `engine`. Clients, runtime, and TLS are
//! built only by the verbs that need them.

#![doc = include_str!("json.md")]

mod args;
mod clock;
mod commands;
mod fault;
mod live;
mod load;
mod out;
mod session;
mod shared;
mod signals;
mod status;
mod wire;

use args::{Cli, Verb};
use clap::Parser;
use fault::Fault;
use out::Out;
use std::ffi::OsString;
use std::process::ExitCode;

/// Parses, hands over, and returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are data and success; everything else is usage.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { fault::exit::USAGE } else { 0 });
        }
    };
    crate::support::process::no_core_dumps();
    let out = Out::new(&cli.global);
    match dispatch(cli, &out) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            out.fault(&fault);
            ExitCode::from(fault.code)
        }
    }
}

fn dispatch(cli: Cli, out: &Out) -> Result<u8, Fault> {
    let global = &cli.global;
    if cli.verb.remarks().into_iter().any(crate::policy::holds_key) {
        // It would be in the journal for ever, and the evidence could never be sealed.
        return Err(Fault::usage("use this text: it holds something that looks like a key; nothing was written")
            .hint("say it without the value; if it is a real key, the shell's history has it now: rotate it"));
    }
    match cli.verb {
        Verb::Init(args) => commands::init::run(&args, out),
        Verb::Lint(args) => commands::lint::run(&args, out),
        Verb::Schema => commands::lint::schema(out),
        Verb::Plan(args) => commands::plan::run(&args, global, out),
        Verb::Run(args) => commands::run::run(&args, global, out),
        Verb::Resume(args) => commands::resume::run(&args, global, out),
        Verb::Tick(args) => commands::resume::tick(&args, global, out),
        Verb::Status(args) => commands::look::status(&args, global, out),
        Verb::Watch(args) => commands::look::watch(&args, global, out),
        Verb::Why(args) => commands::look::why(&args, global, out),
        Verb::Approve(args) => commands::people::answer(&args, true, global, out),
        Verb::Reject(args) => commands::people::answer(&args, false, global, out),
        Verb::Rollback(args) => commands::people::rollback(&args, global, out),
        Verb::Amend(args) => commands::people::amend(&args, global, out),
        Verb::Report(args) => commands::evidence::report(&args, global, out),
        Verb::Evidence(args) => commands::evidence::run(&args, global, out),
        Verb::Doctor(args) => commands::doctor::run(&args, global, out),
        Verb::Keys(args) => commands::keys::keys(&args, global, out),
        Verb::Orphans(args) => commands::keys::orphans(&args, global, out),
        Verb::Freeze(args) => commands::state::freeze(&args, global, out),
        Verb::Unlock(args) => commands::state::unlock(&args, global, out),
        Verb::Drill(args) => commands::drill::run(&args, out),
        Verb::Sandbox(args) => commands::sandbox::run(&args, out),
        Verb::Completions { shell } => commands::help::completions(shell, out),
        Verb::Man => commands::help::man(out),
    }
}
