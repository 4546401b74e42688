//! `drill`.

use crate::cli::args::Drill;
use crate::cli::fault::Fault;
use crate::cli::out::Out;

pub(crate) fn run(_args: &Drill, _out: &Out) -> Result<u8, Fault> {
    Err(Fault::usage("drill"))
}
