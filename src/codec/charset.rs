//! Character encodings of text that comes from outside.
//!
//! Bodies of events are UTF-8. Text that is UTF-8 already, or pure ASCII in an encoding that contains ASCII, is checked
//! and passed on without a copy.

mod count;
mod names;
mod single;
pub(crate) mod utf8;

use bytes::Bytes;
use encoding_rs::{Decoder, DecoderResult, EncoderResult, Encoding};

/// A character encoding, with what a splitter of lines must know of it.
///
/// ```
/// use aqueduct::codec::charset::{Charset, DecodeError};
///
/// let charset = Charset::for_label("ISO-8859-1").ok_or("no such encoding")?;
/// assert_eq!(charset.decode(b"caf\xe9".as_slice().into(), DecodeError::Fail)?, "caf\u{e9}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bytes,
    Utf8,
    Ascii,
    Latin1,
    // ISO-8859-9, which is Latin1 but for six letters.
    Latin5,
    Utf16 { big_endian: bool },
    Utf16Marked,
    // Contains ASCII, and no multi-byte sequence of it contains a line feed.
    Table(&'static Encoding),
}

/// What to do with bytes that are not valid in their encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is refused.
    #[default]
    Fail,
    /// Each maximal invalid part becomes one U+FFFD.
    Replace,
    /// Invalid bytes are left out.
    Ignore,
}

/// Bytes that are not valid in their encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes at {at} are not valid {charset}")]
#[non_exhaustive]
pub struct Malformed {
    /// Name of the encoding.
    pub charset: &'static str,
    /// Where the first invalid part begins.
    pub at: usize,
    /// Its length in bytes.
    pub len: usize,
}

impl Charset {
    /// Not text: bytes pass unchecked, a line feed byte ends a line, and a line can be cut anywhere.
    pub const BYTES: Self = Self(Kind::Bytes);
    /// UTF-8.
    pub const UTF_8: Self = Self(Kind::Utf8);

    /// The encoding of this name, in any case: the labels of the WHATWG Encoding Standard and Java's names for the same
    /// encodings, with three differences from the standard. `ISO-8859-1`, `ISO-8859-9` and `US-ASCII` (and their aliases)
    /// are what they say, not windows-1252 and windows-1254; `UTF-16` goes by the byte order mark, which is not part of the
    /// text, and is big-endian without one, as in Java; encodings with shift states (`ISO-2022-JP`) are not known, because
    /// a reader could not continue in the middle of a file.
    #[must_use]
    pub fn for_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        let label = names::canonical(&label);
        match label {
            "iso-8859-1" => return Some(Self(Kind::Latin1)),
            "iso-8859-9" => return Some(Self(Kind::Latin5)),
            "us-ascii" => return Some(Self(Kind::Ascii)),
            "utf-16" => return Some(Self(Kind::Utf16Marked)),
            _ => {}
        }
        let encoding = Encoding::for_label(label.as_bytes())?;
        Some(Self(match encoding {
            e if e == encoding_rs::UTF_8 => Kind::Utf8,
            e if e == encoding_rs::UTF_16LE => Kind::Utf16 { big_endian: false },
            e if e == encoding_rs::UTF_16BE => Kind::Utf16 { big_endian: true },
            e if e.is_ascii_compatible() => Kind::Table(e),
            _ => return None,
        }))
    }

    /// The name of the encoding.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Bytes => "bytes",
            Kind::Utf8 => "UTF-8",
            Kind::Ascii => "US-ASCII",
            Kind::Latin1 => "ISO-8859-1",
            Kind::Latin5 => "ISO-8859-9",
            Kind::Utf16 { big_endian: false } => "UTF-16LE",
            Kind::Utf16 { big_endian: true } => "UTF-16BE",
            Kind::Utf16Marked => "UTF-16",
            Kind::Table(encoding) => encoding.name(),
        }
    }

    /// The encoding of a text that begins with `head`, and how many bytes of it are a mark and not text. Only `UTF-16`
    /// depends on the text.
    #[must_use]
    pub fn of_text(self, head: &[u8]) -> (Self, usize) {
        match (self.0, head) {
            (Kind::Utf16Marked, [0xff, 0xfe, ..]) => (Self(Kind::Utf16 { big_endian: false }), 2),
            (Kind::Utf16Marked, [0xfe, 0xff, ..]) => (Self(Kind::Utf16 { big_endian: true }), 2),
            (Kind::Utf16Marked, _) => (Self(Kind::Utf16 { big_endian: true }), 0),
            _ => (self, 0),
        }
    }

    /// Whether an ASCII character is one byte, as it is in all encodings but those of 16 bits.
    #[must_use]
    pub fn contains_ascii(self) -> bool {
        self.unit() == 1
    }

    /// Bytes of a code unit: line ends are looked for at multiples of it.
    pub(crate) fn unit(self) -> usize {
        match self.0 {
            Kind::Utf16 { .. } | Kind::Utf16Marked => 2,
            _ => 1,
        }
    }

    /// Decodes a stream in this encoding, if it is one of 16 bits.
    pub(crate) fn utf16_decoder(self) -> Option<Decoder> {
        match self.0 {
            Kind::Utf16 { big_endian: false } => Some(encoding_rs::UTF_16LE.new_decoder_without_bom_handling()),
            Kind::Utf16 { big_endian: true } => Some(encoding_rs::UTF_16BE.new_decoder_without_bom_handling()),
            Kind::Utf16Marked => Some(encoding_rs::UTF_16BE.new_decoder()),
            _ => None,
        }
    }

    /// Whether text begins with a mark that tells the order of bytes.
    pub(crate) fn is_marked(self) -> bool {
        self.0 == Kind::Utf16Marked
    }

    /// Where the first line feed begins; `text` begins at a code unit.
    pub(crate) fn find_newline(self, text: &[u8]) -> Option<usize> {
        let big_endian = match self.0 {
            Kind::Utf16 { big_endian } => big_endian,
            Kind::Utf16Marked => true,
            _ => return memchr::memchr(b'\n', text),
        };
        memchr::memchr_iter(b'\n', text).find_map(|at| {
            let unit_at = at & !1;
            let unit = text.get(unit_at..unit_at + 2)?;
            (unit == if big_endian { [0, b'\n'] } else { [b'\n', 0] }).then_some(unit_at)
        })
    }

    /// Where the first line feed or carriage return begins, and whether it is a carriage return; `text` begins at a code unit.
    pub(crate) fn find_line_end(self, text: &[u8]) -> Option<(usize, bool)> {
        let big_endian = match self.0 {
            Kind::Utf16 { big_endian } => big_endian,
            Kind::Utf16Marked => true,
            _ => {
                let at = memchr::memchr2(b'\n', b'\r', text)?;
                return Some((at, text.get(at) == Some(&b'\r')));
            }
        };
        memchr::memchr2_iter(b'\n', b'\r', text).find_map(|at| {
            let unit_at = at & !1;
            let byte = *text.get(at)?;
            let unit = text.get(unit_at..unit_at + 2)?;
            (unit == if big_endian { [0, byte] } else { [byte, 0] }).then_some((unit_at, byte == b'\r'))
        })
    }

    /// The largest number of bytes, at most `max`, that can be cut off `text` without cutting a character in two; `max`
    /// itself if the text is malformed there. `text` is longer than `max`, and `max` at least [`CHAR_BYTES_MAX`].
    pub(crate) fn cut(self, text: &[u8], max: usize) -> usize {
        let byte = |at: usize| text.get(at).copied().unwrap_or_default();
        match self.0 {
            Kind::Bytes | Kind::Ascii | Kind::Latin1 | Kind::Latin5 => max,
            Kind::Utf8 => {
                let is_continuation = |at| byte(at) & 0xc0 == 0x80;
                let floor = max.saturating_sub(CHAR_BYTES_MAX - 1).max(1);
                let Some(lead) = (floor..=max).rev().find(|at| !is_continuation(*at)) else { return max };
                let char_len = match byte(lead) {
                    0xc2..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xf4 => 4,
                    _ => 1,
                };
                if lead + char_len > max { lead } else { max }
            }
            Kind::Utf16 { .. } | Kind::Utf16Marked => {
                let max = max & !1;
                let big_endian = self.0 != Kind::Utf16 { big_endian: false };
                let high_byte = |at: usize| byte(if big_endian { at } else { at + 1 });
                let cuts_pair =
                    max > 2 && (0xd8..=0xdb).contains(&high_byte(max - 2)) && (0xdc..=0xdf).contains(&high_byte(max));
                if cuts_pair { max - 2 } else { max }
            }
            Kind::Table(encoding) if encoding.is_single_byte() => max,
            Kind::Table(encoding) => {
                let floor = max.saturating_sub(CHAR_BYTES_MAX - 1).max(1);
                let is_whole = |at: &usize| text.get(..*at).is_some_and(|part| ends_whole(encoding, part));
                (floor..=max).rev().find(is_whole).unwrap_or(max)
            }
        }
    }

    /// At most how many bytes are held for `chars` UTF-16 code units, where `policy` says what becomes of bytes that are not
    /// valid: of those that are left out, some.
    pub(crate) fn bytes_of_chars(self, chars: usize, policy: DecodeError) -> usize {
        let ignored = if policy == DecodeError::Ignore { IGNORED_BYTES_MAX } else { 0 };
        chars.saturating_mul(self.unit_bytes_max()).saturating_add(ignored)
    }

    /// Bytes of the longest sequence that becomes one UTF-16 code unit.
    fn unit_bytes_max(self) -> usize {
        match self.0 {
            Kind::Utf8 => 3,
            Kind::Utf16 { .. } | Kind::Utf16Marked => 2,
            Kind::Table(encoding) if !encoding.is_single_byte() => CHAR_BYTES_MAX,
            _ => 1,
        }
    }

    /// The number of bytes of the first `max` UTF-16 code units of `text`, or of one less where a character would be cut in
    /// two; all bytes if it has no more units. Each malformed part counts as one, unless `policy` leaves it out.
    pub(crate) fn cut_chars(self, text: &[u8], max: usize, policy: DecodeError) -> usize {
        let of_malformed = usize::from(policy != DecodeError::Ignore);
        match self.encoding() {
            _ if self.0 == Kind::Utf8 => count::cut_utf8(text, max, of_malformed),
            Some(encoding) if of_malformed == 0 && encoding.is_single_byte() => single::cut(encoding, text, max),
            Some(encoding) if of_malformed == 0 || self.unit_bytes_max() == CHAR_BYTES_MAX => {
                count::cut_table(encoding, text, max, of_malformed)
            }
            None if of_malformed == 0 && self.0 == Kind::Ascii => count::cut_ascii(text, max),
            _ => {
                let bytes = max.saturating_mul(self.unit());
                if text.len() > bytes { self.cut(text, bytes) } else { text.len() }
            }
        }
    }

    /// UTF-16 code units that begin in a piece of a text, as far as that can be told without what surrounds it: never more
    /// than there are in valid text.
    pub(crate) fn chars_begun(self, piece: &[u8]) -> usize {
        match self.0 {
            Kind::Bytes | Kind::Ascii | Kind::Latin1 | Kind::Latin5 => piece.len(),
            Kind::Table(encoding) if encoding.is_single_byte() => piece.len(),
            // A lead byte of four stands for a pair.
            Kind::Utf8 => piece.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum(),
            Kind::Table(_) => piece.len() / CHAR_BYTES_MAX,
            Kind::Utf16 { .. } | Kind::Utf16Marked => 0,
        }
    }

    /// What decodes it, where that is not done here.
    fn encoding(self) -> Option<&'static Encoding> {
        match self.0 {
            Kind::Utf16 { big_endian: false } => Some(encoding_rs::UTF_16LE),
            Kind::Utf16 { big_endian: true } | Kind::Utf16Marked => Some(encoding_rs::UTF_16BE),
            Kind::Table(encoding) => Some(encoding),
            _ => None,
        }
    }

    /// The text in UTF-8. No copy is made if it is UTF-8 or ASCII already.
    ///
    /// # Errors
    /// [`Malformed`], if the text is not valid and the policy is [`DecodeError::Fail`].
    pub fn decode(self, text: Bytes, policy: DecodeError) -> Result<Bytes, Malformed> {
        match (self.0, self.encoding()) {
            (Kind::Bytes, _) => Ok(text),
            (Kind::Utf8, _) => decode_utf8(text, policy),
            _ if self.unit() == 1 && text.is_ascii() => Ok(text),
            (Kind::Ascii, _) => decode_ascii(&text, policy),
            (_, Some(encoding)) => {
                single::without_controls(encoding, decode_table(encoding, &text, policy)?, policy).map(Bytes::from)
            }
            (Kind::Latin5, None) => {
                Ok(text.iter().map(|byte| swap_latin5(char::from(*byte))).collect::<String>().into())
            }
            (_, None) => Ok(encoding_rs::mem::decode_latin1(&text).into_owned().into()),
        }
    }

    /// Appends a text in this encoding. A character that it does not have becomes a question mark, as in Java. `UTF-16` is
    /// written big-endian and without a mark.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) {
        match self.0 {
            Kind::Bytes | Kind::Utf8 => out.extend_from_slice(text.as_bytes()),
            Kind::Ascii => out.extend(text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?'))),
            Kind::Latin1 => out.extend(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?'))),
            Kind::Latin5 => out.extend(text.chars().map(|c| u8::try_from(swap_latin5(c)).unwrap_or(b'?'))),
            Kind::Utf16 { big_endian: false } => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Kind::Utf16 { big_endian: true } | Kind::Utf16Marked => {
                out.extend(text.encode_utf16().map(u16::swap_bytes).flat_map(u16::to_le_bytes));
            }
            Kind::Table(encoding) => encode_table(encoding, &single::encodable(encoding, text), out),
        }
    }
}

/// The letters of Turkish change places with those of Icelandic.
fn swap_latin5(c: char) -> char {
    let other = |(latin1, latin5)| if c == latin1 { Some(latin5) } else { (c == latin5).then_some(latin1) };
    LATIN5_LETTERS.into_iter().find_map(other).unwrap_or(c)
}

fn encode_table(encoding: &'static Encoding, text: &str, out: &mut Vec<u8>) {
    let mut encoder = encoding.new_encoder();
    let mut rest = text;
    loop {
        out.reserve(rest.len().saturating_add(OUTPUT_ROOM));
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, out, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(_) => out.push(b'?'),
        }
    }
}

fn decode_utf8(text: Bytes, policy: DecodeError) -> Result<Bytes, Malformed> {
    if std::str::from_utf8(&text).is_ok() {
        return Ok(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for part in utf8::parts(&text) {
        out.push_str(part.valid);
        at += part.valid.len();
        match policy {
            _ if part.invalid.is_empty() => {}
            DecodeError::Fail => return Err(Malformed { charset: "UTF-8", at, len: part.invalid.len() }),
            DecodeError::Replace => out.push(char::REPLACEMENT_CHARACTER),
            DecodeError::Ignore => {}
        }
        at += part.invalid.len();
    }
    Ok(out.into())
}

fn decode_ascii(text: &[u8], policy: DecodeError) -> Result<Bytes, Malformed> {
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        match policy {
            _ if byte.is_ascii() => out.push(char::from(*byte)),
            DecodeError::Fail => return Err(Malformed { charset: "US-ASCII", at, len: 1 }),
            DecodeError::Replace => out.push(char::REPLACEMENT_CHARACTER),
            DecodeError::Ignore => {}
        }
    }
    Ok(out.into())
}

fn decode_table(encoding: &'static Encoding, text: &[u8], policy: DecodeError) -> Result<String, Malformed> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    let mut done = 0;
    loop {
        let rest = text.get(done..).unwrap_or_default();
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut out, true);
        done += read;
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::OutputFull => out.reserve(rest.len().saturating_mul(3).max(OUTPUT_ROOM)),
            DecoderResult::Malformed(len, after) => {
                let len = usize::from(len);
                match policy {
                    DecodeError::Fail => {
                        let at = done.saturating_sub(len + usize::from(after));
                        return Err(Malformed { charset: encoding.name(), at, len });
                    }
                    DecodeError::Replace => out.push(char::REPLACEMENT_CHARACTER),
                    DecodeError::Ignore => {}
                }
            }
        }
    }
    out.shrink_to_fit();
    Ok(out)
}

/// Whether `text` does not end within a character.
fn ends_whole(encoding: &'static Encoding, text: &[u8]) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = [0; 1024];
    let mut done = 0;
    loop {
        // Half a character is malformed only once it is known that nothing follows.
        let rest = text.get(done..).unwrap_or_default();
        let is_end = rest.is_empty();
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(rest, &mut scratch, is_end);
        done += read;
        match result {
            DecoderResult::InputEmpty if is_end => return true,
            DecoderResult::Malformed(..) if is_end => return false,
            DecoderResult::InputEmpty | DecoderResult::OutputFull | DecoderResult::Malformed(..) => {}
        }
    }
}

/// Bytes of the longest character in any of the encodings.
pub(crate) const CHAR_BYTES_MAX: usize = 4;
const OUTPUT_ROOM: usize = 16;
/// So many bytes of a line that are left out keep it in one piece, whatever else is in it.
const IGNORED_BYTES_MAX: usize = 64 << 10;
/// What stands in ISO-8859-1, and in ISO-8859-9, at the same place.
const LATIN5_LETTERS: [(char, char); 6] = [
    ('\u{d0}', '\u{11e}'),
    ('\u{dd}', '\u{130}'),
    ('\u{de}', '\u{15e}'),
    ('\u{f0}', '\u{11f}'),
    ('\u{fd}', '\u{131}'),
    ('\u{fe}', '\u{15f}'),
];

#[cfg(test)]
mod tests;
