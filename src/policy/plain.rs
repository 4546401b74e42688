//! Unquoted text: what kind of value it is.

use super::tree::Value;

/// Plain (unquoted) text by the rules of YAML 1.2's core schema: `no` is text, not false.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::Text(text.to_owned());
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too long for a number: certainly an identifier, and text keeps every digit of it.
        return text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Int);
    }
    let number = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(value) if number && value.is_finite() => Value::Float(value),
        _ => Value::Text(text.to_owned()),
    }
}
