//! The only module that prints. Data go to standard output, talk to standard error; a closed pipe ends the printing, not the run.

use super::args::{Global, Output};
use super::fault::Fault;
use crate::support::text;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write};

/// Where and how to print.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    /// JSON instead of text.
    pub json: bool,
    /// Colour on standard output and error.
    pub colour: bool,
    /// Say only what was asked for.
    pub quiet: bool,
    /// A person can be asked, and sees progress.
    pub terminal: bool,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Look at this.
    Warn,
    /// Wrong.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

impl Out {
    /// From the flags and the environment.
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
        let wanted = !global.no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let json = global.output == Output::Json;
        Self { json, colour: wanted && !dumb && !json && std::io::stderr().is_terminal(), quiet: global.quiet, terminal: terminal && !json }
    }

    /// Data.
    pub(crate) fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away must not end a rotation.
        let _ = out
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
            .and_then(|()| out.flush());
    }

    /// Data as JSON, on one line.
    pub(crate) fn value(&self, value: &impl serde::Serialize) {
        self.data(&serde_json::to_string(value).unwrap_or_default());
    }

    /// Talk.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.shout(text);
        }
    }

    /// Talk that is said even when quiet.
    pub(crate) fn shout(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// A text in a tone.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A table that fits the terminal.
    pub(crate) fn table(&self, head: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
        table.set_header(head.iter().map(|h| h.to_uppercase()));
        // What names a row is not broken, as long as it leaves room for the rest.
        let names = rows.iter().filter_map(|r| r.first()).map(|c| c.chars().count()).max().unwrap_or(0);
        if names <= usize::from(width()) / 2
            && let Some(first) = table.column_mut(0)
        {
            first.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
        }
        for row in rows {
            table.add_row(row.into_iter().map(|cell| text::clean(&cell)));
        }
        table.to_string()
    }

    /// The end of a process that did not do what was asked.
    pub(crate) fn fault(&self, fault: &Fault) {
        if fault.shown {
            return;
        }
        if self.json {
            self.value(&serde_json::json!({ "kind": "error", "v": 1, "exit": fault.code, "what": fault.what, "hints": fault.hints }));
            return;
        }
        let first = fault.what.chars().next();
        let sentence = if first.is_some_and(char::is_lowercase) { format!("failed to {}", fault.what) } else { fault.what.clone() };
        self.shout(&format!("{} {sentence}", self.paint(Tone::Bad, "keyroll:")));
        for hint in &fault.hints {
            self.shout(&format!("  {} {hint}", self.paint(Tone::Dim, "→")));
        }
    }
}

/// Columns of the terminal, or a width that fits a ticket.
pub(crate) fn width() -> u16 {
    let asked = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    asked.or_else(columns).unwrap_or(100).clamp(60, 200)
}

fn columns() -> Option<u16> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
