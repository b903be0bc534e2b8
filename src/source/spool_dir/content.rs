//! What is made of the bytes of a file.

use bytes::{Bytes, BytesMut};

use super::settings::{Checked, LineUnit, Settings};
use super::{Deserializer, SpoolProblem};
use crate::codec::charset::Charset;
use crate::codec::line::{LineEnd, LineFramer};
use crate::codec::multi_line::MultiLineFramer;

/// Takes events out of the bytes of one file, which come in pieces.
#[derive(Debug)]
pub(super) enum Content {
    Lines(LineFramer),
    MultiLine(Box<MultiLineFramer>),
    Blob(Blob),
    #[cfg(feature = "avro")]
    Avro(Box<super::avro::Container>),
}

/// One event, before it is decoded.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) body: Bytes,
    /// Where it begins.
    pub(super) start: u64,
    /// Bytes of it that are missing, if it was too long.
    pub(super) lost: Option<u64>,
}

/// What follows cannot be read, whatever comes.
#[derive(Debug)]
#[cfg_attr(not(feature = "avro"), allow(dead_code))] // a text can always be read
pub(super) struct Unusable(pub(super) SpoolProblem);

impl Content {
    /// The content of a text or of whole files, from `start` on.
    pub(super) fn new(charset: Charset, start: u64, settings: &Checked) -> Self {
        let given = &settings.given;
        match &given.deserializer {
            Deserializer::MultiLine(lines) => {
                Self::MultiLine(Box::new(MultiLineFramer::new(lines.clone(), charset, start)))
            }
            Deserializer::Blob { bytes_max } => {
                Self::Blob(Blob { bytes_max: *bytes_max, held: BytesMut::new(), start })
            }
            _ => Self::Lines(framer(charset, given).starting_at(start)),
        }
    }

    pub(super) fn push(&mut self, piece: Bytes) {
        match self {
            Self::Lines(lines) => lines.push(piece),
            Self::MultiLine(lines) => lines.push(piece),
            Self::Blob(blob) => blob.held.extend_from_slice(&piece),
            #[cfg(feature = "avro")]
            Self::Avro(container) => container.push(&piece),
        }
    }

    /// The next event that is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Unit>, Unusable> {
        Ok(match self {
            Self::Lines(lines) => lines.next_line().map(Unit::from),
            Self::MultiLine(lines) => lines.next_event().map(|event| Unit::whole(event.body, event.start)),
            Self::Blob(blob) => blob.next(),
            #[cfg(feature = "avro")]
            Self::Avro(container) => return container.next(),
        })
    }

    /// What is left at the end of the file. Call it until it returns nothing.
    pub(super) fn finish(&mut self) -> Result<Option<Unit>, Unusable> {
        Ok(match self {
            Self::Lines(lines) => lines.finish().map(Unit::from),
            Self::MultiLine(lines) => lines.finish().map(|event| Unit::whole(event.body, event.start)),
            Self::Blob(blob) => blob.finish(),
            #[cfg(feature = "avro")]
            Self::Avro(container) => return container.finish(),
        })
    }

    /// Whether `finish` has nothing more to do in a file that was read up to `at`.
    pub(super) fn is_finished(&self, at: u64) -> bool {
        match self {
            #[cfg(feature = "avro")]
            Self::Avro(container) => container.is_finished(),
            _ => self.buffered_bytes() == 0 && self.offset() >= at,
        }
    }

    /// Whether a file without any bytes is an event without any.
    pub(super) fn has_empty_events(&self) -> bool {
        match self {
            #[cfg(feature = "avro")]
            Self::Avro(_) => false,
            _ => true,
        }
    }

    /// Where reading goes on in the file, so that nothing that was handed over comes again and nothing else is missed.
    pub(super) fn offset(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.offset(),
            Self::MultiLine(lines) => lines.offset(),
            Self::Blob(blob) => blob.start,
            #[cfg(feature = "avro")]
            Self::Avro(container) => container.offset(),
        }
    }

    /// Events behind that place that were handed over already.
    pub(super) fn within(&self) -> u64 {
        match self {
            #[cfg(feature = "avro")]
            Self::Avro(container) => container.within(),
            _ => 0,
        }
    }

    /// Bytes held.
    pub(super) fn buffered_bytes(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.buffered_bytes(),
            Self::MultiLine(lines) => lines.buffered_bytes(),
            Self::Blob(blob) => blob.held.len(),
            #[cfg(feature = "avro")]
            Self::Avro(container) => container.buffered_bytes(),
        }
    }

    /// Events that were dropped for their length.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.dropped_lines(),
            _ => 0,
        }
    }
}

impl Unit {
    pub(super) fn whole(body: Bytes, start: u64) -> Self {
        Self { body, start, lost: None }
    }
}

impl From<crate::codec::line::Line> for Unit {
    fn from(line: crate::codec::line::Line) -> Self {
        let lost = match line.end {
            LineEnd::Truncated { lost } => Some(lost),
            _ => None,
        };
        Self { body: line.body, start: line.start, lost }
    }
}

/// A file, or as much of it as fits into one event.
#[derive(Debug)]
pub(super) struct Blob {
    bytes_max: usize,
    held: BytesMut,
    start: u64,
}

impl Blob {
    fn next(&mut self) -> Option<Unit> {
        (self.held.len() >= self.bytes_max).then(|| self.cut(self.bytes_max))
    }

    fn finish(&mut self) -> Option<Unit> {
        let left = self.held.len();
        self.next().or_else(|| (left > 0).then(|| self.cut(left)))
    }

    fn cut(&mut self, bytes: usize) -> Unit {
        let unit = Unit::whole(self.held.split_to(bytes).freeze(), self.start);
        self.start += bytes as u64;
        unit
    }
}

fn framer(charset: Charset, given: &Settings) -> LineFramer {
    match given.line_unit {
        LineUnit::Bytes => LineFramer::new(charset, given.line_max, given.overlong),
        LineUnit::Chars => {
            LineFramer::with_chars_max(charset, given.line_max, given.overlong).decode_error(given.decode_error)
        }
    }
}
