use super::*;
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

fn encoded(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    put_events(&mut out, events);
    out
}

#[test]
fn events_are_the_bytes_that_java_sends() {
    let mut out = Vec::new();
    put_event(&mut out, &Event::new("Hello"));
    assert_eq!(out, b"\x00\x0aHello");
    let with_header = Event::new("Hello").with_header("k", "v").unwrap();
    assert_eq!(encoded(&[with_header]), b"\x02\x02\x02k\x02v\x00\x0aHello\x00");
    assert_eq!(read_one(b"\x00\x0aHello"), Ok(Event::new("Hello")));
    assert_eq!(encoded(&[]), b"\x00");
}

#[test]
fn what_is_written_is_read_and_its_size_is_known_before() {
    let events = events();
    let bytes = encoded(&events);
    let size = size_of_many(&bytes).unwrap();
    assert_eq!(size.events, events.len());
    let expected: u64 = events.iter().map(|event| event.size_bytes() + size_of::<Event>() as u64).sum();
    assert_eq!(size.bytes as u64, expected);
    assert_eq!(read_many(&bytes, size.events).as_ref(), Ok(&events));
    let message = Bytes::from([b"before".as_slice(), &bytes].concat());
    let shared = share_many(&message, bytes.len(), size.events).unwrap();
    assert_eq!(shared, events);
    assert!(message.as_ptr_range().contains(&shared[2].body().as_ptr()), "no copy");
}

#[test]
fn other_ways_to_write_the_same_are_read() {
    // Blocks with a length in bytes, several blocks, and a name that comes twice.
    let bytes = b"\x01\x16\x01\x08\x02k\x02v\x00\x04ab\x02\x02\x02k\x02a\x02\x02k\x02b\x00\x00\x00";
    assert_eq!(size_of_many(bytes).unwrap().events, 2);
    let expected = [("ab", "v"), ("", "b")].map(|(body, v)| Event::new(body).with_header("k", v).unwrap());
    assert_eq!(read_many(bytes, 2).unwrap(), expected);
}

#[test]
fn headers_over_the_limits_are_refused() {
    let headers = |entries: &[(Vec<u8>, Vec<u8>)]| {
        let mut out = Vec::new();
        put_long(&mut out, i64::try_from(entries.len()).unwrap());
        for (name, value) in entries {
            put_bytes(&mut out, name);
            put_bytes(&mut out, value);
        }
        out.extend([0, 0]);
        size_of_one(&out).unwrap();
        read_one(&out).map(|event| event.headers().len())
    };
    let numbered = |count: usize| (0..count).map(|n| (n.to_string().into(), vec![])).collect::<Vec<_>>();
    assert_eq!(headers(&numbered(HEADERS_COUNT_MAX)), Ok(HEADERS_COUNT_MAX));
    let too_many = HeadersError::TooMany(HEADERS_COUNT_MAX + 1).into();
    assert_eq!(headers(&numbered(HEADERS_COUNT_MAX + 1)), Err(too_many));
    assert_eq!(headers(&[(vec![b'n'; 65_536], vec![])]), Err(HeadersError::NameTooLong(65_536).into()));
    assert!(matches!(headers(&[(vec![], vec![b'v'; 2 << 20])]), Err(EventError::Headers(HeadersError::TooLong(_)))));
    assert_eq!(headers(&[(vec![0xff], vec![])]), Err(Malformed::Text("a header").into()));
    // However often a name comes, it is one header.
    assert_eq!(headers(&vec![(vec![b'n'], vec![b'v']); 5000]), Ok(1));
}

#[test]
fn any_bytes_are_events_of_the_size_foretold_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let good = encoded(&events());
    for length in 0..good.len() {
        assert!(size_of_many(&good[..length]).is_err());
    }
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(3) {
            let at = random.index(bytes.len());
            bytes[at] = random.next_u64().to_le_bytes()[0];
        }
        let Ok(size) = size_of_many(&bytes) else { continue };
        // Each byte that comes makes at most 33 bytes in memory.
        assert!(size.bytes <= 33 * bytes.len(), "{size:?}");
        if let Ok(events) = read_many(&bytes, size.events) {
            assert_eq!(events.len(), size.events);
            let bytes: u64 = events.iter().map(|event| event.size_bytes() + size_of::<Event>() as u64).sum();
            assert!(bytes <= size.bytes as u64);
        }
    }
}
