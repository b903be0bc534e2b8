//! Messages of Flume's Avro and Thrift RPC.

use super::input::Input;
use crate::event::Event;
use crate::rpc::avro::{events as avro, frame as avro_frame, protocol};
use crate::rpc::thrift::{self, ThriftProtocol, frame as thrift_frame, message};

/// Where a frame's length may lead to.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Frames do not depend on the pieces that they come in, and their messages keep to the limit.
pub(super) fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = usize::from(input.byte()) + 1;
    let bytes = input.rest();
    let whole = avro_frames(bytes, bytes.len().max(1), false);
    assert_eq!(whole, avro_frames(bytes, piece, false));
    assert_eq!(whole, avro_frames(bytes, piece, true));
    assert_eq!(thrift_frames(bytes, bytes.len().max(1)), thrift_frames(bytes, piece));
}

/// With bytes that are read `in_place` after the first ones of their buffer.
fn avro_frames(bytes: &[u8], piece: usize, in_place: bool) -> (Vec<(u32, Vec<u8>)>, bool) {
    let mut reader = avro_frame::FrameReader::new(MESSAGE_BYTES_MAX);
    let mut found = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while !piece.is_empty() {
            let room = if in_place { reader.room_for(1) } else { 0 };
            if room > 0 {
                let (taken, left) = piece.split_at(piece.len().min(room));
                reader.place(room).iter_mut().zip(taken).for_each(|(place, byte)| *place = *byte);
                piece = left;
                found.extend(reader.placed(taken.len()).map(|serial| (serial, reader.message().to_vec())));
                continue;
            }
            match reader.read(&mut piece) {
                Ok(Some(serial)) => found.push((serial, reader.message().to_vec())),
                Ok(None) => {}
                Err(_) => return (found, false),
            }
            assert!(reader.held() <= MESSAGE_BYTES_MAX);
        }
    }
    (found, true)
}

fn thrift_frames(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = thrift_frame::FrameReader::new(MESSAGE_BYTES_MAX);
    let mut found = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while !piece.is_empty() {
            match reader.read(&mut piece) {
                Ok(true) => found.push(reader.message().to_vec()),
                Ok(false) => {}
                Err(_) => return (found, false),
            }
            assert!(reader.held() <= MESSAGE_BYTES_MAX);
        }
    }
    (found, true)
}

/// Events that are accepted are as many as was said before, and come back from what is written of them.
pub(super) fn avro_events(data: &[u8]) {
    if let Ok(size) = avro::size_of_many(data) {
        // Whoever reads them has looked at the size.
        if let Ok(events) = avro::read_many(data, size.events) {
            assert_eq!(events.len(), size.events);
            let mut again = Vec::new();
            avro::put_events(&mut again, &events);
            assert_eq!(avro::size_of_many(&again).map(|size| size.events), Ok(events.len()));
            assert_eq!(avro::read_many(&again, events.len()).ok(), Some(events));
        }
    }
    if avro::size_of_one(data).is_ok()
        && let Ok(event) = avro::read_one(data)
    {
        let mut again = Vec::new();
        avro::put_event(&mut again, &event);
        assert_eq!(avro::read_one(&again).ok(), Some(event));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = protocol::difference(text);
    }
}

/// As `avro_events`, in both protocols of Thrift; and a head keeps what it says.
pub(super) fn thrift(data: &[u8]) {
    for kind in [ThriftProtocol::Compact, ThriftProtocol::Binary] {
        let Ok((head, arguments)) = message::read_head(data, kind) else { continue };
        let mut out = Vec::new();
        let _ = message::put_head(&mut out, kind, head);
        assert_eq!(message::read_head(&out, kind).ok().map(|(again, _)| again), Some(head));
        if let Ok(size) = thrift::events::size_of_many(arguments)
            && let Ok(events) = thrift::events::read_many(arguments)
        {
            assert_eq!(events.len(), size.events);
            let mut out = Vec::new();
            thrift::events::put_many(&mut message::put_head(&mut out, kind, head), &events);
            let again = message::read_head(&out, kind).ok().map(|(_, arguments)| arguments);
            assert_eq!(again.and_then(|arguments| thrift::events::read_many(arguments).ok()), Some(events));
        }
        if thrift::events::size_of_one(arguments).is_ok() {
            let _ = thrift::events::read_one(arguments);
        }
        let _ = message::read_answer(data, kind, head);
    }
}

fn events() -> Vec<Event> {
    let plain = Event::new("hello");
    let headed = Event::new(vec![0xff, 0]).with_header("name", "value").unwrap_or_else(|_| Event::new(""));
    vec![plain, headed, Event::new("")]
}

pub(super) fn frame_seeds() -> Vec<Vec<u8>> {
    let mut avro = vec![3];
    avro_frame::write_frame(7, &mut avro, |out| avro::put_events(out, &events()));
    let mut thrift = vec![5];
    thrift_frame::write_frame(&mut thrift, |out| out.extend_from_slice(b"message"));
    vec![avro, thrift]
}

pub(super) fn avro_event_seeds() -> Vec<Vec<u8>> {
    let mut many = Vec::new();
    avro::put_events(&mut many, &events());
    let ones = events().into_iter().map(|event| {
        let mut one = Vec::new();
        avro::put_event(&mut one, &event);
        one
    });
    ones.chain([many]).collect()
}

pub(super) fn thrift_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in [ThriftProtocol::Compact, ThriftProtocol::Binary] {
        let head = message::Head { kind: message::Kind::Call, name: "appendBatch", number: 3 };
        let mut many = Vec::new();
        thrift::events::put_many(&mut message::put_head(&mut many, kind, head), &events());
        let mut answer = Vec::new();
        message::put_status(&mut answer, kind, head, thrift::Status::Ok);
        seeds.extend([many, answer]);
    }
    seeds
}
