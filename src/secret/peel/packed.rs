//! Packed layers: gzip, zlib and the deflated members of zip, wherever they begin.

use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::super::view::{Builder, View};

/// Evidence is not packed at all; what is found packed in it is small, or is reported as not searched.
const LARGEST: usize = 8 << 20;

/// What was unpacked.
pub(super) struct Unpacked {
    pub(crate) view: Option<View<'static>>,
    /// Where something begins that was not unpacked to its end.
    pub(crate) cut_at: Option<usize>,
}

/// Unpacks everything in a layer, up to `limit` bytes in all.
pub(super) fn unpack(view: &View<'_>, limit: usize) -> Unpacked {
    let mut out = Builder::under(view);
    let mut left = limit.min(LARGEST);
    let mut cut_at = None;
    for at in 0..view.bytes.len() {
        let rest = view.bytes.get(at..).unwrap_or_default();
        let bytes = match rest {
            [0x1f, 0x8b, 8, ..] => read(GzDecoder::new(rest), left),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => read(ZlibDecoder::new(rest), left),
            [b'P', b'K', 3, 4, ..] => zip_member(rest).map_or_else(Vec::new, |body| read(DeflateDecoder::new(body), left)),
            _ => continue,
        };
        if bytes.len() > left {
            cut_at = cut_at.or(Some(at));
        }
        left = left.saturating_sub(bytes.len());
        for chunk in bytes.chunks(256) {
            out.extend(chunk, at);
        }
        out.gap();
    }
    Unpacked { view: out.done("unpacked", 1), cut_at }
}

/// One byte more than the limit, to tell "just fits" from "goes on"; a damaged rest is left away, its start is kept.
fn read(unpacker: impl Read, limit: usize) -> Vec<u8> {
    let mut unpacker = unpacker.take(limit as u64 + 1);
    let mut bytes = Vec::new();
    // An error means the data ends or is none; what came before it is in `bytes` and is what counts.
    let _ = unpacker.read_to_end(&mut bytes);
    bytes
}

/// The deflated bytes of a zip member that begins here. A stored member needs no unpacking.
fn zip_member(header: &[u8]) -> Option<&[u8]> {
    let short = |at: usize| Some(u16::from_le_bytes([*header.get(at)?, *header.get(at + 1)?]));
    if short(8)? != 8 {
        return None;
    }
    header.get(30 + usize::from(short(26)?) + usize::from(short(28)?)..)
}
