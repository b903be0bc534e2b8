//! What stands for a match in the text that `search_replace` makes.

use std::ops::Range;

use super::{Pattern, PatternError, shown};

/// A replacement in Java's syntax: `$1` and `${name}` stand for what a group matched, `$0` for the whole match, and a
/// backslash makes the next character stand for itself.
///
/// ```
/// use aqueduct::codec::pattern::{Pattern, Replacement};
///
/// let pattern = Pattern::new(r"(?<user>\w+)@(\S+)")?;
/// let replacement = Replacement::new("${user} at $2, \\$1", &pattern)?;
/// assert_eq!(replacement.replace_all("to: anna@example.com;"), Some("to: anna at example.com;, $1".to_owned()));
/// assert_eq!(replacement.replace_all("nobody"), None);
/// assert!(Replacement::new("$3", &pattern).is_err());
/// # Ok::<(), aqueduct::codec::pattern::PatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replacement {
    pattern: Pattern,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// A replacement for the matches of `pattern`.
    ///
    /// # Errors
    /// If it names a group that the pattern does not have, or ends in the middle of a reference.
    pub fn new(template: &str, pattern: &Pattern) -> Result<Self, PatternError> {
        let fail = |reason: String| PatternError {
            pattern: shown(pattern.as_str()),
            reason: format!("replacement {}: {reason}", shown(template)),
        };
        let parts = parse(template, pattern).map_err(fail)?;
        Ok(Self { pattern: pattern.clone(), parts })
    }

    /// The text with every match replaced; `None` if there is none.
    #[must_use]
    pub fn replace_all(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let found = self.replace_each(text, |piece| match piece {
            Piece::Kept(range) => out.push_str(text.get(range).unwrap_or_default()),
            Piece::New(new) => out.push_str(new),
        });
        found.then_some(out)
    }

    /// Hands out the pieces that make up the new text, in order. Returns whether there was a match; without one nothing is
    /// handed out.
    pub(crate) fn replace_each(&self, text: &str, mut out: impl FnMut(Piece<'_>)) -> bool {
        let mut from = 0;
        let mut any = false;
        for groups in self.pattern.all(text) {
            let Some(Some(whole)) = groups.first().cloned() else { continue };
            any = true;
            out(Piece::Kept(from..whole.start));
            for part in &self.parts {
                match part {
                    Part::Text(text) => out(Piece::New(text)),
                    Part::Group(number) => out(Piece::Kept(groups.get(*number).cloned().flatten().unwrap_or(0..0))),
                }
            }
            from = whole.end;
        }
        if any {
            out(Piece::Kept(from..text.len()));
        }
        any
    }
}

/// A piece of a text with replacements.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// A part of the old text.
    Kept(Range<usize>),
    /// From the replacement.
    New(&'a str),
}

fn parse(template: &str, pattern: &Pattern) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.push(rest.next().ok_or("a backslash at the end escapes nothing")?),
            '$' => {
                let number = if rest.next_if_eq(&'{').is_some() {
                    named(&mut rest, pattern)?
                } else {
                    numbered(&mut rest, pattern.group_count())?
                };
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Group(number));
            }
            _ => text.push(c),
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

type Rest<'t> = std::iter::Peekable<std::str::Chars<'t>>;

fn named(rest: &mut Rest<'_>, pattern: &Pattern) -> Result<usize, String> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('}') => break,
            Some(c) => name.push(c),
            None => return Err(format!("${{{name} is not closed")),
        }
    }
    pattern.named(&name).ok_or_else(|| format!("the pattern has no group {name}"))
}

/// The digits after a dollar sign. As in Java, further digits belong to the number only as long as there is such a group.
fn numbered(rest: &mut Rest<'_>, groups: usize) -> Result<usize, String> {
    let digit = |c: char| c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    let Some(mut number) = rest.next().and_then(digit) else {
        return Err("a $ is followed by neither a number nor a {name}; write \\$ for the sign itself".to_owned());
    };
    if number > groups {
        return Err(format!("the pattern has no group {number}"));
    }
    while let Some(longer) = rest.peek().copied().and_then(digit).map(|digit| number * 10 + digit) {
        if longer > groups {
            break;
        }
        number = longer;
        rest.next();
    }
    Ok(number)
}
