//! What a store holds and did.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inner::Inner;

/// What a store holds and did since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// One for each data directory.
    pub lanes: Vec<LaneStats>,
    /// Syncs of data files by commits.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_time: Duration,
    /// The longest of them.
    pub sync_time_max: Duration,
    /// Records written: transactions.
    pub records: u64,
    /// Bytes of frames written.
    pub bytes: u64,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Checkpoints that failed; the one before stays in force.
    pub checkpoint_errors: u64,
}

/// What a lane holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStats {
    /// The data directory.
    pub path: PathBuf,
    /// Why nothing more is written here, if so.
    pub poisoned: Option<String>,
    /// Whether the disk had no room for the last segment that was wanted.
    pub disk_full: bool,
    /// Segments with events.
    pub segments: u64,
    /// Bytes of their files.
    pub segment_bytes: u64,
    /// Bytes of files kept for later segments.
    pub spare_bytes: u64,
    /// Bytes of recent events in memory.
    pub cache_bytes: u64,
    /// Bytes that were passed over as damaged.
    pub damaged_bytes: u64,
}

pub(crate) fn collect(inner: &Inner) -> StoreStats {
    let metrics = &inner.shared.metrics;
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let lanes = inner.lanes.iter().map(|lane| {
        let (segments, segment_bytes) = lane.log.size();
        LaneStats {
            path: lane.log.dir.path.clone(),
            poisoned: lane.poisoned().map(|error| error.to_string()),
            disk_full: lane.full.load(Ordering::Relaxed),
            segments,
            segment_bytes,
            spare_bytes: lane.spare_bytes.load(Ordering::Relaxed),
            cache_bytes: lane.log.cache.bytes(),
            damaged_bytes: lane.log.damaged_bytes.load(Ordering::Relaxed),
        }
    });
    StoreStats {
        lanes: lanes.collect(),
        syncs: get(&metrics.syncs),
        sync_time: Duration::from_nanos(get(&metrics.sync_nanos)),
        sync_time_max: Duration::from_nanos(get(&metrics.sync_nanos_max)),
        records: get(&metrics.records),
        bytes: get(&metrics.bytes),
        checkpoints: get(&metrics.checkpoints),
        checkpoint_errors: get(&metrics.checkpoint_errors),
    }
}
