//! The sink that sends events over Thrift RPC.

use std::fmt;
use std::time::Duration;

use super::rpc::RpcSink;
use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::rpc::{RpcClient, RpcClientBuilder, ThriftProtocol};

/// Sends events to another agent over Thrift RPC: Flume's `thrift` sink, for Flume's `thrift` source and the one of this
/// crate.
///
/// It delivers as [`AvroRpc`](super::AvroRpc) does: at least once, in requests that the server accepts as a whole.
///
/// ```
/// use aqueduct::rpc::{RpcClient, ThriftProtocol};
/// use aqueduct::sink::ThriftRpc;
///
/// let one = ThriftRpc::new("collector:4141");
/// let client = RpcClient::builder(["collector1:4141", "collector2:4141"]).failover().thrift(ThriftProtocol::Binary);
/// let two = ThriftRpc::with_client(client);
/// # let _ = (one, two);
/// ```
pub struct ThriftRpc {
    inner: RpcSink,
}

impl ThriftRpc {
    /// A sink that sends to `address`, which is `host:port`, in Thrift's compact protocol.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self::with_client(RpcClient::builder([address]))
    }

    /// A sink that sends through such a client, which speaks Thrift whether or not it was told to.
    #[must_use]
    pub fn with_client(settings: RpcClientBuilder) -> Self {
        let protocol = settings.thrift_protocol().unwrap_or(ThriftProtocol::Compact);
        Self { inner: RpcSink::new(settings.thrift(protocol)) }
    }

    /// Connects anew after this time, so that a load balancer between here and there gets to choose again. Default: never.
    #[must_use]
    pub fn reset_interval(mut self, interval: Duration) -> Self {
        self.inner = self.inner.reset_interval(interval);
        self
    }
}

impl Sink for ThriftRpc {
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

impl fmt::Debug for ThriftRpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThriftRpc").field("client", &self.inner).finish()
    }
}
