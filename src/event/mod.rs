//! The unit of transport: headers and a body.

mod headers;
#[cfg(any(test, feature = "http", feature = "rpc"))]
mod headers_builder;
mod packer;

use std::fmt;

use bytes::Bytes;

pub use headers::{Headers, HeadersError, Iter as HeadersIter};
#[cfg(any(feature = "http", feature = "rpc"))]
pub(crate) use headers_builder::HeadersBuilder;
#[cfg(feature = "http")]
pub(crate) use headers_builder::Inserted as HeadersInserted;
pub use packer::EventPacker;

/// One event: a few headers and an opaque body, as in Flume.
///
/// Headers and body are shared buffers: a clone costs two reference counts.
///
/// ```
/// # use aqueduct::Event;
/// let event = Event::new("GET /").with_header("host", "web-1")?;
/// assert_eq!(event.body(), "GET /");
/// assert_eq!(event.headers().get("host"), Some("web-1"));
/// # Ok::<(), aqueduct::HeadersError>(())
/// ```
///
/// A body may be a buffer of the application's own ([`Bytes::from_owner`]). A channel or store may be what drops the last of it, in
/// any of its threads and while parts of it are locked. What such a buffer does when it is dropped must not call a channel or a store,
/// which would wait for itself, nor panic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event {
    headers: Headers,
    body: Bytes,
}

impl Event {
    /// An event without headers.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { headers: Headers::new(), body: body.into() }
    }

    /// An event from its parts.
    #[must_use]
    pub fn from_parts(headers: Headers, body: impl Into<Bytes>) -> Self {
        Self { headers, body: body.into() }
    }

    /// The event with one more header.
    ///
    /// # Errors
    /// If the headers would pass a limit.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HeadersError> {
        self.headers.insert(name, value)?;
        Ok(self)
    }

    /// Replaces the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Headers and body.
    #[must_use]
    pub fn into_parts(self) -> (Headers, Bytes) {
        (self.headers, self.body)
    }

    /// What the event counts against a capacity in bytes: encoded headers and body.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        (self.headers.as_encoded().len() + self.body.len()) as u64
    }
}

impl From<&'static str> for Event {
    fn from(body: &'static str) -> Self {
        Self::new(body)
    }
}

impl From<String> for Event {
    fn from(body: String) -> Self {
        Self::new(body)
    }
}

impl From<Vec<u8>> for Event {
    fn from(body: Vec<u8>) -> Self {
        Self::new(body)
    }
}

impl From<Bytes> for Event {
    fn from(body: Bytes) -> Self {
        Self::new(body)
    }
}

/// The identity of an event in a store: the lane it was written to and its place there. It is the same at every
/// redelivery and after every restart, so a sink can use it to recognise an event that it has seen. Not so in channels that
/// have events in memory: a [`MemoryChannel`](crate::MemoryChannel) counts from 0 in each life, and so does a
/// [`Spillable`](crate::Spillable) for what is in its memory, to which a close and an open give other identities.
///
/// ```
/// use aqueduct::{Channel, MemoryChannel};
///
/// let receipt = MemoryChannel::new("orders").put("order 1")?;
/// assert_eq!(receipt.first.map(|id| id.to_string()).as_deref(), Some("0:0")); // lane and place
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs)] // the two numbers are the identity, in the format for good
pub struct EventId {
    /// Number of the lane; 0 for channels that have none.
    pub lane: u16,
    /// Place of the event in its lane, counted from 0.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lane, self.seq)
    }
}
