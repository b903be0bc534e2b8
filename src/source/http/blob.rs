//! A request as one event.

use super::{Events, Handler, Rejection, Request};
use crate::event::{Event, HeadersBuilder};

/// The whole body of a request is the body of one event, and the parameters of its URL are the headers: Flume's
/// `BLOBHandler`.
///
/// Of a parameter that comes twice the first value counts, as in Flume.
///
/// ```
/// use aqueduct::source::Http;
/// use aqueduct::source::http::BlobHandler;
///
/// // POST /anything?origin=cam-7 with the image as the body
/// let source = Http::bind("127.0.0.1:0").handler(BlobHandler::new().mandatory(["origin"]));
/// # let _ = source;
/// ```
#[derive(Clone, Debug, Default)]
pub struct BlobHandler {
    mandatory: Vec<String>,
    content_type: bool,
    bytes_max: Option<usize>,
}

impl BlobHandler {
    /// A handler that takes every request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses requests that lack one of these parameters with the status 400; their values may be empty.
    #[must_use]
    pub fn mandatory(mut self, parameters: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.mandatory = parameters.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps the type of the body in a header `Content-Type`, unless a parameter is called so: what Flume's `BlobHandler`
    /// of its Morphline sink does. Not by default.
    #[must_use]
    pub fn keep_content_type(mut self, keep: bool) -> Self {
        self.content_type = keep;
        self
    }

    /// Refuses bodies of more bytes with the status 413. Default: the limit of the source.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = Some(bytes);
        self
    }
}

impl Handler for BlobHandler {
    fn events(&self, request: &Request, events: &mut Events<'_>) -> Result<(), Rejection> {
        let body = request.body();
        if let Some(max) = self.bytes_max.filter(|max| body.len() > *max) {
            let bytes = body.len();
            return Err(Rejection::too_large(format!("the body has {bytes} bytes, which is over the limit of {max}")));
        }
        let mut builder = HeadersBuilder::default();
        for parameter in request.parameters() {
            let (name, value) = parameter?;
            if !builder.contains(&name) {
                builder.insert(&name, &value).map_err(|error| Rejection::bad_request(error.to_string()))?;
            }
        }
        if let Some(kind) =
            request.header("content-type").filter(|_| self.content_type && !builder.contains(CONTENT_TYPE))
        {
            builder.insert(CONTENT_TYPE, kind).map_err(|error| Rejection::bad_request(error.to_string()))?;
        }
        if let Some(missing) = self.mandatory.iter().find(|name| !builder.contains(name)) {
            return Err(Rejection::bad_request(format!("the parameter {missing:?} is missing")));
        }
        events.push(Event::from_parts(builder.finish(), body.clone()))
    }
}

const CONTENT_TYPE: &str = "Content-Type";
