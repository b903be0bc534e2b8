//! Enough of Rust's lexical structure to look at code without being fooled by comments and strings.

/// A Rust file as the checks look at it. All three texts have the same length and the same line breaks.
pub(crate) struct Source {
    /// The file with test-only items blanked.
    pub(crate) text: String,
    /// `text` with comments blanked too, and the insides of string and character literals.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn parse(raw: &str) -> Self {
        let mut code = blank_comments_and_literals(raw);
        let mut text = raw.as_bytes().to_vec();
        for (from, to) in test_items(&code) {
            blank(&mut code, from, to);
            blank(&mut text, from, to);
        }
        Self { text: lossy(&text), code: lossy(&code) }
    }
}

/// The line, counted from 1, of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Offsets at which `word` stands between characters that do not belong to an identifier.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code.as_bytes()[..*at].last();
        let after = code.as_bytes().get(at + word.len());
        !before.is_some_and(|byte| is_ident(*byte)) && !after.is_some_and(|byte| is_ident(*byte))
    })
}

/// The identifier that begins at `offset`, spaces before it passed over.
pub(crate) fn ident_at(code: &str, offset: usize) -> &str {
    let rest = code[offset..].trim_start();
    let end = rest.bytes().position(|byte| !is_ident(byte)).unwrap_or(rest.len());
    &rest[..end]
}

/// The offset of the bracket that closes the one at `open`.
pub(crate) fn closing(code: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// What follows `root::` in paths, one level deep: `root::a::b` gives `a`, `root::{a::b, c}` gives `a` and `c`.
pub(crate) fn names_after<'a>(code: &'a str, root: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let Some(rest) = code[at + root.len()..].trim_start().strip_prefix("::") else { continue };
        let begin = code.len() - rest.len();
        let begin = begin + (rest.len() - rest.trim_start().len());
        if code.as_bytes().get(begin) == Some(&b'{') {
            let Some(end) = closing(code.as_bytes(), begin) else { continue };
            found.extend(split_group(code, begin + 1, end).into_iter().map(|from| (at, ident_at(code, from))));
        } else {
            found.push((at, ident_at(code, begin)));
        }
    }
    found
}

/// Offsets at which the members of a brace group between `from` and `to` begin.
fn split_group(code: &str, from: usize, to: usize) -> Vec<usize> {
    let mut begins = vec![from];
    let mut depth = 0_usize;
    for (at, byte) in code.as_bytes()[..to].iter().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 && !code[at + 1..to].trim().is_empty() => begins.push(at + 1),
            _ => {}
        }
    }
    begins
}

/// Ranges of items under `#[cfg(test)]`, attribute included.
fn test_items(code: &[u8]) -> Vec<(usize, usize)> {
    const ATTRIBUTE: &[u8] = b"#[cfg(test)]";
    let mut found = Vec::new();
    let mut at = 0;
    while at + ATTRIBUTE.len() <= code.len() {
        if !code[at..].starts_with(ATTRIBUTE) {
            at += 1;
            continue;
        }
        let end = item_end(code, at + ATTRIBUTE.len()).unwrap_or(code.len());
        found.push((at, end));
        at = end;
    }
    found
}

/// The end of the item, with its further attributes, that begins at or behind `from`.
fn item_end(code: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match code.get(at)? {
            b'[' | b'(' => at = closing(code, at)? + 1,
            b'{' => return Some(closing(code, at)? + 1),
            b';' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn blank_comments_and_literals(raw: &str) -> Vec<u8> {
    let mut code = raw.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let end = literal_or_comment_end(raw.as_bytes(), at);
        if end > at {
            blank(&mut code, at, end);
            at = end;
        } else {
            at += 1;
        }
    }
    code
}

/// The end of the comment or literal that begins at `at`; `at` itself if none does.
fn literal_or_comment_end(raw: &[u8], at: usize) -> usize {
    let rest = &raw[at..];
    let in_word = at > 0 && is_ident(raw[at - 1]);
    if rest.starts_with(b"//") {
        at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        at + block_comment_len(rest)
    } else if rest[0] == b'"' {
        at + quoted_len(rest, 0)
    } else if !in_word && let Some(len) = prefixed_string_len(rest) {
        at + len
    } else if rest[0] == b'\'' {
        at + char_len(rest)
    } else {
        at
    }
}

/// Length of `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `c"..."` at the beginning of `rest`.
fn prefixed_string_len(rest: &[u8]) -> Option<usize> {
    let letters = rest.iter().position(|byte| !matches!(byte, b'b' | b'c' | b'r')).filter(|n| (1..=2).contains(n))?;
    let raw = rest[..letters].contains(&b'r');
    let hashes = rest[letters..].iter().position(|byte| *byte != b'#')?;
    if rest.get(letters + hashes) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    if !raw {
        return Some(quoted_len(rest, letters));
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let body = letters + hashes + 1;
    let end = rest[body..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| body + end + close.len()))
}

/// Length of a string with escapes whose opening quote stands at `open`.
fn quoted_len(rest: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of a character literal; 0 for a lifetime.
fn char_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return end.map_or(0, |end| end + 4);
    }
    // One character of one to four bytes, then the closing quote.
    (2..=5)
        .find(|end| rest.get(*end) == Some(&b'\'') && std::str::from_utf8(&rest[1..*end]).is_ok_and(is_one_char))
        .map_or(0, |end| end + 1)
}

fn is_one_char(text: &str) -> bool {
    text.chars().count() == 1
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn blank(bytes: &mut [u8], from: usize, to: usize) {
    let to = to.min(bytes.len());
    for byte in &mut bytes[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
