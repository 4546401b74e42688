//! Where each field of a log line is.

/// The place of a field: a name at the top of the line (`status`), or a JSON pointer (`/response/status`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(Vec<String>);

impl Field {
    /// Reads a name or a pointer. Text that starts with `/` is a pointer; anything else is one name, dots included.
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('/') {
            Some(pointer) => Self(pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect()),
            None => Self(vec![text.to_owned()]),
        }
    }

    pub(super) fn path(&self) -> &[String] {
        &self.0
    }
}

/// Which rows are refusals of the credential, and not some other failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of a refusal.
    pub status: u16,
    /// Error types that mean the credential; empty: any row with that status.
    pub error_types: Vec<String>,
}

/// How a line is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// When the call began or ended: RFC 3339, or a number since 1970 (seconds to nanoseconds, told apart by their size).
    pub time: Field,
    /// The id of the key; a line without one belongs to no key.
    pub key: Field,
    /// HTTP status.
    pub status: Field,
    /// The request's id.
    pub request_id: Field,
    /// Who called.
    pub caller: Option<Field>,
    /// The owner the call was attributed to.
    pub owner: Option<Field>,
    /// The class of an error.
    pub error_type: Option<Field>,
    /// Which writer wrote the line; without it each file, with its rotated siblings, is one writer.
    pub shard: Option<Field>,
    /// What a refusal looks like.
    pub refusal: Refusal,
}

impl Mapping {
    /// The sandbox's own request log.
    pub fn sandbox() -> Self {
        Self {
            time: Field::new("ts"),
            key: Field::new("key_id"),
            status: Field::new("status"),
            request_id: Field::new("request_id"),
            caller: Some(Field::new("consumer")),
            owner: Some(Field::new("owner")),
            error_type: Some(Field::new("error_type")),
            shard: None,
            refusal: Refusal { status: 401, error_types: vec!["invalid_api_key".into()] },
        }
    }

    /// The sandbox's request log, by the provider key that served the call.
    pub fn sandbox_provider() -> Self {
        Self {
            key: Field::new("provider_key_id"),
            // The gateway tells callers that the provider did not accept its credential, or that it has none to present.
            refusal: Refusal { status: 502, error_types: vec!["upstream_error".into()] },
            ..Self::sandbox()
        }
    }

    /// Common names, for a log whose policy names no fields: any 401 counts as a refusal of the credential.
    pub fn generic() -> Self {
        Self {
            time: Field::new("time"),
            key: Field::new("key_id"),
            status: Field::new("status"),
            request_id: Field::new("request_id"),
            caller: Some(Field::new("caller")),
            owner: Some(Field::new("owner")),
            error_type: None,
            shard: None,
            refusal: Refusal { status: 401, error_types: Vec::new() },
        }
    }

    /// A mapping that a policy may name.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "sandbox" => Some(Self::sandbox()),
            "sandbox_provider" => Some(Self::sandbox_provider()),
            "generic" => Some(Self::generic()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_step_and_a_pointer_several() {
        assert_eq!(Field::new("a.b").path(), ["a.b"]);
        assert_eq!(Field::new("/a/b~1c/d~0e").path(), ["a", "b/c", "d~e"]);
        assert!(Mapping::preset("generic").is_some() && Mapping::preset("nonsense").is_none());
    }
}
