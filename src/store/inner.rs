//! A store in operation.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use super::backlog::Backlog;
use super::capacity::CountsAs;
use super::capacity::{Capacity, Refused};
use super::group::{PutPlace, TakePlace};
use super::groups::WritesGroups;
use super::keeper::Kept;
use super::lane::{Body, Entry, Lane, Origin};
use super::last_puts;
use super::manifest::Manifest;
use super::queue::{OpenTake, Queue};
use super::reader::{Piece, ack_ranges, split_pieces};
use super::record::{Ack, AckRange, PutMeta, encode_ack, encode_put};
use super::share::Share;
use super::shared::Shared;
use crate::batch::{Positions, PutBatch, Routes};
use crate::channel::TakeCommit;
use crate::error::{FullReason, PutError, StorageError, TakeError};
use crate::limits;
use crate::sabotage::{Bug, planted};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::tell::tell;
use crate::ticket::{PutTicket, RawTicket, Receipt, TakeTicket};
use crate::vfs::VfsLock;
use crate::wait::{Patience, Wait, wake_all};

/// A store in operation.
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// Tells this store from every other one that the process has opened.
    pub(crate) instance: u64,
    path: PathBuf,
    manifest: Mutex<Manifest>,
    locks: Mutex<Vec<Box<dyn VfsLock>>>,
    closed: AtomicBool,
    closing: Mutex<Option<Result<(), StorageError>>>,
    turn: AtomicUsize,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        lanes: Vec<Arc<Lane>>,
        path: PathBuf,
        manifest: Manifest,
        locks: Vec<Box<dyn VfsLock>>,
    ) -> Self {
        Self {
            shared,
            lanes,
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed),
            path,
            manifest: Mutex::new(manifest),
            locks: Mutex::new(locks),
            closed: AtomicBool::new(false),
            closing: Mutex::new(None),
            turn: AtomicUsize::new(0),
            thread: Mutex::new(None),
        }
    }

    /// The directory of the manifest.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The channel `name`, which is created, durably, if there is none.
    pub(crate) fn channel(&self, name: &str) -> Result<Arc<Queue>, StorageError> {
        if name.is_empty() {
            return Err(StorageError::EmptyName);
        }
        if name.len() > limits::NAME_BYTES_MAX {
            let (actual, max) = (name.len() as u64, limits::NAME_BYTES_MAX as u64);
            return Err(StorageError::Limit { what: "bytes of a channel's name", actual, max });
        }
        let mut manifest = self.manifest.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        if let Some((id, _)) = manifest.channels.iter().find(|(_, known)| *known == name)
            && let Some(queue) = self.shared.queues.read().get(id)
        {
            queue.reopen();
            return Ok(queue.clone());
        }
        if let Some(character) = name.chars().find(|character| character.is_control()) {
            return Err(StorageError::NameCharacter { name: name.to_owned(), character });
        }
        let count = manifest.channels.len();
        if count >= limits::CHANNELS_MAX {
            let (actual, max) = (count as u64 + 1, limits::CHANNELS_MAX as u64);
            return Err(StorageError::Limit { what: "channels", actual, max });
        }
        let Some(id) = manifest.channels.keys().next_back().map_or(Some(0), |id| id.checked_add(1)) else {
            let (actual, max) = (u64::from(u16::MAX) + 1, u64::from(u16::MAX));
            return Err(StorageError::Limit { what: "the number of a channel", actual, max });
        };
        let mut changed = manifest.clone();
        changed.channels.insert(id, name.to_owned());
        changed.write(&*self.shared.options.vfs, &self.path)?;
        *manifest = changed;
        let options = &self.shared.options;
        let capacity = Capacity { events: options.capacity_events, bytes: options.capacity_bytes };
        let backlog = vec![Backlog::default(); self.lanes.len()];
        let queue = Arc::new(Queue::new(id, name.to_owned(), capacity, options.clock.clone(), backlog, 0));
        self.shared.queues.write().insert(id, queue.clone());
        Ok(queue)
    }

    pub(crate) fn channel_names(&self) -> Vec<String> {
        self.manifest.lock().channels.values().cloned().collect()
    }

    /// Reserves room, chooses a lane and hands the transaction to it. `channel` gets the events of a batch without routes.
    pub(crate) fn submit_put(
        self: &Arc<Self>,
        channel: Option<u16>,
        batch: PutBatch,
        wait: Option<Wait>,
    ) -> Result<PutTicket, PutError> {
        let wait = wait.unwrap_or_else(|| self.shared.options.put_wait.of_channel(batch.recall.as_ref()));
        let patience = Patience::new(wait, batch.recall.clone());
        if batch.events.is_empty() && batch.positions.is_empty() {
            return Ok(PutTicket::ready(Ok(Receipt::default())));
        }
        let generation = self.shared.space_generation();
        let place = self.start_put(channel, batch, &patience, false)?;
        Ok(PutTicket::pending(Box::new(PutTicketOf { inner: self.clone(), place, channel, patience, generation })))
    }

    fn start_put(
        &self,
        channel: Option<u16>,
        batch: PutBatch,
        patience: &Patience,
        again: bool,
    ) -> Result<PutPlace, PutError> {
        let PutBatch { events, mut routes, positions, durability, resume, .. } = self.check_batch(channel, batch)?;
        let origin = Origin { durability, routed: channel.is_none(), again, resume };
        if let Some(channel) = channel {
            // Routes of another transaction, to other channels, mean nothing here.
            routes = Routes { store: self.instance, ..Routes::default() };
            if let Ok(count @ 1..) = u32::try_from(events.len()) {
                routes.sets = vec![vec![channel]];
                routes.runs = vec![(0, count)];
            }
        }
        let meta = PutMeta::new(routes, &events, positions);
        let shares = match self.reserve(channel, &meta, patience, again) {
            Ok(shares) => shares,
            Err((channel, refused)) => {
                let batch = Box::new(origin.give_back(meta, events));
                return Err(match refused {
                    Refused::TooLarge { what, actual, max } => PutError::TooLarge { channel, what, actual, max, batch },
                    Refused::Closed => PutError::Closed { channel, batch },
                    Refused::Full(reason) => PutError::Full { channel, reason, batch },
                });
            }
        };
        let lane = match self.choose_lane(&meta.positions) {
            Ok(lane) => lane,
            Err(source) => {
                shares.into_iter().for_each(|share| share.give_back(CountsAs::Failed));
                return Err(PutError::NotCommitted { source, batch: Box::new(origin.give_back(meta, events)) });
            }
        };
        let payload = encode_put(&meta, &events, BODY_COPY_MAX, &self.shared.buffers);
        let durability = durability.unwrap_or(self.shared.options.durability);
        let body = Body::Put { meta, events, shares, origin };
        let place = lane.submit(Entry { stamp: 0, payload, durability, body });
        last_puts::note(self.instance, &place);
        Ok(PutPlace(place))
    }

    /// Waits until what this thread has put is written. The error of a lane that may have lost some of it, as long as nobody has
    /// heard of that: a position that is set now would be ahead of it.
    pub(crate) fn settle_own_puts(&self) -> Result<(), StorageError> {
        if let Some(lane) = self.lane_in_use() {
            lane.drain_pending();
        }
        let lanes = last_puts::failed(self.instance);
        let mut failed = self.lanes.iter().filter(|lane| lanes & 1 << lane.index != 0);
        failed.find_map(|lane| lane.refusal()).map_or(Ok(()), Err)
    }

    /// The lane that this thread's last put is still on its way to. The next one follows it there, so that transactions
    /// submitted one after the other keep their order.
    fn lane_in_use(&self) -> Option<&Arc<Lane>> {
        self.lanes.get(usize::from(last_puts::in_flight(self.instance)?))
    }

    fn reserve(
        &self,
        channel: Option<u16>,
        meta: &PutMeta,
        patience: &Patience,
        again: bool,
    ) -> Result<Vec<Share>, (String, Refused)> {
        let queues = self.shared.queues.read();
        // In ascending order of channels: two transactions over several channels never wait for each other.
        let wanted: Vec<_> = meta.all_channels().into_iter().filter_map(|id| queues.get(&id).cloned()).collect();
        // A put of positions alone needs no room, but its channel must be open.
        let of_positions = channel.filter(|_| wanted.is_empty()).and_then(|id| queues.get(&id).cloned());
        drop(queues);
        let mut shares: Vec<Share> = Vec::with_capacity(wanted.len() + usize::from(of_positions.is_some()));
        if let Some(queue) = of_positions {
            queue.admit().map_err(|refused| (queue.name.clone(), refused))?;
            shares.push(Share::new(queue, 0, 0));
        }
        for queue in wanted {
            let (events, bytes) = meta.share(queue.id);
            if let Err(refused) = queue.reserve(events, bytes, patience, again) {
                shares.into_iter().for_each(|share| share.give_back(CountsAs::Nothing));
                return Err((queue.name.clone(), refused));
            }
            shares.push(Share::new(queue, events, bytes));
        }
        Ok(shares)
    }

    /// Refuses what can never be put.
    fn check_batch(&self, channel: Option<u16>, batch: PutBatch) -> Result<PutBatch, PutError> {
        let options = &self.shared.options;
        let bytes = batch.size_bytes();
        let body = batch.events.iter().map(|event| event.body().len()).max().unwrap_or(0);
        let queues = self.shared.queues.read();
        let ids = channel.map_or_else(|| batch.routes.sets.concat(), |channel| vec![channel]);
        if channel.is_none() && !self.routes_fit(&batch, |id| queues.contains_key(&id)) {
            let channel = format!("a channel of {} events", batch.events.len());
            return Err(PutError::ForeignChannel { channel, batch: Box::new(batch) });
        }
        let of = || ids.iter().filter_map(|id| queues.get(id));
        let count = batch.events.len() as u64;
        let checks = [
            ("event body bytes", body as u64, options.body_bytes_max as u64),
            ("events of a transaction", count, options.transaction_events_max as u64),
            ("bytes of a transaction", bytes, options.transaction_bytes_max as u64),
            ("channel sets of a transaction", batch.routes.sets.len() as u64, u16::MAX.into()),
        ];
        let checks = checks.into_iter().chain(self.position_checks(&batch.positions));
        match { checks }.find(|(_, actual, max)| actual > max) {
            None => Ok(batch),
            Some((what, actual, max)) => {
                of().for_each(|queue| queue.refused(count));
                let channel = of().next().map_or_else(String::new, |queue| queue.name.clone());
                Err(PutError::TooLarge { channel, what, actual, max, batch: Box::new(batch) })
            }
        }
    }

    /// What is limited about positions, how much it is, and how much it may be.
    fn position_checks(&self, positions: &Positions) -> [(&'static str, u64, u64); 5] {
        let owner = positions.iter().map(|(owner, _)| owner.len()).max().unwrap_or(0);
        let value = positions.iter().filter_map(|(_, value)| value.as_ref()).map(bytes::Bytes::len).max().unwrap_or(0);
        let (all, bytes) = if positions.is_empty() { (0, 0) } else { self.shared.positions_with(positions) };
        [
            ("bytes of a position's owner", owner as u64, limits::POSITION_OWNER_BYTES_MAX as u64),
            ("bytes of a position", value as u64, limits::POSITION_BYTES_MAX as u64),
            ("positions of a transaction", positions.len() as u64, limits::POSITIONS_PER_TRANSACTION_MAX as u64),
            ("positions of a store", all as u64, limits::POSITIONS_MAX as u64),
            ("bytes of the positions of a store", bytes, limits::POSITIONS_BYTES_MAX),
        ]
    }

    /// Whether the routes of a batch are this store's, name only its channels, and cover each event.
    fn routes_fit(&self, batch: &PutBatch, is_known: impl Fn(u16) -> bool) -> bool {
        let routes = &batch.routes;
        let covered: u64 = routes.runs.iter().map(|(_, count)| u64::from(*count)).sum();
        let known = routes.sets.iter().all(|set| !set.is_empty() && set.iter().all(|id| is_known(*id)));
        (routes.store == self.instance || routes.runs.is_empty()) && known && covered == batch.events.len() as u64
    }

    /// The lane for a put: the one that holds its positions, the one that this thread's last put is on its way to, or the
    /// least busy one. Where the first two differ, it waits until the last put is over.
    fn choose_lane(&self, positions: &Positions) -> Result<&Arc<Lane>, StorageError> {
        let is_roomy = |lane: &Arc<Lane>| lane.refusal().is_none() && !lane.full.load(Ordering::Relaxed);
        // An owner stays in one lane: then no other lane knows an older position of it that would have to be overruled.
        let holder = if self.lanes.len() > 1 { self.shared.holder(positions) } else { None };
        let holder = holder.and_then(|lane| self.lanes.get(usize::from(lane))).filter(|lane| is_roomy(lane));
        if let Some(lane) = self.lane_in_use() {
            let moves = holder.is_some_and(|holder| holder.index != lane.index);
            if moves {
                // ORDER: what was submitted before is over first. Otherwise this could be durable before it, with a position that
                // is ahead of those events.
                lane.drain_pending();
            }
            // Where it found no room, what comes behind it must not find any.
            if lane.refusal().is_none() && !(moves && is_roomy(lane)) {
                return Ok(lane);
            }
        }
        if self.lanes.len() > 1 && !positions.is_empty() {
            // Nor may it be ahead of events that are lost. In a store of one lane it would be refused with them.
            self.settle_own_puts()?;
        }
        if let Some(lane) = holder {
            return Ok(lane);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut cause = None;
        let mut best: Option<((bool, u64), &Arc<Lane>)> = None;
        for index in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get((turn + index) % self.lanes.len()) else { continue };
            if let Some(error) = lane.refusal() {
                cause = Some(error);
                continue;
            }
            let rank = (lane.full.load(Ordering::Relaxed), lane.load());
            if best.is_none_or(|(known, _)| rank < known) {
                best = Some((rank, lane));
            }
        }
        best.map(|(_, lane)| lane).ok_or_else(|| cause.unwrap_or(StorageError::Closed))
    }

    /// Hands the commit of a take to the log.
    pub(crate) fn submit_take(
        &self,
        queue: &Arc<Queue>,
        pieces: Vec<Piece>,
        commit: TakeCommit,
    ) -> Result<TakeTicket, TakeError> {
        let TakeCommit { mut events, count, positions, durability, .. } = commit;
        let (done, rest) = split_pieces(pieces, count as u64);
        let rest_events = events.split_off(count.min(events.len()));
        if !rest.is_empty() {
            wake_all(queue.give_back(rest, rest_events));
        }
        let take = OpenTake { queue: queue.clone(), pieces: done, events };
        let over = self.position_checks(&positions).into_iter().find(|(_, actual, max)| actual > max);
        let lane = match over {
            Some((what, actual, max)) => Err(StorageError::Limit { what, actual, max }),
            None => self.take_lane(&take.pieces),
        };
        let lane = match lane {
            Ok(lane) => lane,
            Err(source) => {
                wake_all(take.give_back());
                return Err(TakeError::NotCommitted { channel: queue.name.clone(), source });
            }
        };
        let ack = Ack { channel: queue.id, ranges: ack_ranges(&take.pieces, &take.events), positions };
        let payload = encode_ack(&ack);
        let durability = durability.unwrap_or(self.shared.options.take_durability);
        let place = lane.submit(Entry { stamp: 0, payload, durability, body: Body::Ack { ack, take } });
        Ok(TakeTicket::pending(Box::new(TakePlace(place))))
    }

    /// Writes down that events of a channel turned out to be gone, so that the next open does not count them. If that fails,
    /// it does.
    pub(crate) fn forget_lost(&self, queue: &Arc<Queue>, ranges: &[AckRange]) {
        for ranges in ranges.chunks(limits::TAKE_TRANSACTIONS_MAX) {
            let pieces: Vec<_> = ranges.iter().map(AckRange::as_piece).collect();
            let Ok(lane) = self.take_lane(&pieces) else { return };
            let ack = Ack { channel: queue.id, ranges: ranges.to_vec(), positions: Positions::new() };
            let payload = encode_ack(&ack);
            let take = OpenTake { queue: queue.clone(), pieces: Vec::new(), events: Vec::new() };
            let durability = self.shared.options.take_durability;
            let place = lane.submit(Entry { stamp: 0, payload, durability, body: Body::Ack { ack, take } });
            // A failure shows at the next commit.
            if Box::new(TakePlace(place)).wait().is_err() {
                return;
            }
        }
    }

    /// The lane whose log gets the commits of takes: the first that can be written to, if possible one with room.
    fn take_lane(&self, pieces: &[Piece]) -> Result<&Arc<Lane>, StorageError> {
        let healthy = || self.lanes.iter().filter(|lane| lane.refusal().is_none());
        let roomy = healthy().find(|lane| !lane.acks_full.load(Ordering::Relaxed));
        let Some(lane) = roomy.or_else(|| healthy().next()) else {
            return Err(self.lanes.first().and_then(|lane| lane.refusal()).unwrap_or(StorageError::Closed));
        };
        for other in self.lanes.iter().filter(|other| other.index != lane.index) {
            let durable = other.durable_seq.load(Ordering::Acquire);
            if pieces.iter().any(|piece| piece.lane == other.index && piece.end() > durable) {
                // ORDER: an acknowledgement must not survive events that do not: their sequence numbers would be used again.
                let mut writer = other.writer.lock();
                match other.poisoned() {
                    None if planted(Bug::AckAheadOfOtherLane) => {}
                    None if !writer.dirty.is_empty() => writer.sync(other)?,
                    Some(error) if pieces.iter().any(|p| p.lane == other.index && p.end() > writer.durable_seq) => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
        Ok(lane)
    }

    /// Writes what is pending, syncs what weaker levels left, takes checkpoints, frees and prepares segments.
    pub(crate) fn maintain(&self) {
        // First of all what was promised for a moment: preparing a segment of one lane may take longer than the interval.
        for lane in self.lanes.iter().filter(|lane| lane.sync_wanted.swap(false, Ordering::AcqRel)) {
            lane.sync_aside();
        }
        for lane in self.lanes.iter().filter(|_| !self.shared.keeper.is_stopped()) {
            if !self.shared.options.background {
                // Nobody else would write for those who do not wait.
                lane.drain_pending();
            }
            let mut free = lane.writer.lock().free_segments(lane);
            if !free.is_empty() {
                // ORDER: the acknowledgements may be in another lane's log; they are durable before the events are gone.
                for other in self.lanes.iter().filter(|other| other.index != lane.index) {
                    other.sync_aside();
                    if other.poisoned().is_some() && !other.writer.lock().dirty.is_empty() {
                        free.clear();
                    }
                }
            }
            lane.maintain(&free);
        }
    }

    /// Waits for what is pending and makes it durable.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let flushed = self.lanes.iter().map(|lane| {
            lane.drain_pending();
            lane.sync_aside();
            let writer = lane.writer.lock();
            lane.poisoned().filter(|_| !writer.dirty.is_empty()).map_or(Ok(()), Err)
        });
        // All of them, whatever fails.
        flushed.collect::<Vec<_>>().into_iter().collect()
    }

    fn stop_thread(&self) {
        self.shared.keeper.stop();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic there was reported by the panic hook already, and there is nobody else to tell.
            let _ = thread.join();
        }
    }

    /// Closes the store. The first failure is returned; everything is tried.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        if let Some(result) = &*self.closing.lock() {
            return result.clone();
        }
        self.closed.store(true, Ordering::Release);
        // IMPORTANT: whoever makes a channel looks at `closed` under this lock. What is under way writes the list of channels, which
        // belongs to the next open once the locks are free.
        drop(self.manifest.lock());
        let queues: Vec<_> = self.shared.queues.read().values().cloned().collect();
        // From here on tasks are woken, and wherever that is, one of them may close the store in its waker, and go ahead of this.
        queues.iter().for_each(|queue| queue.close());
        self.shared.space_freed();
        self.stop_thread();
        self.lanes.iter().for_each(|lane| lane.drain_pending());
        let result = {
            // Whoever closes second waits for the first, and hears the same. Nobody is woken while this is locked.
            let mut closing = self.closing.lock();
            if let Some(result) = &*closing {
                return result.clone();
            }
            // First all, then each: what one lane frees may rest on acknowledgements in the log of another.
            let stopped: Vec<_> = self.lanes.iter().map(|lane| lane.stop_writing()).collect();
            let result: Result<(), StorageError> = stopped.into_iter().collect();
            self.lanes.iter().for_each(|lane| lane.clear_away(result.is_ok()));
            self.locks.lock().clear();
            closing.insert(result).clone()
        };
        // Whatever came in between is refused now, and hears of it.
        self.lanes.iter().for_each(|lane| lane.drain_pending());
        match &result {
            Ok(()) => tell!(INFO, "store is closed", store = self.path.display()),
            Err(error) => tell!(ERROR, "store is closed with a failure", store = self.path.display(), error = error),
        }
        result
    }
}

/// The end of the store's thread.
pub(crate) struct KeeperEnd<'a>(pub(crate) &'a Weak<Inner>);

impl Drop for KeeperEnd<'_> {
    fn drop(&mut self) {
        // Only a file system, or a clock, that is not ours panics. What the thread was at is half done, and tasks count on it.
        let Some(inner) = self.0.upgrade().filter(|_| thread::panicking()) else { return };
        // ORDER: nobody hands anything to it any more before what it was handed is looked at.
        inner.shared.keeper.stop();
        inner.lanes.iter().for_each(|lane| lane.abandon());
        for lane in &inner.lanes {
            // What may panic once more must not end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| lane.drain_pending()));
        }
    }
}

impl Kept for Inner {
    type Lane = Lane;

    fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    fn maintain(&self) {
        self.maintain();
    }
}

/// What the users' handles share. Once the last of them is gone, the store's thread ends.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Arc<Inner>);

impl Deref for Handle {
    type Target = Arc<Inner>;

    fn deref(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Without a close this is like a crash, but that what was submitted is written: no checkpoint, nothing weaker is synced,
        // the next open recovers. Waiting for the thread to finish what it is at makes sure that the locks are free when the
        // last handle is gone.
        self.0.stop_thread();
        for lane in &self.0.lanes {
            lane.drain_pending();
            let upkeep = lane.upkeep.lock();
            lane.closed.store(true, Ordering::Release);
            // Tickets may be left: what they would still write must not go into what the next open makes of the files.
            drop(lane.writer.lock());
            drop(upkeep);
            lane.drain_pending();
        }
        self.0.locks.lock().clear();
    }
}

/// The ticket of a put, which tries again when the disk was full and segments became free.
#[derive(Debug)]
struct PutTicketOf {
    inner: Arc<Inner>,
    place: PutPlace,
    channel: Option<u16>,
    patience: Patience,
    generation: u64,
}

impl RawTicket<Result<Receipt, PutError>> for PutTicketOf {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        let Self { inner, mut place, channel, patience, mut generation } = *self;
        loop {
            let outcome = Box::new(place).wait();
            let Err(PutError::Full { reason: FullReason::Disk, batch, channel: name }) = outcome else {
                return outcome;
            };
            if inner.shared.options.background {
                inner.shared.keeper.wake();
            } else {
                inner.maintain();
            }
            let freed = inner.shared.space_generation() != generation;
            if patience.is_over() && !freed {
                return Err(PutError::Full { reason: FullReason::Disk, batch, channel: name });
            }
            // In slices: room also comes from other programs, and from a lane on another disk.
            inner.shared.wait_for_space(generation, patience.deadline().or_after(SPACE_POLL));
            generation = inner.shared.space_generation();
            place = inner.start_put(channel, *batch, &patience, true)?;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        self.place.poll(cx)
    }
}

/// How often a put that waits for room on the disk tries again.
const SPACE_POLL: Duration = Duration::from_millis(100);

/// Bodies from this size on are written from where they are; smaller ones are cheaper to copy than to list.
const BODY_COPY_MAX: usize = 8 << 10;

static INSTANCES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
