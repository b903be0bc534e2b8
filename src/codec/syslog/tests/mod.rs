//! What becomes of messages. Most expectations were seen on Flume 1.11.0, with the same input on 2026-11-25, in the zones
//! UTC and Asia/Shanghai; where it does otherwise, the case says so.

use std::time::{Duration, SystemTime};

use super::*;
use crate::limits::SYSLOG_HOST_BYTES_MAX;
use crate::testing::Random;

mod years;

/// 2026-11-25T02:58:00Z
const NOW: u64 = 1_795_575_480;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// The headers by name, then the body.
fn show(event: &Event) -> String {
    let mut headers: Vec<_> = event.headers().iter().map(|(name, value)| format!("{name}={value}")).collect();
    headers.sort();
    format!("{{{}}} {}", headers.join(", "), event.body().escape_ascii())
}

fn parse(parser: &SyslogParser, message: &[u8]) -> String {
    show(&parser.parse(message, FrameEnd::Whole, now()))
}

fn single(message: impl AsRef<[u8]>) -> String {
    parse(&SyslogParser::new(Dialect::Single), message.as_ref())
}

fn multiport(message: impl AsRef<[u8]>) -> String {
    parse(&SyslogParser::new(Dialect::Multiport), message.as_ref())
}

#[test]
fn a_format_of_ones_own_is_tried_first_as_in_flume() -> Result<(), Box<dyn std::error::Error>> {
    let format = SyslogFormat::new(r"<(\d+)>(\d*)\[([^\]]*)\] (\S*) ?(.*)")?;
    let format = format.replace(r"/(\d+)/", "-$1-")?.date("yyyy-MM-dd HH:mm:ss")?;
    let base = SyslogParser::new(Dialect::Single).format(format);
    let some = base.clone().keep_fields("priority version timestamp hostname".parse()?);
    for (message, none, kept) in [
        (
            &b"<14>3[2026/13/28 13:05:09 more] web-2 x"[..],
            "{Facility=1, Severity=6, host=web-2, priority=14, timestamp=1801141509000, version=3} x",
            "<14>3 2026/13/28 13:05:09 more web-2 x",
        ),
        (
            b"<15>[2026/1/2 3:4:5] ",
            "{Facility=1, Severity=7, priority=15, timestamp=1767323045000} <15>[2026/1/2 3:4:5] ",
            "<15>2026/1/2 3:4:5  ",
        ),
        (b"<13>[] h b", "{Facility=1, Severity=5, host=h, priority=13} b", "<13> h b"),
        (
            b"<13>Nov 25 10:00:00 web-1 app: rfc",
            "{Facility=1, Severity=5, host=web-1, priority=13, timestamp=1795600800000} app: rfc",
            "<13>Nov 25 10:00:00 web-1 app: rfc",
        ),
        (b"[] h b", "{Facility=0, Severity=0, flume.syslog.status=Invalid} [] h b", "[] h b"),
        (
            b"<13>[2026/11/28 99:99:99] h \xff bad",
            r"{Facility=1, Severity=5, host=h, priority=13, timestamp=1796186439000} \xef\xbf\xbd bad",
            "<13>2026/11/28 99:99:99 h \u{fffd} bad",
        ),
    ] {
        assert_eq!(parse(&base, message), none);
        assert_eq!(some.parse(message, FrameEnd::Whole, now()).body(), kept);
    }
    // The host is text by then, and is not decoded again.
    let latin = base.clone().charset(Charset::for_label("ISO-8859-1").ok_or("a charset")?);
    let event = latin.parse("<13>[] b\u{fc}ro x".as_bytes(), FrameEnd::Whole, now());
    assert_eq!(event.headers().get("host"), Some("b\u{fc}ro"));
    let long = format!("<1>[] {} x", "h".repeat(SYSLOG_HOST_BYTES_MAX + 1));
    assert_eq!(parse(&base, long.as_bytes()), format!("{{Facility=0, Severity=1}} {long}"));
    Ok(())
}

#[test]
fn both_rfcs_are_read_as_in_flume() {
    for (message, expected) in [
        (
            "<13>Nov 25 10:00:00 web-1 app: hello",
            "{Facility=1, Severity=5, host=web-1, priority=13, timestamp=1795600800000} app: hello",
        ),
        (
            "<13>Nov  5 10:00:00 web-1 two spaces",
            "{Facility=1, Severity=5, host=web-1, priority=13, timestamp=1793872800000} two spaces",
        ),
        (
            "<34>1 2003-10-11T22:14:15.003Z my.example.com su - ID47 - BOM",
            "{Facility=4, Severity=2, host=my.example.com, priority=34, timestamp=1065910455003, version=1} su - ID47 - BOM",
        ),
        (
            "<34>1 2003-10-11T22:14:15+01:00 h text",
            "{Facility=4, Severity=2, host=h, priority=34, timestamp=1065906855000, version=1} text",
        ),
        (
            "<13>1 2003-10-11T22:14:15-00:30 h x",
            "{Facility=1, Severity=5, host=h, priority=13, timestamp=1065912255000, version=1} x",
        ),
        (
            "<34>1 2003-10-11T22:14:15.123456Z h micro",
            "{Facility=4, Severity=2, host=h, priority=34, timestamp=1065910455123, version=1} micro",
        ),
        ("<14>1 - - text", "{Facility=1, Severity=6, priority=14, version=1} text"),
        ("<14>1 - h text", "{Facility=1, Severity=6, host=h, priority=14, version=1} text"),
        // Flume ignores the zone beside a fraction, and takes .5 for 5 ms.
        (
            "<34>1 2003-10-11T22:14:15.5+01:00 h text",
            "{Facility=4, Severity=2, host=h, priority=34, timestamp=1065906855500, version=1} text",
        ),
    ] {
        assert_eq!(single(message), expected, "{message}");
    }
}

#[test]
fn variants_of_the_head_are_read_as_in_flume() {
    let date = "Nov 25 10:00:00";
    let plain = "{Facility=1, Severity=5, host=h, priority=13, timestamp=1795600800000} v";
    let version = |version: u8, millis: u64| {
        format!("{{Facility=1, Severity=5, host=h, priority=13, timestamp={millis}, version={version}}} v")
    };
    for (message, expected) in [
        (format!("<13> {date} h v"), plain.to_owned()),
        (format!("<13>{date}\th\tv"), plain.to_owned()),
        (format!("<13>1 {date} h v"), version(1, 1_795_600_800_000)),
        (format!("<13>2 {date} h v"), version(2, 1_795_600_800_000)),
        ("<13>12003-10-11T22:14:15Z h v".to_owned(), version(1, 1_065_910_455_000)),
        (
            "<13>2003-10-11T22:14:15Z h v".to_owned(),
            "{Facility=1, Severity=5, host=h, priority=13, timestamp=1065910455000} v".to_owned(),
        ),
        (
            format!("<013>{date} h x"),
            "{Facility=1, Severity=5, host=h, priority=013, timestamp=1795600800000} x".to_owned(),
        ),
        (
            format!("<999>{date} h x"),
            "{Facility=124, Severity=7, host=h, priority=999, timestamp=1795600800000} x".to_owned(),
        ),
        (
            format!("<13>{date} last message repeated 2 times"),
            "{Facility=1, Severity=5, host=last, priority=13, timestamp=1795600800000} message repeated 2 times"
                .to_owned(),
        ),
        // A date that is none, or has a tab in it, leaves the host.
        ("<13>Foo 12 10:00:00 h x".to_owned(), "{Facility=1, Severity=5, host=h, priority=13} x".to_owned()),
        ("<13>Nov\t25 10:00:00 h x".to_owned(), "{Facility=1, Severity=5, host=h, priority=13} x".to_owned()),
    ] {
        assert_eq!(single(&message), expected, "{message}");
    }
}

#[test]
fn days_and_times_that_do_not_exist_run_over() {
    for (date, millis) in [
        ("Feb 30 10:00:00", 1_772_445_600_000_u64),
        ("Nov 25 25:61:61", 1_795_658_521_000),
        ("Nov 5 10:00:00", 1_793_872_800_000),
        ("Nov 05 10:00:00", 1_793_872_800_000),
        ("1 2003-13-45T22:14:15Z", 1_076_796_855_000),
        ("1 2003-02-30T22:14:15Z", 1_046_643_255_000),
        ("1 2003-10-11T22:14:60Z", 1_065_910_500_000),
    ] {
        let event = SyslogParser::default().parse(format!("<13>{date} h x").as_bytes(), FrameEnd::Whole, now());
        assert_eq!(event.headers().get("timestamp"), Some(millis.to_string().as_str()), "{date}");
    }
}

#[test]
fn what_has_only_a_priority_is_kept_whole() {
    for message in [
        "<13>plain text",
        "<13>Hello world this is text",
        "<13>",
        "<13>Nov 25 10:00:00 h",
        "<13>NOV 25 10:00:00 h x",
        "<13>Nov 25 10:00:00  h two",
        "<13>Nov 25 10:00:00 \u{e9}h x",
        "<13>1  2003-10-11T22:14:15Z h two",
        "<13>1 2003-10-11T22:14:15Z h",
        "<13>1 2003-10-11T22:14:15z h x",
        "<13>1 2003-10-11T22:14:15+0100 h x",
        "<13>1 2003-10-11T22:14:15,003Z h x",
        "<13>1 2003-10-11T22:14:15Zjunk h x",
        "<13>1 2003-10-11T22:14:15.1234567Z h seven",
        "<13>1 2003-10-11T22:14:15Z ::1 v6",
        "<13>1 2003-10-11T22:14:15Z -h x",
    ] {
        let body = message.as_bytes().escape_ascii();
        assert_eq!(single(message), format!("{{Facility=1, Severity=5}} {body}"), "{message}");
    }
    let long_host = format!("<13>1 2003-10-11T22:14:15Z {} x", "h".repeat(SYSLOG_HOST_BYTES_MAX + 1));
    assert_eq!(single(&long_host), format!("{{Facility=1, Severity=5}} {long_host}"));
}

#[test]
fn what_has_no_priority_is_invalid() {
    for message in [
        "no priority",
        "<abc>x",
        "<>x",
        "<1x3>foo",
        "<0013>x",
        "<12345>Nov 25 10:00:00 h x",
        "<-5>x",
        "<13",
        "<",
        "",
        " <13>x",
    ] {
        assert_eq!(single(message), format!("{{Facility=0, Severity=0, flume.syslog.status=Invalid}} {message}"));
    }
}

#[test]
fn a_message_without_text_is_its_own_body() {
    for message in ["<13>Nov 25 10:00:00 h ", "<13>1 2003-10-11T22:14:15Z h "] {
        for dialect in [Dialect::Single, Dialect::Multiport] {
            let event = SyslogParser::new(dialect).parse(message.as_bytes(), FrameEnd::Whole, now());
            assert_eq!((event.headers().get("host"), event.body().as_ref()), (Some("h"), message.as_bytes()));
        }
    }
}

/// In Flume a carriage return keeps a message from being recognised, bytes that are not UTF-8 are replaced, and
/// `multiport_syslogtcp` cuts a text at a zero byte.
#[test]
fn a_text_is_kept_byte_for_byte() {
    for text in [&b"cr lf\r"[..], b"a\rb", b"a\nb", b"\xff\xfe", b"\0", b"a\0b", b" ", b"\x1b[31m"] {
        let message = [b"<13>Nov 25 10:00:00 h ", text].concat();
        let event = SyslogParser::default().parse(&message, FrameEnd::Whole, now());
        assert_eq!((event.headers().get("host"), event.body().as_ref()), (Some("h"), text));
        let event = SyslogParser::new(Dialect::Multiport).parse(&message, FrameEnd::Whole, now());
        if text == b"\xff\xfe" {
            assert_eq!(event.headers().iter().collect::<Vec<_>>(), [(STATUS_HEADER, "Invalid")]);
            assert_eq!(event.body(), &message);
        } else {
            assert_eq!((event.headers().get("host"), event.body().as_ref()), (Some("h"), text));
        }
    }
}

#[test]
fn a_cut_message_is_incomplete_unless_it_is_invalid() {
    for end in [FrameEnd::Cut, FrameEnd::Eof] {
        for (message, status) in [("<13>Nov 25 10:00:00 h x", "Incomplete"), ("<13>x", "Incomplete"), ("x", "Invalid")]
        {
            let event = SyslogParser::default().parse(message.as_bytes(), end, now());
            assert_eq!(event.headers().get(STATUS_HEADER), Some(status), "{message}");
        }
    }
}

#[test]
fn kept_fields_stand_before_the_text() {
    let rfc5424 = "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com rest of it";
    let rfc3164 = "<13>Nov  5 10:00:00 web-1 app: x";
    let none = "<14>1 - - text";
    for (keep, message, body) in [
        ("none", rfc5424, "rest of it"),
        ("FALSE", rfc5424, "rest of it"),
        ("all", rfc5424, rfc5424),
        ("True", rfc3164, rfc3164),
        ("priority version timestamp hostname", rfc5424, rfc5424),
        ("priority timestamp hostname", rfc5424, "<34>2003-10-11T22:14:15.003Z mymachine.example.com rest of it"),
        ("hostname,Priority", rfc5424, "<34>mymachine.example.com rest of it"),
        ("version", rfc5424, "1 rest of it"),
        ("priority version timestamp hostname", rfc3164, rfc3164),
        ("timestamp", rfc3164, "Nov  5 10:00:00 app: x"),
        // Flume writes "null".
        ("timestamp hostname", none, "- - text"),
        ("timestamp", "<13>neither format", "<13>neither format"),
        ("timestamp", "neither", "neither"),
    ] {
        for dialect in [Dialect::Single, Dialect::Multiport] {
            let parser = SyslogParser::new(dialect).keep_fields(keep.parse().unwrap());
            let event = parser.parse(message.as_bytes(), FrameEnd::Whole, now());
            assert_eq!(event.body(), body, "{keep} of {message}");
        }
    }
    let empty = "<13>Nov 25 10:00:00 h ";
    let parser = SyslogParser::default().keep_fields("hostname".parse().unwrap());
    assert_eq!(parser.parse(empty.as_bytes(), FrameEnd::Whole, now()).body(), "h ");
    for mistake in ["prio", "priority hostnam", "all none", "*"] {
        assert!(mistake.parse::<KeepFields>().is_err(), "{mistake}");
    }
}

#[test]
fn the_other_dialect_has_its_own_names_and_rules() {
    for (message, expected) in [
        (
            "<13>Nov 25 10:00:00 web-1 app: hello",
            "{Facility=1, Priority=13, Severity=5, host=web-1, timestamp=1795600800000} app: hello",
        ),
        (
            "<34>1 2003-10-11T22:14:15.003Z h su - BOM",
            "{Facility=4, Priority=34, Severity=2, Version=1, host=h, timestamp=1065910455003} su - BOM",
        ),
        (
            "<34>1 2003-10-11T22:14:15.5+01:00 h text",
            "{Facility=4, Priority=34, Severity=2, Version=1, host=h, timestamp=1065906855500} text",
        ),
        (
            "<34>1 2003-10-11T22:14:15.1234567Z h seven",
            "{Facility=4, Priority=34, Severity=2, Version=1, host=h, timestamp=1065910455123} seven",
        ),
        ("<14>1 - - text", "{Facility=1, Priority=14, Severity=6, Version=1, host=-, timestamp=1795575480000} text"),
        ("<14>1 - h text", "{Facility=1, Priority=14, Severity=6, Version=1, host=h, timestamp=1795575480000} text"),
        (
            "<12345>Nov 25 10:00:00 h x",
            "{Facility=1543, Priority=12345, Severity=1, host=h, timestamp=1795600800000} x",
        ),
        ("<13>NOV 25 10:00:00  h two", "{Facility=1, Priority=13, Severity=5, host=, timestamp=1795600800000} h two"),
        (
            "<13>1 2003-10-11T22:14:15Z ::1 v6",
            "{Facility=1, Priority=13, Severity=5, Version=1, host=::1, timestamp=1065910455000} v6",
        ),
        (
            "<13>1 2003-10-11T22:14:15,003Z h com",
            "{Facility=1, Priority=13, Severity=5, Version=1, host=h, timestamp=1065910455000} com",
        ),
        (
            "<13>Nov 25 10:00:00 \u{e9}h utf host",
            "{Facility=1, Priority=13, Severity=5, host=\u{e9}h, timestamp=1795600800000} utf host",
        ),
        // Flume takes two columns more than this date has.
        (
            "<13>Nov 5 10:00:00 h one digit",
            "{Facility=1, Priority=13, Severity=5, host=h, timestamp=1793872800000} one digit",
        ),
    ] {
        assert_eq!(multiport(message), expected, "{message}");
    }
}

#[test]
fn the_other_dialect_calls_everything_else_invalid() {
    for message in [
        "no priority",
        "<abc>x",
        "<>x",
        "<1x3>foo",
        "<0013>x",
        "<123456>Nov 25 10:00:00 h x",
        "<13>",
        "<13>1 ",
        "<13>plain text",
        "<34>1 2003-10-11T22:14:15 h nozone",
        "<13> Nov 25 10:00:00 h v",
        "<13>2 Nov 25 10:00:00 h v",
        "<13>1  2003-10-11T22:14:15Z h two",
        "<13>1 2003-10-11T22:14:15+0100 h x",
        "<13>1 2003-10-11T22:14:15Z h",
        "<13>Nov 25 10:00:00 h",
        "<13>Nov 25 10:00:00 h\ttab",
        "<14>1 -",
        "<14>1 - ",
        "<14>1 - h",
        // Here Flume loses every message of the same read.
        "<13>1 2003-10-11T22:14:15.003 h nz",
        "<13>1 2003-10-11T22:14:15. h nz",
        "<13>1 2003-13-45T22:14:15Z h x",
        "<13>1 2003-02-30T22:14:15Z h x",
        "<13>1 2003-10-11T22:14:60Z h x",
        // Here Flume takes a sign for a digit, words for a date, and the year 12003.
        "<-5>Nov 25 10:00:00 h x",
        "<13>Hello world this is text",
        "<13>Octo 3 10:00:00 h x",
        "<13>Oct 123 10:00:00 h x",
        "<13>Oct 3 10:00:00",
        "<13>12003-10-11T22:14:15Z h nov",
    ] {
        assert_eq!(
            multiport(message),
            format!("{{flume.syslog.status=Invalid}} {}", message.as_bytes().escape_ascii())
        );
    }
}

#[test]
fn the_t_of_a_date_may_be_small_in_the_other_dialect() {
    let expected = "{Facility=1, Priority=13, Severity=5, host=h, timestamp=1063160055003} the text";
    for date in ["2003-09-10T02:14:15.003Z", "2003-09-10t02:14:15.003z"] {
        assert_eq!(multiport(format!("<13>{date} h the text")), expected, "{date}");
    }
}

#[test]
fn dates_that_do_not_exist_are_of_1970_in_the_other_dialect() {
    for date in [
        "Oct 32 10:00:00",
        "Oct 00 10:00:00",
        "Feb 30 10:00:00",
        "Xyz 30 10:00:00",
        "Nov 25 25:61:61",
        "Oct 1 25:00:00",
    ] {
        let expected = "{Facility=1, Priority=13, Severity=5, host=h, timestamp=0} the text";
        assert_eq!(multiport(format!("<13>{date} h the text")), expected, "{date}");
    }
}

#[test]
fn the_other_dialect_decodes_headers_and_leaves_bodies() {
    let latin = SyslogParser::new(Dialect::Multiport).charset(Charset::for_label("ISO-8859-1").unwrap());
    let event = latin.parse(b"<13>Nov 25 10:00:00 h\xe9 caf\xe9", FrameEnd::Whole, now());
    assert_eq!((event.headers().get("host"), event.body().as_ref()), (Some("h\u{e9}"), &b"caf\xe9"[..]));
    let ascii = SyslogParser::new(Dialect::Multiport).charset(Charset::for_label("US-ASCII").unwrap());
    assert_eq!(
        parse(&ascii, b"<13>Nov 25 10:00:00 h \xe9"),
        r"{flume.syslog.status=Invalid} <13>Nov 25 10:00:00 h \xe9"
    );
}

/// Goal: no input makes a parser panic, and nothing of a message is lost. Method: random bytes, and good messages with
/// random changes; the body must be the message or the end of it.
#[test]
fn nothing_of_any_message_is_lost() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let good: [&[u8]; 4] = [
        b"<13>Nov  5 10:00:00 web-1 app: hello",
        b"<34>1 2003-10-11T22:14:15.003+01:00 h su - ID47 - x",
        b"<14>1 - - text",
        b"<13>Feb 29 10:00:00 h x",
    ];
    let bytes = b"<>0123456789 -:.+ZTNovJFeb\t\n\r\0\xff\xc3";
    for round in 0..20_000 {
        let mut message = good[random.index(good.len())].to_vec();
        for _ in 0..random.index(4) {
            let at = random.index(message.len());
            match random.below(3) {
                0 => message[at] = bytes[random.index(bytes.len())],
                1 => drop(message.drain(at..)),
                _ => message.insert(at, bytes[random.index(bytes.len())]),
            }
            if message.is_empty() {
                break;
            }
        }
        for dialect in [Dialect::Single, Dialect::Multiport] {
            let event = SyslogParser::new(dialect).parse(&message, FrameEnd::Whole, now());
            assert!(message.ends_with(event.body()), "round {round}: {:?}", message.escape_ascii().to_string());
        }
    }
}
