//! The frames of Thrift's `TFramedTransport`: a length, big-endian and of 32 bits, and so many bytes.

/// Why a connection cannot go on: where the next frame begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame without content")]
    Empty,
    #[error("a frame of {actual} bytes is over the limit of {max}")]
    TooLong { actual: u32, max: usize },
}

/// Puts the pieces that come from a connection together to messages.
#[derive(Debug)]
pub(crate) struct FrameReader {
    bytes_max: usize,
    head: Vec<u8>,
    // Of the frame that is under way.
    length: Option<usize>,
    message: Vec<u8>,
    is_whole: bool,
}

impl FrameReader {
    /// Messages may have up to `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, head: Vec::new(), length: None, message: Vec::new(), is_whole: false }
    }

    /// Takes bytes from the front of `input`, up to the end of a frame. Returns whether there is a whole one; the
    /// [`message`](Self::message) is there until the next call.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<bool, FrameError> {
        if std::mem::take(&mut self.is_whole) {
            self.message.clear();
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.read_length(input)? {
                Some(length) => length,
                None => return Ok(false),
            },
        };
        let (taken, rest) = input.split_at(input.len().min(length - self.message.len()));
        *input = rest;
        // As it comes, so that nobody gets memory for announcing something.
        self.message.extend_from_slice(taken);
        if self.message.len() == length {
            self.length = None;
            self.is_whole = true;
        }
        Ok(self.is_whole)
    }

    fn read_length(&mut self, input: &mut &[u8]) -> Result<Option<usize>, FrameError> {
        let (taken, rest) = input.split_at(input.len().min(HEAD_BYTES - self.head.len()));
        *input = rest;
        self.head.extend_from_slice(taken);
        if self.head.len() < HEAD_BYTES {
            return Ok(None);
        }
        let length = self.head.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        self.head.clear();
        match usize::try_from(length) {
            Ok(0) => Err(FrameError::Empty),
            Ok(bytes) if bytes <= self.bytes_max => {
                self.length = Some(bytes);
                Ok(self.length)
            }
            _ => Err(FrameError::TooLong { actual: length, max: self.bytes_max }),
        }
    }

    /// The content of the frame that was read last.
    pub(crate) fn message(&self) -> &[u8] {
        if self.is_whole { &self.message } else { &[] }
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.message.len()
    }

    /// Whether no frame is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.length.is_none() && self.head.is_empty()
    }

    /// Forgets the message, and gives memory back that is over `keep_bytes`.
    pub(crate) fn forget(&mut self, keep_bytes: usize) {
        self.is_whole = false;
        self.message.clear();
        self.message.shrink_to(keep_bytes);
    }
}

/// Appends a frame with what `content` appends.
pub(crate) fn write_frame(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    content(out);
    let length = u32::try_from(out.len() - start - HEAD_BYTES).unwrap_or(u32::MAX);
    let mut head = length.to_le_bytes();
    head.reverse();
    if let Some(place) = out.get_mut(start..start + HEAD_BYTES) {
        place.copy_from_slice(&head);
    }
}

const HEAD_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_together_wherever_they_are_cut() {
        let mut bytes = Vec::new();
        let messages = [b"a".to_vec(), vec![7; 300], b"bc".to_vec()];
        for message in &messages {
            write_frame(&mut bytes, |out| out.extend_from_slice(message));
        }
        assert_eq!(bytes[..6], [0, 0, 0, 1, b'a', 0]);
        for size in 1..bytes.len() {
            let mut reader = FrameReader::new(300);
            let mut found = Vec::new();
            for mut piece in bytes.chunks(size) {
                while !piece.is_empty() {
                    if reader.read(&mut piece).unwrap() {
                        assert!(reader.is_idle());
                        found.push(reader.message().to_vec());
                        if found.len() == 2 {
                            reader.forget(10);
                            assert_eq!((reader.held(), reader.message()), (0, &b""[..]));
                        }
                    } else {
                        assert!(piece.is_empty() && !reader.is_idle() && reader.message().is_empty());
                    }
                }
            }
            assert_eq!(found, messages, "pieces of {size}");
        }
    }

    #[test]
    fn lengths_are_limited() {
        let read = |bytes: &[u8]| FrameReader::new(300).read(&mut &bytes[..]);
        assert_eq!(read(&[0, 0, 1, 44]), Ok(false));
        assert_eq!(read(&[0, 0, 1, 45]), Err(FrameError::TooLong { actual: 301, max: 300 }));
        assert_eq!(read(&[0xff; 4]), Err(FrameError::TooLong { actual: u32::MAX, max: 300 }));
        assert_eq!(read(&[0; 4]), Err(FrameError::Empty));
        let mut reader = FrameReader::new(1 << 30);
        assert_eq!(reader.read(&mut &[0x10, 0, 0, 0, 1][..]), Ok(false));
        assert!(reader.held() == 1 && reader.message.capacity() < 100, "nothing for what is only announced");
    }
}
