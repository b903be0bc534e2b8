//! Flume's `StressSource`.

use super::super::{Keys, Made, Registry, Site, SourceSetup};
use super::pollable;
use crate::limits::{BODY_BYTES_MAX, STRESS_BODY_BYTES};
use crate::source::Stress;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["stress", "org.apache.flume.source.StressSource"], make);
}

fn make(keys: &mut Keys, _: &Site<'_>) -> Made<SourceSetup> {
    let mut source = Stress::new().body_bytes(keys.number("size", 0..=BODY_BYTES_MAX, STRESS_BODY_BYTES));
    // What is negative is no limit.
    if let Some(total) = limit(keys, "maxTotalEvents") {
        source = source.total(total);
    }
    if let Some(successful) = limit(keys, "maxSuccessfulEvents") {
        source = source.successful(successful);
    }
    let rate = keys.number("maxEventsPerSecond", i32::MIN..=i32::MAX, 0);
    if let Some(rate) = u64::try_from(rate).ok().filter(|rate| *rate > 0) {
        source = source.events_per_second(rate);
    }
    let batch = keys.batch_size("batchSize", 1);
    let pauses = pollable(keys);
    Ok(SourceSetup::new(source).batch(batch).retry(pauses))
}

fn limit(keys: &mut Keys, key: &str) -> Option<u64> {
    u64::try_from(keys.number(key, i64::MIN..=i64::MAX, -1)).ok()
}
