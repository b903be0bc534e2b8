//! The counters of a sink.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::stats::SinkStats;

/// The counters of a running sink, see [`SinkStats`].
#[derive(Debug, Default)]
pub(crate) struct SinkCounters {
    pub(crate) batch_empty: AtomicU64,
    pub(crate) batch_underflow: AtomicU64,
    pub(crate) batch_complete: AtomicU64,
    pub(crate) drain_attempt_events: AtomicU64,
    pub(crate) drain_success_events: AtomicU64,
    pub(crate) write_fail: AtomicU64,
    pub(crate) channel_read_fail: AtomicU64,
    pub(crate) dropped_events: AtomicU64,
    pub(crate) diverted_events: AtomicU64,
}

impl SinkCounters {
    pub(crate) fn snapshot(&self) -> SinkStats {
        SinkStats {
            batch_empty: self.batch_empty.load(Ordering::Relaxed),
            batch_underflow: self.batch_underflow.load(Ordering::Relaxed),
            batch_complete: self.batch_complete.load(Ordering::Relaxed),
            drain_attempt_events: self.drain_attempt_events.load(Ordering::Relaxed),
            drain_success_events: self.drain_success_events.load(Ordering::Relaxed),
            write_fail: self.write_fail.load(Ordering::Relaxed),
            channel_read_fail: self.channel_read_fail.load(Ordering::Relaxed),
            dropped_events: self.dropped_events.load(Ordering::Relaxed),
            diverted_events: self.diverted_events.load(Ordering::Relaxed),
        }
    }
}

/// Counts events, or batches.
pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
