//! The sink that shows events as lines of text.

use std::fmt::{self, Write as _};
use std::io;

use super::{Delivered, Sink, SinkBatch, SinkError};
use crate::codec::java_hash::{self, HeaderMap};
use crate::event::{Event, Headers};
use crate::limits::{LOG_BYTES, LOG_BYTES_FLUME};

/// Shows the beginning of each event as text, for looking at what passes: Flume's `logger` sink.
///
/// The text goes to a writer or to a function of the caller; the library itself prints nothing. Events are untrusted input:
/// whatever could end a line, move a cursor, or reorder what a person sees is escaped.
///
/// ```
/// use aqueduct::sink::{LogFormat, Logger};
///
/// let to_standard_error = Logger::to_writer(std::io::stderr());
/// let as_in_flume = Logger::to_fn(|line| eprintln!("INFO {line}")).format(LogFormat::Flume);
/// ```
///
/// After an error of the writer the batch comes again, so lines can repeat (at-least-once).
pub struct Logger {
    target: Target,
    format: LogFormat,
    bytes_max: Option<usize>,
    header_map: HeaderMap,
    text: String,
}

/// What a [`Logger`] writes of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One line: `headers={"host": "web-1"} body="GET /\r\n"`. Control characters, invisible and direction-changing
    /// characters, quotes and backslashes are escaped as in a Rust string literal, bytes that are not UTF-8 as `\xff`. Of
    /// the headers together, and of the body, the first 256 bytes are shown, with the number of bytes or headers that are
    /// left out.
    #[default]
    Plain,
    /// Flume's own: `Event: { headers:{host=web-1} body: 47 45 54 20 2F       GET / }`. Of the body the first
    /// 16 bytes are shown; more, if that is set, take a further line for every 16. Headers are shown whole and in Flume's
    /// order, that of a Java `HashMap`, but, unlike Flume's, with control and invisible characters escaped.
    Flume,
}

enum Target {
    Writer(Box<dyn io::Write + Send>),
    Call(Box<dyn FnMut(&str) + Send>),
}

impl Logger {
    /// A sink that writes lines, each with a newline, to `out`.
    #[must_use]
    pub fn to_writer(out: impl io::Write + Send + 'static) -> Self {
        Self::new(Target::Writer(Box::new(out)))
    }

    /// A sink that calls `log` for each event, with its text without a newline.
    #[must_use]
    pub fn to_fn(log: impl FnMut(&str) + Send + 'static) -> Self {
        Self::new(Target::Call(Box::new(log)))
    }

    /// What is written of an event; [`LogFormat::Plain`] by default.
    #[must_use]
    pub fn format(mut self, format: LogFormat) -> Self {
        self.format = format;
        self
    }

    /// How many bytes of a body (and, in the plain format, of the headers) are shown; by default 256, in Flume's format 16.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = Some(bytes);
        self
    }

    /// In Flume's format, how the maps of headers come to be in Flume.
    pub(crate) fn header_map(mut self, map: HeaderMap) -> Self {
        self.header_map = map;
        self
    }

    fn new(target: Target) -> Self {
        let header_map = HeaderMap::default();
        Self { target, format: LogFormat::default(), bytes_max: None, header_map, text: String::new() }
    }

    fn log(&mut self, event: &Event) -> io::Result<()> {
        self.text.clear();
        // Writing to a string does not fail.
        let _ = match self.format {
            LogFormat::Plain => plain(event, self.bytes_max.unwrap_or(LOG_BYTES), &mut self.text),
            LogFormat::Flume => {
                flume(event, self.header_map, self.bytes_max.unwrap_or(LOG_BYTES_FLUME), &mut self.text)
            }
        };
        match &mut self.target {
            Target::Call(log) => log(&self.text),
            Target::Writer(out) => {
                self.text.push('\n');
                out.write_all(self.text.as_bytes())?;
            }
        }
        self.text.shrink_to(TEXT_BYTES_KEPT);
        Ok(())
    }
}

impl Sink for Logger {
    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        for event in batch.events() {
            self.log(event).map_err(|error| SinkError::retry(LogError(error)))?;
        }
        if let Target::Writer(out) = &mut self.target {
            out.flush().map_err(|error| SinkError::retry(LogError(error)))?;
        }
        Ok(Delivered::All)
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, bytes_max, .. } = self;
        f.debug_struct("Logger").field("format", format).field("bytes_max", bytes_max).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write an event to the writer of the logger sink: {0}")]
struct LogError(#[source] io::Error);

fn plain(event: &Event, bytes_max: usize, out: &mut String) -> fmt::Result {
    out.push_str("headers={");
    plain_headers(event.headers(), bytes_max, out)?;
    out.push_str("} body=");
    plain_text(event.body(), bytes_max, out)
}

/// The headers, up to the one that uses up `bytes_max`.
fn plain_headers(headers: &Headers, bytes_max: usize, out: &mut String) -> fmt::Result {
    let mut left = bytes_max;
    for (index, (name, value)) in headers.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if left == 0 {
            return write!(out, "{} more", headers.len() - index);
        }
        plain_text(name.as_bytes(), left, out)?;
        left = left.saturating_sub(name.len());
        out.push_str(": ");
        plain_text(value.as_bytes(), left, out)?;
        left = left.saturating_sub(value.len());
    }
    Ok(())
}

/// Text in quotes, and how much of it is missing.
fn plain_text(bytes: &[u8], bytes_max: usize, out: &mut String) -> fmt::Result {
    let shown = bytes.get(..whole_characters(bytes, bytes_max)).unwrap_or(bytes);
    out.push('"');
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // `char::escape_debug` escapes it, too, but between double quotes it needs none.
                '\'' => out.push(c),
                _ => write!(out, "{}", c.escape_debug())?,
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.push('"');
    match bytes.len() - shown.len() {
        0 => Ok(()),
        missing => write!(out, " and {missing} bytes more"),
    }
}

/// The largest length up to `max` at which `bytes` can be cut without cutting a character of UTF-8 in two.
fn whole_characters(bytes: &[u8], max: usize) -> usize {
    if bytes.len() <= max {
        return bytes.len();
    }
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    // A character has at most three bytes behind its first; a longer run is not text.
    (max.saturating_sub(3)..=max).rev().find(|at| !is_inside(*at)).unwrap_or(max)
}

/// As Flume's `EventHelper.dumpEvent` with the hex dump of commons-io.
fn flume(event: &Event, map: HeaderMap, bytes_max: usize, out: &mut String) -> fmt::Result {
    out.push_str("Event: { headers:{");
    java_hash::for_each_header(event.headers(), map, |index, name, value| {
        if index > 0 {
            out.push_str(", ");
        }
        flume_text(name, out)?;
        out.push('=');
        flume_text(value, out)
    })?;
    out.push_str("} body:");
    let shown = event.body().get(..bytes_max).unwrap_or(event.body());
    for (index, row) in shown.chunks(HEX_DUMP_ROW).enumerate() {
        if index > 0 {
            write!(out, "\n{:08X}", index * HEX_DUMP_ROW)?;
        }
        out.push(' ');
        for byte in row {
            write!(out, "{byte:02X} ")?;
        }
        out.extend(std::iter::repeat_n("   ", HEX_DUMP_ROW - row.len()));
        out.extend(row.iter().map(|byte| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '.' }));
    }
    out.push_str(" }");
    Ok(())
}

/// Text of a header as it is, unless it could deceive whoever reads the log.
fn flume_text(text: &str, out: &mut String) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            _ => write!(out, "{}", c.escape_debug())?,
        }
    }
    Ok(())
}

const HEX_DUMP_ROW: usize = 16;
/// Memory for the text that is kept from event to event.
const TEXT_BYTES_KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: LogFormat, bytes_max: Option<usize>, event: &Event) -> String {
        let (send, receive) = std::sync::mpsc::channel();
        let mut logger = Logger::to_fn(move |line| send.send(line.to_owned()).unwrap()).format(format);
        logger.bytes_max = bytes_max;
        logger.log(event).unwrap();
        receive.recv().unwrap()
    }

    #[test]
    fn flumes_format_is_flumes_to_the_byte() {
        let event = Event::new("hello flume world").with_header("timestamp", "1795425611216").unwrap();
        assert_eq!(
            text(LogFormat::Flume, None, &event),
            "Event: { headers:{timestamp=1795425611216} body: 68 65 6C 6C 6F 20 66 6C 75 6D 65 20 77 6F 72 6C hello flume worl }"
        );
        assert_eq!(
            text(LogFormat::Flume, None, &Event::new(&b"hi\r\xff"[..])),
            "Event: { headers:{} body: 68 69 0D FF                                     hi.. }"
        );
        assert_eq!(text(LogFormat::Flume, None, &Event::new("")), "Event: { headers:{} body: }");
        let two = Event::new("x").with_header("b", "").unwrap().with_header("a", "it's \"1\" \\").unwrap();
        assert_eq!(
            text(LogFormat::Flume, None, &two),
            format!("Event: {{ headers:{{a=it's \"1\" \\, b=}} body: 78{}x }}", " ".repeat(46))
        );
        assert_eq!(
            text(LogFormat::Flume, Some(20), &Event::new("0123456789abcdefghij....")),
            "Event: { headers:{} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef\n\
             00000010 67 68 69 6A                                     ghij }"
        );
    }

    #[test]
    fn the_plain_format_escapes_everything_that_could_deceive() {
        let golden = [
            (&b"GET /"[..], r#""GET /""#),
            (b"", r#""""#),
            (b"two\nlines\r\n", r#""two\nlines\r\n""#),
            (b"\x1b[2J\x07\0\x7f", r#""\u{1b}[2J\u{7}\0\u{7f}""#),
            (b"quote \" it's \\n", r#""quote \" it's \\n""#),
            ("j\u{f6}rg \u{2713}".as_bytes(), "\"j\u{f6}rg \u{2713}\""),
            ("\u{202e}gpj.exe \u{2066} \u{feff}\u{2028}\u{85}\u{200b}".as_bytes(), {
                r#""\u{202e}gpj.exe \u{2066} \u{feff}\u{2028}\u{85}\u{200b}""#
            }),
            (b"\xff\xfe ok \xe2\x82", r#""\xff\xfe ok \xe2\x82""#),
        ];
        for (body, shown) in golden {
            assert_eq!(text(LogFormat::Plain, None, &Event::new(body)), format!("headers={{}} body={shown}"));
        }
        let headers = Event::new("b").with_header("h\n", "v\u{202e}").unwrap().with_header("k", "v").unwrap();
        assert_eq!(text(LogFormat::Plain, None, &headers), r#"headers={"h\n": "v\u{202e}", "k": "v"} body="b""#);
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            for format in [LogFormat::Plain, LogFormat::Flume] {
                let event = Event::new(c.to_string()).with_header(&c.to_string(), &c.to_string()).unwrap();
                let mut out = String::new();
                match format {
                    LogFormat::Plain => plain(&event, LOG_BYTES, &mut out).unwrap(),
                    LogFormat::Flume => flume(&event, HeaderMap::default(), LOG_BYTES_FLUME, &mut out).unwrap(),
                }
                let bidi = ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{2028}'];
                assert!(!out.contains(|c: char| c.is_control() || bidi.contains(&c)), "{out:?}");
            }
        }
        println!("{} bodies, all characters of Unicode in headers and body", golden.len());
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters_and_counted() {
        let long = |body: Vec<u8>, max| text(LogFormat::Plain, Some(max), &Event::new(body));
        assert_eq!(long(b"abcdef".to_vec(), 4), r#"headers={} body="abcd" and 2 bytes more"#);
        assert_eq!(long("ab\u{20ac}\u{20ac}".into(), 4), r#"headers={} body="ab" and 6 bytes more"#);
        assert_eq!(long("ab\u{20ac}\u{20ac}".into(), 5), "headers={} body=\"ab\u{20ac}\" and 3 bytes more");
        assert_eq!(
            long(b"\x80\x80\x80\x80\x80\x80".to_vec(), 4),
            r#"headers={} body="\x80\x80\x80\x80" and 2 bytes more"#
        );
        assert_eq!(long(b"abc".to_vec(), 0), r#"headers={} body="" and 3 bytes more"#);
        let mut many = Event::new("");
        for i in 0..100 {
            many.headers_mut().insert(&format!("{i:02}"), &"v".repeat(10)).unwrap();
        }
        assert_eq!(
            text(LogFormat::Plain, Some(20), &many),
            r#"headers={"00": "vvvvvvvvvv", "01": "vvvvvv" and 4 bytes more, 98 more} body="""#
        );
        let giant = Event::new(vec![b'\n'; 8 << 20]).with_header("n", &"\n".repeat(1 << 19)).unwrap();
        assert!(text(LogFormat::Plain, None, &giant).len() < 2000);
    }

    #[test]
    fn a_writer_gets_one_line_for_each_event_and_its_error_is_one_that_can_pass() {
        struct Full;
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let channel = crate::sink::testing::TestChannel::new(["a", "b\nc"].map(Event::from));
        let shared = crate::sink::testing::SharedBytes::default();
        let mut run = channel.run("log");
        run.step(&mut Logger::to_writer(shared.clone()), 10).unwrap();
        assert_eq!(shared.text(), "headers={} body=\"a\"\nheaders={} body=\"b\\nc\"\n");
        channel.push("d");
        assert!(matches!(run.step(&mut Logger::to_writer(Full), 10), Err(SinkError::Retry(_))));
        assert_eq!(channel.waiting(), 1);
    }
}
