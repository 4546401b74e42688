//! `for_each:` — the rows of a CSV file, and placeholders `${column}` filled in from a row.

use std::collections::BTreeMap;

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
    mask, suggest,
    tree::{Node, Value},
};

/// Values by column.
pub type Row = BTreeMap<String, String>;

/// Most rows that one policy is written out for.
pub const MAX_ROWS: usize = 2_000;

/// Reads CSV: the first line names the columns, fields may be quoted, quotes inside quotes are doubled.
pub(crate) fn read_csv(text: &str) -> Result<Vec<Row>, String> {
    let mut records = records(text)?.into_iter();
    let Some((_, columns)) = records.next() else {
        return Err("the file is empty".to_owned());
    };
    let columns: Vec<String> = columns.iter().map(|name| name.trim().to_owned()).collect();
    if columns.iter().any(String::is_empty) {
        return Err("line 1 must name every column".to_owned());
    }
    let mut rows = Vec::new();
    for (line, record) in records {
        if record.len() != columns.len() {
            return Err(format!("line {line} has {} fields, but line 1 names {} columns", record.len(), columns.len()));
        }
        if rows.len() == MAX_ROWS {
            return Err(format!("there are more than {MAX_ROWS} rows"));
        }
        let row: Row = columns.iter().cloned().zip(record.iter().map(|field| field.trim().to_owned())).collect();
        if row.len() != columns.len() {
            return Err("line 1 names a column twice".to_owned());
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err("the file names columns but has no rows".to_owned());
    }
    Ok(rows)
}

/// Records with the line on which each begins; blank lines are left out.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut found = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let mut field = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let (mut line, mut start) = (1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.trim().is_empty() && !was_quoted => {
                (quoted, was_quoted) = (true, true);
                field.clear();
            }
            ',' if !quoted => {
                record.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            '\n' if !quoted => {
                line += 1;
                record.push(std::mem::take(&mut field));
                was_quoted = false;
                if record.iter().any(|field| !field.trim().is_empty()) {
                    found.push((start, std::mem::take(&mut record)));
                }
                record.clear();
                start = line;
            }
            '\r' if !quoted => {}
            other => {
                line += usize::from(other == '\n');
                field.push(other);
            }
        }
    }
    if quoted {
        return Err(format!("a quote opened in the record of line {start} is never closed"));
    }
    record.push(field);
    if record.iter().any(|field| !field.trim().is_empty()) {
        found.push((start, record));
    }
    Ok(found)
}

/// Fills in the placeholders of every text. `$${` stands for a literal `${`.
pub(crate) fn fill(node: &mut Node, row: &Row, problems: &mut Vec<Diagnostic>) {
    let span = node.span;
    match &mut node.value {
        Value::Text(text) if text.contains("${") => {
            *text = fill_text(text, row, span, problems);
        }
        Value::List(items) => items.iter_mut().for_each(|item| fill(item, row, problems)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| fill(&mut entry.value, row, problems)),
        Value::Null | Value::Broken | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}

fn fill_text(text: &str, row: &Row, span: Span, problems: &mut Vec<Diagnostic>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = after;
            continue;
        }
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push_str("${");
            rest = after;
            continue;
        };
        match row.get(name.trim()) {
            Some(value) => filled.push_str(value),
            None => {
                let help = match suggest::nearest(name.trim(), row.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `${{{near}}}`?"),
                    None => format!(
                        "the columns are {}; for a literal `${{` write `$${{`",
                        row.keys().map(|name| mask::quoted(name)).collect::<Vec<_>>().join(", ")
                    ),
                };
                problems.push(Diagnostic::at(
                    Code::UnknownPlaceholder,
                    span,
                    format!("no column of `for_each` is called {}", mask::quoted(name.trim())),
                    help,
                ));
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn csv_is_read() {
        let rows = read_csv("name, team\r\n\"a,\"\"b\"\"\",x\n\nc , y").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.first().unwrap().get("name").unwrap(), "a,\"b\"");
        assert_eq!(rows.last().unwrap().get("team").unwrap(), "y");
        for (text, part) in [
            ("", "empty"),
            ("a,b\n1\n", "line 2"),
            ("a,,b\n", "name every"),
            ("a\n", "no rows"),
            ("a\n\"x\n", "never closed"),
            ("a,a\n1,2", "twice"),
        ] {
            assert!(read_csv(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn placeholders_are_filled() {
        let row: Row = [("app".to_owned(), "chat".to_owned())].into();
        let mut problems = Vec::new();
        let filled = fill_text("a-${app}-${ app }-$${HOME}-${x", &row, Span::default(), &mut problems);
        assert_eq!(filled, "a-chat-chat-${HOME}-${x");
        assert!(problems.is_empty());
        fill_text("${ap}", &row, Span::default(), &mut problems);
        assert!(problems.iter().any(|problem| problem.help.contains("${app}")));
    }
}
