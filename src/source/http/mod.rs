//! Events over HTTP: Flume's `http` source.

mod blob;
mod body;
mod connection;
mod delivery;
mod events;
mod exchange;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod handler;
mod hold;
mod json;
mod paced;
mod rejection;
mod request;
mod settings;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::net::{Listener, ListenerHandle, ListenerOptions, TaskOptions, connection_settings};
use super::{Source, SourceContext, SourceError};
use crate::limits::{HTTP_BYTES_IN_FLIGHT_MAX, HTTP_WAITING_MAX};
pub use blob::BlobHandler;
use delivery::Shared;
pub use events::Events;
pub use handler::Handler;
pub use json::{JsonHandler, NdjsonHandler};
pub use rejection::Rejection;
pub use request::Request;
use settings::Settings;

/// When clients are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ack {
    /// With 200, after the commit of the events to all required channels: what the client sees accepted is as durable as
    /// they are. This is what Flume does.
    #[default]
    AfterCommit,
    /// With 202, as soon as the events are received and understood. What the channel does not take after that is lost and
    /// counted.
    OnReceipt,
}

/// Receives events over HTTP/1.1: Flume's `http` source.
///
/// A `POST` to any path is one request; a [`Handler`] makes events of it, which are committed in one transaction. The
/// answer says what became of it:
///
/// | status | means |
/// |---|---|
/// | 200 | the events are committed to all required channels |
/// | 202 | the events are received ([`Ack::OnReceipt`]) |
/// | 400 | the request is malformed, or the handler does not understand it |
/// | 403, 405, 501 | not `POST`, nor what [is taken](Self::get) as one: `TRACE` and `OPTIONS`; other methods of HTTP; any else |
/// | 408 | the request was not complete in time |
/// | 413 | the body, the events in it or their transaction are over a limit |
/// | 414, 431 | the head of the request is over a limit |
/// | 415 | the character set, or the compression, is not supported |
/// | 500 | the handler, an interceptor or the storage failed; the events may have been committed in the last case |
/// | 503 | a channel is full, or the source holds as many bytes as it may: send the request again later |
///
/// All answers but the first two say in one line of text why. Nobody waits for a channel that is full but those who sent
/// something for it: commits are awaited, not waited for, and other connections go on.
///
/// # Threads
///
/// One for all connections, up to [`workers`](Self::workers) that make events of requests and hand them to the channels, and,
/// while a channel is full, one for each request that stands in its line: up to
/// [`HTTP_WAITING_MAX`], others try again from time to time. They belong to this source and end
/// with it.
///
/// # Limits
///
/// Connections, connections of one address, the bytes of head and body and of all requests that are not committed, the
/// events of a request, and the time for everything that a client does; see the methods. Besides these bytes a
/// connection costs a read buffer of [`HTTP_READ_BYTES`](crate::limits::HTTP_READ_BYTES), the kernel's buffers, and with TLS up
/// to 64 KiB in each direction. Without TLS there is no authentication and no encryption: listen where only trusted
/// clients are.
///
/// # Counters
///
/// `event_read_fail`: requests that were refused before they were put. `channel_write_fail`: requests that no channel
/// took. `dropped_events`: only under [`Ack::OnReceipt`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use aqueduct::source::{Http, Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("events");
/// let mut source = Http::bind("127.0.0.1:0");
/// let listener = source.handle();
///
/// // An agent does the next lines.
/// let shutdown = Shutdown::new();
/// let context = SourceContext::new("http", Arc::new(channel.clone()), shutdown.clone());
/// source.open(&context)?;
/// let running = std::thread::spawn(move || source.run(&context));
///
/// let url = format!("http://{}/", listener.local_addr().ok_or("not open")?);
/// let answer = ureq::post(&url).send(r#"[{"headers": {"host": "web-1"}, "body": "hello"}]"#)?;
/// assert_eq!(answer.status(), 200);
/// let taken = channel.take(1, Wait::NONE)?;
/// assert_eq!((&taken[0].body()[..], taken[0].headers().get("host")), (&b"hello"[..], Some("web-1")));
///
/// shutdown.request();
/// running.join().map_err(|_| "panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Http {
    address: String,
    settings: Settings,
    handler: Arc<dyn Handler>,
    listener: ListenerOptions,
    handle: ListenerHandle,
    bound: Option<Listener>,
}

impl Http {
    /// A source that listens on `address`, which is `host:port`. With port 0 the system chooses one, which
    /// [`handle`](Self::handle) tells. `0.0.0.0` and `[::]` open it to the network.
    #[must_use]
    pub fn bind(address: impl Into<String>) -> Self {
        let mut listener = ListenerOptions::new(0, REFUSAL);
        listener.bytes_in_flight_max = HTTP_BYTES_IN_FLIGHT_MAX;
        Self {
            address: address.into(),
            settings: Settings::new(),
            handler: Arc::new(JsonHandler::new()),
            listener,
            handle: ListenerHandle::default(),
            bound: None,
        }
    }

    /// The address and the counters of the listener, while the source runs elsewhere. The bytes in flight are those
    /// beyond [`HTTP_CONNECTION_BYTES`](crate::limits::HTTP_CONNECTION_BYTES) of each connection.
    #[must_use]
    pub fn handle(&self) -> ListenerHandle {
        self.handle.clone()
    }

    /// What makes events of requests. Default: [`JsonHandler`].
    #[must_use]
    pub fn handler(mut self, handler: impl Handler + 'static) -> Self {
        self.handler = Arc::new(handler);
        self
    }

    /// When clients are answered. Default: [`Ack::AfterCommit`].
    #[must_use]
    pub fn ack(mut self, ack: Ack) -> Self {
        self.settings.ack = ack;
        self
    }

    /// Takes a `GET` or `HEAD` as a `POST`, as Flume does. Default: `false`, they are answered with 405.
    #[must_use]
    pub fn get(mut self, get: bool) -> Self {
        self.settings.get = get;
        self
    }

    /// Takes bodies that are compressed with gzip, too. Default: `false`, they are answered with 415.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.settings.gzip = gzip;
        self
    }

    /// Bytes of one body, at most, as received and unpacked. Default:
    /// [`HTTP_BODY_BYTES_MAX`](crate::limits::HTTP_BODY_BYTES_MAX).
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.body_bytes_max = bytes;
        self
    }

    /// Bytes of the head of one request, at most. Default: [`HTTP_HEADER_BYTES_MAX`](crate::limits::HTTP_HEADER_BYTES_MAX), at
    /// least [`HTTP_HEADER_BYTES_MIN`](crate::limits::HTTP_HEADER_BYTES_MIN).
    #[must_use]
    pub fn header_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.header_bytes_max = bytes;
        self
    }

    /// Headers of one request, at most. Default: [`HTTP_HEADERS_MAX`](crate::limits::HTTP_HEADERS_MAX), at most
    /// [`HTTP_HEADERS_CEILING`](crate::limits::HTTP_HEADERS_CEILING).
    #[must_use]
    pub fn headers_max(mut self, headers: usize) -> Self {
        self.settings.headers_max = headers;
        self
    }

    /// Events of one request, at most. Default: [`TRANSACTION_EVENTS_MAX`](crate::limits::TRANSACTION_EVENTS_MAX).
    #[must_use]
    pub fn batch_events_max(mut self, events: usize) -> Self {
        self.settings.batch_events_max = events;
        self
    }

    /// Connections at once, at most; more are answered with 503 and closed. Default:
    /// [`CONNECTIONS_MAX`](crate::limits::CONNECTIONS_MAX).
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.listener.connections_max = connections;
        self
    }

    /// Bytes that are received and not committed, at most, over all connections, as received and as events. A request that
    /// finds no room is answered with 503, and one for which there could never be room with 413. Must be at least
    /// `connections_max` times [`HTTP_CONNECTION_BYTES`](crate::limits::HTTP_CONNECTION_BYTES), which every connection has for
    /// small requests, and two times `body_bytes_max`. So much of the rest, or half of it if that is more, is kept for one
    /// request at a time, what is beyond is for all together: for each up to
    /// [`CONNECTION_BYTES_IN_FLIGHT_MAX`](crate::limits::CONNECTION_BYTES_IN_FLIGHT_MAX) or an eighth of what is free of it.
    /// Default: [`HTTP_BYTES_IN_FLIGHT_MAX`].
    #[must_use]
    pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
        self.listener.bytes_in_flight_max = bytes;
        self
    }

    /// How long a new client may be silent. Default: [`CONNECTION_FIRST_BYTE`](crate::limits::CONNECTION_FIRST_BYTE).
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pace.first_byte = timeout;
        self
    }

    /// How long a client may be silent between two requests. Default: [`CONNECTION_IDLE`](crate::limits::CONNECTION_IDLE).
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pace.idle = timeout;
        self
    }

    /// How long a client may take from the first byte of the head of a request to its last. Default:
    /// [`HTTP_HEADER`](crate::limits::HTTP_HEADER).
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pace.head = timeout;
        self
    }

    /// How long a client may be silent in the middle of a body. Default:
    /// [`CONNECTION_SILENCE`](crate::limits::CONNECTION_SILENCE).
    #[must_use]
    pub fn silence_timeout(mut self, timeout: Duration) -> Self {
        self.settings.silence_timeout = timeout;
        self
    }

    /// How long a client may take for a body. Default: [`CONNECTION_FRAME`](crate::limits::CONNECTION_FRAME).
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.body_timeout = timeout;
        self
    }

    /// How long a client may leave its answers unread once the network's buffers are full of them. Default:
    /// [`CONNECTION_ANSWER`](crate::limits::CONNECTION_ANSWER).
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.settings.pace.answer = timeout;
        self
    }

    /// How long a request waits for room in a full channel before it is answered with 503. It takes the place of the
    /// channel's own waiting time. So long a body waits, too, while others hold what the source may hold. Default:
    /// [`PUT_WAIT`](crate::limits::PUT_WAIT).
    #[must_use]
    pub fn full_timeout(mut self, timeout: Duration) -> Self {
        self.settings.full_timeout = timeout;
        self
    }

    /// How long requests that are under way may take once the source is asked to stop. Default:
    /// [`HTTP_STOP`](crate::limits::HTTP_STOP).
    #[must_use]
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stop_timeout = timeout;
        self
    }

    /// Threads that make events of requests and hand them to the channels, at most. They are started when they are needed.
    /// Default: [`HTTP_WORKERS`](crate::limits::HTTP_WORKERS).
    #[must_use]
    pub fn workers(mut self, threads: usize) -> Self {
        self.settings.workers = threads;
        self
    }

    connection_settings!();
}

impl Source for Http {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        // The port must be free before it is bound again.
        self.bound = None;
        let fatal = |reason: String| SourceError::fatal(format!("{}: {reason}", self.address));
        self.settings.check().map_err(fatal)?;
        let mut options = self.listener.clone();
        (options.bytes_in_flight_max, options.reserve_bytes) =
            self.settings.shared_bytes(options.bytes_in_flight_max, options.connections_max).map_err(fatal)?;
        self.bound = Some(Listener::bind(&self.address, options, self.handle.clone())?);
        Ok(())
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        if self.bound.is_none() {
            self.open(context)?;
        }
        let Some(listener) = self.bound.take() else { return Ok(()) };
        let (settings, handler) = (self.settings.clone(), Arc::clone(&self.handler));
        let workers = settings.workers.saturating_add(HTTP_WAITING_MAX);
        let options = TaskOptions { workers, stop_timeout: settings.stop_timeout };
        let shared = Arc::new(Shared::new(settings, handler, context.clone()));
        listener.run_tasks(context, options, move |connection| connection::serve(Arc::clone(&shared), connection))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("address", &self.address)
            .field("settings", &self.settings)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// What a client is told that finds too many others.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

#[cfg(test)]
mod tests;
