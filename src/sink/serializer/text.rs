//! Serializers of text.

use super::{SerializeResult, Serializer};
use crate::codec::java_hash::{self, HeaderMap};
use crate::event::Event;

/// The body, and a newline behind it: Flume's serializer `TEXT`. Nothing is escaped, so a body with a newline in it gives
/// two lines.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    append_newline: bool,
}

impl Text {
    /// The serializer with Flume's default, a newline.
    #[must_use]
    pub const fn new() -> Self {
        Self { append_newline: true }
    }

    /// Whether a newline follows each body; the default is that it does.
    #[must_use]
    pub const fn append_newline(mut self, append: bool) -> Self {
        self.append_newline = append;
        self
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Serializer for Text {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        append_body(event, self.append_newline, out);
        Ok(())
    }
}

/// Headers and body, as `{name=value, name2=value2} body` and a newline: Flume's serializer `HEADER_AND_TEXT`. Nothing is
/// escaped. The order of the headers is Flume's, that of a Java `HashMap`, whatever it is in the event.
#[derive(Clone, Copy, Debug)]
pub struct HeaderAndText {
    append_newline: bool,
    header_map: HeaderMap,
}

impl HeaderAndText {
    /// The serializer with Flume's default, a newline.
    #[must_use]
    pub const fn new() -> Self {
        Self { append_newline: true, header_map: HeaderMap::Filled }
    }

    /// How the maps of headers come to be in Flume.
    pub(crate) fn header_map(mut self, map: HeaderMap) -> Self {
        self.header_map = map;
        self
    }

    /// Whether a newline follows each body; the default is that it does.
    #[must_use]
    pub const fn append_newline(mut self, append: bool) -> Self {
        self.append_newline = append;
        self
    }
}

impl Default for HeaderAndText {
    fn default() -> Self {
        Self::new()
    }
}

impl Serializer for HeaderAndText {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        out.push(b'{');
        java_hash::for_each_header(event.headers(), self.header_map, |index, name, value| {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
            SerializeResult::Ok(())
        })?;
        out.extend_from_slice(b"} ");
        append_body(event, self.append_newline, out);
        Ok(())
    }
}

fn append_body(event: &Event, newline: bool, out: &mut Vec<u8>) {
    let body = event.body();
    out.reserve(body.len() + 1);
    out.extend_from_slice(body);
    if newline {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut serializer: impl Serializer, events: &[Event]) -> Vec<u8> {
        let mut out = Vec::new();
        serializer.begin(&mut out).unwrap();
        for event in events {
            serializer.event(event, &mut out).unwrap();
        }
        serializer.flush_block(&mut out).unwrap();
        serializer.end(&mut out).unwrap();
        out
    }

    #[test]
    fn text_and_header_and_text_give_the_bytes_that_flume_gives() {
        let events = [
            Event::new("plain"),
            Event::new("").with_header("only", "header").unwrap(),
            Event::new(&b"\xff\n\0"[..]).with_header("b", "").unwrap().with_header("a", "1").unwrap(),
        ];
        assert_eq!(written(Text::new(), &events), b"plain\n\n\xff\n\0\n");
        assert_eq!(written(Text::new().append_newline(false), &events), b"plain\xff\n\0");
        assert_eq!(written(HeaderAndText::new(), &events), b"{} plain\n{only=header} \n{a=1, b=} \xff\n\0\n");
        assert_eq!(
            written(HeaderAndText::default().append_newline(false), &events[..2]),
            b"{} plain{only=header} ".as_slice()
        );
    }
}
