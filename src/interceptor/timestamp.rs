//! The time of arrival as a header.

use std::sync::Arc;
use std::time::SystemTime;

use super::Interceptor;
use super::header::Target;
use crate::clock::{Clock, SystemClock};
use crate::event::Event;

/// Puts the time, in milliseconds since 1970 as decimal text, into the header `timestamp`: Flume's `timestamp`.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, Timestamp};
///
/// let event = Timestamp::new().intercept(Event::new("x")).ok_or("dropped")?;
/// assert!(event.headers().get("timestamp").is_some());
/// # Ok::<(), &str>(())
/// ```
///
/// An event that has no room for a header (see [`limits`](crate::limits)) goes on without it.
#[derive(Clone, Debug)]
pub struct Timestamp {
    target: Target,
    clock: Arc<dyn Clock>,
}

impl Timestamp {
    /// With Flume's defaults: header `timestamp`, replaced if it is there.
    #[must_use]
    pub fn new() -> Self {
        Self { target: Target::new("timestamp", false), clock: Arc::new(SystemClock::new()) }
    }

    /// The name of the header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.target.name = name.into();
        self
    }

    /// Whether an event that has the header keeps its value; it does not by default.
    #[must_use]
    pub fn preserve_existing(mut self, preserve: bool) -> Self {
        self.target.preserve_existing = preserve;
        self
    }

    /// The clock; the operating system's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::new()
    }
}

impl Interceptor for Timestamp {
    fn intercept(&self, event: Event) -> Option<Event> {
        let since = || self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(self.target.set(event, || since().as_millis().to_string().into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::StepClock;

    #[test]
    fn the_time_is_added_or_replaced_or_left_alone_as_configured() {
        let clock = Arc::new(StepClock::new());
        clock.step(Duration::from_micros(1_795_425_611_216_999));
        let now = Some("1795425611216");
        let old = || Event::new("x").with_header("timestamp", "old").unwrap();
        let plain = Timestamp::new().clock(Arc::clone(&clock) as _);
        assert_eq!(plain.intercept(Event::new("x")).unwrap().headers().get("timestamp"), now);
        assert_eq!(plain.intercept(old()).unwrap().headers().get("timestamp"), now);
        let keeps = plain.clone().preserve_existing(true);
        assert_eq!(keeps.intercept(old()).unwrap().headers().get("timestamp"), Some("old"));
        assert_eq!(keeps.intercept(Event::new("x")).unwrap().headers().get("timestamp"), now);
        let renamed = plain.header("at").intercept(old()).unwrap();
        assert_eq!(renamed.headers().iter().collect::<Vec<_>>(), [("timestamp", "old"), ("at", "1795425611216")]);
    }
}
