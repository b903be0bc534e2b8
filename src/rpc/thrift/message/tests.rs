use super::ThriftProtocol::{Binary, Compact};
use super::*;
use crate::testing::Random;

const CALL: Head<'_> = Head { kind: Kind::Call, name: "append", number: 1 };

fn made(make: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    make(&mut out);
    out
}

fn made_head(protocol: ThriftProtocol, head: Head<'_>) -> Vec<u8> {
    made(|out| put_head(out, protocol, head).raw(b""))
}

#[test]
fn heads_are_the_bytes_that_thrift_defines() {
    for (protocol, bytes) in
        [(Compact, &b"\x82\x21\x01\x06append"[..]), (Binary, b"\x80\x01\0\x01\0\0\0\x06append\0\0\0\x01")]
    {
        assert_eq!(made_head(protocol, CALL), bytes);
        let (head, reader) = read_head(bytes, protocol).unwrap();
        assert_eq!((head, reader.len()), (CALL, 0));
        for length in 0..bytes.len() {
            assert!(matches!(read_head(&bytes[..length], protocol), Err(Malformed::Short(_))));
        }
        for number in [0, -1, i32::MAX, i32::MIN] {
            let head = Head { number, ..CALL };
            let bytes = made_head(protocol, head);
            assert_eq!(read_head(&bytes, protocol).unwrap().0, head);
        }
    }
    let old = b"\0\0\0\x06append\x04\0\0\0\x07";
    let expected = Head { kind: Kind::OneWay, name: "append", number: 7 };
    assert_eq!(read_head(old, Binary).unwrap().0, expected);
}

#[test]
fn heads_of_something_else_are_errors() {
    for (bytes, protocol, what) in [
        (&b"\x80\x01\0\x01\0\0\0\x06append\0\0\0\x01"[..], Compact, "the mark of the compact protocol"),
        (b"\x82\x21\x01\x06append", Binary, "the version of the binary protocol"),
        (b"\x82\x22\x01\x06append", Compact, "the version of the compact protocol"),
        (b"\x82\x01\x01\x06append", Compact, "the kind of a message"),
        (b"\x80\x02\0\x01\0\0\0\x06append\0\0\0\x01", Binary, "the version of the binary protocol"),
        (b"\x80\x01\0\x09\0\0\0\x06append\0\0\0\x01", Binary, "the kind of a message"),
        (b"\x82\x21\xff\xff\xff\xff\x1f\x06append", Compact, HEAD),
    ] {
        assert_eq!(read_head(bytes, protocol).unwrap_err(), Malformed::Range(what));
    }
    let long = Head { name: &"n".repeat(THRIFT_NAME_BYTES_MAX + 1), ..CALL };
    for protocol in [Compact, Binary] {
        let bytes = made_head(protocol, long);
        assert_eq!(read_head(&bytes, protocol).unwrap_err(), Malformed::Range(NAME));
    }
}

#[test]
fn answers_are_written_as_java_writes_them_and_read_again() {
    let status = |protocol, status| made(|out| put_status(out, protocol, CALL, status));
    assert_eq!(status(Compact, Status::Ok), b"\x82\x41\x01\x06append\x05\0\0\0");
    assert_eq!(status(Binary, Status::Failed), b"\x80\x01\0\x02\0\0\0\x06append\0\0\0\x01\x08\0\0\0\0\0\x01\0");
    for protocol in [Compact, Binary] {
        for expected in [Status::Ok, Status::Failed, Status::Error, Status::Unknown] {
            let bytes = status(protocol, expected);
            assert_eq!(read_answer(&bytes, protocol, CALL), Ok(Answer::Status(expected)));
            for length in 0..bytes.len() {
                assert!(read_answer(&bytes[..length], protocol, CALL).is_err());
            }
            let other = Head { number: 2, ..CALL };
            assert!(matches!(read_answer(&bytes, protocol, other), Err(AnswerError::Other(_))));
        }
        let error = made(|out| put_error(out, protocol, CALL, ErrorKind::UnknownMethod, "no such thing"));
        assert_eq!(read_answer(&error, protocol, CALL), Ok(Answer::Error("no such thing".to_owned())));
        let call = made(|out| put_head(out, protocol, CALL).stop());
        let kind = AnswerError::Malformed(Malformed::Range("the kind of an answer"));
        assert_eq!(read_answer(&call, protocol, CALL), Err(kind));
        let empty = made(|out| put_head(out, protocol, Head { kind: Kind::Reply, ..CALL }).stop());
        assert_eq!(read_answer(&empty, protocol, CALL), Err(Malformed::Missing(STATUS).into()));
    }
    let expected = b"\x82\x61\x01\x06append\x18\x02no\x15\x02\0";
    assert_eq!(made(|out| put_error(out, Compact, CALL, ErrorKind::UnknownMethod, "no")), expected);
}

#[test]
fn any_bytes_are_an_answer_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for protocol in [Compact, Binary] {
        let error = made(|out| put_error(out, protocol, CALL, ErrorKind::Internal, "reason"));
        for good in [error, made(|out| put_status(out, protocol, CALL, Status::Ok))] {
            for _ in 0..5000 {
                let mut bad = good.clone();
                for _ in 0..=random.below(2) {
                    let at = random.index(bad.len());
                    bad[at] = random.next_u64().to_le_bytes()[0];
                }
                let _ = read_answer(&bad, protocol, CALL);
            }
        }
    }
}
