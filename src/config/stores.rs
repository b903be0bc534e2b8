//! The stores behind the file channels of a configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::{Mutex, ReentrantMutex};

use crate::channel::spillable::SpillableError;
use crate::channel::{Channel, FileChannel, PutTransaction, Spillable, TakeTransaction};
use crate::durability::Durability;
use crate::error::{StorageError, TakeError};
use crate::lease::Lease;
use crate::limits::{FLUME_BODY_BYTES_MAX, FLUME_TRANSACTION_BYTES_MAX};
use crate::stats::ChannelStats;
use crate::store::{FileStore, FileStoreBuilder, OpenError};
use crate::vfs::{OsVfs, Vfs};
use crate::wait::Wait;

/// The open stores, by directory. File channels that name the same directories, which Flume cannot have, are channels of
/// one store: what a source sends to them is committed in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    open: Mutex<BTreeMap<PathBuf, Weak<Shared>>>,
}

/// A file channel as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreSettings {
    pub(crate) checkpoint: PathBuf,
    pub(crate) data: Vec<PathBuf>,
    pub(crate) capacity: u64,
    pub(crate) transaction_events: usize,
    pub(crate) put_wait: Wait,
    pub(crate) durability: Durability,
}

impl StoreSettings {
    /// Its directories, with their keys.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let data = self.data.iter().map(|dir| ("dataDirs", dir.as_path()));
        std::iter::once(("checkpointDir", self.checkpoint.as_path())).chain(data)
    }

    /// Whether both can be channels of one store: what these have in common is configured alike.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        Self { capacity: 0, ..self.clone() } == Self { capacity: 0, ..other.clone() }
    }
}

/// Why a file channel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreOpenError {
    #[error("the file channel in {}: {source}", dir.display())]
    Open { dir: PathBuf, source: OpenError },
    #[error("the file channel in {}: {source}", dir.display())]
    Channel { dir: PathBuf, source: StorageError },
    #[error(transparent)]
    Spillable(#[from] SpillableError),
    #[error("the file channel in {} {SHARED}", dir.display())]
    Settings { dir: PathBuf },
    #[error(
        "the file channel in {} was of the type SPILLABLEMEMORY, and {events} events that were in memory then wait in {channel}.saved, from \
         where only that type delivers them: let it be of that type until it is empty, with memoryCapacity = 0 if all is to be in files",
        dir.display()
    )]
    Parked { dir: PathBuf, channel: String, events: u64 },
    #[error(
        "the overflow of {channel} in {} has {events} events, which would stay there with overflowCapacity = 0: let it have an overflow \
         until it is empty, or give it other directories",
        dir.display()
    )]
    Left { dir: PathBuf, channel: String, events: u64 },
    #[error(
        "whether the overflow of {channel} in {} has events, which would stay there with overflowCapacity = 0, cannot be told: {why}; let \
         it have an overflow, or give it other directories",
        dir.display()
    )]
    Unsure { dir: PathBuf, channel: String, why: String },
}

/// What is wrong with two channels of one store that are configured differently.
pub(crate) const SHARED: &str = "shares its checkpointDir with another; all keys but capacity must be the same in both";

impl Stores {
    /// Opens the channel `name` in the store of these settings, which may be open already.
    pub(crate) fn open(
        &self,
        name: &str,
        settings: &StoreSettings,
    ) -> Result<StoreChannel<FileChannel>, StoreOpenError> {
        let channel = self.open_with(settings, |store| {
            let channel = store.channel(name);
            channel.map_err(|source| StoreOpenError::Channel { dir: settings.checkpoint.clone(), source })
        })?;
        channel.channel.set_capacity(settings.capacity, u64::MAX);
        Ok(channel)
    }

    /// Refuses a channel of an open store that has events which it had in memory when it was a spillable one.
    pub(crate) fn refuse_parked(&self, name: &str, settings: &StoreSettings) -> Result<(), StoreOpenError> {
        let dir = settings.checkpoint.clone();
        let Some(shared) = self.open.lock().get(&dir).and_then(Weak::upgrade) else { return Ok(()) };
        match shared.events_in(&Spillable::saved_name(name))? {
            0 => Ok(()),
            events => Err(StoreOpenError::Parked { dir, channel: name.to_owned(), events }),
        }
    }

    /// Refuses to leave behind what a spillable channel has in its directories, also where that cannot be found out.
    pub(crate) fn refuse_left(&self, name: &str, settings: &StoreSettings) -> Result<(), StoreOpenError> {
        let names = [name.to_owned(), Spillable::saved_name(name)];
        let shared = self.open.lock().get(&settings.checkpoint).and_then(Weak::upgrade);
        let events = match shared.filter(|shared| !shared.is_closed()) {
            // Other channels are at work in there, so that its files say less than it does.
            Some(shared) if shared.settings.data == settings.data => {
                let [own, saved] = &names;
                shared.events_in(own)?.saturating_add(shared.events_in(saved)?)
            }
            _ => events_left(&names, settings)?,
        };
        match events {
            0 => Ok(()),
            events => Err(StoreOpenError::Left { dir: settings.checkpoint.clone(), channel: name.to_owned(), events }),
        }
    }

    /// Opens a channel that `open` makes of the store of these settings, which may be open already.
    pub(crate) fn open_with<C>(
        &self,
        settings: &StoreSettings,
        open_channel: impl FnOnce(&FileStore) -> Result<C, StoreOpenError>,
    ) -> Result<StoreChannel<C>, StoreOpenError> {
        let dir = settings.checkpoint.clone();
        let mut open = self.open.lock();
        let shared = match open.get(&dir).and_then(Weak::upgrade).filter(|shared| !shared.is_closed()) {
            Some(shared) if shared.settings.is_shared_with(settings) => shared,
            Some(_) => return Err(StoreOpenError::Settings { dir }),
            None => {
                let store = open_store(settings).map_err(|source| StoreOpenError::Open { dir: dir.clone(), source })?;
                Arc::new(Shared { store, settings: settings.clone(), users: AtomicUsize::new(0) })
            }
        };
        let channel = open_channel(&shared.store)?;
        shared.users.fetch_add(1, Ordering::AcqRel);
        open.insert(dir, Arc::downgrade(&shared));
        Ok(StoreChannel { channel, shared, closed: ReentrantMutex::default() })
    }
}

/// Events that wait in these channels, of which the first gives the name, of a store that is not open here.
fn events_left(names: &[String; 2], settings: &StoreSettings) -> Result<u64, StoreOpenError> {
    let dir = settings.checkpoint.clone();
    let found = match store_builder(settings).inspect() {
        Ok(found) => found,
        // Nothing is left where there is no store.
        Err(OpenError::NoStore(_)) => return Ok(0),
        Err(source) => return Err(StoreOpenError::Open { dir, source }),
    };
    let known: Vec<u64> = names.iter().filter_map(|name| found.channel(name)).map(|left| left.events).collect();
    let events = known.iter().copied().fold(0, u64::saturating_add);
    // The list of channels is whole where nothing but what they hold is damaged, so that this is what others hold. An older list,
    // which lacks channels that the logs name, is damage of the list.
    let spares_the_list = |error: &OpenError| match error {
        OpenError::Corrupt(report) => {
            let mut damage = report.lanes.iter().flat_map(|lane| &lane.damage);
            damage.all(|damage| damage.path.file_name() != Some("manifest".as_ref()))
        }
        _ => false,
    };
    let is_unknown_there = known.is_empty() && found.obstacles.iter().all(spares_the_list);
    if events > 0 || is_unknown_there {
        return Ok(events);
    }
    let why = match (found.in_use, found.obstacles.first()) {
        // It may have events in memory, too.
        (Some(true), _) => "the store is in use".to_owned(),
        (_, Some(obstacle)) => obstacle.to_string(),
        (None, None) => "it cannot be told whether the store is in use".to_owned(),
        (Some(false), None) => return Ok(0),
    };
    let [channel, _] = names.clone();
    Err(StoreOpenError::Unsure { dir, channel, why })
}

fn open_store(settings: &StoreSettings) -> Result<FileStore, OpenError> {
    store_builder(settings).open()
}

fn store_builder(settings: &StoreSettings) -> FileStoreBuilder {
    let mut builder = FileStore::builder(&settings.checkpoint)
        .capacity_events(settings.capacity)
        .capacity_bytes(u64::MAX)
        .transaction_events_max(settings.transaction_events)
        .transaction_bytes_max(usize::try_from(FLUME_TRANSACTION_BYTES_MAX).unwrap_or(usize::MAX))
        .body_bytes_max(FLUME_BODY_BYTES_MAX)
        .put_wait(settings.put_wait)
        .durability(settings.durability);
    for dir in &settings.data {
        builder = builder.data_dir(dir);
    }
    builder
}

/// The path of a directory without symbolic links and `..`, as far as it exists.
pub(crate) fn resolved(dir: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let existing = dir.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let real = path.canonicalize().ok();
        if real.is_none() {
            missing.extend(path.components().next_back());
        }
        real
    });
    let Some(mut resolved) = existing else { return dir.to_path_buf() };
    for part in missing.into_iter().rev() {
        match part {
            // What is missing would become a directory, not a link.
            Component::ParentDir => _ = resolved.pop(),
            part => resolved.push(part),
        }
    }
    resolved
}

/// A file of a Flume file channel in a directory, if there is one.
pub(crate) fn flume_files(dir: &Path) -> Option<String> {
    // A directory that is missing or cannot be read is the open's to report.
    let names = OsVfs::new().read_dir(dir).unwrap_or_default();
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names.into_iter().find(|name| {
        let is_log =
            name.strip_prefix("log-").is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
        is_log || matches!(name.as_str(), "checkpoint" | "checkpoint.meta" | "inflightputs" | "inflighttakes")
    })
}

#[derive(Debug)]
struct Shared {
    store: FileStore,
    settings: StoreSettings,
    // Channels that are not closed.
    users: AtomicUsize,
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.users.load(Ordering::Acquire) == 0
    }

    /// Events that wait in a channel, which need not be there.
    fn events_in(&self, name: &str) -> Result<u64, StoreOpenError> {
        if !self.store.channel_names().iter().any(|known| known == name) {
            return Ok(0);
        }
        let channel = self.store.channel(name);
        let dir = || self.settings.checkpoint.clone();
        let channel = channel.map_err(|source| StoreOpenError::Channel { dir: dir(), source })?;
        Ok(channel.stats().depth_events)
    }
}

/// A channel of a store that closes the store behind the last channel of it.
#[derive(Debug)]
pub(crate) struct StoreChannel<C> {
    channel: C,
    shared: Arc<Shared>,
    // Closing it wakes tasks, and one of them may close it in its waker. Other threads wait, and hear the same.
    closed: ReentrantMutex<RefCell<Closed>>,
}

/// How far closing a channel of a store has come.
#[derive(Debug, Default)]
struct Closed {
    // What closing the channel said, and whether the store goes with it. There is nothing here if it is to be tried again.
    channel: Option<(Result<(), StorageError>, bool)>,
    // What closing it said in all.
    said: Option<Result<(), StorageError>>,
}

impl<C: Channel> StoreChannel<C> {
    /// Closes the channel, unless somebody has. `Err`: it has something to save still, and needs the store for that.
    fn close_channel(&self, state: &RefCell<Closed>) -> Result<(Result<(), StorageError>, bool), StorageError> {
        if let Some(closed) = &state.borrow().channel {
            return Ok(closed.clone());
        }
        let closed = self.channel.close();
        // A waker may have gone ahead.
        if let Some(closed) = &state.borrow().channel {
            return Ok(closed.clone());
        }
        if closed.as_ref().is_err_and(StorageError::leaves_something_to_save) {
            return closed.map(|()| (Ok(()), false));
        }
        let is_last = self.shared.users.fetch_sub(1, Ordering::AcqRel) == 1;
        Ok(state.borrow_mut().channel.insert((closed, is_last)).clone())
    }
}

impl<C: Channel> Channel for StoreChannel<C> {
    fn name(&self) -> &str {
        self.channel.name()
    }

    fn begin_put(&self) -> PutTransaction {
        self.channel.begin_put()
    }

    fn begin_put_with(&self, others: &[&dyn Channel]) -> Option<PutTransaction> {
        self.channel.begin_put_with(others)
    }

    fn store_part(&self) -> Option<(u64, u16)> {
        self.channel.store_part()
    }

    fn outlives_close(&self) -> bool {
        self.channel.outlives_close()
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        self.channel.take(max, wait)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.channel.poll_ready(cx)
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.channel.position(owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.channel.positions(prefix)
    }

    fn lease(&self, prefix: &str) -> Option<Lease> {
        self.channel.lease(prefix)
    }

    fn stats(&self) -> ChannelStats {
        self.channel.stats()
    }

    fn close(&self) -> Result<(), StorageError> {
        // Not a second time: another may have opened the channel again meanwhile.
        let state = self.closed.lock();
        if let Some(said) = &state.borrow().said {
            return said.clone();
        }
        let (closed, is_last) = self.close_channel(&state)?;
        let said = if is_last { closed.and(self.shared.store.close()) } else { closed };
        state.borrow_mut().said.get_or_insert(said).clone()
    }
}

#[cfg(test)]
mod tests;
