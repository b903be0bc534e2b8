//! The writing side of a lane: placing frames, syncing, publishing, changing segments. Only the leader of the moment, and
//! the store's own thread between two groups, hold it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

use super::capacity::CountsAs;
use super::frame::{HEAD_BYTES, Head, Kind, LanePos};
use super::group::Outcome;
use super::lane::{Body, Entry, Lane};
use super::log::Record;
use super::segment::{Segment, is_full};
use super::spares::Spares;
use super::state::LaneState;
use crate::batch::Positions;
use crate::durability::Durability;
use crate::error::{FullReason, PutError, StorageError, TakeError};
use crate::event::EventId;
use crate::limits::{CLEARED_POSITIONS_MAX, POSITIONS_PER_TRANSACTION_MAX};
use crate::sabotage::{Bug, planted};
use crate::ticket::Receipt;
use crate::vfs::VfsFile;

/// Where the next frame goes, and what is not synced yet.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) active: Arc<Segment>,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) offset: u32,
    /// Everything below is durable.
    pub(crate) durable: LanePos,
    /// Sequence number behind the last event that is durable.
    pub(crate) durable_seq: u64,
    /// The largest `durable` that a written frame carries, and that a durable frame or a checkpoint carries: what the
    /// next open can know without looking at older segments.
    pub(crate) marked: LanePos,
    pub(crate) proven: LanePos,
    /// Owners whose position is cleared, and not durably so: where the log ended then, and the stamp of the clear.
    pub(crate) cleared: BTreeMap<String, (LanePos, u64)>,
    /// Files with bytes between `durable` and the end, oldest first.
    pub(crate) dirty: Vec<Arc<dyn VfsFile>>,
    pub(crate) unsynced_bytes: u64,
    pub(crate) state: LaneState,
    /// An upper bound of the bytes that the state takes in a record.
    pub(crate) state_bytes: u64,
    pub(crate) spares: Spares,
    /// Bytes since the last checkpoint.
    pub(crate) since_checkpoint: u64,
    /// A write failed half-way: nothing more goes into this segment.
    pub(crate) spoiled: bool,
    /// A sync failed in the middle of a group: nobody knows what became of what the group had written before.
    pub(crate) sync_failed: bool,
    /// Puts up to this stamp were on their way when an earlier one was refused for this, and are refused with it.
    pub(crate) refused: Option<(u64, StorageError)>,
    /// Tasks that wait for what was published; to be woken once nothing is locked.
    pub(crate) wakers: Vec<Waker>,
}

/// What a writer had not synced at some moment.
pub(crate) struct Unsynced {
    pub(crate) files: Vec<Arc<dyn VfsFile>>,
    end: LanePos,
    seq: u64,
    marked: LanePos,
    bytes: u64,
}

/// A frame that is in the file.
pub(crate) struct Written {
    index: usize,
    head: Head,
    pos: LanePos,
    body: Body,
}

impl Writer {
    pub(crate) fn end(&self) -> LanePos {
        LanePos::new(self.active.id, self.offset)
    }

    /// Writes a group, makes it as durable as asked for, publishes it, and says what became of each transaction.
    pub(crate) fn commit(&mut self, lane: &Lane, entries: Vec<Entry>) -> Vec<Option<Outcome>> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(entries.len(), || None);
        let mut written = Vec::with_capacity(entries.len());
        let mut level = Level::default();
        // The puts behind one that found no room are refused, too: they may have been submitted in this order.
        let mut no_puts = None;
        // A ticket that is left over a close must not make a file in what the next open has.
        if lane.refusal().is_none() && entries.iter().any(|entry| entry.body.kind() == Kind::Put) {
            no_puts = self.secure_reserve(lane).err();
        }
        let mut rest = entries.into_iter().enumerate().peekable();
        while rest.peek().is_some() {
            // IMPORTANT: looked at under the writer's lock, after the leader before us can have set it.
            if let Some(error) = lane.refusal().filter(|_| !planted(Bug::PoisonReadEarly)) {
                for (index, entry) in rest.by_ref() {
                    settle(&mut outcomes, index, self.refuse(entry.body, error.clone()));
                }
                break;
            }
            let mut chunk = Vec::new();
            let mut bytes = 0;
            while let Some((_, entry)) = rest.peek() {
                let len = u64::from(HEAD_BYTES) + entry.payload.len;
                if self.spoiled || self.refused_before(entry, no_puts.as_ref()).is_some() {
                    break;
                }
                if u64::from(self.offset) + bytes + len > self.active.size {
                    break;
                }
                bytes += len;
                level.add(entry);
                chunk.extend(rest.next());
            }
            if chunk.is_empty() {
                let Some((index, entry)) = rest.next() else { break };
                let len = u64::from(HEAD_BYTES) + entry.payload.len;
                let put = entry.body.kind() == Kind::Put;
                let rotated = match self.refused_before(&entry, no_puts.as_ref()) {
                    Some(error) => Err(error),
                    None => self.rotate(lane, len, put),
                };
                match rotated {
                    Ok(()) => {
                        level.add(&entry);
                        chunk.push((index, entry));
                    }
                    Err(error) => {
                        // A transaction that no segment can hold says nothing of the others.
                        if put && !matches!(error, StorageError::Limit { .. }) {
                            no_puts.get_or_insert_with(|| error.clone());
                        }
                        settle(&mut outcomes, index, self.refuse(entry.body, error));
                        continue;
                    }
                }
            }
            self.write_chunk(lane, chunk, &mut written, &mut outcomes);
            if self.spoiled {
                let full = || StorageError::DiskFull { path: lane.log.dir.path.clone() };
                no_puts.get_or_insert_with(full);
            }
        }
        if let Some(error) = no_puts {
            // Groups that formed meanwhile may continue what was refused.
            self.refused = Some((lane.shared.last_stamp(), error));
        }
        self.finish(lane, level, written, &mut outcomes);
        outcomes
    }

    /// Why a put is refused without a look at the disk: an earlier one was refused while it was on its way.
    fn refused_before(&self, entry: &Entry, no_puts: Option<&StorageError>) -> Option<StorageError> {
        if entry.body.kind() != Kind::Put {
            return None;
        }
        let earlier = self.refused.as_ref().filter(|(upto, _)| entry.stamp <= *upto).map(|(_, error)| error);
        earlier.or(no_puts).cloned()
    }

    /// Makes sure of the reserve. Without it, or where the state has outgrown it, puts are refused: what they add could
    /// not be drained from a full disk.
    fn secure_reserve(&mut self, lane: &Lane) -> Result<(), StorageError> {
        if self.spares.is_secure(self.state_bytes) {
            return Ok(());
        }
        self.state_bytes = self.state.encode().len() as u64;
        let secured = self.spares.secure(&lane.log.dir, self.state_bytes);
        lane.note_room(&secured);
        secured
    }

    /// The bytes that the state takes in a record; an upper bound where it is small all the same.
    pub(crate) fn known_state_bytes(&mut self) -> u64 {
        if !self.spares.is_small(self.state_bytes) {
            self.state_bytes = self.state.encode().len() as u64;
        }
        self.state_bytes
    }

    /// Forgets the positions that were cleared before `durable`, which is durable.
    ///
    /// ORDER: not before. A clear that a power cut takes with it leaves an older position in this log. Were it forgotten, a clear
    /// in another lane would not know that there is something left to overrule, and the old position would come back.
    fn forget_cleared(&mut self, lane: &Lane, durable: LanePos) {
        let state = &mut self.state;
        self.cleared.retain(|owner, (end, stamp)| {
            if *end > durable {
                return true;
            }
            // A later frame may have set it again.
            if state.positions.get(owner).is_none_or(|(_, value)| value.is_none())
                && lane.shared.cleared_durably(lane.index, owner, *stamp)
            {
                state.positions.remove(owner);
            }
            false
        });
    }

    /// Clears what this log has of positions that were cleared in those of other lanes, and forgets what no log has a position of:
    /// there would be more and more of both. `true`: something was written.
    pub(crate) fn clear_leftovers(&mut self, lane: &Lane) -> Result<bool, StorageError> {
        for (owner, stamp) in lane.shared.forgotten_for(lane.index) {
            if self.state.positions.get(&owner).is_some_and(|(last, value)| value.is_none() && *last <= stamp) {
                self.state.positions.remove(&owner);
            }
        }
        let mut has_written = false;
        for (stamp, mut owners) in lane.shared.clears_for(lane.index) {
            // What is on its way to this log is newer, and comes behind.
            owners.retain(|owner| self.state.positions.get(owner).is_some_and(|(last, _)| *last < stamp));
            for owners in owners.chunks(POSITIONS_PER_TRANSACTION_MAX) {
                let cleared: Positions = owners.iter().map(|owner| (owner.clone(), None)).collect();
                // With the stamp of that clear: a position that was set since, elsewhere, stays the newest.
                self.note(lane, stamp, cleared.clone())?;
                for owner in lane.shared.set_positions(lane.index, stamp, &cleared) {
                    self.cleared.insert(owner, (self.end(), stamp));
                }
                has_written = true;
            }
        }
        Ok(has_written)
    }

    /// Syncs if asked for, then publishes.
    fn finish(&mut self, lane: &Lane, level: Level, written: Vec<Written>, outcomes: &mut [Option<Outcome>]) {
        let options = &lane.shared.options;
        let sync = (level.sync && !written.is_empty())
            || self.unsynced_bytes > options.unsynced_bytes_max
            || self.sync_failed
            || self.cleared.len() >= CLEARED_POSITIONS_MAX;
        if sync && let Err(error) = self.sync(lane) {
            for frame in written {
                if planted(Bug::PublishBeforeSync) && frame.body.kind() == Kind::Put {
                    let _ = self.publish(lane, &frame.head, frame.pos, frame.body);
                    let unknown = Outcome::Put(Err(PutError::Indeterminate { source: error.clone() }));
                    settle(outcomes, frame.index, unknown);
                    continue;
                }
                settle(outcomes, frame.index, indeterminate(lane, frame.body, error.clone()));
            }
            return;
        }
        if let Some(interval) = level.interval.filter(|_| !sync && !planted(Bug::IntervalForgotten)) {
            lane.sync_wanted.store(true, Ordering::Release);
            lane.shared.keeper.schedule(options.clock.monotonic().saturating_add(interval));
        }
        for frame in written {
            for owner in lane.shared.set_positions(lane.index, frame.head.stamp, frame.body.positions()) {
                self.cleared.insert(owner, (self.end(), frame.head.stamp));
            }
            let outcome = self.publish(lane, &frame.head, frame.pos, frame.body);
            settle(outcomes, frame.index, outcome);
        }
        if sync || planted(Bug::ForgetBeforeDurable) {
            self.forget_cleared(lane, self.end());
        }
        if self.checkpoint_due(lane) || self.wants_segment() || lane.full.load(Ordering::Relaxed) {
            lane.shared.keeper.wake();
        }
    }

    /// Makes everything written so far durable. A failure poisons the lane: what a failed sync leaves behind in the page
    /// cache looks clean and is not on the disk, so trying again would only hide the loss.
    pub(crate) fn sync(&mut self, lane: &Lane) -> Result<(), StorageError> {
        let clock = &lane.shared.options.clock;
        let begun = clock.monotonic();
        // IMPORTANT: the system tells each failure once for each descriptor. Whoever syncs aside and hears of it poisons the
        // lane before this sync, to which the same loss would look like success, can begin.
        let _alone = lane.syncing.lock();
        if let Some(error) = lane.poisoned().filter(|_| !planted(Bug::PoisonReadEarly)) {
            return Err(error);
        }
        for file in self.dirty.iter().filter(|_| !planted(Bug::NoSync)) {
            let synced = file.sync_data();
            if let Err(error) = if planted(Bug::RetrySync) { synced.or_else(|_| file.sync_data()) } else { synced } {
                let error = StorageError::io("sync", &lane.log.dir.path, error);
                lane.poison(&error);
                return Err(error);
            }
        }
        self.dirty.clear();
        self.unsynced_bytes = 0;
        self.durable = self.end();
        self.durable_seq = self.state.next_seq;
        self.proven = self.proven.max(self.marked);
        lane.durable_seq.store(self.durable_seq, Ordering::Release);
        self.forget_cleared(lane, self.durable);
        lane.shared.metrics.synced(clock.monotonic().saturating_sub(begun));
        Ok(())
    }

    /// Whether it is time for a checkpoint. It needs everything before it synced, which a store that leaves syncing to
    /// the operating system puts off as long as it may.
    pub(crate) fn checkpoint_due(&self, lane: &Lane) -> bool {
        let options = &lane.shared.options;
        let replay = options.replay_bytes_max / 2;
        let step =
            if options.durability == Durability::Sync { replay } else { replay.max(options.unsynced_bytes_max / 2) };
        self.since_checkpoint >= step
    }

    /// What there is to sync, and what is durable then.
    pub(crate) fn unsynced(&self) -> Unsynced {
        Unsynced {
            files: self.dirty.clone(),
            end: self.end(),
            seq: self.state.next_seq,
            marked: self.marked,
            bytes: self.unsynced_bytes,
        }
    }

    /// Notes that what `before` says was synced meanwhile.
    pub(crate) fn synced(&mut self, lane: &Lane, before: &Unsynced) {
        // What failed meanwhile may be what this would pass for durable.
        if lane.poisoned().is_some() {
            return;
        }
        let Unsynced { files, end, seq, marked, bytes } = before;
        let (end, bytes) = (*end, *bytes);
        self.durable = self.durable.max(end);
        self.durable_seq = self.durable_seq.max(*seq);
        lane.durable_seq.store(self.durable_seq, Ordering::Release);
        self.proven = self.proven.max(*marked);
        self.forget_cleared(lane, end);
        self.unsynced_bytes = self.unsynced_bytes.saturating_sub(bytes);
        if self.end() == end {
            self.dirty.clear();
        } else if let Some((last, earlier)) = files.split_last() {
            // The last of them may have got more bytes meanwhile.
            self.dirty.retain(|dirty| Arc::ptr_eq(dirty, last) || !earlier.iter().any(|file| Arc::ptr_eq(dirty, file)));
        }
    }

    /// Whether it is time to prepare the next segment.
    pub(crate) fn wants_segment(&self) -> bool {
        self.spares.wants_work(self.offset, &self.active)
    }

    pub(crate) fn write_chunk(
        &mut self,
        lane: &Lane,
        chunk: Vec<(usize, Entry)>,
        written: &mut Vec<Written>,
        outcomes: &mut [Option<Outcome>],
    ) {
        let begin = self.offset;
        let (heads, raw) = self.place(&chunk);
        let mut slices = Vec::with_capacity(heads.len() * 2);
        for (bytes, (_, entry)) in raw.iter().zip(&chunk) {
            slices.push(IoSlice::new(bytes));
            slices.extend(entry.payload.pieces().map(IoSlice::new));
        }
        let result = self.file.write_all_at(&mut slices, begin.into());
        let failed = result.err().map(|(bytes, error)| self.write_failed(lane, begin, bytes, error));
        let mut offset = begin;
        for ((index, entry), head) in chunk.into_iter().zip(heads) {
            let pos = LanePos::new(self.active.id, offset);
            let end = u64::from(offset) + head.frame_len();
            offset = u32::try_from(end).unwrap_or(u32::MAX);
            lane.shared.buffers.give_back(entry.payload.into_buffer());
            match &failed {
                None => {
                    match &entry.body {
                        Body::Put { meta, .. } => self.state.put(&head, meta),
                        Body::Ack { ack, .. } => self.state.ack(&head, ack),
                    }
                    self.state_bytes += state_growth(&entry.body);
                    written.push(Written { index, head, pos, body: entry.body });
                }
                // Of a frame that is written in part the rest may have been in the file already: zeros.
                Some(failed) if failed.poisoned && u64::from(pos.offset()) < failed.written_to => {
                    settle(outcomes, index, indeterminate(lane, entry.body, failed.error.clone()));
                }
                Some(failed) => settle(outcomes, index, self.refuse(entry.body, failed.error.clone())),
            }
        }
        if failed.is_none() {
            let bytes = u64::from(offset - begin);
            self.offset = offset;
            self.marked = self.durable;
            self.unsynced_bytes += bytes;
            self.since_checkpoint += bytes;
            lane.shared.metrics.written(bytes, raw.len() as u64);
            self.mark_dirty();
        }
    }

    /// Gives each transaction its place in the lane's order and builds the heads.
    fn place(&self, chunk: &[(usize, Entry)]) -> (Vec<Head>, Vec<[u8; HEAD_BYTES as usize]>) {
        let mut offset = self.offset;
        let mut seq = self.state.next_seq;
        let mut heads = Vec::with_capacity(chunk.len());
        let mut raw = Vec::with_capacity(chunk.len());
        for (_, entry) in chunk {
            let events = match &entry.body {
                Body::Put { events, .. } => u32::try_from(events.len()).unwrap_or(u32::MAX),
                Body::Ack { .. } => 0,
            };
            let end = offset + HEAD_BYTES + u32::try_from(entry.payload.len).unwrap_or(0);
            let head = Head {
                kind: entry.body.kind(),
                payload_len: u32::try_from(entry.payload.len).unwrap_or(u32::MAX),
                events,
                seq,
                stamp: entry.stamp,
                durable: if planted(Bug::MarkBeforeSync) { LanePos::new(self.active.id, end) } else { self.durable },
                payload_crc: entry.payload.crc,
            };
            raw.push(head.encode(self.active.seal, offset));
            heads.push(head);
            seq += u64::from(events);
            offset += u32::try_from(head.frame_len()).unwrap_or(u32::MAX);
        }
        (heads, raw)
    }

    pub(crate) fn mark_dirty(&mut self) {
        if !self.dirty.last().is_some_and(|last| Arc::ptr_eq(last, &self.file)) {
            self.dirty.push(self.file.clone());
        }
    }

    /// Decides what a failed write means. No room: the frames are fenced off and the segment gets no more. Anything else
    /// poisons the lane.
    fn write_failed(&mut self, lane: &Lane, begin: u32, bytes: u64, error: io::Error) -> WriteFailure {
        let written_to = u64::from(begin) + bytes;
        self.spoiled = !planted(Bug::AppendBehindGarbage);
        if is_full(&error) {
            // ORDER: without the fence, frames that are whole in the file could come back at the next open although
            // their transactions are reported as not committed.
            let fence = [0; HEAD_BYTES as usize];
            // Alone, as any sync: one that failed aside has poisoned the lane before this one can seem to succeed.
            let _alone = lane.syncing.lock();
            let fenced = bytes == 0
                || planted(Bug::NoFence)
                || lane.poisoned().is_none()
                    && self
                        .file
                        .write_all_at(&mut [IoSlice::new(&fence)], begin.into())
                        .map_err(|(_, error)| error)
                        .and_then(|()| self.file.sync_data())
                        .is_ok();
            if fenced {
                if planted(Bug::AppendBehindGarbage) {
                    self.offset += u32::try_from(bytes).unwrap_or(0);
                }
                lane.acks_full.store(true, Ordering::Relaxed);
                let error = StorageError::DiskFull { path: lane.log.dir.path.clone() };
                return WriteFailure { error, poisoned: false, written_to };
            }
        }
        let error = StorageError::io("write", &self.active.path, error);
        lane.poison(&error);
        WriteFailure { error, poisoned: true, written_to }
    }

    /// Makes a written transaction visible.
    fn publish(&mut self, lane: &Lane, head: &Head, pos: LanePos, body: Body) -> Outcome {
        match body {
            Body::Put { meta, events, shares, .. } => {
                let count = events.len() as u64;
                let first = (count > 0).then_some(EventId { lane: lane.index, seq: head.seq });
                if count == 0 {
                    shares.into_iter().for_each(|share| share.give_back(CountsAs::Nothing));
                } else {
                    let next = pos.after(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
                    let readers = u32::try_from(shares.len()).unwrap_or(u32::MAX);
                    lane.log.cache.push(Record::new(next, head, meta, events), readers);
                    lane.log.publish(head.seq + count);
                    for share in shares {
                        self.wakers.extend(share.publish(lane.index, head.seq, pos));
                    }
                }
                Outcome::Put(Ok(Receipt::new(first, count, 0)))
            }
            Body::Ack { ack, take } => {
                take.acknowledged(&ack);
                Outcome::Take(Ok(()))
            }
        }
    }

    /// Nothing of the transaction happened: puts get their batch back, takes return to their channel.
    fn refuse(&mut self, body: Body, error: StorageError) -> Outcome {
        match body {
            Body::Put { meta, events, shares, origin } => {
                let channel = shares.first().map_or_else(String::new, |share| share.channel().to_owned());
                // One that waits for the disk comes again and again.
                let counts_as = match error {
                    StorageError::DiskFull { .. } if origin.again => CountsAs::Nothing,
                    StorageError::DiskFull { .. } => CountsAs::Full,
                    _ => CountsAs::Failed,
                };
                shares.into_iter().for_each(|share| share.give_back(counts_as));
                let batch = Box::new(origin.give_back(meta, events));
                Outcome::Put(Err(match error {
                    StorageError::DiskFull { .. } => PutError::Full { channel, reason: FullReason::Disk, batch },
                    StorageError::Closed => PutError::Closed { channel, batch },
                    source => PutError::NotCommitted { source, batch },
                }))
            }
            Body::Ack { take, .. } => {
                let channel = take.queue.name.clone();
                self.wakers.extend(take.give_back());
                Outcome::Take(Err(TakeError::NotCommitted { channel, source: error }))
            }
        }
    }
}

/// At most how many bytes a transaction adds to the encoded state.
fn state_growth(body: &Body) -> u64 {
    // Generous: what a new channel, its span and an acknowledged lane take.
    const CHANNEL: u64 = 64;
    const RANGE: u64 = 16;
    const POSITION: u64 = 32;
    let entries = match body {
        Body::Put { shares, .. } => CHANNEL * shares.len() as u64,
        Body::Ack { ack, .. } => CHANNEL + RANGE * ack.ranges.len() as u64,
    };
    let position = |(owner, value): &(String, Option<Bytes>)| {
        POSITION + owner.len() as u64 + value.as_ref().map_or(0, |value| value.len() as u64)
    };
    entries + body.positions().iter().map(position).sum::<u64>()
}

/// The strongest durability that a group asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    sync: bool,
    interval: Option<Duration>,
}

impl Level {
    fn add(&mut self, entry: &Entry) {
        match entry.durability {
            _ if planted(Bug::AckNotSynced) && entry.body.kind() == Kind::Ack => {}
            Durability::Sync => self.sync = true,
            Durability::Interval(interval) => {
                self.interval = Some(self.interval.map_or(interval, |shortest| shortest.min(interval)));
            }
            Durability::Os => {}
        }
    }
}

struct WriteFailure {
    error: StorageError,
    poisoned: bool,
    written_to: u64,
}

fn settle(outcomes: &mut [Option<Outcome>], index: usize, outcome: Outcome) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = Some(outcome);
    }
}

/// The transaction may or may not have happened.
fn indeterminate(lane: &Lane, body: Body, source: StorageError) -> Outcome {
    lane.shared.suspect_positions(lane.index, body.positions());
    match body {
        Body::Put { shares, .. } => {
            shares.into_iter().for_each(|share| share.give_back(CountsAs::Failed));
            Outcome::Put(Err(PutError::Indeterminate { source }))
        }
        Body::Ack { .. } => Outcome::Take(Err(TakeError::Indeterminate { source })),
    }
}
