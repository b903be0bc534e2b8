//! The settings of a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::durability::Durability;
use crate::error::StorageError;
use crate::limits;
use crate::vfs::{OsVfs, Vfs};
use crate::wait::Wait;

use super::{FileStore, Inspection, OpenError};

/// How events that are no longer in the tail cache are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMode {
    /// By `pread` into memory. A failing disk is an error of the take. The default.
    #[default]
    Pread,
    /// By mapping sealed segments into memory: no copy, and a taken event keeps its segment mapped. If the disk fails, or
    /// another process truncates a segment, the process gets SIGBUS. Events that were taken keep their bytes as long as no other
    /// process opens the store that this one has closed.
    Mmap,
}

/// What happens when bytes that were known to be durable are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorruption {
    /// Opening, or the take that comes to the place, fails and names it. The default: nothing is lost silently.
    #[default]
    Fail,
    /// Damaged records are passed over, and what is lost is reported once: by the recovery report if the open finds it, and by
    /// the channel's `lost_events`, which is complete once the channel has been read to its end. An open that finds damage reads
    /// everything that waits, to count what is lost; the next open finds nothing wrong, whatever its policy. Segments that cannot
    /// be used any more keep their bytes under a name that ends in `.damaged`.
    ///
    /// This does not help if a data directory is missing, the manifest or the mark of a directory is damaged, or files belong to
    /// another store or directory: then the open fails, and nothing is changed.
    Salvage,
}

/// The settings with which a [`FileStore`] is opened.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use aqueduct::{Durability, FileStore};
/// use std::time::Duration;
///
/// let store = FileStore::builder(dir.path())
///     .data_dir(dir.path().join("disk1"))
///     .data_dir(dir.path().join("disk2"))
///     .durability(Durability::Interval(Duration::from_millis(100)))
///     .capacity_events(1_000_000)
///     .open()?;
/// # store.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct FileStoreBuilder {
    pub(crate) path: PathBuf,
    pub(crate) data_dirs: Vec<PathBuf>,
    pub(crate) options: Options,
}

/// Settings as the store uses them.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) background: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) durability: Durability,
    pub(crate) take_durability: Durability,
    pub(crate) on_corruption: OnCorruption,
    pub(crate) read_mode: ReadMode,
    pub(crate) put_wait: Wait,
    pub(crate) capacity_events: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) body_bytes_max: usize,
    pub(crate) transaction_events_max: usize,
    pub(crate) transaction_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_bytes_first: u64,
    pub(crate) tail_cache_bytes: u64,
    pub(crate) replay_bytes_max: u64,
    pub(crate) unsynced_bytes_max: u64,
}

impl FileStoreBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        let options = Options {
            vfs: Arc::new(OsVfs::new()),
            clock: Arc::new(SystemClock::new()),
            background: true,
            seed: None,
            durability: Durability::Sync,
            take_durability: Durability::Sync,
            on_corruption: OnCorruption::Fail,
            read_mode: ReadMode::Pread,
            put_wait: Wait::up_to(limits::PUT_WAIT),
            capacity_events: limits::FILE_CHANNEL_EVENTS,
            capacity_bytes: limits::FILE_CHANNEL_BYTES,
            body_bytes_max: limits::BODY_BYTES_MAX,
            transaction_events_max: limits::TRANSACTION_EVENTS_MAX,
            transaction_bytes_max: limits::TRANSACTION_BYTES_MAX,
            segment_bytes: limits::SEGMENT_BYTES,
            segment_bytes_first: limits::SEGMENT_BYTES_FIRST,
            tail_cache_bytes: limits::TAIL_CACHE_BYTES,
            replay_bytes_max: limits::REPLAY_BYTES_MAX,
            unsynced_bytes_max: limits::UNSYNCED_BYTES_MAX,
        };
        Self { path, data_dirs: Vec::new(), options }
    }

    /// Adds a data directory. Each becomes a lane with a log of its own; put them on different disks. If none is added, the
    /// events are kept in `data` below the store's directory. A store that has events must be opened with all of its
    /// directories; new ones may be added.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dirs.push(path.into());
        self
    }

    /// What a commit of a put waits for. Default: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// What a commit of a take waits for. Default: [`Durability::Sync`]. A weaker one can bring events again after a power
    /// cut, and never loses any.
    pub fn take_durability(mut self, durability: Durability) -> Self {
        self.options.take_durability = durability;
        self
    }

    /// Events that each channel may hold. Default: [`limits::FILE_CHANNEL_EVENTS`]. It may be another number at every open.
    pub fn capacity_events(mut self, events: u64) -> Self {
        self.options.capacity_events = events;
        self
    }

    /// Bytes (headers and bodies) that each channel may hold. Default: [`limits::FILE_CHANNEL_BYTES`].
    pub fn capacity_bytes(mut self, bytes: u64) -> Self {
        self.options.capacity_bytes = bytes;
        self
    }

    /// How long a put waits for room. Default: up to [`limits::PUT_WAIT`], which is also what [`Wait::NONE`] is for sources of an
    /// agent that would only come again. As long as a put waits, one to the same channel that does not is refused as full, also if it
    /// would fit: room goes to whoever waits for it.
    pub fn put_wait(mut self, wait: Wait) -> Self {
        self.options.put_wait = wait;
        self
    }

    /// Bytes of one event's body, at most. Default: [`limits::BODY_BYTES_MAX`].
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.options.body_bytes_max = bytes;
        self
    }

    /// Events of one transaction, at most. Default: [`limits::TRANSACTION_EVENTS_MAX`].
    pub fn transaction_events_max(mut self, events: usize) -> Self {
        self.options.transaction_events_max = events;
        self
    }

    /// Bytes of one transaction, at most. Default: [`limits::TRANSACTION_BYTES_MAX`]. Also bounds what one take hands out.
    pub fn transaction_bytes_max(mut self, bytes: usize) -> Self {
        self.options.transaction_bytes_max = bytes;
        self
    }

    /// Size of a full-grown segment, 4 KiB to 1 GiB. Default: [`limits::SEGMENT_BYTES`]. Disk space is given back by whole
    /// segments.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.options.segment_bytes = bytes;
        self
    }

    /// Bytes of recent events kept in memory, for takes that keep up. Default: [`limits::TAIL_CACHE_BYTES`].
    pub fn tail_cache_bytes(mut self, bytes: u64) -> Self {
        self.options.tail_cache_bytes = bytes;
        self
    }

    /// Bytes of log that an open replays, at most; one segment and one group commit may come on top. Default:
    /// [`limits::REPLAY_BYTES_MAX`].
    pub fn replay_bytes_max(mut self, bytes: u64) -> Self {
        self.options.replay_bytes_max = bytes;
        self
    }

    /// Bytes that may wait for the operating system to write them, under [`Durability::Os`] and
    /// [`Durability::Interval`]; at most [`limits::STORE_UNSYNCED_BYTES_MAX`]. After a kill an open reads and writes them again.
    /// Default: [`limits::UNSYNCED_BYTES_MAX`].
    pub fn unsynced_bytes_max(mut self, bytes: u64) -> Self {
        self.options.unsynced_bytes_max = bytes;
        self
    }

    /// How the backlog is read. Default: [`ReadMode::Pread`].
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.options.read_mode = mode;
        self
    }

    /// What happens on damage. Default: [`OnCorruption::Fail`].
    pub fn on_corruption(mut self, policy: OnCorruption) -> Self {
        self.options.on_corruption = policy;
        self
    }

    /// Whether the store runs a thread of its own. Default: yes. Without it, the program must call [`FileStore::maintain`] from time
    /// to time, and submitted transactions are written when their tickets are polled or waited for.
    pub fn background(mut self, background: bool) -> Self {
        self.options.background = background;
        self
    }

    /// The file system. Default: the operating system's.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.options.vfs = vfs;
        self
    }

    /// The clock. Default: the operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// Makes the ids and salts of the store repeatable, for simulations. Two stores with the same seed can mistake each other's
    /// files for their own. Default: random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// Opens the store and recovers what is in it. If there is none it is created, even in a directory with other files in it, but
    /// not over data directories with events of another store.
    ///
    /// # Blocking
    /// For the storage. How much is read depends on [`replay_bytes_max`](Self::replay_bytes_max), not on how much waits, unless
    /// there is damage to pass over.
    ///
    /// # Errors
    /// [`OpenError`]. Nothing that holds events has been changed then, but missing directories and `lock` files may have been
    /// created.
    pub fn open(self) -> Result<FileStore, OpenError> {
        super::open::open(self.checked()?)
    }

    /// Looks at what is in the store, without changing a byte of it: what an open with these settings would report, what waits in
    /// the channels, and the files behind it. It works on stores that cannot be opened, and on file systems that cannot be
    /// written to. It holds no lock, but tries it for a moment to see whether the store is in use.
    ///
    /// If the store is in use, [`Inspection::in_use`] says so, and what is found may be out of date or look damaged.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// use aqueduct::{Channel, FileStore};
    ///
    /// let store = FileStore::open(dir.path())?;
    /// store.channel("orders")?.put("hello")?;
    /// store.close()?;
    ///
    /// let found = FileStore::inspect(dir.path())?;
    /// assert!(found.obstacles.is_empty() && found.verify(|_| ()).damage.is_empty());
    /// let orders = found.channel("orders").ok_or("it is there")?;
    /// assert_eq!((orders.events, orders.bytes), (1, 5));
    /// for stored in found.events("orders") {
    ///     assert_eq!(stored?.event.body(), "hello");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no store, or too little of it can be read to say anything. Whatever would only make an open fail is in
    /// [`Inspection::obstacles`].
    pub fn inspect(self) -> Result<Inspection, OpenError> {
        super::inspect::inspect(self.checked()?)
    }

    fn checked(mut self) -> Result<Self, OpenError> {
        for path in [&mut self.path].into_iter().chain(&mut self.data_dirs).filter(|path| !path.as_os_str().is_empty())
        {
            let absolute = self.options.vfs.absolute(path);
            *path = absolute.map_err(|error| StorageError::io("find the working directory for", path, error))?;
        }
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(OpenError::Options(problems));
        }
        if self.data_dirs.is_empty() {
            self.data_dirs.push(self.path.join("data"));
        }
        Ok(self)
    }

    fn problems(&self) -> Vec<String> {
        let options = &self.options;
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: &str| {
            if !good {
                problems.push(problem.to_owned());
            }
        };
        check(!self.path.as_os_str().is_empty(), "the store's directory has an empty name");
        check(self.data_dirs.len() <= limits::LANES_MAX, "there are more than 64 data directories");
        for (index, dir) in self.data_dirs.iter().enumerate() {
            check(!self.data_dirs.iter().take(index).any(|other| other == dir), "a data directory is named twice");
            check(!dir.as_os_str().is_empty(), "a data directory has an empty name");
            check(*dir != self.path, "a data directory is the store's own directory; name one in it, or beside it");
        }
        check(options.capacity_events > 0, "capacity_events is 0: nothing could ever be put");
        check(options.capacity_bytes > 0, "capacity_bytes is 0: nothing could ever be put");
        check(options.body_bytes_max > 0, "body_bytes_max is 0: it must be at least 1");
        check(options.transaction_events_max > 0, "transaction_events_max is 0: nothing could ever be put");
        check(options.transaction_bytes_max > 0, "transaction_bytes_max is 0: nothing could ever be put");
        let bytes_max = limits::STORE_TRANSACTION_BYTES_MAX;
        check(options.transaction_bytes_max <= bytes_max, "transaction_bytes_max is over 1 GiB");
        let bytes_max = limits::STORE_UNSYNCED_BYTES_MAX;
        check(options.unsynced_bytes_max <= bytes_max, "unsynced_bytes_max is over 1 GiB");
        let sizes = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        check(sizes.contains(&options.segment_bytes), "segment_bytes is not between 4 KiB and 1 GiB");
        for level in [options.durability, options.take_durability] {
            check(level != Durability::Interval(Duration::ZERO), "an interval of zero is Durability::Sync");
        }
        problems
    }
}
