//! Syslog over UDP.

use super::settings::Reading;
use crate::codec::charset::Charset;
use crate::codec::syslog::{Dialect, FrameEnd, KeepFields, STATUS_HEADER, SyslogFormat, SyslogParser};
use crate::event::Event;
use crate::source::net::{Datagram, DatagramHandle, DatagramOptions, Datagrams, datagram_settings};
use crate::source::{Source, SourceContext, SourceError};

/// Receives syslog messages over UDP, one in each datagram: Flume's source `syslogudp`.
///
/// What becomes of a message stands at [`SyslogParser`]. Newlines around it are not part of it; one within it is, where Flume
/// drops the rest of the datagram. A datagram without a message is counted and not an event.
///
/// UDP has no back-pressure: what the kernel's buffer does not hold is lost, and only counted
/// ([`DatagramStats::kernel_drops`](crate::source::net::DatagramStats::kernel_drops)). So one thread receives whatever comes,
/// up to [`bytes_in_flight_max`](Self::bytes_in_flight_max), while another commits all that has come in since its last
/// commit, without waiting for more. The sender of a datagram is whoever it claims to be, and anybody can send: listen
/// where only trusted clients are.
///
/// # Counters
///
/// `event_read_fail`: messages with the header `flume.syslog.status`, and datagrams without a message.
/// `dropped_events`: messages that the channel did not take.
///
/// # Examples
///
/// ```
/// use std::net::UdpSocket;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use aqueduct::source::syslog::SyslogUdp;
/// use aqueduct::source::{Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("logs");
/// let mut source = SyslogUdp::bind("127.0.0.1:0").client_ip_header("from");
/// let handle = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("syslog", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"<13>Oct 11 22:14:15 web-1 app: hello", handle.local_addr().ok_or("not open")?)?;
/// let events = channel.take(1, Wait::up_to(Duration::from_secs(10)))?;
/// assert_eq!((events[0].headers().get("from"), events[0].body().as_ref()), (Some("127.0.0.1"), &b"app: hello"[..]));
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SyslogUdp {
    address: String,
    reading: Reading,
    options: DatagramOptions,
    handle: DatagramHandle,
    bound: Option<(Datagrams, SyslogParser)>,
}

impl SyslogUdp {
    /// A source that listens on `address`, which is `host:port`. With port 0 the system chooses one, which
    /// [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            reading: Reading::new(Dialect::Single),
            options: DatagramOptions::new(),
            handle: DatagramHandle::default(),
            bound: None,
        }
    }

    pub(crate) fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }

    /// Which fields of a message stay in the body. Default: none.
    #[must_use]
    pub fn keep_fields(mut self, keep: KeepFields) -> Self {
        self.reading.keep = keep;
        self
    }

    /// A format of one's own, which is tried before those of the RFCs. Default: none.
    #[must_use]
    pub fn format(mut self, format: SyslogFormat) -> Self {
        self.reading.format = Some(Box::new(format));
        self
    }

    /// The zone of dates that have none, by its name in the IANA database. Default: the system's.
    #[must_use]
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        self.reading.zone = Some(name.into());
        self
    }

    /// Gives each event the header `name` with the address of the client, without its port. Default: none.
    #[must_use]
    pub fn client_ip_header(mut self, name: impl Into<String>) -> Self {
        self.reading.client_ip_header = Some(name.into());
        self
    }

    /// Gives each event the header `name` with the name of the client: what the system's resolver says, if that name has the
    /// client's address again; otherwise the address. The resolver is asked once for each client and
    /// [ten minutes](crate::limits::HOST_NAME_AGE_MAX), aside: until it has answered, and while
    /// [too many](crate::limits::HOST_NAME_LOOKUPS_MAX) wait for it, a client has its address. Default: none.
    #[cfg(feature = "dns")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dns")))]
    #[must_use]
    pub fn client_hostname_header(mut self, name: impl Into<String>) -> Self {
        self.reading.client_hostname_header = Some((name.into(), crate::source::net::HostNames::aside()));
        self
    }

    datagram_settings!();

    /// Checks the settings without listening.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn check(self) -> Result<Self, SourceError> {
        self.parser()?;
        Ok(self)
    }

    fn parser(&self) -> Result<SyslogParser, SourceError> {
        let checked = self.reading.check().and_then(|()| self.reading.parser(Charset::UTF_8));
        checked.map_err(|reason| SourceError::fatal(format!("{}: {reason}", self.address)))
    }
}

impl Source for SyslogUdp {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The port must be free before it is bound again.
        self.bound = None;
        let parser = self.parser()?;
        let datagrams = Datagrams::bind(&self.address, self.options.clone(), self.handle.clone())?;
        self.bound = Some((datagrams, parser));
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some((datagrams, parser)) = self.bound.take() else { return Ok(()) };
        let reading = &self.reading;
        datagrams.run(context, |datagram, events| {
            let event = read(&parser, reading, datagram);
            if event.as_ref().is_none_or(|event| event.headers().get(STATUS_HEADER).is_some()) {
                context.counters().event_read_fail.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            events.extend(event);
        })
    }
}

fn read(parser: &SyslogParser, reading: &Reading, datagram: &Datagram<'_>) -> Option<Event> {
    let is_newline = |byte: &u8| *byte == b'\n';
    let start = datagram.bytes.iter().position(|byte| !is_newline(byte))?;
    let end = datagram.bytes.iter().rposition(|byte| !is_newline(byte))?;
    let mut event = parser.parse(datagram.bytes.get(start..=end)?, FrameEnd::Whole, datagram.arrived);
    // The name of the header was checked when the source was opened.
    for (name, value) in &reading.client_headers(datagram.peer.ip()).unwrap_or_default() {
        event.headers_mut().insert(name, value).unwrap_or_default();
    }
    Some(event)
}

#[cfg(test)]
#[path = "tests/udp.rs"]
mod tests;
