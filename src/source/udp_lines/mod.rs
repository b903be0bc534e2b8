//! Lines over UDP: Flume's `netcatudp` source.

use bytes::Bytes;

use crate::event::{Event, Headers, HeadersError};
use crate::source::net::client::socket_address;
use crate::source::net::{Datagram, DatagramHandle, DatagramOptions, Datagrams, datagram_settings};
use crate::source::{Source, SourceContext, SourceError};

/// Receives lines over UDP, one event per line: Flume's `netcatudp` source.
///
/// The body of an event is the line without its newline, byte for byte; a carriage return stays. A datagram without
/// a newline is one line, an empty one an empty event. Flume keeps the first line of a datagram only.
///
/// UDP has no back-pressure and no sender that can be trusted; see [`SyslogUdp`](crate::source::syslog::SyslogUdp), which
/// receives in the same way.
///
/// # Counters
///
/// `dropped_events`: lines that the channel did not take.
///
/// # Examples
///
/// ```
/// use std::net::UdpSocket;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use aqueduct::source::udp_lines::UdpLines;
/// use aqueduct::source::{Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("lines");
/// let mut source = UdpLines::bind("127.0.0.1:0");
/// let handle = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("lines", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello\n", handle.local_addr().ok_or("not open")?)?;
/// let events = channel.take(1, Wait::up_to(Duration::from_secs(10)))?;
/// assert_eq!(events[0].body(), "hello");
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UdpLines {
    address: String,
    remote_address_header: Option<String>,
    options: DatagramOptions,
    handle: DatagramHandle,
    bound: Option<Datagrams>,
}

impl UdpLines {
    /// A source that listens on `address`, which is `host:port`. With port 0 the system chooses one, which
    /// [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            remote_address_header: None,
            options: DatagramOptions::new(),
            handle: DatagramHandle::default(),
            bound: None,
        }
    }

    /// Gives each event the header `name` with the client's address and port as Java writes them, such as
    /// `/192.0.2.7:50312`. Default: none.
    #[must_use]
    pub fn remote_address_header(mut self, name: impl Into<String>) -> Self {
        self.remote_address_header = Some(name.into());
        self
    }

    datagram_settings!();

    /// Checks the settings without listening.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn check(self) -> Result<Self, SourceError> {
        self.check_header()?;
        Ok(self)
    }

    fn check_header(&self) -> Result<(), SourceError> {
        let headers = self.headers("/[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
        let refused = |error| SourceError::fatal(format!("{}: remote_address_header: {error}", self.address));
        headers.map(|_| ()).map_err(refused)
    }

    fn headers(&self, remote: &str) -> Result<Headers, HeadersError> {
        let mut headers = Headers::new();
        if let Some(name) = &self.remote_address_header {
            headers.insert(name, remote)?;
        }
        Ok(headers)
    }
}

impl Source for UdpLines {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The port must be free before it is bound again.
        self.bound = None;
        self.check_header()?;
        self.bound = Some(Datagrams::bind(&self.address, self.options.clone(), self.handle.clone())?);
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some(datagrams) = self.bound.take() else { return Ok(()) };
        datagrams.run(context, |datagram, events| {
            // The name of the header was checked when the source was opened.
            let headers = self.headers(&socket_address(datagram.peer)).unwrap_or_default();
            events.extend(lines(datagram).map(|line| Event::from_parts(headers.clone(), Bytes::copy_from_slice(line))));
        })
    }
}

/// The lines of a datagram: at least one.
fn lines<'a>(datagram: &Datagram<'a>) -> impl Iterator<Item = &'a [u8]> {
    let text = datagram.bytes.strip_suffix(b"\n").unwrap_or(datagram.bytes);
    text.split(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests;
