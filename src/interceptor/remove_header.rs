//! Headers that go no further.

use super::Interceptor;
use crate::codec::pattern::{Pattern, PatternError};
use crate::event::{Event, Headers};

/// Removes headers by name or by pattern: Flume's `remove_header`.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, RemoveHeader};
///
/// let removes = RemoveHeader::new().names(["password", "token"]).matching("x-.*")?;
/// let event = Event::new("x").with_header("token", "1")?.with_header("x-trace", "2")?.with_header("host", "a")?;
/// let event = removes.intercept(event).ok_or("dropped")?;
/// assert_eq!(event.headers().iter().collect::<Vec<_>>(), [("host", "a")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RemoveHeader {
    names: Vec<String>,
    patterns: Vec<Pattern>,
}

impl RemoveHeader {
    /// Removes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the header of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Removes the headers of these names.
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names.extend(names.into_iter().map(Into::into));
        self
    }

    /// Removes the headers whose whole name matches the pattern, which is in Java's syntax.
    ///
    /// # Errors
    /// If the pattern cannot be used.
    pub fn matching(mut self, pattern: &str) -> Result<Self, PatternError> {
        self.patterns.push(Pattern::whole(pattern)?);
        Ok(self)
    }

    fn removes(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name) || self.patterns.iter().any(|pattern| pattern.is_match(name))
    }
}

impl Interceptor for RemoveHeader {
    fn intercept(&self, mut event: Event) -> Option<Event> {
        if event.headers().iter().any(|(name, _)| self.removes(name)) {
            let mut kept = Headers::new();
            for (name, value) in event.headers().iter().filter(|(name, _)| !self.removes(name)) {
                // Fewer headers than before are within every limit.
                let _ = kept.insert(name, value);
            }
            *event.headers_mut() = kept;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(removes: &RemoveHeader) -> Vec<String> {
        let mut event = Event::new("x");
        for name in ["header1", "header2", "header10", "Header1", "other"] {
            event = event.with_header(name, "v").unwrap();
        }
        removes.intercept(event).unwrap().headers().iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn names_and_patterns_match_whole_names() {
        assert_eq!(left(&RemoveHeader::new()), ["header1", "header2", "header10", "Header1", "other"]);
        assert_eq!(left(&RemoveHeader::new().name("header1")), ["header2", "header10", "Header1", "other"]);
        assert_eq!(left(&RemoveHeader::new().names(["header1", "none", "other"])), ["header2", "header10", "Header1"]);
        assert_eq!(left(&RemoveHeader::new().matching(r"header\d").unwrap()), ["header10", "Header1", "other"]);
        let all = RemoveHeader::new().name("other").names(["header10"]).matching("(?i)HEADER1").unwrap();
        assert_eq!(left(&all), ["header2"]);
        assert!(RemoveHeader::new().matching("(").is_err());
    }
}
