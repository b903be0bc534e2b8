//! From Java's syntax of regular expressions to that of the crate `regex`.

use std::fmt::Write as _;

use super::class;
use super::escape::{self, Escape};

/// A pattern in the syntax of `regex`.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) regex: String,
    /// For each capturing group of the original its number in `regex`.
    pub(super) groups: Vec<usize>,
    /// Named groups by their number in the original.
    pub(super) names: Vec<(String, usize)>,
    /// Groups that were added for line terminators before the end.
    pub(super) ends: Vec<usize>,
}

/// Translates a pattern. With `whole` it is to match whole texts only. The error says what is wrong and where.
pub(super) fn translate(pattern: &str, whole: bool) -> Result<Translation, String> {
    let mut translator = Translator {
        input: Input { chars: pattern.chars().collect(), at: 0 },
        out: String::with_capacity(pattern.len() * 2),
        flags: Flags::default(),
        open: Vec::new(),
        whole,
        groups: Vec::new(),
        names: Vec::new(),
        ends: Vec::new(),
        next_group: 1,
    };
    translator.run()?;
    let Translator { out, groups, names, ends, .. } = translator;
    Ok(Translation { regex: out, groups, names, ends })
}

/// The line terminators of Java, as the content of a class.
pub(super) const TERMINATORS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// What the flags of Java are set to at some point of a pattern.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // they are independent of each other
pub(super) struct Flags {
    /// `i`
    pub(super) ignore_case: bool,
    /// `u`: case is that of Unicode.
    pub(super) unicode_case: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_all: bool,
    /// `d`: only a line feed ends a line.
    unix_lines: bool,
    /// `x`
    pub(super) comments: bool,
}

impl Flags {
    /// Whether ASCII letters stand for both cases; the case of Unicode is left to `regex`.
    pub(super) fn folds_ascii(self) -> bool {
        self.ignore_case && !self.unicode_case
    }

    fn folds_unicode(self) -> bool {
        self.ignore_case && self.unicode_case
    }
}

/// The characters of a pattern.
pub(super) struct Input {
    chars: Vec<char>,
    at: usize,
}

impl Input {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.chars.get(self.at + 1).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    /// Goes past `text`, if that is what follows.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let found = text.chars().eq(self.chars.iter().skip(self.at).take(length).copied());
        if found {
            self.at += length;
        }
        found
    }

    /// Everything up to `end`, which is passed, too; `None` if it does not come.
    pub(super) fn until(&mut self, end: char) -> Option<String> {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|c| *c == end)?;
        let text = rest.iter().take(length).collect();
        self.at += length + 1;
        Some(text)
    }

    /// Where the next character is, counted from 1.
    pub(super) fn place(&self) -> usize {
        self.at + 1
    }

    /// Whether a `\E` closes a quotation here; goes past it.
    pub(super) fn next_quoted(&mut self) -> Option<char> {
        if self.eat(r"\E") { None } else { self.next() }
    }
}

struct Translator {
    input: Input,
    out: String,
    flags: Flags,
    /// For each open group the flags outside of it.
    open: Vec<Flags>,
    whole: bool,
    groups: Vec<usize>,
    names: Vec<(String, usize)>,
    ends: Vec<usize>,
    next_group: usize,
}

impl Translator {
    fn run(&mut self) -> Result<(), String> {
        let mut may_repeat = false;
        while let Some(c) = self.input.peek() {
            if self.flags.comments && self.skip_comment(c) {
                continue;
            }
            let place = self.input.place();
            may_repeat = match c {
                '*' | '+' | '?' | '{' if !may_repeat => {
                    return Err(format!("nothing to repeat before {c} at character {place}"));
                }
                '*' | '+' | '?' | '{' => {
                    self.quantifier()?;
                    false
                }
                _ => self.atom(c, place)?,
            };
        }
        if self.open.is_empty() { Ok(()) } else { Err("a group is not closed".to_owned()) }
    }

    /// Translates one construct that is no quantifier. Returns whether a quantifier may follow.
    fn atom(&mut self, c: char, place: usize) -> Result<bool, String> {
        self.input.next();
        match c {
            '(' => return self.group(place).map(|()| false),
            ')' => {
                self.flags = self.open.pop().ok_or_else(|| format!("unmatched ) at character {place}"))?;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                return Ok(false);
            }
            '[' => class::translate(&mut self.input, self.flags, place, &mut self.out)?,
            '.' => self.dot(),
            '^' => self.out.push_str(match (self.flags.multi_line, self.flags.unix_lines) {
                (false, _) => "^",
                (true, false) => "(?mR:^)",
                (true, true) => "(?m:^)",
            }),
            '$' => self.dollar(),
            '\\' => return self.escape(place),
            _ => self.literal(c),
        }
        Ok(true)
    }

    fn skip_comment(&mut self, c: char) -> bool {
        if c == '#' {
            while self.input.next().is_some_and(|c| c != '\n') {}
            return true;
        }
        c.is_ascii_whitespace() && self.input.next().is_some()
    }

    fn literal(&mut self, c: char) {
        if self.flags.folds_ascii() && c.is_ascii_alphabetic() {
            self.out.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
        } else {
            push_literal(&mut self.out, c);
        }
    }

    fn dot(&mut self) {
        if self.flags.dot_all {
            self.out.push_str("(?s:.)");
        } else if self.flags.unix_lines {
            self.out.push_str(r"[^\n]");
        } else {
            self.out.extend(["[^", TERMINATORS, "]"]);
        }
    }

    fn dollar(&mut self) {
        match (self.flags.multi_line, self.flags.unix_lines) {
            (true, false) => self.out.push_str("(?mR:$)"),
            (true, true) => self.out.push_str("(?m:$)"),
            (false, _) => self.end(),
        }
    }

    /// The end of the text, or the place before a line terminator at the end.
    fn end(&mut self) {
        if self.whole {
            self.out.push_str(r"\z");
            return;
        }
        self.ends.push(self.next_group);
        self.next_group += 1;
        if self.flags.unix_lines {
            self.out.push_str(r"(?:(\n)?\z)");
        } else {
            self.out.extend([r"(?:(\r\n|[", TERMINATORS, r"])?\z)"]);
        }
    }

    fn quantifier(&mut self) -> Result<(), String> {
        let place = self.input.place();
        if self.input.eat("{") {
            let count = self.input.until('}').unwrap_or_default();
            let (min, max) = count.split_once(',').unwrap_or((&count, ""));
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(min) || !(max.is_empty() || is_number(max)) {
                return Err(format!("{{ at character {place} begins no {{n}}, {{n,}} or {{n,m}}"));
            }
            self.out.extend(["{", &count, "}"]);
        } else {
            self.out.extend(self.input.next());
        }
        match self.input.peek() {
            Some('?') => self.out.extend(self.input.next()),
            Some('+') => return Err(unsupported("possessive quantifier", place)),
            _ => {}
        }
        match self.input.peek() {
            Some(c @ ('*' | '+' | '?' | '{')) => {
                Err(format!("nothing to repeat before {c} at character {}", self.input.place()))
            }
            _ => Ok(()),
        }
    }

    /// What follows an opening parenthesis.
    fn group(&mut self, place: usize) -> Result<(), String> {
        let refused = [
            ("?=", "look-ahead (?="),
            ("?!", "negative look-ahead (?!"),
            ("?<=", "look-behind (?<="),
            ("?<!", "negative look-behind (?<!"),
            ("?>", "atomic group (?>"),
        ];
        if let Some((_, what)) = refused.iter().find(|(begin, _)| self.input.eat(begin)) {
            return Err(unsupported(what, place));
        }
        if self.input.eat("?<") {
            let name = self.input.until('>').unwrap_or_default();
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !is_name || self.names.iter().any(|(known, _)| *known == name) {
                return Err(format!("the group at character {place} has no name of its own"));
            }
            self.out.extend(["(?P<", &name, ">"]);
            self.names.push((name, self.groups.len() + 1));
            self.capture();
        } else if self.input.eat("?") {
            self.flag_group(place)?;
        } else {
            self.out.push('(');
            self.capture();
        }
        Ok(())
    }

    fn capture(&mut self) {
        self.open.push(self.flags);
        self.groups.push(self.next_group);
        self.next_group += 1;
    }

    /// `(?flags)`, `(?flags:...)` and `(?:...)`.
    fn flag_group(&mut self, place: usize) -> Result<(), String> {
        let outside = self.flags;
        let mut on = true;
        loop {
            let flags = &mut self.flags;
            match self.input.next() {
                Some('-') => on = false,
                Some('i') => flags.ignore_case = on,
                Some('u') => flags.unicode_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('d') => flags.unix_lines = on,
                Some('x') => flags.comments = on,
                Some('U') => return Err(unsupported("flag U", place)),
                Some(end @ (':' | ')')) => {
                    let case = match (outside.folds_unicode(), self.flags.folds_unicode()) {
                        (false, true) => "(?i",
                        (true, false) => "(?-i",
                        _ if end == ':' => "(?",
                        _ => return Ok(()),
                    };
                    if end == ':' {
                        self.open.push(outside);
                    }
                    self.out.push_str(case);
                    self.out.push(end);
                    return Ok(());
                }
                _ => return Err(format!("( at character {place} is followed by ? and no known flag")),
            }
        }
    }

    fn escape(&mut self, place: usize) -> Result<bool, String> {
        if self.input.eat("Q") {
            let before = self.out.len();
            while let Some(c) = self.input.next_quoted() {
                self.literal(c);
            }
            return Ok(self.out.len() > before);
        }
        if self.input.eat("Z") {
            self.end();
            return Ok(true);
        }
        match escape::parse(&mut self.input, place)? {
            Escape::Literal(c) => self.literal(c),
            Escape::Class { items, negated } => {
                self.out.extend([if negated { "[^" } else { "[" }, &items, "]"]);
            }
            Escape::Other(regex) => self.out.push_str(regex),
        }
        Ok(true)
    }
}

/// Says that something is not supported.
pub(super) fn unsupported(what: &str, place: usize) -> String {
    format!("{what} at character {place} is not supported")
}

/// Appends a character that stands for itself, inside and outside of classes.
pub(super) fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || !c.is_ascii() {
        out.push(c);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, r"\x{:02x}", u32::from(c));
    }
}
