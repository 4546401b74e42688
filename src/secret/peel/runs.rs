//! Layers that are runs of one alphabet: base64, base32, hex. A run may begin anywhere, so every alignment is decoded.

use super::super::view::{Builder, View};
use super::escapes::Decode;

/// Digits of base64 that may stand before a group of four.
pub(super) const BASE64_ALIGNMENTS: usize = 4;
/// Digits of base32 that may stand before a group of eight.
pub(super) const BASE32_ALIGNMENTS: usize = 8;

/// The shortest runs that can hold eight bytes.
const SHORTEST_BASE64: usize = 11;
const SHORTEST_BASE32: usize = 13;
const SHORTEST_HEX: usize = 16;
/// So many marks may stand between two bytes of hex: `, 0x`, `\x`, a line break and an indent.
const MARKS_IN_HEX: usize = 12;

/// The decoders of this module that take no alignment.
pub(super) const ALL: &[Decode] = &[|view| hex(view, 0), |view| hex(view, 1)];

/// Base64 and base64url, also mixed.
pub(super) fn base64(view: &View<'_>, alignment: usize) -> Option<View<'static>> {
    based(view, "base64", 6, SHORTEST_BASE64, alignment, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    })
}

/// Base32 in either case.
pub(super) fn base32(view: &View<'_>, alignment: usize) -> Option<View<'static>> {
    based(view, "base32", 5, SHORTEST_BASE32, alignment, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    })
}

fn based(
    view: &View<'_>,
    name: &str,
    bits: u32,
    shortest: usize,
    alignment: usize,
    digit: impl Fn(u8) -> Option<u8>,
) -> Option<View<'static>> {
    let mut out = Builder::under(view);
    let mut at = 0;
    while at < view.bytes.len() {
        let run = view.bytes.get(at..).unwrap_or_default();
        let length = run.iter().take_while(|byte| digit(**byte).is_some()).count();
        if length >= shortest {
            let (mut held, mut count) = (0_u32, 0_u32);
            for (index, byte) in run.iter().enumerate().take(length).skip(alignment) {
                held = held << bits | u32::from(digit(*byte).unwrap_or(0));
                count += bits;
                if count >= 8 {
                    count -= 8;
                    // Shifted down to one byte; what stays is fewer than eight bits.
                    out.push(u8::try_from(held >> count & 0xff).unwrap_or(0), at + index);
                    held &= (1 << count) - 1;
                }
            }
            out.gap();
        }
        at += length.max(1);
    }
    out.done(name, 1)
}

/// Hex, with or without marks between the bytes.
fn hex(view: &View<'_>, alignment: usize) -> Option<View<'static>> {
    let mut out = Builder::under(view);
    let mut run: Vec<(u8, usize)> = Vec::new();
    let (mut at, mut marks) = (0, 0);
    while let Some(byte) = view.bytes.get(at) {
        let prefix = *byte == b'0' && matches!(view.bytes.get(at + 1), Some(b'x' | b'X'));
        let digit = char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        match digit {
            Some(value) if !prefix => {
                run.push((value, at));
                marks = 0;
            }
            _ => marks += 1,
        }
        let is_mark = b" \t\r\n:-,;\\xX".contains(byte);
        if digit.is_none() && (!is_mark || marks > MARKS_IN_HEX) {
            flush(&mut out, &mut run, alignment);
        }
        at += 1;
    }
    flush(&mut out, &mut run, alignment);
    out.done("hex", 1)
}

fn flush(out: &mut Builder<'_>, run: &mut Vec<(u8, usize)>, alignment: usize) {
    if run.len() >= SHORTEST_HEX {
        for pair in run.get(alignment..).unwrap_or_default().chunks_exact(2) {
            if let [(high, source), (low, _)] = pair {
                out.push(high << 4 | low, *source);
            }
        }
        out.gap();
    }
    run.clear();
}
