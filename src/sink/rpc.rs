//! Sinks that send events to another agent over Flume's RPC.

use std::fmt;
use std::time::Duration;

use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::clock::{Clock, SystemClock};
use crate::rpc::{RpcClient, RpcClientBuilder};

/// Sends events to another agent over Avro RPC: Flume's `avro` sink, for Flume's `avro` source and the one of this crate.
///
/// Each batch is one request, or several if it has more events than the client puts into one, and is delivered when the
/// server has accepted all of them. When only the first requests of a batch are accepted, these events are delivered, and
/// the others come again. After an error the sink connects again. A client with several
/// [requests in flight](RpcClientBuilder::requests_in_flight) makes use of that for batches of several requests.
///
/// # Delivery
///
/// At least once: when the connection breaks, or the answer does not come in time, the server may have accepted the
/// events, and gets them again.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use aqueduct::rpc::RpcClient;
/// use aqueduct::sink::AvroRpc;
///
/// let one = AvroRpc::new("collector:4141");
/// let client = RpcClient::builder(["collector1:4141", "collector2:4141"]).failover().deflate(6);
/// let two = AvroRpc::with_client(client).reset_interval(Duration::from_secs(600));
/// # let _ = (one, two);
/// ```
pub struct AvroRpc {
    inner: RpcSink,
}

/// Delivers through a client, whatever it speaks.
pub(crate) struct RpcSink {
    settings: RpcClientBuilder,
    reset_interval: Option<Duration>,
    client: Option<RpcClient>,
    connected_at: Duration,
    clock: Box<dyn Clock>,
}

impl AvroRpc {
    /// A sink that sends to `address`, which is `host:port`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self::with_client(RpcClient::builder([address]))
    }

    /// A sink that sends through such a client.
    #[must_use]
    pub fn with_client(settings: RpcClientBuilder) -> Self {
        Self { inner: RpcSink::new(settings) }
    }

    /// Connects anew after this time, so that a load balancer between here and there gets to choose again. Default: never.
    #[must_use]
    pub fn reset_interval(mut self, interval: Duration) -> Self {
        self.inner = self.inner.reset_interval(interval);
        self
    }
}

impl Sink for AvroRpc {
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.inner.open(context)
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        self.inner.write(batch)
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.inner.close()
    }
}

impl RpcSink {
    pub(crate) fn new(settings: RpcClientBuilder) -> Self {
        let clock = Box::new(SystemClock::new());
        Self { settings, reset_interval: None, client: None, connected_at: Duration::ZERO, clock }
    }

    pub(super) fn reset_interval(mut self, interval: Duration) -> Self {
        self.reset_interval = Some(interval);
        self
    }

    fn connect(&mut self) -> Result<&mut RpcClient, SinkError> {
        let Some(client) = &mut self.client else { return Err(SinkError::retry("the sink is not open")) };
        let now = self.clock.monotonic();
        if self.reset_interval.is_some_and(|interval| now.saturating_sub(self.connected_at) >= interval) {
            client.disconnect();
            self.connected_at = now;
        }
        Ok(client)
    }
}

impl Sink for RpcSink {
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.client = None;
        let settings = self.settings.clone().stop_with(context.shutdown().clone());
        let mut client = settings.build().map_err(SinkError::fatal)?;
        client.reconnect().map_err(SinkError::retry)?;
        self.connected_at = self.clock.monotonic();
        self.client = Some(client);
        Ok(())
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        match self.connect()?.append_batch(batch.events()) {
            Ok(()) => Ok(Delivered::All),
            // What fails still fails with the next batch, which is told then.
            Err(error) if error.delivered() > 0 => Ok(Delivered::First(error.delivered())),
            Err(error) => Err(SinkError::retry(error.into_source())),
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.client = None;
        Ok(())
    }
}

impl fmt::Debug for AvroRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvroRpc").field("client", &self.inner).finish()
    }
}

impl fmt::Debug for RpcSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
