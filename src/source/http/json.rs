//! Events in JSON: Flume's handler, and one for lines.

use super::text::Charset;
use super::{Events, Handler, Rejection, Request};
use crate::codec::json_events::{self, ReadError};
use crate::event::{Event, Headers};

/// An array of events, `[{"headers": {"name": "value"}, "body": "text"}, ...]`: Flume's `JSONHandler`, and the default.
///
/// Both members of an event may be missing, and others are ignored. Headers and bodies may be numbers and booleans,
/// too, which are taken as they are written. The text is UTF-8, or what the content type says, which may be UTF-16 or
/// UTF-32 as well; bodies are stored in the character set of the request, as Flume stores them. What is not JSON is taken in
/// the ways in which Flume takes it: with single quotes or none, comments, `;` for `,`, `=` for `:`, line ends in text, and
/// headers as an array of pairs.
///
/// ```
/// use aqueduct::source::Http;
/// use aqueduct::source::http::JsonHandler;
///
/// let source = Http::bind("127.0.0.1:0").handler(JsonHandler::new());
/// # let _ = source;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonHandler {
    _private: (),
}

impl JsonHandler {
    /// The handler.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Handler for JsonHandler {
    fn events(&self, request: &Request, events: &mut Events<'_>) -> Result<(), Rejection> {
        let charset = Charset::named(request.charset())?;
        events.reserve(charset.text_bytes_max(request.body()))?;
        let text = charset.decode(request.body())?;
        let mut each = |headers: Headers, body: &str| events.push(Event::from_parts(headers, charset.encode(body)));
        let Err(error) = json_events::read_array(&text, &mut each) else { return Ok(()) };
        if matches!(error, ReadError::Malformed(_)) {
            events.clear();
            let mut each = |headers: Headers, body: &str| events.push(Event::from_parts(headers, charset.encode(body)));
            match json_events::read_lenient_array(&text, &mut each) {
                Ok(()) => return Ok(()),
                Err(ReadError::Stopped(rejection)) => return Err(rejection),
                // What is wrong with it as JSON tells more.
                Err(ReadError::Malformed(_)) => {}
            }
        }
        Err(rejection("not a JSON array of events", error))
    }
}

/// JSON in lines (NDJSON): one event in each line. Empty lines are passed over.
///
/// ```
/// use aqueduct::source::Http;
/// use aqueduct::source::http::NdjsonHandler;
///
/// // {"time": 1, "level": "warn"}
/// // {"time": 2, "level": "info"}
/// let source = Http::bind("127.0.0.1:0").handler(NdjsonHandler::values());
/// # let _ = source;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NdjsonHandler {
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Values,
    Events,
}

impl NdjsonHandler {
    /// Lines that are any JSON values. A line is the body of its event, as it was sent, but in UTF-8 also where the request is in
    /// UTF-16 or UTF-32.
    #[must_use]
    pub fn values() -> Self {
        Self { form: Form::Values }
    }

    /// Lines that are events, each an object with `headers` and a `body`, as in the array of a [`JsonHandler`].
    #[must_use]
    pub fn events() -> Self {
        Self { form: Form::Events }
    }
}

impl Handler for NdjsonHandler {
    fn events(&self, request: &Request, events: &mut Events<'_>) -> Result<(), Rejection> {
        let charset = Charset::named(request.charset())?;
        events.reserve(charset.text_bytes_max(request.body()))?;
        let text = charset.decode(request.body())?;
        for (number, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim().is_empty() {
                continue;
            }
            let at = || format!("line {} is not JSON", number + 1);
            match self.form {
                Form::Values => {
                    json_events::check_value(line)
                        .map_err(|error| Rejection::bad_request(format!("{}: {error}", at())))?;
                    events.push(Event::from(line.to_owned()))?;
                }
                Form::Events => {
                    let mut each = |headers, body: &str| events.push(Event::from_parts(headers, body.to_owned()));
                    json_events::read_one(line, &mut each).map_err(|error| rejection(&at(), error))?;
                }
            }
        }
        Ok(())
    }
}

fn rejection(what: &str, error: ReadError<Rejection>) -> Rejection {
    match error {
        ReadError::Malformed(reason) => Rejection::bad_request(format!("{what}: {reason}")),
        ReadError::Stopped(rejection) => rejection,
    }
}
