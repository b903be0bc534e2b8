//! The text of `java.util.Properties`: bytes to keys, values and line numbers.
//!
//! It is read as Java reads it from a stream, byte for byte: ISO-8859-1, `#` and `!` comments, which a backslash does not
//! continue, `=`, `:` or a blank behind the key, escapes, and `\uXXXX`.

use crate::limits::{PROPERTIES_BYTES_MAX, PROPERTIES_COUNT_MAX, PROPERTIES_LINE_BYTES_MAX};

/// One key and its value, as Java reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
    /// Where it begins, counted from 1.
    pub(super) line: usize,
    /// Whether it has bytes that were meant to be UTF-8 and are not read as such.
    pub(super) is_garbled: bool,
}

/// Why a file is no properties file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// All properties in the order of the file; a key can come more than once.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Property>, SyntaxError> {
    if text.len() > PROPERTIES_BYTES_MAX {
        let reason = format!("the file has more than {PROPERTIES_BYTES_MAX} bytes");
        return Err(SyntaxError { line: 0, reason });
    }
    let mut lines = LogicalLines { text, at: 0, line: 1 };
    let mut found = Vec::new();
    while let Some((line, content)) = lines.next() {
        if content.len() > PROPERTIES_LINE_BYTES_MAX {
            let reason = format!("the line has more than {PROPERTIES_LINE_BYTES_MAX} bytes");
            return Err(SyntaxError { line, reason });
        }
        if found.len() == PROPERTIES_COUNT_MAX {
            let reason = format!("the file has more than {PROPERTIES_COUNT_MAX} properties");
            return Err(SyntaxError { line, reason });
        }
        found.push(property(line, &content)?);
    }
    Ok(found)
}

/// Joins what backslashes continue, and leaves out blank lines and comments.
struct LogicalLines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl LogicalLines<'_> {
    /// The next line with something on it, without its line end, and its number.
    fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut content = Vec::new();
        let mut begin = self.line;
        let mut skips_blanks = true;
        // The line continues one that is not empty: its end, even at once, is the end of both.
        let mut is_continued = false;
        let mut is_escaped = false;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            let is_end = matches!(byte, b'\r' | b'\n');
            if skips_blanks {
                if is_blank(byte) || is_end && !is_continued {
                    self.count_line(byte);
                    continue;
                }
                skips_blanks = false;
                is_continued = false;
            }
            if content.is_empty() {
                begin = self.line;
                if matches!(byte, b'#' | b'!') {
                    self.skip_comment();
                    skips_blanks = true;
                    continue;
                }
            }
            if !is_end {
                content.push(byte);
                is_escaped = byte == b'\\' && !is_escaped;
                continue;
            }
            let is_last = self.at == self.text.len();
            self.end_line(byte);
            if content.is_empty() {
                skips_blanks = true;
            } else if is_escaped && !is_last {
                content.pop();
                skips_blanks = true;
                is_continued = true;
                is_escaped = false;
            } else {
                break;
            }
        }
        if content.is_empty() {
            return None;
        }
        if is_escaped {
            // The end of the file: what is left may be nothing, which Java takes for an empty key with an empty value.
            content.pop();
        }
        Some((begin, content))
    }

    fn skip_comment(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            if matches!(byte, b'\r' | b'\n') {
                self.end_line(byte);
                break;
            }
        }
    }

    /// The byte ends a line, perhaps together with the next one.
    fn end_line(&mut self, byte: u8) {
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            self.at += 1;
        }
        self.line += 1;
    }

    fn count_line(&mut self, byte: u8) {
        if matches!(byte, b'\r' | b'\n') {
            self.end_line(byte);
        }
    }
}

fn property(line: usize, content: &[u8]) -> Result<Property, SyntaxError> {
    let (key, value) = split(content);
    let is_garbled = !content.is_ascii() && std::str::from_utf8(content).is_ok();
    Ok(Property { key: unescape(line, key)?, value: unescape(line, value)?, line, is_garbled })
}

/// The key ends at the first blank, `=` or `:` that is not escaped; the value begins behind blanks and one `=` or `:`.
fn split(content: &[u8]) -> (&[u8], &[u8]) {
    let mut is_escaped = false;
    let mut end = content.len();
    for (at, byte) in content.iter().enumerate() {
        if !is_escaped && (matches!(byte, b'=' | b':') || is_blank(*byte)) {
            end = at;
            break;
        }
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    let (key, mut rest) = content.split_at(end);
    let mut has_separator = false;
    while let Some((first, others)) = rest.split_first() {
        if !is_blank(*first) {
            if has_separator || !matches!(first, b'=' | b':') {
                break;
            }
            has_separator = true;
        }
        rest = others;
    }
    (key, rest)
}

fn unescape(line: usize, text: &[u8]) -> Result<String, SyntaxError> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            units.push(byte.into());
            continue;
        }
        match rest.next() {
            // The end of the file cut off what was escaped.
            None => {}
            Some(b't') => units.push(0x09),
            Some(b'n') => units.push(0x0A),
            Some(b'r') => units.push(0x0D),
            Some(b'f') => units.push(0x0C),
            Some(b'u') => {
                let digits = rest.as_slice().get(..4).and_then(hex);
                units.push(digits.ok_or_else(|| {
                    SyntaxError {
                        line,
                        reason: "\\u must be followed by four hexadecimal digits; write \\\\u for a backslash and a u"
                            .to_owned(),
                    }
                })?);
                rest = rest.as_slice().get(4..).unwrap_or_default().iter();
            }
            Some(other) => units.push((*other).into()),
        }
    }
    // Half a surrogate pair is no character in any encoding that could be written.
    Ok(String::from_utf16_lossy(&units))
}

fn hex(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0C)
}

#[cfg(test)]
mod tests;
