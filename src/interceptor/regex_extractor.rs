//! Parts of the body as headers.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Interceptor;
use crate::clock::{Clock, SystemClock};
use crate::codec::pattern::{Pattern, PatternError};
use crate::codec::time_pattern::TimePattern;
use crate::event::Event;

/// Puts what the groups of a pattern match in the body into headers: Flume's `regex_extractor`.
///
/// Each call of [`header`](Self::header), [`millis`](Self::millis) or [`header_with`](Self::header_with) is for the next group of
/// the pattern, which is in Java's syntax, see [`Pattern`]. The first match in the body counts. Groups beyond the last such
/// call are passed over. A header that is there is replaced.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::interceptor::{Interceptor, RegexExtractor};
///
/// let extractor = RegexExtractor::new(r"^(\S+ \S+) (\w+)")?
///     .millis_in("timestamp", "yyyy-MM-dd HH:mm", "UTC")?
///     .header("level");
/// let event = extractor.intercept(Event::new("2012-10-17 14:34 WARN disk is full")).ok_or("dropped")?;
/// assert_eq!(event.headers().get("timestamp"), Some("1350484440000"));
/// assert_eq!(event.headers().get("level"), Some("WARN"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// No header is set for a group that took no part in the match (Flume sets one without value, which its Avro serializer
/// cannot write), for a text that is no time of the pattern (where Flume fails the batch, which then comes for ever), and for a
/// value without room in the headers (see [`limits`](crate::limits)).
#[derive(Clone)]
pub struct RegexExtractor {
    pattern: Pattern,
    headers: Vec<(String, Value)>,
}

#[derive(Clone)]
enum Value {
    Text,
    Millis(TimePattern),
    Own(Arc<OwnValue>),
}

type OwnValue = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Why times cannot be read as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractorError {
    /// The pattern of times cannot be used.
    #[error("time pattern {pattern}: {reason}")]
    TimePattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such time zone on this host.
    #[error("there is no time zone {name}: {reason}")]
    TimeZone {
        /// Its name.
        name: String,
        /// What the time zone database says.
        reason: String,
    },
}

impl RegexExtractor {
    /// An extractor that searches for a pattern, without headers yet.
    ///
    /// # Errors
    /// If the pattern cannot be used.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: Pattern::new(pattern)?, headers: Vec::new() })
    }

    /// Puts the text of the next group into the header `name`.
    #[must_use]
    pub fn header(self, name: impl Into<String>) -> Self {
        self.add(name.into(), Value::Text)
    }

    /// Puts what `value` makes of the text of the next group into the header `name`; without a value no header is set.
    #[must_use]
    pub fn header_with(
        self,
        name: impl Into<String>,
        value: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.add(name.into(), Value::Own(Arc::new(value)))
    }

    /// Reads the text of the next group as a time, in this host's time zone unless it has an offset, and puts the
    /// milliseconds since 1970 into the header `name`: Flume's `RegexExtractorInterceptorMillisSerializer`.
    ///
    /// The pattern is one of Joda-Time, with these letters: `y` or `Y` year, `M` month (a number, or from three letters on its
    /// English name), `d` day, `D` day of the year, `E` English day of the week (read, not checked), `a` AM or PM, `h` hour 1 to
    /// 12, `K` 0 to 11, `H` 0 to 23, `k` 1 to 24, `m` minute, `s` second, `S` fraction of a second, `Z` and `ZZ` offset. Text in
    /// single quotes, and whatever is no letter, stands for itself.
    ///
    /// # Errors
    /// If the pattern has other letters; they are named.
    pub fn millis(self, name: impl Into<String>, pattern: &str) -> Result<Self, ExtractorError> {
        self.add_millis(name.into(), pattern, TimeZone::system())
    }

    /// As [`millis`](Self::millis), in a time zone such as `Europe/Paris`.
    ///
    /// # Errors
    /// As [`millis`](Self::millis), and if this host does not know the zone.
    pub fn millis_in(self, name: impl Into<String>, pattern: &str, zone: &str) -> Result<Self, ExtractorError> {
        let found = if zone == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(zone) };
        let found =
            found.map_err(|error| ExtractorError::TimeZone { name: zone.to_owned(), reason: error.to_string() })?;
        self.add_millis(name.into(), pattern, found)
    }

    fn add_millis(self, name: String, pattern: &str, zone: TimeZone) -> Result<Self, ExtractorError> {
        let now = Timestamp::try_from(SystemClock::new().wall()).unwrap_or(Timestamp::UNIX_EPOCH);
        let this_year = now.to_zoned_datetime(zone.clone()).year();
        let times = TimePattern::new(pattern, zone, this_year);
        let times = times.map_err(|reason| ExtractorError::TimePattern { pattern: pattern.to_owned(), reason })?;
        Ok(self.add(name, Value::Millis(times)))
    }

    fn add(mut self, name: String, value: Value) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Interceptor for RegexExtractor {
    fn intercept(&self, mut event: Event) -> Option<Event> {
        let body = event.body().clone();
        let text = String::from_utf8_lossy(&body);
        let Some(groups) = self.pattern.find(&text) else { return Some(event) };
        for ((name, value), group) in self.headers.iter().zip(groups.into_iter().skip(1)) {
            let Some(found) = group.and_then(|group| text.get(group)) else { continue };
            let set = |event: &mut Event, value: &str| {
                let _ = event.headers_mut().insert(name, value);
            };
            match value {
                Value::Text => set(&mut event, found),
                Value::Millis(times) => {
                    times.parse(found).into_iter().for_each(|millis| set(&mut event, &millis.to_string()));
                }
                Value::Own(own) => own(found).into_iter().for_each(|value| set(&mut event, &value)),
            }
        }
        Some(event)
    }
}

impl fmt::Debug for RegexExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("RegexExtractor").field("pattern", &self.pattern).field("headers", &headers).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(extractor: &RegexExtractor, body: &'static str) -> Vec<(String, String)> {
        let event = extractor.intercept(Event::new(body)).unwrap();
        event.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn groups_become_headers_in_their_order() {
        let three = RegexExtractor::new(r"(\d):(\d):(\d)").unwrap();
        let full = three.clone().header("one").header("two").header("three");
        assert_eq!(headers(&full, "1:2:3.4foobar5"), pairs(&[("one", "1"), ("two", "2"), ("three", "3")]));
        assert_eq!(headers(&full, "no digits"), pairs(&[]));
        // Surplus groups and surplus headers are passed over.
        assert_eq!(headers(&three.clone().header("one"), "1:2:3"), pairs(&[("one", "1")]));
        assert_eq!(headers(&full.header("four"), "1:2:3").len(), 3);
        assert_eq!(headers(&three, "1:2:3"), pairs(&[]));
    }

    #[test]
    fn a_group_that_took_no_part_sets_no_header() {
        let extractor = RegexExtractor::new(r"user=(\w+)(?:@(\w+))? (\d*)").unwrap();
        let extractor = extractor.header("user").header("domain").header("code");
        assert_eq!(headers(&extractor, "user=anna 7"), pairs(&[("user", "anna"), ("code", "7")]));
        assert_eq!(headers(&extractor, "user=a@b "), pairs(&[("user", "a"), ("domain", "b"), ("code", "")]));
        assert_eq!(headers(&extractor, "user=j\u{f6}rg@x 1 user=bo 2"), pairs(&[("user", "bo"), ("code", "2")]));
    }

    #[test]
    fn a_header_is_replaced_and_a_value_of_its_own_may_be_refused() {
        let extractor = RegexExtractor::new(r"(\w+)").unwrap();
        let upper = extractor.header_with("word", |text| (text != "secret").then(|| text.to_uppercase()));
        let old = |body| Event::new(body).with_header("word", "old").unwrap();
        assert_eq!(upper.intercept(old("new")).unwrap().headers().get("word"), Some("NEW"));
        assert_eq!(upper.intercept(old("secret")).unwrap().headers().get("word"), Some("old"));
    }

    #[test]
    fn times_become_milliseconds() {
        let extractor = RegexExtractor::new("^(.*)$").unwrap();
        let with_offset = extractor.clone().millis("at", "yyyy-MM-dd HH:mm Z").unwrap();
        assert_eq!(headers(&with_offset, "2012-10-17 14:34 +0000"), pairs(&[("at", "1350484440000")]));
        assert_eq!(headers(&with_offset, "2012-10-17 25:34 +0000"), pairs(&[]));
        let refused = extractor.clone().millis("at", "yyyy w").unwrap_err();
        assert!(refused.to_string().starts_with("time pattern yyyy w: the letter w "), "{refused}");
        let unknown = extractor.millis_in("at", "yyyy", "Moon/Sea").unwrap_err();
        assert!(unknown.to_string().starts_with("there is no time zone Moon/Sea: "), "{unknown}");
        assert!(RegexExtractor::new("(").is_err());
    }
}
