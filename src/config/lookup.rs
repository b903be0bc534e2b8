//! References in values: `${env:NAME}`, `${key:-default}` and the like, as Flume resolves them with commons-text.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::file::{Raw, content, trim};
use super::options::Options;
use super::problem::Severity;
use super::properties;
use crate::clock::{Clock, SystemClock};
use crate::codec::java_date::JavaDate;
use crate::limits::{
    NESTED_REFERENCES_MAX, PROPERTIES_BYTES_MAX, REFERENCES_BYTES_MAX, REFERENCES_DEPTH_MAX, REFERENCES_MAX,
    VALUE_BYTES_MAX,
};

/// Resolves the references of values.
pub(super) struct Resolver<'a> {
    entries: &'a BTreeMap<String, Raw>,
    options: &'a Options,
    // Bytes with which further references bring in too many: a short file can refer to a long value as often as it likes.
    left: Cell<usize>,
}

/// What became of a value.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) value: String,
    /// What could not be resolved, with what Flume makes of it.
    pub(super) problems: Vec<(Severity, String)>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(entries: &'a BTreeMap<String, Raw>, options: &'a Options) -> Self {
        Self { entries, options, left: Cell::new(REFERENCES_BYTES_MAX + 1) }
    }

    /// Whether no more references are resolved, because of what those so far have brought in.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    /// The value of a property with its references resolved.
    pub(super) fn resolve(&self, raw: &Raw) -> Resolved {
        let mut work =
            Work { resolver: self, foreign: None, brought_in: 0, within: Vec::new(), count: 0, problems: Vec::new() };
        // Flume trims values after that, too.
        let value = trim(&work.replace(&raw.value)).to_owned();
        Resolved { value, problems: work.problems }
    }

    /// The value that a name stands for. Messages show what was written, `said`: the name may have come out of other
    /// references, and so be secret.
    fn lookup(&self, name: &str, said: &str) -> Found {
        let Some((kind, rest)) = name.split_once(':') else { return self.property(name) };
        let said = said.strip_prefix(kind).and_then(|said| said.strip_prefix(':')).unwrap_or(said);
        match kind.to_ascii_lowercase().as_str() {
            "env" => self.options.environment(rest).map_or_else(
                || {
                    Found::Missing(format!(
                        "there is no {said} in the environment, so the text stays as it is; {DEFAULT}"
                    ))
                },
                Found::Foreign,
            ),
            "sys" => self.system(rest).map_or_else(
                || Found::Missing(format!("there is no system property {said}, so the text stays as it is; {DEFAULT}")),
                Found::Foreign,
            ),
            "base64decoder" => match base64_decode(rest) {
                Some(text) => Found::Foreign(text),
                None => Found::Broken(format!("{said} is not text in Base64")),
            },
            "base64encoder" => Found::Foreign(base64_encode(rest.as_bytes())),
            "date" => date(rest, said),
            "java" => Found::Broken(format!("${{java:{said}}} tells of a Java machine, and there is none here")),
            "file" => file(rest, said),
            "properties" => property_of_file(rest, said),
            // The kind is one of a few words.
            other if UNSUPPORTED.contains(&other) => {
                Found::Broken(format!("references of the kind {kind}: are not supported"))
            }
            _ => self.property(name),
        }
    }

    fn property(&self, name: &str) -> Found {
        match self.entries.get(name) {
            Some(raw) => Found::Value(raw.value.clone()),
            None if self.is_env_allowed() && self.options.environment(name).is_some() => {
                Found::Foreign(self.options.environment(name).unwrap_or_default())
            }
            None => Found::Unknown,
        }
    }

    /// Whether the name begins as keys of the file do.
    fn is_of_agent(&self, name: &str) -> bool {
        let Some((agent, _)) = name.split_once('.') else { return false };
        let first = format!("{agent}.");
        self.entries.range(first.clone()..).next().is_some_and(|(key, _)| key.starts_with(&first))
    }

    /// Flume before 1.10 resolved names from the environment if it was asked to by this property, which still works.
    fn is_env_allowed(&self) -> bool {
        self.options.property("propertiesImplementation") == Some("org.apache.flume.node.EnvVarResolverProperties")
    }

    /// A system property: one that was given, or what Java knows by itself and has a meaning here.
    fn system(&self, name: &str) -> Option<String> {
        // First, as the default directories go by it, too.
        if name == "user.home" {
            return Some(self.options.home().display().to_string());
        }
        if let Some(value) = self.options.property(name) {
            return Some(value.to_owned());
        }
        match name {
            "user.dir" => std::env::current_dir().ok().map(|dir| dir.display().to_string()),
            "user.name" => self.options.environment("USER"),
            "java.io.tmpdir" => Some("/tmp".to_owned()),
            "file.separator" => Some("/".to_owned()),
            "path.separator" => Some(":".to_owned()),
            "line.separator" => Some("\n".to_owned()),
            "os.name" => Some("Linux".to_owned()).filter(|_| cfg!(target_os = "linux")),
            "os.arch" => {
                Some(if std::env::consts::ARCH == "x86_64" { "amd64" } else { std::env::consts::ARCH }.to_owned())
            }
            // The kernel's, as Java has it.
            "os.version" => rustix::system::uname().release().to_str().ok().map(str::to_owned),
            _ => None,
        }
    }
}

/// The keys that values refer to: some stand for nothing but that.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    keys: BTreeSet<String>,
    /// How names begin and end that have another reference in them.
    ends: BTreeSet<(String, String)>,
}

impl Mentions {
    /// Those in all values, whichever agent they belong to.
    pub(super) fn in_values(entries: &BTreeMap<String, Raw>) -> Self {
        let mut mentions = Self::default();
        for raw in entries.values() {
            let mut references = raw.value.split("${").skip(1).peekable();
            while let Some(reference) = references.next() {
                let end = reference.find('}').into_iter().chain(reference.find(":-")).min();
                if let Some(name) = end.and_then(|end| reference.get(..end)) {
                    mentions.keys.insert(name.to_owned());
                } else if let Some(inner) = references.peek()
                    && !reference.is_empty()
                    && mentions.ends.len() < NESTED_REFERENCES_MAX
                {
                    mentions.ends.insert((reference.to_owned(), behind(inner).to_owned()));
                }
            }
        }
        mentions
    }

    /// Whether a reference has this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether a reference has it, depending on what another one within its name stands for.
    pub(super) fn may_have(&self, key: &str) -> bool {
        let is_it = |(begin, end): &(String, String)| {
            key.len() > begin.len() + end.len() && key.starts_with(begin) && key.ends_with(end)
        };
        self.ends.iter().any(is_it)
    }
}

/// What follows a reference within the name of another one, as far as that can be seen without resolving it.
fn behind(inner: &str) -> &str {
    let rest = inner.split_once('}').map_or("", |(_, rest)| rest);
    match rest.find('}').into_iter().chain(rest.find(":-")).min() {
        Some(end) => rest.get(..end).unwrap_or_default(),
        // There is another one.
        None => "",
    }
}

enum Found {
    /// The value of another key.
    Value(String),
    /// A value that stands elsewhere and is not shown.
    Foreign(String),
    /// There is no such value; a default may stand for it.
    Missing(String),
    /// Nothing is known by such a name: it may not be meant as a reference.
    Unknown,
    /// It cannot be resolved, whatever the default.
    Broken(String),
}

struct Work<'a> {
    resolver: &'a Resolver<'a>,
    // The reference whose value, which is not shown, is being resolved.
    foreign: Option<String>,
    // How many values were not to be shown so far.
    brought_in: usize,
    // The references that are being resolved, outermost first.
    within: Vec<String>,
    // How many there were so far: each may bring in others.
    count: usize,
    problems: Vec<(Severity, String)>,
}

impl Work<'_> {
    fn replace(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                // An escaped reference loses its escape and is left alone.
                out.push_str(before);
                out.push_str("${");
                rest = reference.get(2..).unwrap_or_default();
                continue;
            }
            out.push_str(before);
            let Some(end) = end_of(reference) else {
                out.push_str(reference);
                return out;
            };
            let (whole, behind) = reference.split_at(end);
            let name = whole.get(2..end - 1).unwrap_or_default();
            match self.reference(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(whole),
            }
            rest = behind;
            if out.len() > VALUE_BYTES_MAX {
                let why = format!("with its references resolved the value has more than {VALUE_BYTES_MAX} bytes");
                self.problems.push((Severity::Fatal, why));
                return out;
            }
        }
        out.push_str(rest);
        out
    }

    /// The value of what stands between the braces, with its own references resolved.
    fn reference(&mut self, written: &str) -> Option<String> {
        // Those that contain themselves count, too: each tells.
        self.count += 1;
        if self.count > REFERENCES_MAX {
            if self.count == REFERENCES_MAX + 1 {
                let why = format!("resolving the references takes more than {REFERENCES_MAX} others");
                self.problems.push((Severity::Fatal, why));
            }
            return None;
        }
        if self.resolver.is_exhausted() {
            return None;
        }
        if self.within.len() == REFERENCES_DEPTH_MAX || self.within.iter().any(|outer| outer == written) {
            let chain = self.within.iter().map(String::as_str).chain([written]).collect::<Vec<_>>().join(" -> ");
            self.tell(Severity::Fatal, format!("the reference contains itself: {chain}"));
            return None;
        }
        self.within.push(written.to_owned());
        let brought_in = self.brought_in;
        let inner = self.replace(written);
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inner.as_str(), None),
        };
        let said = if inner == written { name } else { written };
        let mut is_foreign = false;
        let value = match (self.resolver.lookup(name, said), default) {
            (Found::Value(value), _) => Some(value),
            (Found::Foreign(value), _) => {
                is_foreign = true;
                self.brought_in += 1;
                Some(value)
            }
            (Found::Missing(_) | Found::Unknown, Some(default)) => {
                // With what its own references stand for, which is resolved once more.
                is_foreign = self.brought_in > brought_in;
                Some(default)
            }
            (Found::Missing(why), None) => {
                self.tell(Severity::Ignored, why);
                None
            }
            (Found::Unknown, None) => {
                // Filters have their turn later.
                if !name.contains('[') {
                    let why = format!("nothing is called {said}, so the text ${{{said}}} stays as it is");
                    // Behind the name of an agent it is meant for a key; elsewhere it may be meant as text.
                    let severity = if self.resolver.is_of_agent(name) { Severity::Ignored } else { Severity::Warning };
                    self.tell(severity, why);
                }
                None
            }
            (Found::Broken(why), _) => {
                self.tell(Severity::Dropped, why);
                None
            }
        };
        let outer = self.foreign.clone();
        if is_foreign && outer.is_none() {
            self.foreign = Some(written.to_owned());
        }
        let value = value.map(|value| self.replace(&value));
        self.foreign = outer;
        self.within.pop();
        self.charge(written.len() + value.as_ref().map_or(0, String::len));
        value
    }

    /// Counts what a reference has cost. The one that is too much tells, once.
    fn charge(&mut self, bytes: usize) {
        let left = self.resolver.left.get();
        self.resolver.left.set(left.saturating_sub(bytes));
        if left > 0 && self.resolver.is_exhausted() {
            let why = format!("with this value all references bring in more than {REFERENCES_BYTES_MAX} bytes");
            self.problems.push((Severity::Fatal, why));
        }
    }

    /// A problem, in words that show nothing of a value that stands elsewhere.
    fn tell(&mut self, severity: Severity, why: String) {
        let why = match &self.foreign {
            None => why,
            Some(written) => format!("what ${{{written}}} stands for has a reference that cannot be resolved"),
        };
        // A name may be long, and be in the message of each reference within what it stands for.
        self.charge(why.len());
        self.problems.push((severity, why));
    }
}

/// The length of a reference that begins here, up to its closing brace, with the references in it.
fn end_of(reference: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = reference.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("${") {
            depth += 1;
            at += 2;
        } else if rest.starts_with('}') {
            depth -= 1;
            at += 1;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The time of the reading in a pattern of Java's.
fn date(pattern: &str, said: &str) -> Found {
    if pattern.is_empty() {
        return Found::Foreign(String::new());
    }
    match JavaDate::new(pattern) {
        Ok(form) => {
            let now = Timestamp::try_from(SystemClock::new().wall()).unwrap_or(Timestamp::UNIX_EPOCH);
            Found::Foreign(form.format(now, &TimeZone::system()))
        }
        Err(why) => Found::Broken(format!("{said} is no pattern for a date: {why}")),
    }
}

/// `<charset>:<path>`: the content of a file.
fn file(rest: &str, said: &str) -> Found {
    let Some((charset, path)) = rest.split_once(':') else {
        return Found::Broken("a reference to a file is written as ${file:UTF-8:/path}".to_owned());
    };
    if !charset.eq_ignore_ascii_case("UTF-8") && !charset.eq_ignore_ascii_case("US-ASCII") {
        return Found::Broken(format!("files are read as UTF-8 or US-ASCII, not as {}", part(said, ":").0));
    }
    let said = part(said, ":").1;
    let text = content(Path::new(path), VALUE_BYTES_MAX).map_err(|error| format!("cannot read {said}: {error}"));
    let text = text.and_then(|text| String::from_utf8(text).map_err(|_| format!("{said} is not UTF-8")));
    text.map_or_else(Found::Broken, Found::Foreign)
}

/// `<path>::<key>`: a property of another file.
fn property_of_file(rest: &str, said: &str) -> Found {
    let Some((path, key)) = rest.split_once("::") else {
        return Found::Broken("a reference to a property of a file is written as ${properties:/path::key}".to_owned());
    };
    let (said_path, said_key) = part(said, "::");
    let bytes = match content(Path::new(path), PROPERTIES_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return Found::Broken(format!("cannot read {said_path}: {error}")),
    };
    match properties::parse(&bytes) {
        Err(error) => Found::Broken(format!("{said_path}:{}: {}", error.line, error.reason)),
        Ok(found) => match found.into_iter().rev().find(|property| property.key == key) {
            Some(property) => Found::Foreign(property.value),
            None => Found::Missing(format!("{said_path} has no {said_key}, so the text stays as it is; {DEFAULT}")),
        },
    }
}

/// Both parts of what was written; the whole twice, if only what it stands for has two.
fn part<'a>(said: &'a str, between: &str) -> (&'a str, &'a str) {
    if said.contains("${") { (said, said) } else { said.split_once(between).unwrap_or((said, said)) }
}

pub(super) fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or_default());
        }
        for at in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * at) & 63).unwrap_or_default();
            let digit = BASE64.get(digit).copied().filter(|_| at <= group.len());
            out.push(char::from(digit.unwrap_or(b'=')));
        }
    }
    out
}

pub(super) fn base64_decode(text: &str) -> Option<String> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::try_from(BASE64.iter().position(|known| known == digit)?).ok()?;
        }
        bits <<= 6 * (4 - group.len());
        // The last group may have fewer digits, but not one: that is less than a byte.
        let count = group.len().checked_sub(1).filter(|count| *count > 0)?;
        bytes.extend([16, 8, 0].into_iter().take(count).filter_map(|shift| u8::try_from(bits >> shift & 0xFF).ok()));
    }
    String::from_utf8(bytes).ok()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Kinds that commons-text has besides.
const UNSUPPORTED: [&str; 9] =
    ["const", "localhost", "resourcebundle", "urldecoder", "urlencoder", "xml", "script", "dns", "url"];
const DEFAULT: &str = "${name:-text} gives a default";

#[cfg(test)]
mod tests;
