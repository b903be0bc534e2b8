//! One connection's TLS, over anything that reads and writes without blocking.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};

use super::{TlsClient, TlsServer, of_connection};

/// The state of TLS on one connection. Its memory is bounded: what was received and not read is at most one record, what
/// was written and not sent at most 64 KiB.
pub(crate) struct Session {
    connection: Connection,
}

impl Session {
    /// The side that is connected to.
    pub(crate) fn server(server: &TlsServer) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(server.config())).map_err(io::Error::other)?;
        Ok(Self { connection: connection.into() })
    }

    /// The side that connects, to the server at `host`: a name or an address.
    #[cfg_attr(not(feature = "rpc"), allow(dead_code))]
    pub(crate) fn client(client: &TlsClient, host: &str) -> io::Result<Self> {
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            io::Error::new(ErrorKind::InvalidInput, format!("{host} is not a name that TLS can verify: {error}"))
        })?;
        let connection = ClientConnection::new(Arc::clone(client.config()), name).map_err(io::Error::other)?;
        Ok(Self { connection: connection.into() })
    }

    /// Goes on with the handshake; `WouldBlock` if it has to wait for the peer.
    pub(crate) fn shake_hands(&mut self, below: &mut (impl Read + Write)) -> io::Result<()> {
        loop {
            self.flush(below)?;
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            if self.receive(below)? == 0 {
                let text = "the connection was closed during the TLS handshake";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
            }
        }
    }

    /// Reads what is there. The end without TLS's own word for it is an error, since anyone could have made it.
    pub(crate) fn read(&mut self, below: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            // What TLS itself has to say, such as an answer to new keys; reading does not wait for it.
            match self.flush(below) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            self.receive(below)?;
        }
    }

    /// Encrypts some of `bytes` and says how many; `WouldBlock` if too much waits to be sent already.
    pub(crate) fn write(&mut self, below: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        let written = self.connection.writer().write(bytes)?;
        match self.send(below) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && written > 0 => Ok(written),
            Err(error) => Err(error),
            Ok(()) if written == 0 && !bytes.is_empty() => self.connection.writer().write(bytes),
            Ok(()) => Ok(written),
        }
    }

    pub(crate) fn flush(&mut self, below: &mut impl Write) -> io::Result<()> {
        self.send(below)?;
        below.flush()
    }

    pub(crate) fn has_output(&self) -> bool {
        self.connection.wants_write()
    }

    /// Says that nothing more comes, as far as that goes without waiting.
    pub(crate) fn say_goodbye(&mut self, below: &mut impl Write) {
        self.connection.send_close_notify();
        // If it cannot be said, the end of the connection says it.
        let _ = self.flush(below);
    }

    fn send(&mut self, below: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(below)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    fn receive(&mut self, below: &mut (impl Read + Write)) -> io::Result<usize> {
        let received = self.connection.read_tls(below)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The peer is told what is wrong, as far as that goes without waiting.
            let _ = self.flush(below);
            return Err(of_connection(io::Error::new(ErrorKind::InvalidData, error)));
        }
        Ok(received)
    }
}
