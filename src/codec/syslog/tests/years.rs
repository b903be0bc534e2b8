//! Dates without a year or without a zone.

use super::*;

fn at(now: &str, zone: &str, dialect: Dialect, date: &str) -> String {
    let now: Timestamp = now.parse().unwrap();
    let parser = SyslogParser::new(dialect).zone(zone).unwrap();
    let event = parser.parse(format!("<13>{date} h x").as_bytes(), FrameEnd::Whole, now.try_into().unwrap());
    let millis: i64 = event.headers().get("timestamp").unwrap().parse().unwrap();
    Timestamp::from_millisecond(millis).unwrap().to_string()
}

#[test]
fn a_date_without_a_year_is_within_eleven_months_before_now_or_one_after() {
    let (now, new_year) = ("2026-11-25T02:58:00Z", "2027-01-01T00:00:10Z");
    for (now, date, expected) in [
        (now, "Nov 25 02:58:00", "2026-11-25T02:58:00Z"),
        (now, "Oct 11 10:00:00", "2026-10-11T10:00:00Z"),
        (now, "Dec 20 10:00:00", "2026-12-20T10:00:00Z"),
        (now, "Dec 25 02:58:00", "2026-12-25T02:58:00Z"),
        (now, "Dec 25 02:58:01", "2025-12-25T02:58:01Z"),
        (now, "Dec 30 10:00:00", "2025-12-30T10:00:00Z"),
        (now, "Jan 01 10:00:00", "2026-01-01T10:00:00Z"),
        (new_year, "Dec 31 23:59:59", "2026-12-31T23:59:59Z"),
        (new_year, "Jan  1 00:00:09", "2027-01-01T00:00:09Z"),
        (new_year, "Jan 31 00:00:00", "2027-01-31T00:00:00Z"),
        (new_year, "Feb  2 00:00:00", "2026-02-02T00:00:00Z"),
        ("2026-12-31T23:59:50Z", "Jan  1 00:00:10", "2027-01-01T00:00:10Z"),
        // February 29 exists in 2028 only.
        ("2028-03-01T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"),
        ("2029-01-10T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00Z"),
    ] {
        for dialect in [Dialect::Single, Dialect::Multiport] {
            assert_eq!(at(now, "UTC", dialect, date), expected, "{date} at {now}");
        }
    }
}

#[test]
fn a_date_without_a_zone_is_in_the_zone_of_the_parser() {
    let now = "2026-11-25T02:58:00Z";
    for (zone, date, expected) in [
        ("Asia/Shanghai", "Nov 25 10:00:00", "2026-11-25T02:00:00Z"),
        ("Asia/Shanghai", "1 2003-10-11T22:14:15", "2003-10-11T14:14:15Z"),
        ("Asia/Shanghai", "1 2003-10-11T22:14:15.003", "2003-10-11T14:14:15.003Z"),
        // In Flume this zone would count here, too.
        ("Asia/Shanghai", "1 2003-10-11T22:14:15.003Z", "2003-10-11T22:14:15.003Z"),
        ("Asia/Shanghai", "1 2003-10-11T22:14:15Z", "2003-10-11T22:14:15Z"),
        // A time that comes twice, and one that is left out.
        ("Europe/Berlin", "Oct 25 02:30:00", "2026-10-25T01:30:00Z"),
        ("Europe/Berlin", "Mar 29 02:30:00", "2026-03-29T01:30:00Z"),
        // The year of the zone, which is not yet that of UTC or no longer.
        ("Pacific/Auckland", "Nov 25 15:58:00", "2026-11-25T02:58:00Z"),
    ] {
        assert_eq!(at(now, zone, Dialect::Single, date), expected, "{date} in {zone}");
    }
    let new_year = "2026-12-31T23:30:00Z";
    assert_eq!(at(new_year, "Asia/Shanghai", Dialect::Single, "Jan  1 07:29:00"), "2026-12-31T23:29:00Z");
    assert_eq!(at(new_year, "America/New_York", Dialect::Single, "Dec 31 18:29:00"), "2026-12-31T23:29:00Z");
    let error = SyslogParser::default().zone("Mars/Olympus").unwrap_err().to_string();
    assert!(error.contains("Mars/Olympus") && error.contains("Europe/Berlin"), "{error}");
}
