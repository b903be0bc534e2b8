//! Syslog over TCP, at one address or at several.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::Session;
use super::settings::Reading;
use crate::codec::charset::Charset;
use crate::codec::line::Overlong;
use crate::codec::syslog::{Dialect, KeepFields, SyslogFormat, SyslogParser};
use crate::event::Headers;
use crate::limits;
use crate::source::net::{
    Connection, Listener, ListenerHandle, ListenerOptions, at_least, listener_settings, not_zero,
};
use crate::source::{OnFull, Source, SourceContext, SourceError};

/// Receives syslog messages over TCP: Flume's sources `syslogtcp` and, at several ports, `multiport_syslogtcp`.
///
/// Messages end with a newline or begin with their length in octets, as RFC 6587 has it; each may come in either way. What
/// becomes of them stands at [`SyslogParser`]. Nothing is refused: what is no syslog becomes an event with the header
/// `flume.syslog.status`, and so does what is longer than [`event_bytes_max`](Self::event_bytes_max).
///
/// Each connection commits the messages that it has received, up to [`batch_max`](Self::batch_max) at once and without
/// waiting for more. Syslog has no answers, so a sender never knows what was committed; but nothing more is read from it
/// while a commit or a full channel takes its time, and TCP slows it down. What the kernel has received when the source is
/// asked to stop is still taken.
///
/// Unlike Flume's, the source keeps the unfinished last message of a connection (as `Incomplete`), waits for room in
/// a full channel unless [`on_full`](Self::on_full) says otherwise, and needs all of its ports: it does not run on with
/// those that happen to be free.
///
/// # Limits
///
/// As for [`TcpLines`](crate::TcpLines), with messages for lines. There is no authentication and no encryption without TLS:
/// listen where only trusted clients are.
///
/// # Counters
///
/// `event_read_fail`: messages with the header `flume.syslog.status`, dropped ones included, and connections that broke.
/// `dropped_events`: messages that the channel did not take, or that were dropped because of their length.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::net::TcpStream;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use aqueduct::source::syslog::SyslogTcp;
/// use aqueduct::source::{Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("logs");
/// let mut source = SyslogTcp::bind("127.0.0.1:0");
/// let listener = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("syslog", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// let mut client = TcpStream::connect(listener.local_addr().ok_or("not open")?)?;
/// client.write_all(b"<13>Oct 11 22:14:15 web-1 app: hello\n")?;
/// let events = channel.take(1, Wait::up_to(Duration::from_secs(10)))?;
/// assert_eq!((events[0].headers().get("host"), events[0].body().as_ref()), (Some("web-1"), &b"app: hello"[..]));
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SyslogTcp {
    addresses: Vec<String>,
    settings: Settings,
    listener: ListenerOptions,
    handle: ListenerHandle,
    bound: Option<(Listener, Parsers)>,
}

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) reading: Reading,
    pub(super) on_full: OnFull,
    pub(super) overlong: Overlong,
    pub(super) batch_max: usize,
    pub(super) event_bytes_max: usize,
    pub(super) connection_bytes_max: usize,
    pub(super) idle_timeout: Duration,
    pub(super) message_timeout: Duration,
    pub(super) charset: Charset,
    port_charsets: BTreeMap<u16, Charset>,
    port_header: Option<String>,
}

/// The parsers of all ports.
#[derive(Debug)]
struct Parsers {
    common: (SyslogParser, Charset),
    by_port: BTreeMap<u16, (SyslogParser, Charset)>,
}

impl SyslogTcp {
    /// A source that listens on `address`, which is `host:port`, and reads messages as Flume's `syslogtcp` does. With port 0
    /// the system chooses one, which [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        Self::new(vec![address.into()], Dialect::Single)
    }

    /// A source that listens on several ports of `host` and reads messages as Flume's `multiport_syslogtcp` does. The limits
    /// are those of all ports together.
    ///
    /// ```
    /// # use aqueduct::source::syslog::SyslogTcp;
    /// let source = SyslogTcp::multiport("127.0.0.1", [5140, 5141]).port_header("port");
    /// ```
    #[must_use]
    pub fn multiport(host: &str, ports: impl IntoIterator<Item = u16>) -> Self {
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        Self::new(ports.into_iter().map(|port| format!("{host}:{port}")).collect(), Dialect::Multiport)
    }

    fn new(addresses: Vec<String>, dialect: Dialect) -> Self {
        Self {
            addresses,
            settings: Settings {
                reading: Reading::new(dialect),
                on_full: OnFull::default(),
                overlong: Overlong::default(),
                batch_max: limits::SOURCE_BATCH_EVENTS,
                event_bytes_max: limits::LINE_BYTES_MAX,
                connection_bytes_max: limits::CONNECTION_BYTES_IN_FLIGHT_MAX,
                idle_timeout: limits::SYSLOG_IDLE,
                message_timeout: limits::CONNECTION_FRAME,
                charset: Charset::UTF_8,
                port_charsets: BTreeMap::new(),
                port_header: None,
            },
            listener: ListenerOptions::new(limits::LINE_BYTES_MAX, b""),
            handle: ListenerHandle::default(),
            bound: None,
        }
    }

    /// The addresses and the counters of the listener, while the source runs elsewhere.
    #[must_use]
    pub fn handle(&self) -> ListenerHandle {
        self.handle.clone()
    }

    pub(crate) fn reading(&mut self) -> &mut Reading {
        &mut self.settings.reading
    }

    /// Which fields of a message stay in the body. Default: none.
    #[must_use]
    pub fn keep_fields(mut self, keep: KeepFields) -> Self {
        self.settings.reading.keep = keep;
        self
    }

    /// A format of one's own, which is tried before those of the RFCs. A source made by [`multiport`](Self::multiport) has none:
    /// given one, it does not open. Default: none.
    #[must_use]
    pub fn format(mut self, format: SyslogFormat) -> Self {
        self.settings.reading.format = Some(Box::new(format));
        self
    }

    /// The zone of dates that have none, by its name in the IANA database. Default: the system's, with several ports UTC.
    #[must_use]
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        self.settings.reading.zone = Some(name.into());
        self
    }

    /// The encoding of messages; see [`SyslogParser::charset`]. It must contain ASCII. Default: UTF-8.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Self {
        self.settings.charset = charset;
        self
    }

    /// The encoding of messages at one of the ports. Default: that of all of them.
    #[must_use]
    pub fn port_charset(mut self, port: u16, charset: Charset) -> Self {
        self.settings.port_charsets.insert(port, charset);
        self
    }

    /// Gives each event the header `name` with the port at which it came in. Default: none.
    #[must_use]
    pub fn port_header(mut self, name: impl Into<String>) -> Self {
        self.settings.port_header = Some(name.into());
        self
    }

    /// Gives each event the header `name` with the address of the client, without its port. Default: none.
    #[must_use]
    pub fn client_ip_header(mut self, name: impl Into<String>) -> Self {
        self.settings.reading.client_ip_header = Some(name.into());
        self
    }

    /// Gives each event the header `name` with the name of the client: what the system's resolver says, if that name has the
    /// client's address again; otherwise the address. The resolver is asked once for each client and
    /// [ten minutes](crate::limits::HOST_NAME_AGE_MAX); the connection waits for it. Default: none.
    #[cfg(feature = "dns")]
    #[cfg_attr(docsrs, doc(cfg(feature = "dns")))]
    #[must_use]
    pub fn client_hostname_header(mut self, name: impl Into<String>) -> Self {
        self.settings.reading.tell_host_name(name.into());
        self
    }

    /// The longest message in bytes, without its newline or count. Default:
    /// [`LINE_BYTES_MAX`](limits::LINE_BYTES_MAX); in Flume [`SYSLOG_EVENT_BYTES_FLUME`](limits::SYSLOG_EVENT_BYTES_FLUME).
    #[must_use]
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.event_bytes_max = bytes;
        self.listener.unit_bytes_max = bytes;
        self
    }

    /// What happens to a longer message. Default: [`Overlong::Split`], as in Flume: what is too much of it is taken for the
    /// next message, which is then most likely `Invalid`, and nothing is lost.
    #[must_use]
    pub fn overlong(mut self, overlong: Overlong) -> Self {
        self.settings.overlong = overlong;
        self
    }

    /// What happens when the channel is full. Default: [`OnFull::Wait`].
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.settings.on_full = on_full;
        self
    }

    /// Messages in one transaction, at most. Default: [`SOURCE_BATCH_EVENTS`](limits::SOURCE_BATCH_EVENTS).
    #[must_use]
    pub fn batch_max(mut self, messages: usize) -> Self {
        self.settings.batch_max = messages;
        self
    }

    /// Connections at once, at most; more are closed. Default: [`CONNECTIONS_MAX`](limits::CONNECTIONS_MAX).
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.listener.connections_max = connections;
        self
    }

    /// Bytes that are received and not committed, at most, over all connections. Must be at least `connections_max`
    /// times `event_bytes_max`. Default: [`SOURCE_BYTES_IN_FLIGHT_MAX`](limits::SOURCE_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.listener.bytes_in_flight_max = bytes;
        self
    }

    /// The same for one connection. Must be at least `event_bytes_max`. Default:
    /// [`CONNECTION_BYTES_IN_FLIGHT_MAX`](limits::CONNECTION_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn connection_bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.settings.connection_bytes_max = bytes;
        self
    }

    /// How long a client may be silent between two messages. Default: [`SYSLOG_IDLE`](limits::SYSLOG_IDLE).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// How long a client may take from the first byte of a message to its last. Time in which the source does not read,
    /// because its channel is full, does not count. Default: [`CONNECTION_FRAME`](limits::CONNECTION_FRAME).
    #[must_use]
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.settings.message_timeout = timeout;
        self
    }

    listener_settings!();

    /// Checks the settings without listening.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn check(self) -> Result<Self, SourceError> {
        self.parsers()?;
        Ok(self)
    }

    fn parsers(&self) -> Result<Parsers, SourceError> {
        let address = self.addresses.first().map_or("", String::as_str);
        self.checked().map_err(|reason| SourceError::fatal(format!("{address}: {reason}")))
    }

    fn checked(&self) -> Result<Parsers, String> {
        if self.addresses.is_empty() {
            return Err("no port is given; give at least one".to_owned());
        }
        let (given, max) = (self.addresses.len(), limits::LISTEN_ADDRESSES_MAX);
        if given > max {
            return Err(format!("{given} ports are given; one source listens at {max} at most"));
        }
        for port in self.settings.port_charsets.keys() {
            let end = format!(":{port}");
            if !self.addresses.iter().any(|address| address.ends_with(&end) || address.ends_with(":0")) {
                return Err(format!("port_charset is given for port {port}, at which the source does not listen"));
            }
        }
        self.settings.check()?;
        Parsers::new(&self.settings)
    }
}

impl Source for SyslogTcp {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The ports must be free before they are bound again.
        self.bound = None;
        let parsers = self.parsers()?;
        let listener = Listener::bind_all(&self.addresses, self.listener.clone(), self.handle.clone())?;
        self.bound = Some((listener, parsers));
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some((listener, parsers)) = self.bound.take() else { return Ok(()) };
        let settings = &self.settings;
        listener.run(context, |connection| {
            let (parser, charset) = parsers.of(connection);
            let headers = settings.headers(connection);
            Session::new((settings, parser, *charset), headers, context, connection).run();
        })
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        at_least("batch_max", self.batch_max, 1, "")?;
        at_least("event_bytes_max", self.event_bytes_max, EVENT_BYTES_MIN, "")?;
        let why = ", to hold a message of event_bytes_max";
        at_least("connection_bytes_in_flight_max", self.connection_bytes_max, self.event_bytes_max, why)?;
        not_zero(&[("idle_timeout", self.idle_timeout), ("message_timeout", self.message_timeout)])?;
        if let Some(name) = &self.port_header {
            Headers::new().insert(name, "65535").map_err(|error| format!("port_header: {error}"))?;
        }
        self.reading.check()
    }

    /// The headers of all messages of a connection. Their names were checked when the source was opened.
    fn headers(&self, connection: &Connection<'_>) -> Headers {
        let mut headers = self.reading.client_headers(connection.peer().ip()).unwrap_or_default();
        if let (Some(name), Some(port)) = (&self.port_header, connection.local_port()) {
            headers.insert(name, &port.to_string()).unwrap_or_default();
        }
        headers
    }
}

impl Parsers {
    fn new(settings: &Settings) -> Result<Self, String> {
        let parser = |charset: Charset| {
            if !charset.contains_ascii() {
                let name = charset.name();
                return Err(format!("messages in {name} cannot be told apart: it does not contain ASCII"));
            }
            Ok((settings.reading.parser(charset)?, charset))
        };
        let by_port = settings.port_charsets.iter().map(|(port, charset)| Ok((*port, parser(*charset)?)));
        Ok(Self { common: parser(settings.charset)?, by_port: by_port.collect::<Result<_, String>>()? })
    }

    fn of(&self, connection: &Connection<'_>) -> &(SyslogParser, Charset) {
        let own = connection.local_port().and_then(|port| self.by_port.get(&port));
        own.unwrap_or(&self.common)
    }
}

/// Flume's: room for a priority and a little text.
const EVENT_BYTES_MIN: usize = 10;

#[cfg(test)]
#[path = "tests/tcp.rs"]
mod tests;
