//! The text of Flume's position file: `[{"inode":1,"pos":2,"file":"/a"},...]`, or nothing at all.

use std::fmt::Write as _;

/// What the file says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) inode: u64,
    pub(super) pos: u64,
    pub(super) file: String,
}

/// Where a text is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at byte {at}")]
pub(super) struct JsonError {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// Reads the text. Members of other names are passed over.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Entry>, JsonError> {
    let mut from = Reader { text, at: 0 };
    let mut entries = Vec::new();
    if from.peek().is_none() {
        return Ok(entries);
    }
    from.expect(b'[', "[")?;
    if !from.take(b']') {
        loop {
            entries.push(from.entry()?);
            if from.take(b']') {
                break;
            }
            from.expect(b',', ", or ]")?;
        }
    }
    match from.peek() {
        None => Ok(entries),
        Some(_) => Err(from.error("the end")),
    }
}

/// The text of these entries, as Flume writes it: in one line, and empty if there is none.
pub(super) fn render(entries: &[Entry]) -> Vec<u8> {
    if entries.is_empty() {
        return Vec::new();
    }
    let mut out = String::from("[");
    for (index, Entry { inode, pos, file }) in entries.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(out, "{comma}{{\"inode\":{inode},\"pos\":{pos},\"file\":\"");
        for c in file.chars() {
            let _ = match c {
                '"' | '\\' => write!(out, "\\{c}"),
                c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)),
                c => write!(out, "{c}"),
            };
        }
        out.push_str("\"}");
    }
    out.push(']');
    out.into_bytes()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.error(name)) }
    }

    fn entry(&mut self) -> Result<Entry, JsonError> {
        self.expect(b'{', "{")?;
        let (mut inode, mut pos, mut file) = (None, None, None);
        loop {
            let name = self.string()?;
            self.expect(b':', ":")?;
            match name.as_str() {
                "inode" => inode = Some(self.number()?),
                "pos" => pos = Some(self.number()?),
                "file" => file = Some(self.string()?),
                _ => self.pass_over()?,
            }
            if self.take(b'}') {
                break;
            }
            self.expect(b',', ", or }")?;
        }
        match (inode, pos, file) {
            (Some(inode), Some(pos), Some(file)) => Ok(Entry { inode, pos, file }),
            _ => Err(self.error("inode, pos and file before this")),
        }
    }

    fn number(&mut self) -> Result<u64, JsonError> {
        self.peek();
        let digits =
            self.text.get(self.at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.text.get(self.at..self.at + digits).unwrap_or_default();
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| self.error("a whole number below 2^64"))?;
        self.at += digits;
        Ok(number)
    }

    /// A member that is not wanted, as long as it is no list and no object.
    fn pass_over(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'"') {
            return self.string().map(drop);
        }
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let len = self.text.get(self.at..).unwrap_or_default().iter().take_while(is_part).count();
        if len == 0 {
            return Err(self.error("a number, a string, true, false or null"));
        }
        self.at += len;
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.expect(b'"', "a string")?;
        let mut out = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            out.extend_from_slice(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(self.error("the end of the string")),
            }
        }
        let out = String::from_utf8(out).map_err(|_| self.error("UTF-8 before this"))?;
        self.at += 1;
        Ok(out)
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let c = match self.text.get(self.at + 1) {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_unit(),
            _ => return Err(self.error("an escape")),
        };
        self.at += 2;
        Ok(c)
    }

    /// `\uXXXX`, twice for what is not in the basic plane. Half of a pair becomes U+FFFD.
    fn code_unit(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) || self.text.get(self.at..self.at + 2) != Some(b"\\u") {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            self.at = before;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let c = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Ok(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at + 2..self.at + 6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("\\u and four hexadecimal digits"))?;
        self.at += 6;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inode: u64, pos: u64, file: &str) -> Entry {
        Entry { inode, pos, file: file.to_owned() }
    }

    #[test]
    fn what_flume_writes_is_read() {
        let text = br#"[{"inode":9977909,"pos":24,"file":"/abs/path"},{"inode":1,"pos":0,"file":"/a\u003db"}]"#;
        assert_eq!(parse(text).unwrap(), [entry(9_977_909, 24, "/abs/path"), entry(1, 0, "/a=b")]);
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b" \r\n").unwrap(), []);
        assert_eq!(parse(b" [ ] ").unwrap(), []);
        let text =
            br#" [ { "file" : "/x" , "extra" : -1.5e3 , "more" : "y" , "none" : null , "pos" : 2 , "inode" : 3 } ] "#;
        assert_eq!(parse(text).unwrap(), [entry(3, 2, "/x")]);
        let text =
            br#"[{"inode":18446744073709551615,"pos":7,"file":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00"}]"#;
        let name = "\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x\u{fffd}";
        assert_eq!(parse(text).unwrap(), [entry(u64::MAX, 7, name)]);
    }

    #[test]
    fn what_is_written_is_read_again_and_is_in_flumes_form() {
        let entries = [entry(9, 24, "/abs/path"), entry(0, u64::MAX, "/a \"b\"\\\n\u{1}\u{e9}\u{1f600}")];
        assert_eq!(parse(&render(&entries)).unwrap(), entries);
        assert_eq!(render(&entries[..1]), br#"[{"inode":9,"pos":24,"file":"/abs/path"}]"#);
        assert_eq!(render(&[]), b"");
    }

    #[test]
    fn damaged_text_is_refused_where_it_is_wrong() {
        for (text, at, expected) in [
            ("{", 0, "["),
            ("[", 1, "{"),
            ("[{}]", 2, "a string"),
            ("[{\"inode\":1,\"pos\":2}]", 20, "inode, pos and file before this"),
            ("[{\"inode\":-1}]", 10, "a whole number below 2^64"),
            ("[{\"inode\":18446744073709551616}]", 10, "a whole number below 2^64"),
            ("[{\"inode\":1.5}]", 11, ", or }"),
            ("[{\"other\":[]}]", 10, "a number, a string, true, false or null"),
            ("[{\"file\":\"\\x\"}]", 10, "an escape"),
            ("[{\"file\":\"\\u12\"}]", 10, "\\u and four hexadecimal digits"),
            ("[{\"file\":\"a\nb\"}]", 11, "the end of the string"),
            ("[]x", 2, "the end"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError { at, expected }), "{text}");
        }
        assert_eq!(parse(b"[{\"file\":\"\xff\"}]").unwrap_err().expected, "UTF-8 before this");
        let good = render(&[entry(9, 24, "/abs/\"path")]);
        for len in 1..good.len() {
            parse(&good[..len]).unwrap_err();
        }
    }
}
