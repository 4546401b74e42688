//! SHA-256 and lower-case hex, in one place so that there is one way to write a digest.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// Lower-case hex of some bytes.
pub fn hex(bytes: &[u8]) -> String {
    // Each journal line has two digests: this is worth more than the formatting machinery.
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + (value - 10) });
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
    text
}

/// SHA-256 of some bytes, as 64 hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SHA-256 of everything a reader yields, for files that need not fit in memory.
pub fn sha256_hex_of(mut reader: impl Read) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(context.finish().as_ref())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        context.update(buffer.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_of_sha256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), abc);
        assert_eq!(sha256_hex_of(&b"abc"[..]).unwrap(), abc);
        assert_eq!(sha256_hex_of(io::repeat(b'a').take(1_000_000)).unwrap(), sha256_hex(&vec![b'a'; 1_000_000]));
        assert_eq!(hex(&[0, 0x0f, 0xff]), "000fff");
    }
}
