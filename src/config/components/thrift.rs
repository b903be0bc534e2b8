//! Flume's `thrift` source and sink.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{Keys, Made, Registry, SinkSetup, Site, SourceSetup};
use super::avro::{REQUESTS_IN_FLIGHT_KEY, batch_size, timeout};
use super::{bind_address, peer_address, seconds_or_none, tls};
use crate::limits::{
    CONNECTIONS_MAX, FLUME_CONNECTION_IDLE, FLUME_RPC_BYTES_IN_FLIGHT_MAX, FLUME_RPC_FRAME, FLUME_RPC_FRAME_BYTES_MAX,
    RPC_CONNECT, RPC_REQUEST,
};
use crate::rpc::{RpcClient, RpcClientBuilder, ThriftProtocol};
use crate::sink;
use crate::source::ThriftRpc;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["thrift", "org.apache.flume.source.ThriftSource"], source);
    registry.sink(&["thrift", "org.apache.flume.sink.ThriftSink"], sink);
}

fn source(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    listener(keys, site).map(SourceSetup::new)
}

fn listener(keys: &mut Keys, site: &Site<'_>) -> Made<ThriftRpc> {
    let source = ThriftRpc::bind(bind_address(keys, "bind", None))
        .protocol(keys.choice("protocol", &PROTOCOLS, ThriftProtocol::Compact))
        .connections_per_peer_max(CONNECTIONS_MAX)
        .idle_timeout(FLUME_CONNECTION_IDLE)
        .frame_bytes_max(FLUME_RPC_FRAME_BYTES_MAX)
        .bytes_in_flight_max(FLUME_RPC_BYTES_IN_FLIGHT_MAX)
        .frame_timeout(FLUME_RPC_FRAME);
    keys.ignored(&["threads"], "has no effect: every connection has a thread");
    no_kerberos(keys, &["agent-principal", "agent-keytab"]);
    #[cfg(feature = "tls")]
    let source = match tls::server(keys, site)? {
        Some(tls) => source.tls(tls),
        None => source,
    };
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(source)
}

fn sink(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let address = peer_address(keys);
    let batch = batch_size(keys);
    keys.ignored(&["maxConnections"], "has no effect: as in Flume, a sink has one connection");
    let client = client_settings(keys, site, RpcClient::builder([address]))?.batch_events(batch.events());
    let mut sink = sink::ThriftRpc::with_client(client);
    // Its name in Flume's guide.
    keys.alias("connection-reset-interval", "reset-connection-interval");
    let reset = seconds_or_none(keys, "reset-connection-interval", Duration::ZERO);
    if !reset.is_zero() {
        sink = sink.reset_interval(reset);
    }
    Ok(SinkSetup::new(sink).batch(batch))
}

/// What every client of Thrift RPC may have.
pub(in super::super) fn client_settings(
    keys: &mut Keys,
    site: &Site<'_>,
    client: RpcClientBuilder,
) -> Made<RpcClientBuilder> {
    let client = client
        .thrift(keys.bearable_choice("protocol", &PROTOCOLS, ThriftProtocol::Compact, "Flume takes compact"))
        .connect_timeout(timeout(keys, "connect-timeout", Borne::Anything, RPC_CONNECT))
        .request_timeout(timeout(keys, "request-timeout", Borne::Numbers, RPC_REQUEST));
    if keys.is_set(REQUESTS_IN_FLIGHT_KEY) {
        keys.mistake(REQUESTS_IN_FLIGHT_KEY, "is for Avro RPC; over Thrift RPC there is one request at a time");
    }
    no_kerberos(keys, &["client-principal", "client-keytab", "server-principal"]);
    #[cfg(feature = "tls")]
    let client = match tls::client(keys, site)? {
        Some(tls) => client.tls(tls),
        None => client,
    };
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    Ok(client)
}

fn no_kerberos(keys: &mut Keys, others: &[&str]) {
    if keys.flag("kerberos", false) {
        keys.mistake(
            "kerberos",
            "Kerberos is not part of this crate; use ssl, with certificates of the clients if need be",
        );
    }
    keys.ignored(others, "has no effect without kerberos");
}

const PROTOCOLS: [(&str, ThriftProtocol); 2] =
    [("compact", ThriftProtocol::Compact), ("binary", ThriftProtocol::Binary)];

#[cfg(test)]
mod tests;
