//! Events whose body matches a pattern, or all others.

use super::Interceptor;
use crate::codec::pattern::{Pattern, PatternError};
use crate::event::Event;

/// Lets only events pass whose body has a match of a pattern, or only those whose body has none: Flume's `regex_filter`.
///
/// The pattern is in Java's syntax, see [`Pattern`]. It is searched for anywhere in the body; anchor it with `^` and `$` to
/// match all of it.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, RegexFilter};
///
/// let errors = RegexFilter::including("(?i)error|fatal")?;
/// assert!(errors.intercept(Event::new("disk ERROR")).is_some());
/// assert!(errors.intercept(Event::new("all is well")).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RegexFilter {
    pattern: Pattern,
    exclude: bool,
}

impl RegexFilter {
    /// Keeps the events that match and drops the others.
    ///
    /// # Errors
    /// If the pattern cannot be used.
    pub fn including(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: Pattern::new(pattern)?, exclude: false })
    }

    /// Drops the events that match and keeps the others: Flume's `excludeEvents = true`.
    ///
    /// # Errors
    /// If the pattern cannot be used.
    pub fn excluding(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: Pattern::new(pattern)?, exclude: true })
    }
}

impl Interceptor for RegexFilter {
    fn intercept(&self, event: Event) -> Option<Event> {
        let matches = self.pattern.is_match(&String::from_utf8_lossy(event.body()));
        (matches != self.exclude).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_is_kept_or_dropped() {
        let events = ["INFO a", "WARNING: b", "an error"].map(Event::from);
        let kept = |filter: &RegexFilter| events.clone().map(|event| filter.intercept(event).is_some());
        assert_eq!(kept(&RegexFilter::including("^WARN|error$").unwrap()), [false, true, true]);
        assert_eq!(kept(&RegexFilter::excluding("^WARN|error$").unwrap()), [true, false, false]);
        assert_eq!(kept(&RegexFilter::including(".*").unwrap()), [true; 3]);
        assert!(RegexFilter::including("a(?!b)").unwrap_err().to_string().contains("negative look-ahead"));
    }

    #[test]
    fn a_body_that_is_not_text_is_searched_all_the_same() {
        let filter = RegexFilter::including("a.b").unwrap();
        assert!(filter.intercept(Event::new(&b"\x00a\xffb\xfe"[..])).is_some());
        assert!(filter.intercept(Event::new(&b"\x00a\xff\xffb\xfe"[..])).is_none());
        assert!(RegexFilter::including("\u{fffd}").unwrap().intercept(Event::new(&b"\xff"[..])).is_some());
    }
}
