//! UTF-8 with bytes in it that are not valid, divided as in Java.

/// What is valid, then the first part that is not: one replacement character.
#[derive(Debug)]
pub(crate) struct Part<'t> {
    pub(crate) valid: &'t str,
    /// Empty at the end of the text alone.
    pub(crate) invalid: &'t [u8],
}

/// The parts of a text. The invalid ones are those of the standard library, but for a surrogate, which is one and not three.
pub(crate) fn parts(text: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let chunk = rest.utf8_chunks().next()?;
        let (valid, invalid) = (chunk.valid(), chunk.invalid().len());
        let (_, behind) = rest.split_at(valid.len());
        let (invalid, behind) = behind.split_at(surrogate_len(behind).max(invalid));
        rest = behind;
        Some(Part { valid, invalid })
    })
}

/// Bytes of a surrogate, or of what there is of one, at the beginning.
fn surrogate_len(bytes: &[u8]) -> usize {
    match bytes {
        [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
        [0xed, 0xa0..=0xbf, ..] => 2,
        _ => 0,
    }
}
