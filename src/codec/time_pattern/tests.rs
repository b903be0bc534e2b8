use super::*;

fn millis(pattern: &str, text: &str) -> Option<i64> {
    millis_in(pattern, text, TimeZone::UTC)
}

fn millis_in(pattern: &str, text: &str, zone: TimeZone) -> Option<i64> {
    TimePattern::new(pattern, zone, 2026).unwrap().parse(text)
}

// The expected numbers are those of `date -u -d ... +%s`.
#[test]
fn times_are_read_in_the_patterns_that_people_use() {
    let cases = [
        ("yyyy-MM-dd HH:mm", "2012-10-17 14:34", 1_350_484_440_000),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2026-11-23T08:09:10.250+0100", 1_795_417_750_250),
        ("yyyy-MM-dd'T'HH:mm:ssZZ", "2026-11-23T08:09:10Z", 1_795_421_350_000),
        ("dd/MMM/yyyy:HH:mm:ss Z", "23/Nov/2026:08:09:10 -0530", 1_795_441_150_000),
        ("EEE, d MMMM yyyy hh:mm a", "Mon, 3 february 2020 01:05 PM", 1_580_735_100_000),
        ("yyyyMMddHHmmss", "20200203130500", 1_580_735_100_000),
        ("yy-M-d", "20-2-3", 1_580_688_000_000),
        ("yy-M-d", "99-2-3", 918_000_000_000),
        ("yy-M-d", "2020-2-3", 1_580_688_000_000),
        ("yyyy-DDD", "2020-034", 1_580_688_000_000),
        ("yyyy", "2020", 1_577_836_800_000),
        ("MM-dd", "02-03", 949_536_000_000),
        ("HH:mm:ss", "00:00:01", 1_000),
        ("kk:mm", "24:01", 60_000),
        ("KK a", "11 pm", 82_800_000),
        ("h 'o''clock'", "12 O'clock", 0),
        ("ss.S", "01.5", 1_500),
        ("ss.SSSSSSSSSSSS", "01.123456789012", 1_123),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(millis(pattern, text), Some(expected), "{pattern} {text}");
    }
}

#[test]
fn without_an_offset_the_zone_counts() {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let read = |text| millis_in("yyyy-MM-dd HH:mm", text, berlin.clone());
    assert_eq!(read("2026-01-01 00:00"), Some(1_767_222_000_000));
    assert_eq!(read("2026-07-01 00:00"), Some(1_782_856_800_000));
    // An hour that does not exist is that much after the one before the gap.
    assert_eq!(read("2026-03-29 02:30"), read("2026-03-29 03:30"));
}

#[test]
fn what_is_not_written_like_the_pattern_is_no_time() {
    let cases = [
        ("yyyy-MM-dd", "2026-13-01"),
        ("yyyy-MM-dd", "2026-02-30"),
        ("yyyy-MM-dd", "2026-02-03x"),
        ("yyyy-MM-dd", "2026-02"),
        ("yyyy-MM-dd", ""),
        ("HH:mm:ss", "24:00:00"),
        ("HH:mm:ss", "23:59:60"),
        ("MMM", "Foo"),
        ("Z", "0100"),
        ("Z", "+1:00"),
        ("Z", "+24:00"),
        ("yyyyMMdd", "2020-2-3"),
        ("yyyy", "40000"),
        ("yyMM", "2"),
        ("dd", "\u{e9}"),
        ("MMM dd", "Ja\u{f6} 01"),
    ];
    for (pattern, text) in cases {
        assert_eq!(millis(pattern, text), None, "{pattern} {text}");
    }
}

#[test]
fn letters_that_are_not_supported_are_refused_by_name() {
    let refusal = |pattern| TimePattern::new(pattern, TimeZone::UTC, 2026).unwrap_err();
    assert_eq!(
        refusal("yyyy z"),
        "z, the short name of a time zone, is ambiguous and not supported; write Z for an offset"
    );
    assert_eq!(refusal("ZZZ"), "ZZZ, the name of a time zone, is not supported; write Z for an offset");
    assert!(refusal("xxxx-'W'ww").starts_with("the letter x "));
    assert_eq!(refusal("yyyyTHH"), "T is not a letter of time patterns; put text into single quotes");
    assert_eq!(refusal("yyyy 'at"), "a single quote is not closed; write two for the character itself");
    assert_eq!(refusal(""), "it is empty");
}
