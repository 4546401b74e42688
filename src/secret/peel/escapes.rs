//! Layers that replace single characters: percent, JSON, HTML, quoted-printable, and the marks between characters.

use super::super::view::{Builder, View};

/// Text farther than this from any escape is left to the layer above, which has it unchanged.
const REACH: usize = 1024;

/// A decoder: the next layer, or none if there is nothing to decode.
pub(super) type Decode = fn(&View<'_>) -> Option<View<'static>>;

/// The decoders of this module that count as a layer.
pub(super) const ALL: &[Decode] = &[percent, json, html, quoted_printable, without_nul];

/// What an escape at the start of some bytes stands for: its length, and the bytes it means.
type Escape = Option<(usize, Vec<u8>)>;

/// Lines joined, colour codes and invisible characters removed.
pub(super) fn joined(view: &View<'_>) -> Option<View<'static>> {
    if view.layers.ends_with("joined") {
        return None;
    }
    rewrite(view, "joined", 0, |rest| match rest.first()? {
        b'\n' | b'\r' | b' ' | b'\t' => {
            let length = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r' | b' ' | b'\t')).count();
            let breaks = rest.iter().take(length).any(|byte| matches!(byte, b'\n' | b'\r'));
            breaks.then_some((length, Vec::new()))
        }
        0x1b => Some((colour_code(rest), Vec::new())),
        0xe2 if matches!(rest.get(1..3), Some([0x80, 0x8b..=0x8f])) => Some((3, Vec::new())),
        0xef if matches!(rest.get(1..3), Some([0xbb, 0xbf])) => Some((3, Vec::new())),
        0xc2 if rest.get(1) == Some(&0xad) => Some((2, Vec::new())),
        _ => None,
    })
}

fn colour_code(rest: &[u8]) -> usize {
    let Some(b'[') = rest.get(1) else {
        return 2.min(rest.len());
    };
    let parameters = rest.iter().skip(2).take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
    (2 + parameters + 1).min(rest.len())
}

fn percent(view: &View<'_>) -> Option<View<'static>> {
    rewrite(view, "percent", 1, |rest| match rest {
        [b'%', high, low, ..] => Some((3, vec![pair(*high, *low)?])),
        _ => None,
    })
}

fn quoted_printable(view: &View<'_>) -> Option<View<'static>> {
    rewrite(view, "quoted-printable", 1, |rest| match rest {
        [b'=', b'\r', b'\n', ..] => Some((3, Vec::new())),
        [b'=', b'\n', ..] => Some((2, Vec::new())),
        [b'=', high, low, ..] => Some((3, vec![pair(*high, *low)?])),
        _ => None,
    })
}

/// UTF-16 of ASCII, in either order of bytes: every second byte is NUL.
fn without_nul(view: &View<'_>) -> Option<View<'static>> {
    rewrite(view, "utf-16", 1, |rest| (rest.first() == Some(&0)).then(|| (1, Vec::new())))
}

fn json(view: &View<'_>) -> Option<View<'static>> {
    rewrite(view, "json", 1, |rest| match rest {
        [b'\\', b'u', b'{', digits @ ..] => {
            let length = digits.iter().take(7).position(|byte| *byte == b'}')?;
            Some((length + 4, utf8(number(digits.get(..length)?, 16)?)))
        }
        [b'\\', b'u', digits @ ..] => {
            let unit = number(digits.get(..4)?, 16)?;
            let second = match digits.get(4..10) {
                Some([b'\\', b'u', more @ ..]) => number(more, 16).filter(|unit| (0xdc00..0xe000).contains(unit)),
                _ => None,
            };
            match second {
                Some(low) if (0xd800..0xdc00).contains(&unit) => Some((12, utf8(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)))),
                _ => Some((6, utf8(unit))),
            }
        }
        [b'\\', b'x', high, low, ..] => Some((4, vec![pair(*high, *low)?])),
        [b'\\', b'n' | b'r', ..] => Some((2, vec![b'\n'])),
        [b'\\', b't', ..] => Some((2, vec![b'\t'])),
        [b'\\', mark @ (b'/' | b'\\' | b'"' | b'\''), ..] => Some((2, vec![*mark])),
        _ => None,
    })
}

fn html(view: &View<'_>) -> Option<View<'static>> {
    rewrite(view, "html", 1, |rest| {
        if rest.first() != Some(&b'&') {
            return None;
        }
        let length = rest.iter().take(12).position(|byte| *byte == b';')?;
        let meant = match rest.get(1..length)? {
            [b'#', b'x' | b'X', digits @ ..] => utf8(number(digits, 16)?),
            [b'#', digits @ ..] => utf8(number(digits, 10)?),
            b"amp" => vec![b'&'],
            b"lt" => vec![b'<'],
            b"gt" => vec![b'>'],
            b"quot" => vec![b'"'],
            b"apos" => vec![b'\''],
            _ => return None,
        };
        Some((length + 1, meant))
    })
}

/// Replaces every escape, keeping what stands near one.
fn rewrite(view: &View<'_>, name: &str, cost: usize, read: impl Fn(&[u8]) -> Escape) -> Option<View<'static>> {
    let bytes = &view.bytes;
    let mut out = Builder::under(view);
    // Unchanged text since `from`, at first with no escape before it.
    let (mut from, mut at, mut any) = (0, 0, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((length, meant)) = read(rest) else {
            at += 1;
            continue;
        };
        copy(&mut out, bytes, from, at, any, true);
        out.extend(&meant, at);
        any = true;
        at += length.max(1);
        from = at;
    }
    if !any {
        return None;
    }
    copy(&mut out, bytes, from, bytes.len(), true, false);
    out.done(name, cost)
}

/// Copies unchanged text, or of a long stretch only the ends that touch an escape.
fn copy(out: &mut Builder<'_>, bytes: &[u8], from: usize, to: usize, before: bool, after: bool) {
    let head = if before { (from + REACH).min(to) } else { from };
    let tail = if after { to.saturating_sub(REACH).max(head) } else { to };
    out.extend(bytes.get(from..head).unwrap_or_default(), from);
    if tail > head {
        out.gap();
    }
    out.extend(bytes.get(tail..to).unwrap_or_default(), tail);
}

/// The byte that two hex digits mean.
fn pair(high: u8, low: u8) -> Option<u8> {
    u8::try_from(number(&[high, low], 16)?).ok()
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, byte| value.checked_mul(radix)?.checked_add(char::from(*byte).to_digit(radix)?))
}

fn utf8(code: u32) -> Vec<u8> {
    char::from_u32(code).map(|c| c.encode_utf8(&mut [0; 4]).as_bytes().to_vec()).unwrap_or_default()
}
