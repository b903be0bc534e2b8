//! The parts of one message, in the two readings that Flume has.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::date;
use crate::limits::SYSLOG_HOST_BYTES_MAX;

/// What is known of a message that has at least a priority. All slices are parts of the message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    /// Facility times 8 plus severity.
    pub(super) number: u32,
    /// The digits of the priority, if the message has one of the formats.
    pub(super) priority: Option<&'a [u8]>,
    pub(super) version: Option<&'a [u8]>,
    /// The date as it stands in the message, or `-`.
    pub(super) date: Option<&'a [u8]>,
    /// The date in milliseconds since 1970.
    pub(super) millis: Option<i64>,
    /// The host as it stands in the message, or `-`.
    pub(super) host_text: Option<&'a [u8]>,
    /// The value for the header.
    pub(super) host: Option<&'a [u8]>,
    /// What follows the host, if the message has one of the formats.
    pub(super) text: Option<&'a [u8]>,
}

/// Reads a message as `syslogtcp` does. `None`: there is no priority.
pub(super) fn single<'a>(message: &'a [u8], now: Timestamp, zone: &TimeZone) -> Option<Fields<'a>> {
    let (priority, rest) = split_priority(message, 3)?;
    let known = Fields { number: number(priority)?, ..Fields::default() };
    let found =
        with_version(rest, |rest| rfc5424(rest, zone)).or_else(|| with_version(rest, |r| rfc3164(r, now, zone)));
    Some(match found {
        None => known,
        Some((version, fields)) => Fields { number: known.number, priority: Some(priority), version, ..fields },
    })
}

/// Reads a message as `multiport_syslogtcp` does. `None`: it has another format.
pub(super) fn multiport<'a>(message: &'a [u8], now: Timestamp, zone: &TimeZone) -> Option<Fields<'a>> {
    let (priority, mut rest) = split_priority(message, 5)?;
    let mut fields = Fields { number: number(priority)?, priority: Some(priority), ..Fields::default() };
    if let Some(after) = rest.strip_prefix(b"1 ").filter(|after| !after.is_empty()) {
        fields.version = rest.get(..1);
        rest = after;
    }
    let date_end = match rest.first()? {
        b'-' => 1,
        b'A'..=b'Z' => date::rfc3164_len(rest)?,
        _ => rest.iter().position(|byte| *byte == b' ')?,
    };
    let (date, after) = rest.split_at_checked(date_end)?;
    fields.millis = Some(match date.first()? {
        b'-' => now.as_millisecond(),
        // As in Flume, a day or time that does not exist is the beginning of 1970.
        b'A'..=b'Z' => date::rfc3164(date, now, zone, date::Days::Existing).unwrap_or(0),
        _ => date::rfc5424_utc(date)?,
    });
    fields.date = Some(date);
    let after = after.strip_prefix(b" ")?;
    let (host, text) = after.split_at_checked(after.iter().position(|byte| *byte == b' ')?)?;
    if host.len() > SYSLOG_HOST_BYTES_MAX {
        return None;
    }
    fields.host_text = Some(host);
    fields.host = Some(host);
    fields.text = text.get(1..);
    Some(fields)
}

/// The digits between `<` and `>`, at most `digits_max` of them, and what follows.
fn split_priority(message: &[u8], digits_max: usize) -> Option<(&[u8], &[u8])> {
    let inside = message.strip_prefix(b"<")?;
    let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).take(digits_max + 1).count();
    let (priority, rest) = inside.split_at_checked(digits)?;
    let rest = rest.strip_prefix(b">")?;
    (1..=digits_max).contains(&digits).then_some((priority, rest))
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Applies `read` behind a version, which is one digit or nothing, and the blank that may follow it.
fn with_version<'a, T>(rest: &'a [u8], read: impl Fn(&'a [u8]) -> Option<T>) -> Option<(Option<&'a [u8]>, T)> {
    let skip_blank = |rest: &'a [u8]| match rest {
        [first, after @ ..] if is_blank(*first) => after,
        _ => rest,
    };
    if let Some((version, after)) = rest.split_at_checked(1).filter(|(first, _)| first.iter().all(u8::is_ascii_digit))
        && let Some(found) = read(skip_blank(after))
    {
        return Some((Some(version), found));
    }
    read(skip_blank(rest)).map(|found| (None, found))
}

fn rfc5424<'a>(rest: &'a [u8], zone: &TimeZone) -> Option<Fields<'a>> {
    let date_len = if rest.starts_with(b"-") { 1 } else { date::rfc5424_len(rest)? };
    let (date, after) = rest.split_at_checked(date_len)?;
    let millis = date::rfc5424(date, zone);
    let after = skip_one_blank(after)?;
    let host_len = if after.starts_with(b"-") { 1 } else { host_len(after)? };
    host_and_text(after, host_len, Fields { date: Some(date), millis, ..Fields::default() })
}

fn rfc3164<'a>(rest: &'a [u8], now: Timestamp, zone: &TimeZone) -> Option<Fields<'a>> {
    let (date, after) = rest.split_at_checked(date::rfc3164_loose_len(rest)?)?;
    let millis = date::rfc3164(date, now, zone, date::Days::Running);
    let after = skip_one_blank(after)?;
    host_and_text(after, host_len(after)?, Fields { date: Some(date), millis, ..Fields::default() })
}

fn host_and_text<'a>(rest: &'a [u8], host_len: usize, fields: Fields<'a>) -> Option<Fields<'a>> {
    let (host, after) = rest.split_at_checked(host_len)?;
    let text = skip_one_blank(after)?;
    let named = Some(host).filter(|host| *host != b"-");
    Some(Fields { host_text: Some(host), host: named, text: Some(text), ..fields })
}

/// Length of a name that begins with a letter, a digit or `_`.
fn host_len(rest: &[u8]) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let len = rest.iter().take_while(|byte| is_word(byte) || b".@-".contains(byte)).count();
    (rest.first().is_some_and(is_word) && len <= SYSLOG_HOST_BYTES_MAX).then_some(len)
}

fn skip_one_blank(rest: &[u8]) -> Option<&[u8]> {
    rest.split_first().filter(|(first, _)| is_blank(**first)).map(|(_, after)| after)
}

/// What `\s` is in Java.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
