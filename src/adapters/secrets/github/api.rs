//! The calls: secrets are written and deleted, variables are read too.

use super::note::Note;
use super::seal::sealed;
use super::{GithubStore, NOTE, PENDING};
use crate::ports::Result;
use crate::secret::SecretText;
use crate::support::text;
use reqwest::Method;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct About {
    updated_at: String,
}

#[derive(Deserialize)]
struct PublicKey {
    key_id: String,
    key: String,
}

#[derive(Serialize)]
struct Sealed<'a> {
    encrypted_value: &'a str,
    key_id: &'a str,
}

#[derive(Deserialize)]
struct Variable {
    value: String,
    updated_at: String,
}

#[derive(Serialize)]
struct NewVariable<'a> {
    name: &'a str,
    value: &'a str,
}

/// The note, and when it was written by GitHub's clock; no time when there is none.
pub(super) struct Kept {
    pub(super) note: Note,
    pub(super) at: Option<String>,
}

impl GithubStore {
    pub(super) fn current_name(&self) -> String {
        self.slot.secret.as_str().to_ascii_uppercase()
    }

    pub(super) fn pending_name(&self) -> String {
        format!("{}{PENDING}", self.current_name())
    }

    fn path<'a>(&'a self, kind: &'a str, name: &'a str) -> Vec<&'a str> {
        let (owner, repository) = self.slot.repository.split_once('/').unwrap_or_default();
        let mut path = vec!["repos", owner, repository];
        match &self.slot.environment {
            Some(environment) => path.extend(["environments", environment.as_str(), kind]),
            None => path.extend(["actions", kind]),
        }
        if !name.is_empty() {
            path.push(name);
        }
        path
    }

    /// When a secret was last written; none when there is none of this name.
    pub(super) async fn written(&self, name: &str) -> Result<Option<String>> {
        let reply = self.rest.get((&self.path("secrets", name), &[])).await?;
        if reply.is_success() {
            return Ok(Some(text::clean_to(&self.rest.parsed::<About>(&reply)?.updated_at, 64)));
        }
        if reply.status != 404 {
            return Err(self.rest.bad_read("look", &reply));
        }
        // GitHub says "not found" of what may not be seen, too: only beside an answer does it mean that there is none.
        self.public_key().await?;
        Ok(None)
    }

    async fn public_key(&self) -> Result<PublicKey> {
        let reply = self.rest.get((&self.path("secrets", "public-key"), &[])).await?;
        if !reply.is_success() {
            return Err(self.rest.bad_read("get the public key", &reply));
        }
        self.rest.parsed(&reply)
    }

    /// Writes a secret, once. The public key is asked for right before: GitHub takes nothing that was sealed for an older one.
    pub(super) async fn put(&self, action: &str, name: &str, value: &SecretText) -> Result<()> {
        let key = self.public_key().await?;
        let sealed = sealed(&key.key, value).map_err(|why| self.rest.refused(action, &why))?;
        let body = Sealed { encrypted_value: &sealed, key_id: &key.key_id };
        let reply = self.rest.change(Method::PUT, (&self.path("secrets", name), &[]), Some(&body)).await?;
        match reply.status {
            201 | 204 => Ok(()),
            // Taken apart before anything is written.
            422 => {
                Err(self.rest.away("status 422: GitHub did not take the sealed value; its public key may just have changed".into(), false))
            }
            _ => Err(self.rest.bad_change(action, &reply)),
        }
    }

    /// Deletes a secret; what matters is that it is gone then.
    pub(super) async fn delete(&self, action: &str, name: &str) -> Result<()> {
        let deleted = match self.rest.change(Method::DELETE, (&self.path("secrets", name), &[]), None::<&()>).await {
            Ok(reply) if reply.status == 204 => Ok(()),
            Ok(reply) => Err(self.rest.bad_change(action, &reply)),
            Err(e) => Err(e),
        };
        match (deleted, self.written(name).await) {
            (Ok(()), Ok(None)) => Ok(()),
            // Whoever deleted it. A "not found" of one that is there means that it may not be deleted.
            (Err(_), Ok(None)) => Ok(()),
            (Ok(()), Ok(Some(_))) => Err(self.rest.unreadable("the secret is there although its deletion was accepted")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), Ok(_) | Err(_)) => Err(e),
        }
    }

    fn note_name(&self) -> String {
        format!("{}{NOTE}", self.current_name())
    }

    pub(super) async fn note(&self) -> Result<Kept> {
        let reply = self.rest.get((&self.path("variables", &self.note_name()), &[])).await?;
        if reply.status == 404 {
            return Ok(Kept { note: Note::default(), at: None });
        }
        if !reply.is_success() {
            return Err(self.rest.bad_read("read the note", &reply));
        }
        let found: Variable = self.rest.parsed(&reply)?;
        let Some(note) = Note::parse(&found.value) else {
            let why = format!("the variable {} is not keyroll's note; rename it", self.note_name());
            return Err(self.rest.refused("read the note", &why));
        };
        Ok(Kept { note, at: Some(text::clean_to(&found.updated_at, 64)) })
    }

    /// Writes the note; after an answer that is no clear yes it is read again, and decides.
    pub(super) async fn write_note(&self, action: &str, known: &Kept, note: &Note) -> Result<Kept> {
        let (name, value) = (self.note_name(), note.text());
        let body = NewVariable { name: &name, value: &value };
        let sent = match &known.at {
            Some(_) => self.rest.change(Method::PATCH, (&self.path("variables", &name), &[]), Some(&body)).await,
            None => self.rest.change(Method::POST, (&self.path("variables", ""), &[]), Some(&body)).await,
        };
        let done = match sent {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(self.rest.bad_change(action, &reply)),
            Err(e) => Err(e),
        };
        match (done, self.note().await) {
            (_, Ok(kept)) if kept.note == *note => Ok(kept),
            // The note is not the change: without it nothing was begun.
            (Err(e), _) => Err(self.rest.away(format!("the note could not be written: {e}"), false)),
            (Ok(()), Ok(_)) => Err(self.rest.conflict(action, "somebody else writes the note; is another run at work?")),
            (Ok(()), Err(e)) => Err(e),
        }
    }
}
