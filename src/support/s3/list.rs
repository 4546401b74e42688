//! The little XML that an object store answers with: names, a continuation, an error's code.

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) names: Vec<String>,
    pub(super) next: Option<String>,
}

/// Reads a page; none when it is not one, or says that it goes on and not where.
pub(super) fn page(text: &str, folders: bool) -> Option<Page> {
    if !text.contains("<ListBucketResult") {
        return None;
    }
    let names = if folders {
        elements(text, "CommonPrefixes").filter_map(|inner| elements(inner, "Prefix").next()).map(unescaped).collect()
    } else {
        elements(text, "Key").map(unescaped).collect()
    };
    let next = elements(text, "NextContinuationToken").next().map(unescaped);
    let goes_on = elements(text, "IsTruncated").next()? == "true";
    if goes_on && next.is_none() { None } else { Some(Page { names, next: next.filter(|_| goes_on) }) }
}

/// The code of an error, if it is a plain word.
pub(super) fn code(text: &str) -> String {
    let word = elements(text, "Code").next().unwrap_or_default();
    let plain = (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { word.to_owned() } else { String::new() }
}

/// What stands between the tags of this name, one after the other.
fn elements<'a>(text: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inner, behind) = after.split_once(&close)?;
        rest = behind;
        Some(inner)
    })
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_folders_and_the_next_page() {
        let text = "<ListBucketResult xmlns=\"x\"><Name>b</Name><Prefix>p/</Prefix><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>a&amp;b</NextContinuationToken><Contents><Key>p/1</Key></Contents><Contents><Key>p/2</Key></Contents>\
            <CommonPrefixes><Prefix>p/x/</Prefix></CommonPrefixes></ListBucketResult>";
        let read = |folders| page(text, folders).map(|p| (p.names, p.next)).unwrap_or_default();
        assert_eq!(read(false), (vec!["p/1".into(), "p/2".into()], Some("a&b".into())));
        assert_eq!(read(true).0, ["p/x/"]);
        assert_eq!(page("<html>", false), None);
        assert_eq!(page("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", false), None, "it goes on, and not where");
    }

    #[test]
    fn a_code_is_a_word_and_nothing_else() {
        assert_eq!(code("<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey");
        assert_eq!(code("<Error><Code>sk-secret value</Code></Error>"), "");
        assert_eq!(code("<html>"), "");
    }
}
