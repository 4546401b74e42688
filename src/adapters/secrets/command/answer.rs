//! What a program answers: checked before anything of it is kept or shown.

use crate::secret::{Scrubber, SecretText};
use crate::support::text;
use serde::{Deserialize, Deserializer};

/// The version of the protocol.
const V: u32 = 1;
/// A version id or a guard is no longer.
const LONGEST: usize = 200;
/// So many warnings are kept.
const MOST_WARNINGS: usize = 8;

/// The answer to `observe`.
#[derive(Deserialize)]
pub(super) struct Observed {
    v: u32,
    pub(super) guard: String,
    #[serde(default)]
    pub(super) current: Option<Shown>,
    #[serde(default)]
    pub(super) pending: Option<Shown>,
    #[serde(default)]
    pub(super) previous: Option<Shown>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
}

/// One version; also the answer to `read`.
#[derive(Deserialize)]
pub(super) struct Shown {
    pub(super) version: String,
    #[serde(default)]
    pub(super) run: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) value: Option<SecretText>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretText::new))
}

impl Observed {
    /// Reads an answer; the problem never repeats any of it.
    pub(super) fn parse(bytes: &[u8], scrubber: &Scrubber) -> Result<Self, String> {
        let mut seen: Self = serde_json::from_slice(bytes).map_err(|e| position(&e))?;
        if seen.v != V {
            return Err(format!("it speaks version {} of the protocol, and keyroll version {V}", seen.v));
        }
        plain("guard", &seen.guard)?;
        for shown in [&mut seen.current, &mut seen.pending, &mut seen.previous].into_iter().flatten() {
            shown.check(scrubber)?;
        }
        seen.warnings.truncate(MOST_WARNINGS);
        for warning in &mut seen.warnings {
            *warning = text::clean_to(&scrubber.scrub(warning), 300);
        }
        seen.says_no_secret(scrubber)?;
        Ok(seen)
    }

    /// A value outside its place would be kept in the journal: such an answer is not used at all. Asked again when more values are known.
    pub(super) fn says_no_secret(&self, scrubber: &Scrubber) -> Result<(), String> {
        let versions = [&self.current, &self.pending, &self.previous].into_iter().flatten();
        let texts = versions.flat_map(|s| [Some(&s.version), s.run.as_ref()]).flatten().chain([&self.guard]).chain(&self.warnings);
        for text in texts {
            if !scrubber.find(text.as_bytes()).is_empty() {
                return Err("a version, run, guard or warning holds a value; only `value` may".into());
            }
        }
        Ok(())
    }
}

impl Shown {
    /// The answer to `read`: none where there is no such version.
    pub(super) fn parse(bytes: &[u8], scrubber: &Scrubber) -> Result<Option<Self>, String> {
        let mut shown: Option<Self> = serde_json::from_slice(bytes).map_err(|e| position(&e))?;
        if let Some(shown) = &mut shown {
            shown.check(scrubber)?;
        }
        Ok(shown)
    }

    fn check(&mut self, scrubber: &Scrubber) -> Result<(), String> {
        plain("version", &self.version)?;
        if let Some(run) = &self.run {
            plain("run", run)?;
        }
        match &self.value {
            Some(value) if value.is_empty() || value.expose().contains(['\n', '\r', '\0']) => {
                return Err("a value is empty or more than one line".into());
            }
            // Whatever it says from here on is scrubbed of it.
            Some(value) => {
                scrubber.add("a value of a slot", value);
            }
            None => {}
        }
        Ok(())
    }
}

/// Visible, without blanks, short: fit for an argument, a journal and a message.
fn plain(what: &str, text: &str) -> Result<(), String> {
    let fine = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) && !text.starts_with('-');
    if fine {
        return Ok(());
    }
    Err(format!("a {what} is empty, longer than {LONGEST} characters, begins with `-`, or has blanks or invisible characters in it"))
}

/// The parser's own message may repeat a piece of the answer: only the position is told.
fn position(e: &serde_json::Error) -> String {
    format!("not the expected document at line {}, column {}; runbooks/command-store.md shows it", e.line(), e.column())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Observed, String> {
        Observed::parse(text.as_bytes(), &Scrubber::new())
    }

    #[test]
    fn the_documented_answer_is_read() {
        let seen = parse(r#"{"v":1,"guard":"7","current":{"version":"7","value":"demo-value-1"},"pending":null,"more":[]}"#).unwrap();
        assert_eq!((seen.guard.as_str(), seen.current.unwrap().value.unwrap().expose()), ("7", "demo-value-1"));
        assert!(seen.pending.is_none() && seen.previous.is_none());
        let shown = Shown::parse(br#"{"version":"7","value":"demo-value-1"}"#, &Scrubber::new()).unwrap().unwrap();
        assert_eq!(shown.value.unwrap().expose(), "demo-value-1");
        assert!(Shown::parse(b"null", &Scrubber::new()).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_relied_on_is_not_read_and_never_repeated() {
        for text in [
            "",
            "demo-value-1",
            "[]",
            r#"{"v":2,"guard":"7"}"#,
            r#"{"v":1,"guard":""}"#,
            r#"{"v":1,"guard":"a b"}"#,
            r#"{"v":1,"guard":"--force"}"#,
            r#"{"v":1,"guard":"7","current":"demo-value-1"}"#,
            r#"{"v":1,"guard":"7","current":{"version":"7","value":"demo-value-1\nmore"}}"#,
            r#"{"v":1,"guard":"7","current":{"version":"7","value":""}}"#,
            r#"{"v":1,"guard":"7","current":{"version":"demo-value-1","value":"demo-value-1"}}"#,
            r#"{"v":1,"guard":"demo-value-1","current":{"version":"7","value":"demo-value-1"}}"#,
            r#"{"v":1,"guard":"7","current":{"version":"7","value":7}} demo-value-1"#,
        ] {
            let why = parse(text).err().unwrap();
            assert!(!why.contains("demo-value-1"), "{why}");
        }
        let seen = parse(r#"{"v":1,"guard":"7","current":{"version":"7","value":"demo-value-1"},"warnings":["it is demo-value-1"]}"#);
        assert!(!seen.unwrap().warnings.concat().contains("demo-value-1"));
    }
}
