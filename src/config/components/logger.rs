//! Flume's `logger` sink.

use super::super::number::Borne;
use super::super::{Keys, Made, Registry, SinkSetup, Site};
use crate::limits::{BODY_BYTES_MAX, LOG_BYTES_FLUME};

pub(super) fn register(registry: &mut Registry) {
    registry.sink(&["logger", "org.apache.flume.sink.LoggerSink"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let bytes = keys.bearable_number("maxBytesToLog", 0..=usize::MAX, Borne::Anything, LOG_BYTES_FLUME);
    // No body is longer than the limit.
    let bytes = bytes.min(BODY_BYTES_MAX);
    Ok(SinkSetup::new(site.logger().bytes_max(bytes)))
}
