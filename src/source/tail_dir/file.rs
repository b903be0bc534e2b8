//! One file that is followed.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::position::Place;
use super::report::TailProblem;
use super::seen::Seen;
use super::settings::{Checked, Settings};
use crate::codec::charset::Charset;
use crate::codec::line::{Line, LineEnd, LineFramer};
use crate::event::{Event, Headers};
use crate::limits::TAIL_COMPARED_BYTES_MAX;
use crate::source::PullBatch;
use crate::source::files::{Budget, Mark, Pieces, escaped, is_gone, read_range};
use crate::vfs::{FileId, OpenMode, Vfs};

/// A file that is followed, open or not.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(super) struct Tracked {
    pub(super) place: Place,
    /// A position of it was committed.
    pub(super) has_position: bool,
    /// The group in whose directory it was last seen.
    pub(super) dir: usize,
    /// Where it was last seen.
    pub(super) path: PathBuf,
    /// The directory that it was in when it was found by a symbolic link.
    pub(super) behind: Option<PathBuf>,
    pub(super) presence: Presence,
    /// When it was last found changed.
    pub(super) changed: Duration,
    /// Number of the look that last found it.
    pub(super) seen: u64,
    /// It waits for its turn.
    pub(super) is_queued: bool,
    /// It could not be read and is to be tried again, changed or not.
    pub(super) is_troubled: bool,
    /// It was reported as not readable, and was not read since.
    pub(super) is_unreadable: bool,
    /// Its last line is complete although it has no line feed.
    pub(super) is_ending: bool,
    pub(super) open: Option<OpenFile>,
    /// What all of its events have.
    pub(super) headers: Headers,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the directory of a group, under a name that the group matches.
    Listed,
    /// In the directory of a group, or in that behind a link, under another name: it was rotated away.
    Moved,
    /// Not found so many times, the first time at `since`. Perhaps it is removed, perhaps it was being renamed.
    Missing { since: Duration, looks: u32 },
}

/// The handle, and the line in progress.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// The higher, the later it was used.
    pub(super) stamp: u64,
    pieces: Pieces,
    framer: LineFramer,
    seen: Seen,
    // Of the lines that the framer has dropped.
    counted: u64,
}

/// Where reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The batch, the budget or the turn is full; there may be more.
    Full,
    /// All is read that was wanted, up to the last line feed.
    End,
}

/// Where lines go, and how many.
#[derive(Debug)]
pub(super) struct Room<'a> {
    pub(super) out: &'a mut PullBatch,
    pub(super) budget: &'a mut Budget,
    /// Events that this turn of the file may still hand over.
    pub(super) turn_events: &'a mut u64,
    pub(super) settings: &'a Settings,
}

impl Tracked {
    /// A file that was found at `path`.
    pub(super) fn new(place: Place, group: usize, path: PathBuf, settings: &Checked) -> io::Result<Self> {
        let mut headers = settings.groups.get(group).map(|group| group.headers.clone()).unwrap_or_default();
        if let Some(key) = &settings.given.file_header {
            headers.insert(key, &escaped(place.name.as_os_str().as_bytes())).map_err(io::Error::other)?;
        }
        // What lines add must fit for all of them.
        let mut full = headers.clone();
        for key in [&settings.given.byte_offset_header, &settings.given.truncated_header].into_iter().flatten() {
            full.insert(key, &u64::MAX.to_string()).map_err(io::Error::other)?;
        }
        Ok(Self {
            place,
            has_position: false,
            dir: group,
            path,
            behind: None,
            presence: Presence::Listed,
            changed: Duration::ZERO,
            seen: 0,
            is_queued: false,
            is_troubled: false,
            is_unreadable: false,
            is_ending: false,
            open: None,
            headers,
        })
    }

    /// What the file holds now belongs to another file than what was read: it counts as found where it is.
    pub(super) fn renew(&mut self, settings: &Checked) {
        // Behind a link it has no name that belongs to a group.
        let is_outside = self.presence == Presence::Moved && self.behind.is_some();
        let name = if is_outside { self.place.name.clone() } else { self.path.clone() };
        let place = Place { name, ..self.place.clone() };
        if let Ok(renewed) = Self::new(place, self.dir, self.path.clone(), settings) {
            self.place = renewed.place;
            self.headers = renewed.headers;
        }
    }

    /// Bytes that it had when it was last looked at and that are not handed over.
    pub(super) fn unread_bytes(&self) -> u64 {
        self.place.mark.len.saturating_sub(self.place.offset)
    }

    /// Bytes of lines in progress that are held.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.framer.buffered_bytes())
    }

    /// Lines that were dropped for their length since the last call.
    pub(super) fn newly_dropped(&mut self) -> u64 {
        let Some(open) = &mut self.open else { return 0 };
        let dropped = open.framer.dropped_lines();
        dropped - std::mem::replace(&mut open.counted, dropped)
    }

    /// Looks at the open file: how long it is, and whether it still holds what was read. If not, it is to be read from its
    /// beginning; if only the unfinished line is another one, from there.
    pub(super) fn check(&mut self, now: Duration, settings: &Settings) -> io::Result<Option<TailProblem>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let metadata = open.pieces.metadata()?;
        let place = &mut self.place;
        // Its number was given to another file.
        let is_another = !place.mark.is_of(&metadata);
        if !place.mark.is_unchanged(&metadata) {
            place.mark = place.mark.updated(&metadata);
            self.changed = now;
            self.is_ending = false;
        }
        let read = place.offset;
        let recognised = if metadata.len < read || (is_another && read > 0) {
            None
        } else {
            place.recognised(open.pieces.file())?
        };
        if is_another {
            place.mark = Mark { created: 0, ..place.mark }.updated(&metadata);
        }
        let problem = match &recognised {
            Some(_) => None,
            None if metadata.len < read => Some(TailProblem::Truncated { from: read, to: metadata.len }),
            None => Some(TailProblem::Rewritten { read }),
        };
        if problem.is_some() {
            place.restart();
        }
        if problem.is_some() || open.pieces.at() > metadata.len || !open.holds_unfinished()? {
            open.go_back(place.offset, settings);
        }
        open.seen.begin_behind(&recognised.unwrap_or_default());
        Ok(problem)
    }

    /// Hands lines over, from what the file has before `end`.
    pub(super) fn read(&mut self, end: u64, room: &mut Room<'_>) -> io::Result<Stop> {
        let Some(open) = &mut self.open else { return Ok(Stop::End) };
        let stop = open.read(end, &mut self.place, &self.headers, room);
        // Also behind lines that were dropped.
        open.pass(&mut self.place);
        if matches!(stop, Ok(Stop::End)) {
            open.seen.fold();
        }
        stop
    }

    /// Hands over the last line, which has no line feed.
    pub(super) fn end(&mut self, room: &mut Room<'_>) -> io::Result<Stop> {
        let Some(open) = &mut self.open else { return Ok(Stop::End) };
        let mut stop = Stop::End;
        while open.framer.offset() < open.pieces.at() {
            if room.is_full() {
                stop = Stop::Full;
                break;
            }
            let Some(line) = open.framer.finish() else { break };
            hand_over(line, &mut self.place, &self.headers, room)?;
        }
        open.pass(&mut self.place);
        Ok(stop)
    }

    /// Notes by what the file is recognised, of which nothing is read yet.
    pub(super) fn note_content(&mut self) {
        if let Some(open) = &self.open {
            self.place.note_content(open.pieces.file());
        }
    }
}

impl OpenFile {
    /// Opens the file with this identity; `None` if there is another one, or none.
    pub(super) fn open(
        path: &Path,
        id: FileId,
        offset: u64,
        stamp: u64,
        settings: &Settings,
        vfs: &dyn Vfs,
    ) -> io::Result<Option<Self>> {
        let file = match vfs.open(path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.id != id {
            return Ok(None);
        }
        let pieces = Pieces::new(file, settings.read_bytes, offset);
        Ok(Some(Self { stamp, pieces, framer: framer(offset, settings), seen: Seen::new(offset), counted: 0 }))
    }

    fn go_back(&mut self, offset: u64, settings: &Settings) {
        self.pieces.seek(offset);
        self.framer = framer(offset, settings);
        self.seen = Seen::new(offset);
        self.counted = 0;
    }

    /// Whether the file still holds what was read and is not handed over: its unfinished line may have been written anew.
    /// Of a long one the end is compared.
    fn holds_unfinished(&self) -> io::Result<bool> {
        let at = self.pieces.at();
        let len = usize::try_from(at - self.framer.offset()).unwrap_or(usize::MAX);
        let held = self.seen.before(at, len.min(TAIL_COMPARED_BYTES_MAX));
        Ok(held.is_empty() || read_range(self.pieces.file(), at - held.len() as u64, held.len())? == held)
    }

    /// What is handed over is passed.
    fn pass(&mut self, place: &mut Place) {
        place.pass(self.framer.offset(), &mut self.seen, self.pieces.file());
    }

    fn read(&mut self, end: u64, place: &mut Place, headers: &Headers, room: &mut Room<'_>) -> io::Result<Stop> {
        loop {
            while !room.is_full() {
                let Some(line) = self.framer.next_line() else { break };
                hand_over(line, place, headers, room)?;
            }
            if room.is_full() && (self.framer.buffered_bytes() > 0 || self.pieces.at() < end) {
                return Ok(Stop::Full);
            }
            if self.pieces.at() >= end {
                return Ok(Stop::End);
            }
            if room.budget.read_bytes == 0 {
                return Ok(Stop::Full);
            }
            // Before another piece is there.
            self.pass(place);
            let piece = self.pieces.next(end, room.budget)?;
            if piece.is_empty() {
                // It was cut just now, which the next look finds.
                return Ok(Stop::End);
            }
            self.seen.push(&piece);
            self.framer.push(piece);
        }
    }

    /// What the file is now.
    pub(super) fn metadata(&self) -> io::Result<crate::vfs::Metadata> {
        self.pieces.metadata()
    }
}

impl Room<'_> {
    pub(super) fn is_full(&self) -> bool {
        self.out.room() == 0 || self.budget.body_bytes == 0 || *self.turn_events == 0
    }
}

fn framer(offset: u64, settings: &Settings) -> LineFramer {
    LineFramer::new(Charset::BYTES, settings.line_bytes_max, settings.overlong).starting_at(offset)
}

fn hand_over(line: Line, place: &mut Place, headers: &Headers, room: &mut Room<'_>) -> io::Result<()> {
    let continues = std::mem::replace(&mut place.continues, line.end == LineEnd::Split);
    let mut body = line.body;
    if line.end == LineEnd::Newline && body.ends_with(b"\r") {
        body.truncate(body.len() - 1);
        // Of a line that was cut just before its carriage return nothing is left.
        if continues && body.is_empty() {
            return Ok(());
        }
    }
    room.budget.body_bytes = room.budget.body_bytes.saturating_sub(body.len());
    *room.turn_events -= 1;
    let headers = match &room.settings.byte_offset_header {
        None => headers.clone(),
        // As in Flume, the offset comes first, and a header of the group with its name counts.
        Some(key) => {
            let mut all = Headers::new();
            all.insert(key, &line.start.to_string()).map_err(io::Error::other)?;
            for (key, value) in headers {
                all.insert(key, value).map_err(io::Error::other)?;
            }
            all
        }
    };
    let mut event = Event::from_parts(headers, body);
    if let (LineEnd::Truncated { lost }, Some(key)) = (line.end, &room.settings.truncated_header) {
        event.headers_mut().insert(key, &lost.to_string()).map_err(io::Error::other)?;
    }
    room.out.push(event);
    Ok(())
}
