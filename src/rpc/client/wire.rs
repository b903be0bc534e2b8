//! The socket of a client, with its layers and time limits.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use rustix::event::PollFlags;

use super::host::Address;
use super::transport::Settings;
use crate::net::{Deflate, Patience, Stream};
#[cfg(feature = "tls")]
use crate::tls::Session;

/// Bytes to and from a server. Deadlines are those of [`deadline`](Self::deadline).
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    patience: Patience,
}

impl Wire {
    /// Connects, with all handshakes, within the time for it.
    pub(super) fn connect(address: &Address, settings: &Settings) -> io::Result<Self> {
        let mut patience = Patience::new(settings.stop.clone());
        let deadline = patience.deadline(settings.connect_timeout);
        let stream = Stream::connect(&address.host, address.port, &mut patience, deadline)?;
        let stream = put_layers(stream, address, settings)?;
        let mut wire = Self { stream, patience };
        loop {
            match wire.stream.shake_hands() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => wire.wait(wire.stream.wanted(), deadline)?,
                outcome => return outcome.map(|()| wire),
            }
        }
    }

    pub(super) fn deadline(&self, limit: Duration) -> Duration {
        self.patience.deadline(limit)
    }

    /// Writes all of `bytes`.
    pub(super) fn write_all(&mut self, mut bytes: &[u8], deadline: Duration) -> io::Result<()> {
        while !self.write_now(&mut bytes)? {
            self.wait(PollFlags::OUT, deadline)?;
        }
        Ok(())
    }

    /// Writes from the front of `bytes` what goes without waiting. Returns whether all of it is on its way.
    pub(super) fn write_now(&mut self, bytes: &mut &[u8]) -> io::Result<bool> {
        loop {
            let done = if bytes.is_empty() { self.stream.flush().map(|()| 0) } else { self.stream.write(bytes) };
            match done {
                Ok(0) if bytes.is_empty() => return Ok(true),
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => *bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what there is, waiting for the first byte.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Duration) -> io::Result<usize> {
        loop {
            match self.read_now(buffer)? {
                Some(read) => return Ok(read),
                None => self.wait(self.stream.wanted(), deadline)?,
            }
        }
    }

    /// Reads what there is. `None`: nothing yet.
    pub(super) fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            Ok(read) => Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until one of writing and reading goes on, after both could not.
    pub(super) fn wait_for_either(&mut self, deadline: Duration) -> io::Result<()> {
        self.wait(PollFlags::IN | PollFlags::OUT, deadline)
    }

    /// Whether the server has neither closed the connection nor said anything unasked.
    pub(super) fn is_quiet(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn wait(&mut self, flags: PollFlags, deadline: Duration) -> io::Result<()> {
        self.patience.wait(&self.stream, flags, deadline)
    }
}

#[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
fn put_layers(stream: Stream, address: &Address, settings: &Settings) -> io::Result<Stream> {
    let compressed = |stream: Stream| match settings.deflate {
        Some(level) => stream.with_deflate(Deflate::new(level)),
        None => stream,
    };
    #[cfg(feature = "tls")]
    if let Some(tls) = &settings.tls {
        let session = Session::client(tls, &address.host)?;
        return Ok(if settings.tls_outermost {
            compressed(stream.with_tls(session))
        } else {
            compressed(stream).with_tls(session)
        });
    }
    let _ = address;
    Ok(compressed(stream))
}
