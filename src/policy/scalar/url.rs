//! Addresses.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{BadText, bad};
use crate::policy::{code::Code, mask};

kept_text!(
    /// An `http` or `https` address without user name, query secrets or fragment.
    Url, "http-url", r"^https?://[^\s@#]+$", "An http or https address.", check_url
);

fn check_url(text: &str) -> Result<(), BadText> {
    const HELP: &str = "write an address such as `https://gateway.example.com/v1`";
    let rest = match text.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => {
            return bad(Code::BadUrl, "only http and https addresses can be used here", HELP);
        }
        None => return bad(Code::BadUrl, "this is not an http or https address", HELP),
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.contains('@') || (rest.contains('@') && !rest.contains('/')) {
        return bad(
            Code::CredentialsInUrl,
            "this address carries a user name or password",
            "remove everything up to and including the `@`; give the secret by reference, such as `admin: { env: NAME }`",
        );
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').map(|part| part.split('=').next().unwrap_or_default());
    if names.any(|name| name == "key" || mask::secret_name(name)) {
        return bad(
            Code::CredentialsInUrl,
            "this address carries a key or token in its query",
            "remove it from the address and give the secret by reference, such as `{ env: NAME }`",
        );
    }
    if text.contains('#') || text.contains(char::is_whitespace) || text.chars().any(char::is_control) {
        return bad(Code::BadUrl, "this address has a fragment (`#…`) or blanks in it", HELP);
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((name, port)) if name.parse::<std::net::Ipv6Addr>().is_ok() => (name, port.strip_prefix(':')),
            _ => return bad(Code::BadUrl, "this address has no usable host", HELP),
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'));
    if !named {
        return bad(Code::BadUrl, "this address has no usable host", HELP);
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return bad(Code::BadUrl, "the port of this address is not a number between 1 and 65535", HELP);
    }
    Ok(())
}

impl Url {
    /// Scheme, host and port: what comes before the path.
    pub fn origin(&self) -> &str {
        let after = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0.get(after..).and_then(|rest| rest.find(['/', '?'])).map_or(self.0.len(), |at| at + after);
        self.0.get(..end).unwrap_or(&self.0)
    }

    /// Whether the address is unencrypted and leaves this machine.
    pub fn is_insecure(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return false;
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let host = if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() };
        let host = host.unwrap_or_default();
        !(host == "localhost" || host == "[::1]" || host.starts_with("127."))
    }
}
