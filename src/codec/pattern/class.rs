//! Character classes: `[...]`.

use super::escape::{self, Escape};
use super::translate::{Flags, Input, push_literal};
use crate::limits::PATTERN_CLASS_DEPTH_MAX;

/// Translates a class whose opening bracket, at `place`, has been read.
pub(super) fn translate(input: &mut Input, flags: Flags, place: usize, out: &mut String) -> Result<(), String> {
    let mut class = Class { input, flags, out, depth: 0 };
    class.open()?;
    while class.depth > 0 {
        class.item(place)?;
    }
    Ok(())
}

struct Class<'a> {
    input: &'a mut Input,
    flags: Flags,
    out: &'a mut String,
    /// Classes that are open within each other.
    depth: usize,
}

impl Class<'_> {
    fn open(&mut self) -> Result<(), String> {
        self.depth += 1;
        self.out.push('[');
        if self.input.eat("^") {
            self.out.push('^');
        }
        // A bracket that would close an empty class stands for itself.
        if self.input.eat("]") { self.range_from(']') } else { Ok(()) }
    }

    fn item(&mut self, place: usize) -> Result<(), String> {
        let at = self.input.place();
        let Some(c) = self.input.next() else {
            return Err(format!("the class at character {place} is not closed"));
        };
        match c {
            ']' => {
                self.depth -= 1;
                self.out.push(']');
            }
            '[' if self.depth >= PATTERN_CLASS_DEPTH_MAX => {
                return Err(format!(
                    "the class at character {at} is within more than {PATTERN_CLASS_DEPTH_MAX} others"
                ));
            }
            '[' => self.open()?,
            '&' if self.input.eat("&") => self.out.push_str("&&"),
            '\\' if self.input.eat("Q") => {
                while let Some(c) = self.input.next_quoted() {
                    self.character(c);
                }
            }
            '\\' => match escape::parse(self.input, at)? {
                Escape::Literal(c) => self.range_from(c)?,
                Escape::Class { items, negated: false } => self.out.push_str(&items),
                Escape::Class { items, negated: true } => self.out.extend(["[^", &items, "]"]),
                Escape::Other(what) => {
                    return Err(format!(
                        "{} at character {at} has no meaning in a class",
                        what.get(..2).unwrap_or(what)
                    ));
                }
            },
            _ if self.flags.comments && c.is_ascii_whitespace() => {}
            _ => self.range_from(c)?,
        }
        Ok(())
    }

    /// A character, or the range that it begins.
    fn range_from(&mut self, first: char) -> Result<(), String> {
        if self.input.peek() != Some('-') || matches!(self.input.peek_second(), None | Some('[' | ']')) {
            self.character(first);
            return Ok(());
        }
        self.input.next();
        let at = self.input.place();
        let last = match self.input.next() {
            Some('\\') => escape::parse(self.input, at)?,
            last => Escape::Literal(last.unwrap_or('-')),
        };
        match last {
            Escape::Literal(last) if first <= last => self.range(first, last),
            // A hyphen before a class stands for itself.
            Escape::Class { items, negated } => {
                self.character(first);
                self.character('-');
                self.out.extend(if negated { ["[^", &items, "]"] } else { ["[", &items, "]"] });
            }
            _ => return Err(format!("the range that ends at character {at} of the pattern goes backwards")),
        }
        Ok(())
    }

    fn character(&mut self, c: char) {
        push_literal(self.out, c);
        if self.flags.folds_ascii() && c.is_ascii_alphabetic() {
            self.out.push(swap_case(c));
        }
    }

    fn range(&mut self, first: char, last: char) {
        self.push_range(first, last);
        if !self.flags.folds_ascii() {
            return;
        }
        for (low, high) in [('a', 'z'), ('A', 'Z')] {
            let (low, high) = (first.max(low), last.min(high));
            if low <= high {
                self.push_range(swap_case(low), swap_case(high));
            }
        }
    }

    fn push_range(&mut self, first: char, last: char) {
        push_literal(self.out, first);
        self.out.push('-');
        push_literal(self.out, last);
    }
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}
