//! Syslog: RFC 3164 and RFC 5424 messages, and how RFC 6587 puts them on a stream.
//!
//! What becomes of a message is Flume's: the headers `Facility`, `Severity`, `priority`, `version`, `timestamp` and `host`,
//! the text as the body, and a header `flume.syslog.status` on what could not be read. Nothing is ever refused: a message
//! that is no syslog is an event with its bytes as they came.

mod date;
mod format;
mod frame;
mod keep;
mod message;

use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::charset::{Charset, DecodeError};
use crate::event::{Event, Headers};
use message::Fields;

pub use format::{DateFormatError, SyslogFormat};
pub use frame::{Frame, FrameEnd, SyslogFramer};
pub use keep::{KeepFields, KeptFields, UnknownField};

/// Name of the header that says what is wrong with a message.
pub const STATUS_HEADER: &str = "flume.syslog.status";

/// Which of Flume's two readings of syslog is meant. They differ in what they accept and in two names of headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// That of `syslogtcp` and `syslogudp`. A priority of one to three digits, then a version, a date of either RFC, a
    /// host of letters, digits, `_`, `.`, `@` and `-`. What has only the priority is kept whole, without the other
    /// headers; what has none is `Invalid`, with `Facility` and `Severity` 0. Dates without a zone are local.
    #[default]
    Single,
    /// That of `multiport_syslogtcp`. A priority of up to five digits, any host without a blank, the time of arrival
    /// where there is no date, and `Invalid` for everything else. The headers are named `Priority` and `Version`. Dates
    /// without a zone are UTC.
    Multiport,
}

/// Turns syslog messages into events.
///
/// ```
/// use std::time::SystemTime;
/// use aqueduct::codec::syslog::{FrameEnd, SyslogParser};
///
/// let parser = SyslogParser::default();
/// let message = b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed";
/// let event = parser.parse(message, FrameEnd::Whole, SystemTime::UNIX_EPOCH);
/// let header = |name| event.headers().get(name);
/// assert_eq!((header("Facility"), header("Severity")), (Some("4"), Some("2")));
/// assert_eq!((header("priority"), header("version")), (Some("34"), Some("1")));
/// assert_eq!((header("timestamp"), header("host")), (Some("1065910455003"), Some("mymachine")));
/// assert_eq!(event.body(), "su - ID47 - 'su root' failed");
/// ```
///
/// # Dates
///
/// Header `timestamp` is in milliseconds since 1970. A date of RFC 3164 has no year: the one is taken that puts it into the
/// eleven months before now or the month after now. Days and times that do not exist run over into the next ones in
/// [`Dialect::Single`], as in Java: February 30 is March 2.
///
/// # Where this differs from Flume
///
/// The zone of an RFC 5424 date counts also beside a fraction of a second, and `.5` is half a second. An `Invalid` message has
/// no `priority` of the message before it. Bytes that are not UTF-8, zero bytes, carriage returns and newlines within
/// a message change nothing. In `multiport_syslogtcp`, years are right; a date of RFC 3164 that does not exist, such
/// as October 32, is of 1970, as in Flume, but text that is no date at all is `Invalid` and keeps its beginning.
#[derive(Clone, Debug)]
pub struct SyslogParser {
    dialect: Dialect,
    keep: KeepFields,
    charset: Charset,
    zone: TimeZone,
    format: Option<Box<SyslogFormat>>,
}

/// The system has no time zone of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone {name:?}; names are those of the IANA database, such as Europe/Berlin")]
#[non_exhaustive]
pub struct UnknownZone {
    /// The name.
    pub name: String,
}

impl SyslogParser {
    /// A parser that keeps no fields in the body, takes text for UTF-8, and dates without a zone for UTC.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, keep: KeepFields::None, charset: Charset::UTF_8, zone: TimeZone::UTC, format: None }
    }

    /// Which parts of a message stay in the body, before its text. Default: none.
    #[must_use]
    pub fn keep_fields(mut self, keep: KeepFields) -> Self {
        self.keep = keep;
        self
    }

    /// The encoding of messages in [`Dialect::Multiport`], where one that is not valid in it is `Invalid`. Bodies stay in
    /// it; headers are decoded. It must contain ASCII. Default: UTF-8.
    #[must_use]
    pub fn charset(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }

    /// The zone of dates that have none, by its name in the IANA database. Default: UTC.
    ///
    /// # Errors
    /// [`UnknownZone`], if the system does not know it.
    pub fn zone(mut self, name: &str) -> Result<Self, UnknownZone> {
        self.zone = TimeZone::get(name).map_err(|_| UnknownZone { name: name.to_owned() })?;
        Ok(self)
    }

    /// The zone of dates that have none is the one that the system is set to.
    #[must_use]
    pub fn system_zone(mut self) -> Self {
        self.zone = TimeZone::system();
        self
    }

    /// A format of one's own, which is tried before those of the RFCs. Only [`Dialect::Single`] has it. Where it matches a
    /// message that is not UTF-8, bad bytes are replaced. Default: none.
    #[must_use]
    pub fn format(mut self, format: SyslogFormat) -> Self {
        self.format = Some(Box::new(format));
        self
    }

    /// The event of one message, which came at the time `now`.
    #[must_use]
    pub fn parse(&self, message: &[u8], end: FrameEnd, now: SystemTime) -> Event {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let format = self.format.as_ref().filter(|_| self.dialect == Dialect::Single);
        let text = format.map(|format| (format, String::from_utf8_lossy(message)));
        let mut charset = self.charset;
        let fields = match self.dialect {
            Dialect::Single => message::single(message, now, &self.zone).map(|fields| {
                let own = text.as_ref().and_then(|(format, text)| format.read(fields.number, text, now, &self.zone));
                if own.is_some() {
                    // Text already.
                    charset = Charset::UTF_8;
                }
                own.unwrap_or(fields)
            }),
            Dialect::Multiport => message::multiport(message, now, &self.zone).filter(|_| self.is_valid(message)),
        };
        let status = match (&fields, end) {
            (None, _) => Some("Invalid"),
            (Some(_), FrameEnd::Cut | FrameEnd::Eof) => Some("Incomplete"),
            (Some(_), FrameEnd::Whole) => None,
        };
        let body = fields.as_ref().and_then(|fields| self.body(fields));
        let body = body.unwrap_or_else(|| Bytes::copy_from_slice(message));
        Event::from_parts(self.headers(fields.as_ref(), charset, status), body)
    }

    fn is_valid(&self, message: &[u8]) -> bool {
        if self.charset == Charset::UTF_8 {
            return std::str::from_utf8(message).is_ok();
        }
        message.is_ascii() || self.charset.decode(Bytes::copy_from_slice(message), DecodeError::Fail).is_ok()
    }

    /// `None` stands for the whole message.
    fn body(&self, fields: &Fields<'_>) -> Option<Bytes> {
        let text = fields.text?;
        match (&self.keep, self.dialect) {
            // A message without text is kept whole, so that no body is empty.
            (KeepFields::None, _) | (KeepFields::Some(_), Dialect::Multiport) if text.is_empty() => None,
            (KeepFields::None, _) => Some(Bytes::copy_from_slice(text)),
            (KeepFields::All, _) => None,
            (KeepFields::Some(kept), _) => Some(kept.before(fields, text).into()),
        }
    }

    fn headers(&self, fields: Option<&Fields<'_>>, charset: Charset, status: Option<&str>) -> Headers {
        let mut headers = Headers::new();
        // All of them together are far below the limits: a host is no longer than `SYSLOG_HOST_BYTES_MAX`.
        let mut set = |name: &str, value: &str| headers.insert(name, value).unwrap_or_default();
        let (priority_name, version_name) = match self.dialect {
            Dialect::Single => ("priority", "version"),
            Dialect::Multiport => ("Priority", "Version"),
        };
        if let Some(fields) = fields {
            set("Facility", &(fields.number / 8).to_string());
            set("Severity", &(fields.number % 8).to_string());
            if let Some(priority) = fields.priority {
                set(priority_name, &String::from_utf8_lossy(priority));
            }
            if let Some(version) = fields.version {
                set(version_name, &String::from_utf8_lossy(version));
            }
            if let Some(millis) = fields.millis {
                set("timestamp", &millis.to_string());
            }
            if let Some(host) = fields.host {
                let decoded = charset.decode(Bytes::copy_from_slice(host), DecodeError::Replace);
                set("host", &String::from_utf8_lossy(&decoded.unwrap_or_default()));
            }
        } else if self.dialect == Dialect::Single {
            set("Facility", "0");
            set("Severity", "0");
        }
        if let Some(status) = status {
            set(STATUS_HEADER, status);
        }
        headers
    }
}

impl Default for SyslogParser {
    fn default() -> Self {
        Self::new(Dialect::default())
    }
}

#[cfg(test)]
mod tests;
