//! A host and the connection to it.

use std::fmt;
use std::str::FromStr;

use super::RpcError;
use super::transport::{Settings, Transport};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// One of a client's hosts.
#[derive(Debug)]
pub(super) struct Host {
    address: Address,
    transport: Option<Box<dyn Transport>>,
}

impl Host {
    pub(super) fn new(address: Address) -> Self {
        Self { address, transport: None }
    }

    /// Whether there is a connection, as far as that is known without waiting.
    pub(super) fn is_connected(&mut self) -> bool {
        if !self.transport.as_mut().is_some_and(|transport| transport.is_alive()) {
            self.transport = None;
        }
        self.transport.is_some()
    }

    /// Connects, if there is no connection.
    pub(super) fn connect(&mut self, settings: &Settings) -> Result<(), RpcError> {
        self.transport(settings).map(|_| ())
    }

    /// The connection, a new one if need be.
    pub(super) fn transport(&mut self, settings: &Settings) -> Result<&mut dyn Transport, RpcError> {
        let transport = match self.transport.take() {
            Some(mut transport) => transport.is_alive().then_some(transport),
            None => None,
        };
        let transport = match transport {
            Some(transport) => transport,
            None => settings.connect(&self.address)?,
        };
        Ok(&mut **self.transport.insert(transport))
    }

    pub(super) fn disconnect(&mut self) {
        self.transport = None;
    }
}

impl FromStr for Address {
    type Err = RpcError;

    fn from_str(text: &str) -> Result<Self, RpcError> {
        let error =
            || RpcError::Settings { reason: format!("{text:?} is not an address; it must look like host:port") };
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let port = port.parse().map_err(|_| error())?;
        if host.is_empty() || host.contains(char::is_whitespace) || bare.is_none() && host.contains(':') {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for (text, host, port) in [("a.example:1", "a.example", 1), (" [::1]:65535 ", "::1", 65535)] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text.trim());
        }
        for text in ["", "host", "host:", ":1", "host:65536", "host:-1", "::1:5", "a b:1", "host:1:2"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("must look like host:port"), "{text}: {error}");
        }
    }
}
