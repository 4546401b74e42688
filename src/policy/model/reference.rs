//! References to secrets: where a secret is kept, never the secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::scalar::{Url, VariableName};

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[schemars(extend("x-secret" = true))]
pub enum Ref {
    /// In an environment variable of keyroll's own process.
    Env(VariableName),
    /// In a file, without the line break at its end.
    File(#[schemars(length(min = 1))] String),
    /// On the standard output of a program, named with its arguments.
    Command(#[schemars(length(min = 1))] Vec<String>),
    /// In Vault or OpenBao.
    Vault(VaultPlace),
    /// In AWS Secrets Manager.
    Aws(AwsPlace),
    /// With a person, who is asked with this text; not for runs that may park.
    Prompt(#[schemars(length(min = 1))] String),
}

impl Ref {
    /// The reference for people: what kind, and the name of the place; nothing about the value.
    pub fn describe(&self) -> String {
        match self {
            Ref::Env(name) => format!("environment variable {name}"),
            Ref::File(path) => format!("file {path}"),
            Ref::Command(argv) => format!("command {}", argv.first().map_or("", String::as_str)),
            Ref::Vault(place) => {
                format!("vault {}/{} field {}", place.mount, place.path, place.field)
            }
            Ref::Aws(place) => format!("aws secret {}", place.secret),
            Ref::Prompt(_) => "a prompt".to_owned(),
        }
    }
}

/// A field of a document in Vault's or OpenBao's KV version 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultPlace {
    /// Address of the server; VAULT_ADDR when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Url>,
    /// Namespace; VAULT_NAMESPACE when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// File of a private certificate authority, as PEM; VAULT_CACERT when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Mount of the KV engine.
    pub mount: String,
    /// Path of the document below the mount.
    pub path: String,
    /// Field of the document.
    pub field: String,
    /// How to log in; VAULT_TOKEN when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<VaultAuth>,
}

/// How to log in to Vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum VaultAuth {
    /// With a token.
    Token(Box<Ref>),
    /// With a role and its secret id.
    AppRole(AppRoleLogin),
    /// With the token of a Kubernetes service account.
    Kubernetes(KubernetesLogin),
    /// With a signed token of somebody else, such as a CI system.
    Jwt(JwtLogin),
    /// With whatever AWS login this machine has: a signed question that only AWS can answer.
    Aws(AwsLogin),
}

impl VaultAuth {
    /// The references in it.
    pub fn references(&self) -> Vec<&Ref> {
        match self {
            VaultAuth::Token(token) => vec![token],
            VaultAuth::AppRole(login) => vec![&login.secret_id],
            VaultAuth::Kubernetes(login) => login.jwt.iter().map(AsRef::as_ref).collect(),
            VaultAuth::Jwt(login) => vec![&login.jwt],
            VaultAuth::Aws(_) => Vec::new(),
        }
    }
}

/// A login by AppRole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppRoleLogin {
    /// Id of the role, which is no secret.
    pub role_id: String,
    /// The secret id, unwrapped.
    pub secret_id: Box<Ref>,
    /// Where the method is mounted; `approle` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A login by Kubernetes service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesLogin {
    /// The role in Vault.
    pub role: String,
    /// The service account's token; the file that Kubernetes mounts when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Box<Ref>>,
    /// Where the method is mounted; `kubernetes` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A login by JWT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtLogin {
    /// The role in Vault; the method's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The signed token.
    pub jwt: Box<Ref>,
    /// Where the method is mounted; `jwt` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A login by AWS identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsLogin {
    /// The role in Vault.
    pub role: String,
    /// The region whose STS answers; the global one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9-]{1,32}$"))]
    pub region: Option<String>,
    /// What the server wants to find in the question, so that it cannot be asked elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// Where the method is mounted; `aws` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
}

/// A secret in AWS Secrets Manager, or one field of its JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsPlace {
    /// Name or ARN of the secret.
    pub secret: String,
    /// Region; the usual AWS chain when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Field of a JSON document; the whole secret when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Another endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn auth(text: &str) -> Result<VaultAuth, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn each_way_to_log_in_is_read_and_names_its_references() {
        for (text, references) in [
            (r#"{"token":{"env":"T"}}"#, vec!["environment variable T"]),
            (r#"{"approle":{"role_id":"rotator","secret_id":{"file":"/run/s"}}}"#, vec!["file /run/s"]),
            (r#"{"kubernetes":{"role":"keyroll"}}"#, vec![]),
            (r#"{"kubernetes":{"role":"keyroll","jwt":{"file":"/t"},"mount":"k8s-2"}}"#, vec!["file /t"]),
            (r#"{"jwt":{"jwt":{"env":"CI_ID_TOKEN"}}}"#, vec!["environment variable CI_ID_TOKEN"]),
        ] {
            let auth = auth(text).unwrap();
            assert_eq!(auth.references().iter().map(|r| r.describe()).collect::<Vec<_>>(), references, "{text}");
            assert_eq!(serde_json::to_string(&auth).unwrap(), text);
        }
    }

    #[test]
    fn a_credential_as_text_is_no_login() {
        for text in [
            r#"{"token":"s.abc"}"#,
            r#"{"approle":{"role_id":"r","secret_id":"abc"}}"#,
            r#"{"jwt":{"jwt":"a.b.c"}}"#,
            r#"{"approle":{"role_id":"r"}}"#,
            r#"{"token":{"env":"T"},"jwt":{"jwt":{"env":"T"}}}"#,
        ] {
            assert!(auth(text).is_err(), "{text}");
        }
    }
}
