//! `sandbox serve`: the embedded gateway as a process of its own.

use crate::cli::args::{Sandbox, SandboxServe, SandboxVerb};
use crate::cli::fault::{Fault, exit};
use crate::cli::out::Out;
use crate::cli::session;
use crate::cli::signals::Stop as Signal;
use crate::sandbox::{self, FaultSpec, Options};

pub(crate) fn run(args: &Sandbox, out: &Out) -> Result<u8, Fault> {
    match &args.what {
        SandboxVerb::Serve(args) => serve(args, out),
    }
}

fn serve(args: &SandboxServe, out: &Out) -> Result<u8, Fault> {
    let mut options = Options::new(&args.dir);
    options.listen = args.listen;
    options.replicas = args.replicas;
    options.consumers = !args.no_consumers;
    options.rate = args.rate;
    options.caller_chosen = args.caller_chosen;
    for fault in &args.fault {
        options.faults.push(fault.parse::<FaultSpec>().map_err(|e| Fault::usage(format!("switch the fault on: {e}")))?);
    }
    let running = sandbox::serve(options).map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?;
    out.value(&running.urls);
    session::runtime()?.block_on(async {
        let signal = Signal::default();
        signal.listen();
        tokio::select! {
            () = signal.stopped() => {}
            () = running.finished() => {}
        }
    });
    running.stop().map_err(|e| Fault::new(exit::INTERNAL, e.to_string()))?;
    Ok(0)
}
