//! Lines over UDP: Flume's `netcatudp` source.

use bytes::Bytes;

use crate::event::{Event, Headers, HeadersError};
use crate::source::net::client::socket_address;
use crate::source::net::{Datagram, DatagramHandle, DatagramOptions, Datagrams};
use crate::source::{OnFull, Source, SourceContext, SourceError};

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

    /// The address and the counters, while the source runs elsewhere.
    #[must_use]
    pub fn handle(&self) -> DatagramHandle {
        self.handle.clone()
    }

    /// Gives each event the header `name` with the client's address and port as Java writes them, such as
    /// `/192.0.2.7:50312`. Default: none.
    #[must_use]
    pub fn remote_address_header(mut self, name: impl Into<String>) -> Self {
        self.remote_address_header = Some(name.into());
        self
    }

    /// What happens when the channel is full. Default: [`OnFull::Wait`]: the source keeps what is within its limit, and
    /// beyond that the kernel drops.
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.options.on_full = on_full;
        self
    }

    /// Lines in one transaction, at most. Default: [`SOURCE_BATCH_EVENTS`](crate::limits::SOURCE_BATCH_EVENTS).
    #[must_use]
    pub fn batch_max(mut self, lines: usize) -> Self {
        self.options.batch_max = lines;
        self
    }

    /// Bytes that are received and not committed, at most. Default:
    /// [`SOURCE_BYTES_IN_FLIGHT_MAX`](crate::limits::SOURCE_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.options.bytes_in_flight_max = bytes;
        self
    }

    /// The kernel's buffer to ask for; it gives what `net.core.rmem_max` allows. Default:
    /// [`DATAGRAM_RECEIVE_BUFFER_BYTES`](crate::limits::DATAGRAM_RECEIVE_BUFFER_BYTES).
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.options.receive_buffer_bytes = bytes;
        self
    }

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
