//! Avro RPC as Flume speaks it, without I/O.
//!
//! A connection carries frames in the layout of Avro's Netty transport ([`frame`]); the content of a frame is a message
//! ([`server`], [`client`]) with Avro data in it ([`data`], [`events`]). The first request of a connection carries a
//! handshake about the [`protocol`].

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod frame;
pub(crate) mod protocol;
pub(crate) mod server;

pub(crate) use crate::codec::avro::data;

/// What a request comes to, as an Avro enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Failed,
    Unknown,
}
