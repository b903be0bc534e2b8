//! The character sets of requests: those that JSON may come in.

use std::borrow::Cow;

use bytes::Bytes;

use super::Rejection;

/// A character set in which JSON may come. Bodies of events are stored in it, as Flume does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Utf16,
    Utf32,
}

impl Charset {
    /// What the `charset` of a content type names; UTF-8 without one.
    pub(super) fn named(name: Option<&str>) -> Result<Self, Rejection> {
        let Some(name) = name else { return Ok(Self::Utf8) };
        let is_one_of = |names: [&str; 2]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_one_of(["utf-8", "utf8"]) {
            Ok(Self::Utf8)
        } else if is_one_of(["utf-16", "utf16"]) {
            Ok(Self::Utf16)
        } else if is_one_of(["utf-32", "utf32"]) {
            Ok(Self::Utf32)
        } else {
            Err(Rejection::unsupported(format!("charset {name:?} is not supported; use UTF-8, UTF-16 or UTF-32")))
        }
    }

    /// Bytes that the text takes in memory, at most, beside `body`.
    pub(super) fn text_bytes_max(self, body: &[u8]) -> usize {
        match self {
            Self::Utf8 => 0,
            // Two bytes may become three.
            Self::Utf16 => body.len() + body.len() / 2,
            Self::Utf32 => body.len(),
        }
    }

    /// The text. A mark of the byte order is not part of it; without one it is big-endian.
    pub(super) fn decode(self, body: &[u8]) -> Result<Cow<'_, str>, Rejection> {
        match self {
            Self::Utf8 => {
                let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
                std::str::from_utf8(body).map(Cow::Borrowed).map_err(|error| malformed("UTF-8", error.valid_up_to()))
            }
            Self::Utf16 => decode_utf16(body).map(Cow::Owned),
            Self::Utf32 => decode_utf32(body).map(Cow::Owned),
        }
    }

    /// The bytes of an event's body, as Java encodes them: UTF-16 big-endian with a mark, UTF-32 big-endian without.
    pub(super) fn encode(self, text: &str) -> Bytes {
        match self {
            Self::Utf8 => Bytes::copy_from_slice(text.as_bytes()),
            Self::Utf16 if text.is_empty() => Bytes::new(),
            Self::Utf16 => {
                let units = text.encode_utf16().count();
                let mut out = Vec::with_capacity(2 + 2 * units);
                out.extend_from_slice(&[0xfe, 0xff]);
                text.encode_utf16().for_each(|unit| out.extend_from_slice(&big_endian(u32::from(unit))[2..]));
                out.into()
            }
            Self::Utf32 => {
                let mut out = Vec::with_capacity(4 * text.chars().count());
                text.chars().for_each(|character| out.extend_from_slice(&big_endian(u32::from(character))));
                out.into()
            }
        }
    }
}

fn decode_utf16(body: &[u8]) -> Result<String, Rejection> {
    let (rest, little) = match body {
        [0xff, 0xfe, rest @ ..] => (rest, true),
        [0xfe, 0xff, rest @ ..] | rest => (rest, false),
    };
    let mut text = String::with_capacity(rest.len() + rest.len() / 2);
    let unit = |pair: &[u8]| match *pair {
        [first, second] if little => u16::from(second) << 8 | u16::from(first),
        [first, second] => u16::from(first) << 8 | u16::from(second),
        // Half a unit, at the end: no text has it.
        _ => LONE_SURROGATE,
    };
    for character in char::decode_utf16(rest.chunks(2).map(unit)) {
        text.push(character.map_err(|_| malformed("UTF-16", text.len()))?);
    }
    Ok(text)
}

fn decode_utf32(body: &[u8]) -> Result<String, Rejection> {
    let (rest, little) = match body {
        [0xff, 0xfe, 0, 0, rest @ ..] => (rest, true),
        [0, 0, 0xfe, 0xff, rest @ ..] | rest => (rest, false),
    };
    let mut text = String::with_capacity(rest.len());
    for quad in rest.chunks(4) {
        let fold = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        let number = if little { quad.iter().rev().fold(0, fold) } else { quad.iter().fold(0, fold) };
        let character = char::from_u32(number).filter(|_| quad.len() == 4);
        text.push(character.ok_or_else(|| malformed("UTF-32", text.len()))?);
    }
    Ok(text)
}

/// The bytes of a number, the highest one first.
fn big_endian(number: u32) -> [u8; 4] {
    let mut bytes = number.to_le_bytes();
    bytes.reverse();
    bytes
}

fn malformed(charset: &str, after: usize) -> Rejection {
    Rejection::bad_request(format!("the body is not {charset} after {after} bytes of text"))
}

const LONE_SURROGATE: u16 = 0xd800;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\u{e4}\u{20ac}\u{1f600}";

    #[test]
    fn text_is_decoded_with_and_without_marks() {
        let sixteen_big = b"\0a\0\xe4\x20\xac\xd8\x3d\xde\x00";
        let sixteen_little = b"a\0\xe4\0\xac\x20\x3d\xd8\x00\xde";
        let thirty_two_big = b"\0\0\0a\0\0\0\xe4\0\0\x20\xac\0\x01\xf6\0";
        let thirty_two_little = b"a\0\0\0\xe4\0\0\0\xac\x20\0\0\0\xf6\x01\0";
        for (charset, body) in [
            ("utf-8", TEXT.as_bytes().to_vec()),
            ("UTF8", [b"\xef\xbb\xbf", TEXT.as_bytes()].concat()),
            ("UTF-16", sixteen_big.to_vec()),
            ("utf-16", [b"\xfe\xff", &sixteen_big[..]].concat()),
            ("utf16", [b"\xff\xfe", &sixteen_little[..]].concat()),
            ("UTF-32", thirty_two_big.to_vec()),
            ("utf-32", [b"\0\0\xfe\xff", &thirty_two_big[..]].concat()),
            ("utf32", [b"\xff\xfe\0\0", &thirty_two_little[..]].concat()),
        ] {
            let charset = Charset::named(Some(charset)).unwrap();
            let text = charset.decode(&body).unwrap();
            assert_eq!(text, TEXT, "{charset:?}");
            assert!(charset == Charset::Utf8 || text.len() <= charset.text_bytes_max(&body));
        }
        assert_eq!(Charset::named(None), Ok(Charset::Utf8));
    }

    #[test]
    fn bodies_are_the_bytes_that_java_makes() {
        assert_eq!(Charset::Utf16.encode("su"), &b"\xfe\xff\0s\0u"[..]);
        assert_eq!(Charset::Utf16.encode(""), &b""[..]);
        assert_eq!(Charset::Utf32.encode("s"), &b"\0\0\0s"[..]);
        for charset in [Charset::Utf8, Charset::Utf16, Charset::Utf32] {
            assert_eq!(charset.decode(&charset.encode(TEXT)).unwrap(), TEXT);
        }
    }

    #[test]
    fn what_is_not_text_is_refused() {
        for (charset, body) in [
            (Charset::Utf8, &b"a\xff"[..]),
            (Charset::Utf8, b"\xed\xa0\x80"),
            (Charset::Utf16, b"\0a\0"),
            (Charset::Utf16, b"\xd8\x00\0a"),
            (Charset::Utf16, b"\xdc\x00"),
            (Charset::Utf32, b"\0\0\0"),
            (Charset::Utf32, b"\0\0\xd8\0"),
            (Charset::Utf32, b"\0\x11\0\0"),
        ] {
            assert_eq!(charset.decode(body).unwrap_err().status(), 400, "{charset:?} {body:?}");
        }
        for name in ["latin1", "utf-16le", "", "UTF-7"] {
            assert_eq!(Charset::named(Some(name)).unwrap_err().status(), 415, "{name}");
        }
    }
}
