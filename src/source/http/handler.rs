//! What makes events of requests.

use super::{Events, Rejection, Request};

/// Makes events of requests. A function or closure is one:
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::source::Http;
/// use aqueduct::source::http::{Events, Rejection, Request};
///
/// // Each line of the body is an event, with the path as a header.
/// fn lines(request: &Request, events: &mut Events<'_>) -> Result<(), Rejection> {
///     for line in request.body().split(|byte| *byte == b'\n') {
///         let event = Event::new(line.to_vec()).with_header("path", request.path());
///         events.push(event.map_err(|error| Rejection::bad_request(error.to_string()))?)?;
///     }
///     Ok(())
/// }
///
/// let source = Http::bind("127.0.0.1:0").handler(lines);
/// # let _ = source;
/// ```
///
/// Handlers run in the source's worker threads, several at a time. A panic is answered with the status 500.
pub trait Handler: Send + Sync {
    /// Adds the events of a request, which become one transaction. None is fine.
    ///
    /// # Errors
    /// [`Rejection`] becomes the answer; none of the events is put then.
    fn events(&self, request: &Request, events: &mut Events<'_>) -> Result<(), Rejection>;
}

impl<F> Handler for F
where
    F: Fn(&Request, &mut Events<'_>) -> Result<(), Rejection> + Send + Sync,
{
    fn events(&self, request: &Request, events: &mut Events<'_>) -> Result<(), Rejection> {
        self(request, events)
    }
}
