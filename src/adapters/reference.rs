//! References to secrets, resolved late: `{ env }`, `{ file }`, `{ command }`, `{ vault }`, `{ aws }`, `{ prompt }`.

use crate::policy::model::reference::{Ref, VaultPlace};
use crate::ports::{PortError, Result};
use crate::secret::{Scrubber, SecretText};
use crate::support::child::{self, Child};
use std::io::Read;
use std::time::Duration;

/// A file or answer longer than this is no secret.
const LONGEST: u64 = 64 * 1024;
/// A command that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// One call to a store that holds a secret takes no longer.
#[cfg(feature = "vault")]
const CALL: Duration = Duration::from_secs(20);

/// Asks a person at the terminal for a hidden line; wired by the command line.
pub type Ask = dyn Fn(&str) -> Option<String>;

/// Resolves references. Nothing is kept: every call reads again.
pub struct References {
    /// Names of variables that hold secrets: no child gets them.
    pub withhold: Vec<String>,
    /// What children's complaints are scrubbed with.
    pub scrubber: Scrubber,
    /// How a person is asked; none where nobody can be.
    pub ask: Option<Box<Ask>>,
}

impl References {
    /// The value that a reference stands for, trimmed and checked. The error names the reference, never the value.
    pub async fn resolve(&self, reference: &Ref) -> Result<SecretText> {
        let failed = |why: String| PortError::Refused { system: reference.describe(), action: "read the secret".into(), why };
        let value = match reference {
            Ref::Env(name) => match std::env::var(name.as_str()) {
                Ok(value) => SecretText::new(value),
                Err(std::env::VarError::NotPresent) => return Err(failed("the variable is not set".into())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(failed("the variable is not text".into())),
            },
            Ref::File(path) => {
                let mut text = zeroize::Zeroizing::new(String::new());
                let file = std::fs::File::open(path).map_err(|e| failed(unreadable(&e)))?;
                file.take(LONGEST).read_to_string(&mut text).map_err(|e| failed(unreadable(&e)))?;
                SecretText::new(text.as_str())
            }
            Ref::Command(argv) => self.command(argv, &failed).await?,
            Ref::Prompt(question) => {
                let ask = self
                    .ask
                    .as_ref()
                    .ok_or_else(|| failed("nobody can be asked here; use another reference for runs without a terminal".into()))?;
                SecretText::new(ask(question).ok_or_else(|| failed("nothing was entered".into()))?)
            }
            #[cfg(feature = "vault")]
            Ref::Vault(place) => super::secrets::vault::fetch(place, self, CALL).await?,
            #[cfg(feature = "aws")]
            Ref::Aws(place) => super::secrets::aws::current_value(place).await?,
            #[cfg(not(all(feature = "vault", feature = "aws")))]
            Ref::Vault(_) | Ref::Aws(_) => {
                return Err(failed("this kind of reference is not in this build; `{ command }` can fetch it".into()));
            }
        };
        checked(&value).ok_or_else(|| failed("it is empty, longer than 4096 characters, or not one line of visible characters".into()))
    }

    async fn command(&self, argv: &[String], failed: &impl Fn(String) -> PortError) -> Result<SecretText> {
        let Some((program, arguments)) = argv.split_first() else { return Err(failed("the command is empty".into())) };
        let mut child = Child::new(program, arguments);
        child.withhold.clone_from(&self.withhold);
        child.time = PATIENCE;
        let finished = child::run(&child, &self.scrubber, |_| Ok(())).await.map_err(|e| failed(e.to_string()))?;
        if !finished.succeeded() {
            return Err(failed(format!("the command failed: {}", finished.complaint)));
        }
        finished.secret().ok_or_else(|| failed("the command printed no single line".into()))
    }
}

/// Why a file gave no secret, and what to do about it.
fn unreadable(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; put it back, or correct the policy".into(),
        std::io::ErrorKind::PermissionDenied => "this user may not read the file; give it the right to, or run as its owner".into(),
        std::io::ErrorKind::InvalidData => "the file is not text".into(),
        other => format!("the file could not be read: {other}"),
    }
}

/// One line end and surrounding blanks are nobody's secret; anything else that is not visible ASCII is a mistake.
fn checked(value: &SecretText) -> Option<SecretText> {
    let text = value.expose().trim_matches([' ', '\t', '\r', '\n']);
    let fine = !text.is_empty() && text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic());
    fine.then(|| SecretText::new(text))
}

/// The variables that a policy's references name.
pub fn variables<'a>(references: impl IntoIterator<Item = &'a Ref>) -> Vec<String> {
    let mut found = Vec::new();
    for reference in references {
        match reference {
            Ref::Env(name) => found.push(name.as_str().to_owned()),
            Ref::Vault(place) => found.extend(behind_vault(place)),
            Ref::File(_) | Ref::Command(_) | Ref::Aws(_) | Ref::Prompt(_) => {}
        }
    }
    found
}

/// The variables that a login to Vault rests on.
pub fn behind_vault(place: &VaultPlace) -> Vec<String> {
    match &place.auth {
        Some(auth) => variables(auth.references()),
        None => vec!["VAULT_TOKEN".to_owned()],
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn resolve(reference: &Ref) -> Result<SecretText> {
        let references = References { withhold: Vec::new(), scrubber: Scrubber::new(), ask: None };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(references.resolve(reference))
    }

    #[test]
    fn a_file_is_trimmed_by_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "demo-value\n").unwrap();
        let value = resolve(&Ref::File(path.to_str().unwrap().into())).ok().unwrap();
        assert_eq!(value.expose(), "demo-value");
    }

    #[test]
    fn two_lines_are_no_secret_and_are_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "first-line\nsecond-line\n").unwrap();
        let error = resolve(&Ref::File(path.to_str().unwrap().into())).err().unwrap().to_string();
        assert!(!error.contains("first-line") && error.contains("one line"), "{error}");
    }

    #[test]
    fn a_command_gives_its_line_and_a_failing_one_its_reason() {
        let echo = Ref::Command(["sh", "-c", "echo demo-value"].map(String::from).to_vec());
        assert_eq!(resolve(&echo).ok().unwrap().expose(), "demo-value");
        let fails = Ref::Command(["sh", "-c", "echo no such thing >&2; exit 3"].map(String::from).to_vec());
        assert!(resolve(&fails).err().unwrap().to_string().contains("no such thing"));
    }

    #[test]
    fn nobody_to_ask_says_so() {
        let error = resolve(&Ref::Prompt("the key".into())).err().unwrap().to_string();
        assert!(error.contains("nobody can be asked"), "{error}");
    }
}
