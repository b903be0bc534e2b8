//! Handshakes, calls and answers of Flume's Avro and Thrift RPC, from both ends.

use super::input::Input;
use crate::rpc::avro::Status;
use crate::rpc::avro::client::{self, Answer};
use crate::rpc::avro::server::{self, Call, Match};
use crate::rpc::thrift::{self, ThriftProtocol, message};

/// What a server answers on one connection: it asks for the protocol once at most, and what is understood is understood
/// again.
pub(super) fn avro_answers(data: &[u8]) {
    let mut handshake = client::Handshake::default();
    let mut was_asked = false;
    for answer in messages(data) {
        let was_agreed = handshake.is_agreed();
        let Ok(answer) = handshake.read(answer) else { return };
        let mut again = Vec::new();
        match &answer {
            Answer::Status(status) => server::put_status(&mut again, *status),
            Answer::Error(text) => server::put_error(&mut again, text),
            Answer::SendAgain => {
                assert!(!was_agreed && !was_asked, "asked again");
                was_asked = true;
            }
        }
        assert_eq!(handshake.is_agreed(), answer != Answer::SendAgain);
        if handshake.is_agreed() {
            assert_eq!(handshake.read(&again), Ok(answer));
        } else {
            let request = request(&handshake, b"");
            let read = server::Handshake::default().read(&request).map(|(_, call)| call);
            assert_eq!(read, Ok(Call::Append(b"")), "a server understands what follows");
        }
    }
}

/// What a client asks for on one connection: its own end understands the answers.
pub(super) fn avro_calls(data: &[u8]) {
    let mut handshake = server::Handshake::default();
    for request in messages(data) {
        let was_agreed = handshake.is_agreed();
        let Ok((found, call)) = handshake.read(request) else { return };
        assert_eq!((found == Match::Agreed, found != Match::None), (was_agreed, handshake.is_agreed()));
        assert!(handshake.is_agreed() || call == Call::Nothing, "nothing is served without an agreement");
        let mut client = client::Handshake::default();
        if was_agreed {
            assert_eq!(client.read(&answer(Match::Both, Status::Ok)), Ok(Answer::Status(Status::Ok)));
        }
        let expected = if found == Match::None { Answer::SendAgain } else { Answer::Status(Status::Failed) };
        assert_eq!(client.read(&answer(found, Status::Failed)), Ok(expected));
    }
}

/// What is understood of an answer is understood again.
pub(super) fn thrift_answers(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(protocol) = input.one_of(&[ThriftProtocol::Compact, ThriftProtocol::Binary]) else { return };
    let Ok(answer) = message::read_answer(input.rest(), protocol, CALL) else { return };
    let mut again = Vec::new();
    match &answer {
        message::Answer::Status(status) => message::put_status(&mut again, protocol, CALL, *status),
        message::Answer::Error(text) => {
            message::put_error(&mut again, protocol, CALL, message::ErrorKind::Internal, text);
        }
    }
    assert_eq!(message::read_answer(&again, protocol, CALL), Ok(answer));
}

pub(super) fn avro_answer_seeds() -> Vec<Vec<u8>> {
    let mut failure = Vec::new();
    server::put_error(&mut failure, "no");
    let agreed = |status| answer(Match::Agreed, status);
    vec![
        joined(&[answer(Match::Both, Status::Ok), agreed(Status::Failed), failure]),
        joined(&[answer(Match::None, Status::Ok), answer(Match::Client, Status::Failed), agreed(Status::Unknown)]),
    ]
}

pub(super) fn avro_call_seeds() -> Vec<Vec<u8>> {
    let mut handshake = client::Handshake::default();
    let first = request(&handshake, b"\0\x0aHello");
    let _ = handshake.read(&answer(Match::None, Status::Ok));
    let explained = request(&handshake, b"\0\x0aHello");
    let _ = handshake.read(&answer(Match::Client, Status::Ok));
    let later = request(&handshake, b"\0\x0aHello");
    vec![joined(&[first, later.clone()]), joined(&[explained, later])]
}

pub(super) fn thrift_answer_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, protocol) in [(0, ThriftProtocol::Compact), (1, ThriftProtocol::Binary)] {
        for status in [thrift::Status::Ok, thrift::Status::Unknown] {
            let mut seed = vec![choice];
            message::put_status(&mut seed, protocol, CALL, status);
            seeds.push(seed);
        }
        let mut failure = vec![choice];
        message::put_error(&mut failure, protocol, CALL, message::ErrorKind::UnknownMethod, "no");
        seeds.push(failure);
    }
    seeds
}

fn request(handshake: &client::Handshake, parameters: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    handshake.put_request(&mut request, "append");
    request.extend_from_slice(parameters);
    request
}

fn answer(found: Match, status: Status) -> Vec<u8> {
    let mut answer = Vec::new();
    server::put_handshake(&mut answer, found);
    if found != Match::None {
        server::put_status(&mut answer, status);
    }
    answer
}

/// The messages of an input: each behind its length in two bytes, the last one as far as it goes.
fn messages(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let (message, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*length))));
        data = rest;
        Some(message)
    })
}

fn joined(messages: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |message: &Vec<u8>| {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        [&length.to_le_bytes()[..], message].concat()
    };
    messages.iter().flat_map(with_length).collect()
}

/// What the answers are to.
const CALL: message::Head<'static> = message::Head { kind: message::Kind::Call, name: "append", number: 1 };
