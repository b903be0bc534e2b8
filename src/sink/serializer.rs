//! Serializers: how events become the bytes of a file.

use std::error::Error;

use crate::event::Event;

/// Turns events into the bytes of a file.
///
/// Life, for each file: [`begin`](Self::begin) for a new one or [`resume`](Self::resume) for one that is gone on with; for
/// each batch [`event`](Self::event) for its events and then [`flush_block`](Self::flush_block); [`end`](Self::end). All of
/// them append to `out`, which the sink writes to the file; what they appended before is out of their reach.
///
/// A file can be cut at the end of any batch, without `end` and without notice: that is what a crash leaves, and what the
/// sink cuts it back to. A format should be readable when it is.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::sink::{SerializeResult, Serializer};
///
/// /// A line of `<length> <body>` for each event.
/// struct Lengths;
///
/// impl Serializer for Lengths {
///     fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
///         out.extend_from_slice(format!("{} ", event.body().len()).as_bytes());
///         out.extend_from_slice(event.body());
///         out.push(b'\n');
///         Ok(())
///     }
/// }
/// ```
pub trait Serializer: Send {
    /// Appends one event, or keeps it for [`flush_block`](Self::flush_block).
    ///
    /// # Errors
    /// If this event can never be written in this format. What was appended for it is discarded; the serializer must
    /// have forgotten it, too, because the file goes on without it.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult;

    /// Begins a new file: a header of the format.
    ///
    /// # Errors
    /// They stop the batch, which is tried again later.
    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }

    /// Goes on with a file that begins with `head` (all of it, or the first
    /// [`SERIALIZER_HEAD_BYTES`](crate::limits::SERIALIZER_HEAD_BYTES)) and ends with a whole batch. The answer `false`
    /// says that it cannot be appended to: the sink finishes the file as it stands and begins another.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let _ = head;
        Ok(true)
    }

    /// The batch ends: appends what was kept.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }

    /// Ends the file: a footer of the format.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn end(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }
}

impl<S: Serializer + ?Sized> Serializer for Box<S> {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        (**self).event(event, out)
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).begin(out)
    }

    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn Error + Send + Sync>> {
        (**self).resume(head)
    }

    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).flush_block(out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).end(out)
    }
}

/// What the methods of a [`Serializer`] give back.
pub type SerializeResult = Result<(), Box<dyn Error + Send + Sync>>;

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
/// escaped. Headers are in the order of the event; Flume's come in the order of a Java `HashMap`.
#[derive(Clone, Copy, Debug)]
pub struct HeaderAndText {
    append_newline: bool,
}

impl HeaderAndText {
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

impl Default for HeaderAndText {
    fn default() -> Self {
        Self::new()
    }
}

impl Serializer for HeaderAndText {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        out.push(b'{');
        for (index, (name, value)) in event.headers().iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
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
            Event::new(&b"\xff\n\0"[..]).with_header("a", "1").unwrap().with_header("b", "").unwrap(),
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
