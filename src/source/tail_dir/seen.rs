//! What was read of a file last, as far as the file is recognised by it.

use bytes::Bytes;

use super::position::END_BYTES_MAX;
use crate::limits::TAIL_COMPARED_BYTES_MAX;
use crate::source::files::HEAD_BYTES_MAX;

/// The last bytes that were read of a file, up to the place where reading goes on.
///
/// A file is recognised by what was read of it. Looked for in the file afterwards, that may be something else already: a
/// program has emptied the file and goes on writing.
#[derive(Debug)]
pub(super) struct Seen {
    // Of the first bytes of the file those from `head_at` on that were read.
    head: Vec<u8>,
    head_at: u64,
    // What was read before `piece`, the end of it.
    trail: Vec<u8>,
    // What was read last, up to `at`.
    piece: Bytes,
    at: u64,
}

impl Seen {
    /// Reading begins at `at`.
    pub(super) fn new(at: u64) -> Self {
        Self { head: Vec::new(), head_at: at, trail: Vec::new(), piece: Bytes::new(), at }
    }

    /// These bytes are before the place where reading begins. Once it has begun, they are known.
    pub(super) fn begin_behind(&mut self, end: &[u8]) {
        if self.trail.is_empty() && self.piece.is_empty() {
            self.trail.extend_from_slice(end);
        }
    }

    /// This was read.
    pub(super) fn push(&mut self, piece: &Bytes) {
        self.fold();
        let head_left = (HEAD_BYTES_MAX as u64).saturating_sub(self.at);
        let head_left = usize::try_from(head_left).unwrap_or(usize::MAX).min(piece.len());
        self.head.extend_from_slice(piece.get(..head_left).unwrap_or_default());
        self.at += piece.len() as u64;
        self.piece = piece.clone();
    }

    /// Keeps no more of what was read than is needed, once there are no more lines in it.
    pub(super) fn fold(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        let new = piece.get(piece.len().saturating_sub(TRAIL_BYTES)..).unwrap_or_default();
        let kept = TRAIL_BYTES - new.len();
        self.trail.drain(..self.trail.len().saturating_sub(kept));
        self.trail.extend_from_slice(new);
    }

    /// Up to `len` bytes before `offset`.
    pub(super) fn before(&self, offset: u64, len: usize) -> Vec<u8> {
        let behind = usize::try_from(self.at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let held = self.trail.len() + self.piece.len();
        let end = held.saturating_sub(behind);
        let bytes = self.trail.iter().chain(&self.piece).take(end).skip(end.saturating_sub(len));
        bytes.copied().collect()
    }

    /// Of the first bytes of the file those from `from` to `to`, once; `None` if others were read.
    pub(super) fn take_head(&mut self, from: usize, to: usize) -> Option<Vec<u8>> {
        let len = to.checked_sub(from)?;
        if self.head_at != from as u64 || self.head.len() < len {
            return None;
        }
        let rest = self.head.split_off(len);
        self.head_at += len as u64;
        Some(std::mem::replace(&mut self.head, rest))
    }
}

/// Of what was read before the last piece so much is held: the end of an unfinished line, and that of what was handed over,
/// which may be before a cut some bytes before the piece.
const TRAIL_BYTES: usize =
    if END_BYTES_MAX > TAIL_COMPARED_BYTES_MAX { END_BYTES_MAX } else { TAIL_COMPARED_BYTES_MAX } + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_held_however_it_came() {
        let text: Vec<u8> = (0..6000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
        for piece_len in [1, 5, 300, 5000, 6000] {
            for start in [0_usize, 10, 4100] {
                let mut seen = Seen::new(start as u64);
                seen.begin_behind(&text[start.saturating_sub(7)..start]);
                let (mut at, mut head) = (start, text[..start.min(HEAD_BYTES_MAX)].to_vec());
                for piece in text[start..].chunks(piece_len) {
                    seen.push(&Bytes::copy_from_slice(piece));
                    at += piece.len();
                    let end = seen.before(at as u64, END_BYTES_MAX);
                    let from = at.saturating_sub(END_BYTES_MAX).max(start.saturating_sub(7));
                    assert_eq!(end, &text[from..at], "pieces of {piece_len} from {start}");
                    // Not all of a piece is handed over.
                    let handed = at - piece.len() / 2;
                    assert!(text[..handed].ends_with(&seen.before(handed as u64, 100)));
                    let to = handed.min(HEAD_BYTES_MAX);
                    if head.len() < to {
                        head.extend(seen.take_head(head.len(), to).unwrap());
                    }
                    assert_eq!(head, &text[..to], "pieces of {piece_len} from {start}");
                }
                seen.fold();
                assert_eq!(seen.before(at as u64, END_BYTES_MAX), &text[at - END_BYTES_MAX..]);
            }
        }
        assert_eq!(Seen::new(10).take_head(0, 5), None, "what was not read is not known");
    }
}
