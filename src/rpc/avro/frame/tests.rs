use super::*;
use crate::testing::Random;

/// How the pieces come into the reader.
#[derive(Clone, Copy, Debug)]
enum Way {
    Copied,
    /// To their place wherever there is room, up to so many bytes at once.
    Placed(usize),
}

/// The frames of `input`, given in pieces.
fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<(u32, Vec<u8>)>, FrameError> {
    read_by(Way::Copied, FrameReader::new(1000), pieces)
}

fn read_by(
    way: Way,
    mut reader: FrameReader,
    pieces: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Vec<(u32, Vec<u8>)>, FrameError> {
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = piece.as_ref();
        while !input.is_empty() {
            let held = reader.held();
            let whole = match (way, reader.room()) {
                (Way::Placed(max), room) if room > 0 => {
                    let place = reader.place(room);
                    assert_eq!(place.len(), room);
                    let (taken, left) = input.split_at(input.len().min(room).min(max));
                    place[..taken.len()].copy_from_slice(taken);
                    input = left;
                    let whole = reader.placed(taken.len());
                    assert_eq!(reader.held(), held + taken.len());
                    whole
                }
                _ => reader.read(&mut input)?,
            };
            assert_eq!(reader.held(), reader.message().len());
            let Some(serial) = whole else { continue };
            assert!(reader.is_idle() && reader.room() == 0);
            found.push((serial, reader.message().to_vec()));
        }
    }
    Ok(found)
}

const TWO: &[u8] = b"\0\0\0\x07\0\0\0\x02\0\0\0\x02ab\0\0\0\x01c\0\0\0\x08\0\0\0\x03\0\0\0\0\0\0\0\x01d\0\0\0\0";

#[test]
fn frames_come_out_whatever_the_pieces_and_buffers_they_came_in() {
    let expected = vec![(7, b"abc".to_vec()), (8, b"d".to_vec())];
    for size in 1..=TWO.len() {
        assert_eq!(read(TWO.chunks(size)).unwrap(), expected, "pieces of {size}");
    }
}

/// Frames of several buffers, long ones and short ones.
struct LongFrames {
    bytes: Vec<u8>,
    messages: Vec<(u32, Vec<u8>)>,
    /// Where buffers begin and end.
    ends: Vec<usize>,
}

fn long_frames() -> LongFrames {
    let (mut bytes, mut messages, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let min = RPC_IN_PLACE_BYTES_MIN;
    let frames = [vec![3 * min], vec![10, 4 * min, 0, min, 2 * min + 1], vec![5], vec![5 * min + 7, 1], vec![min - 1]];
    for (serial, lengths) in (1_u32..).zip(frames) {
        put_u32(&mut bytes, serial);
        put_u32(&mut bytes, u32::try_from(lengths.len()).unwrap());
        let mut message = Vec::new();
        for length in lengths {
            put_u32(&mut bytes, u32::try_from(length).unwrap());
            ends.push(bytes.len());
            let start = message.len();
            message.extend((start..start + length).map(|at| (at % 251).to_le_bytes()[0] ^ serial.to_le_bytes()[0]));
            bytes.extend_from_slice(&message[start..]);
            ends.push(bytes.len());
        }
        messages.push((serial, message));
    }
    LongFrames { bytes, messages, ends }
}

#[test]
fn bytes_that_are_read_to_their_place_make_the_same_messages() {
    let LongFrames { bytes, messages, ends } = long_frames();
    for size in [1, 7, 1000, 4096, 4099, 8192, 32_768, 50_000, bytes.len()] {
        for way in [Way::Copied, Way::Placed(1), Way::Placed(5000), Way::Placed(usize::MAX)] {
            let found = read_by(way, FrameReader::new(1 << 20), bytes.chunks(size)).unwrap();
            assert!(found == messages, "pieces of {size}, {way:?}");
        }
    }
    // Cut in two, everywhere around the places where a buffer begins or ends.
    for at in ends.iter().flat_map(|end| end.saturating_sub(20)..end + 20).filter(|at| *at <= bytes.len()) {
        let (first, second) = bytes.split_at(at);
        let found = read_by(Way::Placed(usize::MAX), FrameReader::new(1 << 20), [first, second]).unwrap();
        assert!(found == messages, "cut at {at}");
    }
}

#[test]
fn room_for_bytes_in_place_is_at_most_twice_what_came() {
    let mut reader = FrameReader::new(1 << 30);
    let head = b"\0\0\0\x01\0\0\0\x01\x20\0\0\0abc";
    assert_eq!(reader.read(&mut &head[..]), Ok(None));
    assert_eq!(reader.room(), 0, "nothing for what is only announced");
    let mut came = 3;
    while came < 2 << 20 {
        let room = reader.room();
        assert!(room <= came);
        if room == 0 {
            assert!(came < RPC_IN_PLACE_BYTES_MIN);
            assert_eq!(reader.read(&mut &[7; 1000][..]), Ok(None));
            came += 1000;
        } else {
            assert_eq!(reader.place(room).len(), room);
            // Some of it stays empty.
            assert_eq!(reader.placed(room.div_ceil(3)), None);
            came += room.div_ceil(3);
        }
        assert_eq!(reader.held(), came);
        assert!(reader.message.capacity() <= 2 * came, "{} for {came}", reader.message.capacity());
    }
    reader.forget(100);
    assert!(reader.held() == 0 && reader.message.capacity() <= 100);
}

#[test]
fn short_buffers_are_not_read_to_their_place_whatever_comes_before_them() {
    let mut reader = FrameReader::new(1 << 20);
    let length = u32::try_from(2 * RPC_IN_PLACE_BYTES_MIN).unwrap();
    let mut bytes = b"\0\0\0\x01\0\0\0\x02".to_vec();
    put_u32(&mut bytes, length);
    bytes.extend(vec![7; RPC_IN_PLACE_BYTES_MIN]);
    assert_eq!(reader.read(&mut &bytes[..]), Ok(None));
    let room = reader.room();
    assert_eq!(room, RPC_IN_PLACE_BYTES_MIN);
    reader.place(room).fill(7);
    assert_eq!(reader.placed(room - 1), None);
    assert_eq!(reader.room(), 1, "the rest of the buffer, however little");
    assert_eq!(reader.placed(1), None);
    // As Java's.
    let mut head = &b"\0\0\x20\0"[..];
    assert_eq!(reader.read(&mut head), Ok(None));
    assert_eq!(reader.room(), 0);
}

#[test]
fn memory_that_was_read_into_is_used_again_as_far_as_it_reaches() {
    let frame = |length: usize, byte: u8| {
        let mut frame = Vec::new();
        write_frame(1, &mut frame, |out| out.extend(vec![byte; length]));
        frame
    };
    let mut reader = FrameReader::new(1 << 20);
    assert_eq!(reader.read(&mut &frame(40_000, 1)[..]), Ok(Some(1)));
    drop(reader.give_away(1 << 20, 1 << 20).expect("a message"));
    let (second, mut third) = (frame(30_000, 2), &frame(50_000, 3)[..]);
    assert_eq!(reader.read(&mut &second[..112]), Ok(None));
    assert_eq!(reader.room(), 29_900, "all of it, at once");
    reader.place(29_900).copy_from_slice(&second[112..]);
    assert_eq!(reader.placed(29_900), Some(1));
    let message = reader.give_away(1 << 20, 1 << 20).expect("a message");
    assert!(message.len() == 30_000 && message.iter().all(|byte| *byte == 2), "nothing of the first one");
    assert_eq!(reader.held(), 0);
    drop(message);
    let (mut head, rest) = third.split_at(112);
    assert_eq!(reader.read(&mut head), Ok(None));
    assert_eq!(reader.room(), 39_900, "as far as there is memory that was used before");
    third = rest;
    assert_eq!(reader.read(&mut third), Ok(Some(1)));
    assert!(reader.message().len() == 50_000 && reader.message().iter().all(|byte| *byte == 3));
}

#[test]
fn limits_hold_for_frames_that_are_read_in_place() {
    let LongFrames { bytes, messages, .. } = long_frames();
    let max = messages[1].1.len();
    let way = Way::Placed(usize::MAX);
    assert!(read_by(way, FrameReader::new(max), bytes.chunks(4096)).is_ok());
    let refused = read_by(way, FrameReader::new(max - 1), bytes.chunks(4096));
    assert_eq!(refused, Err(FrameError::TooLong { actual: max as u64, max: max - 1 }));
}

#[test]
fn what_is_written_is_read() {
    let mut out = Vec::new();
    write_frame(u32::MAX, &mut out, |out| out.extend_from_slice(b"hello"));
    write_frame(2, &mut out, |_| ());
    assert_eq!(out[..12], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 5]);
    assert_eq!(read([out]).unwrap(), [(u32::MAX, b"hello".to_vec()), (2, Vec::new())]);
}

#[test]
fn numbers_that_ask_for_too_much_are_refused_before_anything_is_held() {
    assert_eq!(read([[0; 8]]), Err(FrameError::Count { found: 0, max: 4096 }));
    assert_eq!(read([[0xff; 8]]), Err(FrameError::Count { found: u32::MAX, max: 4096 }));
    let buffers = |count: u32| {
        let mut head = vec![0; 4];
        put_u32(&mut head, count);
        FrameReader::new(256 << 20).read(&mut &head[..])
    };
    assert_eq!(buffers(40_000), Ok(None));
    assert_eq!(buffers(70_000), Err(FrameError::Count { found: 70_000, max: 65_536 }));
    let too_long = |actual| Err(FrameError::TooLong { actual, max: 1000 });
    assert_eq!(read([b"\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff"]), too_long(u64::from(u32::MAX)));
    assert_eq!(read([b"\0\0\0\x01\0\0\0\x01\0\0\x03\xe9"]), too_long(1001));
    // Over the limit in several buffers.
    let mut sum = b"\0\0\0\x01\0\0\0\x02\0\0\x03\xe7".to_vec();
    sum.extend([0; 999]);
    sum.extend([0, 0, 0, 2]);
    assert_eq!(read([sum]), too_long(1001));
    let mut reader = FrameReader::new(1 << 30);
    assert_eq!(reader.read(&mut &b"\0\0\0\x01\0\0\0\x01\x20\0\0\0abc"[..]), Ok(None));
    assert!(reader.message.capacity() < 100, "only what came");
}

#[test]
fn any_bytes_are_frames_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..20_000 {
        let mut bytes = TWO.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.index(bytes.len());
            bytes[at] = random.next_u64().to_le_bytes()[0];
        }
        let _ = read([bytes]);
    }
}

#[test]
fn the_memory_of_a_message_that_was_given_away_is_used_again_once_it_is_free() {
    let mut frame = Vec::new();
    write_frame(1, &mut frame, |out| out.extend([7; 1000]));
    let mut reader = FrameReader::new(1 << 20);
    let mut next = || {
        assert_eq!(reader.read(&mut &frame[..]), Ok(Some(1)));
        let message = reader.give_away(2000, 1500).expect("a short one");
        assert_eq!(message[..], [7; 1000]);
        message
    };
    let (first, second) = (next(), next());
    let place = first.as_ptr();
    assert_ne!(place, second.as_ptr());
    drop(first);
    assert_eq!(next().as_ptr(), place, "the first one's");
    let _third = next();
    assert_eq!(second[..], [7; 1000], "held, so not written over");
    assert_eq!(reader.lent.len(), AVRO_MESSAGES_LENT);
    assert_eq!(reader.read(&mut &frame[..]), Ok(Some(1)));
    assert!(reader.give_away(999, 1500).is_none(), "over the limit");
    assert!(reader.give_away(2000, 999).is_some());
    assert!(reader.lent.iter().all(|lent| lent.len() == 1000) && reader.lent.len() <= AVRO_MESSAGES_LENT);
}
