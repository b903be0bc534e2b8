//! The client of Flume's RPC.

mod avro;
mod builder;
mod error;
mod host;
mod in_flight;
mod load;
mod order;
mod thrift;
mod transport;
mod wire;

use std::fmt;

use crate::event::Event;
use builder::Policy;
pub use builder::{HostOrder, RpcClientBuilder};
pub use error::{BatchError, RpcError};
use host::Host;
use load::{Load, Requests};
use order::Order;
use transport::Settings;

/// Sends events to a Flume agent: Flume's RPC client, with one host, several to fail over to, or several to share the load.
///
/// A client connects when it has something to send, and again after a failure or when the server has closed the
/// connection meanwhile. One call is under way at a time; several threads have a client each. A call makes one request after
/// the other, or [several at once](RpcClientBuilder::requests_in_flight).
///
/// ```no_run
/// use aqueduct::Event;
/// use aqueduct::rpc::RpcClient;
///
/// let mut client = RpcClient::builder(["collector1:4141", "collector2:4141"]).failover().build()?;
/// client.append(&Event::new("one"))?;
/// client.append_batch(&[Event::new("two"), Event::new("three")])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RpcClient {
    hosts: Vec<Host>,
    policy: Policy,
    order: Order,
    // The host that was used last, when failing over.
    current: Option<usize>,
    batch_events: usize,
    requests_in_flight: usize,
    settings: Settings,
    // Of a load balancing client, for calls in which all hosts are passed over.
    last_failure: String,
    is_closed: bool,
}

impl RpcClient {
    /// A client of one host, `host:port`, that is connected already.
    ///
    /// # Errors
    /// If the address is none, or nobody listens there.
    pub fn connect(address: impl Into<String>) -> Result<Self, RpcError> {
        let mut client = Self::builder([address]).build()?;
        client.reconnect()?;
        Ok(client)
    }

    /// Settings for a client of these hosts, each `host:port`.
    pub fn builder(addresses: impl IntoIterator<Item = impl Into<String>>) -> RpcClientBuilder {
        RpcClientBuilder::new(addresses)
    }

    /// Sends one event.
    ///
    /// # Errors
    /// [`RpcError`] says whether the event may have arrived.
    pub fn append(&mut self, event: &Event) -> Result<(), RpcError> {
        self.send(&mut Load::One { event, is_delivered: false }).map_err(BatchError::into_source)
    }

    /// Sends events, in requests of up to [`batch_events`](Self::batch_events) and of
    /// [`RPC_REQUEST_BYTES_MAX`](crate::limits::RPC_REQUEST_BYTES_MAX) each. Every request is a transaction of the
    /// server: a failure in the middle leaves those before it delivered, and the error says how many events that are.
    ///
    /// # Errors
    /// [`BatchError`] says how many events arrived for certain, and whether others may have.
    pub fn append_batch(&mut self, events: &[Event]) -> Result<(), BatchError> {
        self.send(&mut Load::Many(Requests::new(events, self.batch_events, self.requests_in_flight)))
    }

    /// Events of one request, at most.
    #[must_use]
    pub fn batch_events(&self) -> usize {
        self.batch_events
    }

    /// Requests of one call that are sent before the first of them is answered, at most.
    #[must_use]
    pub fn requests_in_flight(&self) -> usize {
        self.requests_in_flight
    }

    /// Whether the client can be used: not after [`close`](Self::close). A client of one host is not active, either, as
    /// long as it has no connection, such as after a failure; the next call connects again.
    #[must_use]
    pub fn is_active(&mut self) -> bool {
        !self.is_closed && (self.policy != Policy::One || self.hosts.iter_mut().any(Host::is_connected))
    }

    /// Connects to one of the hosts, if there is no connection, so that a mistake is found before there is something to
    /// send.
    ///
    /// # Errors
    /// As for the last host that was tried.
    pub fn reconnect(&mut self) -> Result<(), RpcError> {
        if self.is_closed {
            return Err(RpcError::Closed);
        }
        if self.hosts.iter_mut().any(Host::is_connected) {
            return Ok(());
        }
        let mut outcome = Ok(());
        for (index, host) in self.hosts.iter_mut().enumerate() {
            outcome = host.connect(&self.settings);
            if outcome.is_ok() {
                // Where the next call begins, unless each goes to another host.
                self.current = Some(index);
                break;
            }
        }
        outcome
    }

    /// Ends all connections. Calls fail from now on.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.disconnect();
    }

    /// Ends all connections; the next call connects again.
    pub fn disconnect(&mut self) {
        self.hosts.iter_mut().for_each(Host::disconnect);
    }

    fn send(&mut self, load: &mut Load<'_>) -> Result<(), BatchError> {
        let outcome = if self.is_closed {
            Err(RpcError::Closed)
        } else {
            match self.policy {
                Policy::One => self.send_to(0, load),
                Policy::Failover { attempts } => self.fail_over(load, attempts),
                Policy::Balance => self.balance(load),
            }
        };
        outcome.map_err(|error| BatchError::new(load.delivered(), error))
    }

    /// As Flume does it: stays with a host until it fails, then goes to the next one that can be connected to.
    fn fail_over(&mut self, load: &mut Load<'_>, attempts: usize) -> Result<(), RpcError> {
        let mut last = None;
        for _ in 0..attempts {
            let index = self.connected_host(&mut last)?;
            match self.send_to(index, load) {
                Ok(()) => return Ok(()),
                Err(error) => error::keep(&mut last, error),
            }
        }
        Err(self.no_host(last))
    }

    /// The host in use, or the next one behind it that can be connected to.
    fn connected_host(&mut self, last: &mut Option<RpcError>) -> Result<usize, RpcError> {
        if let Some(current) = self.current
            && self.hosts.get_mut(current).is_some_and(Host::is_connected)
        {
            return Ok(current);
        }
        let count = self.hosts.len();
        let first = self.current.map_or(0, |current| current + 1);
        for index in (first..first + count).map(|index| index % count) {
            let Some(host) = self.hosts.get_mut(index) else { continue };
            match host.connect(&self.settings) {
                Ok(()) => {
                    self.current = Some(index);
                    return Ok(index);
                }
                Err(error) => error::keep(last, error),
            }
        }
        self.current = None;
        Err(self.no_host(last.take()))
    }

    /// As Flume does it: each call goes to another host, and to the others if that fails.
    fn balance(&mut self, load: &mut Load<'_>) -> Result<(), RpcError> {
        let hosts = self.order.next();
        if hosts.is_empty() {
            let (hosts, retry_in) = (self.hosts.len(), self.order.pause());
            return Err(RpcError::PassedOver { hosts, retry_in, reason: self.last_failure.clone() });
        }
        let mut last = None;
        for index in hosts {
            match self.send_to(index, load) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.order.failed(index);
                    self.last_failure = error.to_string();
                    error::keep(&mut last, error);
                }
            }
        }
        Err(self.no_host(last))
    }

    fn send_to(&mut self, index: usize, load: &mut Load<'_>) -> Result<(), RpcError> {
        let Some(host) = self.hosts.get_mut(index) else { return Ok(()) };
        match load {
            Load::One { event, is_delivered } => {
                host.transport(&self.settings)?.append(event).inspect_err(|_| host.disconnect())?;
                *is_delivered = true;
            }
            Load::Many(requests) => {
                requests.restart();
                while !requests.are_done() {
                    let transport = host.transport(&self.settings)?;
                    transport.append_batch(requests).inspect_err(|_| host.disconnect())?;
                }
            }
        }
        Ok(())
    }

    fn no_host(&self, last: Option<RpcError>) -> RpcError {
        RpcError::NoHost { hosts: self.hosts.len(), last: last.map(Box::new) }
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient").field("hosts", &self.hosts).field("policy", &self.policy).finish_non_exhaustive()
    }
}
