//! Lines as text readers have them: each of `\n`, `\r` and `\r\n` ends one.

use bytes::{Buf, Bytes, BytesMut};

use super::charset::{CHAR_BYTES_MAX, Charset};

/// Splits a stream that arrives in pieces into lines, as Java's `readLine` does: a lone carriage return ends a line, too.
///
/// A line longer than the maximum is cut there, never in the middle of a character, and what follows is the next line, so
/// that never more than the longest line and one piece is held. The lines do not depend on the pieces.
#[derive(Debug)]
pub(crate) struct TextLines {
    charset: Charset,
    bytes_max: usize,
    buffered: BytesMut,
    // So much of it has no line end in it.
    searched: usize,
    // The last line ended in a carriage return: a line feed that follows belongs to it.
    may_skip_feed: bool,
}

impl TextLines {
    /// Lines of at most `bytes_max` bytes, raised to 4 so that every character fits.
    pub(crate) fn new(charset: Charset, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(CHAR_BYTES_MAX) / charset.unit() * charset.unit();
        Self { charset, bytes_max, buffered: BytesMut::new(), searched: 0, may_skip_feed: false }
    }

    /// Adds a piece. Call [`next_line`](Self::next_line) until there is none first.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffered.extend_from_slice(piece);
    }

    /// The next line without its end, or `None` if more of the stream is needed.
    pub(crate) fn next_line(&mut self) -> Option<Bytes> {
        let unit = self.charset.unit();
        if self.may_skip_feed {
            let next = self.buffered.get(..unit)?;
            if self.charset.find_newline(next).is_some() {
                self.buffered.advance(unit);
            }
            self.may_skip_feed = false;
        }
        // Beyond this there is nothing to look for: the line is cut before it.
        let window = self.buffered.len().min(self.bytes_max.saturating_add(unit));
        let text = self.buffered.get(self.searched..window).unwrap_or_default();
        let Some((at, is_return)) = self.charset.find_line_end(text) else {
            self.searched = window / unit * unit;
            if self.searched <= self.bytes_max {
                return None;
            }
            let cut = self.charset.cut(&self.buffered, self.bytes_max);
            self.searched -= cut;
            return Some(self.copied(cut));
        };
        let line = self.copied(self.searched + at);
        self.buffered.advance(unit);
        self.searched = 0;
        self.may_skip_feed = is_return;
        Some(line)
    }

    /// What is left at the end of the stream: a last line without end. Call it until it returns `None`.
    pub(crate) fn finish(&mut self) -> Option<Bytes> {
        if let Some(line) = self.next_line() {
            return Some(line);
        }
        self.searched = 0;
        // Half a code unit may be beyond the maximum.
        let left = self.buffered.len().min(self.bytes_max);
        (left > 0).then(|| self.copied(left))
    }

    /// A copy, so that a line does not hold the memory of its neighbours.
    fn copied(&mut self, bytes: usize) -> Bytes {
        let line = Bytes::copy_from_slice(self.buffered.get(..bytes).unwrap_or(&self.buffered));
        self.buffered.advance(line.len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(charset: Charset, max: usize, text: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut splitter = TextLines::new(charset, max);
        let mut found = Vec::new();
        for piece in text.chunks(piece) {
            splitter.push(piece);
            found.extend(std::iter::from_fn(|| splitter.next_line()));
        }
        found.extend(std::iter::from_fn(|| splitter.finish()));
        found.into_iter().map(|line| line.to_vec()).collect()
    }

    #[test]
    fn every_kind_of_line_end_ends_one_line() {
        let text = b"one\r\ntwo\rthree\n\n\r\r\n\n\rlast";
        let expected = ["one", "two", "three", "", "", "", "", "", "last"].map(|line| line.as_bytes().to_vec());
        for piece in 1..=text.len() {
            assert_eq!(lines(Charset::UTF_8, 100, text, piece), expected, "pieces of {piece}");
        }
        assert_eq!(lines(Charset::UTF_8, 100, b"", 1), [[0_u8; 0]; 0]);
        assert_eq!(lines(Charset::UTF_8, 100, b"\r", 1), [b""]);
        assert_eq!(lines(Charset::UTF_8, 100, b"a\r\n", 1), [b"a"]);
    }

    #[test]
    fn sixteen_bits_are_looked_at_together() {
        let charset = Charset::for_label("UTF-16LE").unwrap();
        // U+0A0D and U+0D0A are no line ends.
        let text: Vec<u8> = "a\r\n\u{a0d}\u{d0a}\rb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for piece in 1..=text.len() {
            assert_eq!(lines(charset, 100, &text, piece), [&b"a\0"[..], &text[6..10], b"b\0"], "pieces of {piece}");
        }
    }

    #[test]
    fn a_line_is_cut_at_the_maximum_between_characters_wherever_the_pieces_end() {
        let text = "12345\u{20ac}\u{20ac}678\r\n1234567\r\n12345678\nx".as_bytes();
        let expected = ["12345", "\u{20ac}\u{20ac}6", "78", "1234567", "1234567", "8", "x"];
        for piece in 1..=text.len() {
            let found = lines(Charset::UTF_8, 7, text, piece);
            assert_eq!(found, expected.map(|line| line.as_bytes().to_vec()), "pieces of {piece}");
        }
        let endless = vec![b'x'; 1 << 20];
        let found = lines(Charset::BYTES, 4, &endless, 1 << 16);
        assert!(found.len() == 1 << 18 && found.iter().all(|line| line == b"xxxx"));
    }

    #[test]
    fn a_maximum_may_be_as_large_as_it_likes() {
        assert_eq!(lines(Charset::UTF_8, usize::MAX, b"one\r\ntwo", 2), [b"one", b"two"]);
    }
}
