//! `completions` and `man`.

use crate::cli::args::Cli;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::Out;
use clap::CommandFactory;

pub(crate) fn completions(shell: clap_complete::Shell, out: &Out) -> Result<u8, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "keyroll", &mut script);
    out.data(&String::from_utf8_lossy(&script));
    Ok(0)
}

pub(crate) fn man(out: &Out) -> Result<u8, Fault> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|e| Fault::new(exit::INTERNAL, format!("write the manual: {e}")))?;
    out.data(&String::from_utf8_lossy(&page));
    Ok(0)
}
