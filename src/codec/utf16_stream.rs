//! A conversation in UTF-16, as UTF-8: what comes in pieces, and what is answered.

use encoding_rs::Decoder;

use super::charset::Charset;

/// Turns one direction of a connection into UTF-8, and text for the other one into UTF-16.
#[derive(Debug)]
pub(crate) struct Utf16Stream {
    charset: Charset,
    decoder: Decoder,
    // `UTF-16` begins with a mark of the order of bytes, as in Java.
    is_mark_due: bool,
}

impl Utf16Stream {
    /// `None` if the encoding is another one.
    pub(crate) fn of(charset: Charset) -> Option<Self> {
        let decoder = charset.utf16_decoder()?;
        Some(Self { charset, decoder, is_mark_due: charset.is_marked() })
    }

    /// The next piece. What it cuts in two comes with the piece behind it; each unit that is not valid becomes U+FFFD.
    pub(crate) fn decode(&mut self, piece: &[u8]) -> String {
        let mut text = String::new();
        // More than that cannot come of it.
        let room = self.decoder.max_utf8_buffer_length(piece.len());
        text.reserve(room.unwrap_or_else(|| piece.len().saturating_mul(3)));
        let _ = self.decoder.decode_to_string(piece, &mut text, false);
        text
    }

    pub(crate) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if std::mem::take(&mut self.is_mark_due) {
            out.extend([0xfe, 0xff]);
        }
        self.charset.encode(text, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(label: &str) -> Utf16Stream {
        Utf16Stream::of(Charset::for_label(label).unwrap()).unwrap()
    }

    #[test]
    fn pieces_of_any_size_give_the_same_text() {
        let text = "caf\u{e9} \u{1d11e}\n\u{feff}x";
        for (label, bytes) in [
            ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
            ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("UTF-16", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("UTF-16", [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()),
            ("UTF-16", [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()),
        ] {
            for size in 1..=bytes.len() {
                let mut stream = stream(label);
                let found: String = bytes.chunks(size).map(|piece| stream.decode(piece)).collect();
                assert_eq!(found, text, "{label} in pieces of {size}");
            }
        }
    }

    #[test]
    fn half_a_pair_is_replaced_and_the_rest_goes_on() {
        assert_eq!(stream("UTF-16BE").decode(&[0xd8, 0x34, 0, b'x', 0, b'\n']), "\u{fffd}x\n");
    }

    #[test]
    fn answers_begin_with_a_mark_only_where_java_writes_one() {
        let mut marked = stream("UTF-16");
        assert_eq!([marked.encode("O"), marked.encode("K")], [vec![0xfe, 0xff, 0, b'O'], vec![0, b'K']]);
        assert_eq!(stream("UTF-16LE").encode("O"), [b'O', 0]);
        assert!(Utf16Stream::of(Charset::UTF_8).is_none());
    }
}
