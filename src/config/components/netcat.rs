//! Flume's `netcat` source.

use super::super::{Keys, Made, Registry, Site, SourceSetup};
use super::bind_address;
use crate::limits::{FLUME_CONNECTION_IDLE, LINE_BYTES_CEILING, SOURCE_BATCH_EVENTS};
use crate::source::tcp_lines::{Ack, OnFull, TcpLines};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["netcat", "org.apache.flume.source.NetcatSource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let address = bind_address(keys, "bind", None);
    let line = keys.number("max-line-length", 2..=LINE_BYTES_CEILING, 512);
    let ack = if keys.flag("ack-every-event", true) { Ack::AfterCommit } else { Ack::None };
    let source = TcpLines::bind(address)
        .line_bytes_max(line)
        .ack(ack)
        .on_full(OnFull::Fail)
        .batch_max(SOURCE_BATCH_EVENTS.min(site.transaction_events_max()))
        .first_byte_timeout(FLUME_CONNECTION_IDLE)
        .idle_timeout(FLUME_CONNECTION_IDLE);
    Ok(SourceSetup::new(source))
}
