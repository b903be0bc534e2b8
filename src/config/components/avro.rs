//! Flume's `avro` source and sink.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{BatchSize, Keys, Made, Registry, SinkSetup, Site, SourceSetup};
use super::{bind_address, peer_address, seconds_or_none, tls};
use crate::limits::{
    CONNECTIONS_MAX, DEFLATE_LEVEL, FLUME_CONNECTION_IDLE, FLUME_RPC_BYTES_IN_FLIGHT_MAX, FLUME_RPC_FRAME,
    FLUME_RPC_FRAME_BYTES_MAX, RPC_BATCH_EVENTS, RPC_CONNECT, RPC_REQUEST, RPC_REQUESTS_IN_FLIGHT,
    RPC_REQUESTS_IN_FLIGHT_MAX, TRANSACTION_EVENTS_MAX,
};
use crate::rpc::{RpcClient, RpcClientBuilder};
use crate::sink;
use crate::source::AvroRpc;
use crate::source::net::IpFilter;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["avro", "org.apache.flume.source.AvroSource"], source);
    registry.sink(&["avro", "org.apache.flume.sink.AvroSink"], sink);
}

fn source(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    listener(keys, site).map(SourceSetup::new)
}

fn listener(keys: &mut Keys, site: &Site<'_>) -> Made<AvroRpc> {
    // Flume does not ask where its clients come from: behind a balancer all of them have one address.
    let mut source = AvroRpc::bind(bind_address(keys, "bind", None))
        .deflate(is_deflate(keys))
        .connections_per_peer_max(CONNECTIONS_MAX)
        .idle_timeout(FLUME_CONNECTION_IDLE)
        .frame_bytes_max(FLUME_RPC_FRAME_BYTES_MAX)
        .bytes_in_flight_max(FLUME_RPC_BYTES_IN_FLIGHT_MAX)
        .frame_timeout(FLUME_RPC_FRAME);
    keys.ignored(&["threads"], "has no effect: every connection has a thread");
    let is_filtered = keys.flag("ipFilter", false);
    if is_filtered && !keys.is_set("ipFilterRules") {
        keys.mistake("ipFilterRules", "is missing; with ipFilter there must be rules");
    }
    let rules =
        keys.parsed("ipFilterRules", |text| if is_filtered { text.parse::<IpFilter>().map(Some) } else { Ok(None) });
    if let Some(rules) = rules.flatten() {
        source = source.ip_filter(rules);
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = tls::server(keys, site)? {
        source = source.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(source)
}

fn sink(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let address = peer_address(keys);
    let batch = batch_size(keys);
    let in_flight = requests_in_flight(keys);
    let client = client_settings(keys, site, RpcClient::builder([address]))?;
    let client = client.batch_events(batch.events()).requests_in_flight(in_flight);
    // As many events as fill the requests that may be in flight.
    let batch = batch.times(in_flight, REQUESTS_IN_FLIGHT_KEY);
    let mut sink = sink::AvroRpc::with_client(client);
    let reset = seconds_or_none(keys, "reset-connection-interval", Duration::ZERO);
    if !reset.is_zero() {
        sink = sink.reset_interval(reset);
    }
    Ok(SinkSetup::new(sink).batch(batch))
}

/// A key of ours.
pub(in super::super) fn requests_in_flight(keys: &mut Keys) -> usize {
    keys.number(REQUESTS_IN_FLIGHT_KEY, 1..=RPC_REQUESTS_IN_FLIGHT_MAX, RPC_REQUESTS_IN_FLIGHT)
}

/// The keys that the sink shares with the client.
pub(in super::super) fn client_settings(
    keys: &mut Keys,
    site: &Site<'_>,
    client: RpcClientBuilder,
) -> Made<RpcClientBuilder> {
    let mut client = client
        .connect_timeout(timeout(keys, "connect-timeout", Borne::Anything, RPC_CONNECT))
        .request_timeout(timeout(keys, "request-timeout", Borne::Anything, RPC_REQUEST));
    let level = compression_level(keys);
    if is_deflate(keys) {
        client = client.deflate(level);
    }
    keys.ignored(&["maxIoWorkers"], "has no effect: there are no workers");
    #[cfg(feature = "tls")]
    if let Some(tls) = tls::client(keys, site)? {
        client = client.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(client)
}

/// Flume takes the default for what is no number; with another number it does not connect.
fn compression_level(keys: &mut Keys) -> u32 {
    let key = "compression-level";
    if keys.value(key).is_some_and(|text| text.parse::<i32>().is_err()) {
        return keys.bearable_number(key, 0..=9, Borne::Anything, DEFLATE_LEVEL);
    }
    keys.number(key, 0..=9, DEFLATE_LEVEL)
}

fn is_deflate(keys: &mut Keys) -> bool {
    let choices = [("none", false), ("deflate", true)];
    keys.bearable_choice("compression-type", &choices, false, "Flume takes none")
}

/// The size of a sink's batches.
pub(super) fn batch_size(keys: &mut Keys) -> BatchSize {
    let is_size = |text: &str| text.parse::<i32>().is_ok_and(|events| events > 0);
    if keys.value(BATCH_SIZE_KEY).is_none_or(is_size) {
        return keys.batch_size(BATCH_SIZE_KEY, RPC_BATCH_EVENTS);
    }
    BatchSize::fixed(keys.bearable_number(
        BATCH_SIZE_KEY,
        1..=TRANSACTION_EVENTS_MAX,
        Borne::Anything,
        RPC_BATCH_EVENTS,
    ))
}

/// Flume takes less than a second for a mistake, and uses the default.
pub(super) fn timeout(keys: &mut Keys, key: &str, borne: Borne, default: Duration) -> Duration {
    let instead = format!("Flume takes the default of {}", default.as_millis());
    let Some(millis) = keys.bearable(key, i64::MIN..=i64::MAX, borne, &instead) else { return default };
    let found = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    if found >= Duration::from_secs(1) {
        return found;
    }
    keys.warn(key, "is less than a second; as in Flume, the default counts");
    default
}

const BATCH_SIZE_KEY: &str = "batch-size";
pub(super) const REQUESTS_IN_FLIGHT_KEY: &str = "requests-in-flight";

#[cfg(test)]
mod tests;
