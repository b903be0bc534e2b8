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
/// The threads of a listener's connections have small stacks ([`CONNECTION_STACK_BYTES`](crate::limits::CONNECTION_STACK_BYTES)):
/// an interceptor that recurses deeply or keeps large values on the stack needs
/// [`TcpLines::connection_stack_bytes`](crate::TcpLines::connection_stack_bytes).
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
