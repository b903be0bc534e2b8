//! Files in a directory, rolled by time, size or number of events.

mod directory;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod names;
mod output;
mod position;
mod rolling;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
pub use error::FileRollError;
pub use names::FileNaming;
use names::Names;
use output::Output;
use position::Place;

use super::{Delivered, Serializer, Sink, SinkBatch, SinkContext, SinkError, Text};
use crate::clock::{Clock, SystemClock};
use crate::limits::FILE_ROLL_INTERVAL;
use crate::vfs::{OsVfs, Vfs};

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
/// | none | hidden, with the digits of this sink | removed: its events are in no committed take, and come again; where the channel is no part of a store, so that positions may be lost with the process, it gets its name and is left |
/// | none | any other | they are left alone: without a position nobody knows whose they are (see below) |
/// | some | longer than committed | cut, and gone on with |
/// | some | as long as committed | gone on with, or finished if its limit was reached |
/// | some | shorter than committed | [`FileRollError::Short`] |
/// | some | missing | it was finished, and perhaps fetched by its reader: the next file is begun |
/// | some | a later one of the same series | removed: it is in no committed take |
///
/// A file in progress that no position names is left when the channel is in memory, or is a
/// [`Spillable`](crate::Spillable), and the process is killed. Its events were delivered, so the sink neither removes nor
/// finishes it.
///
/// Several sinks may write to one directory: each has a start of its own. They must differ in the name of the sink, of the
/// agent, or in the prefix: of two that do not, one that starts can take the hidden file of the other for its own, and
/// remove it. Stop the agent before you give a sink another directory, or another name: its file in progress would stay behind.
///
/// # Errors
///
/// A full disk and a missing permission are [`SinkError::Retry`]: the events stay in the channel. So is a file in progress that
/// somebody removes, renames or replaces ([`FileRollError::Removed`]), which is noticed before the next commit: what was committed
/// to it is gone with it, what comes goes to the next file, and what stands in its place is left alone. A directory that cannot be
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
    // The name, while in progress, of the file that was reported to be removed.
    removed: Option<String>,
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

/// Whether there are files without events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyFiles {
    Unwanted,
    Wanted,
    /// Wanted, but the sink stands by in a group: it has none, nor has it any while it works in place of another.
    StandingBy,
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
            removed: None,
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
    /// default. A sink that stands by in a group has none, nor while it works in place of another. The number of a file without
    /// events can be used again after a restart, if the file is gone by then.
    #[must_use]
    pub fn empty_files(mut self, empty_files: bool) -> Self {
        self.empty_files = if empty_files { EmptyFiles::Wanted } else { EmptyFiles::Unwanted };
        self
    }

    /// The file system to write to; the operating system's by default.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.directory.vfs = vfs;
        self
    }

    /// The clock for names and for the interval; the operating system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
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
