//! Placeholders in described requests: `{{id}}`, `{{old/models}}`, `{{id|number}}`.

/// A piece of a text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it is written.
    Text(String),
    /// To be filled in.
    Slot(Slot),
}

/// A placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The word before the first `/`.
    pub name: String,
    /// A JSON Pointer into what the word stands for; empty for all of it.
    pub pointer: String,
    /// What it is made into.
    pub into: Into,
}

/// What a value is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// It keeps its type.
    Same,
    /// A number, from text.
    Number,
    /// Text.
    Text,
}

/// Takes a text apart; none when a placeholder is not closed or is none of ours by its form.
pub fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, after) = after.split_once("}}")?;
        if !before.is_empty() {
            found.push(Piece::Text(before.to_owned()));
        }
        found.push(Piece::Slot(slot(inner.trim())?));
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.to_owned()));
    }
    Some(found)
}

/// The placeholders of a text; none when it cannot be taken apart.
pub fn slots(text: &str) -> Option<Vec<Slot>> {
    let slot = |piece| match piece {
        Piece::Slot(slot) => Some(slot),
        Piece::Text(_) => None,
    };
    Some(pieces(text)?.into_iter().filter_map(slot).collect())
}

fn slot(inner: &str) -> Option<Slot> {
    let (path, into) = match inner.split_once('|') {
        None => (inner, Into::Same),
        Some((path, "number")) => (path, Into::Number),
        Some((path, "text")) => (path, Into::Text),
        Some(_) => return None,
    };
    let (name, pointer) = match path.split_once('/') {
        Some((name, rest)) => (name, format!("/{rest}")),
        None => (path, String::new()),
    };
    let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    word.then(|| Slot { name: name.to_owned(), pointer, into })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may")]
    use super::*;

    #[test]
    fn texts_are_taken_apart() {
        let slot = |name: &str, pointer: &str, into| Piece::Slot(Slot { name: name.into(), pointer: pointer.into(), into });
        assert_eq!(pieces("/keys/{{id}}/x").unwrap(), [Piece::Text("/keys/".into()), slot("id", "", Into::Same), Piece::Text("/x".into())]);
        assert_eq!(pieces("{{ old/a~1b/0|number }}").unwrap(), [slot("old", "/a~1b/0", Into::Number)]);
        assert_eq!(pieces("plain {x}").unwrap(), [Piece::Text("plain {x}".into())]);
        for wrong in ["{{id", "{{}}", "{{Id}}", "{{id|upper}}", "{{ a b }}"] {
            assert_eq!(pieces(wrong), None, "{wrong}");
        }
    }
}
