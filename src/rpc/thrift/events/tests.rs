use super::super::data::ThriftProtocol::{self, Binary, Compact};
use super::*;
use crate::limits::HEADERS_COUNT_MAX;
use crate::testing::Random;

fn events() -> Vec<Event> {
    let many = (0..20).fold(Event::new("many"), |event, n| event.with_header(&n.to_string(), "v").unwrap());
    vec![
        Event::new("Hello"),
        Event::new("").with_header("k", "v").unwrap(),
        Event::new(vec![0xff; 300]).with_header("", "").unwrap().with_header("name", "v\u{e4}lue").unwrap(),
        many,
    ]
}

fn encoded(events: &[Event], protocol: ThriftProtocol) -> Vec<u8> {
    let mut out = Vec::new();
    put_many(&mut Writer::new(&mut out, protocol), events);
    out
}

#[test]
fn events_are_the_bytes_that_thrift_defines() {
    let event = Event::new("Hello").with_header("k", "v").unwrap();
    for (protocol, one, empty) in [
        (Compact, &b"\x1c\x1b\x01\x88\x01k\x01v\x18\x05Hello\0\0"[..], &b"\x1c\x1b\x00\x18\x00\0\0"[..]),
        (
            Binary,
            b"\x0c\0\x01\x0d\0\x01\x0b\x0b\0\0\0\x01\0\0\0\x01k\0\0\0\x01v\x0b\0\x02\0\0\0\x05Hello\0\0",
            b"\x0c\0\x01\x0d\0\x01\x0b\x0b\0\0\0\0\x0b\0\x02\0\0\0\0\0\0",
        ),
    ] {
        for (event, bytes) in [(&event, one), (&Event::new(""), empty)] {
            let mut out = Vec::new();
            put_one(&mut Writer::new(&mut out, protocol), event);
            assert_eq!(out, bytes);
            let reader = Reader::new(bytes, protocol);
            assert_eq!(size_of_one(reader).unwrap().events, 1);
            assert_eq!(read_one(reader).as_ref(), Ok(event));
        }
    }
    assert_eq!(encoded(&[], Compact), b"\x19\x0c\0");
    assert_eq!(encoded(&[], Binary), b"\x0f\0\x01\x0c\0\0\0\0\0");
}

#[test]
fn what_is_written_is_read_and_its_size_is_known_before() {
    let events = events();
    for protocol in [Compact, Binary] {
        let bytes = encoded(&events, protocol);
        let reader = Reader::new(&bytes, protocol);
        let size = size_of_many(reader).unwrap();
        assert_eq!(size.events, events.len());
        let expected: u64 = events.iter().map(|event| event.size_bytes() + size_of::<Event>() as u64).sum();
        assert_eq!(size.bytes as u64, expected);
        assert_eq!(read_many(reader).as_ref(), Ok(&events));
        assert_eq!(size_of_one(reader), Err(Malformed::Missing("the argument with the events")));
    }
}

#[test]
fn unknown_fields_are_passed_over_and_the_last_of_each_counts() {
    // A structure with a boolean before, a double and a set of numbers in between, and the body twice.
    let bytes = b"\x3c\x11\x00\x08\x02\x1c\x1b\x01\x88\x01k\x01v\x67\0\0\0\0\0\0\0\0\x1a\x25\x02\x04\x08\x04\x01a\x08\x04\x01b\x00\x00";
    let reader = Reader::new(bytes, Compact);
    let outcome = read_one(reader);
    assert!(outcome.is_err(), "field 1 of the arguments is bytes here: {outcome:?}");
    let bytes = b"\x3c\x11\x00\x0c\x02\x1b\x01\x88\x01k\x01v\x67\0\0\0\0\0\0\0\0\x1a\x25\x02\x04\x08\x04\x01a\x08\x04\x01b\x00\x00";
    let reader = Reader::new(bytes, Compact);
    assert_eq!(read_one(reader), Ok(Event::new("b").with_header("k", "v").unwrap()));
    assert_eq!(size_of_one(reader).unwrap().bytes, size_of::<Event>() + 1 + 8);
}

#[test]
fn what_is_missing_or_of_another_type_is_an_error() {
    for (bytes, error) in [
        (&b"\x00"[..], Malformed::Missing("the argument with the events")),
        (b"\x1c\x00\x00", Malformed::Missing(HEADERS)),
        (b"\x1c\x1b\x00\x00\x00", Malformed::Missing(BODY)),
        (b"\x1c\x28\x00\x00\x00", Malformed::Missing(HEADERS)),
        (b"\x1c\x1b\x01\x58\x02\x00\x18\x00\x00\x00", Malformed::Type("a header of an event")),
        (b"\x1c\x1b\x00\x18\x00\0\0\0", Malformed::Rest(1)),
        (b"\x1c\x1b\x00\x18\x00\0", Malformed::Short("the head of a field")),
    ] {
        assert_eq!(size_of_one(Reader::new(bytes, Compact)), Err(error), "{bytes:?}");
    }
    assert_eq!(size_of_many(Reader::new(b"\x19\x18\x00\x00", Compact)), Err(Malformed::Type("an event in a list")));
    assert_eq!(size_of_many(Reader::new(b"\x19\x00\x00", Compact)), Ok(Size::default()));
    let latin = b"\x1c\x1b\x01\x88\x01\xe4\x00\x18\x00\0\0";
    assert_eq!(read_one(Reader::new(latin, Compact)), Err(Malformed::Text(NAME).into()));
}

#[test]
fn headers_over_the_limits_are_refused() {
    let headers = |count: usize, name: &dyn Fn(usize) -> String| {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, Binary);
        writer.field(Type::Struct, 1, 0);
        writer.field(Type::Map, 1, 0);
        writer.map(Type::Binary, Type::Binary, count);
        for number in 0..count {
            writer.bytes(name(number).as_bytes());
            writer.bytes(b"v");
        }
        writer.field(Type::Binary, 2, 1);
        writer.bytes(b"");
        writer.stop();
        writer.stop();
        size_of_one(Reader::new(&out, Binary)).unwrap();
        read_one(Reader::new(&out, Binary)).map(|event| event.headers().len())
    };
    assert_eq!(headers(HEADERS_COUNT_MAX, &|n| n.to_string()), Ok(HEADERS_COUNT_MAX));
    let too_many = HeadersError::TooMany(HEADERS_COUNT_MAX + 1).into();
    assert_eq!(headers(HEADERS_COUNT_MAX + 1, &|n| n.to_string()), Err(too_many));
    assert_eq!(headers(1, &|_| "n".repeat(65_536)), Err(HeadersError::NameTooLong(65_536).into()));
    assert_eq!(headers(5000, &|_| "n".to_owned()), Ok(1), "however often a name comes, it is one header");
}

#[test]
fn any_bytes_are_events_of_the_size_foretold_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for protocol in [Compact, Binary] {
        let good = encoded(&events(), protocol);
        for length in 0..good.len() {
            assert!(size_of_many(Reader::new(&good[..length], protocol)).is_err());
        }
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(3) {
                let at = random.index(bytes.len());
                bytes[at] = random.next_u64().to_le_bytes()[0];
            }
            let reader = Reader::new(&bytes, protocol);
            let Ok(size) = size_of_many(reader) else { continue };
            // An event has five bytes at least, so that each byte makes at most so many in memory.
            assert!(size.bytes <= 20 * bytes.len(), "{size:?}");
            if let Ok(events) = read_many(reader) {
                assert_eq!(events.len(), size.events);
                let bytes: u64 = events.iter().map(|event| event.size_bytes() + size_of::<Event>() as u64).sum();
                assert!(bytes <= size.bytes as u64);
            }
        }
    }
}
