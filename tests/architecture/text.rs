//! Rust text without what is not code: comments, the insides of strings, and items that only tests have.
//!
//! Everything taken out becomes spaces, so that lines and columns stay where they are.

/// One file's text in two forms.
pub struct Code {
    /// Without comments.
    pub with_strings: String,
    /// Without comments and without the insides of strings.
    pub bare: String,
}

/// Takes comments and strings out.
pub fn strip(text: &str) -> Code {
    let chars: Vec<char> = text.chars().collect();
    let mut with_strings = String::with_capacity(text.len());
    let mut bare = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let (length, what) = piece(&chars, at);
        for c in &chars[at..at + length] {
            let blank = if *c == '\n' { '\n' } else { ' ' };
            with_strings.push(if what == What::Comment { blank } else { *c });
            bare.push(if what == What::Code { *c } else { blank });
        }
        at += length;
    }
    Code { with_strings, bare }
}

#[derive(PartialEq)]
enum What {
    Code,
    Comment,
    Text,
}

/// How long the piece that starts here is, and what it is.
fn piece(chars: &[char], at: usize) -> (usize, What) {
    let rest = &chars[at..];
    match rest {
        ['/', '/', ..] => (until(rest, |c| c == '\n'), What::Comment),
        ['/', '*', ..] => (block_comment(rest), What::Comment),
        ['"', ..] => (quoted(rest, '"'), What::Text),
        ['r' | 'b', ..] if !follows_word(chars, at) => raw(rest).map_or((1, What::Code), |length| (length, What::Text)),
        ['\'', '\\', ..] => (quoted(rest, '\''), What::Text),
        // A character, not a lifetime.
        ['\'', _, '\'', ..] => (3, What::Text),
        _ => (1, What::Code),
    }
}

fn follows_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn until(rest: &[char], end: fn(char) -> bool) -> usize {
    rest.iter().position(|c| end(*c)).unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A text that starts with `r`, `b`, `br`, with or without `#`.
fn raw(rest: &[char]) -> Option<usize> {
    let letters = rest.iter().take_while(|c| matches!(c, 'r' | 'b')).count();
    if letters > 2 {
        return None;
    }
    let hashes = rest[letters..].iter().take_while(|c| **c == '#').count();
    let body = &rest[letters + hashes..];
    let is_raw = rest[..letters].contains(&'r');
    match body.first() {
        Some('"') if is_raw => {
            let mut at = 1;
            while at < body.len() {
                if body[at] == '"' && body[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
                    return Some(letters + hashes + at + 1 + hashes);
                }
                at += 1;
            }
            Some(rest.len())
        }
        Some('"') if hashes == 0 => Some(letters + quoted(body, '"')),
        Some('\'') if hashes == 0 && letters == 1 => Some(letters + quoted(body, '\'')),
        _ => None,
    }
}

/// What only tests have, blanked; and the files such modules live in, as written (`name` or `"path"`).
pub struct WithoutTests {
    pub bare: String,
    pub with_strings: String,
    pub test_modules: Vec<TestModule>,
}

/// A module declared for tests only, in a file of its own.
pub struct TestModule {
    pub name: String,
    pub path: Option<String>,
}

const FOR_TESTS: &str = "#[cfg(test)]";

/// Blanks each item behind `#[cfg(test)]`.
pub fn without_tests(code: Code) -> WithoutTests {
    let mut bare: Vec<char> = code.bare.chars().collect();
    let mut with_strings: Vec<char> = code.with_strings.chars().collect();
    let mut test_modules = Vec::new();
    let marker: Vec<char> = FOR_TESTS.chars().collect();
    let mut at = 0;
    while at + marker.len() <= bare.len() {
        if bare[at..at + marker.len()] != marker[..] {
            at += 1;
            continue;
        }
        let end = item_end(&bare, at + marker.len());
        let item: String = with_strings[at..end].iter().collect();
        if let Some(name) = item.split("mod ").nth(1).and_then(|rest| rest.trim_end().strip_suffix(';')) {
            let path = item.split("#[path").nth(1).and_then(|rest| rest.split('"').nth(1)).map(str::to_owned);
            test_modules.push(TestModule { name: name.trim().to_owned(), path });
        }
        for i in at..end {
            if bare[i] != '\n' {
                bare[i] = ' ';
            }
            if with_strings[i] != '\n' {
                with_strings[i] = ' ';
            }
        }
        at = end;
    }
    WithoutTests { bare: bare.into_iter().collect(), with_strings: with_strings.into_iter().collect(), test_modules }
}

/// The end of the item that starts here: its `;` or its closing brace. Attributes and bodies are stepped over whole.
fn item_end(bare: &[char], from: usize) -> usize {
    let mut depth = 0_i32;
    for (i, c) in bare.iter().enumerate().skip(from) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    bare.len()
}

/// The line of a position, from 1.
pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

/// Every place of a word, not inside a longer word.
pub fn places(text: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .filter(|(at, _)| {
            let goes_on_before = word.starts_with(part) && text[..*at].ends_with(part);
            let goes_on_after = word.ends_with(part) && text[at + word.len()..].starts_with(part);
            !(goes_on_before || goes_on_after)
        })
        .map(|(at, _)| at)
        .collect()
}
