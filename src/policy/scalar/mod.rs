//! The small texts of a policy that have a form of their own: lengths of time, rates, addresses, names.
//!
//! Each is a type that can only hold a well-formed value, a `format` name in the JSON Schema, and a `parse` that
//! explains what is wrong. The schema walk calls `check` with the format's name, so a bad text is reported at its
//! place; the typed step that follows cannot fail on it any more.

use super::code::Code;

/// What is wrong with a text, without repeating it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct BadText {
    /// The kind of problem.
    pub code: Code,
    /// What is wrong.
    pub message: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

fn bad<T>(code: Code, message: &'static str, help: &'static str) -> Result<T, BadText> {
    Err(BadText { code, message, help })
}

/// Gives a text type its serde, schema and display; written once because eleven types need the same forty lines.
macro_rules! text_type {
    ($name:ident, $format:literal, $pattern:literal, $about:literal) => {
        impl TryFrom<String> for $name {
            type Error = BadText;
            fn try_from(text: String) -> Result<Self, BadText> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "description": $about })
            }
        }
    };
}

/// Declares a type that keeps its text as it was written.
macro_rules! kept_text {
    ($(#[$about:meta])* $name:ident, $format:literal, $pattern:literal, $description:literal, $check:expr) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        text_type!($name, $format, $pattern, $description);
        impl $name {
            /// Reads the text.
            pub fn parse(text: &str) -> Result<Self, BadText> {
                let check: fn(&str) -> Result<(), BadText> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

mod measure;
mod reason;
mod time;
mod url;
mod word;

pub use measure::{Period, Rate};
pub use reason::{Reason, ReasonKind};
pub use time::{Day, Moment, TimeOfDay, Zone};
pub use url::Url;
pub use word::{Name, Pointer, StatePlace, StatusClass, VariableName};

/// Checks a text against the format named in the schema; an unknown name accepts everything.
pub(crate) fn check(format: &str, text: &str) -> Result<(), BadText> {
    match format {
        "duration-text" => Period::parse(text).map(drop),
        "rate" => Rate::parse(text).map(drop),
        "http-url" => Url::parse(text).map(drop),
        "variable-name" => VariableName::parse(text).map(drop),
        "name" => Name::parse(text).map(drop),
        "status-class" => StatusClass::parse(text).map(drop),
        "time-of-day" => TimeOfDay::parse(text).map(drop),
        "day" => Day::parse(text).map(drop),
        "moment" => Moment::parse(text).map(drop),
        "time-zone" => Zone::parse(text).map(drop),
        "state-place" => StatePlace::parse(text).map(drop),
        "pointer" => Pointer::parse(text).map(drop),
        "reason" => Reason::parse(text).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
