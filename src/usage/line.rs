//! One line of a log. Only the mapped fields are kept, borrowed from the line wherever JSON allows it.

use super::aisix;
use super::jsonl::Shape;
use super::mapping::Mapping;
use crate::rotation::Time;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

const TIME: usize = 0;
const KEY: usize = 1;
const STATUS: usize = 2;
const REQUEST: usize = 3;
const CALLER: usize = 4;
const OWNER: usize = 5;
const ERROR: usize = 6;
const SHARD: usize = 7;
const FIELDS: usize = 8;

type Raw<'de> = [Option<Scalar<'de>>; FIELDS];

/// How a row counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Accepted,
    Refused,
    Other,
}

/// What a line says. Empty text: it does not say.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) at: Time,
    pub(super) key: Cow<'a, str>,
    pub(super) caller: Cow<'a, str>,
    pub(super) owner: Cow<'a, str>,
    pub(super) request: Cow<'a, str>,
    pub(super) shard: Cow<'a, str>,
    pub(super) class: Class,
}

/// The mapped fields as a tree, so that one pass over a line finds them all.
#[derive(Debug)]
pub(super) struct Reader {
    nodes: Vec<Node>,
    refused_status: i64,
    refused_types: Vec<String>,
    typed: bool,
    shape: Shape,
}

#[derive(Debug)]
struct Node {
    name: String,
    fields: Vec<usize>,
    below: Vec<Node>,
}

impl Reader {
    pub(super) fn new(mapping: &Mapping, shape: Shape) -> Self {
        let mut nodes = Vec::new();
        let wanted = [
            (TIME, Some(&mapping.time)),
            (KEY, Some(&mapping.key)),
            (STATUS, Some(&mapping.status)),
            (REQUEST, Some(&mapping.request_id)),
            (CALLER, mapping.caller.as_ref()),
            (OWNER, mapping.owner.as_ref()),
            (ERROR, mapping.error_type.as_ref()),
            (SHARD, mapping.shard.as_ref()),
        ];
        for (field, path) in wanted {
            insert(&mut nodes, path.map_or(&[][..], |p| p.path()), field);
        }
        Self {
            nodes,
            refused_status: i64::from(mapping.refusal.status),
            refused_types: mapping.refusal.error_types.clone(),
            typed: mapping.error_type.is_some() && !mapping.refusal.error_types.is_empty(),
            shape,
        }
    }

    /// Reads a line; none when it is no line of its kind or has no usable time.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Option<Line<'a>> {
        match &self.shape {
            Shape::Json => self.json(line),
            Shape::Aisix(caller) => aisix::read(line, caller),
        }
    }

    fn json<'a>(&self, line: &'a [u8]) -> Option<Line<'a>> {
        let mut raw: Raw<'a> = Default::default();
        let mut from = serde_json::Deserializer::from_slice(line);
        let object = Level { nodes: &self.nodes, raw: &mut raw }.deserialize(&mut from).ok()?;
        from.end().ok()?;
        if !object {
            return None;
        }
        let [time, key, status, request, caller, owner, error, shard] = raw;
        let text = |scalar: Option<Scalar<'a>>| scalar.map(Scalar::text).unwrap_or_default();
        let status = status.and_then(|s| s.number());
        let class = match status {
            Some(s) if s == self.refused_status && self.means_the_credential(error.as_ref()) => Class::Refused,
            Some(200..=399) => Class::Accepted,
            // Also a status that is missing or nonsense: the key was used, somehow.
            Some(_) | None => Class::Other,
        };
        let at = time?.time()?;
        Some(Line { at, key: text(key), caller: text(caller), owner: text(owner), request: text(request), shard: text(shard), class })
    }

    fn means_the_credential(&self, error: Option<&Scalar<'_>>) -> bool {
        if !self.typed {
            return true;
        }
        matches!(error, Some(Scalar::Text(kind)) if self.refused_types.iter().any(|t| t == kind.as_ref()))
    }
}

fn insert(nodes: &mut Vec<Node>, path: &[String], field: usize) {
    let Some((first, rest)) = path.split_first() else { return };
    let place = nodes.iter().position(|n| n.name == *first).unwrap_or(nodes.len());
    if place == nodes.len() {
        nodes.push(Node { name: first.clone(), fields: Vec::new(), below: Vec::new() });
    }
    let Some(node) = nodes.get_mut(place) else { return };
    if rest.is_empty() {
        node.fields.push(field);
    } else {
        insert(&mut node.below, rest, field);
    }
}

/// A value that is no object and no list.
#[derive(Debug, Clone)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Whole(i64),
    Real(f64),
}

impl<'a> Scalar<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => Cow::Owned(number.to_string()),
            Self::Real(number) => Cow::Owned(number.to_string()),
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Whole(number) => Some(*number),
            Self::Real(_) => None,
        }
    }

    fn time(&self) -> Option<Time> {
        match self {
            Self::Text(text) => Time::parse(text).or_else(|| epoch(text.trim().parse::<f64>().ok()?)),
            #[expect(clippy::cast_precision_loss, reason = "of nanoseconds only the milliseconds are kept")]
            Self::Whole(number) => epoch(*number as f64),
            Self::Real(number) => epoch(*number),
        }
    }
}

/// A number since 1970 whose unit its size tells: today's seconds have 10 digits, milliseconds 13, and so on.
fn epoch(number: f64) -> Option<Time> {
    let ms = match number {
        n if !n.is_finite() || n < 1e8 => return None,
        n if n < 1e11 => n * 1e3,
        n if n < 1e14 => n,
        n if n < 1e17 => n / 1e3,
        n => n / 1e6,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 1e17, and a cast of a float saturates")]
    Some(Time(ms as i64))
}

/// Walks one object; true when it was one.
struct Level<'n, 'r, 'de> {
    nodes: &'n [Node],
    raw: &'r mut Raw<'de>,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(found) = map.next_key_seed(Name(self.nodes))? {
            match found {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(node) if !node.below.is_empty() => {
                    map.next_value_seed(Level { nodes: &node.below, raw: self.raw })?;
                }
                Some(node) => {
                    let value = map.next_value_seed(Value)?;
                    for field in &node.fields {
                        if let Some(place) = self.raw.get_mut(*field) {
                            // A name given twice: the last one counts, as in every JSON reader.
                            place.clone_from(&value);
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Looks a name up without keeping it.
struct Name<'n>(&'n [Node]);

impl<'de, 'n> DeserializeSeed<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de, 'n> Visitor<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|n| n.name == name))
    }
}

/// A value, if it is a scalar.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<Scalar<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Option<Scalar<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Whole(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Whole(i64::try_from(number).unwrap_or(i64::MAX))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Real(number)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
