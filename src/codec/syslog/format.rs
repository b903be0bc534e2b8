//! A format of one's own, beside those of the RFCs.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::message::Fields;
use crate::codec::java_date::JavaDate;
use crate::codec::pattern::{Pattern, PatternError, Replacement};
use crate::limits::SYSLOG_HOST_BYTES_MAX;

/// How messages look that are of neither RFC, as `format.*` of Flume's sources `syslogtcp` and `syslogudp` says.
///
/// A pattern must match the whole message. Its groups are, by number: 1 the priority, 2 the version, 3 the date, 4 the
/// host, 5 the text. A message that it does not match is read as without it. The priority in front stays
/// what makes a message valid.
///
/// ```
/// use std::time::SystemTime;
/// use aqueduct::codec::syslog::{FrameEnd, SyslogFormat, SyslogParser};
///
/// let format = SyslogFormat::new(r"<(\d+)>(\d?)at (\S+ \S+) on (\S+): (.*)")?
///     .replace("/", "-")?
///     .date("yyyy-MM-dd HH:mm:ss")?;
/// let parser = SyslogParser::default().format(format);
/// let event = parser.parse(b"<13>at 2026/11/28 13:05:09 on web-1: hello", FrameEnd::Whole, SystemTime::UNIX_EPOCH);
/// let header = |name| event.headers().get(name);
/// assert_eq!((header("timestamp"), header("host")), (Some("1795871109000"), Some("web-1")));
/// assert_eq!(event.body(), "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyslogFormat {
    pattern: Pattern,
    search: Option<Replacement>,
    date: Option<JavaDate>,
}

/// A pattern for dates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("date format {pattern:?}: {reason}")]
#[non_exhaustive]
pub struct DateFormatError {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SyslogFormat {
    /// The format of messages that match `pattern` as a whole.
    ///
    /// # Errors
    /// If it is no pattern; see [`Pattern`].
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { pattern: Pattern::whole(pattern)?, search: None, date: None })
    }

    /// What is replaced in the date before it is read, everywhere in it. Default: nothing.
    ///
    /// # Errors
    /// If `search` is no pattern, or `replacement` no [`Replacement`] for it.
    pub fn replace(mut self, search: &str, replacement: &str) -> Result<Self, PatternError> {
        self.search = Some(Replacement::new(replacement, &Pattern::new(search)?)?);
        Ok(self)
    }

    /// How the date is written, as in Java's `SimpleDateFormat`, with English names. Default: it is not read, and there is no
    /// header `timestamp`.
    ///
    /// # Errors
    /// If it is no pattern for dates, or has letters for weeks or for full names of zones.
    pub fn date(mut self, pattern: &str) -> Result<Self, DateFormatError> {
        let fail = |reason| DateFormatError { pattern: pattern.to_owned(), reason };
        self.date = Some(JavaDate::new(pattern).map_err(fail)?);
        Ok(self)
    }

    /// The fields of a message; `None` if it has another format.
    pub(super) fn read<'a>(
        &self,
        number: u32,
        message: &'a str,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Option<Fields<'a>> {
        let groups = self.pattern.find(message)?;
        let group = |index: usize| groups.get(index).cloned().flatten().and_then(|range| message.get(range));
        let short = |index: usize| match group(index) {
            Some(text) if text.len() > SYSLOG_HOST_BYTES_MAX => Err(()),
            text => Ok(text.filter(|text| !text.is_empty()).map(str::as_bytes)),
        };
        let (priority, version, host) = (short(1).ok()?, short(2).ok()?, short(4).ok()?);
        let date = group(3);
        let millis = date.zip(self.date.as_ref()).and_then(|(date, pattern)| {
            let replaced = self.search.as_ref().and_then(|search| search.replace_all(date));
            pattern.parse(replaced.as_deref().unwrap_or(date), zone, now)
        });
        let [date, host_text, text] = [date, group(4), group(5)].map(|part| part.map(str::as_bytes));
        Some(Fields { number, priority, version, date, millis, host_text, host, text })
    }
}
