//! Where a number of UTF-16 code units ends in an encoded text.
//!
//! `of_malformed` is what a part of the text that is not valid counts.

use encoding_rs::{DecoderResult, Encoding};

use super::utf8;

pub(super) fn cut_utf8(text: &[u8], max: usize, of_malformed: usize) -> usize {
    let (mut at, mut units) = (0, 0);
    for part in utf8::parts(text) {
        for character in part.valid.chars() {
            units += character.len_utf16();
            if units > max {
                return at;
            }
            at += character.len_utf8();
        }
        if !part.invalid.is_empty() {
            units += of_malformed;
        }
        if units > max {
            return at;
        }
        at += part.invalid.len();
    }
    at
}

/// Of ASCII, where other bytes do not count.
pub(super) fn cut_ascii(text: &[u8], max: usize) -> usize {
    let mut counted = text.iter().enumerate().filter(|(_, byte)| byte.is_ascii());
    counted.nth(max).map_or(text.len(), |(at, _)| at)
}

pub(super) fn cut_table(encoding: &'static Encoding, text: &[u8], max: usize, of_malformed: usize) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = [0; 8];
    let (mut whole, mut units) = (0, 0);
    // Byte by byte, so that it is known where each character ends.
    for end in 1..=text.len() {
        let mut rest = text.get(end - 1..end).unwrap_or_default();
        let is_last = end == text.len();
        loop {
            let (result, read, written) = decoder.decode_to_utf16_without_replacement(rest, &mut scratch, is_last);
            units += written;
            if units > max {
                return whole;
            }
            if written > 0 {
                whole = end;
            }
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(_, after) => {
                    units += of_malformed;
                    if units > max {
                        return whole;
                    }
                    whole = end - usize::from(after);
                }
            }
            rest = rest.get(read..).unwrap_or_default();
        }
    }
    text.len()
}
