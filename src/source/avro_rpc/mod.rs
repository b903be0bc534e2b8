//! Events over Avro RPC: Flume's `avro` source.

mod protocol;

use std::time::Duration;

use super::net::{IpFilter, Listener, ListenerHandle, ListenerOptions};
use super::rpc::{RpcAck, Session, Settings};
use super::{Source, SourceContext, SourceError};
use crate::limits;
use protocol::Avro;

/// Receives events over Avro RPC: Flume's `avro` source, for Flume's `avro` sink and RPC client, and those of this crate.
///
/// A call of `append` or `appendBatch` is one transaction. It is answered with the status `OK` once it is committed to all
/// required channels, and with `FAILED` if it was not, such as because a channel stayed full for as long as it waits; the
/// client then has to send it again. What can never be accepted (malformed events, a batch over a limit) is answered with
/// an error in words. Clients that send further calls before they have the answer get them committed together, so
/// that they share the syncs of a durable channel; answers come in the order of the calls.
///
/// # Limits
///
/// Connections, connections of one address, the bytes of a request, as received and as events in memory, the events of
/// a batch, the bytes of all requests that are not committed yet, and the times for a handshake, a request and an
/// answer; see the methods. Requests that find no room are not read until there is some. Besides these bytes a connection
/// costs its thread, a read buffer of [`RPC_READ_BYTES`](limits::RPC_READ_BYTES), the kernel's buffers, and up to 64 KiB
/// in each direction for TLS, and as much for compression.
///
/// # Counters
///
/// `event_read_fail`: requests that were malformed, over a limit, or not finished. `channel_write_fail`: requests that
/// no channel took. `dropped_events`: only under [`RpcAck::OnReceipt`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use aqueduct::rpc::RpcClient;
/// use aqueduct::source::{AvroRpc, Source, SourceContext};
/// use aqueduct::{Channel, Event, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("events");
/// let mut source = AvroRpc::bind("127.0.0.1:0");
/// let listener = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("avro", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// let address = listener.local_addr().ok_or("not open")?;
/// let mut client = RpcClient::connect(address.to_string())?;
/// client.append(&Event::new("hello"))?;
/// assert_eq!(channel.take(1, Wait::NONE)?[0].body(), "hello");
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AvroRpc {
    address: String,
    settings: Settings,
    listener: ListenerOptions,
    handle: ListenerHandle,
    bound: Option<Listener>,
}

impl AvroRpc {
    /// A source that listens on `address`, which is `host:port`. With port 0 the system chooses one, which
    /// [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            settings: Settings::new(),
            listener: Settings::listener(),
            handle: ListenerHandle::default(),
            bound: None,
        }
    }

    /// The address and the counters of the listener, while the source runs elsewhere.
    #[must_use]
    pub fn handle(&self) -> ListenerHandle {
        self.handle.clone()
    }

    /// When clients are answered. Default: [`RpcAck::AfterCommit`].
    #[must_use]
    pub fn ack(mut self, ack: RpcAck) -> Self {
        self.settings.ack = ack;
        self
    }

    /// Receives and sends everything compressed, as Flume's `compression-type = deflate`. The clients must do the same.
    /// Together with TLS both orders are understood: Flume's from 1.10 on compresses what is encrypted, earlier ones
    /// encrypt what is compressed. Default: `false`.
    #[must_use]
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.listener.layers.deflate = deflate;
        self
    }

    /// Serves only clients that these rules let in. Default: all.
    #[must_use]
    pub fn ip_filter(mut self, filter: IpFilter) -> Self {
        self.listener.filter = Some(filter);
        self
    }

    /// Bytes of one request, at most, as received, and of its events in memory. A connection that sends more is closed.
    /// Default: [`RPC_FRAME_BYTES_MAX`](limits::RPC_FRAME_BYTES_MAX).
    #[must_use]
    pub fn frame_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.frame_bytes_max = bytes;
        self.listener.reserve_bytes = Settings::reserve(bytes);
        self
    }

    /// Events of one request, at most; more are answered with an error. Default:
    /// [`TRANSACTION_EVENTS_MAX`](limits::TRANSACTION_EVENTS_MAX).
    #[must_use]
    pub fn batch_events_max(mut self, events: usize) -> Self {
        self.settings.batch_events_max = events;
        self
    }

    /// Connections at once, at most; more are closed. Default: [`CONNECTIONS_MAX`](limits::CONNECTIONS_MAX).
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.listener.connections_max = connections;
        self
    }

    /// Connections from one address at once, at most. Default:
    /// [`CONNECTIONS_PER_PEER_MAX`](limits::CONNECTIONS_PER_PEER_MAX).
    #[must_use]
    pub fn connections_per_peer_max(mut self, connections: usize) -> Self {
        self.listener.connections_per_peer_max = connections;
        self
    }

    /// Bytes that are received and not committed, at most, over all connections. Must be at least `connections_max` times
    /// [`RPC_CONNECTION_BYTES`](limits::RPC_CONNECTION_BYTES) and two times `frame_bytes_max`. Default:
    /// [`SOURCE_BYTES_IN_FLIGHT_MAX`](limits::SOURCE_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.listener.bytes_in_flight_max = bytes;
        self
    }

    /// How long a client may be silent between two requests, and before the first. Default:
    /// [`RPC_IDLE`](limits::RPC_IDLE).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// How long a client may take from the first byte of a request to its last. Time in which the source does not read
    /// does not count. Default: [`CONNECTION_FRAME`](limits::CONNECTION_FRAME).
    #[must_use]
    pub fn frame_timeout(mut self, timeout: Duration) -> Self {
        self.settings.frame_timeout = timeout;
        self
    }

    /// How long a client may leave its answers unread once the network's buffers are full of them. Default:
    /// [`CONNECTION_ANSWER`](limits::CONNECTION_ANSWER).
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings.answer_timeout = timeout;
        self
    }

    /// The stack of the thread of each connection, in which interceptors and the channel's write run, too. It is address
    /// space: only what is used becomes memory. Default:
    /// [`CONNECTION_STACK_BYTES`](limits::CONNECTION_STACK_BYTES), at least
    /// [`CONNECTION_STACK_BYTES_MIN`](limits::CONNECTION_STACK_BYTES_MIN).
    #[must_use]
    pub fn connection_stack_bytes(mut self, bytes: usize) -> Self {
        self.listener.stack_bytes = bytes.max(limits::CONNECTION_STACK_BYTES_MIN);
        self
    }

    /// Serves clients that speak TLS, and no others. Default: plain text.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::TlsServer) -> Self {
        self.listener.layers.tls = Some(tls);
        self
    }

    /// How long the handshake of TLS may take. Default: [`TLS_HANDSHAKE`](limits::TLS_HANDSHAKE).
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.listener.handshake_timeout = timeout;
        self
    }
}

impl Source for AvroRpc {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The port must be free before it is bound again.
        self.bound = None;
        self.settings.check().map_err(|reason| SourceError::fatal(format!("{}: {reason}", self.address)))?;
        self.bound = Some(Listener::bind(&self.address, self.listener.clone(), self.handle.clone())?);
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some(listener) = self.bound.take() else { return Ok(()) };
        let settings = &self.settings;
        listener.run(context, |connection| {
            Session::new(settings, context, connection, Avro::new(settings.frame_bytes_max)).run();
        })
    }
}

#[cfg(test)]
mod tests;
