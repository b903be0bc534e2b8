//! The frames of Avro's Netty transport. All integers are big-endian, of 32 bits:
//!
//! ```text
//! serial  count  count * ( length  bytes )
//! ```
//!
//! The message is all the bytes, one after the other; where they are cut means nothing. An answer has the serial of its
//! request.

use bytes::Bytes;

use crate::limits::{AVRO_FRAME_BUFFER_BYTES_MIN, AVRO_FRAME_BUFFERS_MAX, AVRO_MESSAGES_LENT, RPC_IN_PLACE_BYTES_MIN};

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
    // The first bytes of it are the message. What is behind them was used before, so that it need not be cleared again for
    // bytes that are read in place.
    message: Vec<u8>,
    filled: usize,
    // Whether some of the buffer under way was read in place.
    is_placed: bool,
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
        let (message, lent, head) = (Vec::new(), Vec::new(), Vec::new());
        Self { bytes_max, message, filled: 0, is_placed: false, lent, head, state: State::Head }
    }

    /// Takes bytes from the front of `input`, up to the end of a frame. Returns its serial; the
    /// [`message`](Self::message) is there until the next call.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<u32>, FrameError> {
        if self.state == State::Head && self.head.is_empty() {
            self.filled = 0;
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
                    let actual = self.filled as u64 + u64::from(length);
                    let rest = length as usize;
                    if actual > self.bytes_max as u64 {
                        return Err(FrameError::TooLong { actual, max: self.bytes_max });
                    }
                    self.state = State::Content { serial, buffers, rest };
                }
                State::Content { rest, .. } => {
                    let (taken, left) = input.split_at(rest.min(input.len()));
                    *input = left;
                    self.append(taken, rest);
                    let whole = self.advance(taken.len());
                    if whole.is_some() || matches!(self.state, State::Content { .. }) {
                        return Ok(whole);
                    }
                }
            }
        }
    }

    /// How many of the next bytes can be read to their [`place`](Self::place) in the message, instead of being copied there. 0
    /// unless it is worth it: for much of a buffer, or the rest of one that was begun so.
    pub(crate) fn room(&self) -> usize {
        self.room_for(if self.is_placed { 1 } else { RPC_IN_PLACE_BYTES_MIN })
    }

    /// The same, for `min` bytes or more.
    pub(crate) fn room_for(&self, min: usize) -> usize {
        let State::Content { rest, .. } = self.state else { return 0 };
        // In memory that is there, or in no more new memory than for what has come.
        let there = self.message.len().saturating_sub(self.filled);
        let room = rest.min(if there < RPC_IN_PLACE_BYTES_MIN { there.max(self.filled) } else { there });
        if room < min { 0 } else { room }
    }

    /// The place of the next bytes, of which there is [`room`](Self::room) for so many.
    pub(crate) fn place(&mut self, room: usize) -> &mut [u8] {
        let end = self.filled + room;
        if end > self.message.len() {
            self.message.reserve_exact(end - self.message.len());
            self.message.resize(end, 0);
        }
        self.message.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Takes note that the first `bytes` of the [`place`](Self::place) were read, which are not more than it has. Returns the serial
    /// of the frame if they are its end, as [`read`](Self::read) does.
    pub(crate) fn placed(&mut self, bytes: usize) -> Option<u32> {
        self.filled += bytes;
        self.is_placed = true;
        assert!(self.filled <= self.message.len(), "more bytes were read than there was room for");
        self.advance(bytes)
    }

    /// Behind so many more bytes of a buffer. Returns the serial at the end of the frame.
    fn advance(&mut self, bytes: usize) -> Option<u32> {
        let State::Content { serial, buffers, rest } = self.state else { return None };
        let rest = rest.saturating_sub(bytes);
        self.is_placed &= rest > 0;
        self.state = match buffers {
            _ if rest > 0 => State::Content { serial, buffers, rest },
            1 => State::Head,
            _ => State::Length { serial, buffers: buffers - 1 },
        };
        (self.state == State::Head).then_some(serial)
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
        self.message.get(..self.filled).unwrap_or_default()
    }

    /// The message, given away if it holds on to no more than `bytes_max` of memory. That of up to `keep` bytes is used again
    /// when it is free.
    pub(crate) fn give_away(&mut self, bytes_max: usize, keep: usize) -> Option<Bytes> {
        let capacity = self.message.capacity();
        if capacity > bytes_max {
            return None;
        }
        let memory = Bytes::from(std::mem::take(&mut self.message));
        let message = memory.slice(..std::mem::take(&mut self.filled));
        if capacity <= keep {
            self.lent.truncate(AVRO_MESSAGES_LENT - 1);
            self.lent.insert(0, memory);
        }
        Some(message)
    }

    /// Takes the memory of a message that was given away and is free again.
    fn reclaim(&mut self) {
        if let Some(place) = self.lent.iter().position(Bytes::is_unique) {
            self.message = self.lent.swap_remove(place).into();
        }
    }

    /// Bytes of the frame under way that are held.
    pub(crate) fn held(&self) -> usize {
        self.filled
    }

    /// Whether there is no frame under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == State::Head && self.head.is_empty()
    }

    /// Forgets the message, and its memory beyond `keep` bytes.
    pub(crate) fn forget(&mut self, keep: usize) {
        self.filled = 0;
        self.message.truncate(keep);
        self.message.shrink_to(keep);
    }

    /// Appends the next bytes of a buffer, of which `announced` are missing.
    fn append(&mut self, bytes: &[u8], announced: usize) {
        let end = self.filled + bytes.len();
        if end > self.message.capacity() {
            // Doubles, but never beyond the longest message; and makes room for all that is announced, but never for more than
            // has come.
            let doubled = (self.message.capacity() * 2).min(self.bytes_max);
            let whole = (self.filled + announced).min(end * 2);
            self.message.reserve_exact(end.max(doubled).max(whole) - self.message.len());
        }
        let (over, new) = bytes.split_at(bytes.len().min(self.message.len().saturating_sub(self.filled)));
        if let Some(place) = self.message.get_mut(self.filled..self.filled + over.len()) {
            place.copy_from_slice(over);
        }
        self.message.extend_from_slice(new);
        self.filled = end;
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
mod tests;
