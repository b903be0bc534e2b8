use super::*;

/// The first request that Flume's client makes, as it was recorded: `append` of an event without headers.
const FIRST: &[u8] = b"\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\
    \x00\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\x02\x00\
    \x00\x0cappend\x00\x0aHello";

fn request(client: Hash, text: Option<&str>, server: Hash, rest: &[u8]) -> Vec<u8> {
    let mut out = client.to_vec();
    put_long(&mut out, i64::from(text.is_some()));
    if let Some(text) = text {
        put_bytes(&mut out, text.as_bytes());
    }
    out.extend(server);
    out.push(0);
    out.extend(rest);
    out
}

#[test]
fn flumes_own_client_is_understood_at_once() {
    let mut handshake = Handshake::default();
    assert_eq!(handshake.read(FIRST), Ok((Match::Both, Call::Append(b"\x00\x0aHello"))));
    let later = b"\x00\x16appendBatch\x02\x02\x02k\x02v\x00\x0aHello\x00";
    let expected = Call::AppendBatch(b"\x02\x02\x02k\x02v\x00\x0aHello\x00");
    assert_eq!(handshake.read(later), Ok((Match::Agreed, expected)));
    assert_eq!(handshake.read(b"\x00\x00"), Ok((Match::Agreed, Call::Nothing)));
    assert_eq!(handshake.read(b"\x02\x02k\x02v\x00\x02x"), Ok((Match::Agreed, Call::Unknown("x"))));
}

#[test]
fn a_client_with_another_hash_has_to_show_its_protocol() {
    let other = [7; 16];
    let append = b"\x00\x0cappend\x00\x00";
    let mut handshake = Handshake::default();
    let without = request(other, None, other, append);
    assert_eq!(handshake.read(&without), Ok((Match::None, Call::Nothing)));
    assert_eq!(handshake.read(&without), Ok((Match::None, Call::Nothing)), "still not agreed");
    let with_text = request(other, Some(TEXT), HASH, append);
    assert_eq!(handshake.read(&with_text), Ok((Match::Both, Call::Append(b"\x00\x00"))));
    assert_eq!(handshake.read(append), Ok((Match::Agreed, Call::Append(b"\x00\x00"))));
}

#[test]
fn a_client_that_expects_another_server_is_told_of_this_one() {
    for known in KNOWN {
        let found = Handshake::default().read(&request(known, None, known, b"\x00\x00")).map(|(found, _)| found);
        assert_eq!(found, Ok(if known == HASH { Match::Both } else { Match::Client }));
    }
    let mut out = Vec::new();
    put_handshake(&mut out, Match::Client);
    assert_eq!(out[..4], [2, 2, 0xec, 0x14], "CLIENT, a text of 1334 bytes");
    assert_eq!(out[4..4 + 1334], *TEXT.as_bytes());
    assert_eq!(out[4 + 1334..], [&[2][..], &HASH, &[0]].concat());
    out.clear();
    put_handshake(&mut out, Match::None);
    assert_eq!(out[0], 4);
}

#[test]
fn a_client_of_another_protocol_is_refused_with_the_difference() {
    let other = TEXT.replace("\"values\":\"string\"", "\"values\":\"int\"");
    let error = Handshake::default().read(&request([7; 16], Some(&other), HASH, b"\x00\x00")).unwrap_err();
    assert!(error.to_string().contains("AvroFlumeEvent is not a record"), "{error}");
    let long = " ".repeat(AVRO_PROTOCOL_BYTES_MAX + 1);
    let error = Handshake::default().read(&request([7; 16], Some(&long), HASH, b"\x00\x00")).unwrap_err();
    assert_eq!(error, Malformed::Range(TEXT_OF_CLIENT).into());
}

#[test]
fn answers_are_the_bytes_that_java_sends() {
    let answer = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    assert_eq!(answer(&|out| put_handshake(out, Match::Both)), [0, 0, 0, 0]);
    assert!(answer(&|out| put_handshake(out, Match::Agreed)).is_empty());
    assert_eq!(answer(&|out| put_status(out, Status::Ok)), [0, 0, 0]);
    assert_eq!(answer(&|out| put_status(out, Status::Failed)), [0, 0, 2]);
    assert_eq!(answer(&|out| put_status(out, Status::Unknown)), [0, 0, 4]);
    assert_eq!(answer(&|out| put_error(out, "no")), b"\x00\x01\x00\x04no");
}

#[test]
fn requests_cut_short_anywhere_are_malformed() {
    for length in 0..FIRST.len() - b"\x00\x0aHello".len() {
        assert!(matches!(Handshake::default().read(&FIRST[..length]), Err(RequestError::Malformed(_))), "{length}");
    }
    let mut branch = FIRST.to_vec();
    branch[16] = 4;
    assert_eq!(Handshake::default().read(&branch).unwrap_err(), Malformed::Range(TEXT_OF_CLIENT).into());
}
