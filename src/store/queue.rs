//! A channel of a store: a cursor over the lanes, what is in flight, and the accounting of room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::backlog::Backlog;
use super::capacity::{Capacity, CountsAs, Refused};
use super::frame::LanePos;
use super::lane::Lane;
use super::ranges::RangeSet;
use super::reader::{Piece, Reader};
use super::record::{Ack, AckRange};
use crate::clock::Clock;
use crate::error::{FullReason, StorageError, TakeError};
use crate::event::Event;
use crate::limits;
use crate::sabotage::{Bug, planted};
use crate::stats::ChannelStats;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::wait::{Deadline, Patience, Wait, wake_all};
use crate::wakers::Wakers;

/// One channel.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: u16,
    pub(crate) name: String,
    capacity: Mutex<Capacity>,
    clock: Arc<dyn Clock>,
    // Lock order: `reader` before `gate`. Publishing takes only `gate`.
    reader: Mutex<Reader>,
    gate: Mutex<Gate>,
    ready: Condvar,
    room: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    closed: bool,
    // Visible events that no take has claimed.
    ready: u64,
    lanes: Vec<LaneGate>,
    depth_events: u64,
    depth_bytes: u64,
    // Room of puts that are on their way to the log.
    reserved_events: u64,
    reserved_bytes: u64,
    in_flight: u64,
    // Of `depth_events`: what a lane that takes no more writes has behind its last good sync, as far as readers came upon it.
    withheld: u64,
    takers: usize,
    wakers: Wakers,
    // Puts that wait for room, in the order they came: a large one is not starved by small ones.
    line: VecDeque<u64>,
    line_next: u64,
    // Events that were there before the store was opened.
    backlog: u64,
    // How many events had come, with the backlog, before one that came then; a few times a second at most.
    ages: VecDeque<(u64, Duration)>,
    // Events that were passed over as damaged and still count.
    losses: Vec<AckRange>,
    stats: ChannelStats,
}

#[derive(Debug, Default)]
pub(crate) struct LaneGate {
    // Visible events that the cursor has not read yet, and their bytes.
    pub(crate) unread: u64,
    pub(crate) unread_bytes: u64,
    // Where the first unread event is, if the cursor was at the end when it came.
    pub(crate) hint: Option<(u64, LanePos)>,
    acked: RangeSet,
}

impl Queue {
    pub(crate) fn new(
        id: u16,
        name: String,
        capacity: Capacity,
        clock: Arc<dyn Clock>,
        backlog: Vec<Backlog>,
        lost: u64,
    ) -> Self {
        let (events, bytes) =
            backlog.iter().fold((0, 0), |(events, bytes), lane| (events + lane.events, bytes + lane.bytes));
        let reader = Reader::new(&backlog);
        let lanes = backlog.into_iter().map(|lane| {
            let Backlog { events: unread, bytes: unread_bytes, acked, .. } = lane;
            LaneGate { unread, unread_bytes, acked, hint: None }
        });
        let mut gate =
            Gate { ready: events, depth_events: events, depth_bytes: bytes, backlog: events, ..Gate::default() };
        gate.lanes = lanes.collect();
        gate.stats.lost_events = lost;
        Self {
            id,
            name,
            capacity: Mutex::new(capacity),
            clock,
            reader: Mutex::new(reader),
            gate: Mutex::new(gate),
            ready: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Whether there is no event, and no put on its way to the log.
    pub(crate) fn is_idle(&self) -> bool {
        let gate = self.gate.lock();
        gate.depth_events == 0 && gate.reserved_events == 0
    }

    pub(crate) fn capacity(&self) -> Capacity {
        *self.capacity.lock()
    }

    pub(crate) fn set_capacity(&self, capacity: Capacity) {
        // Under the gate: a put that just found no room must be waiting when it is woken.
        let gate = self.gate.lock();
        *self.capacity.lock() = capacity;
        drop(gate);
        self.room.notify_all();
    }

    /// Claims room for a put, or, `again`, for one that has been counted.
    pub(crate) fn reserve(&self, events: u64, bytes: u64, patience: &Patience, again: bool) -> Result<(), Refused> {
        let mut gate = self.gate.lock();
        gate.stats.put_attempt_events += if again { 0 } else { events };
        let mut place = None;
        let result = loop {
            // Anew each time: whoever waits may be left with a capacity that it will never fit in.
            let capacity = self.capacity();
            if let Some(refused) = capacity.refusal(events, bytes) {
                break Err(refused);
            }
            if gate.closed {
                break Err(Refused::Closed);
            }
            let missing = gate.missing(events, bytes, capacity);
            let first = gate.line.front().is_none_or(|front| Some(*front) == place);
            match missing {
                None if first => break Ok(()),
                missing => {
                    if place.is_none() {
                        place = Some(gate.line_next);
                        gate.line_next += 1;
                        let place = gate.line_next - 1;
                        gate.line.push_back(place);
                    }
                    if !patience.wait(&self.room, &mut gate) {
                        // One more look: the time may have run out in the moment room came.
                        let missing_now = gate.missing(events, bytes, self.capacity());
                        let first = gate.line.front().is_none_or(|front| Some(*front) == place);
                        if missing_now.is_none() && first && !gate.closed {
                            break Ok(());
                        }
                        break Err(Refused::Full(missing_now.or(missing).unwrap_or(FullReason::Events)));
                    }
                }
            }
        };
        if let Some(place) = place {
            gate.line.retain(|waiting| *waiting != place);
        }
        match result {
            Ok(()) => {
                gate.reserved_events += events;
                gate.reserved_bytes += bytes;
            }
            Err(Refused::Full(_)) => gate.stats.put_full_count += 1,
            Err(Refused::Closed | Refused::TooLarge { .. }) => gate.stats.put_error_count += 1,
        }
        let others = !gate.line.is_empty();
        drop(gate);
        if others {
            self.room.notify_all();
        }
        result
    }

    /// Counts a put that was refused before it asked for room.
    pub(crate) fn refused(&self, events: u64) {
        let mut gate = self.gate.lock();
        gate.stats.put_attempt_events += events;
        gate.stats.put_error_count += 1;
    }

    /// Refuses a put that needs no room if the channel is closed.
    pub(crate) fn admit(&self) -> Result<(), Refused> {
        let mut gate = self.gate.lock();
        if gate.closed {
            gate.stats.put_error_count += 1;
            return Err(Refused::Closed);
        }
        Ok(())
    }

    /// Gives claimed room back, of a put that failed or of one that may be tried again.
    pub(crate) fn unreserve(&self, events: u64, bytes: u64, counts_as: CountsAs) {
        let mut gate = self.gate.lock();
        gate.reserved_events -= events;
        gate.reserved_bytes -= bytes;
        match counts_as {
            CountsAs::Full => gate.stats.put_full_count += 1,
            CountsAs::Failed => gate.stats.put_error_count += 1,
            CountsAs::Nothing => {}
        }
        self.notify_room(gate);
    }

    /// Makes events of a record visible; their room was reserved. Returns the tasks to be woken, once nothing is locked: what
    /// they do then is not ours to know.
    pub(crate) fn publish(&self, lane: u16, seq: u64, pos: LanePos, events: u64, bytes: u64) -> Vec<Waker> {
        let now = self.clock.monotonic();
        let mut gate = self.gate.lock();
        if events > 0 {
            gate.note_age(now);
        }
        gate.reserved_events -= events;
        gate.reserved_bytes -= bytes;
        gate.depth_events += events;
        gate.depth_bytes += bytes;
        gate.ready += events;
        gate.stats.put_success_events += events;
        if let Some(lane) = gate.lanes.get_mut(usize::from(lane)) {
            if lane.unread == 0 {
                lane.hint = Some((seq, pos));
            }
            lane.unread += events;
            lane.unread_bytes += bytes;
        }
        let takers = gate.takers;
        let wakers = gate.wakers.take();
        drop(gate);
        if takers > 0 && !planted(Bug::LostWakeup) {
            self.ready.notify_one();
        }
        wakers
    }

    /// Takes up to `max` events; none if none came in time.
    pub(crate) fn take(&self, lanes: &[Arc<Lane>], max: usize, bytes_max: u64, wait: Wait) -> Result<Taken, TakeError> {
        let deadline = wait.deadline();
        let mut in_time = wait != Wait::NONE;
        loop {
            let claim = self.claim(lanes, max as u64, deadline, &mut in_time)?;
            let Some((reader, claimed)) = claim else { return Ok(Taken::default()) };
            let taken = self.read(reader, lanes, claimed, bytes_max)?;
            if !taken.events.is_empty() || taken.withheld == 0 || !taken.lost.is_empty() {
                return Ok(taken);
            }
            // All that was claimed is withheld from now on.
        }
    }

    /// Reads what was claimed, and settles the accounts.
    fn read(
        &self,
        mut reader: MutexGuard<'_, Reader>,
        lanes: &[Arc<Lane>],
        claimed: u64,
        bytes_max: u64,
    ) -> Result<Taken, TakeError> {
        let mut taken = Taken::default();
        let result = reader.read(self, lanes, claimed, bytes_max, &mut taken);
        let count = taken.events.len() as u64;
        let mut gate = self.gate.lock();
        // What was claimed and not found goes back, unless there is nothing left that it could be.
        let left = claimed - count;
        gate.ready += left;
        gate.in_flight = gate.in_flight + count - claimed;
        gate.ready -= taken.withheld;
        gate.withheld += taken.withheld;
        let has_lost = matches!(result, Ok(false)) || !gate.losses.is_empty();
        if has_lost {
            gate.forget_missing(reader.returned_events());
            taken.lost = std::mem::take(&mut gate.losses);
        }
        gate.stats.take_attempt_events += count;
        if result.is_err() {
            gate.stats.take_error_count += 1;
        }
        let more = gate.ready > 0;
        // Those who wait are to hear it if nothing comes any more.
        let has_withheld = taken.withheld > 0;
        let wakers = if more || has_withheld { gate.wakers.take() } else { Vec::new() };
        drop(gate);
        // A waker runs code that is not ours, and may take from this very channel.
        drop(reader);
        if has_lost {
            self.room.notify_all();
        }
        if has_withheld {
            self.ready.notify_all();
        } else if more {
            self.ready.notify_one();
        }
        wake_all(wakers);
        match result {
            Err(source) if taken.events.is_empty() => Err(TakeError::Storage { channel: self.name.clone(), source }),
            _ => Ok(taken),
        }
    }

    /// Notes that all events of a lane are read and these, which are still counted, were not among them.
    pub(crate) fn lose(&self, ranges: &[AckRange]) {
        let mut gate = self.gate.lock();
        for range in ranges {
            if let Some(lane) = gate.lanes.get_mut(usize::from(range.lane)) {
                lane.unread = lane.unread.saturating_sub(range.events.into());
                lane.unread_bytes = lane.unread_bytes.saturating_sub(range.bytes);
            }
        }
        gate.losses.extend(ranges);
    }

    /// Notes that it is on disk that these events are gone.
    pub(crate) fn forgotten(&self, ranges: &[AckRange]) {
        let mut gate = self.gate.lock();
        for range in ranges {
            if let Some(lane) = gate.lanes.get_mut(usize::from(range.lane)) {
                lane.acked.insert(range.lo, range.hi);
            }
        }
    }

    /// Claims up to `max` visible events, waiting for the first. The reader stays locked until they are read: a claim is on a
    /// number and not on events, and who finds nothing to claim meanwhile could overlook one that is left over in the end,
    /// because a rollback or a slower lane brought an older one.
    fn claim(
        &self,
        lanes: &[Arc<Lane>],
        max: u64,
        deadline: Deadline,
        in_time: &mut bool,
    ) -> Result<Option<(MutexGuard<'_, Reader>, u64)>, TakeError> {
        let mut has_looked = false;
        loop {
            let reader = self.reader.lock();
            let mut gate = self.gate.lock();
            if gate.closed {
                return Err(TakeError::Closed { channel: self.name.clone() });
            }
            let claimed = max.min(gate.ready);
            if claimed > 0 {
                gate.ready -= claimed;
                gate.in_flight += claimed;
                drop(gate);
                return Ok(Some((reader, claimed)));
            }
            if max > 0 && gate.withheld > 0 && !has_looked {
                drop(gate);
                // With nothing locked: what a lane tells of its failure runs code that is not ours.
                drop(reader);
                if let Some(source) = self.dead_end(lanes) {
                    self.gate.lock().stats.take_error_count += 1;
                    return Err(TakeError::Storage { channel: self.name.clone(), source });
                }
                has_looked = true;
                continue;
            }
            if max == 0 || !*in_time {
                return Ok(None);
            }
            drop(reader);
            gate.takers += 1;
            *in_time = deadline.wait(&self.ready, &mut gate);
            gate.takers -= 1;
            has_looked = false;
        }
    }

    /// Why no event comes any more, if so: all that is left is withheld, and no lane takes another.
    pub(crate) fn dead_end(&self, lanes: &[Arc<Lane>]) -> Option<StorageError> {
        let only_withholds = {
            let gate = self.gate.lock();
            gate.withheld > 0 && gate.ready == 0
        };
        let mut causes = lanes.iter().map(|lane| lane.poisoned());
        if only_withholds { causes.next()?.filter(|_| causes.all(|cause| cause.is_some())) } else { None }
    }

    /// Runs `look` on the accounts of each lane; for the reader, which holds its own lock.
    pub(crate) fn with_lanes<T>(&self, look: impl FnOnce(&mut [LaneGate]) -> T) -> T {
        look(&mut self.gate.lock().lanes)
    }

    /// Returns taken events to the head, and the tasks to be woken once nothing is locked.
    pub(crate) fn give_back(&self, pieces: Vec<Piece>, events: Vec<Event>) -> Vec<Waker> {
        let count = events.len() as u64;
        let mut reader = self.reader.lock();
        reader.give_back(pieces, events);
        let mut gate = self.gate.lock();
        drop(reader);
        gate.ready += count;
        gate.in_flight -= count;
        gate.stats.rolled_back_events += count;
        let wakers = gate.wakers.take();
        drop(gate);
        self.ready.notify_all();
        wakers
    }

    /// Notes that taken events are gone for good.
    fn acknowledged(&self, ranges: &[AckRange]) {
        let mut gate = self.gate.lock();
        for range in ranges {
            let events = u64::from(range.events);
            // Damage that was passed over may have taken the put that this is about.
            gate.depth_events = gate.depth_events.saturating_sub(events);
            gate.depth_bytes = gate.depth_bytes.saturating_sub(range.bytes);
            gate.in_flight -= events;
            gate.stats.take_success_events += events;
            if let Some(lane) = gate.lanes.get_mut(usize::from(range.lane)) {
                lane.acked.insert(range.lo, range.hi);
            }
        }
        gate.drop_ages();
        self.notify_room(gate);
    }

    /// Whether the channel may still want one of its events from `lo` up to `hi`, the first and the end of those that it has in
    /// a segment.
    pub(crate) fn needs(&self, lane: u16, lo: u64, hi: u64) -> bool {
        self.gate
            .lock()
            .lanes
            .get(usize::from(lane))
            .is_none_or(|lane| !lane.acked.covers(lo, if planted(Bug::RetireTooMuch) { hi - 1 } else { hi }))
    }

    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<()> {
        // Wakers are the user's code: none is made or dropped while this is locked.
        let waker = cx.waker().clone();
        let mut gate = self.gate.lock();
        if gate.ready > 0 || gate.closed {
            return Poll::Ready(());
        }
        let surplus = if gate.wakers.knows(&waker) { Vec::new() } else { gate.wakers.remember(waker) };
        drop(gate);
        wake_all(surplus);
        Poll::Pending
    }

    pub(crate) fn close(&self) {
        let mut gate = self.gate.lock();
        gate.closed = true;
        let wakers = gate.wakers.take();
        drop(gate);
        if planted(Bug::CloseWakesNobody) {
            return;
        }
        self.ready.notify_all();
        self.room.notify_all();
        wake_all(wakers);
    }

    /// Lets new transactions in again.
    pub(crate) fn reopen(&self) {
        self.gate.lock().closed = false;
    }

    pub(crate) fn stats(&self) -> ChannelStats {
        let capacity = self.capacity();
        let gate = self.gate.lock();
        ChannelStats {
            depth_events: gate.depth_events,
            depth_bytes: gate.depth_bytes,
            reserved_events: gate.reserved_events,
            reserved_bytes: gate.reserved_bytes,
            in_flight_events: gate.in_flight,
            withheld_events: gate.withheld,
            capacity_events: capacity.events,
            capacity_bytes: capacity.bytes,
            oldest_age: gate.ages.front().map(|(_, time)| self.clock.monotonic().saturating_sub(*time)),
            ..gate.stats.clone()
        }
    }

    fn notify_room(&self, gate: MutexGuard<'_, Gate>) {
        let waiting = !gate.line.is_empty();
        drop(gate);
        if waiting {
            self.room.notify_all();
        }
    }
}

impl Gate {
    fn missing(&self, events: u64, bytes: u64, capacity: Capacity) -> Option<FullReason> {
        if self.depth_events + self.reserved_events + events > capacity.events {
            Some(FullReason::Events)
        } else if self.depth_bytes + self.reserved_bytes + bytes > capacity.bytes {
            Some(FullReason::Bytes)
        } else {
            None
        }
    }

    /// Notes when the event comes that is next, at most a few times a second.
    fn note_age(&mut self, now: Duration) {
        if self.ages.back().is_none_or(|(_, last)| now.saturating_sub(*last) >= AGE_STEP) {
            if self.ages.len() >= limits::CHANNEL_AGES_MAX {
                // Coarser samples for a long backlog: every other one goes.
                let mut keep = false;
                self.ages.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            self.ages.push_back((self.backlog + self.stats.put_success_events, now));
        }
    }

    fn drop_ages(&mut self) {
        if self.depth_events == 0 {
            return self.ages.clear();
        }
        // Whether they were taken or lost.
        let done = (self.backlog + self.stats.put_success_events).saturating_sub(self.depth_events);
        while self.ages.get(1).is_some_and(|(before, _)| *before <= done) {
            self.ages.pop_front();
        }
    }

    /// All lanes are read to their end and claims are left: what they stood for was damaged and passed over.
    fn forget_missing(&mut self, returned: u64) {
        let lost = self.ready.saturating_sub(returned + self.lanes.iter().map(|lane| lane.unread).sum::<u64>());
        self.ready -= lost;
        self.depth_events = self.depth_events.saturating_sub(lost);
        let bytes = self.losses.iter().map(|range| range.bytes).sum();
        self.depth_bytes = self.depth_bytes.saturating_sub(bytes);
        self.stats.lost_events += lost;
    }
}

/// What a take has gathered.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) events: Vec<Event>,
    /// How many events came into sight that are not to be handed out before the next open.
    pub(crate) withheld: u64,
    /// Events that turned out to be gone.
    pub(crate) lost: Vec<AckRange>,
}

/// The part of a take that is being committed.
#[derive(Debug)]
pub(crate) struct OpenTake {
    pub(crate) queue: Arc<Queue>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) events: Vec<Event>,
}

impl OpenTake {
    pub(crate) fn acknowledged(self, ack: &Ack) {
        if self.events.is_empty() {
            self.queue.forgotten(&ack.ranges);
        } else {
            self.queue.acknowledged(&ack.ranges);
        }
    }

    pub(crate) fn give_back(self) -> Vec<Waker> {
        self.queue.give_back(self.pieces, self.events)
    }
}

/// The failure of a read, kept by the reader so that a damaged place is not passed over by the next take.
pub(crate) type ReadResult = Result<bool, StorageError>;

const AGE_STEP: Duration = Duration::from_millis(100);
