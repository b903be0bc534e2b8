//! Text that people write: properties, patterns, times.

use jiff::tz::TimeZone;

use super::input::Input;
use crate::codec::java_date::JavaDate;
pub(super) use crate::codec::pattern::fuzz::{pattern, replacement, replacement_seeds};
use crate::codec::time_pattern::TimePattern;
pub(super) use crate::config::fuzz::{properties, reference_seeds, references};

/// No text and no pattern for times breaks anything.
pub(super) fn time_pattern(data: &[u8]) {
    let mut input = Input::new(data);
    let at = usize::from(input.byte());
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    let Some((pattern, time)) = text.split_at_checked(at.min(text.len())) else { return };
    let Ok(pattern) = TimePattern::new(pattern, TimeZone::UTC, 2026) else { return };
    assert_eq!(pattern.parse(time), pattern.parse(time));
}

pub(super) fn time_pattern_seeds() -> Vec<Vec<u8>> {
    let pairs = [
        ("yyyy-MM-dd HH:mm:ss", "2026-11-28 14:15:16"),
        ("EEE, d MMM yy hh:mm:ss.SSS a Z", "Sat, 28 Nov 26 02:15:16.123 PM +0100"),
        ("'day' D 'of' y", "day 332 of 2026"),
    ];
    let seed = |(pattern, time): (&str, &str)| {
        let mut seed = vec![u8::try_from(pattern.len()).unwrap_or(u8::MAX)];
        seed.extend(pattern.bytes().chain(time.bytes()));
        seed
    };
    pairs.into_iter().map(seed).collect()
}

/// No pattern of Java's and no text breaks it, and a date with all fields in figures is read again as it was written.
pub(super) fn java_date(data: &[u8]) {
    let mut input = Input::new(data);
    let at = usize::from(input.byte());
    let Ok(text) = std::str::from_utf8(input.rest()) else { return };
    let Some((pattern, time)) = text.split_at_checked(at.min(text.len())) else { return };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let Ok(form) = JavaDate::new(pattern) else { return };
    let _ = form.parse(time, &TimeZone::UTC, now);
    let _ = form.format(now, &TimeZone::UTC);
    // With everything that a time consists of in front, and nothing that contradicts it behind.
    let Ok(whole) = JavaDate::new(&format!("yyyy-MM-dd HH:mm:ss.SSSZ '|' {pattern}")) else { return };
    let written = whole.format(now, &TimeZone::UTC);
    let head = JavaDate::new("yyyy-MM-dd HH:mm:ss.SSSZ").map(|head| head.parse(&written, &TimeZone::UTC, now));
    assert_eq!(head, Ok(Some(0)), "{written}");
}

pub(super) fn pattern_seeds() -> Vec<Vec<u8>> {
    [r"(\d+):(?<x>[a-z&&[^b]]*)$", r"\Q.\E|\p{Alpha}+?", r"^(?i)ab{1,3}(?:c|d)\1", r"[\w.-]+@\x{41}\u0041\cA"]
        .map(|seed| seed.as_bytes().to_vec())
        .into()
}

pub(super) fn properties_seeds() -> Vec<Vec<u8>> {
    ["a.sources = s\n# x\na.sources.s.type:seq\r\n", "k\\ e\\u0041 = v \\\n   more\\t\\\\\n!x\nempty\n"]
        .map(|seed| seed.as_bytes().to_vec())
        .into()
}
