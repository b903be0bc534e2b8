//! What encodings of one byte a character leave open.
//!
//! The WHATWG Encoding Standard fills the holes of the encodings of Windows with control characters, Java does not.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding};

use super::{DecodeError, Malformed};

/// A text that was decoded under `policy`, which here decides on the holes, too.
pub(super) fn without_controls(
    encoding: &'static Encoding,
    mut text: String,
    policy: DecodeError,
) -> Result<String, Malformed> {
    if has_holes(encoding) && text.contains(is_hole) {
        match policy {
            DecodeError::Fail => {
                let at = text.chars().take_while(|c| !is_hole(*c)).count();
                return Err(Malformed { charset: encoding.name(), at, len: 1 });
            }
            DecodeError::Replace => text = text.replace(is_hole, REPLACEMENT),
            DecodeError::Ignore => text.retain(|c| !is_hole(c)),
        }
    }
    Ok(text)
}

/// A text as it can be encoded.
pub(super) fn encodable<'t>(encoding: &'static Encoding, text: &'t str) -> Cow<'t, str> {
    if has_holes(encoding) && text.contains(is_hole) { text.replace(is_hole, "?").into() } else { text.into() }
}

/// The number of bytes that hold the first `max` characters, where bytes that are not valid do not count.
pub(super) fn cut(encoding: &'static Encoding, text: &[u8], max: usize) -> usize {
    let valid: [bool; 256] = std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| is_valid(encoding, byte)));
    let counted = text.iter().enumerate().filter(|(_, byte)| valid.get(usize::from(**byte)) == Some(&true));
    counted.map(|(at, _)| at).nth(max).unwrap_or(text.len())
}

fn is_valid(encoding: &'static Encoding, byte: u8) -> bool {
    let mut scratch = [0; 4];
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (result, _, written) = decoder.decode_to_utf16_without_replacement(&[byte], &mut scratch, true);
    let character = char::decode_utf16(scratch.into_iter().take(written)).next();
    result == DecoderResult::InputEmpty && !(has_holes(encoding) && character.is_some_and(|c| c.is_ok_and(is_hole)))
}

fn has_holes(encoding: &'static Encoding) -> bool {
    encoding.name().starts_with("windows-")
}

fn is_hole(c: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&c)
}

const REPLACEMENT: &str = "\u{fffd}";
