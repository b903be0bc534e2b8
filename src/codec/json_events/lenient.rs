//! The texts beside JSON that Flume takes, since Gson reads them: comments, single quotes or none, `;` for `,`, `=` and `=>`
//! for `:`, line ends in text, headers as an array of pairs.
//!
//! There is no library for this dialect: JSON5 has other exceptions. Nothing here recurses, and memory is bounded by the text.

use super::Each;
use crate::event::{HeadersBuilder, HeadersInserted};

/// Reads an array of events. `Ok(Err(stopped))`: whoever got the events wants no more.
pub(super) fn read_array<E>(text: &str, each: Each<'_, E>) -> Result<Result<(), E>, Odd> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    reader.skip_blanks()?;
    // What some servers put in front, so that a browser does not run it.
    if let Some(after) = reader.rest.strip_prefix(")]}'\n") {
        reader.rest = after;
    }
    let mut headers = HeadersBuilder::default();
    let mut list = List::open(&mut reader, '[')?;
    while list.next(&mut reader, ']')? {
        headers.clear();
        let body = reader.event(&mut headers)?;
        if let Err(stopped) = each(headers.finish(), body.as_deref().unwrap_or_default()) {
            return Ok(Err(stopped));
        }
    }
    // Nothing of this holds behind the array.
    if reader.rest.trim_start_matches(BLANKS).is_empty() { Ok(Ok(())) } else { Err(Odd) }
}

/// A text that Gson does not take for an array of events, or whose headers are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

struct Reader<'t> {
    rest: &'t str,
}

/// A value.
enum Value {
    /// What is no array and no object; `None` is `null`.
    Text(Option<String>),
    /// What begins with this bracket, which is not read yet.
    Open(char),
}

/// The place within an array or an object.
struct List {
    // Nothing was read of it yet.
    is_first: bool,
}

impl List {
    fn open(reader: &mut Reader<'_>, bracket: char) -> Result<Self, Odd> {
        reader.skip_blanks()?;
        reader.expect(bracket)?;
        Ok(Self { is_first: true })
    }

    /// Goes on to the next element, behind what separates it; false at the closing bracket.
    fn next(&mut self, reader: &mut Reader<'_>, close: char) -> Result<bool, Odd> {
        reader.skip_blanks()?;
        if reader.take(close) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            if !reader.take(',') && !reader.take(';') {
                return Err(Odd);
            }
            reader.skip_blanks()?;
        }
        Ok(true)
    }
}

impl Reader<'_> {
    /// One event: its headers, and the text of its body.
    fn event(&mut self, headers: &mut HeadersBuilder) -> Result<Option<String>, Odd> {
        let mut body = None;
        let mut members = List::open(self, '{')?;
        while members.next(self, '}')? {
            // Of members that come twice the last one counts.
            match self.name()?.as_str() {
                "headers" => {
                    headers.clear();
                    self.headers(headers)?;
                }
                "body" => match self.value()? {
                    Value::Text(text) => body = text,
                    Value::Open(_) => return Err(Odd),
                },
                _ => self.skip_value()?,
            }
        }
        Ok(body)
    }

    /// An object, an array of pairs, or `null`.
    fn headers(&mut self, headers: &mut HeadersBuilder) -> Result<(), Odd> {
        match self.value()? {
            Value::Text(None) => Ok(()),
            Value::Text(Some(_)) => Err(Odd),
            Value::Open('{') => {
                let mut members = List::open(self, '{')?;
                while members.next(self, '}')? {
                    let name = self.name()?;
                    self.header(&name, headers)?;
                }
                Ok(())
            }
            Value::Open(_) => {
                let mut pairs = List::open(self, '[')?;
                while pairs.next(self, ']')? {
                    let mut pair = List::open(self, '[')?;
                    let name = if pair.next(self, ']')? { self.value()? } else { return Err(Odd) };
                    let Value::Text(Some(name)) = name else { return Err(Odd) };
                    if !pair.next(self, ']')? {
                        return Err(Odd);
                    }
                    self.header(&name, headers)?;
                    if pair.next(self, ']')? {
                        return Err(Odd);
                    }
                }
                Ok(())
            }
        }
    }

    /// The value of a header, which none may have before it.
    fn header(&mut self, name: &str, headers: &mut HeadersBuilder) -> Result<(), Odd> {
        match self.value()? {
            Value::Text(None) => Ok(()),
            Value::Text(Some(value)) => match headers.insert(name, &value) {
                Ok(HeadersInserted::New) => Ok(()),
                Ok(HeadersInserted::Replaced) | Err(_) => Err(Odd),
            },
            Value::Open(_) => Err(Odd),
        }
    }

    /// The name of a member and what is between it and the value.
    fn name(&mut self) -> Result<String, Odd> {
        let name = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.word().ok_or(Odd)?.to_owned(),
        };
        self.skip_blanks()?;
        if self.take('=') {
            self.take('>');
        } else {
            self.expect(':')?;
        }
        Ok(name)
    }

    fn value(&mut self) -> Result<Value, Odd> {
        self.skip_blanks()?;
        Ok(match self.rest.chars().next().ok_or(Odd)? {
            quote @ ('"' | '\'') => Value::Text(Some(self.quoted(quote)?)),
            bracket @ ('[' | '{') => Value::Open(bracket),
            _ => {
                let word = self.word().ok_or(Odd)?;
                let is = |known: &str| word.eq_ignore_ascii_case(known);
                let known = ["true", "false"].into_iter().find(|known| is(known));
                Value::Text((!is("null")).then(|| known.unwrap_or(word).to_owned()))
            }
        })
    }

    /// A value of any depth. In an array nothing stands for `null`, too.
    fn skip_value(&mut self) -> Result<(), Odd> {
        // What closes each list that is open: a byte for each byte of text, at most.
        let mut open: Vec<u8> = Vec::new();
        // The innermost of them; something was read of all others.
        let mut list = List { is_first: false };
        loop {
            match self.value()? {
                Value::Text(_) => {}
                Value::Open(bracket) => {
                    list = List::open(self, bracket)?;
                    open.push(if bracket == '[' { b']' } else { b'}' });
                }
            }
            loop {
                let Some(close) = open.last() else { return Ok(()) };
                let close = char::from(*close);
                if !list.next(self, close)? {
                    open.pop();
                    continue;
                }
                if close == '}' {
                    self.name()?;
                } else if self.rest.starts_with([',', ';', ']']) {
                    continue;
                }
                break;
            }
        }
    }

    /// Text up to the closing quote, which ends with it.
    fn quoted(&mut self, quote: char) -> Result<String, Odd> {
        self.expect(quote)?;
        let mut units = Vec::new();
        let mut text = String::new();
        loop {
            let plain = self.rest.find([quote, '\\']).ok_or(Odd)?;
            let (before, after) = self.rest.split_at_checked(plain).ok_or(Odd)?;
            if !before.is_empty() {
                finish(&mut units, &mut text);
                text.push_str(before);
            }
            self.rest = after;
            if self.take(quote) {
                finish(&mut units, &mut text);
                return Ok(text);
            }
            self.expect('\\')?;
            let escaped = self.rest.chars().next().ok_or(Odd)?;
            self.expect(escaped)?;
            if escaped == 'u' {
                units.push(self.unit()?);
                continue;
            }
            finish(&mut units, &mut text);
            text.push(match escaped {
                't' => '\t',
                'b' => '\u{8}',
                'n' => '\n',
                'r' => '\r',
                'f' => '\u{c}',
                '\n' | '\'' | '"' | '\\' | '/' => escaped,
                _ => return Err(Odd),
            });
        }
    }

    /// Four digits of an escape.
    fn unit(&mut self) -> Result<u16, Odd> {
        let (digits, after) = self.rest.split_at_checked(4).ok_or(Odd)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Odd);
        }
        self.rest = after;
        u16::from_str_radix(digits, 16).map_err(|_| Odd)
    }

    /// What stands there without quotes; `None` if nothing does.
    fn word(&mut self) -> Option<&str> {
        let end = self.rest.find(WORD_ENDS).unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at_checked(end).filter(|(word, _)| !word.is_empty())?;
        self.rest = after;
        Some(word)
    }

    fn skip_blanks(&mut self) -> Result<(), Odd> {
        loop {
            self.rest = self.rest.trim_start_matches(BLANKS);
            let comment = self.rest.strip_prefix("//").or_else(|| self.rest.strip_prefix('#'));
            if let Some(comment) = comment {
                let end = comment.find(['\n', '\r']).unwrap_or(comment.len());
                self.rest = comment.get(end..).unwrap_or_default();
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let (_, after) = comment.split_once("*/").ok_or(Odd)?;
                self.rest = after;
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, character: char) -> bool {
        let after = self.rest.strip_prefix(character);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expect(&mut self, character: char) -> Result<(), Odd> {
        if self.take(character) { Ok(()) } else { Err(Odd) }
    }
}

/// Characters that came as escapes in a row. Half a pair becomes what Java makes of it.
fn finish(units: &mut Vec<u16>, text: &mut String) {
    text.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or('?')));
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];
const WORD_ENDS: [char; 16] = ['/', '\\', ';', '#', '=', '{', '}', '[', ']', ':', ',', ' ', '\t', '\u{c}', '\r', '\n'];
