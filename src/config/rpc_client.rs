//! The RPC client by Flume's properties.

use super::components::{client_settings, requests_in_flight, thrift_client_settings};
use super::keys::Keys;
use super::options::Options;
use super::problem::{ConfigError, Refused, Severity};
use super::site::Site;
use crate::limits::{RPC_BATCH_EVENTS, RPC_HOST_BACKOFF_MAX, TRANSACTION_EVENTS_MAX};
use crate::rpc::{HostOrder, RpcClient};

impl RpcClient {
    /// A client by the properties of Flume's `RpcClientFactory`: `hosts`, `hosts.<name>`, `client.type` (`default`,
    /// `default_failover`, `default_loadbalance`, `thrift`), `batch-size`, `connect-timeout`, `request-timeout`, `max-attempts`,
    /// `host-selector`, `backoff`, `maxBackoff`, `compression-type`, `compression-level`, for Thrift `protocol`, and those of
    /// TLS. A key of ours, but for Thrift: `requests-in-flight`, see
    /// [`requests_in_flight`](crate::rpc::RpcClientBuilder::requests_in_flight).
    ///
    /// ```
    /// use aqueduct::rpc::RpcClient;
    ///
    /// let client = RpcClient::from_properties([
    ///     ("client.type", "default_failover"),
    ///     ("hosts", "h1 h2"),
    ///     ("hosts.h1", "collector1:4141"),
    ///     ("hosts.h2", "collector2:4141"),
    ///     ("batch-size", "500"),
    /// ])?;
    /// assert_eq!(client.batch_events(), 500);
    ///
    /// let error = RpcClient::from_properties([("hosts", "h1"), ("hosts.h1", "here"), ("batchsize", "5")]).unwrap_err();
    /// assert_eq!(error.problems().len(), 2);
    /// # Ok::<(), aqueduct::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// All mistakes at once, with their keys.
    pub fn from_properties<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigError> {
        let options = Options::new();
        let mut keys = Keys::of("", properties);
        let client = read(&mut keys, &Site::new(&options, "", ""));
        let mut problems = keys.finish("the client");
        problems.retain(|problem| problem.severity != Severity::Warning);
        match client {
            Ok(client) if problems.is_empty() => Ok(client),
            _ => Err(ConfigError::new("RPC client", problems)),
        }
    }
}

fn read(keys: &mut Keys, site: &Site<'_>) -> Result<RpcClient, Refused> {
    let kind = keys.choice("client.type", KINDS, Kind::Default);
    let names = keys.required_list("hosts");
    let mut addresses: Vec<String> = Vec::new();
    for name in &names {
        addresses.push(keys.required(&format!("hosts.{name}")).trim().to_owned());
    }
    let batch = keys.number("batch-size", 1..=TRANSACTION_EVENTS_MAX, RPC_BATCH_EVENTS);
    keys.ignored(&["maxConnections"], "has no effect: a client has one connection to each host");
    if matches!(kind, Kind::Thrift) {
        // The first host counts, as in Flume.
        let builder =
            thrift_client_settings(keys, site, RpcClient::builder(addresses))?.batch_events(batch).first_host();
        return builder.build().map_err(|error| keys.refuse(error));
    }
    let mut builder = client_settings(keys, site, RpcClient::builder(addresses))?.batch_events(batch);
    builder = builder.requests_in_flight(requests_in_flight(keys));
    let attempts = keys.optional_number("max-attempts", 1..=usize::MAX);
    let order = keys.choice("host-selector", ORDERS, HostOrder::RoundRobin);
    let is_patient = keys.flag("backoff", false);
    let backoff = keys.millis("maxBackoff", 0..=u64::MAX, RPC_HOST_BACKOFF_MAX);
    match kind {
        Kind::Default | Kind::Thrift => builder = builder.first_host(),
        Kind::Failover => {
            builder = builder.failover();
            if let Some(attempts) = attempts {
                builder = builder.max_attempts(attempts);
            }
        }
        Kind::Balance => {
            builder = builder.load_balancing(order);
            if is_patient {
                // 0 stands for the default.
                builder = builder.backoff(if backoff.is_zero() { RPC_HOST_BACKOFF_MAX } else { backoff });
            }
        }
    }
    builder.build().map_err(|error| keys.refuse(error))
}

#[derive(Clone, Copy)]
enum Kind {
    Default,
    Failover,
    Balance,
    Thrift,
}

const KINDS: &[(&str, Kind)] = &[
    ("DEFAULT", Kind::Default),
    ("DEFAULT_FAILOVER", Kind::Failover),
    ("DEFAULT_LOADBALANCE", Kind::Balance),
    ("THRIFT", Kind::Thrift),
    ("org.apache.flume.api.ThriftRpcClient", Kind::Thrift),
    ("org.apache.flume.api.NettyAvroRpcClient", Kind::Default),
    ("org.apache.flume.api.FailoverRpcClient", Kind::Failover),
    ("org.apache.flume.api.LoadBalancingRpcClient", Kind::Balance),
];
const ORDERS: &[(&str, HostOrder)] = &[("ROUND_ROBIN", HostOrder::RoundRobin), ("RANDOM", HostOrder::Random)];

#[cfg(test)]
mod tests;
