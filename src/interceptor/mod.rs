//! Interceptors: what changes or drops events between a source and its channels.

mod host;
mod static_header;
mod timestamp;

pub use host::Host;
pub use static_header::StaticHeader;
pub use timestamp::Timestamp;

use crate::event::Event;

/// Changes or drops the events of one source, in the thread that puts them.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::Interceptor;
///
/// struct DropEmpty;
///
/// impl Interceptor for DropEmpty {
///     fn intercept(&self, event: Event) -> Option<Event> {
///         (!event.body().is_empty()).then_some(event)
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync {
    /// The event as it goes on, or `None` to drop it, which is counted.
    fn intercept(&self, event: Event) -> Option<Event>;
}

impl<F: Fn(Event) -> Option<Event> + Send + Sync> Interceptor for F {
    fn intercept(&self, event: Event) -> Option<Event> {
        self(event)
    }
}

/// The event with a header. Without room for it the event stays as it is: a missing header is the smaller loss.
fn set_header(mut event: Event, name: &str, value: &str, preserve_existing: bool) -> Event {
    if !(preserve_existing && event.headers().get(name).is_some()) {
        let _ = event.headers_mut().insert(name, value);
    }
    event
}
