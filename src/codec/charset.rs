//! Character encodings of text that comes from outside.
//!
//! Bodies of events are UTF-8. Text that is UTF-8 already, or pure ASCII in an encoding that contains ASCII, is checked
//! and passed on without a copy.

mod names;

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

    /// At most how many bytes `chars` UTF-16 code units take, as far as this encoding tells; for encodings of several bytes a
    /// character other than UTF-8 and UTF-16, a unit counts as a byte.
    pub(crate) fn bytes_of_chars(self, chars: usize) -> usize {
        match self.0 {
            Kind::Utf8 => chars.saturating_mul(3),
            Kind::Utf16 { .. } | Kind::Utf16Marked => chars.saturating_mul(2),
            _ => chars,
        }
    }

    /// The number of bytes of the first `max` UTF-16 code units of `text`, or of one less where a character would be cut in
    /// two; all bytes if it has no more units. Each malformed part counts as one.
    pub(crate) fn cut_chars(self, text: &[u8], max: usize) -> usize {
        if self.0 != Kind::Utf8 {
            let bytes = self.bytes_of_chars(max);
            return if text.len() > bytes { self.cut(text, bytes) } else { text.len() };
        }
        let (mut at, mut units) = (0, 0);
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                units += character.len_utf16();
                if units > max {
                    return at;
                }
                at += character.len_utf8();
            }
            units += usize::from(!chunk.invalid().is_empty());
            if units > max {
                return at;
            }
            at += chunk.invalid().len();
        }
        at
    }

    /// UTF-16 code units that begin in a piece of a text, as far as that can be told without what surrounds it: never more
    /// than there are in valid text.
    pub(crate) fn chars_begun(self, piece: &[u8]) -> usize {
        match self.0 {
            Kind::Bytes | Kind::Ascii | Kind::Latin1 | Kind::Latin5 => piece.len(),
            Kind::Table(encoding) if encoding.is_single_byte() => piece.len(),
            // A lead byte of four stands for a pair.
            Kind::Utf8 => piece.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum(),
            Kind::Table(_) | Kind::Utf16 { .. } | Kind::Utf16Marked => 0,
        }
    }

    /// The text in UTF-8. No copy is made if it is UTF-8 or ASCII already.
    ///
    /// # Errors
    /// [`Malformed`], if the text is not valid and the policy is [`DecodeError::Fail`].
    pub fn decode(self, text: Bytes, policy: DecodeError) -> Result<Bytes, Malformed> {
        let encoding = match self.0 {
            Kind::Bytes => return Ok(text),
            Kind::Utf8 => return decode_utf8(text, policy),
            _ if self.unit() == 1 && text.is_ascii() => return Ok(text),
            Kind::Ascii => return decode_ascii(&text, policy),
            Kind::Latin1 => return Ok(encoding_rs::mem::decode_latin1(&text).into_owned().into()),
            Kind::Latin5 => {
                return Ok(text.iter().map(|byte| swap_latin5(char::from(*byte))).collect::<String>().into());
            }
            Kind::Utf16 { big_endian: false } => encoding_rs::UTF_16LE,
            Kind::Utf16 { big_endian: true } | Kind::Utf16Marked => encoding_rs::UTF_16BE,
            Kind::Table(encoding) => encoding,
        };
        decode_table(encoding, &text, policy)
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
            Kind::Table(encoding) => encode_table(encoding, text, out),
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
    let Err(error) = std::str::from_utf8(&text) else { return Ok(text) };
    if policy == DecodeError::Fail {
        let at = error.valid_up_to();
        return Err(Malformed { charset: "UTF-8", at, len: error.error_len().unwrap_or(text.len() - at) });
    }
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.push_str(chunk.valid());
        if policy == DecodeError::Replace && !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
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

fn decode_table(encoding: &'static Encoding, text: &[u8], policy: DecodeError) -> Result<Bytes, Malformed> {
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
    Ok(out.into())
}

/// Whether `text` does not end within a character.
fn ends_whole(encoding: &'static Encoding, text: &[u8]) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = [0; 1024];
    let mut done = 0;
    let mut malformed_end = None;
    loop {
        let rest = text.get(done..).unwrap_or_default();
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(rest, &mut scratch, true);
        done += read;
        match result {
            DecoderResult::InputEmpty => return malformed_end != Some(text.len()),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(_, after) => malformed_end = Some(done - usize::from(after)),
        }
    }
}

/// Bytes of the longest character in any of the encodings.
pub(crate) const CHAR_BYTES_MAX: usize = 4;
const OUTPUT_ROOM: usize = 16;
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
mod tests {
    use super::*;

    fn charset(label: &str) -> Charset {
        Charset::for_label(label).unwrap()
    }

    fn decode(label: &str, text: &[u8], policy: DecodeError) -> Result<String, Malformed> {
        let body = charset(label).decode(Bytes::copy_from_slice(text), policy)?;
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn valid_utf_8_and_ascii_are_not_copied() {
        for (label, text) in [("utf-8", "h\u{e4}llo"), ("shift_jis", "hello"), ("latin1", "hello"), ("ascii", "x")] {
            let text = Bytes::copy_from_slice(text.as_bytes());
            let out = charset(label).decode(text.clone(), DecodeError::Fail).unwrap();
            assert_eq!(out.as_ptr(), text.as_ptr(), "{label}");
        }
    }

    #[test]
    fn each_maximal_invalid_part_is_one_replacement() {
        let cases: [(&[u8], &str, &str, usize, usize); 4] = [
            (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b", "ab", 1, 1),
            (b"a\xe2\x82", "a\u{fffd}", "a", 1, 2),
            (b"\xf0\x9f\x98x", "\u{fffd}x", "x", 0, 3),
            (b"ok\xc0\x80", "ok\u{fffd}\u{fffd}", "ok", 2, 1),
        ];
        for (text, replaced, ignored, at, len) in cases {
            assert_eq!(decode("utf-8", text, DecodeError::Replace).unwrap(), replaced);
            assert_eq!(decode("utf-8", text, DecodeError::Ignore).unwrap(), ignored);
            let error = decode("utf-8", text, DecodeError::Fail).unwrap_err();
            assert_eq!((error.at, error.len), (at, len));
        }
    }

    #[test]
    fn legacy_encodings_become_utf_8() {
        assert_eq!(decode("ISO-8859-1", b"\x80\xe9", DecodeError::Fail).unwrap(), "\u{80}\u{e9}");
        assert_eq!(decode("windows-1252", b"\x80\xe9", DecodeError::Fail).unwrap(), "\u{20ac}\u{e9}");
        assert_eq!(decode("Shift_JIS", b"\x93\xfa\x96\x7b", DecodeError::Fail).unwrap(), "\u{65e5}\u{672c}");
        assert_eq!(decode("UTF-16LE", b"a\0\x3d\xd8\x00\xde", DecodeError::Fail).unwrap(), "a\u{1f600}");
        assert_eq!(decode("gb18030", b"\x81\x30\x81\x30", DecodeError::Fail).unwrap(), "\u{80}");
        let error = decode("Shift_JIS", b"ab\x93\x01", DecodeError::Fail).unwrap_err();
        assert_eq!((error.at, error.charset), (2, "Shift_JIS"));
        assert_eq!(decode("ascii", b"a\xe9b", DecodeError::Replace).unwrap(), "a\u{fffd}b");
        assert_eq!(decode("ascii", b"a\xe9b", DecodeError::Fail).unwrap_err().at, 1);
        assert_eq!(decode("UTF-16BE", b"\0a\0", DecodeError::Replace).unwrap(), "a\u{fffd}");
        for label in ["iso-2022-jp", "replacement", "no such", ""] {
            assert_eq!(Charset::for_label(label), None, "{label}");
        }
    }

    #[test]
    fn names_of_java_name_the_encodings_that_they_name_in_java() {
        for (labels, expected) in [
            ("8859_1 ISO8859_1 ISO_8859_1 ISO_8859-1:1987 IBM-819 cp819 819 Latin1 iso8859-1", "ISO-8859-1"),
            ("8859_2 ISO8859_2 ibm912 cp912", "ISO-8859-2"),
            ("8859_8 iso_8859-8 916", "ISO-8859-8"),
            ("8859_9 ISO-8859-9 iso_8859-9:1989 latin5 cp920", "ISO-8859-9"),
            ("8859_13 ISO_8859-13", "ISO-8859-13"),
            ("8859_15 LATIN9 L9 cp923 ISO8859_15_FDIS", "ISO-8859-15"),
            ("ISO8859_16 latin10", "ISO-8859-16"),
            ("646 ascii7 cp367 ISO_646.irv:1991 default US", "US-ASCII"),
            ("UTF_16 UnicodeBig unicode", "UTF-16"),
            ("UTF_16BE UnicodeBigUnmarked ISO-10646-UCS-2", "UTF-16BE"),
            ("X-UTF-16LE UnicodeLittleUnmarked", "UTF-16LE"),
            ("UTF8 unicode-1-1-utf-8", "UTF-8"),
            ("cp1252 ibm-1252 cp5348 windows-1252", "windows-1252"),
            ("cp1254 cp5350", "windows-1254"),
            ("Cp866 IBM866 866", "IBM866"),
            ("MS932 SJIS windows-31j windows-932", "Shift_JIS"),
            ("EUC_JP eucjis", "EUC-JP"),
            ("EUC_KR 5601 MS949", "EUC-KR"),
            ("EUC_CN GB2312 CP936 MS936", "GBK"),
            ("Big5_HKSCS MS950", "Big5"),
            ("MacRoman", "macintosh"),
            ("TIS620 MS874", "windows-874"),
        ] {
            for label in labels.split(' ') {
                assert_eq!(Charset::for_label(label).map(Charset::name), Some(expected), "{label}");
            }
        }
        for label in ["8859_11", "8859_", "Cp437", "IBM850", "UTF-32", "cp", "ibm-", "klingon"] {
            assert_eq!(Charset::for_label(label), None, "{label}");
        }
    }

    #[test]
    fn iso_8859_9_is_not_windows_1254() {
        let all: Vec<u8> = (0..=255).collect();
        let text = decode("ISO-8859-9", &all, DecodeError::Fail).unwrap();
        let windows = decode("windows-1254", &all, DecodeError::Fail).unwrap();
        for ((byte, own), windows) in (0..=255_u8).zip(text.chars()).zip(windows.chars()) {
            let expected = if (0x80..0xa0).contains(&byte) { char::from(byte) } else { windows };
            assert_eq!(own, expected, "{byte:#x}");
        }
        let mut again = Vec::new();
        charset("ISO-8859-9").encode(&text, &mut again);
        assert_eq!(again, all);
        let mut other = Vec::new();
        charset("ISO-8859-9").encode("\u{f0}\u{20ac}\u{131}", &mut other);
        assert_eq!(other, b"??\xfd");
    }

    #[test]
    fn what_was_decoded_is_encoded_again() {
        let text = "a\u{e4}\u{20ac}\u{65e5}\u{1f600}\n";
        for (label, expected) in [
            ("utf-8", text),
            ("utf-16", text),
            ("utf-16le", text),
            ("gb18030", text),
            ("ascii", "a????\n"),
            ("latin1", "a\u{e4}???\n"),
            ("windows-1252", "a\u{e4}\u{20ac}??\n"),
            ("shift_jis", "a??\u{65e5}?\n"),
        ] {
            let mut out = b"before".to_vec();
            charset(label).encode(text, &mut out);
            assert_eq!(decode(label, &out[6..], DecodeError::Fail).unwrap(), expected, "{label}");
        }
    }

    #[test]
    fn utf_16_goes_by_its_mark() {
        let utf16 = charset("UTF-16");
        assert_eq!(utf16.of_text(b"\xff\xfea\0"), (charset("utf-16le"), 2));
        assert_eq!(utf16.of_text(b"\xfe\xff\0a"), (charset("utf-16be"), 2));
        assert_eq!(utf16.of_text(b""), (charset("utf-16be"), 0));
        assert_eq!(charset("utf-8").of_text(b"\xef\xbb\xbf"), (charset("utf-8"), 0));
    }

    #[test]
    fn a_cut_never_halves_a_character() {
        // U+1F600 after some ASCII, in each encoding that has it, and a two-byte character in the others.
        let text = "abcd\u{1f600}efgh\u{1f600}\u{e4}\u{65e5}z";
        for max in 4..text.len() {
            let cut = Charset::UTF_8.cut(text.as_bytes(), max);
            assert!(cut <= max && cut + 4 > max && text.is_char_boundary(cut), "{max} {cut}");
        }
        for label in ["Shift_JIS", "gb18030", "EUC-JP", "Big5", "EUC-KR", "gbk"] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let source = "a\u{65e5}\u{672c}b\u{65e5}\u{65e5}\u{65e5}c\u{672c}\u{65e5}dd";
            let (text, _, _) = encoding.encode(source);
            for max in 4..text.len() {
                let cut = charset(label).cut(&text, max);
                let (a, b) = text.split_at(cut);
                let both = [a, b].map(|part| decode(label, part, DecodeError::Fail).unwrap()).concat();
                assert_eq!(both, source, "{label} {max}");
            }
        }
        for (label, swap) in [("utf-16le", false), ("utf-16be", true)] {
            let units = text.encode_utf16();
            let bytes: Vec<u8> =
                units.flat_map(|u| if swap { u.swap_bytes().to_le_bytes() } else { u.to_le_bytes() }).collect();
            for max in 4..bytes.len() {
                let (a, b) = bytes.split_at(charset(label).cut(&bytes, max));
                let both = [a, b].map(|part| decode(label, part, DecodeError::Fail).unwrap()).concat();
                assert_eq!(both, text, "{label} {max}");
            }
        }
    }

    #[test]
    fn a_cut_in_malformed_text_still_moves_on() {
        for label in ["utf-8", "utf-16le", "shift_jis", "gb18030", "ascii"] {
            for byte in [0x80, 0xbf, 0xd8, 0xf0, 0xff, 0x81] {
                let text = [byte; 32];
                for max in 4..32 {
                    let cut = charset(label).cut(&text, max);
                    assert!(cut > 0 && cut <= max, "{label} {byte} {max} {cut}");
                }
            }
        }
    }
}
