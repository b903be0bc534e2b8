//! Dates of syslog messages.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::message::is_blank;

/// What becomes of days and times that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// They run over into the next ones.
    Running,
    /// They are no dates.
    Existing,
}

/// The numbers of a date, as they stand there.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: i32,
}

/// Length of what looks like `Oct  1 22:14:15` for the reading of `syslogtcp`, where blanks may be tabs.
pub(super) fn rfc3164_loose_len(text: &[u8]) -> Option<usize> {
    let at = |index: usize| text.get(index).copied().unwrap_or_default();
    if !(at(0).is_ascii_uppercase() && at(1).is_ascii_lowercase() && at(2).is_ascii_lowercase() && is_blank(at(3))) {
        return None;
    }
    let day = if is_blank(at(4)) { 5 } else { 4 };
    let digits = (day..day + 2).take_while(|index| at(*index).is_ascii_digit()).count();
    let time = day + digits + 1;
    (digits > 0 && is_blank(at(time - 1)) && is_time(text.get(time..time + 8)?)).then_some(time + 8)
}

/// Length of `Oct  1 22:14:15`, or with one blank for a day of one digit.
pub(super) fn rfc3164_len(text: &[u8]) -> Option<usize> {
    let month = text.get(..3)?;
    let rest = text.get(3..)?.strip_prefix(b" ")?;
    let padded = usize::from(rest.starts_with(b" "));
    let digits = rest.get(padded..)?.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
    let time = 4 + padded + digits + 1;
    let is_date = month.iter().all(u8::is_ascii_alphabetic) && digits > 0 && text.get(time - 1) == Some(&b' ');
    (is_date && is_time(text.get(time..time + 8)?)).then_some(time + 8)
}

/// The time of a date without a year, which is within the eleven months before `now` or the month after it.
pub(super) fn rfc3164(text: &[u8], now: Timestamp, zone: &TimeZone, days: Days) -> Option<i64> {
    let numbers = Numbers::rfc3164(text)?;
    let today = zone.to_datetime(now);
    let year = i32::from(today.year());
    let this_year = numbers.at(year, days);
    let Some(guess) = this_year else {
        // February 29 in a year without one.
        return [year - 1, year + 1].into_iter().find_map(|year| {
            numbers.at(year, days).filter(|date| is_near(*date, today)).and_then(|date| millis(date, 0, zone))
        });
    };
    let shift = |by: Span| guess.checked_add(by).ok();
    let year = if guess > today && shift(Span::new().months(-1))? > today {
        year - 1
    } else if guess < today && shift(Span::new().months(11))? < today {
        year + 1
    } else {
        year
    };
    millis(numbers.at(year, days).unwrap_or(guess), 0, zone)
}

fn is_near(date: DateTime, today: DateTime) -> bool {
    let before = date.checked_add(Span::new().months(11)).is_ok_and(|later| later >= today);
    let after = date.checked_add(Span::new().months(-1)).is_ok_and(|earlier| earlier <= today);
    before && after
}

/// Length of what looks like `2003-10-11T22:14:15.003Z`, with or without fraction and zone.
pub(super) fn rfc5424_len(text: &[u8]) -> Option<usize> {
    let head = text.get(..SECONDS)?;
    if !has_form(head, b"0000-00-00T00:00:00") {
        return None;
    }
    let mut len = SECONDS;
    if text.get(len) == Some(&b'.') {
        let digits = text.get(len + 1..)?.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            len += 1 + digits;
        }
    }
    match text.get(len) {
        Some(b'Z') => len += 1,
        Some(b'+' | b'-') if text.get(len + 1..len + 6).is_some_and(|zone| has_form(zone, b"00:00")) => len += 6,
        _ => {}
    }
    Some(len)
}

/// The time of a date whose form [`rfc5424_len`] has found. `None` for `-`.
pub(super) fn rfc5424(text: &[u8], zone: &TimeZone) -> Option<i64> {
    let (date, fraction, rest) = split_rfc5424(text)?;
    let (year, numbers) = Numbers::rfc5424(date)?;
    let date = numbers.at(year, Days::Running)?;
    match offset_minutes(rest) {
        Some(offset) => millis(date, fraction, &TimeZone::UTC).map(|millis| millis - offset * 60_000),
        None => millis(date, fraction, zone),
    }
}

/// The time of a date as `multiport_syslogtcp` reads it: something must follow the seconds, an offset has a colon,
/// whatever is no offset stands for UTC, and the T may be small.
pub(super) fn rfc5424_utc(text: &[u8]) -> Option<i64> {
    let (date, fraction, rest) = split_rfc5424(text)?;
    let has_form = [b"0000-00-00T00:00:00", b"0000-00-00t00:00:00"].into_iter().any(|form| has_form(date, form));
    if !has_form || rest.is_empty() || rest.starts_with(b".") {
        return None;
    }
    let (year, numbers) = Numbers::rfc5424(date)?;
    let utc = millis(numbers.at(year, Days::Existing)?, fraction, &TimeZone::UTC)?;
    match rest.first()? {
        b'+' | b'-' => rest.get(..6).and_then(offset_minutes).map(|offset| utc - offset * 60_000),
        _ => Some(utc),
    }
}

/// Up to the seconds, milliseconds of the fraction, and the rest. A dot without digits is part of the rest.
fn split_rfc5424(text: &[u8]) -> Option<(&[u8], i64, &[u8])> {
    let (date, rest) = text.split_at_checked(SECONDS)?;
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((date, 0, rest)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Some((date, 0, rest));
    }
    let (fraction, rest) = fraction.split_at_checked(digits)?;
    let place = |index: usize| fraction.get(index).map_or(0, |digit| i64::from(digit - b'0'));
    Some((date, place(0) * 100 + place(1) * 10 + place(2), rest))
}

/// Minutes east of Greenwich.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        [b'Z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    if !has_form(digits, b"00:00") {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).and_then(number).map(i64::from);
    Some(sign * (part(0..2)? * 60 + part(3..5)?))
}

impl Numbers {
    /// Of `Oct  1 22:14:15`.
    fn rfc3164(text: &[u8]) -> Option<Self> {
        let month = month_number(text.get(..3)?)?;
        let rest = text.get(3..)?.strip_prefix(b" ")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (day, time) = rest.split_at_checked(rest.iter().position(|byte| *byte == b' ')?)?;
        Self { month, day: number(day)?, hour: 0, minute: 0, second: 0 }.with_time(time.get(1..)?)
    }

    /// Of `2003-10-11T22:14:15`, after its year.
    fn rfc5424(text: &[u8]) -> Option<(i32, Self)> {
        let part = |range: std::ops::Range<usize>| text.get(range).and_then(number);
        let date = Self { month: part(5..7)?, day: part(8..10)?, hour: 0, minute: 0, second: 0 };
        Some((part(0..4)?, date.with_time(text.get(11..)?)?))
    }

    fn with_time(self, time: &[u8]) -> Option<Self> {
        let part = |range: std::ops::Range<usize>| time.get(range).and_then(number);
        is_time(time).then_some(())?;
        Some(Self { hour: part(0..2)?, minute: part(3..5)?, second: part(6..8)?, ..self })
    }

    fn at(self, year: i32, days: Days) -> Option<DateTime> {
        let small = |number: i32| i8::try_from(number).ok();
        if days == Days::Existing {
            let (hour, minute, second) = (small(self.hour)?, small(self.minute)?, small(self.second)?);
            let date = (i16::try_from(year).ok()?, small(self.month)?, small(self.day)?);
            return DateTime::new(date.0, date.1, date.2, hour, minute, second, 0).ok();
        }
        let months = self.month - 1;
        let year = i16::try_from(year + months.div_euclid(12)).ok()?;
        let first = Date::new(year, small(months.rem_euclid(12) + 1)?, 1).ok()?;
        let seconds = (self.day - 1) * 86_400 + self.hour * 3600 + self.minute * 60 + self.second;
        first.at(0, 0, 0, 0).checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()
    }
}

/// Where clocks are set back, a time that comes twice is the later one; one that is left out counts from the old
/// offset. Both as in Java.
fn millis(date: DateTime, fraction: i64, zone: &TimeZone) -> Option<i64> {
    Some(zone.to_ambiguous_timestamp(date).later().ok()?.as_second() * 1000 + fraction)
}

fn month_number(name: &[u8]) -> Option<i32> {
    const NAMES: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let at = NAMES.iter().position(|month| name.eq_ignore_ascii_case(month))?;
    i32::try_from(at + 1).ok()
}

/// Whether `text` is like `form`, where 0 stands for any digit.
fn has_form(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

fn is_time(text: &[u8]) -> bool {
    has_form(text, b"00:00:00")
}

/// The value of up to four digits.
fn number(digits: &[u8]) -> Option<i32> {
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0')))
}

/// Length of a date up to its seconds.
const SECONDS: usize = 19;
