//! Lines over TCP: Flume's `netcat` source.

mod session;

use std::collections::BTreeMap;
use std::time::Duration;

pub use super::OnFull;
use super::net::{Listener, ListenerHandle, ListenerOptions, at_least, listener_settings, not_zero};
use super::{Source, SourceContext, SourceError};
use crate::codec::charset::Charset;
use crate::event::Headers;
use crate::limits;
use session::Session;

/// When a client is answered. Whether or not it asks for answers, a line that is too long is answered with `FAILED: ...`
/// before its connection is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ack {
    /// `OK` for each line, after the commit of the transaction that holds it: what the client sees acknowledged is as
    /// durable as the channel. A line that cannot be committed is answered with `FAILED: ` and the reason.
    #[default]
    AfterCommit,
    /// `OK` for each line as soon as it is received. What the channel does not take after that is lost and counted.
    OnReceipt,
    /// No answers to lines. What the channel does not take is lost and counted.
    None,
}

/// Receives lines over TCP, one event per line: Flume's `netcat` source.
///
/// The body of an event is the line without its newline, byte for byte; a carriage return stays, and an empty line is
/// an event. An unfinished line at the end of a connection is dropped and counted.
///
/// Each connection commits the lines that it has received, up to [`batch_max`](Self::batch_max) at once and without
/// waiting for more, and then answers them; so a client that sends without waiting for each answer gets large
/// transactions, and clients at the same time share the syncs of a durable channel.
///
/// # Limits
///
/// Connections, connections of one address, the length of a line, the bytes of a connection and of all connections
/// that are received and not committed, and the time for which a client may be silent; see the methods. Besides these
/// bytes a connection costs its thread (of whose stack only a few KiB are ever touched), a read buffer of
/// [`CONNECTION_READ_BYTES`](limits::CONNECTION_READ_BYTES), and the kernel's buffers; with TLS, up to 64 KiB more in
/// each direction. Without TLS there is no authentication and no encryption: listen where only trusted clients are.
///
/// # Counters
///
/// `event_read_fail`: lines over the limit, and connections that broke or were silent in the middle of a line.
/// `dropped_events`: lines, finished or not, that were received and neither committed nor given to the channel.
/// Under [`Ack::AfterCommit`] none of them was acknowledged.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use std::net::TcpStream;
/// use std::sync::Arc;
/// use aqueduct::source::{Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, TcpLines, Wait};
///
/// let channel = MemoryChannel::new("lines");
/// let mut source = TcpLines::bind("127.0.0.1:0").client_address_header("client");
/// let listener = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("lines", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// let mut client = TcpStream::connect(listener.local_addr().ok_or("not open")?)?;
/// client.write_all(b"hello\n")?;
/// let mut answer = String::new();
/// BufReader::new(&client).read_line(&mut answer)?;
/// assert_eq!(answer, "OK\n");
/// assert_eq!(channel.take(1, Wait::NONE)?[0].body(), "hello");
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TcpLines {
    address: String,
    settings: Settings,
    listener: ListenerOptions,
    handle: ListenerHandle,
    bound: Option<Listener>,
}

/// What a connection needs to know.
#[derive(Clone, Debug)]
struct Settings {
    ack: Ack,
    on_full: OnFull,
    batch_max: usize,
    line_bytes_max: usize,
    // The longest line in UTF-16 code units with its newline, if it is measured in them.
    line_chars_max: Option<usize>,
    // `None`: bytes pass as they are.
    encoding: Option<String>,
    connection_bytes_max: usize,
    idle_timeout: Duration,
    first_byte_timeout: Duration,
    line_timeout: Duration,
    answer_timeout: Duration,
    client_address_header: Option<String>,
    // What a client is told of a channel of this name that has no place for another event.
    full_texts: BTreeMap<String, String>,
}

impl TcpLines {
    /// A source that listens on `address`, which is `host:port`. With port 0 the system chooses one, which
    /// [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            settings: Settings {
                ack: Ack::default(),
                on_full: OnFull::default(),
                batch_max: limits::SOURCE_BATCH_EVENTS,
                line_bytes_max: limits::LINE_BYTES_MAX,
                line_chars_max: None,
                encoding: None,
                connection_bytes_max: limits::CONNECTION_BYTES_IN_FLIGHT_MAX,
                idle_timeout: limits::CONNECTION_IDLE,
                first_byte_timeout: limits::CONNECTION_FIRST_BYTE,
                line_timeout: limits::CONNECTION_FRAME,
                answer_timeout: limits::CONNECTION_ANSWER,
                client_address_header: None,
                full_texts: BTreeMap::new(),
            },
            listener: ListenerOptions::new(limits::LINE_BYTES_MAX, b"FAILED: too many connections\n"),
            handle: ListenerHandle::default(),
            bound: None,
        }
    }

    /// A source that listens on `port` of 127.0.0.1, so that only this host can connect.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self::bind(format!("127.0.0.1:{port}"))
    }

    /// The address and the counters of the listener, while the source runs elsewhere.
    #[must_use]
    pub fn handle(&self) -> ListenerHandle {
        self.handle.clone()
    }

    /// When clients are answered. Default: [`Ack::AfterCommit`].
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.settings.ack = ack;
        self
    }

    /// What happens when the channel is full. With [`OnFull::Fail`] a client gets one `FAILED: ` line for each line that is
    /// dropped. Default: [`OnFull::Wait`].
    #[must_use]
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.settings.on_full = on_full;
        self
    }

    /// What stands behind `FAILED: ` where a channel of this name has no place for another event.
    pub(crate) fn full_texts(mut self, texts: impl IntoIterator<Item = (String, String)>) -> Self {
        self.settings.full_texts = texts.into_iter().collect();
        self
    }

    /// Lines in one transaction, at most. Default: [`SOURCE_BATCH_EVENTS`](limits::SOURCE_BATCH_EVENTS).
    #[must_use]
    pub fn batch_max(mut self, lines: usize) -> Self {
        self.settings.batch_max = lines;
        self
    }

    /// The longest line in bytes, its newline included. A longer one is answered with
    /// `FAILED: Event exceeds the maximum length (N chars, including newline)`, and the connection is closed; the lines
    /// before it are kept. Default: [`LINE_BYTES_MAX`](limits::LINE_BYTES_MAX).
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.line_bytes_max = bytes;
        self.listener.unit_bytes_max = bytes;
        self
    }

    /// The longest line, in UTF-16 code units of its text with the newline: what Java counts, and so Flume's
    /// `max-line-length`. Sets [`line_bytes_max`](Self::line_bytes_max) to four times as many.
    #[must_use]
    pub fn line_chars_max(mut self, units: usize) -> Self {
        self.settings.line_chars_max = Some(units);
        self.line_bytes_max(units.saturating_mul(4))
    }

    /// The encoding of the lines, by a label such as `ISO-8859-1`. Bodies are UTF-8 then, and what is not valid in the
    /// encoding becomes U+FFFD, as in Flume. In UTF-16 clients are answered in it, too, and the limit in bytes counts those of the
    /// text in UTF-8. By default bytes pass as they are.
    #[must_use]
    pub fn encoding(mut self, label: impl Into<String>) -> Self {
        self.settings.encoding = Some(label.into());
        self
    }

    /// Connections at once, at most; more are answered with `FAILED: too many connections` and closed. Default:
    /// [`CONNECTIONS_MAX`](limits::CONNECTIONS_MAX).
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.listener.connections_max = connections;
        self
    }

    /// Bytes that are received and not committed, at most, over all connections. Must be at least `connections_max`
    /// times `line_bytes_max`, so that a client in the middle of a line never keeps another one from finishing its own.
    /// Default: [`SOURCE_BYTES_IN_FLIGHT_MAX`](limits::SOURCE_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.listener.bytes_in_flight_max = bytes;
        self
    }

    /// The same for one connection. Must be at least `line_bytes_max`. Default:
    /// [`CONNECTION_BYTES_IN_FLIGHT_MAX`](limits::CONNECTION_BYTES_IN_FLIGHT_MAX).
    #[must_use]
    pub fn connection_bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.settings.connection_bytes_max = bytes;
        self
    }

    /// How long a client may be silent between two lines. Default: [`CONNECTION_IDLE`](limits::CONNECTION_IDLE).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// How long a new client may be silent. Default: [`CONNECTION_FIRST_BYTE`](limits::CONNECTION_FIRST_BYTE).
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.settings.first_byte_timeout = timeout;
        self
    }

    /// How long a client may take from the first byte of a line to its newline. Time in which the source does not read,
    /// because its channel is full, does not count. Default: [`CONNECTION_FRAME`](limits::CONNECTION_FRAME).
    #[must_use]
    pub fn line_timeout(mut self, timeout: Duration) -> Self {
        self.settings.line_timeout = timeout;
        self
    }

    /// How long a client may leave its answers unread once the network's buffers are full of them. Default:
    /// [`CONNECTION_ANSWER`](limits::CONNECTION_ANSWER).
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings.answer_timeout = timeout;
        self
    }

    listener_settings!();

    /// Checks the settings, as opening does.
    ///
    /// # Errors
    /// If a setting cannot be used; the text names it.
    pub fn check(self) -> Result<Self, SourceError> {
        self.settings.check().map_err(|reason| SourceError::fatal(format!("{}: {reason}", self.address)))?;
        Ok(self)
    }

    /// Gives each event the header `name` with the client's address and port, such as `192.0.2.7:50312`. Default: none.
    #[must_use]
    pub fn client_address_header(mut self, name: impl Into<String>) -> Self {
        self.settings.client_address_header = Some(name.into());
        self
    }
}

impl Source for TcpLines {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The port must be free before it is bound again.
        self.bound = None;
        self.settings.check().map_err(|reason| SourceError::fatal(format!("{}: {reason}", self.address)))?;
        self.bound = Some(Listener::bind(&self.address, self.listener.clone(), self.handle.clone())?);
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some(listener) = self.bound.take() else { return Ok(()) };
        let settings = &self.settings;
        listener.run(context, |connection| Session::new(settings, context, connection).run())
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        at_least("batch_max", self.batch_max, 1, "")?;
        at_least("line_bytes_max", self.line_bytes_max, 2, ", one byte and the newline")?;
        at_least("line_chars_max", self.line_chars_max.unwrap_or(2), 2, ", one character and the newline")?;
        self.charset()?;
        let why = ", to hold a line of line_bytes_max";
        at_least("connection_bytes_in_flight_max", self.connection_bytes_max, self.line_bytes_max, why)?;
        not_zero(&[
            ("idle_timeout", self.idle_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("line_timeout", self.line_timeout),
            ("answer_timeout", self.answer_timeout),
        ])?;
        self.headers("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535").map(|_| ())
    }

    /// The encoding of the lines.
    fn charset(&self) -> Result<Charset, String> {
        let Some(label) = &self.encoding else { return Ok(Charset::BYTES) };
        let charset = Charset::for_label(label);
        charset.ok_or_else(|| format!("encoding {label:?} is not known; it must be one such as UTF-8 or ISO-8859-1"))
    }

    /// The headers of all events of a client.
    fn headers(&self, client: &str) -> Result<Headers, String> {
        let mut headers = Headers::new();
        if let Some(name) = &self.client_address_header {
            headers.insert(name, client).map_err(|error| format!("client_address_header: {error}"))?;
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests;
