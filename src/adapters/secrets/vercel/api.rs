//! The calls.

use super::{VercelStore, target};
use crate::ports::Result;
use crate::secret::SecretText;
use crate::support::{http, text};
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize};

/// One variable; its value only when it was asked for by id.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    pub(super) id: String,
    key: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    target: Targets,
    #[serde(default)]
    git_branch: Option<String>,
    #[serde(default)]
    pub(super) comment: Option<String>,
    #[serde(default)]
    pub(super) updated_at: i64,
}

/// One, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Targets {
    One(String),
    Many(Vec<String>),
}

impl Default for Targets {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Variable {
    /// It is what every deployment of this kind gets, not only those of one branch.
    fn is_for(&self, name: &str, target: &str) -> bool {
        let fits = match &self.target {
            Targets::One(one) => one == target,
            Targets::Many(many) => many.iter().any(|t| t == target),
        };
        self.key == name && fits && self.git_branch.as_ref().is_none_or(String::is_empty)
    }
}

#[derive(Deserialize)]
struct Listed {
    envs: Vec<Variable>,
}

#[derive(Deserialize)]
struct Decrypted {
    #[serde(default, deserialize_with = "secret")]
    value: Option<SecretText>,
}

#[derive(Serialize)]
struct New<'a> {
    key: &'a str,
    value: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    target: [&'a str; 1],
    comment: &'a str,
}

#[derive(Serialize)]
struct Change<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretText::new))
}

impl VercelStore {
    fn team(&self) -> Vec<(&str, &str)> {
        self.slot.team.iter().map(|team| ("teamId", team.as_str())).collect()
    }

    /// All variables of the project.
    pub(super) async fn all(&self) -> Result<Vec<Variable>> {
        let reply = self.rest.get((&["v10", "projects", &self.slot.project, "env"], &self.team())).await?;
        if !reply.is_success() {
            return Err(self.rest.bad_read("look", &reply));
        }
        let mut all = self.rest.parsed::<Listed>(&reply)?.envs;
        all.retain(|v| http::is_plain_id(&v.id));
        for variable in &mut all {
            variable.comment = variable.comment.as_deref().map(|c| text::clean_to(c, 500));
        }
        Ok(all)
    }

    /// The one of this name for our kind of deployment.
    pub(super) fn find<'a>(&self, all: &'a [Variable], name: &str) -> Result<Option<&'a Variable>> {
        let mut found = all.iter().filter(|v| v.is_for(name, target(&self.slot)));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(self.rest.refused("look", "two variables of this name are for the same deployments")),
            (one, _) => Ok(one),
        }
    }

    /// What it holds; none when that is empty.
    pub(super) async fn value(&self, variable: &Variable) -> Result<Option<SecretText>> {
        if variable.kind == "sensitive" {
            let why = "its type is `sensitive`, so Vercel gives no value back and nothing could be verified; make it `encrypted`";
            return Err(self.rest.refused("read", why));
        }
        let reply = self.rest.get((&["v1", "projects", &self.slot.project, "env", &variable.id], &self.team())).await?;
        if !reply.is_success() {
            return Err(self.rest.bad_read("read", &reply));
        }
        Ok(self.rest.parsed::<Decrypted>(&reply)?.value.filter(|v| !v.is_empty()))
    }

    /// Makes a variable, once.
    pub(super) async fn make(&self, action: &str, name: &str, kind: &str, value: &SecretText, comment: &str) -> Result<()> {
        let body = New { key: name, value: value.expose(), kind, target: [target(&self.slot)], comment };
        let to = ["v10", "projects", &self.slot.project, "env"];
        let reply = self.rest.change(Method::POST, (&to, &self.team()), Some(&body)).await?;
        if reply.is_success() { Ok(()) } else { Err(self.rest.bad_change(action, &reply)) }
    }

    /// Changes the value of one, and nothing else of it but a comment of ours.
    pub(super) async fn set(&self, action: &str, id: &str, value: &SecretText, comment: Option<&str>) -> Result<()> {
        let body = Change { value: value.expose(), comment };
        let to = ["v9", "projects", &self.slot.project, "env", id];
        let reply = self.rest.change(Method::PATCH, (&to, &self.team()), Some(&body)).await?;
        if reply.is_success() { Ok(()) } else { Err(self.rest.bad_change(action, &reply)) }
    }

    /// Removes one; success when it is gone, whoever did it.
    pub(super) async fn remove(&self, action: &str, id: &str) -> Result<()> {
        let to = ["v9", "projects", &self.slot.project, "env", id];
        let sent = match self.rest.change(Method::DELETE, (&to, &self.team()), None::<&()>).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(self.rest.bad_change(action, &reply)),
            Err(e) => Err(e),
        };
        match (sent, self.all().await) {
            (_, Ok(all)) if all.iter().all(|v| v.id != id) => Ok(()),
            (Ok(()), Ok(_)) => Err(self.rest.unreadable("the variable is there although its removal was accepted")),
            (Ok(()), Err(e)) => Err(self.rest.lost(e)),
            (Err(e), _) => Err(e),
        }
    }
}
