//! Parse, hand over, return the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyroll::cli::main(std::env::args_os())
}
