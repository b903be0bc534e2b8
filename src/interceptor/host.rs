//! The name or address of this host as a header.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::Interceptor;
use super::header::Target;
use crate::event::Event;
use crate::net::host_address;

/// Puts the address or the name of this host into the header `host`: Flume's `host`.
///
/// It is found out once, when the interceptor is made.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Host, Interceptor};
///
/// let event = Host::value("web-1").intercept(Event::new("x")).ok_or("dropped")?;
/// assert_eq!(event.headers().get("host"), Some("web-1"));
/// # Ok::<(), &str>(())
/// ```
///
/// An event that has no room for a header (see [`limits`](crate::limits)) goes on without it.
#[derive(Clone, Debug)]
pub struct Host {
    target: Target,
    value: String,
}

impl Host {
    /// The address that this host's name stands for, which is Flume's default: the first IPv4 address, or else the first
    /// one, with all of its groups, as Java writes it. On many hosts that is `127.0.0.1`.
    ///
    /// # Blocking
    /// For the resolver of the operating system, which may ask a name server.
    ///
    /// # Errors
    /// If the name of the host cannot be resolved. Flume then adds no header; [`Host::name`] is what is left to use.
    pub fn address() -> io::Result<Self> {
        own_address().map(|address| Self::value(host_address(address)))
    }

    /// The name of this host: Flume's `useIP = false`. With the feature `dns` it is the name that the resolver has for the
    /// address of this host, as in Flume, which on many hosts is `localhost`; without it, or where there is no address, it
    /// is the name that the operating system knows.
    ///
    /// # Blocking
    /// For the resolver of the operating system, which may ask a name server, with the feature `dns`.
    #[must_use]
    pub fn name() -> Self {
        Self::value(own_name())
    }

    /// This value.
    #[must_use]
    pub fn value(value: impl Into<String>) -> Self {
        Self { target: Target::new("host", false), value: value.into() }
    }

    /// The name of the header; `host` by default.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.target.name = name.into();
        self
    }

    /// Whether an event that has the header keeps its value; it does not by default.
    #[must_use]
    pub fn preserve_existing(mut self, preserve: bool) -> Self {
        self.target.preserve_existing = preserve;
        self
    }
}

impl Interceptor for Host {
    fn intercept(&self, event: Event) -> Option<Event> {
        Some(self.target.set(event, || self.value.as_str().into()))
    }
}

/// The address that the name of this host stands for.
fn own_address() -> io::Result<IpAddr> {
    let name = host_name();
    let found: Vec<SocketAddr> = (name.as_str(), 0)
        .to_socket_addrs()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("the name {name:?} of this host has no address: {error}"))
        })?
        .collect();
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let best = best.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("the name {name:?} of this host has no address"))
    })?;
    Ok(best.ip())
}

#[cfg(feature = "dns")]
fn own_name() -> String {
    let address = own_address().ok();
    let name = address.map(|address| crate::net::name_of(address).unwrap_or_else(|| host_address(address)));
    name.unwrap_or_else(host_name)
}

#[cfg(not(feature = "dns"))]
fn own_name() -> String {
    host_name()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_added_or_replaced_or_left_alone_as_configured() {
        let old = || Event::new("x").with_header("host", "old").unwrap();
        let host = Host::value("web-1");
        assert_eq!(host.intercept(Event::new("x")).unwrap().headers().get("host"), Some("web-1"));
        assert_eq!(host.intercept(old()).unwrap().headers().get("host"), Some("web-1"));
        let keeps = host.clone().preserve_existing(true);
        assert_eq!(keeps.intercept(old()).unwrap().headers().get("host"), Some("old"));
        assert_eq!(keeps.intercept(Event::new("x")).unwrap().headers().get("host"), Some("web-1"));
        let renamed = host.header("from").intercept(old()).unwrap();
        assert_eq!(renamed.headers().iter().collect::<Vec<_>>(), [("host", "old"), ("from", "web-1")]);
    }

    #[test]
    fn name_and_address_of_this_host_are_what_they_claim_to_be() {
        assert!(!Host::name().value.is_empty());
        #[cfg(feature = "dns")]
        if let Ok(host) = Host::address() {
            let again = (Host::name().value.as_str(), 0).to_socket_addrs().unwrap();
            assert!(again.map(|address| host_address(address.ip())).any(|address| address == host.value));
        }
        match Host::address() {
            Ok(host) => assert!(host.value.parse::<std::net::IpAddr>().is_ok(), "{}", host.value),
            Err(error) => assert!(error.to_string().contains("of this host has no address"), "{error}"),
        }
    }
}
