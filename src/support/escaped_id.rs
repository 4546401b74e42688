//! Ids that may be any text, written so that they are safe in paths and lines: what is not safe becomes `@` and two hex digits, in a way that
//! can be undone.

/// The id in safe letters.
pub fn escape(raw: &str) -> String {
    let dots = raw.bytes().all(|b| b == b'.');
    let mut text = String::with_capacity(raw.len());
    for (at, byte) in raw.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"._:-".contains(&byte) || (byte == b'@' && escaped(raw.as_bytes(), at).is_none());
        if plain && !dots {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("@{byte:02x}"));
        }
    }
    text
}

/// The id as it was.
pub fn unescape(text: &str) -> String {
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match escaped(text, at) {
            Some(meant) => {
                bytes.push(meant);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that is written as `@` and two hex digits here.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let (b'@', Some(hex)) = (*text.get(at)?, text.get(at + 1..at + 3)) else { return None };
    let digit = |b: u8| if b.is_ascii_digit() || (b'a'..=b'f').contains(&b) { char::from(b).to_digit(16) } else { None };
    let [high, low] = hex else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back_as_it_was() {
        for id in ["c1", "a/b", "x y", "@", "@2f", "@4", "a@40b", "..", "é", "openai-main--r1", "a@@2fz", ""] {
            let shown = escape(id);
            assert!(shown.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b)), "{shown}");
            assert_eq!(unescape(&shown), id);
        }
        assert_eq!((escape("app@team"), escape("a/b"), escape("..")), ("app@team".into(), "a@2fb".into(), "@2e@2e".into()));
    }
}
