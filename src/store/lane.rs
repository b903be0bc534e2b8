//! A lane: the log in one data directory, and the group commit of the transactions that go there: a group is written with one
//! vectored write, synced once, and published.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::checkpoint::{self, Checkpoint};
use super::frame::Kind;
use super::group::{Outcome, Place};
use super::groups::{Groups, WritesGroups};
use super::keeper::Keeper;
use super::log::Log;
use super::queue::OpenTake;
use super::record::{Ack, Payload, PutMeta};
use super::share::Share;
use super::shared::Shared;
use super::spares::spare_name;
use super::writer::Writer;
use crate::batch::{Positions, PutBatch, Resume, Routes};
use crate::durability::Durability;
use crate::error::StorageError;
use crate::event::Event;
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, OnceLock};
use crate::tell::tell;

/// One transaction on its way to the log.
#[derive(Debug)]
pub(crate) struct Entry {
    // Set by `Lane::submit`: the order of stamps is that of the lane.
    pub(crate) stamp: u64,
    pub(crate) payload: Payload,
    pub(crate) durability: Durability,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Put { meta: PutMeta, events: Vec<Event>, shares: Vec<Share>, origin: Origin },
    Ack { ack: Ack, take: OpenTake },
}

/// What is needed to give a batch back as it came.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) durability: Option<Durability>,
    /// It named its channels; otherwise they are those of its transaction.
    pub(crate) routed: bool,
    /// It found no room on the disk before, and was counted then.
    pub(crate) again: bool,
    pub(crate) resume: Option<Box<Resume>>,
}

impl Origin {
    /// The batch of a put, as it was submitted.
    pub(crate) fn give_back(self, meta: PutMeta, events: Vec<Event>) -> PutBatch {
        let (routes, positions) = meta.into_routes();
        let routes = if self.routed { routes } else { Routes::default() };
        PutBatch { events, routes, positions, durability: self.durability, resume: self.resume, ..PutBatch::default() }
    }
}

impl Body {
    pub(crate) fn positions(&self) -> &Positions {
        match self {
            Self::Put { meta, .. } => &meta.positions,
            Self::Ack { ack, .. } => &ack.positions,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Put { .. } => Kind::Put,
            Self::Ack { .. } => Kind::Ack,
        }
    }
}

/// A lane.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) index: u16,
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Log,
    groups: Groups<Entry>,
    /// Lock order: `writer` before the locks of the log and of queues; nothing is locked while that of `groups` is held.
    pub(crate) writer: Mutex<Writer>,
    poison: OnceLock<String>,
    /// The store is closed: nothing more is written.
    pub(crate) closed: AtomicBool,
    /// An interval is running for bytes that are not synced.
    pub(crate) sync_wanted: AtomicBool,
    /// Bytes of the files kept for later segments.
    pub(crate) spare_bytes: AtomicU64,
    /// The disk had no room for the last segment that puts needed.
    pub(crate) full: AtomicBool,
    /// Not even the reserve had room for the last segment that acknowledgements needed.
    pub(crate) acks_full: AtomicBool,
    /// Sequence number behind the last event that is durable; follows that of the writer.
    pub(crate) durable_seq: AtomicU64,
    checkpoint_generation: Mutex<u64>,
    /// Held while files are synced; after `writer`, if both.
    pub(crate) syncing: Mutex<()>,
    /// Held while files are made, freed and noted in checkpoints aside from commits, and while the lane is closed: what is under way
    /// then is waited for, and what comes later finds it closed. Before `writer`; nobody is woken while it is held.
    pub(crate) upkeep: Mutex<()>,
}

impl Lane {
    pub(crate) fn new(index: u16, shared: Arc<Shared>, log: Log, writer: Writer, checkpoint_generation: u64) -> Self {
        let (spare_bytes, durable_seq) = (writer.spares.bytes(), writer.durable_seq);
        Self {
            index,
            shared,
            log,
            groups: Groups::new(),
            writer: Mutex::new(writer),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            sync_wanted: AtomicBool::new(false),
            spare_bytes: AtomicU64::new(spare_bytes),
            full: AtomicBool::new(false),
            acks_full: AtomicBool::new(false),
            durable_seq: AtomicU64::new(durable_seq),
            checkpoint_generation: Mutex::new(checkpoint_generation),
            syncing: Mutex::new(()),
            upkeep: Mutex::new(()),
        }
    }

    /// Adds a transaction to the group that forms. It is written when someone leads that group.
    pub(crate) fn submit(self: &Arc<Self>, entry: Entry) -> Place {
        let syncs = entry.durability == Durability::Sync;
        let (group, index) = self.push(entry.payload.len, syncs, || Entry { stamp: self.shared.next_stamp(), ..entry });
        Place { lane: self.clone(), group, index }
    }

    /// Bytes of the transactions that are not written yet: how busy the lane is.
    pub(crate) fn load(&self) -> u64 {
        self.groups.bytes()
    }

    /// Stops all writing for good; the first cause is kept.
    pub(crate) fn poison(&self, cause: &StorageError) {
        if self.poison.set(cause.to_string()).is_ok() {
            tell!(ERROR, "data directory takes no more writes", dir = self.log.dir.path.display(), cause = cause);
        }
    }

    /// Notes whether there was room for what puts need. What failed otherwise says nothing of that.
    pub(crate) fn note_room<T>(&self, outcome: &Result<T, StorageError>) {
        let is_full = matches!(outcome, Err(StorageError::DiskFull { .. }));
        let was_full = self.full.swap(is_full, Ordering::Relaxed);
        let dir = self.log.dir.path.display();
        if is_full && !was_full {
            tell!(WARN, "no room for another segment", dir = dir);
        } else if was_full && outcome.is_ok() {
            tell!(INFO, "there is room again", dir = dir);
        }
    }

    /// The error for anything that would write here, if the lane is poisoned.
    pub(crate) fn poisoned(&self) -> Option<StorageError> {
        if self.poison.get().is_none()
            && let Some(error) = self.log.dir.names_lost()
        {
            self.poison(&error);
        }
        let cause = self.poison.get()?.clone();
        Some(StorageError::Poisoned { path: self.log.dir.path.clone(), cause })
    }

    /// Sequence number behind the last event that can still be acknowledged, if the lane is poisoned. What is behind the last good
    /// sync may be gone at the next open, and an acknowledgement in another lane would outlive it.
    pub(crate) fn trusted_end(&self) -> Option<u64> {
        let is_poisoned = self.poison.get().is_some() || self.poisoned().is_some();
        is_poisoned.then(|| self.durable_seq.load(Ordering::Acquire))
    }

    /// Why nothing may be written any more, if so.
    pub(crate) fn refusal(&self) -> Option<StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Some(StorageError::Closed);
        }
        self.poisoned()
    }

    /// Makes everything written so far durable, without holding up those who write meanwhile.
    pub(crate) fn sync_aside(&self) {
        let unsynced = self.writer.lock().unsynced();
        if unsynced.files.is_empty() || self.poisoned().is_some() {
            return;
        }
        {
            let _alone = self.syncing.lock();
            // IMPORTANT: whoever held it before may have failed, and a second sync would hide that.
            if self.poisoned().is_some() {
                return;
            }
            for file in &unsynced.files {
                if let Err(error) = file.sync_data() {
                    self.poison(&StorageError::io("sync", &self.log.dir.path, error));
                    return;
                }
            }
        }
        self.writer.lock().synced(self, &unsynced);
    }

    /// Takes a checkpoint of what is durable; `clean` if nothing will follow.
    pub(crate) fn checkpoint(&self, clean: bool) -> Result<(), StorageError> {
        let mut generation = self.checkpoint_generation.lock();
        let checkpoint = {
            let mut writer = self.writer.lock();
            if let Some(error) = self.poisoned() {
                return Err(error);
            }
            if !writer.dirty.is_empty() && !planted(Bug::CheckpointBeforeSync) {
                writer.sync(self)?;
            }
            writer.since_checkpoint = 0;
            Checkpoint {
                generation: *generation + 1,
                pos: writer.end(),
                salt: writer.active.salt,
                clean,
                state: writer.state.clone(),
            }
        };
        let result = checkpoint::write(&self.log.dir, &checkpoint);
        let metrics = &self.shared.metrics;
        match &result {
            Ok(()) => {
                *generation += 1;
                metrics.checkpoints.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                tell!(WARN, "checkpoint failed", dir = self.log.dir.path.display(), error = error);
                metrics.checkpoint_errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        result
    }

    /// One round of the work that nobody waits for. `free` are segments that nobody needs any more, by acknowledgements that
    /// are durable as far as they are in other lanes' logs.
    pub(crate) fn maintain(&self, free: &[u32]) {
        self.lead_unattended();
        let _upkeep = self.upkeep.lock();
        // IMPORTANT: looked at under the lock. Once the lane is closed, its directory belongs to whoever opens the store next.
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        // First of all, as a commit that finds no segment prepared waits for one; but not from zeros if files are about to
        // become free.
        if self.poisoned().is_none() && (free.is_empty() || self.writer.lock().spares.has_reusable()) {
            self.prepare();
        }
        if self.poisoned().is_none() && self.writer.lock().clear_leftovers(self).unwrap_or(true) {
            // Once that is durable the other lanes can forget them, too.
            self.sync_wanted.store(true, Ordering::Release);
        }
        let due = self.writer.lock().checkpoint_due(self);
        // A weaker durability than `Sync` leaves bytes behind that an interval, a checkpoint or a freed segment wants synced.
        let freeing = !free.is_empty() && !planted(Bug::RetireBeforeSync);
        let noting = due && !planted(Bug::CheckpointBeforeSync);
        if self.sync_wanted.swap(false, Ordering::AcqRel) || noting || freeing {
            self.sync_aside();
        }
        if self.poisoned().is_some() {
            return;
        }
        if due {
            // A failure is counted; the old checkpoint, and the log, stay good.
            let _ = self.checkpoint(false);
        }
        let mut writer = self.writer.lock();
        writer.spares.tidy(&self.log.dir);
        // A failure poisons the lane and shows at the next commit.
        let held = writer.retire(self, free).unwrap_or(false);
        if held && writer.prove(self).is_ok() {
            let _ = writer.retire(self, free);
        }
        if writer.wants_segment() {
            drop(writer);
            self.prepare();
            writer = self.writer.lock();
        }
        self.spare_bytes.store(writer.spares.bytes(), Ordering::Relaxed);
    }

    /// Makes everything durable and refuses whatever comes from now on: the first half of a close.
    pub(crate) fn stop_writing(&self) -> Result<(), StorageError> {
        let _upkeep = self.upkeep.lock();
        let mut writer = self.writer.lock();
        self.closed.store(true, Ordering::Release);
        match self.poisoned() {
            Some(error) if !writer.dirty.is_empty() => Err(error),
            Some(_) => Ok(()),
            // In the words in which whoever asks later hears of it.
            None => writer.sync(self).map_err(|error| self.poisoned().unwrap_or(error)),
        }
    }

    /// Frees what nobody needs any more, and takes a last checkpoint: the second half. `frees`: the acknowledgements in the logs
    /// of all lanes are durable.
    pub(crate) fn clear_away(&self, frees: bool) {
        let upkeep = self.upkeep.lock();
        let mut writer = self.writer.lock();
        let is_sound = self.poisoned().is_none();
        if is_sound && frees {
            // What cannot be freed now is freed by the next open.
            let free = writer.free_segments(self);
            let _ = writer.retire(self, &free);
        }
        writer.spares.discard(&self.log.dir);
        drop(writer);
        drop(upkeep);
        if is_sound {
            // A cache: without it the next open only takes longer.
            let _ = self.checkpoint(true);
        }
    }

    /// Prepares the segment to come, so that no commit waits for it.
    fn prepare(&self) {
        let wanted = {
            let mut writer = self.writer.lock();
            if writer.wants_segment() {
                let state_bytes = writer.known_state_bytes();
                writer.spares.begin_prepare(state_bytes)
            } else {
                None
            }
        };
        let Some((id, size, spare)) = wanted else { return };
        let dir = &self.log.dir;
        // On a nearly full disk, filling a file and removing it again would take the room from those who need it now.
        let has_room = dir.vfs.available_bytes(&dir.path).is_ok_and(|available| available > size);
        let spare = match spare {
            None if !has_room => None,
            None => dir.create_spare(&spare_name(id), size).ok(),
            kept => kept,
        };
        let Some(spare) = spare else {
            // Whoever needs the segment will try again, and report the failure.
            return self.writer.lock().spares.cancel_prepare(id);
        };
        let segment = dir.activate(spare, id, self.shared.random(), 0);
        let mut writer = self.writer.lock();
        let active = writer.active.id;
        match segment {
            Ok(segment) => writer.spares.end_prepare(dir, segment, active),
            Err(failed) => {
                writer.spares.not_activated(self, failed);
            }
        }
    }
}

impl WritesGroups for Lane {
    type Entry = Entry;

    fn groups(&self) -> &Groups<Entry> {
        &self.groups
    }

    fn keeper(&self) -> Option<&Keeper> {
        self.shared.options.background.then_some(&self.shared.keeper)
    }

    fn now(&self) -> Duration {
        self.shared.options.clock.monotonic()
    }

    fn write(&self, entries: Vec<Entry>) -> (Vec<Option<Outcome>>, Vec<Waker>) {
        let mut writer = self.writer.lock();
        let outcomes = writer.commit(self, entries);
        (outcomes, std::mem::take(&mut writer.wakers))
    }

    fn pass_writer(&self) {
        drop(self.writer.lock());
    }

    fn abandon(&self) {
        let cause = std::io::Error::other("the thread that wrote panicked");
        self.poison(&StorageError::io("write to", &self.log.dir.path, cause));
    }
}
