//! Interceptors: what changes or drops events between a source and its channels.
//!
//! | Flume | here |
//! |---|---|
//! | `timestamp` | [`Timestamp`] |
//! | `host` | [`Host`] |
//! | `static` | [`StaticHeader`] |
//! | `remove_header` | [`RemoveHeader`] |
//! | `regex_filter` | [`RegexFilter`] |
//! | `regex_extractor` | [`RegexExtractor`] |
//! | `search_replace` | [`SearchReplace`] |
//! | `UUIDInterceptor` | [`Uuid`] |
//!
//! Those that look at the body as text take bytes that are not UTF-8 for U+FFFD, as Flume does.

mod header;
mod host;
mod regex_extractor;
mod regex_filter;
mod remove_header;
mod search_replace;
mod static_header;
mod timestamp;
mod uuid;

pub use host::Host;
pub use regex_extractor::{ExtractorError, RegexExtractor};
pub use regex_filter::RegexFilter;
pub use remove_header::RemoveHeader;
pub use search_replace::SearchReplace;
pub use static_header::StaticHeader;
pub use timestamp::Timestamp;
pub use uuid::Uuid;

use crate::event::Event;

/// Changes or drops the events of one source, in the thread that puts them.
///
/// The threads of a listener's connections have small stacks ([`CONNECTION_STACK_BYTES`](crate::limits::CONNECTION_STACK_BYTES)):
/// an interceptor that recurses deeply or keeps large values on the stack needs
/// [`TcpLines::connection_stack_bytes`](crate::TcpLines::connection_stack_bytes).
///
/// A closure from event to `Option<Event>` is an interceptor, too.
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
