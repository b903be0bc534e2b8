//! Flume's `netcat` source.

use super::super::{Keys, Made, Registry, Site, SourceSetup};
use super::{bind_address, known_charset};
use crate::limits::{
    CONNECTION_BYTES_IN_FLIGHT_MAX, CONNECTIONS_MAX, FLUME_CONNECTION_IDLE, LINE_BYTES_CEILING, PROPERTY_MILLIS_MAX,
    SOURCE_BATCH_EVENTS, SOURCE_BYTES_IN_FLIGHT_MAX,
};
use crate::source::tcp_lines::{Ack, OnFull, TcpLines};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["netcat", "org.apache.flume.source.NetcatSource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let address = bind_address(keys, "bind", None);
    let line = keys.number("max-line-length", 2..=LINE_BYTES_CEILING / 4, 512);
    let encoding = keys.text("encoding", "utf-8");
    keys.parsed("encoding", known_charset);
    // Keys of ours: Flume waits for ever.
    let idle = keys.millis("idle-timeout", 1..=PROPERTY_MILLIS_MAX, FLUME_CONNECTION_IDLE);
    let line_timeout = keys.millis("line-timeout", 1..=PROPERTY_MILLIS_MAX, FLUME_CONNECTION_IDLE);
    let ack = if keys.flag("ack-every-event", true) { Ack::AfterCommit } else { Ack::None };
    let source = TcpLines::bind(address)
        .line_chars_max(line)
        .encoding(encoding)
        .connections_per_peer_max(CONNECTIONS_MAX)
        .connection_bytes_in_flight_max(CONNECTION_BYTES_IN_FLIGHT_MAX.max(line * 4))
        .bytes_in_flight_max(SOURCE_BYTES_IN_FLIGHT_MAX.max(line * 4 * CONNECTIONS_MAX))
        .ack(ack)
        .on_full(OnFull::Fail)
        .full_texts(site.channel_kinds().filter_map(full_text))
        .batch_max(SOURCE_BATCH_EVENTS.min(site.transaction_events_max()))
        .first_byte_timeout(idle)
        .idle_timeout(idle)
        .line_timeout(line_timeout);
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source)),
        Err(reason) => Err(keys.refuse(reason)),
    }
}

/// What Flume's client is told of a channel that has no place for another event, by name and type of the channel.
fn full_text((channel, kind): (&str, &str)) -> Option<(String, String)> {
    let text = match kind {
        "memory" => {
            "Space for commit to queue couldn't be acquired. Sinks are likely not keeping up with sources, or the \
                     buffer size is too tight"
                .to_owned()
        }
        "file" => format!(
            "The channel has reached it's capacity. This might be the result of a sink on the channel having too low of \
             batch size, a downstream system running slower than normal, or that the channel capacity is just too low. \
             [channel={channel}]"
        ),
        _ => return None,
    };
    Some((channel.to_owned(), text))
}
