//! Sinks that send events to another agent over Flume's RPC.

use std::fmt;
use std::time::Duration;

use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::clock::{Clock, SystemClock};
use crate::rpc::{RpcClient, RpcClientBuilder, RpcError};

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
/// What the server answers with `FAILED`, such as because its channel is full, comes again. An event that alone is refused with a
/// reason, as the source of this crate does with one that is over a limit of the source or of its channel, can never be
/// delivered: the agent's policy for such events applies. A client of several hosts never says so, as another host may take it,
/// nor does Flume's source.
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
        let names_reasons = self.settings.thrift_protocol().is_none();
        let client = self.connect()?;
        let all = batch.events();
        let mut events = all;
        loop {
            match client.append_batch(events) {
                Ok(()) if events.len() == all.len() => return Ok(Delivered::All),
                Ok(()) => return Ok(Delivered::First(events.len())),
                // What fails still fails with the next batch, which is told then.
                Err(error) if error.delivered() > 0 => return Ok(Delivered::First(error.delivered())),
                Err(error) if names_reasons && is_refused(error.reason()) => match events.len() / 2 {
                    0 => return Err(SinkError::permanent(error.into_source())),
                    // Which of them the server does not want shows when they come in fewer.
                    half => events = events.get(..half).unwrap_or_default(),
                },
                Err(error) => return Err(SinkError::retry(error.into_source())),
            }
        }
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.client = None;
        Ok(())
    }
}

/// Whether the server has said why it does not take the events. For a reason that passes it says `FAILED`, and so does Flume's
/// for every other, too. Over Thrift a server that knows no such call says as much as one that does not want an event.
fn is_refused(error: &RpcError) -> bool {
    match error {
        RpcError::Refused { .. } => true,
        RpcError::InFlight { source } => is_refused(source),
        _ => false,
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
