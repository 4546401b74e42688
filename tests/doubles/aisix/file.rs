//! The file of resources as a gateway reads it: strict where etcd is not, and all or nothing.

use super::documents::{check, unknown};
use super::replica::Place;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every row with the id that its name gives it; or the first thing that is wrong.
pub(crate) fn load(bytes: &[u8]) -> Result<Vec<(Place, Value)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let file: Value = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
    if file["_format_version"] != "1" {
        return Err("_format_version".into());
    }
    let mut rows = Vec::new();
    let names: BTreeSet<&str> = file["provider_keys"].as_array().into_iter().flatten().filter_map(|r| r["display_name"].as_str()).collect();
    let mut hashes = BTreeSet::new();
    for (kind, list) in file.as_object().ok_or("not a mapping")? {
        let mut seen = BTreeSet::new();
        for row in list.as_array().into_iter().flatten() {
            let mut row = row.clone();
            let name = row["display_name"].as_str().ok_or("missing display_name")?.to_owned();
            if !seen.insert(name.clone()) {
                return Err(format!("duplicate display_name {name}"));
            }
            let fields = row.as_object_mut().ok_or("not a mapping")?;
            if kind == "models" {
                if fields.contains_key("provider_key_id") {
                    return Err("unknown field provider_key_id".into());
                }
                let key = fields.remove("provider_key").and_then(|k| k.as_str().map(str::to_owned)).ok_or("missing provider_key")?;
                if !names.contains(key.as_str()) {
                    return Err(format!("no provider key {key}"));
                }
                fields.insert("provider_key_id".into(), json!(id("provider_keys", &key)));
            }
            if let Some(strange) = unknown(kind, fields).first() {
                return Err(format!("unknown field {strange}"));
            }
            check(kind, fields)?;
            for secret in ["api_key", "secret"] {
                if let Some(Value::String(value)) = fields.get_mut(secret) {
                    *value = value.replace("$$", "$");
                }
            }
            if kind == "api_keys" {
                if !hashes.insert(fields["key_hash"].to_string()) {
                    return Err("duplicate caller credential".into());
                }
                fields.remove("display_name");
            }
            rows.push(((kind.clone(), id(kind, &name)), row));
        }
    }
    Ok(rows)
}

/// UUID version 5 of kind and name.
pub(crate) fn id(kind: &str, name: &str) -> String {
    let space = u128::from_str_radix("63e50ab2677a54d38d1ec0cb29ceae94", 16).unwrap().to_be_bytes();
    let text = [&space[..], kind.as_bytes(), b"/", name.as_bytes()].concat();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let mut number = u128::from_be_bytes(digest.as_ref()[..16].try_into().unwrap());
    number = (number & !(0xf_u128 << 76)) | (5_u128 << 76);
    number = (number & !(0b11_u128 << 62)) | (0b10_u128 << 62);
    let part = |shift: u32, mask: u128| (number >> shift) & mask;
    let (long, short) = (part(96, 0xffff_ffff), part(0, 0xffff_ffff_ffff));
    format!("{long:08x}-{:04x}-{:04x}-{:04x}-{short:012x}", part(80, 0xffff), part(64, 0xffff), part(48, 0xffff))
}
