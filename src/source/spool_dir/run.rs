//! The opened source.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::complete::{Outcome, When, complete_all, create_dirs};
use super::file::{SpoolFile, Stop, Trouble};
use super::kept::KeptFiles;
use super::position::{AT_KEY, At, KEPT_PREFIX, Kept, Place, Why};
use super::report::SpoolProblem;
use super::scan::{Candidate, Scan, Tracked};
use super::settings::{Checked, ConsumeOrder};
use crate::clock::Clock;
use crate::limits::{SPOOL_BATCH_BYTES_MAX, SPOOL_DONE_BYTES_MAX, SPOOL_POLL_BYTES_MAX};
use crate::source::files::{Budget, Mark, is_gone};
use crate::source::{PullBatch, Pulled, SourceContext, SourceCounters, SourceError};
use crate::vfs::{FileKind, Metadata, Vfs};

type Reporter = crate::source::files::Reporter<SpoolProblem>;

/// The state between `open` and the next error.
pub(super) struct Run {
    settings: Checked,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    counters: Arc<SourceCounters>,
    current: Option<SpoolFile>,
    // Read to the end within the batch that is being filled or committed.
    done: Vec<Place>,
    done_bytes: usize,
    // Events that were dropped for their length within that batch.
    dropped: u64,
    kept: KeptFiles,
    // The position `at` as last handed over; empty if there is none.
    at: Bytes,
    // In reverse order: the next one is the last.
    candidates: Vec<Candidate>,
    listed: usize,
    taken: usize,
    scan: Option<Scan>,
    tracked: Tracked,
}

impl Run {
    /// Takes up where the committed position says.
    pub(super) fn open(
        settings: Checked,
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        context: &SourceContext,
        reporter: &mut Reporter,
    ) -> Result<Self, SourceError> {
        check_dirs(&settings, &*vfs)?;
        let at = context.position(AT_KEY).unwrap_or_default();
        let mut run = Self {
            settings,
            vfs,
            clock,
            counters: context.counters().clone(),
            current: None,
            done: Vec::new(),
            done_bytes: 0,
            dropped: 0,
            kept: KeptFiles::default(),
            at: at.clone(),
            candidates: Vec::new(),
            listed: 0,
            taken: 0,
            scan: None,
            tracked: Tracked::new(),
        };
        let now = run.clock.monotonic();
        for (key, value) in context.positions(KEPT_PREFIX) {
            run.kept.restore(Kept::decode(&value).ok_or_else(|| bad_position(&key))?, now);
        }
        if at.is_empty() {
            return Ok(run);
        }
        let At { done, current } = At::decode(&at).ok_or_else(|| bad_position(AT_KEY))?;
        run.complete(&done, When::Later, reporter)?;
        if let Some(place) = current {
            run.resume(place, reporter)?;
        }
        Ok(run)
    }

    pub(super) fn poll(&mut self, out: &mut PullBatch, reporter: &mut Reporter) -> Result<Pulled, SourceError> {
        let pulled = self.fill(out, reporter)?;
        self.kept.write(out);
        let at = At { done: self.done.clone(), current: self.current.as_ref().map(SpoolFile::place) };
        let encoded = if at.is_empty() { Bytes::new() } else { at.encode() };
        if encoded != self.at {
            self.at = encoded.clone();
            if encoded.is_empty() {
                out.clear_position(AT_KEY);
            } else {
                out.set_position(AT_KEY, encoded);
            }
        }
        Ok(pulled)
    }

    /// Completes the files of the batch that is now committed.
    pub(super) fn committed(&mut self, reporter: &mut Reporter) -> Result<(), SourceError> {
        self.counters.dropped_events.fetch_add(std::mem::take(&mut self.dropped), Ordering::Relaxed);
        let done = std::mem::take(&mut self.done);
        self.done_bytes = 0;
        self.complete(&done, When::Read, reporter)
    }

    fn fill(&mut self, out: &mut PullBatch, reporter: &mut Reporter) -> Result<Pulled, SourceError> {
        let mut budget = Budget { body_bytes: SPOOL_BATCH_BYTES_MAX, read_bytes: SPOOL_POLL_BYTES_MAX };
        let mut has_listed = false;
        loop {
            if let Some(file) = self.current.take()
                && !self.read(file, out, &mut budget, reporter)?
            {
                return Ok(Pulled::More);
            }
            let is_full = out.room() == 0 || budget.body_bytes == 0 || budget.read_bytes == 0;
            if is_full || self.done_bytes >= SPOOL_DONE_BYTES_MAX {
                return Ok(Pulled::More);
            }
            if let Some(candidate) = self.next_candidate() {
                self.open_file(&candidate, &mut budget, reporter)?;
                continue;
            }
            // A listing would find the files again that are not completed before the commit.
            if has_listed || !out.events().is_empty() || !self.done.is_empty() {
                return Ok(Pulled::More);
            }
            if !self.list(reporter)? {
                return Ok(Pulled::More);
            }
            has_listed = true;
            if self.candidates.is_empty() {
                let is_done = self.settings.given.until_empty && !self.kept.has_changing();
                return Ok(if is_done { Pulled::Done } else { Pulled::Idle });
            }
        }
    }

    /// Reads on in a file, and decides what is to become of it at its end. Returns whether the source is through with it
    /// for now; if not, it is the current one, and the batch is full.
    fn read(
        &mut self,
        mut file: SpoolFile,
        out: &mut PullBatch,
        budget: &mut Budget,
        reporter: &mut Reporter,
    ) -> Result<bool, SourceError> {
        loop {
            let stop = file.read(out, budget);
            self.dropped += file.newly_dropped();
            let stop = match stop {
                Ok(stop) => stop,
                Err(trouble) => return self.give_up(&file, trouble, reporter),
            };
            if matches!(stop, Stop::Full) {
                self.current = Some(file);
                return Ok(false);
            }
            let (metadata, read_at) = match file.look() {
                Ok(found) => found,
                Err(error) => return self.give_up(&file, Trouble::Unreadable(error), reporter),
            };
            if metadata.len < read_at.max(file.mark.len) {
                self.shrunk(file.place(), &metadata, reporter)?;
                return Ok(true);
            }
            if metadata.len > read_at && metadata.len == file.mark.len {
                // No byte came, although the file has some.
                let error = io::ErrorKind::UnexpectedEof.into();
                return self.give_up(&file, Trouble::Unreadable(error), reporter);
            }
            if metadata.len > read_at {
                self.grown(&file.rel, file.mark.len, &metadata, reporter);
                file.mark = file.mark.updated(&metadata);
                file.has_changed = true;
                continue;
            }
            let is_unchanged = file.settling.as_ref().unwrap_or(&file.mark).is_unchanged(&metadata);
            if file.has_changed || (file.settling.is_some() && !is_unchanged) {
                // It may be in the middle of growing: its end is believed once it has stood still for a while.
                let place = Place { mark: file.mark.updated(&metadata), ..file.place() };
                self.keep(Why::Changing, place)?;
                return Ok(true);
            }
            let finished = file.finish(out, budget);
            self.dropped += file.newly_dropped();
            match finished {
                Ok(true) => {}
                Ok(false) => {
                    self.current = Some(file);
                    return Ok(false);
                }
                Err(trouble) => return self.give_up(&file, trouble, reporter),
            }
            if !is_unchanged {
                self.report(&file.rel, &metadata, SpoolProblem::Modified, reporter);
            }
            let mark = file.mark.updated(&metadata);
            let place = Place { mark, rel: std::mem::take(&mut file.rel), offset: read_at, within: 0 };
            self.done_bytes += place.encoded_len();
            self.done.push(place);
            return Ok(true);
        }
    }

    /// Sets a file aside that cannot be read on.
    fn give_up(&mut self, file: &SpoolFile, trouble: Trouble, reporter: &mut Reporter) -> Result<bool, SourceError> {
        // As it was when these bytes were read: if it has changed since, it is worth another try.
        let (why, place, problem) = match trouble {
            Trouble::Undecodable { resume, problem } => (Why::Undecodable, file.place_before(resume), problem),
            Trouble::Unreadable(error) => (Why::Unreadable, file.place(), SpoolProblem::Unreadable(error)),
        };
        let path = self.settings.path(&file.rel);
        reporter.report(path, Some(file.mark.id), problem, &self.counters);
        self.keep(why, place)?;
        Ok(true)
    }

    fn next_candidate(&mut self) -> Option<Candidate> {
        // Younger files may have come meanwhile. The cost of the listings stays in proportion to what they find.
        if self.settings.given.order == ConsumeOrder::Youngest && self.taken >= (self.listed / 4).max(RELIST_AFTER) {
            self.candidates.clear();
        }
        self.taken += 1;
        self.candidates.pop()
    }

    fn open_file(
        &mut self,
        candidate: &Candidate,
        budget: &mut Budget,
        reporter: &mut Reporter,
    ) -> Result<(), SourceError> {
        let Candidate { rel, metadata } = candidate;
        let kept = self.kept.of(rel, metadata).cloned();
        let read = usize::try_from(metadata.len).unwrap_or(usize::MAX).min(self.settings.given.read_bytes);
        budget.read_bytes = budget.read_bytes.saturating_sub(read.max(OPEN_COST_BYTES));
        match SpoolFile::open(rel, metadata, kept.as_ref(), &self.settings, &*self.vfs) {
            Ok(None) => {}
            Ok(Some(file)) => {
                self.kept.forget(rel);
                self.current = Some(file);
            }
            Err(error) => {
                self.report(rel, metadata, SpoolProblem::Unreadable(error), reporter);
                let fresh = || Place { mark: Mark::new(metadata, &[]), rel: rel.clone(), offset: 0, within: 0 };
                let place = kept.map_or_else(fresh, |kept| kept.place);
                self.keep(Why::Unreadable, place)?;
            }
        }
        Ok(())
    }

    /// Goes on with the listing; returns whether it is complete.
    fn list(&mut self, reporter: &mut Reporter) -> Result<bool, SourceError> {
        if self.scan.is_none() {
            // ORDER: before the listing, which otherwise finds a file that is about to be completed as one to be read.
            let uncompleted = self.kept.uncompleted();
            for place in &uncompleted {
                self.kept.forget(&place.rel);
            }
            self.complete(&uncompleted, When::Later, reporter)?;
        }
        let scan = self.scan.get_or_insert_default();
        match scan.step(&self.settings, &mut self.tracked, &*self.vfs) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                self.scan = None;
                let text = format!("cannot list spool directory {:?}: {error}", self.settings.dir);
                return Err(SourceError::retry(io::Error::new(error.kind(), text)));
            }
        }
        let Some(scan) = self.scan.take() else { return Ok(false) };
        self.kept.purge(&self.settings, &*self.vfs);
        for (rel, id, problem) in scan.problems {
            // What is in the way of a completion was reported as such.
            if !matches!(problem, SpoolProblem::NameReused { .. }) || !self.kept.is_uncompleted(&rel) {
                reporter.report(self.settings.path(&rel), id, problem, &self.counters);
            }
        }
        let now = self.clock.monotonic();
        self.candidates = scan.found;
        self.candidates.retain(|candidate| self.kept.admits(&candidate.rel, &candidate.metadata, now));
        self.listed = self.candidates.len();
        self.taken = 0;
        Ok(true)
    }

    /// Takes up the file that was being read when the last batch was committed.
    fn resume(&mut self, place: Place, reporter: &mut Reporter) -> Result<(), SourceError> {
        let path = self.settings.path(&place.rel);
        let kept = Kept { why: Why::Changing, place: place.clone() };
        let opened = match self.vfs.metadata(&path) {
            Ok(metadata) if !place.mark.is_of(&metadata) || metadata.kind != FileKind::File => {
                self.report(&place.rel, &metadata, SpoolProblem::Replaced, reporter);
                return Ok(());
            }
            Ok(metadata) => {
                let opened = SpoolFile::open(&place.rel, &metadata, Some(&kept), &self.settings, &*self.vfs);
                opened.map(|file| file.map(|file| (file, metadata)))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        };
        match opened {
            Ok(None) => {
                reporter.report(path, Some(place.mark.id), SpoolProblem::Removed, &self.counters);
                Ok(())
            }
            Ok(Some((_, metadata))) if metadata.len < place.mark.len => self.shrunk(place, &metadata, reporter),
            // Another content from the beginning: the inode number was used again.
            Ok(Some((file, metadata))) if file.settling.is_none() => {
                self.report(&place.rel, &metadata, SpoolProblem::Replaced, reporter);
                Ok(())
            }
            Ok(Some((file, metadata))) => {
                if metadata.len > place.mark.len {
                    self.grown(&place.rel, place.mark.len, &metadata, reporter);
                } else if !place.mark.is_unchanged(&metadata) {
                    self.report(&place.rel, &metadata, SpoolProblem::Modified, reporter);
                }
                self.current = Some(file);
                Ok(())
            }
            Err(error) => {
                reporter.report(path, Some(place.mark.id), SpoolProblem::Unreadable(error), &self.counters);
                self.keep(Why::Unreadable, place)
            }
        }
    }

    /// Completes files that were read to their end; those that cannot be are kept in mind.
    fn complete(&mut self, places: &[Place], when: When, reporter: &mut Reporter) -> Result<(), SourceError> {
        if places.is_empty() {
            return Ok(());
        }
        let outcomes = complete_all(places, when, &self.settings, &*self.vfs)?;
        for (place, outcome) in places.iter().zip(outcomes) {
            let id = Some(place.mark.id);
            let path = self.settings.path(&place.rel);
            let mut tell = |problem| reporter.report(path.clone(), id, problem, &self.counters);
            match outcome {
                Outcome::Completed => {}
                Outcome::CompletedModified => tell(SpoolProblem::Modified),
                Outcome::Gone | Outcome::Replaced if when == When::Later => {}
                Outcome::Gone => tell(SpoolProblem::Removed),
                Outcome::Replaced => tell(SpoolProblem::Replaced),
                Outcome::Grown(metadata) => {
                    self.grown(&place.rel, place.mark.len, &metadata, reporter);
                    self.keep(Why::Changing, Place { mark: place.mark.updated(&metadata), ..place.clone() })?;
                }
                Outcome::Shrunk(metadata) => self.shrunk(place.clone(), &metadata, reporter)?,
                Outcome::Taken(completed) => {
                    tell(SpoolProblem::NameReused { completed });
                    self.keep(Why::Uncompleted, place.clone())?;
                }
                Outcome::Failed(error) => {
                    tell(SpoolProblem::NotCompleted(error));
                    self.keep(Why::Uncompleted, place.clone())?;
                }
            }
        }
        Ok(())
    }

    fn grown(&self, rel: &Path, from: u64, metadata: &Metadata, reporter: &mut Reporter) {
        self.report(rel, metadata, SpoolProblem::Grown { from, to: metadata.len }, reporter);
    }

    fn shrunk(&mut self, place: Place, metadata: &Metadata, reporter: &mut Reporter) -> Result<(), SourceError> {
        let problem = SpoolProblem::Shrunk { from: place.mark.len, to: metadata.len };
        self.report(&place.rel, metadata, problem, reporter);
        self.keep(Why::Shrunk, place)
    }

    fn keep(&mut self, why: Why, place: Place) -> Result<(), SourceError> {
        self.kept.keep(why, place, self.clock.monotonic(), &self.settings)
    }

    fn report(&self, rel: &Path, metadata: &Metadata, problem: SpoolProblem, reporter: &mut Reporter) {
        reporter.report(self.settings.path(rel), Some(metadata.id), problem, &self.counters);
    }
}

fn check_dirs(settings: &Checked, vfs: &dyn Vfs) -> Result<(), SourceError> {
    let dir = &settings.dir;
    let cannot = |what: &str, error: &io::Error| {
        SourceError::retry(io::Error::new(error.kind(), format!("cannot {what}: {error}")))
    };
    match vfs.metadata(dir).map_err(|error| cannot(&format!("open spool directory {dir:?}"), &error))?.kind {
        FileKind::Directory => {}
        FileKind::File => {
            // It may be mended while the others run, as one that is missing.
            let text = format!("spool directory {dir:?} is a file; name a directory");
            return Err(SourceError::retry(io::Error::new(io::ErrorKind::NotADirectory, text)));
        }
        // The user may name a symbolic link to a directory; listing follows it.
        _ => drop(vfs.read_dir(dir).map_err(|error| cannot(&format!("list spool directory {dir:?}"), &error))?),
    }
    if let Some(tracker_dir) = &settings.tracker_dir {
        let mut changed = BTreeSet::new();
        create_dirs(tracker_dir, Path::new(""), vfs, &mut changed)
            .and_then(|()| changed.iter().try_for_each(|dir| vfs.sync_dir(dir)))
            .map_err(|error| cannot(&format!("create tracker directory {tracker_dir:?}"), &error))?;
    }
    Ok(())
}

fn bad_position(key: &str) -> SourceError {
    let text = format!("position {key:?} of this spool directory source is not of this version");
    SourceError::fatal(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Files after which a listing for the youngest is repeated at the earliest.
const RELIST_AFTER: usize = 16;
/// What the opening of a file counts, in bytes read.
const OPEN_COST_BYTES: usize = 4096;
