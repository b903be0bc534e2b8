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
    /// order, that of a Java `HashMap`, but, unlike Flume's, with control characters (a tab is none here) and those that change
    /// the direction of text or show nothing escaped. Joiners and what combines with other characters are not.
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
                _ if is_hidden(c) => write!(out, "{}", c.escape_unicode())?,
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

/// Text of a header as it is, but for what could deceive whoever reads the log: ends of lines, other control characters, and
/// those that are hidden.
fn flume_text(text: &str, out: &mut String) -> fmt::Result {
    for c in text.chars() {
        if is_hidden(c) {
            write!(out, "{}", c.escape_unicode())?;
        } else if c.is_control() && c != '\t' {
            write!(out, "{}", c.escape_debug())?;
        } else {
            out.push(c);
        }
    }
    Ok(())
}

/// Whether a character changes the direction of text, separates lines, or shows nothing. Joiners and the selectors of variants
/// are not hidden: they decide how the characters beside them look.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    // Marks of where a word may or may not end, operators and shorthands without a shape, annotations, notes and tags.
    let marks = matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}');
    // Letters and vowels without a shape.
    let fills = matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}');
    turns || separates || marks || fills
}

const HEX_DUMP_ROW: usize = 16;
/// Memory for the text that is kept from event to event.
const TEXT_BYTES_KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests;
