//! TLS below the requests: the crate's own settings, in the place that the client has for it.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::tls::{TlsClient, of_connection};

/// Puts TLS on the connection that was made before.
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
}

/// A connection with TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl TlsConnector {
    pub(super) fn new(client: &TlsClient) -> Self {
        Self { config: Arc::clone(client.config()) }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = TlsTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<TlsTransport>, Error> {
        let Some(below) = chained else { return Ok(None) };
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Error::Other(error.into()))?;
        let mut connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| Error::Other(error.into()))?;
        let mut below = TransportAdapter::new(below.boxed(), Arc::clone(&details.current_time));
        below.set_timeout(details.timeout);
        while connection.is_handshaking() {
            connection.complete_io(&mut below).map_err(of_connection)?;
        }
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(TlsTransport { buffers, stream: StreamOwned::new(connection, below) }))
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output();
        self.stream.write_all(output.get(..amount).unwrap_or_default())?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // What came behind an answer, decrypted or not, would be taken for the answer to the next request. Of a record that has
        // come only in part, rustls does not tell.
        let is_drained = self.stream.conn.wants_read();
        let below = self.stream.get_mut().get_mut();
        is_drained && below.buffers().input().is_empty() && below.is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
