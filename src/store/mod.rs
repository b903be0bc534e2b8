//! The durable home of file channels: a log in one or more data directories.
//!
//! The way of an event: [`FileStore`] and its channels (`inner`) check a put, reserve room in its channels (`queue`), encode
//! it as one record (`record`), and hand it to a lane (`lane`). Whoever leads the lane's commit group (`groups`, `group`) writes the
//! records as frames (`frame`) into the active segment (`writer`, `segment`), syncs, folds them into the lane's state
//! (`state`) and publishes them to the tail cache (`log`) and the channels. A take reads from there (`reader`), by
//! cursor; its commit is a record, too. `recovery` turns the bytes of a directory back into a lane.

mod backlog;
mod begin;
mod buffers;
mod capacity;
mod checkpoint;
mod cursor;
mod files;
mod frame;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod group;
mod groups;
mod inner;
mod inspect;
mod keeper;
mod lane;
mod last_puts;
mod log;
mod losses;
mod manifest;
mod open;
mod options;
mod queue;
mod ranges;
mod reader;
mod record;
mod recovery;
mod replay;
mod report;
mod rest;
mod rotation;
mod scan;
mod segment;
mod share;
mod shared;
mod spares;
mod state;
mod stats;
mod walk;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::PutBatch;
use crate::channel::{FileChannel, PutTarget, PutTransaction};
use crate::durability::Durability;
use crate::error::{PutError, StorageError};
use crate::event::Event;
use crate::sync::thread;
use crate::ticket::{PutTicket, Receipt};
use crate::wait::Wait;

pub(crate) use capacity::Capacity;
pub(crate) use inner::Handle;
pub(crate) use queue::{Queue, Taken};
pub(crate) use reader::Piece;

pub use inspect::{
    InspectedChannel, InspectedCheckpoint, InspectedLane, InspectedSegment, Inspection, StoredEvent, StoredEvents,
    Verification,
};
pub use options::{FileStoreBuilder, OnCorruption, ReadMode};
pub use report::{Damage, LaneReport, OpenError, RecoveryReport};
pub use stats::{LaneStats, StoreStats};

/// The durable home of one or more file channels.
///
/// A store is a directory (with the list of its channels) and one or more data directories, each with a log of its own.
/// All channels share the logs, so an event that goes to several channels is written once, and one transaction can reach
/// several channels atomically. Clones are handles of the same store.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use aqueduct::{Channel, FileStore, Wait};
///
/// let store = FileStore::open(dir.path())?;
/// let orders = store.channel("orders")?;
/// orders.put("hello")?; // durable now
///
/// let batch = orders.take(100, Wait::NONE)?;
/// assert_eq!(batch[0].body(), "hello");
/// batch.commit()?; // gone now
/// store.close()?;
/// # Ok(())
/// # }
/// ```
///
/// # Durability
///
/// See [`Durability`]. Dropping the last handle without [`close`](Self::close) is like a crash: nothing
/// that was committed is lost, and the next open has to replay.
#[derive(Clone)]
pub struct FileStore {
    inner: Arc<Handle>,
    report: Arc<RecoveryReport>,
}

impl FileStore {
    /// Opens the store in a directory with the default settings, creating it if there is none.
    ///
    /// # Blocking
    /// As [`FileStoreBuilder::open`].
    ///
    /// # Errors
    /// As [`FileStoreBuilder::open`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    /// The settings with which to open the store in a directory.
    pub fn builder(path: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder::new(path.into())
    }

    /// Looks at the store in a directory without opening it, with the default settings. See
    /// [`FileStoreBuilder::inspect`].
    ///
    /// # Errors
    /// As [`FileStoreBuilder::inspect`].
    pub fn inspect(path: impl Into<PathBuf>) -> Result<Inspection, OpenError> {
        Self::builder(path).inspect()
    }

    pub(crate) fn start(inner: Arc<inner::Inner>, report: RecoveryReport) -> Result<Self, StorageError> {
        if inner.shared.options.background {
            let (weak, shared) = (Arc::downgrade(&inner), inner.shared.clone());
            let thread = thread::Builder::new().name("aqueduct-store".to_owned());
            let handle = thread.spawn(move || {
                let _end = inner::KeeperEnd(&weak);
                keeper::run(&weak, &shared.keeper, || shared.options.clock.monotonic());
            });
            let handle = handle.map_err(|error| StorageError::io("start the thread of", inner.path(), error))?;
            *inner.thread.lock() = Some(handle);
            // Frees what the last life left behind.
            inner.shared.keeper.wake();
        }
        Ok(Self { inner: Arc::new(Handle(inner)), report: Arc::new(report) })
    }

    /// The channel `name`. It is created, durably, if the store has none of that name, and opened again if it was closed.
    ///
    /// # Blocking
    /// For the storage, if the channel is created.
    ///
    /// # Errors
    /// If the name is empty, too long or has a control character in it, there are too many channels, or the store's list cannot be
    /// written.
    pub fn channel(&self, name: &str) -> Result<FileChannel, StorageError> {
        Ok(FileChannel::new(self.inner.clone(), self.inner.channel(name)?))
    }

    /// The names of all channels, including those that nobody has asked for since the open.
    #[must_use]
    pub fn channel_names(&self) -> Vec<String> {
        self.inner.channel_names()
    }

    /// Begins a put transaction over several channels.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = aqueduct::FileStore::open(dir.path())?;
    /// let (orders, audit) = (store.channel("orders")?, store.channel("audit")?);
    /// let mut fan = store.begin_put();
    /// fan.push_to(&[&orders, &audit], "one record, two channels");
    /// fan.commit()?; // visible in both, or in none
    /// # store.close()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_put(&self) -> StorePut {
        let mut batch = PutBatch::default();
        batch.routes.store = self.inner.instance;
        StorePut { inner: self.inner.clone(), batch, wait: None, foreign: None }
    }

    /// What the open found and did.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    /// What the store holds and did since it was opened.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        stats::collect(&self.inner)
    }

    /// Does a round of what the store's own thread does: writes what is pending, syncs what waits for it, takes a checkpoint
    /// if one is due, frees and prepares segments. For stores that were opened without that thread.
    ///
    /// # Blocking
    /// For the storage.
    pub fn maintain(&self) {
        self.inner.maintain();
    }

    /// Refuses new transactions, waits for those in flight, makes everything durable and takes a checkpoint, so that the
    /// next open has nothing to replay. Other handles stay usable only for their statistics. Closing again, by any handle, does
    /// nothing and says what the first time said.
    ///
    /// # Blocking
    /// For the commits in flight, and for the storage.
    ///
    /// # Errors
    /// If what was accepted under a weaker durability than `Sync` could not be made durable.
    pub fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.inner.path()).finish_non_exhaustive()
    }
}

/// A put transaction over channels of one store.
///
/// A batch that comes back in a [`PutError`] keeps the channels of each event, and is put again with
/// [`set_batch`](Self::set_batch). [`Channel::put_batch`](crate::Channel::put_batch) would put all its events into that one channel.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use aqueduct::{Channel, FileStore, Wait};
///
/// let store = FileStore::builder(dir.path()).capacity_events(1).open()?;
/// let (orders, audit) = (store.channel("orders")?, store.channel("audit")?);
/// audit.put("in the way")?;
///
/// let mut fan = store.begin_put();
/// fan.push_to(&[&orders, &audit], "order 1");
/// fan.set_wait(Wait::NONE);
/// if let Err(error) = fan.commit() {
///     audit.take(1, Wait::NONE)?.commit()?;
///     let mut again = store.begin_put();
///     again.set_batch(error.into_batch().ok_or("the outcome is unknown")?);
///     again.commit()?;
/// }
/// assert_eq!(orders.take(1, Wait::NONE)?[0].body(), "order 1");
/// assert_eq!(audit.take(1, Wait::NONE)?[0].body(), "order 1");
/// # store.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a transaction that is dropped puts nothing"]
pub struct StorePut {
    inner: Arc<Handle>,
    batch: PutBatch,
    wait: Option<Wait>,
    // A channel that is not of this store: a mistake that the commit reports.
    foreign: Option<String>,
}

impl StorePut {
    /// Adds an event for all of `channels`, which must be of this store. An event for no channel is dropped.
    pub fn push_to(&mut self, channels: &[&FileChannel], event: impl Into<Event>) {
        let mut set = Vec::with_capacity(channels.len());
        let mut is_foreign = false;
        for channel in channels {
            if let Some(id) = channel.number_in(&self.inner) {
                set.push(id);
            } else {
                is_foreign = true;
                self.foreign = Some(channel.queue_name().to_owned());
            }
        }
        if is_foreign {
            // Without channels: it comes back with the batch, and no other transaction puts it into only some of them.
            self.batch.events.push(event.into());
        } else if !set.is_empty() {
            self.batch.routes.push(&set);
            self.batch.events.push(event.into());
        }
    }

    /// Replaces everything collected so far by a batch that a put over channels of this store gave back. Its events go to the
    /// channels that they were meant for. Any other batch does not say where its events go: the commit refuses it with
    /// [`PutError::ForeignChannel`], unless it has none.
    pub fn set_batch(&mut self, batch: PutBatch) {
        self.batch = batch;
        self.foreign = None;
        if self.batch.routes.runs.is_empty() {
            self.batch.routes.store = self.inner.instance;
        }
    }

    /// Sets the position of an owner, with the commit. It is the same in all channels of the store.
    pub fn set_position(&mut self, owner: impl Into<String>, position: impl Into<bytes::Bytes>) {
        crate::batch::set_position(&mut self.batch.positions, owner.into(), Some(position.into()));
    }

    /// Removes the position of an owner, with the commit.
    pub fn clear_position(&mut self, owner: impl Into<String>) {
        crate::batch::set_position(&mut self.batch.positions, owner.into(), None);
    }

    /// How long the commit may wait for room, instead of the store's own setting.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = Some(wait);
    }

    /// The durability of this transaction, instead of the store's.
    pub fn set_durability(&mut self, durability: Durability) {
        self.batch.durability = Some(durability);
    }

    /// Puts all events, or none.
    ///
    /// # Blocking
    /// As [`PutTransaction::commit`].
    ///
    /// # Errors
    /// As [`PutTransaction::commit`]; also if a channel was of another store.
    pub fn commit(self) -> Result<Receipt, PutError> {
        self.submit()?.wait()
    }

    /// Starts the commit and returns a ticket for its outcome.
    ///
    /// # Blocking
    /// As [`PutTransaction::submit`].
    ///
    /// # Errors
    /// As [`PutTransaction::submit`]; also if a channel was of another store.
    pub fn submit(self) -> Result<PutTicket, PutError> {
        if let Some(channel) = self.foreign {
            return Err(PutError::ForeignChannel { channel, batch: Box::new(self.batch) });
        }
        self.inner.submit_put(None, self.batch, self.wait)
    }
}

/// Puts that name their channels by number.
impl PutTarget for Everywhere {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        self.0.submit_put(None, batch, wait)
    }
}

/// A store as the target of a transaction over several of its channels.
pub(crate) struct Everywhere(Arc<Handle>);

impl Everywhere {
    pub(crate) fn begin(inner: Arc<Handle>, channels: Vec<u16>) -> PutTransaction {
        let instance = inner.instance;
        PutTransaction::over(Arc::new(Self(inner)), instance, channels)
    }
}
