//! Files in a directory, rolled by time, size or number of events.

mod directory;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod names;
mod output;
mod position;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use directory::{Created, Directory};
pub use error::FileRollError;
pub use names::FileNaming;
use names::Names;
use output::Output;
use position::{Place, Position};

use super::{Delivered, Serializer, Sink, SinkBatch, SinkContext, SinkError, Text};
use crate::clock::{Clock, SystemClock};
use crate::event::Event;
use crate::limits::{FILE_ROLL_INTERVAL, FILE_ROLL_WRITE_BYTES};
use crate::vfs::{OpenMode, OsVfs, Vfs};

/// Writes events to files in a directory: Flume's `file_roll` sink, exactly once.
///
/// ```
/// use std::time::Duration;
///
/// use aqueduct::FileRoll;
/// use aqueduct::sink::HeaderAndText;
///
/// let sink = FileRoll::new("out")
///     .roll_interval(Duration::from_secs(60))
///     .roll_bytes(256 << 20)
///     .prefix("orders-")
///     .extension("log")
///     .serializer(HeaderAndText::new());
/// ```
///
/// # Files
///
/// A finished file is called `<prefix><start>-<number>[.<extension>]`, as in Flume: `start` is the time, in milliseconds
/// since 1970, at which the sink wrote to this directory for the first time, and `number` counts its files from 1; [`FileNaming`] has another choice. Until it
/// is finished, a file has its start and number for a name, with `.tmp` appended: a reader that leaves such files alone sees only whole files that do not
/// change any more, and may move or delete them. The very first file of a sink is hidden, besides, until its first take is
/// committed: `.<16 hexadecimal digits>-` stands before its name, a hash of the names of agent and sink and of the prefix,
/// by which the sink knows the file as its own although no position names it. No existing file is ever overwritten. The directory is created if it is
/// missing, its parent is not; files have mode 0600.
///
/// A file is finished once a limit is reached and the take of its last batch is committed. Limits are looked at between
/// batches, so a file can pass its limit in bytes or events by one batch. Stopping the agent finishes the file, too. Unlike
/// Flume, the sink makes no file before there is an event for it; see [`empty_files`](Self::empty_files).
///
/// # Durability
///
/// The length of the output is committed in the same transaction as the take. On start the sink cuts off what was written
/// for takes that were not committed, and goes on with the file. So each event is in exactly one place of exactly one file,
/// whenever the process is killed, as long as the channel is durable and keeps its positions. What a power cut does, is the
/// choice of [`Fsync`].
///
/// What is found on start, and what is done:
///
/// | committed position | file in progress | then |
/// |---|---|---|
/// | none | hidden, with the digits of this sink | removed: its events are in no committed take, and come again |
/// | none | any other | they are left alone: without a position nobody knows whose they are (see below) |
/// | some | longer than committed | cut, and gone on with |
/// | some | as long as committed | gone on with, or finished if its limit was reached |
/// | some | shorter than committed | [`FileRollError::Short`] |
/// | some | missing | it was finished, and perhaps fetched by its reader: the next file is begun |
/// | some | a later one of the same series | removed: it is in no committed take |
///
/// A file in progress that no position names is left when the channel is in memory and the process is killed. Its events
/// were delivered, so the sink neither removes nor finishes it.
///
/// Several sinks may write to one directory: each has a start of its own. They must differ in the name of the sink, of the
/// agent, or in the prefix: of two that do not, one that starts can take the hidden file of the other for its own, and
/// remove it. Stop the agent before you give a sink another directory, or another name: its file in progress would stay behind.
///
/// # Errors
///
/// A full disk and a missing permission are [`SinkError::Retry`]: the events stay in the channel. A directory that cannot be
/// synced is [`SinkError::Fatal`]: nobody knows which files will be there after the next start of the machine.
pub struct FileRoll {
    directory: Directory,
    clock: Arc<dyn Clock>,
    serializer: Box<dyn Serializer>,
    roll_interval: Duration,
    roll_bytes: u64,
    roll_events: u64,
    empty_files: EmptyFiles,
    // Bytes on their way to the file; empty between calls.
    buffer: Vec<u8>,
    current: Option<Output>,
    // The newest file of this sink, finished or not.
    last: Option<Place>,
    // The newest file that this instance has created: its series goes on if nothing is committed yet.
    created: Option<Place>,
    // The file that was reported to be too short.
    short: Option<PathBuf>,
    open: bool,
    // The take of the last write is not committed yet, as far as is known.
    pending: bool,
}

/// When [`FileRoll`] makes its output durable.
///
/// | | process killed | power cut | cost |
/// |---|---|---|---|
/// | `EveryBatch` | exactly once | exactly once | one `fdatasync` for each batch |
/// | `OnRoll` | exactly once | finished files are whole; of the one file in progress, committed events can be missing or damaged; if it is too short, that is reported once as [`FileRollError::Short`], and the file is finished as it is | one `fdatasync` for each file |
/// | `Never` | exactly once | any file can have lost its end, its content or its name | none |
///
/// Flume is at `Never`, and does not cut off what it wrote for a take that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// Before the take of each batch is committed.
    #[default]
    EveryBatch,
    /// Before a file is given its final name. If that fails, committed events are in doubt, and the sink stops.
    OnRoll,
    /// The operating system decides.
    Never,
}

impl FileRoll {
    /// A sink that writes to `directory`, with Flume's defaults: text, a new file every 30 seconds.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: Directory {
                vfs: Arc::new(OsVfs::new()),
                path: directory.into(),
                names: Names {
                    naming: FileNaming::Start,
                    prefix: String::new(),
                    extension: String::new(),
                    suffix: ".tmp".to_owned(),
                    owner: String::new(),
                },
                fsync: Fsync::EveryBatch,
                made: false,
                claimed: false,
            },
            clock: Arc::new(SystemClock::new()),
            serializer: Box::new(Text::new()),
            roll_interval: FILE_ROLL_INTERVAL,
            roll_bytes: 0,
            roll_events: 0,
            empty_files: EmptyFiles::Unwanted,
            buffer: Vec::new(),
            current: None,
            last: None,
            created: None,
            short: None,
            open: false,
            pending: false,
        }
    }

    /// Finishes a file this long after it was begun; zero: never. Default: 30 seconds.
    #[must_use]
    pub fn roll_interval(mut self, interval: Duration) -> Self {
        self.roll_interval = interval;
        self
    }

    /// Finishes a file once it has this many bytes; 0, the default: never.
    #[must_use]
    pub fn roll_bytes(mut self, bytes: u64) -> Self {
        self.roll_bytes = bytes;
        self
    }

    /// Finishes a file once it has this many events; 0, the default: never.
    #[must_use]
    pub fn roll_events(mut self, events: u64) -> Self {
        self.roll_events = events;
        self
    }

    /// What file names begin with; nothing by default. It must not contain `/`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.directory.names.prefix = prefix.into();
        self
    }

    /// The extension of file names, without its dot; none by default. It must not contain `/`.
    #[must_use]
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.directory.names.extension = extension.into();
        self
    }

    /// What finished files are called; by their start and number by default.
    #[must_use]
    pub fn naming(mut self, naming: FileNaming) -> Self {
        self.directory.names.naming = naming;
        self
    }

    /// What is appended to the name of the file that is being written; `.tmp` by default. It must not be empty, nor begin
    /// with a digit, nor contain `/`.
    #[must_use]
    pub fn in_progress_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.directory.names.suffix = suffix.into();
        self
    }

    /// When the output is made durable; before every commit by default.
    #[must_use]
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.directory.fsync = fsync;
        self
    }

    /// The format of the files; [`Text`] by default.
    #[must_use]
    pub fn serializer(mut self, serializer: impl Serializer + 'static) -> Self {
        self.serializer = Box::new(serializer);
        self
    }

    /// Whether to create a file at the start, before any event, and one per interval without events, as Flume does; not by
    /// default, nor while the sink stands by in a group. The number of a file without events can be used again after a restart, if the file is gone by then.
    #[must_use]
    pub fn empty_files(mut self, empty_files: bool) -> Self {
        self.empty_files = if empty_files { EmptyFiles::Wanted } else { EmptyFiles::Unwanted };
        self
    }

    /// The file system to write to; the operating system's by default.
    #[must_use]
    pub fn with_vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.directory.vfs = vfs;
        self
    }

    /// The clock for names and for the interval; the operating system's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn recover(&mut self, context: &SinkContext) -> Result<(), SinkError> {
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
        self.directory.remove_unclaimed(committed.as_ref().map(|position| position.in_progress.as_str()))?;
        if let Some(position) = committed {
            self.directory.remove_strays(position.place)?;
            self.resume(position)?;
        }
        self.begin_if_empty_files_are_wanted()
    }

    /// Goes on with the file of the last committed take, if it is still in progress.
    fn resume(&mut self, at: Position) -> Result<(), SinkError> {
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

    fn append(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
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
        let at = Position { place, len: 0, events: 0, begun, complete: false, name, in_progress };
        let mut output = Output { file, path, at, due: self.due(Duration::ZERO), dirty: true };
        self.serializer.begin(&mut self.buffer).map_err(SinkError::Retry)?;
        output.write(&mut self.buffer)?;
        self.current = Some(output);
        Ok(())
    }

    /// After a commit.
    fn go_on(&mut self) -> Result<(), SinkError> {
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

    fn begin_if_empty_files_are_wanted(&mut self) -> Result<(), SinkError> {
        if self.empty_files == EmptyFiles::Wanted && self.current.is_none() { self.begin() } else { Ok(()) }
    }

    fn finish_if_due(&mut self) -> Result<(), SinkError> {
        let due = self.current.as_ref().is_some_and(|output| {
            let late = output.due.is_some_and(|due| self.clock.monotonic() >= due);
            output.at.complete || (late && (output.at.events > 0 || self.empty_files != EmptyFiles::Unwanted))
        });
        // IMPORTANT: never with bytes of a take that is not committed: a finished file is not cut any more.
        if due && !self.pending { self.finish() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(output) = &mut self.current {
            self.serializer.end(&mut self.buffer).map_err(SinkError::Retry)?;
            output.write(&mut self.buffer)?;
        }
        self.finish_without_end()
    }

    fn finish_without_end(&mut self) -> Result<(), SinkError> {
        let Some(mut output) = self.current.take() else { return Ok(()) };
        // ORDER: the content is durable before the name says that it is whole.
        output.sync(self.directory.fsync)?;
        self.last = Some(self.directory.rename(&output.path, &output.at)?);
        Ok(())
    }

    /// After an error everything but the committed position is in doubt until the sink is opened again.
    fn checked<T>(&mut self, result: Result<T, SinkError>) -> Result<T, SinkError> {
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn reset(&mut self) {
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

/// Whether there are files without events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyFiles {
    Unwanted,
    Wanted,
    /// Not as long as another member of the group works.
    StandingBy,
}

impl Sink for FileRoll {
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.reset();
        let result = self.recover(context);
        self.open = result.is_ok();
        self.checked(result)
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        let result = self.append(batch);
        self.checked(result)
    }

    fn committed(&mut self) -> Result<(), SinkError> {
        let result = self.go_on();
        self.checked(result)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        if !self.open {
            return Ok(());
        }
        let result = self.finish_if_due().and_then(|()| self.begin_if_empty_files_are_wanted());
        self.checked(result)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        let result = if self.pending { Ok(()) } else { self.finish() };
        self.reset();
        self.created = None;
        result
    }
}

impl fmt::Debug for FileRoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, current, last, open, pending, .. } = self;
        f.debug_struct("FileRoll")
            .field("directory", directory)
            .field("current", current)
            .field("last", last)
            .field("open", open)
            .field("pending", pending)
            .finish_non_exhaustive()
    }
}

const POSITION: &str = "";
