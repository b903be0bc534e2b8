//! The keys of one component, read by type.

mod mistakes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::batch_size::BatchSize;
use super::file::trim;
use super::number::{Borne, Number, is_below, must_be_a_number, parse, within};
use super::problem::{Origin, Problem, Severity};
use crate::agent::nearest;
use crate::limits::TRANSACTION_EVENTS_MAX;

pub(super) use mistakes::shown;

/// The properties of one component, without the prefix that they share: `port`, not `a1.sources.r1.port`.
///
/// Every reader names a key, its type and its default, and so makes the key known. None of them fails: a mistake is kept
/// with its place, and what comes back is the default, or something of the right type, so that the other keys are read
/// as well and all mistakes are reported at once. A component with a mistake is never used, whatever it was made of.
/// Keys that nobody has asked for are mistakes, too.
///
/// ```
/// use aqueduct::config::Keys;
/// use std::time::Duration;
///
/// let mut keys = Keys::of("a1.sinks.k1.", [("hostname", "db1"), ("port", "x"), ("batchsize", "10"), ("request-timeout", "500")]);
/// assert_eq!(keys.required("hostname"), "db1");
/// let port: u16 = keys.required_number("port", 1..=65535);
/// let batch = keys.batch_size("batchSize", 100);
/// let timeout = keys.millis("request-timeout", 1..=u64::MAX, Duration::from_secs(20));
/// assert_eq!((port, batch.events(), timeout), (1, 100, Duration::from_millis(500)));
///
/// let problems: Vec<_> = keys.finish("avro").iter().map(ToString::to_string).collect();
/// assert_eq!(problems, [
///     "a1.sinks.k1.port = x: must be a number from 1 to 65535",
///     "a1.sinks.k1.batchsize: avro has no such key; is it batchSize?",
/// ]);
/// ```
#[derive(Debug)]
pub struct Keys {
    prefix: String,
    // Where the component is named, for what is missing.
    origin: Option<Origin>,
    entries: BTreeMap<String, Entry>,
    used: BTreeSet<String>,
    // What readers have asked for; a name that ends in a dot stands for all that begin with it.
    known: BTreeSet<String>,
    // What was made of the keys, and of those below a prefix.
    kind: Option<Kind>,
    parts: BTreeMap<String, Kind>,
    problems: Vec<Problem>,
}

/// The type of what is made of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Known(Arc<str>),
    /// Nobody knows which keys it has.
    Unknown,
}

/// The value of a property.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: String,
    /// As it may be shown: before references were resolved.
    pub(super) written: String,
    pub(super) origin: Option<Origin>,
}

impl fmt::Debug for Entry {
    /// Neither form of the value, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys of a component whose keys begin with `prefix` in the file, for tests of a component.
    pub fn of<'a>(prefix: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entry = |value: &str| Entry { value: value.to_owned(), written: value.to_owned(), origin: None };
        let entries = pairs.into_iter().map(|(key, value)| (key.to_owned(), entry(value))).collect();
        Self::new(prefix.to_owned(), None, entries)
    }

    pub(super) fn new(prefix: String, origin: Option<Origin>, entries: BTreeMap<String, Entry>) -> Self {
        Self {
            prefix,
            origin,
            entries,
            used: BTreeSet::new(),
            known: BTreeSet::new(),
            kind: None,
            parts: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// Whether the key has a value. Does not make it known.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A value that may be missing, without making its key known.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// A text that must be there.
    pub fn required(&mut self, key: &str) -> String {
        self.optional(key).unwrap_or_else(|| {
            self.missing(key);
            String::new()
        })
    }

    /// A text.
    pub fn text(&mut self, key: &str, default: &str) -> String {
        self.optional(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text that may be missing.
    pub fn optional(&mut self, key: &str) -> Option<String> {
        self.known.insert(key.to_owned());
        let value = self.entries.get(key)?.value.clone();
        self.used.insert(key.to_owned());
        Some(value)
    }

    /// A path that must be there; a relative one is relative to the working directory, as in Flume.
    pub fn required_path(&mut self, key: &str) -> PathBuf {
        self.required(key).into()
    }

    /// A whole number within a range, written in decimal, as Java's `Long.parseLong` reads it.
    pub fn number<T: Number>(&mut self, key: &str, range: RangeInclusive<T>, default: T) -> T {
        self.optional_number(key, range).unwrap_or(default)
    }

    /// A number that may be missing.
    pub fn optional_number<T: Number>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T> {
        let text = self.optional(key)?;
        let number = within(&text, &range);
        if number.is_none() {
            self.mistake(key, must_be_a_number(&text, &range));
        }
        number
    }

    /// A number that may be missing, and without which Flume goes on if it is not of the range: `instead` says how.
    pub(super) fn bearable<T: Number>(
        &mut self,
        key: &str,
        range: RangeInclusive<T>,
        borne: Borne,
        instead: &str,
    ) -> Option<T> {
        let text = self.optional(key)?;
        let number = within(&text, &range);
        if number.is_none() {
            match borne {
                Borne::Numbers if parse(&text).is_none() => self.mistake(key, must_be_a_number(&text, &range)),
                _ => self.problem(Severity::Ignored, key, format!("{}; {instead}", must_be_a_number(&text, &range))),
            }
        }
        number
    }

    /// A number instead of which Flume takes the default if it is not of the range.
    pub(super) fn bearable_number<T: Number>(
        &mut self,
        key: &str,
        range: RangeInclusive<T>,
        borne: Borne,
        default: T,
    ) -> T {
        self.bearable(key, range, borne, &format!("Flume takes the default of {default}")).unwrap_or(default)
    }

    /// A number of which Flume takes anything below the range for its beginning.
    pub(super) fn number_from<T: Number>(&mut self, key: &str, range: RangeInclusive<T>, default: T) -> T {
        if self.value(key).is_some_and(|text| is_below(text, &range)) {
            self.used.insert(key.to_owned());
            return *range.start();
        }
        self.number(key, range, default)
    }

    /// A number that must be there.
    pub fn required_number<T: Number>(&mut self, key: &str, range: RangeInclusive<T>) -> T {
        if !self.is_set(key) {
            self.missing(key);
        }
        let placeholder = *range.start();
        self.optional_number(key, range).unwrap_or(placeholder)
    }

    /// `true` or `false`, in any case. Flume takes everything else for `false`, which is a mistake here.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(text) = self.optional(key) else { return default };
        let text = trim(&text);
        let is_true = text.eq_ignore_ascii_case("true");
        if !is_true && !text.eq_ignore_ascii_case("false") {
            self.problem(Severity::Ignored, key, "must be true or false; Flume takes it for false");
        }
        is_true
    }

    /// A time in milliseconds.
    pub fn millis(&mut self, key: &str, range: RangeInclusive<u64>, default: Duration) -> Duration {
        self.optional_number(key, range).map_or(default, Duration::from_millis)
    }

    /// A time in seconds.
    pub fn seconds(&mut self, key: &str, range: RangeInclusive<u64>, default: Duration) -> Duration {
        self.optional_number(key, range).map_or(default, Duration::from_secs)
    }

    /// How many events go into one transaction. A default that is over what a channel of the component takes gives way to
    /// it; a number that the user has chosen is a mistake then.
    pub fn batch_size(&mut self, key: &str, default: usize) -> BatchSize {
        match self.optional_number(key, 1..=TRANSACTION_EVENTS_MAX) {
            Some(events) => BatchSize::chosen(events, key),
            None => BatchSize::fixed(default),
        }
    }

    /// The same, where Flume hands over event by event if the number is below one.
    pub(super) fn batch_size_from_one(&mut self, key: &str, default: usize) -> BatchSize {
        if self.value(key).is_some_and(|text| is_below(text, &(1..=TRANSACTION_EVENTS_MAX))) {
            self.used.insert(key.to_owned());
            return BatchSize::fixed(1);
        }
        self.batch_size(key, default)
    }

    /// Names, separated by blanks.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        self.optional(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// At least one name.
    pub fn required_list(&mut self, key: &str) -> Vec<String> {
        self.required(key).split_whitespace().map(str::to_owned).collect()
    }

    /// One of several words, in any case.
    pub fn choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)], default: T) -> T {
        match self.chosen(key, choices) {
            Ok(choice) => choice.unwrap_or(default),
            Err(message) => {
                self.mistake(key, message);
                default
            }
        }
    }

    /// One of several words, instead of which Flume takes the default if it is none of them: `instead` says so.
    #[cfg(any(feature = "avro", feature = "rpc"))]
    pub(super) fn bearable_choice<T: Clone>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
        default: T,
        instead: &str,
    ) -> T {
        match self.chosen(key, choices) {
            Ok(choice) => choice.unwrap_or(default),
            Err(message) => {
                self.problem(Severity::Ignored, key, format!("{message}; {instead}"));
                default
            }
        }
    }

    fn chosen<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(text) = self.optional(key) else { return Ok(None) };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return Ok(Some(choice.clone()));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let hint = nearest(&text, words.iter().copied()).map(|word| format!("; is it {word}?")).unwrap_or_default();
        Err(format!("must be {}{hint}", one_of(&words)))
    }

    /// A text that `parse` understands; what it says is reported as a mistake.
    pub fn parsed<T, E: Display>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let text = self.optional(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistake(key, error.to_string());
                None
            }
        }
    }

    /// All keys below a prefix such as `headers.`, without it, with their values, ordered by key. They are all known.
    pub fn sub(&mut self, prefix: &str) -> Vec<(String, String)> {
        self.known.insert(prefix.to_owned());
        let mut found = Vec::new();
        for (key, entry) in self.entries.range(prefix.to_owned()..) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            if !rest.is_empty() {
                found.push((rest.to_owned(), entry.value.clone()));
                self.used.insert(key.clone());
            }
        }
        found
    }

    /// The names of the parts below a prefix: `i1` for `interceptors.i1.type`. Makes nothing known.
    pub(super) fn names_below(&self, prefix: &str) -> BTreeSet<String> {
        let below = self.entries.keys().filter_map(|key| key.strip_prefix(prefix));
        below.filter_map(|rest| rest.split_once('.')).map(|(name, _)| name.to_owned()).collect()
    }

    /// Reads the keys below a prefix such as `serializer.` by themselves: for a part that has keys of its own.
    pub fn within<R>(&mut self, prefix: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let (inside, outside) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(key, _)| key.len() > prefix.len() && key.starts_with(prefix));
        self.entries = outside;
        let strip = |(key, entry): (String, Entry)| (key.get(prefix.len()..).unwrap_or_default().to_owned(), entry);
        let name = prefix.trim_end_matches('.');
        // Where it is named, or the list in which it is.
        let list = name.rsplit_once('.').map_or(name, |(list, _)| list);
        let origin = self.origin_of(name).or_else(|| self.origin_of(list)).or_else(|| self.origin.clone());
        let mut part = Self::new(self.full(prefix), origin, inside.into_iter().map(strip).collect());
        let result = read(&mut part);
        let whole = |key: String| format!("{prefix}{key}");
        self.entries.extend(part.entries.into_iter().map(|(key, entry)| (whole(key), entry)));
        self.used.extend(part.used.into_iter().map(whole));
        self.known.extend(part.known.into_iter().map(whole));
        self.parts.extend(part.parts.into_iter().map(|(below, kind)| (whole(below), kind)));
        self.parts.extend(part.kind.map(|kind| (prefix.to_owned(), kind)));
        self.problems.append(&mut part.problems);
        result
    }

    /// Says of what type is what is made of the keys; none if there is no such type.
    pub(super) fn set_kind(&mut self, kind: Option<Arc<str>>) {
        self.kind = Some(kind.map_or(Kind::Unknown, Kind::Known));
    }

    /// Makes an older name of a key stand for its present one, if that has no value.
    pub fn alias(&mut self, old: &str, present: &str) {
        self.known.insert(old.to_owned());
        if !self.is_set(present)
            && let Some(entry) = self.entries.remove(old)
        {
            self.entries.insert(present.to_owned(), entry);
        } else if self.is_set(old) {
            self.warn(old, format!("has no effect, since {present} has a value, too"));
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}
