//! One connection to one host, whatever it speaks.

use std::fmt::Debug;
use std::time::Duration;

use super::RpcError;
use super::avro::AvroTransport;
use super::host::Address;
use super::load::Requests;
use super::thrift::ThriftTransport;
use crate::event::Event;
use crate::limits;
use crate::rpc::ThriftProtocol;
use crate::shutdown::Shutdown;
#[cfg(feature = "tls")]
use crate::tls::TlsClient;

/// A connection over which events are sent. After an error it is not used again, so that no answer to an old request can be
/// taken for one to a new request.
pub(crate) trait Transport: Debug + Send {
    /// Sends one event and waits for the answer.
    fn append(&mut self, event: &Event) -> Result<(), RpcError>;

    /// Makes the next one of the requests, or all of them if several may be in flight, and waits for the answers. The requests
    /// know which events were accepted, also after an error.
    fn append_batch(&mut self, requests: &mut Requests<'_>) -> Result<(), RpcError>;

    /// Whether the connection is still there, as far as that is known without waiting. What is found to be gone here was
    /// gone before the next request, so that connecting again cannot deliver anything twice.
    fn is_alive(&mut self) -> bool;
}

/// How a client connects and how long it waits.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// Thrift in this encoding, instead of Avro.
    pub(crate) thrift: Option<ThriftProtocol>,
    /// The level of compression.
    pub(crate) deflate: Option<u32>,
    /// Encrypts what is compressed, as Flume before 1.10, instead of the other way round.
    #[cfg(feature = "tls")]
    pub(crate) tls_outermost: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
    pub(crate) stop: Option<Shutdown>,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            connect_timeout: limits::RPC_CONNECT,
            request_timeout: limits::RPC_REQUEST,
            thrift: None,
            deflate: None,
            #[cfg(feature = "tls")]
            tls_outermost: false,
            #[cfg(feature = "tls")]
            tls: None,
            stop: None,
        }
    }

    /// Connects.
    pub(super) fn connect(&self, address: &Address) -> Result<Box<dyn Transport>, RpcError> {
        Ok(match self.thrift {
            None => Box::new(AvroTransport::connect(address, self)?),
            Some(protocol) => Box::new(ThriftTransport::connect(address, self, protocol)?),
        })
    }
}
