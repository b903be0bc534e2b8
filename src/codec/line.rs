//! Lines in a stream of bytes that arrives in pieces.

use bytes::{Buf, Bytes, BytesMut};

use super::charset::{CHAR_BYTES_MAX, Charset, DecodeError};

/// What to do with a line that is longer than the maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlong {
    /// The line is cut at the maximum, and what follows is the next line, as in Flume. Nothing is lost. Unlike Flume, a
    /// character is never cut in two, and a line of exactly the maximum is not followed by an empty one.
    #[default]
    Split,
    /// The line is cut at the maximum and the rest of it is skipped; [`LineEnd::Truncated`] tells.
    Truncate,
    /// The line is skipped and counted.
    Drop,
}

/// A line, without its line feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The bytes of the line, not decoded. A carriage return before the line feed is part of it.
    pub body: Bytes,
    /// Offset of its first byte in the stream.
    pub start: u64,
    /// Offset of what follows the line and its line feed: reading on from here neither loses nor repeats a byte.
    pub next: u64,
    /// What ended it.
    pub end: LineEnd,
}

/// What ended a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEnd {
    /// A line feed.
    Newline,
    /// The maximum length; the next line continues this one.
    Split,
    /// The maximum length; the rest of the line is skipped.
    Truncated {
        /// Bytes that were skipped.
        lost: u64,
    },
    /// The end of the stream.
    Eof,
}

/// Splits a stream of bytes into lines, incrementally.
///
/// Lines that lie within one piece are slices of it, without a copy. Never more than the longest line and one piece is
/// held. The lines, including where over-long ones are cut, do not depend on how the stream is cut into pieces.
///
/// ```
/// use aqueduct::codec::charset::Charset;
/// use aqueduct::codec::line::{LineEnd, LineFramer, Overlong};
///
/// let mut framer = LineFramer::new(Charset::UTF_8, 1024, Overlong::Split);
/// framer.push("one\ntw".into());
/// let line = framer.next_line().ok_or("no line")?;
/// assert_eq!((&line.body[..], line.start, line.next), (&b"one"[..], 0, 4));
/// assert_eq!(framer.next_line(), None);
/// framer.push("o".into());
/// let line = framer.finish().ok_or("no line")?;
/// assert_eq!((&line.body[..], line.start, line.end), (&b"two"[..], 4, LineEnd::Eof));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
pub struct LineFramer {
    charset: Charset,
    bytes_max: usize,
    chars_max: Option<usize>,
    invalid: DecodeError,
    overlong: Overlong,
    // The line in progress is `carry` and then `chunk`; all of `carry` is searched for line feeds already.
    carry: BytesMut,
    chunk: Bytes,
    start: u64,
    skip: Option<Skip>,
    dropped_lines: u64,
}

/// The rest of an over-long line is being skipped.
#[derive(Debug)]
struct Skip {
    // What is kept of the line; `None` if the line is dropped.
    body: Option<Bytes>,
    // Bytes of the line that were seen so far.
    seen: u64,
}

impl LineFramer {
    /// A framer for lines of at most `bytes_max` bytes without their line feed, counted as they come in, at the beginning of
    /// a stream. The maximum is raised to 4, so that every character fits.
    #[must_use]
    pub fn new(charset: Charset, bytes_max: usize, overlong: Overlong) -> Self {
        let bytes_max = bytes_max.max(CHAR_BYTES_MAX) / charset.unit() * charset.unit();
        Self {
            charset,
            bytes_max,
            chars_max: None,
            invalid: DecodeError::Replace,
            overlong,
            carry: BytesMut::new(),
            chunk: Bytes::new(),
            start: 0,
            skip: None,
            dropped_lines: 0,
        }
    }

    /// A framer for lines of at most `chars_max` UTF-16 code units, as Flume counts; a part that is not valid counts as one. The
    /// maximum is raised to 4.
    #[must_use]
    pub fn with_chars_max(charset: Charset, chars_max: usize, overlong: Overlong) -> Self {
        Self { chars_max: Some(chars_max.max(CHAR_BYTES_MAX)), ..Self::new(charset, 0, overlong) }
            .decode_error(DecodeError::Replace)
    }

    /// What becomes of bytes that are not valid. Where code units are counted, those that are left out do not count, unless they
    /// are more than 64 KiB of a line.
    #[must_use]
    pub fn decode_error(mut self, policy: DecodeError) -> Self {
        self.invalid = policy;
        if let Some(max) = self.chars_max {
            self.bytes_max = self.charset.bytes_of_chars(max, policy) / self.charset.unit() * self.charset.unit();
        }
        self
    }

    /// The same, but what comes first is at `offset` of the stream.
    #[must_use]
    pub fn starting_at(mut self, offset: u64) -> Self {
        self.start = offset;
        self
    }

    /// Adds the next piece of the stream. Call [`next_line`](Self::next_line) until there is none first.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.chunk = [&self.chunk[..], &chunk[..]].concat().into();
        }
    }

    /// The next complete line, or `None` if more of the stream is needed.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let found = if self.skip.is_some() { self.skip_on()? } else { self.read_on()? };
            if let Found::Line(line) = found {
                return Some(line);
            }
        }
    }

    /// What is left at the end of the stream: a last line without line feed. Call it until it returns `None`.
    pub fn finish(&mut self) -> Option<Line> {
        if let Some(line) = self.next_line() {
            return Some(line);
        }
        if self.skip.is_none() {
            if self.carry.is_empty() {
                return None;
            }
            if !self.is_too_long(&self.carry) {
                let body = std::mem::take(&mut self.carry).freeze();
                return Some(self.line(body, 0, LineEnd::Eof));
            }
            // Half a code unit, or some characters, beyond the maximum.
            if let Found::Line(line) = self.cut() {
                return Some(line);
            }
        }
        let half = std::mem::take(&mut self.carry);
        let mut skip = self.skip.take()?;
        skip.seen += half.len() as u64;
        match self.end_skip(skip, 0) {
            Found::Line(line) => Some(line),
            Found::Nothing => None,
        }
    }

    /// Where the line in progress begins: everything before it was returned or dropped.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.start
    }

    /// Lines that were dropped because they were too long.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped_lines
    }

    /// Bytes held.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let kept = self.skip.as_ref().and_then(|skip| skip.body.as_ref()).map_or(0, Bytes::len);
        self.carry.len() + self.chunk.len() + kept
    }

    fn read_on(&mut self) -> Option<Found> {
        let unit = self.charset.unit();
        if !self.carry.len().is_multiple_of(unit) {
            let half = self.take_half()?;
            self.carry.extend_from_slice(&half);
            let last = self.carry.len() - unit;
            if self.carry.get(last..).and_then(|pair| self.charset.find_newline(pair)).is_some() {
                let newline = self.carry.split_off(last);
                if self.is_too_long(&self.carry) {
                    // The line feed stays for what is left behind the cut.
                    self.chunk = [&newline[..], &self.chunk[..]].concat().into();
                    return Some(self.cut());
                }
                let body = std::mem::take(&mut self.carry).freeze();
                return Some(Found::Line(self.line(body, unit, LineEnd::Newline)));
            }
        }
        // With this much and no line feed in it, the line is too long. To search no further keeps the cost of cutting
        // one long line into many linear.
        let enough = self.bytes_max.saturating_add(unit).saturating_sub(self.carry.len());
        let window = enough.min(self.chunk.len());
        if let Some(at) = self.chunk.get(..window).and_then(|text| self.charset.find_newline(text)) {
            let rest = self.chunk.split_to(at);
            if self.chars_max.is_some() && self.is_line_too_long(&rest) {
                // The line feed stays for what is left behind the cut.
                self.carry.extend_from_slice(&rest);
                return Some(self.cut());
            }
            self.chunk.advance(unit);
            let body = if self.carry.is_empty() {
                rest
            } else {
                self.carry.extend_from_slice(&rest);
                std::mem::take(&mut self.carry).freeze()
            };
            return Some(Found::Line(self.line(body, unit, LineEnd::Newline)));
        }
        if window < enough {
            self.carry.extend_from_slice(&self.chunk);
            self.chunk.clear();
            return None;
        }
        if !self.carry.is_empty() || self.overlong == Overlong::Drop {
            self.carry.extend_from_slice(&self.chunk.split_to(window));
        }
        Some(self.cut())
    }

    /// Cuts the line in progress, which is all in `carry` or all in `chunk` and too long.
    fn cut(&mut self) -> Found {
        let whole_in_carry = !self.carry.is_empty();
        let text: &[u8] = if whole_in_carry { &self.carry } else { &self.chunk };
        if self.overlong == Overlong::Drop {
            let seen = text.len() as u64;
            self.carry.clear();
            self.skip = Some(Skip { body: None, seen });
            return Found::Nothing;
        }
        // Behind this much nobody looked for a line feed.
        let text = text.get(..self.bytes_max.saturating_add(self.charset.unit())).unwrap_or(text);
        let counted = self.chars_max.map(|max| self.charset.cut_chars(text, max, self.invalid));
        let cut = match counted {
            Some(cut) if cut <= self.bytes_max => cut,
            // Bytes without a maximum in characters, or too many that do not count.
            _ => self.charset.cut(text, self.bytes_max),
        };
        let body = if whole_in_carry {
            let mut line = std::mem::take(&mut self.carry);
            // The few bytes behind the cut move, so that the next line does not share a buffer with this one.
            self.carry.extend_from_slice(&line.split_off(cut));
            line.freeze()
        } else {
            self.chunk.split_to(cut)
        };
        if self.overlong == Overlong::Split {
            return Found::Line(self.line(body, 0, LineEnd::Split));
        }
        let behind = std::mem::take(&mut self.carry);
        let seen = (body.len() + behind.len()) as u64;
        self.skip = Some(Skip { body: Some(body), seen });
        Found::Nothing
    }

    fn skip_on(&mut self) -> Option<Found> {
        let unit = self.charset.unit();
        let mut skip = self.skip.take()?;
        if !self.carry.is_empty() {
            let Some(half) = self.take_half() else {
                self.skip = Some(skip);
                return None;
            };
            self.carry.extend_from_slice(&half);
            let pair = std::mem::take(&mut self.carry);
            if self.charset.find_newline(&pair).is_some() {
                return Some(self.end_skip(skip, unit));
            }
            skip.seen += pair.len() as u64;
        }
        if let Some(at) = self.charset.find_newline(&self.chunk) {
            self.chunk.advance(at + unit);
            skip.seen += at as u64;
            return Some(self.end_skip(skip, unit));
        }
        let whole = self.chunk.len() / unit * unit;
        skip.seen += whole as u64;
        self.chunk.advance(whole);
        self.carry.extend_from_slice(&self.chunk);
        self.chunk.clear();
        self.skip = Some(skip);
        None
    }

    fn end_skip(&mut self, skip: Skip, newline: usize) -> Found {
        let start = self.start;
        self.start = self.start.saturating_add(skip.seen + newline as u64);
        let Some(body) = skip.body else {
            self.dropped_lines += 1;
            return Found::Nothing;
        };
        let lost = skip.seen - body.len() as u64;
        Found::Line(Line { body, start, next: self.start, end: LineEnd::Truncated { lost } })
    }

    fn line(&mut self, body: Bytes, newline: usize, end: LineEnd) -> Line {
        let start = self.start;
        self.start = self.start.saturating_add((body.len() + newline) as u64);
        Line { body, start, next: self.start, end }
    }

    fn is_too_long(&self, text: &[u8]) -> bool {
        // A unit takes a byte at least.
        let over_chars = |max| text.len() > max && self.charset.cut_chars(text, max, self.invalid) < text.len();
        text.len() > self.bytes_max || self.chars_max.is_some_and(over_chars)
    }

    /// Whether the line in progress is, with what follows of it in `rest`.
    fn is_line_too_long(&self, rest: &[u8]) -> bool {
        if self.carry.is_empty() {
            self.is_too_long(rest)
        } else {
            let max = self.chars_max.unwrap_or(self.bytes_max);
            self.carry.len() + rest.len() > max && self.is_too_long(&[&self.carry, rest].concat())
        }
    }

    /// The byte that completes a code unit.
    fn take_half(&mut self) -> Option<Bytes> {
        (!self.chunk.is_empty()).then(|| self.chunk.split_to(1))
    }
}

enum Found {
    Line(Line),
    Nothing,
}

#[cfg(test)]
mod tests;
