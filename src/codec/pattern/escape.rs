//! What a backslash begins.

use super::translate::{Input, unsupported};

/// An escape sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// One character.
    Literal(char),
    /// The characters of a class, without its brackets.
    Class { items: String, negated: bool },
    /// Something that has no place inside of a class, as `regex` writes it.
    Other(&'static str),
}

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\x20\t\n\x0b\x0c\r";
const HORIZONTAL: &str = r"\x20\t\x{a0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0b\x0c\r\x{85}\x{2028}\x{2029}";

/// The classes that Java names as POSIX does; they are ASCII.
const POSIX: &[(&str, &str)] = &[
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7f"),
    ("Alpha", "A-Za-z"),
    ("Digit", DIGIT),
    ("Alnum", "0-9A-Za-z"),
    ("Punct", r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e"),
    ("Graph", r"\x21-\x7e"),
    ("Print", r"\x20-\x7e"),
    ("Blank", r"\x20\t"),
    ("Cntrl", r"\x00-\x1f\x7f"),
    ("XDigit", "0-9A-Fa-f"),
    ("Space", SPACE),
];

/// Reads the rest of an escape sequence whose backslash is at `place`.
pub(super) fn parse(input: &mut Input, place: usize) -> Result<Escape, String> {
    let Some(c) = input.next() else { return Err("a backslash at the end escapes nothing".to_owned()) };
    let class = |items: &str, negated| Ok(Escape::Class { items: items.to_owned(), negated });
    match c {
        'd' | 'D' => class(DIGIT, c == 'D'),
        'w' | 'W' => class(WORD, c == 'W'),
        's' | 'S' => class(SPACE, c == 'S'),
        'h' | 'H' => class(HORIZONTAL, c == 'H'),
        'v' | 'V' => class(VERTICAL, c == 'V'),
        'p' | 'P' => property(input, c == 'P', place),
        'b' if input.peek() == Some('{') && !input.peek_second().is_some_and(|c| c.is_ascii_digit()) => {
            Err(unsupported(r"\b{...}", place))
        }
        'b' => Ok(Escape::Other(r"\b")),
        'B' => Ok(Escape::Other(r"\B")),
        'A' => Ok(Escape::Other(r"\A")),
        'z' => Ok(Escape::Other(r"\z")),
        'R' => Ok(Escape::Other(r"(?:\r\n|[\n\x0b\x0c\r\x{85}\x{2028}\x{2029}])")),
        'G' => Err(unsupported(r"\G, the end of the previous match,", place)),
        'X' => Err(unsupported(r"\X, a grapheme cluster,", place)),
        'N' => Err(unsupported(r"\N{...}, a character by its name,", place)),
        '1'..='9' | 'k' => Err(unsupported(&format!("back-reference \\{c}"), place)),
        _ => literal(input, c, place).map(Escape::Literal),
    }
}

fn literal(input: &mut Input, c: char, place: usize) -> Result<char, String> {
    match c {
        't' => Ok('\t'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        'f' => Ok('\u{c}'),
        'a' => Ok('\u{7}'),
        'e' => Ok('\u{1b}'),
        'c' => control(input, place),
        '0' => octal(input, place),
        'x' if input.eat("{") => {
            let digits = input.until('}').unwrap_or_default();
            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| !digits.starts_with('+'));
            code.and_then(char::from_u32).ok_or_else(|| format!(r"\x{{ at character {place} names no character"))
        }
        'x' => char::from_u32(hex(input, 2, place)?).ok_or_else(|| no_character(place)),
        'u' => unicode(input, place),
        _ if c.is_ascii_alphabetic() => Err(format!("\\{c} at character {place} is no escape sequence")),
        _ => Ok(c),
    }
}

fn control(input: &mut Input, place: usize) -> Result<char, String> {
    let named =
        input.next().filter(char::is_ascii).ok_or_else(|| format!(r"\c at character {place} names no control"))?;
    char::from_u32(u32::from(named) ^ 0x40).ok_or_else(|| no_character(place))
}

/// One to three octal digits, at most 377.
fn octal(input: &mut Input, place: usize) -> Result<char, String> {
    let mut code = 0;
    let mut count = 0;
    while let Some(digit) = input.peek().and_then(|c| c.to_digit(8)).filter(|digit| code * 8 + digit <= 0o377) {
        input.next();
        code = code * 8 + digit;
        count += 1;
        if count == 3 {
            break;
        }
    }
    if count == 0 {
        return Err(format!(r"\0 at character {place} is followed by no octal digit"));
    }
    char::from_u32(code).ok_or_else(|| no_character(place))
}

/// Four digits, or two times four for a character beyond U+FFFF.
fn unicode(input: &mut Input, place: usize) -> Result<char, String> {
    let first = hex(input, 4, place)?;
    if (0xd800..0xdc00).contains(&first) && input.eat(r"\u") {
        let second = hex(input, 4, place)?;
        let pair = char::decode_utf16([first, second].map(|unit| u16::try_from(unit).unwrap_or_default())).next();
        return pair.and_then(Result::ok).ok_or_else(|| no_character(place));
    }
    char::from_u32(first).ok_or_else(|| no_character(place))
}

fn hex(input: &mut Input, digits: usize, place: usize) -> Result<u32, String> {
    let mut code = 0;
    for _ in 0..digits {
        let digit = input.next().and_then(|c| c.to_digit(16));
        code =
            code * 16 + digit.ok_or_else(|| format!("{digits} hexadecimal digits must follow at character {place}"))?;
    }
    Ok(code)
}

fn no_character(place: usize) -> String {
    format!("the escape at character {place} stands for no character")
}

/// `\p{name}` and `\pL`.
fn property(input: &mut Input, negated: bool, place: usize) -> Result<Escape, String> {
    let name = if input.eat("{") { input.until('}') } else { input.next().map(String::from) };
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=- ".contains(&byte))
    };
    let Some(name) = name.filter(is_name) else { return Err(format!(r"\p at character {place} names no property")) };
    if let Some((_, items)) = POSIX.iter().find(|(known, _)| *known == name) {
        return Ok(Escape::Class { items: (*items).to_owned(), negated });
    }
    if name.starts_with("java") {
        return Err(unsupported(&format!(r"\p{{{name}}}, a property of the Java language,"), place));
    }
    if name.starts_with("In") || name.starts_with("block=") || name.starts_with("blk=") {
        return Err(unsupported(&format!(r"\p{{{name}}}, a Unicode block,"), place));
    }
    // A category, a script or a property of Unicode, which are named alike.
    let name = name.strip_prefix("Is").unwrap_or(&name);
    Ok(Escape::Class { items: format!(r"\p{{{name}}}"), negated })
}
