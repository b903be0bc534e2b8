//! What the lanes and channels of a store share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::buffers::Buffers;
use super::keeper::Keeper;
use super::options::Options;
use super::queue::Queue;
use crate::batch::Positions;
use crate::lease::Leases;
use crate::random::splitmix;
use crate::sync::{Condvar, Mutex, RwLock};
use crate::wait::Deadline;

/// The newest position of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) stamp: u64,
    /// `None`: cleared, and an older one may still stand in the log of another lane.
    pub(crate) value: Option<Bytes>,
    /// The lanes, one bit each, whose logs may have a position of the owner, so not those in which it is durably cleared.
    pub(crate) lanes: u64,
    /// The lanes whose states name the owner.
    pub(crate) named: u64,
}

impl Position {
    fn bytes(&self, owner: &str) -> u64 {
        (owner.len() + self.value.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// What cleared positions leave to be done in other lanes than the one in which they were cleared.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Owners that are durably cleared in one lane while another one's log has an older position, with the stamps of the clears.
    scattered: BTreeMap<String, u64>,
    /// What no log has a position of any more.
    forgotten: Vec<Forgotten>,
}

/// An owner that is to be forgotten by the states of some lanes, one bit each, that name it, and the stamp of its last clear.
#[derive(Debug)]
struct Forgotten {
    owner: String,
    lanes: u64,
    stamp: u64,
}

/// State common to all lanes and channels.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) keeper: Keeper,
    pub(crate) metrics: Metrics,
    pub(crate) buffers: Buffers,
    pub(crate) queues: RwLock<BTreeMap<u16, Arc<Queue>>>,
    /// What the owners of positions begin with that somebody has for itself.
    pub(crate) leases: Leases,
    stamp: AtomicU64,
    positions: Mutex<BTreeMap<String, Position>>,
    // After `positions`, if both.
    leftovers: Mutex<Leftovers>,
    // Of all positions and the names of their owners.
    position_bytes: AtomicU64,
    // Counts up whenever segments become free.
    space: (Mutex<u64>, Condvar),
    random: Mutex<u64>,
}

impl Shared {
    pub(crate) fn new(options: Options, stamp: u64, positions: BTreeMap<String, Position>, random: u64) -> Self {
        let position_bytes = positions.iter().map(|(owner, position)| position.bytes(owner)).sum();
        let is_cleared = positions.iter().filter(|(_, position)| position.value.is_none());
        let scattered = is_cleared.map(|(owner, position)| (owner.clone(), position.stamp));
        let leftovers = Leftovers { scattered: scattered.collect(), ..Leftovers::default() };
        let keeper = Keeper::default();
        if !leftovers.scattered.is_empty() {
            keeper.wake();
        }
        Self {
            options,
            keeper,
            metrics: Metrics::default(),
            buffers: Buffers::default(),
            queues: RwLock::default(),
            leases: Leases::default(),
            stamp: AtomicU64::new(stamp),
            positions: Mutex::new(positions),
            leftovers: Mutex::new(leftovers),
            position_bytes: AtomicU64::new(position_bytes),
            space: (Mutex::new(0), Condvar::new()),
            random: Mutex::new(random),
        }
    }

    /// The order stamp of the next record; later than all before it in all lanes.
    pub(crate) fn next_stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The stamp of the newest record on its way.
    pub(crate) fn last_stamp(&self) -> u64 {
        self.stamp.load(Ordering::Relaxed)
    }

    /// Applies changed positions of a record in the log of `lane`. Returns the owners that are cleared now, for
    /// [`cleared_durably`](Self::cleared_durably).
    pub(crate) fn set_positions(&self, lane: u16, stamp: u64, changed: &Positions) -> Vec<String> {
        let mut cleared = Vec::new();
        if changed.is_empty() {
            return cleared;
        }
        let mut positions = self.positions.lock();
        let mut bytes = self.position_bytes.load(Ordering::Relaxed);
        for (owner, value) in changed {
            bytes -= positions.get(owner).map_or(0, |position| position.bytes(owner));
            let known = positions.entry(owner.clone()).or_default();
            known.lanes |= 1 << lane;
            known.named |= 1 << lane;
            // Two lanes may publish in another order than that of their stamps.
            if known.stamp <= stamp {
                known.stamp = stamp;
                known.value.clone_from(value);
            }
            if value.is_none() {
                cleared.push(owner.clone());
            }
            bytes += positions.get(owner).map_or(0, |position| position.bytes(owner));
        }
        self.position_bytes.store(bytes, Ordering::Relaxed);
        cleared
    }

    /// Notes that the last that the log of `lane` says of an owner is that its position is cleared, and that this is durable.
    /// `true`: no log has a position of it, so that this one can forget it.
    pub(crate) fn cleared_durably(&self, lane: u16, owner: &str, stamp: u64) -> bool {
        let mut positions = self.positions.lock();
        let Some(known) = positions.get_mut(owner) else { return false };
        known.lanes &= !(1 << lane);
        // What was set or cleared since is looked at when that is cleared, or durable.
        if known.value.is_some() || known.stamp > stamp {
            return false;
        }
        if known.lanes != 0 {
            self.leftovers.lock().scattered.insert(owner.to_owned(), stamp);
            self.keeper.wake();
            return false;
        }
        let others = known.named & !(1 << lane);
        if others != 0 {
            let forgotten = Forgotten { owner: owner.to_owned(), lanes: others, stamp: known.stamp };
            self.leftovers.lock().forgotten.push(forgotten);
        }
        self.position_bytes.fetch_sub(known.bytes(owner), Ordering::Relaxed);
        positions.remove(owner);
        true
    }

    /// The owners that the log of `lane` has an older position of than the clear in another one, by the stamp of that clear.
    pub(crate) fn clears_for(&self, lane: u16) -> BTreeMap<u64, Vec<String>> {
        let mut clears: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        if self.leftovers.lock().scattered.is_empty() {
            return clears;
        }
        let positions = self.positions.lock();
        self.leftovers.lock().scattered.retain(|owner, stamp| {
            let known = positions.get(owner).filter(|known| known.value.is_none() && known.stamp == *stamp);
            if known.is_some_and(|known| known.lanes & 1 << lane != 0) {
                clears.entry(*stamp).or_default().push(owner.clone());
            }
            known.is_some()
        });
        clears
    }

    /// The owners that the state of `lane` can forget, with the stamps of their last clears.
    pub(crate) fn forgotten_for(&self, lane: u16) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        self.leftovers.lock().forgotten.retain_mut(|Forgotten { owner, lanes, stamp }| {
            if *lanes & 1 << lane != 0 {
                found.push((owner.clone(), *stamp));
                *lanes &= !(1 << lane);
            }
            *lanes != 0
        });
        found
    }

    /// Notes that the log of `lane` may name these owners, for a transaction of which nobody knows whether it happened: a
    /// later change in another lane has to overrule what it may say.
    pub(crate) fn suspect_positions(&self, lane: u16, changed: &Positions) {
        if changed.is_empty() {
            return;
        }
        let mut positions = self.positions.lock();
        for (owner, _) in changed {
            if !positions.contains_key(owner) {
                self.position_bytes.fetch_add(owner.len() as u64, Ordering::Relaxed);
            }
            let known = positions.entry(owner.clone()).or_default();
            known.lanes |= 1 << lane;
            known.named |= 1 << lane;
        }
    }

    pub(crate) fn position(&self, owner: &str) -> Option<Bytes> {
        self.positions.lock().get(owner).and_then(|position| position.value.clone())
    }

    pub(crate) fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let positions = self.positions.lock();
        let from_prefix = positions.range(prefix.to_owned()..).take_while(|(owner, _)| owner.starts_with(prefix));
        from_prefix.filter_map(|(owner, position)| Some((owner.clone(), position.value.clone()?))).collect()
    }

    /// How many positions there would be with these, and their bytes; none of what these make no more.
    pub(crate) fn positions_with(&self, changed: &Positions) -> (usize, u64) {
        let positions = self.positions.lock();
        let mut added = 0;
        let (mut more, mut less) = (0, 0);
        for (owner, value) in changed.iter().filter_map(|(owner, value)| Some((owner, value.as_ref()?))) {
            more += (owner.len() + value.len()) as u64;
            match positions.get(owner) {
                Some(known) => less += known.bytes(owner),
                None => added += 1,
            }
        }
        let bytes = self.position_bytes.load(Ordering::Relaxed);
        (if added > 0 { positions.len() + added } else { 0 }, if more > less { bytes + more - less } else { 0 })
    }

    /// Whether some log has, or may have, a position of this owner.
    pub(crate) fn names_position(&self, owner: &str) -> bool {
        self.positions.lock().contains_key(owner)
    }

    /// A lane that holds a position of one of these owners.
    pub(crate) fn holder(&self, changed: &Positions) -> Option<u16> {
        let positions = self.positions.lock();
        let lanes = changed.iter().find_map(|(owner, _)| Some(positions.get(owner)?.lanes))?;
        u16::try_from(lanes.trailing_zeros()).ok()
    }

    /// A number that nobody can guess from the one before; the sequence is fixed by the seed.
    pub(crate) fn random(&self) -> u64 {
        splitmix(&mut self.random.lock())
    }

    pub(crate) fn space_freed(&self) {
        *self.space.0.lock() += 1;
        self.space.1.notify_all();
    }

    pub(crate) fn space_generation(&self) -> u64 {
        *self.space.0.lock()
    }

    /// Waits until segments became free since `generation`, or until the deadline.
    pub(crate) fn wait_for_space(&self, generation: u64, deadline: Deadline) {
        let mut now = self.space.0.lock();
        while *now == generation && deadline.wait(&self.space.1, &mut now) {}
    }
}

/// Counters of the write path.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) sync_nanos_max: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoint_errors: AtomicU64,
}

impl Metrics {
    pub(crate) fn synced(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.sync_nanos_max.fetch_max(nanos, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, bytes: u64, records: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }
}
