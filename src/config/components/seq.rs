//! Flume's `seq` source.

use super::super::{Keys, Made, Registry, Site, SourceSetup};
use super::pollable;
use crate::source::Sequence;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["seq", "org.apache.flume.source.SequenceGeneratorSource"], make);
}

fn make(keys: &mut Keys, _: &Site<'_>) -> Made<SourceSetup> {
    let total = keys.number_from("totalEvents", 0..=u64::MAX, i64::MAX.unsigned_abs());
    let batch = keys.batch_size("batchSize", 1);
    let pauses = pollable(keys);
    Ok(SourceSetup::new(Sequence::new().total(total).from_zero()).batch(batch).retry(pauses))
}
