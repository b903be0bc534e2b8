//! Flume's `null` sink.

use super::super::{Keys, Made, Registry, SinkSetup, Site};
use super::{ABOVE_ZERO, number_without_effect};
use crate::sink::Null;

pub(super) fn register(registry: &mut Registry) {
    registry.sink(&["null", "org.apache.flume.sink.NullSink"], make);
}

fn make(keys: &mut Keys, _: &Site<'_>) -> Made<SinkSetup> {
    let batch = keys.batch_size("batchSize", 100);
    number_without_effect(keys, "logEveryNEvents", ABOVE_ZERO, "the sink counts and logs nothing; see its statistics");
    Ok(SinkSetup::new(Null::new()).batch(batch))
}
