//! Interceptors: what changes or drops events between a source and its channels.

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
