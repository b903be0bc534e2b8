//! One open spool file.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::content::{Content, Unit, Unusable};
#[cfg(feature = "avro")]
use super::deserializer::Deserializer;
use super::position::{Kept, Place};
use super::report::SpoolProblem;
use super::settings::Checked;
use crate::codec::charset::{Charset, DecodeError};
use crate::event::{Event, Headers};
use crate::source::PullBatch;
use crate::source::files::{Budget, HEAD_BYTES_MAX, Mark, Pieces, escaped, is_gone, read_up_to};
use crate::vfs::{Metadata, OpenMode, Vfs, VfsFile};

/// Where reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The batch or the budget is full; there may be more.
    Full,
    /// All that the file had when it was last looked at is read, but the last event may be without an end.
    End,
}

/// Why reading cannot go on; events before it are in the batch.
#[derive(Debug)]
pub(super) enum Trouble {
    /// From this offset on the file is not what it should be.
    Undecodable { resume: u64, problem: SpoolProblem },
    /// The file cannot be read.
    Unreadable(io::Error),
}

/// A file being read.
#[derive(Debug)]
pub(super) struct SpoolFile {
    pub(super) rel: PathBuf,
    /// As of the opening, or of the last change that was noticed.
    pub(super) mark: Mark,
    /// Length and time as of an earlier reading that found the file changing; it must still have them to be complete.
    pub(super) settling: Option<Mark>,
    /// It grew while it was open.
    pub(super) has_changed: bool,
    pieces: Pieces,
    // The first bytes, up to what belongs to the identity.
    head: Bytes,
    content: Content,
    // Of the events that it has dropped.
    counted: u64,
    charset: Charset,
    decode_error: DecodeError,
    headers: Headers,
    truncated_header: Option<String>,
    // Whether there was nothing but perhaps a byte order mark so far.
    is_blank: bool,
    skips_empty: bool,
}

impl SpoolFile {
    /// Opens a file at its beginning, or where `kept` says, if it is still that file. `None` if it vanished or is another
    /// than `listed` by now.
    pub(super) fn open(
        rel: &Path,
        listed: &Metadata,
        kept: Option<&Kept>,
        settings: &Checked,
        vfs: &dyn Vfs,
    ) -> Result<Option<Self>, io::Error> {
        let file = match vfs.open(&settings.path(rel), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.id != listed.id {
            return Ok(None);
        }
        let given = &settings.given;
        let len = usize::try_from(metadata.len).unwrap_or(usize::MAX);
        // A small file is read at once, and no more memory is taken for it than it needs.
        let first = read_up_to(&*file, len.min(given.read_bytes.max(HEAD_BYTES_MAX)))?;
        let resume = kept.filter(|kept| {
            let place = &kept.place;
            place.mark.begins_with(&first) && place.offset <= metadata.len
        });
        let (charset, text_start) = settings.charset.of_text(&first);
        let start = resume.map_or(0, |kept| kept.place.offset).max(text_start as u64);
        let within = resume.map_or(0, |kept| kept.place.within);
        let mut headers = headers(settings, rel)?;
        let (content, start) = content(&*file, &first, charset, start, within, settings, &mut headers)?;
        let mut opened = Self {
            rel: rel.to_path_buf(),
            mark: Mark::new(&metadata, &first),
            settling: resume.map(|kept| kept.place.mark),
            has_changed: false,
            pieces: Pieces::new(file, given.read_bytes, start),
            head: first.slice(..first.len().min(HEAD_BYTES_MAX)),
            is_blank: content.has_empty_events() && start == text_start as u64,
            content,
            counted: 0,
            charset,
            decode_error: given.decode_error,
            headers,
            truncated_header: given.truncated_header.clone(),
            skips_empty: given.skip_empty_files,
        };
        if let Ok(start) = usize::try_from(start)
            && start < first.len()
            && given.read_bytes >= HEAD_BYTES_MAX
        {
            let rest = first.slice(start..);
            opened.pieces.pass(rest.len());
            opened.take(rest);
        }
        Ok(Some(opened))
    }

    /// Where the first event that was not handed over is.
    pub(super) fn place(&self) -> Place {
        let (offset, within) = (self.content.offset(), self.content.within());
        Place { mark: self.mark, rel: self.rel.clone(), offset, within }
    }

    /// The place of something that cannot be decoded. Only what comes before it identifies the file: what is there is to be
    /// mended.
    pub(super) fn place_before(&self, offset: u64) -> Place {
        let before = usize::try_from(offset).ok().and_then(|offset| self.head.get(..offset));
        let mark = self.mark.with_head(before.unwrap_or(&self.head));
        Place { mark, rel: self.rel.clone(), offset, within: self.content.within() }
    }

    /// Events dropped for their length since the last call.
    pub(super) fn newly_dropped(&mut self) -> u64 {
        let dropped = self.content.dropped();
        dropped - std::mem::replace(&mut self.counted, dropped)
    }

    /// Moves events into the batch.
    pub(super) fn read(&mut self, out: &mut PullBatch, budget: &mut Budget) -> Result<Stop, Trouble> {
        loop {
            while out.room() > 0 && budget.body_bytes > 0 {
                let Some(unit) = self.content.next()? else { break };
                self.hand_over(unit, out, budget)?;
            }
            let is_full = out.room() == 0 || budget.body_bytes == 0;
            if is_full && (self.content.buffered_bytes() > 0 || self.pieces.at() < self.mark.len) {
                return Ok(Stop::Full);
            }
            if self.pieces.at() >= self.mark.len {
                return Ok(Stop::End);
            }
            if budget.read_bytes == 0 {
                return Ok(Stop::Full);
            }
            let piece = self.pieces.next(self.mark.len, budget).map_err(Trouble::Unreadable)?;
            if piece.is_empty() {
                return Ok(Stop::End);
            }
            self.take(piece);
        }
    }

    /// What the file is now, and how many bytes of it are read.
    pub(super) fn look(&self) -> io::Result<(Metadata, u64)> {
        Ok((self.pieces.metadata()?, self.pieces.at()))
    }

    /// Hands over the last event, which has no end of its own; an empty file is one empty event, unless those are skipped. Returns whether all is done;
    /// if not, the batch is full.
    pub(super) fn finish(&mut self, out: &mut PullBatch, budget: &mut Budget) -> Result<bool, Trouble> {
        while !self.content.is_finished(self.pieces.at()) {
            if out.room() == 0 {
                return Ok(false);
            }
            let Some(unit) = self.content.finish()? else { break };
            self.hand_over(unit, out, budget)?;
        }
        if self.is_blank && !self.skips_empty {
            if out.room() == 0 {
                return Ok(false);
            }
            out.push(Event::from_parts(self.headers.clone(), Bytes::new()));
            self.is_blank = false;
        }
        Ok(true)
    }

    fn take(&mut self, piece: Bytes) {
        self.is_blank = false;
        self.content.push(piece);
    }

    fn hand_over(&mut self, unit: Unit, out: &mut PullBatch, budget: &mut Budget) -> Result<(), Trouble> {
        let raw = unit.body.clone();
        let body = self.charset.decode(unit.body, self.decode_error).map_err(|malformed| {
            let shown = malformed.len.min(SHOWN_BYTES_MAX);
            let bytes = raw.get(malformed.at..malformed.at + shown).unwrap_or_default().to_vec();
            let offset = unit.start + malformed.at as u64;
            let problem = SpoolProblem::Undecodable { offset, bytes, charset: malformed.charset };
            Trouble::Undecodable { resume: unit.start, problem }
        })?;
        budget.body_bytes = budget.body_bytes.saturating_sub(body.len());
        let mut event = Event::from_parts(self.headers.clone(), body);
        if let (Some(lost), Some(key)) = (unit.lost, &self.truncated_header) {
            let inserted = event.headers_mut().insert(key, &lost.to_string());
            inserted.map_err(|error| Trouble::Unreadable(io::Error::other(error)))?;
        }
        out.push(event);
        Ok(())
    }
}

fn headers(settings: &Checked, rel: &Path) -> io::Result<Headers> {
    let mut headers = Headers::new();
    let name = rel.file_name().unwrap_or_default();
    for (key, value) in [
        (&settings.given.file_header, settings.absolute_dir.join(rel).as_os_str().as_bytes()),
        (&settings.given.basename_header, name.as_bytes()),
    ] {
        if let Some(key) = key {
            headers.insert(key, &escaped(value)).map_err(io::Error::other)?;
        }
    }
    Ok(headers)
}

const SHOWN_BYTES_MAX: usize = 16;

/// The content of a file that is read from `start` on, and where reading begins; headers that tell of it are added.
fn content(
    file: &dyn VfsFile,
    first: &Bytes,
    charset: Charset,
    start: u64,
    within: u64,
    settings: &Checked,
    headers: &mut Headers,
) -> io::Result<(Content, u64)> {
    #[cfg(feature = "avro")]
    if let Deserializer::Avro(schema) = &settings.given.deserializer {
        let (container, start) = super::avro::Container::open(file, first, start, within)?;
        container.tell_schema(*schema, headers)?;
        return Ok((Content::Avro(Box::new(container)), start));
    }
    #[cfg(not(feature = "avro"))]
    let _ = (file, first, within, headers);
    Ok((Content::new(charset, start, settings), start))
}

impl From<Unusable> for Trouble {
    fn from(Unusable(problem): Unusable) -> Self {
        let resume = match &problem {
            SpoolProblem::Malformed { offset, .. } => *offset,
            _ => 0,
        };
        Self::Undecodable { resume, problem }
    }
}
