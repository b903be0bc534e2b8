//! Events to an HTTP server: Flume's `http` sink.

mod client;
mod rules;
#[cfg(feature = "tls")]
mod tls;
mod unsent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::codec::json_events::{NotText, write_event};
use crate::event::Event;
use crate::limits;
use crate::shutdown::Shutdown;
use client::{Answer, Client, Target};
use rules::Rules;
pub use rules::StatusAction;

/// What is in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpFormat {
    /// One event: its body, as it is. The headers of the event are not sent. This is what Flume does.
    #[default]
    Body,
    /// A batch of events as a JSON array of objects with `headers` and `body`, which is what Flume's HTTP source, and
    /// this crate's, understand. Bodies must be UTF-8.
    JsonArray,
    /// A batch of events, each such an object in a line of its own (NDJSON). Bodies must be UTF-8.
    JsonLines,
}

/// Posts events to an HTTP server: Flume's `http` sink.
///
/// The status of the answer decides what becomes of the events, see [`StatusAction`]. Without rules of yours they are
/// delivered if it is 2xx, can never be delivered if it is 400, 413, 415 or 422, and come again if it is anything else; if
/// there is no answer in time, or no connection, they come again as well. Redirections are not followed. A batch that is
/// refused is sent again in smaller parts, until the one event is found that is to blame.
///
/// Delivery is at-least-once: after a kill, or if an answer is lost, events that have arrived are sent again.
///
/// ```
/// use aqueduct::sink::{Http, HttpFormat, StatusAction};
///
/// let sink = Http::new("https://collector.example:8443/events")
///     .format(HttpFormat::JsonArray)
///     .header("authorization", "Bearer 1234")
///     .on_status(409, StatusAction::Accept); // it has them already
/// let count = sink.count();
/// assert_eq!(count.delivered(), 0);
/// ```
#[derive(Debug)]
pub struct Http {
    target: Target,
    has_content_type: bool,
    format: HttpFormat,
    skips_empty: bool,
    rules: Rules,
    client: Option<Client>,
    shutdown: Shutdown,
    count: HttpCount,
    // Delivered and dropped events of the batch whose commit is due.
    pending: (u64, u64),
    // Why the first event of the next batch was not delivered, which is to be told then.
    failed: Option<String>,
    pauses: u32,
    is_pause_due: bool,
}

/// What an [`Http`] sink has sent. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct HttpCount {
    requests: Arc<AtomicU64>,
    delivered: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
}

/// What became of one request.
enum Outcome {
    Accepted(StatusAction),
    Retry(String),
    Rejected(String),
}

impl Http {
    /// A sink that posts to `endpoint`, such as `http://host:port/path`. `https` needs the feature `tls`.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            target: Target {
                endpoint: endpoint.into(),
                connect_timeout: limits::HTTP_CONNECT,
                request_timeout: limits::HTTP_REQUEST,
                content_type: PLAIN.to_owned(),
                accept: PLAIN.to_owned(),
                headers: Vec::new(),
                #[cfg(feature = "tls")]
                tls: None,
            },
            has_content_type: false,
            format: HttpFormat::default(),
            skips_empty: false,
            rules: Rules::new(),
            client: None,
            shutdown: Shutdown::new(),
            count: HttpCount::default(),
            pending: (0, 0),
            failed: None,
            pauses: 0,
            is_pause_due: false,
        }
    }

    /// The numbers, to be read while the sink runs.
    #[must_use]
    pub fn count(&self) -> HttpCount {
        self.count.clone()
    }

    /// What is in a request. Default: [`HttpFormat::Body`].
    #[must_use]
    pub fn format(mut self, format: HttpFormat) -> Self {
        self.format = format;
        self
    }

    /// Whether [`HttpFormat::Body`] makes no request for an event without a body, as Flume does. Such an event leaves the
    /// channel and is counted as [dropped](HttpCount::dropped). Default: it is posted as it is.
    #[must_use]
    pub fn skip_empty(mut self, skip: bool) -> Self {
        self.skips_empty = skip;
        self
    }

    /// How long connecting may take, with the handshake of TLS. Default: [`HTTP_CONNECT`](limits::HTTP_CONNECT).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.target.connect_timeout = timeout;
        self
    }

    /// How long each part of a request may take once there is a connection: sending its head, sending its body, waiting for
    /// the answer, and reading its body. All of it may take as long as one part and [connecting](Self::connect_timeout)
    /// together. Default: [`HTTP_REQUEST`](limits::HTTP_REQUEST).
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.target.request_timeout = timeout;
        self
    }

    /// The header `content-type`. Default: `text/plain`, as in Flume, and what the format is otherwise.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.target.content_type = content_type.into();
        self.has_content_type = true;
        self
    }

    /// The header `accept`. Default: `text/plain`, as in Flume.
    #[must_use]
    pub fn accept(mut self, accept: impl Into<String>) -> Self {
        self.target.accept = accept.into();
        self
    }

    /// A header of every request, such as one that proves who sends it.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.target.headers.push((name.into(), value.into()));
        self
    }

    /// What is done after an answer with this status.
    #[must_use]
    pub fn on_status(mut self, status: u16, action: StatusAction) -> Self {
        self.rules.set_code(status, action);
        self
    }

    /// What is done after an answer of a class of statuses, which is its first digit, unless
    /// [`on_status`](Self::on_status) is called for the status afterwards.
    #[must_use]
    pub fn on_status_class(mut self, class: u16, action: StatusAction) -> Self {
        self.rules.set_class(class, action);
        self
    }

    /// What is done after every answer; rules for statuses and classes follow it.
    #[must_use]
    pub fn on_any_status(mut self, action: StatusAction) -> Self {
        self.rules = Rules::all(action);
        self
    }

    /// With whom and how TLS is spoken. Default: with servers that the system trusts.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::TlsClient) -> Self {
        self.target.tls = Some(tls);
        self
    }

    /// Checks what can be checked without a connection.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.target.check()
    }

    #[cfg(test)]
    pub(crate) fn action(&self, status: u16) -> StatusAction {
        self.rules.action(status)
    }

    fn post(&mut self, client: &Client, body: &[u8], events: usize) -> Outcome {
        self.count.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match client.post(body) {
            Ok(answer) => answer,
            Err(reason) => return Outcome::Retry(reason),
        };
        let Answer { status, .. } = answer;
        match self.rules.action(status) {
            StatusAction::Retry => Outcome::Retry(client.describe(&answer)),
            StatusAction::Reject => Outcome::Rejected(client.describe(&answer)),
            action => {
                let count = if (200..300).contains(&status) { &mut self.pending.0 } else { &mut self.pending.1 };
                *count += events as u64;
                if action == StatusAction::Accept {
                    self.pauses = 0;
                } else {
                    self.is_pause_due = true;
                }
                Outcome::Accepted(action)
            }
        }
    }

    /// Posts one event after the other.
    fn write_bodies(&mut self, client: &Client, events: &[Event]) -> Result<Delivered, SinkError> {
        for (number, event) in events.iter().enumerate() {
            if number > 0 && self.shutdown.is_requested() {
                return Ok(Delivered::First(number));
            }
            if self.skips_empty && event.body().is_empty() {
                self.pending.1 += 1;
                continue;
            }
            match self.post(client, event.body(), 1) {
                Outcome::Accepted(StatusAction::Accept) => {}
                Outcome::Accepted(_) => return Ok(Delivered::First(number + 1)),
                Outcome::Retry(reason) if number == 0 => return Err(SinkError::retry(reason)),
                Outcome::Rejected(reason) if number == 0 => return Err(SinkError::permanent(reason)),
                Outcome::Retry(reason) => {
                    self.failed = Some(reason);
                    return Ok(Delivered::First(number));
                }
                // It is sent once more as the first of its batch: only there it is known to be meant.
                Outcome::Rejected(_) => return Ok(Delivered::First(number)),
            }
        }
        Ok(Delivered::All)
    }

    /// Posts as many events as the server takes at once.
    fn write_batch(&mut self, client: &Client, events: &[Event]) -> Result<Delivered, SinkError> {
        let mut body = Vec::new();
        let (mut count, unfit) = self.encode(events, &mut body);
        if count == 0 {
            return Err(SinkError::permanent(unfit.map(|unfit| unfit.to_string()).unwrap_or_default()));
        }
        loop {
            match self.post(client, &body, count) {
                Outcome::Accepted(_) => return Ok(Delivered::First(count)),
                Outcome::Retry(reason) => return Err(SinkError::retry(reason)),
                Outcome::Rejected(reason) if count == 1 => return Err(SinkError::permanent(reason)),
                Outcome::Rejected(_) => {
                    count = count.div_ceil(2);
                    body.clear();
                    self.encode(events.get(..count).unwrap_or_default(), &mut body);
                }
            }
        }
    }

    /// Appends the first events, up to one that does not fit in, and says how many they are.
    fn encode(&self, events: &[Event], body: &mut Vec<u8>) -> (usize, Option<NotText>) {
        let (begin, end): (&[u8], &[u8]) = match self.format {
            HttpFormat::JsonLines => (b"", b"\n"),
            _ => (b"[", b"]"),
        };
        body.extend_from_slice(begin);
        let mut count = 0;
        let mut unfit = None;
        for event in events {
            let before = body.len();
            if count > 0 {
                body.push(if self.format == HttpFormat::JsonLines { b'\n' } else { b',' });
            }
            if let Err(error) = write_event(body, event) {
                body.truncate(before);
                unfit = Some(error);
                break;
            }
            count += 1;
        }
        body.extend_from_slice(end);
        (count, unfit)
    }

    fn pause_if_due(&mut self) {
        if std::mem::take(&mut self.is_pause_due) {
            self.pauses = self.pauses.saturating_add(1);
            self.shutdown.sleep((PAUSE * self.pauses.min(PAUSES_MAX)).min(limits::RETRY_MAX));
        }
    }
}

impl HttpCount {
    /// Requests that were made.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Events in committed takes that were answered with 2xx.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// Events in committed takes that left the channel by a rule although they were answered with something else, or without a
    /// request because they had [no body](Http::skip_empty).
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }
}

impl Sink for Http {
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.pending = (0, 0);
        self.failed = None;
        self.shutdown = context.shutdown().clone();
        let mut target = self.target.clone();
        if !self.has_content_type {
            let content_type = match self.format {
                HttpFormat::Body => PLAIN,
                HttpFormat::JsonArray => "application/json; charset=utf-8",
                HttpFormat::JsonLines => "application/x-ndjson",
            };
            content_type.clone_into(&mut target.content_type);
        }
        // After an error the connection is a new one, too.
        self.client = Some(target.client().map_err(SinkError::fatal)?);
        Ok(())
    }

    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        self.pending = (0, 0);
        if let Some(reason) = self.failed.take() {
            return Err(SinkError::retry(reason));
        }
        self.pause_if_due();
        let Some(client) = self.client.take() else { return Err(SinkError::retry("the sink is not open")) };
        let outcome = match self.format {
            HttpFormat::Body => self.write_bodies(&client, batch.events()),
            HttpFormat::JsonArray | HttpFormat::JsonLines => self.write_batch(&client, batch.events()),
        };
        self.client = Some(client);
        outcome
    }

    // Counted here and not in `write`, so that events that come again after a failed commit are counted once.
    fn committed(&mut self) -> Result<(), SinkError> {
        let (delivered, dropped) = std::mem::take(&mut self.pending);
        self.count.delivered.fetch_add(delivered, Ordering::Release);
        self.count.dropped.fetch_add(dropped, Ordering::Release);
        Ok(())
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.client = None;
        Ok(())
    }
}

const PLAIN: &str = "text/plain";
/// The first pause after an answer that asks for one, as in Flume; each in a row is so much longer.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSES_MAX: u32 = 5;

#[cfg(test)]
mod tests;
