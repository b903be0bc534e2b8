//! The opened source: whose turn it is, and what is committed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::file::{OpenFile, Presence, Room, Stop, Tracked};
use super::look::{Listing, Restored};
use super::position::{FILE_PREFIX, Place, TAKEN_KEY, key, number};
use super::position_file::PositionFile;
use super::report::TailProblem;
use super::settings::Checked;
use crate::clock::Clock;
use crate::limits::{
    POSITIONS_PER_TRANSACTION_MAX, SPOOL_BATCH_BYTES_MAX, SPOOL_POLL_BYTES_MAX, TAIL_BUFFERED_BYTES_MAX,
};
use crate::shutdown::Shutdown;
use crate::source::files::{Budget, Watch};
use crate::source::{PullBatch, Pulled, SourceContext, SourceCounters, SourceError};
use crate::vfs::{FileId, Vfs};

pub(super) type Reporter = crate::source::files::Reporter<TailProblem>;

/// The state between `open` and the next error.
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(super) struct Run {
    pub(super) settings: Checked,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<SourceCounters>,
    /// By the number in the key of their position.
    pub(super) files: BTreeMap<u64, Tracked>,
    pub(super) by_id: HashMap<FileId, u64>,
    pub(super) next_number: u64,
    /// Places of files that were not found since the start.
    pub(super) restored: Restored,
    pub(super) listings: Vec<Listing>,
    /// Groups whose directory is to be looked at before the next look at all.
    pub(super) stale: BTreeSet<usize>,
    pub(super) looks: u64,
    pub(super) next_look: Duration,
    /// Files whose position is to be set or, if they are not there any more, cleared, although no event goes with it.
    pub(super) unsaved: BTreeSet<u64>,
    /// Where the files end that were there when the source was first opened and are to be passed over. Empty once that is
    /// committed.
    pub(super) skipped: HashMap<FileId, u64>,
    /// Files that are new are to be passed over.
    pub(super) skips_new: bool,
    // Files with something to read, the first in line first.
    ready: VecDeque<u64>,
    turn: Option<Turn>,
    // Open files by their stamp, the longest unused first.
    opened: BTreeMap<u64, u64>,
    next_stamp: u64,
    buffered_bytes: usize,
    // Events that were dropped for their length within the batch that is being filled or committed.
    dropped: u64,
    watch: Option<Watch>,
    shutdown: Shutdown,
    position_file: Option<PositionFile>,
    // The positions of what was found at the start are not written yet, and nothing is read before that.
    is_starting: bool,
    // The position file of an earlier collector is read, which is still to be committed.
    has_taken_over: bool,
}

/// A file's turn.
struct Turn {
    number: u64,
    // Where the file ended when its turn began: what comes later waits for the next turn.
    end: Option<u64>,
    events_left: u64,
}

enum Visit {
    /// The batch or the budget is full.
    Full,
    /// The turn is over.
    Over,
}

impl Run {
    /// Takes up where the committed positions say.
    pub(super) fn open(
        settings: Checked,
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        context: &SourceContext,
        skipped: Option<HashMap<FileId, u64>>,
        reporter: &mut Reporter,
    ) -> Result<Self, SourceError> {
        let is_first = skipped.is_none();
        let mut restored = Restored::default();
        let mut next_number = 0;
        for (key, value) in context.positions(FILE_PREFIX) {
            let number = number(&key).ok_or_else(|| bad_position(&key))?;
            let place = Place::decode(&value).ok_or_else(|| bad_position(&key))?;
            next_number = next_number.max(number.saturating_add(1));
            restored.add(number, place, true);
        }
        let position_file = PositionFile::of(&settings.given);
        let mut has_taken_over = false;
        if let Some(file) = &position_file
            && context.position(TAKEN_KEY).is_none()
        {
            for place in file.take_over(&*vfs)? {
                restored.add(next_number, place, false);
                next_number += 1;
            }
            has_taken_over = true;
        }
        let listings = settings.groups.iter().map(|_| Listing::default()).collect();
        let watch = if settings.given.notify { Watch::new().ok() } else { None };
        let mut run = Self {
            vfs,
            counters: context.counters().clone(),
            files: BTreeMap::new(),
            by_id: HashMap::new(),
            next_number,
            restored,
            listings,
            stale: BTreeSet::new(),
            looks: 0,
            next_look: Duration::ZERO,
            unsaved: BTreeSet::new(),
            skips_new: is_first && settings.given.skip_to_end,
            skipped: skipped.unwrap_or_default(),
            ready: VecDeque::new(),
            turn: None,
            opened: BTreeMap::new(),
            next_stamp: 0,
            buffered_bytes: 0,
            dropped: 0,
            watch,
            shutdown: context.shutdown().clone(),
            position_file,
            is_starting: true,
            has_taken_over,
            clock,
            settings,
        };
        run.begin(is_first, reporter)?;
        Ok(run)
    }

    /// The first look.
    fn begin(&mut self, is_first: bool, reporter: &mut Reporter) -> Result<(), SourceError> {
        let now = self.clock.monotonic();
        self.restored.began = now;
        if is_first {
            for group in &self.settings.groups {
                // A mistake in the name of a directory shows here, and nowhere else.
                self.vfs.read_dir(&group.dir).map_err(|error| {
                    let text = format!("cannot list directory {:?} of a file group: {error}", group.dir);
                    SourceError::retry(io::Error::new(error.kind(), text))
                })?;
            }
        }
        self.look_at_all(now, reporter);
        self.skips_new = false;
        let unsaved = self.files.iter().filter(|(_, file)| !file.has_position && file.place.offset > 0);
        self.unsaved.extend(unsaved.map(|(number, _)| *number));
        Ok(())
    }

    pub(super) fn poll(&mut self, out: &mut PullBatch, reporter: &mut Reporter) -> Result<Pulled, SourceError> {
        let now = self.clock.monotonic();
        if self.is_starting {
            self.save_start(out, reporter);
            if self.is_starting || !out.is_empty() {
                return Ok(Pulled::More);
            }
        }
        self.write_position_file(now, reporter);
        if now >= self.next_look {
            self.look_at_all(now, reporter);
        } else if !self.stale.is_empty() {
            let stale = std::mem::take(&mut self.stale);
            self.look(&stale, now, reporter);
        }
        let mut is_full = self.fill(out, reporter);
        let mut pulled = Pulled::More;
        if !is_full && out.is_empty() && self.unsaved.is_empty() {
            pulled = if self.settings.given.until_end { self.finish_all(now, reporter) } else { self.wait(reporter)? };
            is_full = self.fill(out, reporter);
        }
        self.save_unsaved(out);
        Ok(if is_full || !out.is_empty() { Pulled::More } else { pulled })
    }

    /// What the last poll handed over is committed.
    pub(super) fn committed(&mut self, reporter: &mut Reporter) {
        self.counters.dropped_events.fetch_add(std::mem::take(&mut self.dropped), Ordering::Relaxed);
        if !self.is_starting {
            self.skipped.clear();
        }
        if let Some(file) = &mut self.position_file {
            file.is_current = true;
        }
        self.write_position_file(self.clock.monotonic(), reporter);
    }

    /// The agent stops.
    pub(super) fn close(&mut self, reporter: &mut Reporter) {
        if let Some(file) = &mut self.position_file {
            file.due = Duration::ZERO;
        }
        self.write_position_file(self.clock.monotonic(), reporter);
    }

    /// Puts a file at the end of the line, unless it is in it.
    pub(super) fn enqueue(&mut self, number: u64) {
        let in_turn = self.turn.as_ref().is_some_and(|turn| turn.number == number);
        if let Some(file) = self.files.get_mut(&number)
            && !in_turn
            && !std::mem::replace(&mut file.is_queued, true)
        {
            self.ready.push_back(number);
        }
    }

    /// Whether the file waits for its turn, or has it.
    pub(super) fn is_busy(&self, number: u64) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.number == number)
            || self.files.get(&number).is_some_and(|file| file.is_queued)
    }

    pub(super) fn close_file(&mut self, number: u64) {
        let Some(file) = self.files.get_mut(&number) else { return };
        self.buffered_bytes -= file.buffered_bytes();
        if let Some(open) = file.open.take() {
            self.opened.remove(&open.stamp);
        }
    }

    /// Forgets a file, and its position with the next batch.
    pub(super) fn forget(&mut self, number: u64, reporter: &mut Reporter) {
        self.close_file(number);
        let Some(file) = self.files.remove(&number) else { return };
        if self.by_id.get(&file.place.mark.id) == Some(&number) {
            self.by_id.remove(&file.place.mark.id);
        }
        if file.has_position {
            self.unsaved.insert(number);
        }
        if file.unread_bytes() > 0 {
            let problem = TailProblem::Removed { bytes: file.unread_bytes() };
            reporter.report(file.path, Some(file.place.mark.id), problem, &self.counters);
        }
    }

    pub(super) fn report(&self, number: u64, problem: TailProblem, reporter: &mut Reporter) {
        let Some(file) = self.files.get(&number) else { return };
        reporter.report(file.path.clone(), Some(file.place.mark.id), problem, &self.counters);
    }

    /// Hands over what there is. Returns whether there may be more than fits.
    fn fill(&mut self, out: &mut PullBatch, reporter: &mut Reporter) -> bool {
        let mut budget = Budget { body_bytes: SPOOL_BATCH_BYTES_MAX, read_bytes: SPOOL_POLL_BYTES_MAX };
        let mut touched = BTreeSet::new();
        let mut is_full = false;
        while let Some(mut turn) = self.next_turn() {
            let has_room = out.room() > 0 && budget.body_bytes > 0 && budget.read_bytes > 0;
            is_full = !has_room || touched.len() >= TOUCHED_MAX;
            if is_full {
                self.turn = Some(turn);
                break;
            }
            let number = turn.number;
            let visit = self.visit(&mut turn, out, &mut budget, &mut touched, reporter);
            if matches!(visit, Visit::Full) {
                is_full = true;
                self.turn = Some(turn);
                break;
            }
            self.turn_over(number);
        }
        for number in touched {
            self.save(number, out);
        }
        is_full
    }

    fn next_turn(&mut self) -> Option<Turn> {
        if let Some(turn) = self.turn.take() {
            return Some(turn);
        }
        loop {
            let number = self.ready.pop_front()?;
            if let Some(file) = self.files.get_mut(&number) {
                file.is_queued = false;
                return Some(Turn { number, end: None, events_left: self.settings.given.turn_events });
            }
        }
    }

    /// Reads on in the file whose turn it is.
    fn visit(
        &mut self,
        turn: &mut Turn,
        out: &mut PullBatch,
        budget: &mut Budget,
        touched: &mut BTreeSet<u64>,
        reporter: &mut Reporter,
    ) -> Visit {
        let number = turn.number;
        if !self.ensure_open(number, budget, reporter) {
            return Visit::Over;
        }
        let now = self.clock.monotonic();
        let settings = &self.settings.given;
        let Some(file) = self.files.get_mut(&number) else { return Visit::Over };
        let (offset, buffered) = (file.place.offset, file.buffered_bytes());
        let problem = match file.check(now, settings) {
            Ok(problem) => problem,
            Err(error) => {
                (file.is_troubled, file.is_unreadable) = (true, true);
                self.report(number, TailProblem::Unreadable(error), reporter);
                return Visit::Over;
            }
        };
        (file.is_troubled, file.is_unreadable) = (false, false);
        if problem.is_some() {
            turn.end = None;
            file.renew(&self.settings);
        }
        let end = *turn.end.get_or_insert(file.place.mark.len);
        let mut room = Room { out, budget, turn_events: &mut turn.events_left, settings };
        let mut stop = file.read(end, &mut room);
        if file.is_ending && matches!(stop, Ok(Stop::End)) {
            stop = file.end(&mut room);
        }
        if file.place.offset != offset || problem.is_some() {
            touched.insert(number);
        }
        if matches!(stop, Ok(Stop::End)) {
            file.is_ending = false;
        }
        self.dropped += file.newly_dropped();
        self.buffered_bytes = (self.buffered_bytes + file.buffered_bytes()).saturating_sub(buffered);
        let has_more = matches!(stop, Ok(Stop::Full)) || file.place.mark.len > end;
        if let Some(problem) = problem {
            self.report(number, problem, reporter);
        }
        match stop {
            Ok(Stop::Full) if turn.events_left > 0 => Visit::Full,
            Ok(_) => {
                if has_more {
                    self.enqueue(number);
                }
                Visit::Over
            }
            Err(error) => {
                if let Some(file) = self.files.get_mut(&number) {
                    (file.is_troubled, file.is_unreadable) = (true, true);
                }
                self.report(number, TailProblem::Unreadable(error), reporter);
                self.close_file(number);
                Visit::Over
            }
        }
    }

    fn turn_over(&mut self, number: u64) {
        if self.buffered_bytes > TAIL_BUFFERED_BYTES_MAX {
            // The line in progress is read again.
            self.close_file(number);
        }
    }

    /// Opens the file if it is not open. Returns whether it is.
    pub(super) fn ensure_open(&mut self, number: u64, budget: &mut Budget, reporter: &mut Reporter) -> bool {
        let Some(file) = self.files.get_mut(&number) else { return false };
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        if let Some(open) = &mut file.open {
            self.opened.remove(&open.stamp);
            self.opened.insert(stamp, number);
            open.stamp = stamp;
            return true;
        }
        let (path, id, offset) = (file.path.clone(), file.place.mark.id, file.place.offset);
        self.make_room_for_open(reporter);
        budget.read_bytes = budget.read_bytes.saturating_sub(OPEN_COST_BYTES);
        let opened = OpenFile::open(&path, id, offset, stamp, &self.settings.given, &*self.vfs);
        let Some(file) = self.files.get_mut(&number) else { return false };
        match opened {
            Ok(Some(open)) => {
                self.opened.insert(stamp, number);
                file.open = Some(open);
                return true;
            }
            // It has another name by now, or none.
            Ok(None) => {
                file.is_troubled = true;
                self.stale.insert(file.dir);
            }
            Err(error) => {
                (file.is_troubled, file.is_unreadable) = (true, true);
                self.report(number, TailProblem::Unreadable(error), reporter);
            }
        }
        false
    }

    /// Closes the file that was not used for the longest time, if too many are open. One without a name could not be opened
    /// again: those come last.
    fn make_room_for_open(&mut self, reporter: &mut Reporter) {
        while self.opened.len() >= self.settings.given.open_files {
            let has_name = |number: &u64| {
                self.files.get(number).is_some_and(|file| !matches!(file.presence, Presence::Missing { .. }))
            };
            let named = self.opened.values().copied().find(has_name);
            let Some(number) = named.or_else(|| self.opened.values().next().copied()) else { return };
            self.close_file(number);
            if named.is_none() {
                self.forget(number, reporter);
            }
        }
    }

    /// Commits where the files stand that are not read from the beginning, before anything is read: what is written to them
    /// from now on is not passed over, even if this life ends at once.
    fn save_start(&mut self, out: &mut PullBatch, reporter: &mut Reporter) {
        let mut budget = Budget { body_bytes: 0, read_bytes: 0 };
        for number in self.unsaved.clone().into_iter().take(TOUCHED_MAX) {
            if self.ensure_open(number, &mut budget, reporter)
                && let Some(file) = self.files.get_mut(&number)
            {
                file.note_content();
            }
            self.unsaved.remove(&number);
            self.save(number, out);
        }
        if self.unsaved.is_empty() {
            self.is_starting = false;
            if self.has_taken_over {
                out.set_position(TAKEN_KEY, vec![1]);
            }
        }
    }

    fn save_unsaved(&mut self, out: &mut PullBatch) {
        while !self.unsaved.is_empty() && out.positions_room() > 0 {
            let Some(number) = self.unsaved.pop_first() else { return };
            self.save(number, out);
        }
    }

    /// Adds the position of a file to the batch.
    fn save(&mut self, number: u64, out: &mut PullBatch) {
        if let Some(file) = &mut self.position_file {
            file.is_current = false;
        }
        match self.files.get_mut(&number) {
            Some(file) => {
                file.has_position = true;
                out.set_position(key(number), file.place.encode());
            }
            None => out.clear_position(key(number)),
        }
    }

    fn write_position_file(&mut self, now: Duration, reporter: &mut Reporter) {
        let Some(file) = &mut self.position_file else { return };
        if let Err(error) = file.write_if_due(now, &self.files, &*self.vfs) {
            let path = file.path.clone();
            reporter.report(path, None, TailProblem::PositionFile(error), &self.counters);
        }
    }

    /// All that is there is read: what is left are last lines without line feed.
    fn finish_all(&mut self, now: Duration, reporter: &mut Reporter) -> Pulled {
        self.look_at_all(now, reporter);
        let unread = |file: &Tracked| file.unread_bytes() > 0 && (!file.is_troubled || file.is_unreadable);
        let numbers: Vec<u64> = self.files.iter().filter(|(_, file)| unread(file)).map(|(number, _)| *number).collect();
        for number in numbers {
            if let Some(file) = self.files.get_mut(&number) {
                file.is_ending = true;
            }
            self.enqueue(number);
        }
        let counts = |number: &u64| self.files.get(number).is_some_and(|file| !file.is_unreadable);
        if self.ready.iter().any(counts) { Pulled::More } else { Pulled::Done }
    }

    /// Waits for changes, if the kernel tells of them, and looks at what has changed.
    fn wait(&mut self, reporter: &mut Reporter) -> Result<Pulled, SourceError> {
        let now = self.clock.monotonic();
        let limit = self.next_look.saturating_sub(now);
        let Some(watch) = &mut self.watch else { return Ok(Pulled::Idle) };
        let has_changed = watch.wait(limit, &self.shutdown).map_err(SourceError::retry)?;
        if has_changed {
            let changes = watch.changes().map_err(SourceError::retry)?;
            self.look_at_changes(changes, self.clock.monotonic(), reporter);
        }
        Ok(Pulled::Waited)
    }

    /// Asks the kernel to tell of changes in these directories.
    pub(super) fn watch_all(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        for (number, group) in self.settings.groups.iter().enumerate() {
            watch.add(number, &group.dir);
        }
    }
}

fn bad_position(key: &str) -> SourceError {
    let text = format!("position {key:?} of this tail directory source is not of this version");
    SourceError::fatal(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Files whose position one batch sets; there is room for some more positions.
const TOUCHED_MAX: usize = POSITIONS_PER_TRANSACTION_MAX - 24;
/// What the opening of a file counts, in bytes read.
const OPEN_COST_BYTES: usize = 4096;
