//! A channel in memory that goes on in a file channel when it is full.

mod builder;
mod put;
mod rest;
mod take;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use self::builder::Settings;
use super::{Channel, FileChannel, Lease, MemoryChannel, PutTarget, PutTransaction, TakeTransaction};
use crate::error::{PutError, StorageError, TakeError};
use crate::stats::ChannelStats;
use crate::sync::thread::ThreadId;
use crate::sync::{Condvar, Mutex};
use crate::tell::tell;
use crate::wait::{Bell, Wait};

pub use builder::{SpillableBuilder, SpillableError};

/// A channel that holds its events in memory as long as they fit, and goes on in a file channel when they do not: Flume's
/// `SPILLABLEMEMORY`. A clone is another handle to the same channel.
///
/// The order is kept: once events have spilled, all that come later follow them, until the file channel is empty. What is in
/// memory is older then, and taken first. Its capacity is that of memory and overflow together, and a put waits for room
/// as in any channel.
///
/// ```
/// use aqueduct::{Channel, FileStore, Spillable, Wait};
///
/// # let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path())?;
/// let orders = Spillable::builder("orders").memory_events(2).open(&store)?;
/// for order in ["one", "two", "three", "four"] {
///     orders.put(order)?;
/// }
/// assert_eq!(orders.overflow_stats().depth_events, 2);
/// for order in ["one", "two", "three", "four"] {
///     let take = orders.take(1, Wait::NONE)?;
///     assert_eq!(take[0].body(), order);
///     take.commit()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A take is of events in memory or of events in the file channel, not of both: it may have fewer events than there are.
///
/// # Durability
///
/// A put that went into memory is as safe as the process, one that spilled is as durable as the store's level says.
///
/// * [`close`](Channel::close) writes what is in memory, and the positions, into the store; the next open goes on with all of it, in order.
///   Only the events of takes that are still open then are the take's: rolled back later, they are gone with the process.
/// * So does the end of the last handle, be it that of an agent that did not start, if the store is still open. Nobody hears of a
///   failure then but the log.
/// * A kill or a power cut loses what was in memory and keeps what had spilled. Positions live in memory, so that none is ever
///   ahead of an event that was lost: a source that can go back reads again from its first position.
///
/// Identities of events ([`EventId`](crate::EventId)) are neither kept nor unique over a restart: what a close writes into
/// the store has another one there, and what is in memory is counted from 0 again. Sinks that are to recognise events that
/// they have seen need a file channel.
///
/// A close keeps positions under names of its own, so their owners have less than
/// [`limits::POSITION_OWNER_BYTES_MAX`](crate::limits::POSITION_OWNER_BYTES_MAX) bytes here: fewer by those of the channel's
/// name, and by up to 15.
///
/// Two handles that were opened by themselves must not work on one name of a store at the same time.
#[derive(Clone)]
pub struct Spillable {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    memory: MemoryChannel,
    /// Where events go when memory is full.
    overflow: FileChannel,
    /// What was in memory when the channel was closed, and so is older than all that spilled.
    saved: FileChannel,
    gate: Arc<Mutex<Gate>>,
    /// Room in memory, or beside what is there.
    room: Condvar,
    /// A commit that sets positions is over, or the saving of a close.
    settled: Condvar,
    /// What threads wait on in `take`, to be used again.
    bells: Mutex<Vec<Arc<Bell>>>,
    put_attempt_events: AtomicU64,
    /// What the channels of the store, which may have been open before, had counted when this one was opened.
    before: [ChannelStats; 2],
}

#[derive(Debug, Default)]
struct Gate {
    /// Whether new events follow others into the overflow.
    is_spilled: bool,
    /// Puts that are on their way there.
    spilling: usize,
    /// What has its place in memory: what is there, and what is on its way there.
    memory: Size,
    /// Events that ever got a place in memory, but for those that did not come.
    entered_events: u64,
    /// Puts that wait for a place in memory, first come first served.
    line: VecDeque<u64>,
    line_next: u64,
    /// The threads of commits in the store whose positions are set in memory once they are done.
    committing: Vec<ThreadId>,
    /// The thread whose close writes what was in memory.
    saving: Option<ThreadId>,
    /// Owners whose position has been brought back from the store and is still there: what it says is not to be believed.
    brought_back: BTreeSet<String>,
    is_closed: bool,
    /// A close has written what was in memory.
    is_saved: bool,
    /// What closes took from memory, so that nobody else did.
    saved_events: u64,
    put_full_count: u64,
    put_error_count: u64,
}

/// So many events, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    events: u64,
    bytes: u64,
}

impl Gate {
    fn count(&mut self, error: &PutError) {
        let count = if error.is_full() { &mut self.put_full_count } else { &mut self.put_error_count };
        *count += 1;
    }
}

impl Spillable {
    /// Settings for a channel of this name.
    pub fn builder(name: impl Into<String>) -> SpillableBuilder {
        SpillableBuilder::new(name.into())
    }

    /// The channel of a store in which a channel of this name leaves what is in memory when it is closed.
    pub(crate) fn saved_name(name: &str) -> String {
        format!("{name}{}", Self::SAVED)
    }

    const SAVED: &'static str = ".saved";

    /// What the overflow holds and did. Its events are among those of [`stats`](Channel::stats).
    #[must_use]
    pub fn overflow_stats(&self) -> ChannelStats {
        self.shared.overflow.stats()
    }
}

impl Shared {
    fn new(settings: Settings, memory: MemoryChannel, overflow: FileChannel, saved: FileChannel) -> Self {
        let is_spilled = !overflow.is_idle() || !saved.is_idle();
        let before = [overflow.stats(), saved.stats()];
        Self {
            before,
            settings,
            memory,
            overflow,
            saved,
            gate: Arc::new(Mutex::new(Gate { is_spilled, ..Gate::default() })),
            room: Condvar::new(),
            settled: Condvar::new(),
            bells: Mutex::default(),
            put_attempt_events: AtomicU64::new(0),
        }
    }

    /// What may be in the overflow: what the capacity leaves beside memory and what was saved.
    fn share_capacity(&self, gate: &Gate) {
        let (events, bytes) = self.capacity_left(gate);
        self.overflow.set_capacity(events, bytes);
    }

    /// The capacity without what is in memory, is about to be, or was saved.
    fn capacity_left(&self, gate: &Gate) -> (u64, u64) {
        let (Size { events, bytes }, saved) = (gate.memory, self.saved.stats());
        let left_events = self.settings.capacity_events().saturating_sub(events.saturating_add(saved.depth_events));
        let left_bytes = self.settings.capacity_bytes().saturating_sub(bytes.saturating_add(saved.depth_bytes));
        (left_events, left_bytes)
    }

    /// Some events have left memory for good.
    fn left_memory(&self, gate: &mut Gate, events: u64, bytes: u64) {
        gate.memory.events -= events;
        gate.memory.bytes -= bytes;
        self.give_room(gate);
    }

    /// Lets those who wait for room know how much there is.
    fn give_room(&self, gate: &Gate) {
        // After a close the capacity may be that of the next one who opened the channel.
        if gate.is_closed {
            return;
        }
        if gate.is_spilled || gate.spilling > 0 {
            self.share_capacity(gate);
            self.room.notify_all();
        } else if !gate.line.is_empty() {
            self.room.notify_all();
        }
    }
}

impl Drop for Shared {
    /// Not a close of the channels of the store: somebody may have opened them anew.
    fn drop(&mut self) {
        if let Err(error) = self.save() {
            tell!(ERROR, "what was in memory is lost", channel = &self.settings.name, error = error);
        }
    }
}

impl Channel for Spillable {
    fn name(&self) -> &str {
        &self.shared.settings.name
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(Arc::clone(&self.shared) as Arc<dyn PutTarget>)
    }

    /// What is in memory is written into the store then.
    fn outlives_close(&self) -> bool {
        true
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        self.shared.take(max, wait)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.poll_ready(cx)
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.shared.memory.position(owner).or_else(|| self.shared.left_position(owner))
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let mut positions = BTreeMap::from_iter(self.shared.left_positions(prefix));
        positions.extend(self.shared.memory.positions(prefix));
        positions.into_iter().collect()
    }

    /// In the store, which is still open when this channel is closed and opened again.
    fn lease(&self, prefix: &str) -> Option<Lease> {
        let lease = self.shared.overflow.lease(prefix)?;
        if let Err(error) = self.shared.take_over(prefix) {
            // They are in memory. What stays in the store is found only after a kill.
            tell!(WARN, "positions stay in the store, too", channel = self.name(), prefix = prefix, error = error);
        }
        Some(lease)
    }

    fn stats(&self) -> ChannelStats {
        let Shared { memory, overflow, saved, settings, .. } = &*self.shared;
        let (memory, overflow, saved) = (memory.stats(), overflow.stats(), saved.stats());
        let (put_full_count, put_error_count, by_closes) = {
            let gate = self.shared.gate.lock();
            (gate.put_full_count, gate.put_error_count, gate.saved_events)
        };
        let [overflow_before, saved_before] = &self.shared.before;
        let sum = |of: fn(&ChannelStats) -> u64| of(&memory) + of(&overflow) + of(&saved);
        let since = |of: fn(&ChannelStats) -> u64| sum(of) - of(overflow_before) - of(saved_before);
        ChannelStats {
            depth_events: sum(|stats| stats.depth_events),
            depth_bytes: sum(|stats| stats.depth_bytes),
            reserved_events: sum(|stats| stats.reserved_events),
            reserved_bytes: sum(|stats| stats.reserved_bytes),
            in_flight_events: sum(|stats| stats.in_flight_events),
            withheld_events: sum(|stats| stats.withheld_events),
            capacity_events: settings.capacity_events(),
            capacity_bytes: settings.capacity_bytes(),
            put_attempt_events: self.shared.put_attempt_events.load(Ordering::Relaxed),
            // What is saved when the channel is closed was put before.
            put_success_events: memory.put_success_events + overflow.put_success_events
                - overflow_before.put_success_events,
            take_attempt_events: since(|stats| stats.take_attempt_events).saturating_sub(by_closes),
            take_success_events: since(|stats| stats.take_success_events).saturating_sub(by_closes),
            rolled_back_events: since(|stats| stats.rolled_back_events),
            // Those that recovery found are part of it.
            lost_events: sum(|stats| stats.lost_events),
            put_full_count,
            put_error_count,
            take_error_count: since(|stats| stats.take_error_count),
            oldest_age: [memory.oldest_age, overflow.oldest_age, saved.oldest_age].into_iter().flatten().max(),
            ..ChannelStats::default()
        }
    }

    /// Refuses new transactions, wakes everyone who waits, and writes what is left in memory into the store, with the
    /// positions. Takes that are open may still be committed or rolled back. The store stays open.
    ///
    /// # Errors
    /// [`StorageError::NotSaved`] if the store takes no more; what could not be written is still in memory, and closing again
    /// tries again. A waker that a commit or another close of this channel wakes hears it, too, as it holds that up: the other
    /// close then goes on, and after a commit the channel is to be closed again. Others as [`FileChannel`]'s.
    fn close(&self) -> Result<(), StorageError> {
        self.shared.close()
    }
}

impl fmt::Debug for Spillable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spillable").field("name", &self.shared.settings.name).finish_non_exhaustive()
    }
}
