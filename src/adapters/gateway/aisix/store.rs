//! The places where a gateway's resources are changed, behind one set of questions.

use super::admin::AdminStore;
use super::documents::{Document, Resources};
use super::etcd::EtcdStore;
use super::file::FileStore;
use super::live::Landed;
use crate::ports::Result;
use crate::rotation::{Marker, Time};
use serde_json::{Map, Value};

/// Which keys are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// What applications present.
    Caller,
    /// What the gateway presents upstream.
    Provider,
}

impl Keys {
    /// Their kind in the store.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Caller => "api_keys",
            Self::Provider => "provider_keys",
        }
    }
}

/// Where resources are changed.
pub(super) enum Store {
    Etcd(EtcdStore),
    Admin(AdminStore),
    File(FileStore),
}

impl Store {
    /// Address, what is behind it, who we are there, and its version.
    pub(super) async fn about(&self) -> Result<(String, String, String, String)> {
        match self {
            Self::Etcd(store) => store.about().await,
            Self::Admin(store) => Ok(store.about()),
            Self::File(store) => Ok(store.about()),
        }
    }

    /// Everything that is stored.
    pub(super) async fn read(&self) -> Result<Resources> {
        match self {
            Self::Etcd(store) => store.read().await,
            Self::Admin(store) => store.read().await,
            Self::File(store) => store.read(),
        }
    }

    /// What a process that reads from here says of its source.
    pub(super) fn source(&self) -> &'static str {
        match self {
            // A gateway that reads a file lists writes and refuses each.
            Self::Etcd(_) | Self::Admin(_) => "etcd",
            Self::File(_) => "file",
        }
    }

    /// Our text on a row must be in the row itself.
    pub(super) fn marks_inside(&self) -> bool {
        match self {
            Self::Etcd(_) | Self::File(_) => false,
            Self::Admin(_) => true,
        }
    }

    /// No two caller keys may have one name.
    pub(super) fn names_are_ids(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// What a process has taken that serves a document as it was read.
    pub(super) fn landed(&self, all: &Resources, document: &Document) -> Landed {
        match self {
            Self::Etcd(_) | Self::Admin(_) => Landed::Revision(document.revision),
            Self::File(_) => Landed::File(all.digest.clone()),
        }
    }

    /// The processes refuse what was written, all of it: what was there before is put back, where that can be done.
    pub(super) async fn take_back(&self) -> Result<Option<Landed>> {
        match self {
            Self::Etcd(_) | Self::Admin(_) => Ok(None),
            Self::File(store) => store.take_back().await,
        }
    }

    /// Makes a row; its id as the store knows it.
    pub(super) async fn create(
        &self,
        place: (&str, &str),
        fields: &Map<String, Value>,
        note: (&Marker, Option<Time>),
        from: &Document,
    ) -> Result<(String, Landed)> {
        match self {
            Self::Etcd(store) => store.create(place, fields, note, from).await.map(|landed| (place.1.to_owned(), landed)),
            Self::Admin(store) => store.create(place.0, fields).await,
            Self::File(store) => store.create(place.0, fields, note).await,
        }
    }

    /// Writes a whole document in place of the one that was read.
    pub(super) async fn replace(&self, action: &str, from: &Document, fields: &Map<String, Value>) -> Result<Landed> {
        match self {
            Self::Etcd(store) => store.replace(action, from, fields).await,
            Self::Admin(store) => store.replace(action, from, fields).await,
            Self::File(store) => store.replace(action, from, fields).await,
        }
    }

    /// Removes a row to which nothing refers.
    pub(super) async fn remove(&self, document: &Document, scanned: &Resources) -> Result<Landed> {
        match self {
            Self::Etcd(store) => store.remove(document, scanned).await,
            Self::Admin(store) => store.remove(document, scanned).await,
            Self::File(store) => store.remove(document, scanned).await,
        }
    }

    /// Replaces our text on a row.
    pub(super) async fn mark(&self, document: &Document, fields: &Map<String, Value>, note: (&Marker, Option<Time>)) -> Result<()> {
        match self {
            Self::Etcd(store) => store.mark(document, note).await,
            Self::File(store) => store.mark(document, note),
            Self::Admin(store) => store.replace("mark a key", document, fields).await.map(|_| ()),
        }
    }
}
