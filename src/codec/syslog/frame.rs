//! Messages on a stream, as RFC 6587 puts them there.

use crate::codec::charset::Charset;
use crate::codec::line::Overlong;

/// One message of a stream, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Its bytes, without the count or the newline that framed them. Never empty.
    pub message: &'a [u8],
    /// What ended it.
    pub end: FrameEnd,
}

/// What ended a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameEnd {
    /// Its newline or its last octet: it is complete.
    Whole,
    /// The maximum length: it goes on, and what follows of it is the next message, or skipped.
    Cut,
    /// The end of the stream.
    Eof,
}

/// Finds the messages in a stream that arrives in pieces.
///
/// Both ways of RFC 6587 are understood, and each message may come in either: a message that begins with a number, a blank
/// and `<` has so many octets; any other goes up to the next newline. Empty lines, and newlines behind counted messages, are
/// passed over; a newline as the last octet of a counted message is not part of it.
///
/// Never more than the longest message and one piece is held. What is found does not depend on how the stream is cut into
/// pieces.
///
/// ```
/// use aqueduct::codec::charset::Charset;
/// use aqueduct::codec::line::Overlong;
/// use aqueduct::codec::syslog::SyslogFramer;
///
/// let mut framer = SyslogFramer::new(Charset::UTF_8, 1024, Overlong::Split);
/// let mut found = Vec::new();
/// for piece in ["<13>one\n8 <13", ">two!<13>thr", "ee\n"] {
///     framer.push(piece.as_bytes());
///     while let Some(frame) = framer.next_frame() {
///         found.push(String::from_utf8_lossy(frame.message).into_owned());
///     }
/// }
/// assert_eq!(found, ["<13>one", "<13>two!", "<13>three"]);
/// ```
#[derive(Debug)]
pub struct SyslogFramer {
    charset: Charset,
    bytes_max: usize,
    overlong: Overlong,
    buffer: Vec<u8>,
    // What lies before it in the buffer was handed out or skipped.
    at: usize,
    // So many bytes from there on are known to hold no newline.
    searched: usize,
    state: State,
    dropped: usize,
}

/// Where in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a message.
    Start,
    /// In a message that ends with a newline.
    Line,
    /// In a message of which so many octets are still to be handed out.
    Counted(usize),
    /// In the rest of a message that ends with a newline and is not wanted.
    SkipLine,
    /// In the rest, of so many octets, of a message that is not wanted.
    SkipCounted(usize),
}

/// How the next message is framed.
enum Framing {
    Line,
    Counted { head: usize, octets: usize },
    Undecided,
}

/// What one step through the buffer found.
enum Step {
    /// Only that there is another step to make.
    On,
    /// A message at the place in hand, what to pass over behind it, and what ended it.
    Frame { len: usize, behind: usize, end: FrameEnd },
    /// The end of what is here.
    More,
}

impl SyslogFramer {
    /// A framer for messages of at most `bytes_max` bytes (or 10, if that is less) in an encoding that contains ASCII. A
    /// longer one is treated as `overlong` says, and never cut within a character.
    #[must_use]
    pub fn new(charset: Charset, bytes_max: usize, overlong: Overlong) -> Self {
        Self {
            charset,
            bytes_max: bytes_max.max(MESSAGE_BYTES_MIN),
            overlong,
            buffer: Vec::new(),
            at: 0,
            searched: 0,
            state: State::Start,
            dropped: 0,
        }
    }

    /// Adds the next piece of the stream. Call [`next_frame`](Self::next_frame) until there is none first.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        let needed = self.buffer.len() + piece.len();
        if needed > self.buffer.capacity() {
            // Doubles, but not beyond what can ever be held.
            let most = self.bytes_max.saturating_add(piece.len()).max(needed);
            let capacity = (self.buffer.capacity() * 2).clamp(needed, most);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer.extend_from_slice(piece);
    }

    /// The next message, or `None` if more of the stream is needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        loop {
            let step = match self.state {
                State::Start => self.start(),
                State::Line => self.line(),
                State::Counted(octets) => self.counted(octets),
                State::SkipLine => self.skip_line(),
                State::SkipCounted(octets) => self.skip_counted(octets),
            };
            match step {
                Step::On => {}
                Step::More => return None,
                Step::Frame { len, behind, end } => {
                    let start = self.at;
                    self.pass(len + behind);
                    if len > 0 {
                        return self.frame(start, len, end);
                    }
                }
            }
        }
    }

    /// What is left of a message at the end of the stream.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        if let State::SkipLine | State::SkipCounted(_) = self.state {
            self.pass(self.rest().len());
        }
        self.state = State::Start;
        let (start, len) = (self.at, self.rest().len());
        self.pass(len);
        if len == 0 { None } else { self.frame(start, len, FrameEnd::Eof) }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        self.state != State::Start || !self.rest().is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.rest().len()
    }

    /// Messages that were dropped because they were too long, since this was asked last.
    pub fn take_dropped_messages(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        self.searched = 0;
    }

    fn frame(&self, start: usize, len: usize, end: FrameEnd) -> Option<Frame<'_>> {
        Some(Frame { message: self.buffer.get(start..start + len)?, end })
    }

    fn start(&mut self) -> Step {
        let newlines = self.rest().iter().take_while(|byte| **byte == b'\n').count();
        self.pass(newlines);
        match framing(self.rest()) {
            Framing::Undecided => return Step::More,
            Framing::Line => self.state = State::Line,
            Framing::Counted { head, octets } => {
                self.pass(head);
                self.state = State::Counted(octets);
                if octets > self.bytes_max && self.overlong == Overlong::Drop {
                    self.dropped += 1;
                    self.state = State::SkipCounted(octets);
                }
            }
        }
        Step::On
    }

    fn line(&mut self) -> Step {
        let max = self.bytes_max;
        // With this much and no newline in it, the message is too long. It need not be searched any further.
        let window = self.rest();
        let window = window.get(..=max).unwrap_or(window);
        if let Some(at) = memchr::memchr(b'\n', window.get(self.searched..).unwrap_or_default()) {
            self.state = State::Start;
            return Step::Frame { len: self.searched + at, behind: 1, end: FrameEnd::Whole };
        }
        if window.len() <= max {
            self.searched = window.len();
            return Step::More;
        }
        if self.overlong == Overlong::Drop {
            self.dropped += 1;
            self.state = State::SkipLine;
            return Step::On;
        }
        if self.overlong == Overlong::Truncate {
            self.state = State::SkipLine;
        }
        Step::Frame { len: self.charset.cut(self.rest(), max), behind: 0, end: FrameEnd::Cut }
    }

    fn counted(&mut self, octets: usize) -> Step {
        let max = self.bytes_max;
        if octets <= max {
            let Some(message) = self.rest().get(..octets) else { return Step::More };
            let behind = usize::from(message.ends_with(b"\n"));
            self.state = State::Start;
            return Step::Frame { len: octets - behind, behind, end: FrameEnd::Whole };
        }
        if self.rest().len() <= max {
            return Step::More;
        }
        let len = self.charset.cut(self.rest(), max);
        let left = octets - len;
        self.state = if self.overlong == Overlong::Split { State::Counted(left) } else { State::SkipCounted(left) };
        Step::Frame { len, behind: 0, end: FrameEnd::Cut }
    }

    fn skip_line(&mut self) -> Step {
        let found = memchr::memchr(b'\n', self.rest());
        self.pass(found.map_or(self.rest().len(), |at| at + 1));
        if found.is_none() {
            return Step::More;
        }
        self.state = State::Start;
        Step::On
    }

    fn skip_counted(&mut self, octets: usize) -> Step {
        let here = octets.min(self.rest().len());
        self.pass(here);
        if here < octets {
            self.state = State::SkipCounted(octets - here);
            return Step::More;
        }
        self.state = State::Start;
        Step::On
    }
}

/// How a message is framed that begins with `head`.
fn framing(head: &[u8]) -> Framing {
    let digits = head.iter().take(COUNT_DIGITS_MAX).take_while(|byte| byte.is_ascii_digit()).count();
    let count = head.get(..digits).unwrap_or_default();
    match (count.first(), head.get(digits), head.get(digits + 1)) {
        (None, None, _) => Framing::Undecided,
        (None | Some(b'0'), ..) => Framing::Line,
        (_, None, _) | (_, Some(b' '), None) => Framing::Undecided,
        (_, Some(b' '), Some(b'<')) => {
            let octets = count.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            Framing::Counted { head: digits + 1, octets }
        }
        _ => Framing::Line,
    }
}

/// Digits of a count, at most; a longer number is text.
const COUNT_DIGITS_MAX: usize = 8;
/// The least that can be set as the longest message.
const MESSAGE_BYTES_MIN: usize = 10;

#[cfg(test)]
#[path = "tests/frame.rs"]
mod tests;
