//! For `testing::fuzz`: what comes in the bodies and queries of requests as text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;

use super::Rejection;
use super::request::{Request, decode};
use super::text::Charset;

/// A text takes no more memory than is set aside for it, both orders of bytes mean the same, and what is written of it is
/// read as the same text.
pub(crate) fn text(data: &[u8]) {
    for charset in [Charset::Utf8, Charset::Utf16, Charset::Utf32] {
        let found = charset.decode(data);
        if let Some(swapped) = swapped(charset, data) {
            assert_eq!(charset.decode(&swapped), found, "{charset:?} in the other order of bytes");
        }
        let text = match found {
            Ok(text) => text,
            Err(why) => {
                assert_eq!(why.status(), 400, "{why}");
                continue;
            }
        };
        if let Cow::Owned(text) = &text {
            assert!(text.capacity() <= charset.text_bytes_max(data), "{} bytes for {charset:?}", text.capacity());
        }
        // Java writes no mark before UTF-8 and UTF-32, so that one that is part of the text is taken for a mark.
        if charset == Charset::Utf16 || !text.starts_with('\u{feff}') {
            assert_eq!(charset.decode(&charset.encode(&text)), Ok(text), "{charset:?}");
        }
    }
}

/// Bytes in big-endian order, in the other one and with its mark; nothing if they have a mark, which is about them.
fn swapped(charset: Charset, data: &[u8]) -> Option<Vec<u8>> {
    let (mark, size): (&[u8], _) = match charset {
        Charset::Utf8 => return None,
        Charset::Utf16 => (b"\xff\xfe", 2),
        Charset::Utf32 => (b"\xff\xfe\0\0", 4),
    };
    let has_mark = data.starts_with(mark) || data.iter().take(size).eq(mark.iter().rev());
    let other = data.chunks(size).flat_map(|unit| unit.iter().rev());
    (!has_mark).then(|| mark.iter().chain(other).copied().collect())
}

/// Parameters are read as they were sent, however much of them is escaped.
pub(crate) fn parameters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match decode(text) {
        Ok(found) => {
            assert!(found.len() <= text.len(), "{found:?} of {text:?}");
            assert_eq!(decode(&escaped(&found)), Ok(found));
        }
        Err(why) => assert!(why.status() == 400 && text.contains('%'), "{why}"),
    }
    let Some(request) = request(text) else { return };
    let Ok(pairs) = pairs(&request) else { return };
    let parts = request.query().unwrap_or_default().split('&');
    assert_eq!(pairs.len(), parts.filter(|part| !part.is_empty()).count(), "{text:?}");
    let whole: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    let again = self::request(&whole.join("&"));
    assert_eq!(again.as_ref().map(self::pairs), Some(Ok(pairs)), "{text:?}");
}

/// With every byte of it escaped.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "%{byte:02x}");
        out
    })
}

type Pair<'r> = (Cow<'r, str>, Cow<'r, str>);

/// A request with this query; nothing if it cannot be one.
fn request(query: &str) -> Option<Request> {
    let head = hyper::Request::builder().uri(format!("/?{query}")).body(()).ok()?;
    Some(Request::new(head.into_parts().0, Bytes::new(), (IpAddr::V4(Ipv4Addr::LOCALHOST), 1).into()))
}

fn pairs(request: &Request) -> Result<Vec<Pair<'_>>, Rejection> {
    request.parameters().collect()
}

pub(crate) fn text_seeds() -> Vec<Vec<u8>> {
    let text = "[{\"body\":\"a\u{e4}\u{20ac}\u{1f600}\"}]";
    let mut seeds: Vec<_> =
        [Charset::Utf8, Charset::Utf16, Charset::Utf32].map(|charset| charset.encode(text).to_vec()).into();
    seeds.push([b"\xef\xbb\xbf", text.as_bytes()].concat());
    // The same in the other order, and without a mark.
    let sixteen: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    seeds.extend(swapped(Charset::Utf16, &sixteen));
    seeds.extend(swapped(Charset::Utf32, &Charset::Utf32.encode(text)));
    seeds.push(sixteen);
    seeds
}

pub(crate) fn parameter_seeds() -> Vec<Vec<u8>> {
    ["a=1&b=%C3%A4+%2b&&c&=d&a=2", "%e2%82%ac", "a+b", "name", ""].map(|seed| seed.as_bytes().to_vec()).into()
}
