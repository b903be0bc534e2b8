use super::super::data::Writer;
use super::ThriftProtocol::{Binary, Compact};
use super::*;
use crate::testing::Random;

#[test]
fn values_are_written_as_thrift_has_them_and_read_again() {
    for (number, compact, binary) in [
        (0, &b"\x00"[..], b"\0\0\0\0"),
        (-1, b"\x01", b"\xff\xff\xff\xff"),
        (150, b"\xac\x02", b"\0\0\0\x96"),
        (i32::MIN, b"\xff\xff\xff\xff\x0f", b"\x80\0\0\0"),
        (i32::MAX, b"\xfe\xff\xff\xff\x0f", b"\x7f\xff\xff\xff"),
    ] {
        for (protocol, bytes) in [(Compact, compact), (Binary, &binary[..])] {
            let mut out = Vec::new();
            Writer::new(&mut out, protocol).i32(number);
            assert_eq!(out, bytes, "{number}");
            let mut reader = Reader::new(&out, protocol);
            assert_eq!(reader.i32("it"), Ok(number));
            reader.end().unwrap();
            for length in 0..out.len() {
                assert_eq!(Reader::new(&out[..length], protocol).i32("it"), Err(Malformed::Short("it")));
            }
        }
    }
    for (count, compact, binary) in [
        (0, &b"\x0c"[..], b"\x0c\0\0\0\0"),
        (14, b"\xec", b"\x0c\0\0\0\x0e"),
        (15, b"\xfc\x0f", b"\x0c\0\0\0\x0f"),
        (200, b"\xfc\xc8\x01", b"\x0c\0\0\0\xc8"),
    ] {
        for (protocol, bytes) in [(Compact, compact), (Binary, &binary[..])] {
            let mut out = Vec::new();
            Writer::new(&mut out, protocol).list(Type::Struct, count);
            assert_eq!(out, bytes);
            out.extend(vec![0; count]);
            assert_eq!(Reader::new(&out, protocol).list("it"), Ok((Type::Struct, count)));
            if count > 0 {
                out.pop();
                assert_eq!(Reader::new(&out, protocol).list("it"), Err(Malformed::Range("it")));
            }
        }
    }
}

#[test]
fn fields_are_told_by_number_and_type() {
    for (protocol, bytes) in [
        (Compact, &b"\x15\x04\x21\x4c\0\x08\xc8\x01\x02hi\x00"[..]),
        (Binary, b"\x08\0\x01\0\0\0\x02\x02\0\x03\x01\x0c\0\x07\0\x0b\0\x64\0\0\0\x02hi\0"),
    ] {
        let mut reader = Reader::new(bytes, protocol);
        let mut last = 0;
        let mut found = Vec::new();
        while let Some(field) = reader.field(&mut last).unwrap() {
            found.push((field.id, field.kind));
            match field.id {
                1 => assert_eq!(reader.i32("it"), Ok(2)),
                100 => assert_eq!(reader.text("it"), Ok("hi")),
                _ => reader.skip(field).unwrap(),
            }
        }
        assert_eq!(found, [(1, Type::I32), (3, Type::Bool), (7, Type::Struct), (100, Type::Binary)]);
        reader.end().unwrap();
    }
    let overflow = [&b"\x08\xfe\xff\x03\x00"[..], b"\x18\x00"].concat();
    let (mut reader, mut last) = (Reader::new(&overflow, Compact), 0);
    assert_eq!(reader.field(&mut last).unwrap().map(|field| field.id), Some(i16::MAX));
    reader.bytes("it").unwrap();
    assert_eq!(reader.field(&mut last), Err(Malformed::Range(FIELD)));
    assert_eq!(Reader::new(b"\x1e", Compact).field(&mut 0), Err(Malformed::Type(FIELD)));
    assert_eq!(Reader::new(b"\x05\0\x01", Binary).field(&mut 0), Err(Malformed::Type(FIELD)));
}

#[test]
fn values_that_are_not_understood_are_passed_over_within_a_depth() {
    let deep = |protocol, levels: usize| {
        let (open, close) = match protocol {
            Compact => (&b"\x1c"[..], 0),
            Binary => (&b"\x0c\0\x01"[..], 0),
        };
        let mut bytes = open.repeat(levels);
        bytes.extend(vec![close; levels + 1]);
        let mut reader = Reader::new(&bytes, protocol);
        let field = reader.field(&mut 0).unwrap().unwrap();
        reader.skip(field)
    };
    for protocol in [Compact, Binary] {
        assert_eq!(deep(protocol, THRIFT_DEPTH_MAX), Ok(()));
        assert_eq!(deep(protocol, THRIFT_DEPTH_MAX + 1), Err(Malformed::Depth));
        assert_eq!(deep(protocol, 1_000_000), Err(Malformed::Depth));
    }
    // Lists in lists, each of one.
    let mut bytes = b"\x19".to_vec();
    bytes.extend(vec![0x19; 100_000]);
    let mut reader = Reader::new(&bytes, Compact);
    let field = reader.field(&mut 0).unwrap().unwrap();
    assert_eq!(reader.skip(field), Err(Malformed::Depth));
}

#[test]
fn lengths_and_counts_are_checked_against_what_is_there() {
    for bomb in [&b"\xff\xff\xff\xff\x07"[..], b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] {
        assert!(Reader::new(bomb, Compact).bytes("it").is_err());
        assert!(Reader::new(&[b"\xfc", bomb, &[0; 50]].concat(), Compact).list("it").is_err());
        assert!(Reader::new(&[bomb, b"\x88", &[0; 50]].concat(), Compact).map("it").is_err());
    }
    for bomb in [&b"\x7f\xff\xff\xff"[..], b"\xff\xff\xff\xff", b"\0\x01\0\0"] {
        assert!(Reader::new(bomb, Binary).bytes("it").is_err());
        assert!(Reader::new(&[b"\x0c", bomb, &[0; 50]].concat(), Binary).list("it").is_err());
        assert!(Reader::new(&[b"\x0b\x0b", bomb, &[0; 50]].concat(), Binary).map("it").is_err());
    }
    assert_eq!(Reader::new(b"\x00", Compact).map("it"), Ok((Type::Byte, Type::Byte, 0)));
    assert_eq!(Reader::new(b"\0\0\0\0\0\0", Binary).map("it"), Ok((Type::Byte, Type::Byte, 0)));
    assert_eq!(Reader::new(&[0xff; 11], Compact).varint("it"), Err(Malformed::Range("it")));
}

#[test]
fn any_bytes_are_passed_over_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..random.index(60)).map(|_| random.next_u64().to_le_bytes()[0] & 0x9f).collect();
        for protocol in [Compact, Binary] {
            let mut reader = Reader::new(&bytes, protocol);
            let mut last = 0;
            while let Ok(Some(field)) = reader.field(&mut last) {
                let before = reader.len();
                if reader.skip(field).is_err() {
                    break;
                }
                assert!(reader.len() <= before);
            }
        }
    }
}
