//! What is wrong with the keys of a component: mistakes and warnings, and keys that nobody has asked for.

use std::fmt::Display;

use super::super::problem::{Origin, Problem, Refused, Severity};
use super::{Keys, Kind};
use crate::agent::nearest;

impl Keys {
    /// Keys that Flume knows and that change nothing here, for which `why` says the reason: a warning for each that has a
    /// value. A name that ends in a dot stands for all that begin with it.
    pub fn ignored(&mut self, keys: &[&str], why: &str) {
        for key in keys {
            for found in self.matching(key) {
                self.warn(&found, why);
            }
        }
    }

    /// Keys that Flume knows, which ask for something that this crate does not do: a mistake for each that has a value.
    pub fn unsupported(&mut self, keys: &[&str], why: &str) {
        for key in keys {
            for found in self.matching(key) {
                self.mistake(&found, why);
            }
        }
    }

    /// A mistake for which Flume drops the component.
    pub fn mistake(&mut self, key: &str, message: impl Into<String>) {
        self.problem(Severity::Dropped, key, message);
    }

    /// A problem with a key that is known from now on.
    pub fn problem(&mut self, severity: Severity, key: &str, message: impl Into<String>) {
        self.known.insert(key.to_owned());
        self.used.insert(key.to_owned());
        let value = self.entries.get(key).map(|entry| shown(key, &entry.written));
        let origin = self.origin_of(key).or_else(|| self.origin.clone());
        self.problems.push(Problem::new(severity, self.full(key), message).at(origin).with_value(value));
    }

    /// Something that a user should know and that harms nothing.
    pub fn warn(&mut self, key: &str, message: impl Into<String>) {
        self.problem(Severity::Warning, key, message);
    }

    /// Refuses the component as a whole, for a reason that belongs to no key of its own: what a factory returns when a
    /// builder does. If there is a mistake already that costs the component, the reason is taken for a consequence of it and
    /// not shown.
    pub fn refuse(&mut self, reason: impl Display) -> Refused {
        if !self.has_cost() {
            let key = self.prefix.trim_end_matches('.').to_owned();
            self.problems.push(Problem::new(Severity::Dropped, key, reason.to_string()).at(self.origin.clone()));
        }
        Refused::new()
    }

    /// The same where the reason belongs to a key.
    pub fn refuse_for(&mut self, key: &str, reason: impl Display) -> Refused {
        if !self.has_cost() {
            self.mistake(key, reason.to_string());
        }
        Refused::new()
    }

    fn has_cost(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity >= Severity::Dropped)
    }

    /// Whether there is no mistake so far. Readers have given nothing but what the user wrote, or defaults, if so.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity == Severity::Warning)
    }

    /// All problems, after a component `of` this type was made of the keys: also the keys that it did not ask for.
    #[must_use]
    pub fn finish(mut self, of: &str) -> Vec<Problem> {
        let unused: Vec<String> = self.entries.keys().filter(|key| !self.used.contains(*key)).cloned().collect();
        for key in unused {
            // Of the parts that it is in, the innermost.
            let (below, of) = match self.parts.iter().rfind(|(prefix, _)| key.starts_with(*prefix)) {
                Some((_, Kind::Unknown)) => continue,
                Some((prefix, Kind::Known(kind))) => (prefix.as_str(), &**kind),
                None => ("", of),
            };
            let nearest = self.nearest_key(&key);
            let nearest = nearest.as_deref().map(|known| known.strip_prefix(below).unwrap_or(known));
            let hint = nearest.map(|known| format!("; is it {known}?")).unwrap_or_default();
            let message = format!("{of} has no such key{hint}");
            let origin = self.origin_of(&key);
            self.problems.push(Problem::new(Severity::Ignored, self.full(&key), message).at(origin));
        }
        self.problems
    }

    /// The problems so far.
    pub(in super::super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The known key that an unknown one may have meant, where it is not in use already.
    fn nearest_key(&self, key: &str) -> Option<String> {
        let full = |known: &String| match known.strip_suffix('.') {
            None => known.clone(),
            // Below a prefix any name will do: that of the unknown key.
            Some(prefix) => {
                let dots = prefix.matches('.').count() + 1;
                let rest = key.splitn(dots + 1, '.').nth(dots).unwrap_or("...");
                format!("{known}{rest}")
            }
        };
        let candidates: Vec<String> = self.known.iter().filter(|known| !self.is_set(known)).map(full).collect();
        // What both begin with says nothing about how near they are.
        let stem = key.rfind('.').map_or("", |dot| key.get(..=dot).unwrap_or_default());
        let (beside, elsewhere): (Vec<_>, Vec<_>) =
            candidates.iter().map(String::as_str).partition(|candidate| candidate.starts_with(stem));
        let rest = |key: &'_ str| key.get(stem.len()..).unwrap_or_default().to_owned();
        let tails: Vec<String> = beside.into_iter().map(rest).collect();
        let near = nearest(&rest(key), tails.iter().map(String::as_str)).map(|tail| format!("{stem}{tail}"));
        near.or_else(|| nearest(key, elsewhere).map(str::to_owned))
    }

    pub(super) fn matching(&mut self, key: &str) -> Vec<String> {
        self.known.insert(key.to_owned());
        let is_meant = |name: &&String| *name == key || key.ends_with('.') && name.starts_with(key);
        self.entries.keys().filter(is_meant).filter(|name| !self.used.contains(*name)).cloned().collect()
    }

    pub(super) fn missing(&mut self, key: &str) {
        self.mistake(key, "is missing");
    }

    /// A problem with a key that has no value and should have one, because the key `by` asks for it.
    pub(in super::super) fn missing_for(&mut self, by: &str, key: &str, severity: Severity, message: &str) {
        self.known.insert(key.to_owned());
        let origin = self.origin_of(by).or_else(|| self.origin.clone());
        self.problems.push(Problem::new(severity, self.full(key), message).at(origin));
    }

    /// A key in full and where it stands, for a message about another one.
    pub(in super::super) fn place(&self, key: &str) -> String {
        match self.origin_of(key) {
            Some(origin) => format!("{} ({origin})", self.full(key)),
            None => format!("{} (by default)", self.full(key)),
        }
    }

    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    pub(super) fn origin_of(&self, key: &str) -> Option<Origin> {
        self.entries.get(key).and_then(|entry| entry.origin.clone())
    }
}

/// A value as it may be shown: no secrets, and not too long.
pub(in super::super) fn shown(key: &str, value: &str) -> String {
    let key = key.to_ascii_lowercase();
    if SECRET.iter().any(|word| key.contains(word)) {
        return "(not shown)".to_owned();
    }
    let mut text: String = value.chars().take(SHOWN_CHARS).collect();
    if text.len() < value.len() {
        text.push_str("...");
    }
    text.replace(char::is_control, "?")
}

/// Parts of the names of keys whose values are not shown.
const SECRET: [&str; 4] = ["password", "passwd", "secret", "credential"];
/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 80;
