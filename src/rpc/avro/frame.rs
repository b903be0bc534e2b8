//! The frames of Avro's Netty transport. All integers are big-endian, of 32 bits:
//!
//! ```text
//! serial  count  count * ( length  bytes )
//! ```
//!
//! The message is all the bytes, one after the other; where they are cut means nothing. An answer has the serial of its
//! request.

use bytes::Bytes;

use crate::limits::{AVRO_FRAME_BUFFER_BYTES_MIN, AVRO_FRAME_BUFFERS_MAX, AVRO_MESSAGES_LENT};

/// Why a connection cannot go on: where the next frame begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// A frame without buffers never ends in Flume's own decoder, so nobody sends one.
    #[error("a frame of {found} buffers; there must be 1 to {max}")]
    Count { found: u32, max: u32 },
    #[error("a frame of at least {actual} bytes is over the limit of {max}")]
    TooLong { actual: u64, max: usize },
}

/// Puts the pieces that come from a connection together to messages.
#[derive(Debug)]
pub(crate) struct FrameReader {
    bytes_max: usize,
    message: Vec<u8>,
    // Messages that were given away: once nobody else holds one, its memory is there for the next message. New memory for each
    // costs a page fault for every 4 KiB.
    lent: Vec<Bytes>,
    // The beginning of the next number or pair of numbers.
    head: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Serial and count come next.
    Head,
    /// The length of a buffer comes next.
    Length { serial: u32, buffers: u32 },
    /// So many bytes of a buffer.
    Content { serial: u32, buffers: u32, rest: usize },
}

impl FrameReader {
    /// Messages may have up to `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, message: Vec::new(), lent: Vec::new(), head: Vec::new(), state: State::Head }
    }

    /// Takes bytes from the front of `input`, up to the end of a frame. Returns its serial; the
    /// [`message`](Self::message) is there until the next call.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<u32>, FrameError> {
        if self.state == State::Head && self.head.is_empty() {
            self.message.clear();
            if self.message.capacity() == 0 {
                self.reclaim();
            }
        }
        loop {
            match self.state {
                State::Head => {
                    let Some([serial, buffers]) = self.numbers(input) else { return Ok(None) };
                    let max = self.buffers_max();
                    if buffers == 0 || buffers > max {
                        return Err(FrameError::Count { found: buffers, max });
                    }
                    self.state = State::Length { serial, buffers };
                }
                State::Length { serial, buffers } => {
                    let Some([length]) = self.numbers(input) else { return Ok(None) };
                    let actual = self.message.len() as u64 + u64::from(length);
                    let rest = length as usize;
                    if actual > self.bytes_max as u64 {
                        return Err(FrameError::TooLong { actual, max: self.bytes_max });
                    }
                    self.state = State::Content { serial, buffers, rest };
                }
                State::Content { serial, buffers, rest } => {
                    let (taken, left) = input.split_at(rest.min(input.len()));
                    *input = left;
                    self.append(taken, rest);
                    let rest = rest - taken.len();
                    if rest > 0 {
                        self.state = State::Content { serial, buffers, rest };
                        return Ok(None);
                    }
                    if buffers == 1 {
                        self.state = State::Head;
                        return Ok(Some(serial));
                    }
                    self.state = State::Length { serial, buffers: buffers - 1 };
                }
            }
        }
    }

    /// As many as Java's buffers of 8 KiB that the longest message can be cut into, and some that are not full.
    fn buffers_max(&self) -> u32 {
        let buffers = self.bytes_max / AVRO_FRAME_BUFFER_BYTES_MIN;
        u32::try_from(buffers).unwrap_or(u32::MAX).max(AVRO_FRAME_BUFFERS_MAX)
    }

    /// The serial of the frame under way, as far as it is known.
    pub(crate) fn serial(&self) -> Option<u32> {
        match self.state {
            State::Head => None,
            State::Length { serial, .. } | State::Content { serial, .. } => Some(serial),
        }
    }

    /// The message of the frame that was read last.
    pub(crate) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The message, given away if it holds on to no more than `bytes_max` of memory. That of up to `keep` bytes is used again
    /// when it is free.
    pub(crate) fn give_away(&mut self, bytes_max: usize, keep: usize) -> Option<Bytes> {
        let capacity = self.message.capacity();
        if capacity > bytes_max {
            return None;
        }
        let message = Bytes::from(std::mem::take(&mut self.message));
        if capacity <= keep {
            self.lent.truncate(AVRO_MESSAGES_LENT - 1);
            self.lent.insert(0, message.clone());
        }
        Some(message)
    }

    /// Takes the memory of a message that was given away and is free again.
    fn reclaim(&mut self) {
        if let Some(place) = self.lent.iter().position(Bytes::is_unique) {
            self.message = self.lent.swap_remove(place).into();
            self.message.clear();
        }
    }

    /// Bytes of the frame under way that are held.
    pub(crate) fn held(&self) -> usize {
        self.message.len()
    }

    /// Whether there is no frame under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Head && self.head.is_empty()
    }

    /// Forgets the message, and its memory beyond `keep` bytes.
    pub(crate) fn forget(&mut self, keep: usize) {
        self.message.clear();
        self.message.shrink_to(keep);
    }

    /// Appends the next bytes of a buffer, of which `announced` are missing.
    fn append(&mut self, bytes: &[u8], announced: usize) {
        let needed = self.message.len() + bytes.len();
        if needed > self.message.capacity() {
            // Doubles, but never beyond the longest message; and makes room for all that is announced, but never for more than
            // has come.
            let doubled = (self.message.capacity() * 2).min(self.bytes_max);
            let whole = (self.message.len() + announced).min(needed * 2);
            self.message.reserve_exact(needed.max(doubled).max(whole) - self.message.len());
        }
        self.message.extend_from_slice(bytes);
    }

    /// The next numbers, once all of their bytes are there.
    fn numbers<const N: usize>(&mut self, input: &mut &[u8]) -> Option<[u32; N]> {
        let missing = 4 * N - self.head.len();
        let (taken, left) = input.split_at(missing.min(input.len()));
        *input = left;
        self.head.extend_from_slice(taken);
        if self.head.len() < 4 * N {
            return None;
        }
        let mut numbers = [0; N];
        for (number, bytes) in numbers.iter_mut().zip(self.head.chunks_exact(4)) {
            *number = bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        }
        self.head.clear();
        Some(numbers)
    }
}

/// Appends a frame of one buffer, whose content is what `write` appends.
pub(crate) fn write_frame(serial: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_u32(out, serial);
    put_u32(out, 1);
    let place = out.len();
    put_u32(out, 0);
    write(out);
    let length = u32::try_from(out.len() - place - 4).unwrap_or(u32::MAX);
    let mut digits = Vec::with_capacity(4);
    put_u32(&mut digits, length);
    for (byte, digit) in out.iter_mut().skip(place).zip(digits) {
        *byte = digit;
    }
}

#[allow(clippy::big_endian_bytes)] // Java's order
fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// The frames of `input`, given in pieces.
    fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<(u32, Vec<u8>)>, FrameError> {
        let mut reader = FrameReader::new(1000);
        let mut found = Vec::new();
        for piece in pieces {
            let mut input = piece.as_ref();
            while let Some(serial) = reader.read(&mut input)? {
                found.push((serial, reader.message().to_vec()));
            }
            assert!(input.is_empty());
            assert_eq!(reader.held(), reader.message().len());
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
}
