//! Parts of the body replaced.

use std::ops::Range;

use bytes::Bytes;

use super::Interceptor;
use crate::codec::charset::{Charset, DecodeError, utf8};
use crate::codec::pattern::{Pattern, PatternError, Piece, Replacement};
use crate::event::Event;

/// Replaces every match of a pattern in the body: Flume's `search_replace`.
///
/// The pattern is in Java's syntax, see [`Pattern`], and so is the replacement, see [`Replacement`]: `$1` stands for what the
/// first group matched.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, SearchReplace};
///
/// let masks = SearchReplace::new(r"(\d{4})-\d{4}", "$1-****")?;
/// let event = masks.intercept(Event::new("card 1234-5678, 2345-6789")).ok_or("dropped")?;
/// assert_eq!(event.body(), "card 1234-****, 2345-****");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A body without a match stays as it is. So do, in UTF-8, bytes that are not valid and not replaced. Flume makes U+FFFD of
/// them, as [`reencode`](Self::reencode) does. What the character set cannot express becomes a question mark.
#[derive(Clone, Debug)]
pub struct SearchReplace {
    replacement: Replacement,
    charset: Charset,
    reencodes: bool,
}

impl SearchReplace {
    /// Replaces the matches of `pattern`, in bodies that are UTF-8.
    ///
    /// # Errors
    /// If the pattern cannot be used, or the replacement names a group that it does not have.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, PatternError> {
        let replacement = Replacement::new(replacement, &Pattern::new(pattern)?)?;
        Ok(Self { replacement, charset: Charset::UTF_8, reencodes: false })
    }

    /// The character set of the bodies.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }

    /// Decodes and encodes every body, whether it has a match or not, as Flume does: what is not valid becomes U+FFFD, or
    /// whatever the character set has for that, and UTF-16 becomes big-endian with a mark.
    #[must_use]
    pub fn reencode(mut self) -> Self {
        self.reencodes = true;
        self
    }

    /// The new body, if it is another one.
    fn replace(&self, body: &Bytes) -> Option<Vec<u8>> {
        if self.charset == Charset::UTF_8
            && let Ok(text) = std::str::from_utf8(body)
        {
            return self.replacement.replace_all(text).map(String::into_bytes);
        }
        if self.reencodes {
            return Some(self.replace_anew(body));
        }
        if self.charset == Charset::UTF_8 {
            return self.replace_damaged(body);
        }
        let (charset, mark) = self.charset.of_text(body);
        // With `Replace` nothing is refused.
        let text = charset.decode(body.slice(mark..), DecodeError::Replace).ok()?;
        let replaced = self.replacement.replace_all(&String::from_utf8_lossy(&text))?;
        let mut out = body.get(..mark).unwrap_or_default().to_vec();
        charset.encode(&replaced, &mut out);
        Some(out)
    }

    fn replace_anew(&self, body: &Bytes) -> Vec<u8> {
        let (charset, mark) = self.charset.of_text(body);
        // With `Replace` nothing is refused.
        let text = charset.decode(body.slice(mark..), DecodeError::Replace).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let replaced = self.replacement.replace_all(&text);
        let replaced = replaced.as_deref().unwrap_or(&text);
        let mut out = Vec::with_capacity(body.len());
        if self.charset.is_marked() && !replaced.is_empty() {
            self.charset.encode("\u{feff}", &mut out);
        }
        self.charset.encode(replaced, &mut out);
        out
    }

    /// As for text, but bytes that are no text are copied as they are.
    fn replace_damaged(&self, body: &[u8]) -> Option<Vec<u8>> {
        let text = Text::new(body);
        let mut out = Vec::with_capacity(body.len());
        let found = self.replacement.replace_each(&text.text, |piece| match piece {
            Piece::Kept(range) => text.copy(range, &mut out),
            Piece::New(new) => out.extend_from_slice(new.as_bytes()),
        });
        found.then_some(out)
    }
}

impl Interceptor for SearchReplace {
    fn intercept(&self, mut event: Event) -> Option<Event> {
        if let Some(body) = self.replace(event.body()) {
            event.set_body(body);
        }
        Some(event)
    }
}

/// The text of bytes that are not all text, and where each part of it came from.
struct Text<'b> {
    text: String,
    /// Where a part begins in the text, its bytes, and whether they are valid.
    parts: Vec<(usize, &'b [u8], bool)>,
}

impl<'b> Text<'b> {
    fn new(body: &'b [u8]) -> Self {
        let mut text = String::with_capacity(body.len());
        let mut parts = Vec::new();
        for part in utf8::parts(body) {
            parts.push((text.len(), part.valid.as_bytes(), true));
            text.push_str(part.valid);
            if !part.invalid.is_empty() {
                parts.push((text.len(), part.invalid, false));
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Self { text, parts }
    }

    /// Appends the bytes behind a range of the text.
    fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let first = self.parts.partition_point(|(start, _, _)| *start <= range.start).saturating_sub(1);
        for (start, bytes, valid) in self.parts.iter().skip(first).take_while(|(start, _, _)| *start < range.end) {
            if *valid {
                let from = range.start.saturating_sub(*start).min(bytes.len());
                let to = range.end.saturating_sub(*start).min(bytes.len());
                out.extend_from_slice(bytes.get(from..to).unwrap_or_default());
            } else if range.start <= *start {
                out.extend_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, body: &'static [u8]) -> Vec<u8> {
        let interceptor = SearchReplace::new(pattern, replacement).unwrap();
        interceptor.intercept(Event::new(body)).unwrap().body().to_vec()
    }

    #[test]
    fn every_match_is_replaced() {
        assert_eq!(replaced("^prefix", "", b"prefix here"), b" here");
        assert_eq!(replaced(r"^<\d+>", "", b"<13>Feb 5 message"), b"Feb 5 message");
        assert_eq!(replaced(r"(\w+)@(\w+)", "$2 at $1", b"a@b c@d"), b"b at a d at c");
        assert_eq!(replaced("o", "0", b"foo boo"), b"f00 b00");
        assert_eq!(replaced(r"error$", "E", b"an error\r"), b"an E\r");
        let bad = SearchReplace::new("a", "$1").unwrap_err();
        assert_eq!(bad.to_string(), "pattern a: replacement $1: the pattern has no group 1");
    }

    #[test]
    fn a_body_without_a_match_is_not_even_copied() {
        let event = Event::new(&b"\xff some"[..]);
        let before = event.body().as_ptr();
        let after = SearchReplace::new("none", "x").unwrap().intercept(event).unwrap();
        assert_eq!(after.body().as_ptr(), before);
    }

    #[test]
    fn bytes_that_are_no_text_stay_unless_they_are_replaced() {
        assert_eq!(replaced("a", "b", b"\xffa\xe2\x82a\xf0\x9f"), b"\xffb\xe2\x82b\xf0\x9f");
        assert_eq!(replaced("(.)a", "$1b", b"\xff\xfea"), b"\xff\xfeb");
        assert_eq!(replaced("\u{fffd}", "?", b"x\xffy\xe2\x82"), b"x?y?");
        assert_eq!(replaced("(?s)(.*)x(.*)", "$2|$1", b"\xffax\xfeb\xfc"), b"\xfeb\xfc|\xffa");
        assert_eq!(replaced("", "-", b"\xff\xc3\xa4"), b"-\xff-\xc3\xa4-");
    }

    #[test]
    fn bodies_are_encoded_anew_if_so_wanted() {
        for (label, body, expected) in [
            ("utf-8", &b"x\xffa\xed\xa0\x80"[..], "x\u{fffd}b\u{fffd}".as_bytes()),
            ("utf-8", b"\xc3\xa4 none", b"\xc3\xa4 none"),
            ("us-ascii", b"\xe4b", b"?b"),
            ("windows-1252", b"\x81a\x80", b"?b\x80"),
            ("UTF-16", b"\xff\xfea\x00x\x00", b"\xfe\xff\x00b\x00x"),
            ("UTF-16", b"\x00x\x00", b"\xfe\xff\x00x\xff\xfd"),
            ("UTF-16", b"", b""),
            ("UTF-16LE", b"x\x00\x00", b"x\x00\xfd\xff"),
        ] {
            let charset = Charset::for_label(label).unwrap();
            let interceptor = SearchReplace::new("a", "b").unwrap().charset(charset).reencode();
            let event = interceptor.intercept(Event::new(body)).unwrap();
            assert_eq!(event.body(), expected, "{label} {body:?}");
        }
    }

    #[test]
    fn other_character_sets_are_read_and_written() {
        let in_charset = |label: &str, body: &'static [u8]| {
            let charset = Charset::for_label(label).unwrap();
            let interceptor = SearchReplace::new("\u{e4}(.)", "$1\u{f6}\u{20ac}").unwrap().charset(charset);
            interceptor.intercept(Event::new(body)).unwrap().body().to_vec()
        };
        assert_eq!(in_charset("ISO-8859-1", b"\xe4b\xfc"), b"b\xf6?\xfc");
        assert_eq!(in_charset("windows-1252", b"\xe4b"), b"b\xf6\x80");
        assert_eq!(in_charset("UTF-16", b"\xff\xfe\xe4\x00b\x00"), b"\xff\xfeb\x00\xf6\x00\xac\x20");
        assert_eq!(in_charset("UTF-16BE", b"\x00\xe4\x00b"), b"\x00b\x00\xf6\x20\xac");
        assert_eq!(in_charset("US-ASCII", b"b"), b"b");
    }
}
