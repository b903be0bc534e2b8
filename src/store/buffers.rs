//! Buffers for records, used again: a fresh one of many pages costs a page fault for each.

use crate::limits::{RECORD_BUFFER_BYTES_MAX, RECORD_BUFFERS_MAX};
use crate::sync::Mutex;

/// Empty buffers of records that are written.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty buffer with room for `len` bytes.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        // What would not be kept, and what no page is saved for, does not take one from those who need it.
        let kept = if is_worth_keeping(len) { self.kept(len) } else { None };
        let mut buffer = kept.unwrap_or_default();
        buffer.reserve_exact(len);
        buffer
    }

    /// One with enough room if there is one, otherwise any.
    fn kept(&self, len: usize) -> Option<Vec<u8>> {
        let mut kept = self.0.lock();
        let fitting = kept.iter().rposition(|buffer| buffer.capacity() >= len);
        let index = fitting.or(kept.len().checked_sub(1))?;
        Some(kept.swap_remove(index))
    }

    /// Keeps a buffer for later, unless there are enough.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        if !is_worth_keeping(buffer.capacity()) {
            return;
        }
        buffer.clear();
        let mut kept = self.0.lock();
        if kept.len() < RECORD_BUFFERS_MAX {
            kept.push(buffer);
        }
    }
}

fn is_worth_keeping(bytes: usize) -> bool {
    (RECORD_BUFFER_BYTES_MIN..=RECORD_BUFFER_BYTES_MAX).contains(&bytes)
}

/// Below this an allocation is cheap.
const RECORD_BUFFER_BYTES_MIN: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_large_enough() {
        let buffers = Buffers::default();
        let mut first = buffers.take(5000);
        first.extend_from_slice(&[7; 5000]);
        let place = first.as_ptr();
        buffers.give_back(first);
        let again = buffers.take(4000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        buffers.give_back(again);
        assert!(buffers.take(9000).capacity() >= 9000);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let buffers = Buffers::default();
        for len in [0, 10, RECORD_BUFFER_BYTES_MAX + 1] {
            buffers.give_back(Vec::with_capacity(len));
            assert!(buffers.0.lock().is_empty());
        }
        for _ in 0..RECORD_BUFFERS_MAX + 5 {
            buffers.give_back(Vec::with_capacity(RECORD_BUFFER_BYTES_MAX));
        }
        assert_eq!(buffers.0.lock().len(), RECORD_BUFFERS_MAX);
    }
}
