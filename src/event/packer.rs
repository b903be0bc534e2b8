//! Events of one batch, in few allocations.

use std::fmt;

use bytes::Bytes;

use super::{Event, Headers};
use crate::limits::{EVENT_BLOCK_BODY_BYTES_MAX, EVENT_BLOCK_BYTES, TRANSACTION_EVENTS_MAX};

/// Makes the events of a batch from bytes that are elsewhere, such as the buffer of a connection. Short bodies are copied into
/// blocks that they share.
///
/// To allocate a body for each event, on a thread that another one then frees it for, costs more than a memory channel
/// does. Here there is one allocation for many events. An event keeps its block in memory, of
/// [`EVENT_BLOCK_BYTES`] at most, as long as it is somewhere; bodies of more than [`EVENT_BLOCK_BODY_BYTES_MAX`] have memory of
/// their own.
///
/// ```
/// use aqueduct::{Channel, EventPacker, Headers, MemoryChannel, PutBatch};
///
/// let channel = MemoryChannel::new("lines");
/// let received = b"one\ntwo\nthree";
/// let mut packer = EventPacker::new(3);
/// for line in received.split(|byte| *byte == b'\n') {
///     packer.push(Headers::new(), line);
/// }
/// channel.put_batch(PutBatch::new(packer.finish()))?;
/// # assert_eq!(channel.stats().depth_events, 3);
/// # Ok::<(), aqueduct::PutError>(())
/// ```
pub struct EventPacker {
    events: Vec<Event>,
    number: usize,
    block: Vec<u8>,
    // The places of the events whose bodies are in the block, and where these end.
    places: Vec<(usize, usize)>,
}

impl EventPacker {
    /// For about so many events: room for them is allocated, for [`TRANSACTION_EVENTS_MAX`] at most.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self {
            events: Vec::with_capacity(number.min(TRANSACTION_EVENTS_MAX)),
            number,
            block: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Adds an event, whose body is a copy of `body`.
    pub fn push(&mut self, headers: Headers, body: &[u8]) {
        if body.is_empty() || body.len() > EVENT_BLOCK_BODY_BYTES_MAX {
            return self.events.push(Event::from_parts(headers, Bytes::copy_from_slice(body)));
        }
        if self.block.len() + body.len() > EVENT_BLOCK_BYTES {
            self.close();
        }
        if self.block.is_empty() {
            // Most often the bodies of a batch are about as long as each other.
            let left = self.number.saturating_sub(self.events.len());
            self.block.reserve_exact(body.len().saturating_mul(left).clamp(body.len(), EVENT_BLOCK_BYTES));
        }
        self.block.extend_from_slice(body);
        self.places.push((self.events.len(), self.block.len()));
        self.events.push(Event::from_parts(headers, Bytes::new()));
    }

    /// The events, in the order in which they were added.
    #[must_use]
    pub fn finish(mut self) -> Vec<Event> {
        self.close();
        self.events
    }

    fn close(&mut self) {
        let block = Bytes::from(std::mem::take(&mut self.block).into_boxed_slice());
        let mut start = 0;
        for (place, end) in self.places.drain(..) {
            if let Some(event) = self.events.get_mut(place) {
                event.set_body(block.slice(start..end));
            }
            start = end;
        }
    }
}

impl fmt::Debug for EventPacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventPacker").field("events", &self.events.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_as_they_went_in_whatever_their_lengths() {
        let lengths = [
            0,
            1,
            500,
            EVENT_BLOCK_BODY_BYTES_MAX,
            EVENT_BLOCK_BODY_BYTES_MAX + 1,
            0,
            EVENT_BLOCK_BYTES,
            7,
            EVENT_BLOCK_BODY_BYTES_MAX,
            EVENT_BLOCK_BODY_BYTES_MAX,
            EVENT_BLOCK_BODY_BYTES_MAX,
            3,
        ];
        for number in [0, 1, lengths.len(), 1 << 40] {
            let mut packer = EventPacker::new(number);
            let mut expected = Vec::new();
            for (index, length) in lengths.into_iter().enumerate() {
                let body = vec![u8::try_from(index).unwrap(); length];
                let mut headers = Headers::new();
                headers.insert("index", &index.to_string()).unwrap();
                packer.push(headers.clone(), &body);
                expected.push(Event::from_parts(headers, body));
            }
            assert_eq!(packer.finish(), expected);
        }
        assert!(EventPacker::new(0).finish().is_empty());
    }

    #[test]
    fn an_event_keeps_no_more_than_a_block_in_memory() {
        let mut packer = EventPacker::new(1000);
        (0..1000).for_each(|_| packer.push(Headers::new(), &[b'x'; 500]));
        let events = packer.finish();
        let address = |event: &Event| event.body().as_ptr().addr();
        let neighbours = events.windows(2).filter(|pair| address(&pair[0]) + 500 == address(&pair[1])).count();
        let blocks = (1000 * 500_usize).div_ceil(EVENT_BLOCK_BYTES / 500 * 500);
        assert!(neighbours >= 1000 - blocks, "{neighbours} of 1000 share a block with the next one");
        assert!(packer_block_is_exact(), "no room is kept that nothing is in");
    }

    fn packer_block_is_exact() -> bool {
        let mut packer = EventPacker::new(1000);
        packer.push(Headers::new(), b"the only one");
        let body = packer.finish().remove(0).into_parts().1;
        // The only owner of a whole block gets it back as it was allocated.
        body.try_into_mut().is_ok_and(|block| block.capacity() == block.len())
    }
}
