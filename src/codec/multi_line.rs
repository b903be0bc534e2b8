//! Lines that belong together.

use bytes::{Bytes, BytesMut};

use super::charset::{CHAR_BYTES_MAX, Charset, DecodeError};
use super::line::{Line, LineEnd, LineFramer, Overlong};
use super::pattern::{Pattern, PatternError};
use crate::limits::{MULTI_LINE_BYTES_MAX, MULTI_LINE_LINES_MAX};

/// Which lines of a text are one event.
///
/// ```
/// use aqueduct::SpoolDir;
/// use aqueduct::source::spool_dir::{Deserializer, MultiLine};
///
/// // A stack trace belongs to the line before it.
/// let traces = MultiLine::continues(r"^\s|^Caused by:")?;
/// // What begins with a date is an event, with all lines up to the next date.
/// let dated = MultiLine::begins(r"^\d{4}-\d\d-\d\d ")?;
/// // A backslash at the end says that there is more.
/// let joined = MultiLine::continued(r"\\$")?.lines_max(100);
/// let source = SpoolDir::new("/var/spool/in").deserializer(Deserializer::MultiLine(traces));
/// # drop((source, dated, joined));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The pattern is looked for anywhere in a line, without its line end; anchor it to mean more. What stands before the first
/// line that begins an event is an event, too. The body is what stands in the text from the first line to the last, without
/// the last line feed.
#[derive(Clone, Debug)]
pub struct MultiLine {
    pattern: Pattern,
    join: Join,
    negated: bool,
    lines_max: usize,
    bytes_max: usize,
}

/// What a line that matches says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// It begins an event.
    Begins,
    /// It belongs to the line before it.
    Continues,
    /// The line behind it belongs to it.
    Continued,
}

impl MultiLine {
    /// A line that matches begins an event; others belong to the line before them.
    ///
    /// # Errors
    /// If the pattern is not valid.
    pub fn begins(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern, Join::Begins)
    }

    /// A line that matches belongs to the line before it; others begin an event.
    ///
    /// # Errors
    /// If the pattern is not valid.
    pub fn continues(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern, Join::Continues)
    }

    /// The line behind one that matches belongs to it; others end an event.
    ///
    /// # Errors
    /// If the pattern is not valid.
    pub fn continued(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern, Join::Continued)
    }

    fn new(pattern: &str, join: Join) -> Result<Self, PatternError> {
        let pattern = Pattern::new(pattern)?;
        let (lines_max, bytes_max) = (MULTI_LINE_LINES_MAX, MULTI_LINE_BYTES_MAX);
        Ok(Self { pattern, join, negated: false, lines_max, bytes_max })
    }

    /// Takes the lines that do not match for those that do, and the other way round.
    #[must_use]
    pub fn negated(mut self, negated: bool) -> Self {
        self.negated = negated;
        self
    }

    /// Lines of one event, at most and from 1; what follows is the next event. [`MULTI_LINE_LINES_MAX`] by default.
    #[must_use]
    pub fn lines_max(mut self, lines: usize) -> Self {
        self.lines_max = lines.max(1);
        self
    }

    /// Bytes of one event in the file, at most and from 4; what follows is the next event. [`MULTI_LINE_BYTES_MAX`] by
    /// default. A longer line is cut, between two characters.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes.max(CHAR_BYTES_MAX);
        self
    }

    pub(crate) fn largest(&self) -> usize {
        self.bytes_max
    }

    /// Whether the line says what `join` stands for.
    fn says(&self, line: &[u8], charset: Charset) -> bool {
        let text = charset.decode(Bytes::copy_from_slice(line), DecodeError::Replace).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        self.pattern.is_match(text.strip_suffix('\r').unwrap_or(&text)) != self.negated
    }
}

/// Joins the lines of a stream that arrives in pieces.
///
/// An event begins where the one before it ends, and depends on nothing before that: reading may go on at the beginning of
/// any event.
#[derive(Debug)]
pub(crate) struct MultiLineFramer {
    settings: MultiLine,
    charset: Charset,
    lines: LineFramer,
    // The event in progress.
    event: Option<Event>,
}

#[derive(Debug)]
struct Event {
    body: BytesMut,
    start: u64,
    next: u64,
    lines: usize,
    // Nothing more is to be added, whatever comes.
    is_closed: bool,
}

/// A whole event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) body: Bytes,
    pub(crate) start: u64,
}

impl MultiLineFramer {
    pub(crate) fn new(settings: MultiLine, charset: Charset, start: u64) -> Self {
        let lines = LineFramer::new(charset, settings.bytes_max, Overlong::Split).starting_at(start);
        Self { settings, charset, lines, event: None }
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.lines.push(piece);
    }

    /// The next event of which it is certain that no line follows.
    pub(crate) fn next_event(&mut self) -> Option<Joined> {
        while let Some(line) = self.lines.next_line() {
            if let Some(whole) = self.add(&line) {
                return Some(whole);
            }
        }
        None
    }

    /// What is left at the end of the stream. Call it until it returns `None`.
    pub(crate) fn finish(&mut self) -> Option<Joined> {
        while let Some(line) = self.lines.finish() {
            if let Some(whole) = self.add(&line) {
                return Some(whole);
            }
        }
        self.event.take().map(Event::joined)
    }

    /// Where the event in progress begins.
    pub(crate) fn offset(&self) -> u64 {
        self.event.as_ref().map_or(self.lines.offset(), |event| event.start)
    }

    /// Bytes held.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.lines.buffered_bytes() + self.event.as_ref().map_or(0, |event| event.body.len())
    }

    /// Adds a line to the event in progress, or begins another one with it and returns the one before.
    fn add(&mut self, line: &Line) -> Option<Joined> {
        let says = self.settings.says(&line.body, self.charset);
        // A part of a line is an event, whatever the pattern says: only so a restart behind it reads on in the same way.
        let is_closed = line.end == LineEnd::Split || (self.settings.join == Join::Continued && !says);
        let belongs = self.event.as_ref().is_some_and(|event| {
            // With its line feed.
            let held = usize::try_from(event.next - event.start).unwrap_or(usize::MAX);
            let fits = held.saturating_add(line.body.len()) <= self.settings.bytes_max;
            let joins = match self.settings.join {
                Join::Begins => !says,
                Join::Continues => says,
                Join::Continued => true,
            };
            joins && fits && !event.is_closed && event.lines < self.settings.lines_max
        });
        if let Some(event) = self.event.as_mut().filter(|_| belongs) {
            event.add(line, self.charset, is_closed);
            return None;
        }
        let begun =
            Event { body: BytesMut::from(&line.body[..]), start: line.start, next: line.next, lines: 1, is_closed };
        self.event.replace(begun).map(Event::joined)
    }
}

impl Event {
    fn add(&mut self, line: &Line, charset: Charset, is_closed: bool) {
        // The line feed of the line before, as it stands in the text.
        let mut newline = Vec::new();
        charset.encode("\n", &mut newline);
        self.body.extend_from_slice(&newline);
        self.body.extend_from_slice(&line.body);
        self.next = line.next;
        self.lines += 1;
        self.is_closed = is_closed;
    }

    fn joined(self) -> Joined {
        Joined { body: self.body.freeze(), start: self.start }
    }
}

#[cfg(test)]
mod tests;
