//! A header with a fixed value.

use super::Interceptor;
use super::header::Target;
use crate::event::Event;

/// Puts a fixed header into every event: Flume's `static`.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, StaticHeader};
///
/// let event = StaticHeader::new("zone", "eu").intercept(Event::new("x")).ok_or("dropped")?;
/// assert_eq!(event.headers().get("zone"), Some("eu"));
/// # Ok::<(), &str>(())
/// ```
///
/// An event that has no room for a header (see [`limits`](crate::limits)) goes on without it.
#[derive(Clone, Debug)]
pub struct StaticHeader {
    target: Target,
    value: String,
}

impl StaticHeader {
    /// The header `name` with `value`. As in Flume, an event that has such a header keeps it.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { target: Target::new(name, true), value: value.into() }
    }

    /// Whether an event that has the header keeps its value; it does by default.
    #[must_use]
    pub fn preserve_existing(mut self, preserve: bool) -> Self {
        self.target.preserve_existing = preserve;
        self
    }
}

impl Interceptor for StaticHeader {
    fn intercept(&self, event: Event) -> Option<Event> {
        Some(self.target.set(event, || self.value.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_added_and_replaces_one_only_if_told_to() {
        let old = || Event::new("x").with_header("zone", "old").unwrap();
        let zone = StaticHeader::new("zone", "eu");
        assert_eq!(zone.intercept(Event::new("x")).unwrap().headers().get("zone"), Some("eu"));
        assert_eq!(zone.intercept(old()).unwrap().headers().get("zone"), Some("old"));
        let replaces = zone.preserve_existing(false);
        assert_eq!(replaces.intercept(old()).unwrap().headers().get("zone"), Some("eu"));
        assert_eq!(replaces.intercept(Event::new("x")).unwrap().headers().get("zone"), Some("eu"));
    }
}
