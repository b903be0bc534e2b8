//! Events over Avro RPC: Flume's `avro` source.

mod protocol;

use super::net::{Listener, ListenerHandle, ListenerOptions};
use super::rpc::{Session, Settings, rpc_settings};
use super::{Source, SourceContext, SourceError};
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
/// costs its thread, a read buffer of [`RPC_READ_BYTES`](crate::limits::RPC_READ_BYTES), up to
/// [`RPC_KEPT_BYTES`](crate::limits::RPC_KEPT_BYTES) for its next request and as much for each of
/// [`AVRO_MESSAGES_LENT`](crate::limits::AVRO_MESSAGES_LENT) earlier ones, the kernel's buffers, and up to 64 KiB in each direction
/// for TLS, and as much for compression.
///
/// # Counters
///
/// `event_read_fail`: requests that were malformed, over a limit, not finished, or for a message that there is not.
/// `channel_write_fail`: requests that no channel took. `dropped_events`: only under
/// [`RpcAck::OnReceipt`](crate::source::RpcAck::OnReceipt).
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

    rpc_settings!();

    /// Receives and sends everything compressed, as Flume's `compression-type = deflate`. The clients must do the same.
    /// Together with TLS both orders are understood: Flume's from 1.10 on compresses what is encrypted, earlier ones
    /// encrypt what is compressed. Default: `false`.
    #[must_use]
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.listener.layers.deflate = deflate;
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
