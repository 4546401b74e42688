//! Slots behind a program of yours, and in services that are reached over their API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::model::reference::Ref;
use crate::policy::scalar::{Name, Period, Url, VariableName};

/// A store that a program talks to: the verb is its last arguments, a value is on its standard input, never among the arguments.
/// `runbooks/command-store.md` says what it is asked and what it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSlot {
    /// What this place is called: two slots of one name are one place.
    pub name: Name,
    /// The program and its first arguments; the verb comes after them.
    #[schemars(length(min = 1))]
    pub run: Vec<String>,
    /// Variables of keyroll's own that it gets, beside PATH, HOME and LANG.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pass: Vec<VariableName>,
    /// Whether it refuses a change whose guard no longer fits, in one step with the change, and can move the guard alone; no when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_and_set: Option<bool>,
    /// Whether it gives values back; yes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back: Option<bool>,
    /// How long one call may take before the program and what it started are ended; a minute when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<Period>,
}

/// An Actions secret in GitHub, of a repository or of one of its environments. It can be written and never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubSlot {
    /// `owner/name`.
    pub repository: String,
    /// The environment that holds it; the repository itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Its name.
    pub secret: VariableName,
    /// A token that may write secrets and variables of the repository.
    pub token: Ref,
    /// Another address of the API, such as `https://github.example.com/api/v3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
}

/// A secret in Google Secret Manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoogleSlot {
    /// Id or number of the project.
    pub project: String,
    /// Its id.
    pub secret: String,
    /// The alias that consumers read, such as `current`.
    pub alias: Name,
    /// An access token, such as `{ command: [gcloud, auth, print-access-token] }`.
    pub token: Ref,
    /// Another address of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
}

/// A secret in Azure Key Vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureSlot {
    /// Address of the vault, `https://NAME.vault.azure.net`.
    pub vault: Url,
    /// Its name.
    pub secret: String,
    /// An access token for the vault, such as the output of `az account get-access-token`.
    pub token: Ref,
}

/// An environment variable of a project in Vercel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VercelSlot {
    /// Id or name of the project.
    pub project: String,
    /// Id of the team it belongs to; a personal account when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Its name.
    pub name: VariableName,
    /// The deployments that get it; `production` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<VercelTarget>,
    /// A token that may change the project's environment variables.
    pub token: Ref,
    /// Another address of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
}

/// Which deployments of a Vercel project get a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum VercelTarget {
    Production,
    Preview,
    Development,
}
