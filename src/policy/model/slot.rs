//! `slots:` — the places in secret stores that consumers read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::{AwsPlace, VaultPlace};
use crate::policy::scalar::VariableName;

mod remote;

pub use remote::{AzureSlot, CommandSlot, GithubSlot, GoogleSlot, VercelSlot, VercelTarget};

/// One place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Slot {
    /// A file, or one line of a `.env` file.
    File(FileSlot),
    /// A field of a document in Vault or OpenBao.
    Vault(VaultPlace),
    /// A secret in AWS Secrets Manager.
    Aws(AwsPlace),
    /// A Secret in Kubernetes.
    Kubernetes(KubernetesSlot),
    /// A store that a program talks to.
    Command(CommandSlot),
    /// An Actions secret in GitHub.
    Github(GithubSlot),
    /// A secret in Azure Key Vault.
    Azure(AzureSlot),
    /// A secret in Google Secret Manager.
    Gcp(GoogleSlot),
    /// An environment variable in Vercel.
    Vercel(VercelSlot),
}

impl Slot {
    /// The name of the variant, as the policy writes it.
    pub fn kind(&self) -> &'static str {
        match self {
            Slot::File(_) => "file",
            Slot::Vault(_) => "vault",
            Slot::Aws(_) => "aws",
            Slot::Kubernetes(_) => "kubernetes",
            Slot::Command(_) => "command",
            Slot::Github(_) => "github",
            Slot::Azure(_) => "azure",
            Slot::Gcp(_) => "gcp",
            Slot::Vercel(_) => "vercel",
        }
    }
}

/// A file, or one line of a `.env` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSlot {
    /// Path of the file.
    pub path: String,
    /// The variable in a `.env` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<VariableName>,
    /// `dotenv` when a name is given, else `plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
}

impl FileSlot {
    /// The format that is meant.
    pub fn format(&self) -> FileFormat {
        self.format.unwrap_or(if self.name.is_some() { FileFormat::Dotenv } else { FileFormat::Plain })
    }
}

/// How a file holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// `NAME=value`, one line of many.
    Dotenv,
    /// The file is the value.
    Plain,
}

/// A Secret in Kubernetes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSlot {
    /// Which cluster, by the name of its context in the kubeconfig; this or `cluster` is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Which cluster, by the uid of its namespace `kube-system` or the address of its API server; another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The key in its data.
    pub key: String,
}
