//! What the lanes and channels of a store share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use super::keeper::Keeper;
use super::options::Options;
use super::queue::Queue;
use crate::batch::Positions;
use crate::wait::Deadline;

/// State common to all lanes and channels.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) keeper: Keeper,
    pub(crate) metrics: Metrics,
    pub(crate) queues: RwLock<BTreeMap<u16, Arc<Queue>>>,
    stamp: AtomicU64,
    positions: Mutex<BTreeMap<String, (u64, Bytes)>>,
    // Counts up whenever segments become free.
    space: (Mutex<u64>, Condvar),
    random: Mutex<u64>,
}

impl Shared {
    pub(crate) fn new(options: Options, stamp: u64, positions: BTreeMap<String, (u64, Bytes)>, random: u64) -> Self {
        Self {
            options,
            keeper: Keeper::default(),
            metrics: Metrics::default(),
            queues: RwLock::default(),
            stamp: AtomicU64::new(stamp),
            positions: Mutex::new(positions),
            space: (Mutex::new(0), Condvar::new()),
            random: Mutex::new(random),
        }
    }

    /// The order stamp of the next record; later than all before it in all lanes.
    pub(crate) fn next_stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn set_positions(&self, stamp: u64, changed: &Positions) {
        if changed.is_empty() {
            return;
        }
        let mut positions = self.positions.lock();
        for (owner, value) in changed {
            // Two lanes may publish in another order than that of their stamps.
            if positions.get(owner).is_some_and(|(known, _)| *known > stamp) {
                continue;
            }
            match value {
                Some(value) => positions.insert(owner.clone(), (stamp, value.clone())),
                None => positions.remove(owner),
            };
        }
    }

    pub(crate) fn position(&self, owner: &str) -> Option<Bytes> {
        self.positions.lock().get(owner).map(|(_, value)| value.clone())
    }

    pub(crate) fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let positions = self.positions.lock();
        let from_prefix = positions.range(prefix.to_owned()..).take_while(|(owner, _)| owner.starts_with(prefix));
        from_prefix.map(|(owner, (_, value))| (owner.clone(), value.clone())).collect()
    }

    /// How many positions there would be with these.
    pub(crate) fn positions_with(&self, changed: &Positions) -> usize {
        let positions = self.positions.lock();
        let new = changed.iter().filter(|(owner, value)| value.is_some() && !positions.contains_key(owner));
        positions.len() + new.count()
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

    /// Waits until segments became free since `generation`. `false`: not before the deadline.
    pub(crate) fn wait_for_space(&self, generation: u64, deadline: Deadline) -> bool {
        let mut now = self.space.0.lock();
        while *now == generation {
            if !deadline.wait(&self.space.1, &mut now) {
                return false;
            }
        }
        true
    }
}

/// The `SplitMix64` generator.
pub(crate) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
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
