//! `completions` and `man`.

use crate::cli::args::Cli;
use crate::cli::fault::{Fault, exit};
use crate::cli::out::Out;
use clap::CommandFactory;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, Fault> {
    clap_complete::generate(shell, &mut Cli::command(), "keyroll", &mut std::io::stdout().lock());
    Ok(0)
}

pub(crate) fn man(out: &Out) -> Result<u8, Fault> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|e| Fault::new(exit::INTERNAL, format!("write the manual: {e}")))?;
    out.data(&String::from_utf8_lossy(&page));
    Ok(0)
}
