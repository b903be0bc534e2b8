//! A lane: the log in one data directory, and the group commit of the transactions that go there.
//!
//! Whoever waits for a commit and finds nobody writing becomes the leader: it takes all transactions that are pending,
//! writes them with one vectored write, syncs once, publishes them and wakes the others. While it syncs, the next group
//! forms. There is no writer thread, so a single producer pays for no hand-over between threads.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::checkpoint::{self, Checkpoint};
use super::frame::Kind;
use super::group::{Followers, Group, Place};
use super::log::Log;
use super::queue::{OpenTake, Queue};
use super::record::{Ack, Payload, PutMeta};
use super::shared::Shared;
use super::writer::Writer;
use crate::batch::{Positions, PutBatch, Resume, Routes};
use crate::durability::Durability;
use crate::error::StorageError;
use crate::event::Event;
use crate::limits::{GROUP_BYTES_MAX, GROUP_TRANSACTIONS_MAX};
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, OnceLock, thread};
use crate::wait::wake_all;

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
    pub(crate) resume: Option<Box<Resume>>,
}

impl Origin {
    /// The batch of a put, as it was submitted.
    pub(crate) fn give_back(self, meta: PutMeta, events: Vec<Event>) -> PutBatch {
        let (routes, positions) = meta.into_routes();
        let routes = if self.routed { routes } else { Routes::default() };
        PutBatch { events, routes, positions, durability: self.durability, resume: self.resume }
    }
}

/// What a put adds to one channel; reserved there when it is submitted.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) queue: Arc<Queue>,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
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
    pending: Mutex<Pending>,
    /// Lock order: `writer` before the locks of the log and of queues; nothing is locked while `pending` is held.
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
    pending_bytes: AtomicU64,
    // Transactions that nobody writes yet; read without the lock that those need who are to come.
    pending_count: AtomicUsize,
    checkpoint_generation: Mutex<u64>,
    // How long groups took to be written lately, in nanoseconds; `u64::MAX` before the first.
    group_time: AtomicU64,
    /// Held while files are synced; after `writer`, if both.
    pub(crate) syncing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Pending {
    groups: VecDeque<Forming>,
    leading: bool,
    // The group that is being written.
    current: Option<Arc<Group>>,
    // Threads that the last group released: they are likely to be back soon.
    released: usize,
    // The front group when the store's thread looked last.
    seen: Weak<Group>,
}

#[derive(Debug, Default)]
struct Forming {
    group: Arc<Group>,
    entries: Vec<Entry>,
    bytes: u64,
}

impl Lane {
    pub(crate) fn new(index: u16, shared: Arc<Shared>, log: Log, writer: Writer, checkpoint_generation: u64) -> Self {
        let (spare_bytes, durable_seq) = (writer.spares.bytes(), writer.durable_seq);
        Self {
            index,
            shared,
            log,
            pending: Mutex::default(),
            writer: Mutex::new(writer),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            sync_wanted: AtomicBool::new(false),
            spare_bytes: AtomicU64::new(spare_bytes),
            full: AtomicBool::new(false),
            acks_full: AtomicBool::new(false),
            durable_seq: AtomicU64::new(durable_seq),
            pending_bytes: AtomicU64::new(0),
            pending_count: AtomicUsize::new(0),
            checkpoint_generation: Mutex::new(checkpoint_generation),
            group_time: AtomicU64::new(u64::MAX),
            syncing: Mutex::new(()),
        }
    }

    /// Adds a transaction to the group that forms. It is written when someone leads that group.
    pub(crate) fn submit(self: &Arc<Self>, mut entry: Entry) -> Place {
        let bytes = entry.payload.len;
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut pending = self.pending.lock();
        entry.stamp = self.shared.next_stamp();
        let fits = pending.groups.back().is_some_and(|forming| {
            forming.bytes + bytes <= GROUP_BYTES_MAX && forming.entries.len() < GROUP_TRANSACTIONS_MAX
        });
        if !fits {
            pending.groups.push_back(Forming::default());
        }
        let (group, index) = match pending.groups.back_mut() {
            Some(forming) => {
                forming.bytes += bytes;
                forming.entries.push(entry);
                (forming.group.clone(), forming.entries.len() - 1)
            }
            // Unreachable: a group was pushed if there was none. A place in no group would never be done.
            None => unreachable!("a forming group was just pushed"),
        };
        self.pending_count.fetch_add(1, Ordering::Relaxed);
        drop(pending);
        if index == 0 && self.shared.options.background {
            self.shared.keeper.submitted();
        }
        Place { lane: self.clone(), group, index }
    }

    /// Writes the oldest pending group, unless there is none or someone else is writing.
    pub(crate) fn try_lead(&self) -> bool {
        if !self.lead_front() {
            return false;
        }
        if !self.shared.options.background {
            // What came meanwhile and has nobody who could lead has nobody else.
            while self.has_unattended() && self.lead_front() {}
        }
        true
    }

    fn lead_front(&self) -> bool {
        {
            let mut pending = self.pending.lock();
            if (pending.leading && !planted(Bug::TwoLeaders)) || pending.groups.is_empty() {
                return false;
            }
            pending.leading = true;
        }
        let mut lead = Lead { lane: self, released: 0, wakers: Vec::new() };
        self.linger();
        let forming = {
            let mut pending = self.pending.lock();
            let forming = pending.groups.pop_front();
            let taken = forming.as_ref().map_or(0, |forming| forming.entries.len());
            self.pending_count.fetch_sub(taken, Ordering::Relaxed);
            pending.current = forming.as_ref().map(|forming| forming.group.clone());
            forming
        };
        if let Some(Forming { group, entries, bytes }) = forming {
            let clock = &self.shared.options.clock;
            let begun = clock.monotonic();
            let outcomes = {
                let mut writer = self.writer.lock();
                let outcomes = writer.commit(self, entries);
                lead.wakers = std::mem::take(&mut writer.wakers);
                outcomes
            };
            self.note_group_time(clock.monotonic().saturating_sub(begun));
            self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
            let (released, wakers) = group.complete(outcomes);
            lead.released = released;
            lead.wakers.extend(wakers);
        }
        true
    }

    /// An average in which the last group counts an eighth. Only the leader writes it.
    fn note_group_time(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let average = self.group_time.load(Ordering::Relaxed);
        let average = if average == u64::MAX { time } else { average - average / 8 + time / 8 };
        self.group_time.store(average, Ordering::Relaxed);
    }

    /// How long whoever waits for a group is to look for its end before it blocks: as long as two groups take, if that is
    /// not long. To be woken takes a processor about as long, and costs the leader the call that wakes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let time = Duration::from_nanos(self.group_time.load(Ordering::Relaxed));
        (time <= LOOK_MAX).then_some(time * 2)
    }

    /// Writes the front group if it was the front group when this was called before, and nobody has come for it. `true`:
    /// there is a group to look at again.
    pub(crate) fn lead_forgotten(&self) -> bool {
        let forgotten = {
            let mut pending = self.pending.lock();
            let front = pending.groups.front().map(|forming| Arc::downgrade(&forming.group)).unwrap_or_default();
            let same = front.strong_count() > 0 && front.ptr_eq(&pending.seen);
            pending.seen = front;
            same && !pending.leading
        };
        if forgotten {
            self.try_lead();
        }
        self.has_pending()
    }

    /// Whether transactions wait for somebody to write them.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.lock().groups.is_empty()
    }

    /// Writes the groups that nobody is blocked on and somebody counts on.
    fn lead_unattended(&self) {
        while self.has_unattended() && self.try_lead() {}
    }

    fn has_unattended(&self) -> bool {
        let groups: Vec<_> = self.pending.lock().groups.iter().map(|forming| forming.group.clone()).collect();
        groups.iter().any(|group| group.is_unattended())
    }

    /// Has the store's own thread write what is pending; without such a thread, does it at once.
    pub(crate) fn request_lead(&self) {
        if self.shared.options.background && !self.shared.keeper.is_stopped() {
            self.shared.keeper.wake();
        } else {
            while self.try_lead() {}
        }
    }

    /// Writes everything that is pending now, and waits for who is writing it.
    pub(crate) fn drain_pending(&self) {
        let last = {
            let pending = self.pending.lock();
            pending.groups.back().map(|forming| forming.group.clone()).or_else(|| pending.current.clone())
        };
        while last.as_ref().is_some_and(|last| !last.is_done()) {
            if !self.try_lead() {
                // Who leads holds the writer.
                drop(self.writer.lock());
                thread::yield_now();
            }
        }
    }

    /// Bytes of the transactions that are not written yet: how busy the lane is.
    pub(crate) fn load(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Stops all writing for good; the first cause is kept.
    pub(crate) fn poison(&self, cause: &StorageError) {
        let _ = self.poison.set(cause.to_string());
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
            Err(_) => {
                metrics.checkpoint_errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        result
    }

    /// One round of the work that nobody waits for. `free` are segments that nobody needs any more, by acknowledgements that
    /// are durable as far as they are in other lanes' logs.
    pub(crate) fn maintain(&self, free: &[u32]) {
        self.lead_unattended();
        // First of all, as a commit that finds no segment prepared waits for one; but not from zeros if files are about to
        // become free.
        if self.poisoned().is_none() && (free.is_empty() || self.writer.lock().spares.has_reusable()) {
            self.prepare();
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

    /// Prepares the segment to come, so that no commit waits for it.
    fn prepare(&self) {
        let wanted = {
            let mut writer = self.writer.lock();
            if writer.wants_segment() { writer.spares.begin_prepare() } else { None }
        };
        let Some((id, size, spare)) = wanted else { return };
        let dir = &self.log.dir;
        // On a nearly full disk, filling a file and removing it again would take the room from those who need it now.
        let has_room = dir.vfs.available_bytes(&dir.path).is_ok_and(|available| available > size);
        if spare.is_none() && !has_room {
            return;
        }
        let spare = spare.map_or_else(|| dir.create_spare(&format!("{id:010}.spare"), size), Ok);
        // Where that fails, whoever needs the segment will try again, and report the failure.
        let Ok(spare) = spare else { return };
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

    /// Waits a moment for the producers that the last group released, so that they share this group's sync. Never if
    /// there were fewer than two: a lone producer would only wait for itself.
    fn linger(&self) {
        let clock = &self.shared.options.clock;
        let target = {
            let pending = self.pending.lock();
            if pending.released < 2 || pending.groups.len() > 1 { 0 } else { pending.released }
        };
        if target == 0 {
            return;
        }
        let deadline = clock.monotonic() + LINGER;
        for _ in 0..LINGER_YIELDS_MAX {
            if clock.monotonic() >= deadline {
                return;
            }
            if self.pending_count.load(Ordering::Relaxed) > target {
                return;
            }
            thread::yield_now();
        }
    }
}

/// The turn of whoever writes a group. Its end hands the lead on, also when writing it panicked.
struct Lead<'a> {
    lane: &'a Lane,
    // Threads that the group released.
    released: usize,
    wakers: Vec<Waker>,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.lane.poison(&StorageError::io(
                "write to",
                &self.lane.log.dir.path,
                std::io::Error::other("the thread that wrote panicked"),
            ));
        }
        let (current, next) = {
            let mut pending = self.lane.pending.lock();
            pending.leading = false;
            pending.released = self.released;
            let next: Vec<Arc<Group>> = pending.groups.iter().map(|forming| forming.group.clone()).collect();
            (pending.current.take(), next)
        };
        // Only a panic leaves it without outcomes.
        if let Some(group) = current.filter(|group| !group.is_done()) {
            self.wakers.extend(group.complete(Vec::new()).1);
        }
        // Whoever is woken leads the front group, and goes on until its own is done.
        for group in next {
            match group.offer_lead() {
                Followers::Blocked => break,
                Followers::Unattended => {
                    self.lane.shared.keeper.wake();
                    break;
                }
                Followers::None => {}
            }
        }
        wake_all(std::mem::take(&mut self.wakers));
    }
}

/// A fraction of the time of a sync on fast disks, and many times that of preparing a transaction.
const LINGER: Duration = Duration::from_micros(50);
/// Where groups take longer than this, whoever waits for one blocks at once.
const LOOK_MAX: Duration = Duration::from_micros(150);
/// Ends the waiting where the clock stands still, as that of a simulation does.
const LINGER_YIELDS_MAX: usize = 1000;
