use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::JavaDate;

/// 2026-11-28T13:05:09.007Z.
const NOW: i64 = 1_795_871_109_007;

fn now() -> Timestamp {
    Timestamp::from_millisecond(NOW).expect("a time")
}

fn written(pattern: &str, zone: &str) -> String {
    let zone = TimeZone::get(zone).expect("a zone");
    JavaDate::new(pattern).expect("a pattern").format(now(), &zone)
}

fn read(pattern: &str, text: &str) -> Option<i64> {
    JavaDate::new(pattern).expect("a pattern").parse(text, &TimeZone::UTC, now())
}

#[test]
fn times_are_written_as_java_writes_them() {
    for (pattern, expected) in [
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2026-11-28T13:05:09.007+0000"),
        ("yy M d H:m:s S", "26 11 28 13:5:9 7"),
        ("EEE, d MMM yyyy hh a", "Sat, 28 Nov 2026 01 PM"),
        ("EEEE MMMM D u", "Saturday November 332 6"),
        ("k K h G y", "13 1 1 AD 2026"),
        (concat!("z Z ZZ ZZZ X XX X", "XX"), "UTC +0000 Z +00:00 Z Z Z"),
        ("'o''clock' ''", "o'clock '"),
    ] {
        assert_eq!(written(pattern, "UTC"), expected, "{pattern}");
    }
    assert_eq!(
        written(concat!("HH z Z ZZ ZZZ X XX X", "XX"), "Europe/Berlin"),
        "14 CET +0100 +01:00 +01:00 +01 +0100 +01:00"
    );
    assert_eq!(written("kk hh KK a", "America/New_York"), "08 08 08 AM");
}

#[test]
fn times_are_read_as_java_reads_them() {
    for (pattern, text, expected) in [
        ("yyyy-MM-dd HH:mm:ss.SSS", "2026-11-28 13:05:09.007", Some(NOW)),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2026-11-28 13:05:09.007 and more", Some(NOW)),
        ("yyyyMMddHHmmssSSS", "20261128130509007", Some(NOW)),
        ("yyyy-MM-dd HH:mm:ss.SSSZ", "2026-11-28 14:05:09.7+0100", Some(NOW)),
        ("yyyy-MM-dd HH:mm:ss.SSS X", "2026-11-28 14:05:09.7 +01", Some(NOW)),
        (concat!("yyyy-MM-dd HH:mm:ss.SSS X", "XX"), "2026-11-28 14:05:09.7 +01:00", Some(NOW)),
        ("yyyy-MM-dd HH:mm:ss.SSS z", "2026-11-28 14:05:09.7 GMT+01:00", Some(NOW)),
        ("E d MMMM yy h:m:s.S a", "Saturday 28 Nov 26 1:5:9.7 PM", Some(NOW)),
        ("yyyy D HH", "2026 332 13", Some(NOW - 309_007)),
        ("yy", "27", Some(1_798_761_600_000)),
        ("yy", "47", Some(-725_846_400_000)),
        ("HH:mm", "1:61", Some(7_260_000)),
        ("MMM d HH:mm:ss", "Feb  30 00:00:00", Some(60 * 86_400_000)),
        ("yyyy-MM-dd", "2026-13-01", Some(1_798_761_600_000)),
        ("yyyy-MM-dd", "2026-11", None),
        ("yyyy-MM-dd", "2026/11/28", None),
        ("HH:mm Z", "10:00 CEST", None),
        ("yyyy", "99999999", None),
    ] {
        assert_eq!(read(pattern, text), expected, "{pattern}: {text}");
    }
}

#[test]
fn what_is_no_pattern_is_told() {
    for (pattern, expected) in [
        ("", "it is empty"),
        ("yyyy-MM-ddTHH", "T is not a letter of dates"),
        ("YYYY", "for the year of the calendar write y"),
        ("'open", "a single quote is not closed"),
        ("ZZZZ", "at most three times"),
        ("zzzz", "is not supported"),
    ] {
        let told = JavaDate::new(pattern).expect_err("no pattern");
        assert!(told.contains(expected), "{pattern}: {told}");
    }
    let told = JavaDate::new(&"y".repeat(33)).expect_err("no pattern");
    assert!(told.contains("more than 32 times"), "{told}");
}
