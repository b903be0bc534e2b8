//! The life of the files: going on with one, writing to it, finishing it, beginning the next.

use std::time::{Duration, SystemTime};

use super::directory::Created;
use super::output::Output;
use super::position::{Place, Position};
use super::{EmptyFiles, FileRoll, FileRollError, Fsync};
use crate::event::Event;
use crate::limits::FILE_ROLL_WRITE_BYTES;
use crate::sink::{Delivered, SinkBatch, SinkContext, SinkError};
use crate::vfs::OpenMode;

impl FileRoll {
    pub(super) fn recover(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        if self.empty_files != EmptyFiles::Unwanted {
            self.empty_files = if context.stands_by() { EmptyFiles::StandingBy } else { EmptyFiles::Wanted };
        }
        self.directory.names.check()?;
        self.directory.names.own(context.prefix());
        let committed = match context.position(POSITION) {
            Some(bytes) => Some(Position::decode(&bytes).map_err(FileRollError::Position)?),
            None => None,
        };
        self.directory.prepare()?;
        self.last = match (&committed, self.created) {
            (Some(position), _) => Some(position.place),
            // Nothing is committed since this instance has begun its series.
            (None, Some(created)) => Some(Place { number: 0, ..created }),
            (None, None) => None,
        };
        self.directory.claimed = committed.is_some();
        if committed.is_some() || self.created.is_some() || context.keeps_positions() {
            self.directory.remove_unclaimed(committed.as_ref().map(|position| position.in_progress.as_str()))?;
        } else {
            self.directory.leave_unclaimed()?;
        }
        if let Some(position) = committed {
            self.directory.remove_strays(position.place)?;
            self.resume(position)?;
        }
        self.begin_if_empty_files_are_wanted()
    }

    /// Goes on with the file of the last committed take, if it is still in progress.
    fn resume(&mut self, at: Position) -> Result<(), SinkError> {
        // Whatever is there now, nothing that is committed is in it.
        if self.removed.as_ref() == Some(&at.in_progress) {
            return Ok(());
        }
        let path = self.directory.claim(&at.in_progress)?;
        let file = match self.directory.vfs.open(&path, OpenMode::ReadWrite) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FileRollError::io("open", &path, error).into()),
        };
        let len = file.metadata().map_err(|error| FileRollError::io("look at", &path, error))?.len;
        let due = self.due(Duration::from_millis(self.now().saturating_sub(at.begun)));
        let mut output = Output { file, path, at, due, dirty: true };
        if len < output.at.len {
            self.report_short(&output, len)?;
            output.at.len = len;
            self.current = Some(output);
            // The serializer has not seen this file, and its end is somewhere in a batch: no footer.
            return self.finish_without_end();
        }
        output.cut(len)?;
        let goes_on = self.serializer.resume(&output.head()?).map_err(SinkError::Retry)?;
        self.current = Some(output);
        // A file that was complete is finished by what is called next, as in the life in which it became so.
        if goes_on { Ok(()) } else { self.finish_without_end() }
    }

    /// Refuses to go on with a file that has lost committed bytes; if that can be the effect of a power cut, only once.
    fn report_short(&mut self, output: &Output, len: u64) -> Result<(), SinkError> {
        let path = output.path.clone();
        let error = FileRollError::Short { path, len, committed: output.at.len, events: output.at.events };
        if self.directory.fsync == Fsync::EveryBatch {
            return Err(SinkError::fatal(error));
        }
        if self.short.as_ref() != Some(&output.path) {
            self.short = Some(output.path.clone());
            return Err(SinkError::retry(error));
        }
        Ok(())
    }

    pub(super) fn append(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        if !self.open {
            return Err(FileRollError::NotOpen.into());
        }
        if batch.events().is_empty() {
            return Ok(Delivered::All);
        }
        self.finish_if_due()?;
        if self.current.is_none() {
            self.begin()?;
        }
        let delivered = self.write_events(batch.events())?;
        let Some(output) = &mut self.current else { return Err(FileRollError::NotOpen.into()) };
        // ORDER: the bytes are durable before the position that counts them is committed.
        if self.directory.fsync == Fsync::EveryBatch {
            output.sync(Fsync::EveryBatch)?;
        }
        // ORDER: behind the write, so that nothing is committed that was written to a file which was gone by then.
        self.check_there()?;
        let Some(output) = &mut self.current else { return Err(FileRollError::NotOpen.into()) };
        let at = &mut output.at;
        at.events += delivered as u64;
        at.complete = (self.roll_bytes > 0 && at.len >= self.roll_bytes)
            || (self.roll_events > 0 && at.events >= self.roll_events);
        batch.set_position(POSITION, at.encode());
        self.pending = true;
        Ok(if delivered == batch.events().len() { Delivered::All } else { Delivered::First(delivered) })
    }

    /// Writes events up to the first that cannot be serialized, and says how many.
    fn write_events(&mut self, events: &[Event]) -> Result<usize, SinkError> {
        let Some(output) = &mut self.current else { return Err(FileRollError::NotOpen.into()) };
        let mut delivered = 0;
        for event in events {
            let before = self.buffer.len();
            if let Err(error) = self.serializer.event(event, &mut self.buffer) {
                self.buffer.truncate(before);
                if delivered == 0 {
                    return Err(SinkError::Permanent(error));
                }
                break;
            }
            delivered += 1;
            if self.buffer.len() >= FILE_ROLL_WRITE_BYTES {
                output.write(&mut self.buffer)?;
                // A giant event must not keep its memory for ever.
                self.buffer.shrink_to(2 * FILE_ROLL_WRITE_BYTES);
            }
        }
        self.serializer.flush_block(&mut self.buffer).map_err(SinkError::Retry)?;
        output.write(&mut self.buffer)?;
        Ok(delivered)
    }

    /// Fails if the file in progress is not found under its name any more, and remembers that.
    fn check_there(&mut self) -> Result<(), FileRollError> {
        let Some(output) = &self.current else { return Ok(()) };
        let result = output.check_there(&*self.directory.vfs);
        if let Err(FileRollError::Removed { .. }) = result {
            self.removed = Some(output.at.in_progress.clone());
        }
        result
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        let begun = self.now();
        let Created { place, file, path } = self.directory.create(self.last, begun)?;
        self.last = Some(place);
        self.created = Some(place);
        // ORDER: the entry is durable before any take is committed whose events are in the file.
        if self.directory.fsync != Fsync::Never {
            self.directory.sync()?;
        }
        let names = &self.directory.names;
        let (name, in_progress) = (names.finished(place, begun, 0), names.in_progress(place));
        // A series without a commit begins anew.
        self.removed.take_if(|removed| *removed == in_progress);
        let at = Position { place, len: 0, events: 0, begun, complete: false, name, in_progress };
        let mut output = Output { file, path, at, due: self.due(Duration::ZERO), dirty: true };
        self.serializer.begin(&mut self.buffer).map_err(SinkError::Retry)?;
        output.write(&mut self.buffer)?;
        self.current = Some(output);
        Ok(())
    }

    /// After a commit.
    pub(super) fn go_on(&mut self) -> Result<(), SinkError> {
        let took = std::mem::replace(&mut self.pending, false);
        let Some(output) = &mut self.current else { return Ok(()) };
        if took && !std::mem::replace(&mut self.directory.claimed, true) {
            output.path = self.directory.claim(&output.at.in_progress)?;
        }
        if output.at.complete {
            self.finish()?;
            self.begin_if_empty_files_are_wanted()?;
        }
        Ok(())
    }

    pub(super) fn begin_if_empty_files_are_wanted(&mut self) -> Result<(), SinkError> {
        if self.empty_files == EmptyFiles::Wanted && self.current.is_none() { self.begin() } else { Ok(()) }
    }

    pub(super) fn finish_if_due(&mut self) -> Result<(), SinkError> {
        let due = self.current.as_ref().is_some_and(|output| {
            let late = output.due.is_some_and(|due| self.clock.monotonic() >= due);
            output.at.complete || (late && (output.at.events > 0 || self.empty_files != EmptyFiles::Unwanted))
        });
        // IMPORTANT: never with bytes of a take that is not committed: a finished file is not cut any more.
        if due && !self.pending { self.finish() } else { Ok(()) }
    }

    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(output) = &mut self.current {
            self.serializer.end(&mut self.buffer).map_err(SinkError::Retry)?;
            output.write(&mut self.buffer)?;
        }
        self.finish_without_end()
    }

    fn finish_without_end(&mut self) -> Result<(), SinkError> {
        self.check_there()?;
        let Some(mut output) = self.current.take() else { return Ok(()) };
        // ORDER: the content is durable before the name says that it is whole.
        output.sync(self.directory.fsync)?;
        self.last = Some(self.directory.rename(&output.path, &output.at)?);
        Ok(())
    }

    /// After an error everything but the committed position is in doubt until the sink is opened again.
    pub(super) fn checked<T>(&mut self, result: Result<T, SinkError>) -> Result<T, SinkError> {
        if result.is_err() {
            self.reset();
        }
        result
    }

    pub(super) fn reset(&mut self) {
        self.buffer.clear();
        self.current = None;
        self.open = false;
        self.pending = false;
    }

    /// When a file that has this age is to be finished.
    fn due(&self, age: Duration) -> Option<Duration> {
        let left = self.roll_interval.saturating_sub(age);
        (!self.roll_interval.is_zero()).then(|| self.clock.monotonic().saturating_add(left))
    }

    /// Milliseconds since the Unix epoch.
    fn now(&self) -> u64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The key of the sink's position: it has only one.
const POSITION: &str = "";
