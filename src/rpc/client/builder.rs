//! The settings of a client.

use std::sync::Arc;
use std::time::Duration;

use super::host::{Address, Host};
use super::order::Order;
use super::transport::Settings;
use super::{RpcClient, RpcError};
use crate::clock::SystemClock;
use crate::limits;
use crate::rpc::ThriftProtocol;
use crate::shutdown::Shutdown;

/// Collects the settings of an [`RpcClient`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RpcClientBuilder {
    addresses: Vec<String>,
    kind: Kind,
    attempts: Option<usize>,
    backoff_max: Option<Duration>,
    batch_events: usize,
    requests_in_flight: usize,
    settings: Settings,
}

/// How a load balancing client chooses the first host of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostOrder {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Any.
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    One,
    /// The first of several.
    First,
    Failover,
    Balance(HostOrder),
}

/// What a client does with several hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    One,
    Failover { attempts: usize },
    Balance,
}

impl RpcClientBuilder {
    pub(super) fn new(addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            addresses: addresses.into_iter().map(Into::into).collect(),
            kind: Kind::One,
            attempts: None,
            backoff_max: None,
            batch_events: limits::RPC_BATCH_EVENTS,
            requests_in_flight: limits::RPC_REQUESTS_IN_FLIGHT,
            settings: Settings::new(),
        }
    }

    /// Stays with the first host until it fails, then with the next one, as Flume's client of the type
    /// `default_failover`. A client of several hosts needs this or [`load_balancing`](Self::load_balancing).
    pub fn failover(mut self) -> Self {
        self.kind = Kind::Failover;
        self
    }

    /// Goes to another host with each call, and to the others if that fails, as Flume's client of the type
    /// `default_loadbalance`. Needs two hosts at least.
    pub fn load_balancing(mut self, order: HostOrder) -> Self {
        self.kind = Kind::Balance(order);
        self
    }

    /// Uses the first host and no other, as Flume's clients of the types `default` and `thrift`.
    pub(crate) fn first_host(mut self) -> Self {
        self.kind = Kind::First;
        self
    }

    /// Hosts that a call of a client that fails over tries to send to, at most. Default: their number.
    pub fn max_attempts(mut self, attempts: usize) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// A load balancing client passes over hosts that failed, for two seconds, and twice as long with each further
    /// failure, up to `max`. Default: it tries them at every turn.
    pub fn backoff(mut self, max: Duration) -> Self {
        self.backoff_max = Some(max);
        self
    }

    /// Events of one request, at most. Default: [`RPC_BATCH_EVENTS`](limits::RPC_BATCH_EVENTS).
    pub fn batch_events(mut self, events: usize) -> Self {
        self.batch_events = events;
        self
    }

    /// Requests that a call of [`append_batch`](RpcClient::append_batch) sends over Avro RPC before the first of them is answered,
    /// at most: the client makes a request while the server is busy with those before it. Default:
    /// [`RPC_REQUESTS_IN_FLIGHT`](limits::RPC_REQUESTS_IN_FLIGHT), which is Flume's behaviour; at most
    /// [`RPC_REQUESTS_IN_FLIGHT_MAX`](limits::RPC_REQUESTS_IN_FLIGHT_MAX). A call with more events than
    /// [`batch_events`](Self::batch_events) makes use of it.
    ///
    /// The source of this crate commits the requests of a connection in their order. Flume's may commit requests that are in
    /// flight at once in another order. When a request fails, those behind it may have been accepted, also by the source of
    /// this crate, which is [`RpcError::InFlight`](super::RpcError::InFlight): they come again with the next attempt, then
    /// behind the one that failed. The time limit of a request runs from its first byte, and so while the server is busy with
    /// those before it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use aqueduct::rpc::RpcClient;
    /// use aqueduct::source::{AvroRpc, Source, SourceContext};
    /// use aqueduct::{Channel, Event, MemoryChannel, Shutdown, Wait};
    ///
    /// let channel = MemoryChannel::new("events");
    /// let stop = Shutdown::new();
    /// let context = SourceContext::new("in", Arc::new(channel.clone()), stop.clone());
    /// let mut source = AvroRpc::bind("127.0.0.1:0");
    /// source.open(&context)?;
    /// let address = source.handle().local_addr().ok_or("not open")?;
    /// let running = std::thread::spawn(move || source.run(&context));
    ///
    /// let mut client = RpcClient::builder([address.to_string()]).batch_events(100).requests_in_flight(4).build()?;
    /// let events: Vec<Event> = (0..1000).map(|number| Event::new(number.to_string())).collect();
    /// client.append_batch(&events)?;
    ///
    /// let taken = channel.take(1000, Wait::NONE)?;
    /// assert!(taken.iter().eq(&events));
    /// taken.commit()?;
    /// stop.request();
    /// running.join().map_err(|_| "a panic")??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn requests_in_flight(mut self, requests: usize) -> Self {
        self.requests_in_flight = requests;
        self
    }

    /// How long connecting may take, with all handshakes. Default: [`RPC_CONNECT`](limits::RPC_CONNECT).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long a request may take, from its first byte to the answer. Default: [`RPC_REQUEST`](limits::RPC_REQUEST).
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// Speaks Thrift RPC in this encoding, as Flume's client of the type `thrift`. Default: Avro RPC.
    pub fn thrift(mut self, protocol: ThriftProtocol) -> Self {
        self.settings.thrift = Some(protocol);
        self
    }

    pub(crate) fn thrift_protocol(&self) -> Option<ThriftProtocol> {
        self.settings.thrift
    }

    /// Compresses everything, at a level from 0 to 9, as Flume's `compression-type = deflate`. The server must do the
    /// same. Default: no compression.
    pub fn deflate(mut self, level: u32) -> Self {
        self.settings.deflate = Some(level);
        self
    }

    /// Speaks TLS. Default: plain text.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: crate::tls::TlsClient) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// With both TLS and compression, encrypts what is compressed, as Flume up to 1.9. Default: compresses what is
    /// encrypted, as Flume from 1.10 on. This crate's own source understands both.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn compress_before_tls(mut self, before: bool) -> Self {
        self.settings.tls_outermost = before;
        self
    }

    /// Gives waiting up soon after this is requested. Default: calls end by their time limits only.
    pub fn stop_with(mut self, stop: Shutdown) -> Self {
        self.settings.stop = Some(stop);
        self
    }

    /// The client. It connects when it has something to send.
    ///
    /// # Errors
    /// [`RpcError::Settings`] says what is wrong.
    pub fn build(self) -> Result<RpcClient, RpcError> {
        self.check().map_err(|reason| RpcError::Settings { reason })?;
        let used = if matches!(self.kind, Kind::One | Kind::First) { 1 } else { self.addresses.len() };
        let addresses: Result<Vec<Address>, RpcError> = self.addresses.iter().map(|text| text.parse()).collect();
        let hosts: Vec<Host> = addresses?.into_iter().take(used).map(Host::new).collect();
        let (policy, order) = match self.kind {
            Kind::One | Kind::First => (Policy::One, HostOrder::default()),
            Kind::Failover => (Policy::Failover { attempts: self.attempts.unwrap_or(used) }, HostOrder::default()),
            Kind::Balance(order) => (Policy::Balance, order),
        };
        let order = Order::new(order, self.backoff_max, hosts.len(), Arc::new(SystemClock::new()));
        let (batch_events, requests_in_flight, settings) = (self.batch_events, self.requests_in_flight, self.settings);
        Ok(RpcClient {
            hosts,
            policy,
            order,
            current: None,
            batch_events,
            requests_in_flight,
            settings,
            last_failure: String::new(),
            is_closed: false,
        })
    }

    fn check(&self) -> Result<(), String> {
        let hosts = self.addresses.len();
        if hosts == 0 {
            return Err("a client needs a host, such as localhost:4141".to_owned());
        }
        if hosts > limits::RPC_HOSTS_MAX {
            return Err(format!("{hosts} hosts are more than {}", limits::RPC_HOSTS_MAX));
        }
        if matches!(self.kind, Kind::Balance(_)) && hosts < 2 {
            return Err("load balancing needs at least two hosts".to_owned());
        }
        if self.kind == Kind::One && hosts > 1 {
            return Err(format!(
                "a client of {hosts} hosts must be told how to use them: call `failover` or `load_balancing`, or name one host"
            ));
        }
        if self.attempts.is_some() && self.kind != Kind::Failover {
            return Err("max_attempts is for a client that fails over; call `failover`, too".to_owned());
        }
        if self.backoff_max.is_some() && !matches!(self.kind, Kind::Balance(_)) {
            return Err("backoff is for a client that shares the load; call `load_balancing`, too".to_owned());
        }
        if self.attempts == Some(0) {
            return Err("max_attempts is 0, so that nothing would ever be sent; it must be at least 1".to_owned());
        }
        if self.batch_events == 0 {
            return Err("batch_events is 0, so that nothing would ever be sent; it must be at least 1".to_owned());
        }
        let in_flight = self.requests_in_flight;
        if !(1..=limits::RPC_REQUESTS_IN_FLIGHT_MAX).contains(&in_flight) {
            let max = limits::RPC_REQUESTS_IN_FLIGHT_MAX;
            return Err(format!("requests_in_flight is {in_flight}; it must be 1 to {max}"));
        }
        if in_flight > 1 && self.settings.thrift.is_some() {
            return Err("Thrift RPC has one request in flight; requests_in_flight is for Avro RPC".to_owned());
        }
        if let Some(level) = self.settings.deflate.filter(|level| *level > 9) {
            return Err(format!("{level} is not a level of compression; it must be 0 to 9"));
        }
        if self.settings.deflate.is_some() && self.settings.thrift.is_some() {
            return Err("there is no compression in Flume's Thrift RPC".to_owned());
        }
        for (name, timeout) in
            [("connect_timeout", self.settings.connect_timeout), ("request_timeout", self.settings.request_timeout)]
        {
            if timeout.is_zero() {
                return Err(format!("{name} is zero, so that nothing would ever be sent; it must be longer"));
            }
        }
        Ok(())
    }
}
