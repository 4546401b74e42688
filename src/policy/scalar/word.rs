//! Names and other short texts.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BadText, bad};
use crate::policy::code::Code;

kept_text!(
    /// A name that ends up in file names and reports: letters, digits, `.`, `_`, `-`, at most 64.
    Name, "name", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "Letters, digits, `.`, `_` and `-`, at most 64.", check_name
);
kept_text!(
    /// The name of an environment variable.
    VariableName, "variable-name", r"^[A-Za-z_][A-Za-z0-9_]*$", "The name of an environment variable.",
    |text| {
        let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if first && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(());
        }
        bad(Code::BadVariableName, "this is not the name of an environment variable",
            "write the variable's name (letters, digits, `_`), never the value it holds")
    }
);
kept_text!(
    /// A class of HTTP status: `401`, `5xx`.
    StatusClass, "status-class", r"^[1-5]([0-9][0-9]|xx)$", "A status such as \"401\", or a class such as \"5xx\".",
    |text| {
        let mut bytes = text.bytes();
        let class = matches!(bytes.next(), Some(b'1'..=b'5'));
        let rest: Vec<u8> = bytes.collect();
        if class && (rest == b"xx" || (rest.len() == 2 && rest.iter().all(u8::is_ascii_digit))) {
            return Ok(());
        }
        bad(Code::BadStatus, "this is not a status or a class of statuses", "write it as text: \"401\", \"429\" or \"5xx\"")
    }
);
kept_text!(
    /// Where the state of runs is kept: a folder, or the address of an object store.
    StatePlace, "state-place", r"^.+$", "A folder, or s3://, gs://, az:// with a bucket.",
    |text| {
        let supported = match text.split_once("://") {
            Some((scheme, rest)) => ["s3", "gs", "az", "file"].contains(&scheme) && !rest.is_empty() && !rest.contains('@'),
            None => !text.trim().is_empty(),
        };
        if supported { return Ok(()); }
        bad(Code::BadState, "this is neither a folder nor an object store that can hold state",
            "write a folder such as `.keyroll`, or an address such as `s3://bucket/prefix`")
    }
);
kept_text!(
    /// A JSON Pointer into a log line, `/metadata/user_api_key`.
    Pointer, "pointer", r"^(/([^~/]|~[01])*)+$", "A JSON Pointer: /request_id, /metadata/key.",
    |text| {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escaped { return Ok(()); }
        bad(Code::BadPointer, "this is not a JSON Pointer", "start with `/` and separate the field names by `/`: `/metadata/key_id`")
    }
);

fn check_name(text: &str) -> Result<(), BadText> {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let stem = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    // Names become file names in the bundle, which auditors open on Windows too.
    let reserved = ["con", "prn", "aux", "nul"].contains(&stem.as_str())
        || (stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem.ends_with(|c: char| c.is_ascii_digit()));
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.ends_with('.');
    if body && ends && !reserved && text.len() <= 64 {
        return Ok(());
    }
    bad(
        Code::BadName,
        "this name cannot be used in file names and reports on every system",
        "use letters, digits, `.`, `_` and `-`, at most 64, starting with a letter or digit (and not a reserved name such as `aux`)",
    )
}
