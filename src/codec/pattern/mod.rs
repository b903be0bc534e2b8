//! Regular expressions as Flume's properties have them: in the syntax of Java.

mod class;
mod escape;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod replacement;
#[cfg(test)]
mod tests;
mod translate;

use std::fmt;
use std::ops::Range;

use regex::Regex;

use self::translate::{Translation, translate};
use crate::limits::PATTERN_BYTES_MAX;

pub(crate) use replacement::Piece;
pub use replacement::Replacement;

/// A regular expression in Java's syntax, matched in linear time.
///
/// What Java and the crate `regex` write the same way but mean differently is translated, so that a pattern means what it
/// means in Flume: `\w`, `\d` and `\s` are ASCII, `.` stops at every line terminator and `$` also matches before the last
/// one (so `error$` finds `error\r`), `(?i)` is about ASCII letters unless `(?iu)` is written, and `\Q...\E`, `\h`, `\R`,
/// `\e`, `\cX`, `\0nn`, `\p{Alpha}` and nested classes with `&&` are known.
///
/// Not supported are the constructs that can take exponential time, or that have no counterpart: look-ahead, look-behind,
/// back-references, atomic groups, possessive quantifiers, `\G`, `\X`, `\N{...}`, `\b{g}`, Unicode blocks (`\p{InGreek}`),
/// properties of the Java language (`\p{javaLowerCase}`) and the flag `(?U)`. They are refused by name.
///
/// Where the two still differ, on patterns that hardly anyone writes: under `(?m)` lines end at `\n`, `\r` and `\r\n` only, and
/// `^` also matches behind the last line end of a text; what follows a `$` cannot match the line terminator that the `$` looked
/// at; and `\R{2}` takes `\r\n` for one or two.
///
/// ```
/// use aqueduct::codec::pattern::Pattern;
///
/// let user = Pattern::new(r"user=(\w+)@")?;
/// assert!(user.is_match("login user=anna@example.com"));
/// assert!(!user.is_match("login user=j\u{f6}rg@example.com"));
/// let error = Pattern::new("(?<!not )ready").map_err(|error| error.to_string());
/// let told = "pattern (?<!not )ready: negative look-behind (?<! at character 1 is not supported";
/// assert_eq!(error.err().as_deref(), Some(told));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
    /// For each of Java's groups, from 1 on, its number in `regex`.
    groups: Vec<usize>,
    names: Vec<(String, usize)>,
    /// Groups of `regex` that hold the line terminator before which a `$` matched.
    ends: Vec<usize>,
}

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern}: {reason}")]
#[non_exhaustive]
pub struct PatternError {
    /// The pattern, or its beginning if it is long.
    pub pattern: String,
    /// What is wrong, and where.
    pub reason: String,
}

impl Pattern {
    /// Compiles a pattern that is searched for anywhere in a text, as by Java's `find`.
    ///
    /// # Errors
    /// If the pattern is malformed, not supported, or too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, false)
    }

    /// Compiles a pattern that must match a whole text, as by Java's `matches`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn whole(pattern: &str) -> Result<Self, PatternError> {
        Self::compile(pattern, true)
    }

    fn compile(pattern: &str, whole: bool) -> Result<Self, PatternError> {
        let fail = |reason: String| PatternError { pattern: shown(pattern), reason };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(fail(format!("its {} bytes are over the limit of {PATTERN_BYTES_MAX}", pattern.len())));
        }
        let Translation { regex, groups, names, ends } = translate(pattern, whole).map_err(fail)?;
        let regex = if whole { format!(r"\A(?:{regex})\z") } else { regex };
        let regex = Regex::new(&regex).map_err(|error| fail(explain(&error)))?;
        Ok(Self { source: pattern.to_owned(), regex, groups, names, ends })
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the text has a match.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Number of capturing groups; group 0, the whole match, is not counted.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The first match: the ranges of the whole and of each group, `None` for a group that took no part.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Vec<Option<Range<usize>>>> {
        self.regex.captures(text).map(|found| self.ranges(&found))
    }

    /// The parts of a text between matches of the pattern, as by Java's `split`: empty parts at the end are left out, and an
    /// empty match at the beginning gives none.
    #[must_use]
    pub fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut parts = Vec::new();
        let mut from = 0;
        for found in self.matches(text) {
            if found.is_empty() && found.start == 0 {
                continue;
            }
            parts.extend(text.get(from..found.start));
            from = found.end;
        }
        parts.extend(text.get(from..));
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        parts
    }

    /// All matches, each as by [`find`](Self::find), as Java's `Matcher.find` goes through them: right behind a match there may be
    /// an empty one, which this engine's own iterator leaves out.
    fn all<'p>(&'p self, text: &'p str) -> impl Iterator<Item = Vec<Option<Range<usize>>>> + 'p {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let ranges = self.ranges(&self.regex.captures_at(text, from?)?);
            let whole = ranges.first().cloned().flatten()?;
            from = if whole.is_empty() {
                let next = text.get(whole.end..).and_then(|rest| rest.chars().next());
                next.map(|next| whole.end + next.len_utf8())
            } else {
                Some(whole.end)
            };
            Some(ranges)
        })
    }

    fn matches<'p>(&'p self, text: &'p str) -> impl Iterator<Item = Range<usize>> + 'p {
        self.all(text).filter_map(|ranges| ranges.into_iter().next().flatten())
    }

    fn ranges(&self, found: &regex::Captures<'_>) -> Vec<Option<Range<usize>>> {
        // A `$` takes no part of the text; what it looked at is cut off again.
        let ends = self.ends.iter().filter_map(|end| found.get(*end)).map(|end| end.start());
        let end = ends.min().unwrap_or(usize::MAX);
        let cut = |range: Range<usize>| range.start.min(end)..range.end.min(end);
        let group = |number: usize| found.get(number).map(|group| cut(group.range()));
        std::iter::once(0).chain(self.groups.iter().copied()).map(group).collect()
    }

    /// The number of a named group.
    fn named(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source).finish()
    }
}

/// The pattern for a message.
fn shown(pattern: &str) -> String {
    const SHOWN_CHARS: usize = 200;
    let mut shown: String = pattern.chars().take(SHOWN_CHARS).collect();
    if shown.len() < pattern.len() {
        shown.push_str("...");
    }
    shown
}

/// What the compiler of expressions says, without the picture that it draws of the translated pattern.
fn explain(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
