//! Config filters: values that come from elsewhere, `${filter['key']}`.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::components::known_charset;
use super::keys::{Keys, shown};
use super::options::Options;
use super::problem::{Problem, Severity};
use super::section::{Kind, Section, Sections};
use crate::clock::{Clock, SystemClock};
use crate::codec::charset::{Charset, DecodeError};
use crate::limits::{FILTER_END_POLL, FILTER_OUTPUT_BYTES_MAX, FILTER_WAIT};

/// Resolves the references to filters in the values of all other components.
pub(super) fn apply(agent: &str, sections: &mut Sections, options: &Options, problems: &mut Vec<Problem>) {
    let mut filters = Vec::new();
    for section in sections.take(Kind::ConfigFilter) {
        filters.extend(filter(agent, section, problems));
    }
    if filters.is_empty() {
        return;
    }
    for (kind, name, key, entry) in sections.entries_mut() {
        for filter in &filters {
            let mut failures = Vec::new();
            entry.value = filter.replace(&entry.value, options, &mut failures);
            for failure in failures {
                let message = format!("{failure}, so the text stays as it is");
                let full = format!("{agent}.{}.{name}.{key}", kind.word());
                let problem = Problem::new(Severity::Ignored, full, message).at(entry.origin.clone());
                problems.push(problem.with_value(Some(shown(key, &entry.written))));
            }
        }
    }
}

struct Filter {
    name: String,
    source: Source,
}

enum Source {
    Environment,
    /// Program and arguments, of which the key is the last one, and the encoding of what it prints.
    External(Vec<String>, Charset),
}

fn filter(agent: &str, section: Section, problems: &mut Vec<Problem>) -> Option<Filter> {
    let name = section.name.clone();
    let prefix = format!("{agent}.{}.{name}.", Kind::ConfigFilter.word());
    let mut keys = Keys::new(prefix, section.origin, section.entries);
    let kind = keys.required("type").to_ascii_lowercase();
    let source = match kind.as_str() {
        "env" | "org.apache.flume.configfilter.environmentvariableconfigfilter" => Some(Source::Environment),
        "external" | "org.apache.flume.configfilter.externalprocessconfigfilter" => Some(external(&mut keys)),
        "hadoop" | "org.apache.flume.configfilter.hadoopcredentialstoreconfigfilter" => {
            keys.unsupported(
                &["credential.", "credstore."],
                "Hadoop's credential stores are not read; use a filter of type external",
            );
            keys.mistake("type", "Hadoop's credential stores are not read; use a filter of type env or external");
            None
        }
        _ => {
            keys.mistake("type", "there is no such type of config filter; there are env and external");
            None
        }
    };
    let is_good = keys.is_good();
    problems.extend(keys.finish(&kind));
    source.filter(|_| is_good).map(|source| Filter { name, source })
}

fn external(keys: &mut Keys) -> Source {
    let command = keys.required_list("command");
    let charset = keys.parsed("charset", known_charset);
    Source::External(command, charset.unwrap_or(Charset::UTF_8))
}

impl Filter {
    /// A value with what the filter gives for the references to it.
    fn replace(&self, value: &str, options: &Options, failures: &mut Vec<String>) -> String {
        let begin = format!("${{{}[", self.name);
        let mut out = String::new();
        let mut rest = value;
        while let Some(at) = rest.find(&begin) {
            let (before, reference) = rest.split_at(at);
            out.push_str(before);
            let behind = reference.get(begin.len()..).unwrap_or_default();
            let Some((key, len)) = key_of(behind) else {
                out.push_str(&begin);
                rest = behind;
                continue;
            };
            let whole = begin.len() + len;
            match self.value(key, options) {
                Ok(value) => out.push_str(&value),
                Err(message) => {
                    failures.push(message);
                    out.push_str(reference.get(..whole).unwrap_or_default());
                }
            }
            rest = reference.get(whole..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    fn value(&self, key: &str, options: &Options) -> Result<String, String> {
        match &self.source {
            Source::Environment => {
                let value = options.environment(key);
                value.ok_or_else(|| format!("config filter {}: there is no {key} in the environment", self.name))
            }
            Source::External(command, charset) => run(command, *charset, key, FILTER_WAIT)
                // The program alone: its arguments may be secrets, resolved from elsewhere.
                .map_err(|error| {
                    format!("config filter {}: {}: {error}", self.name, command.first().map_or("", String::as_str))
                }),
        }
    }
}

/// The key of a reference and the length up to its end: `'key']}`, `"key"]}` or `key]}`.
fn key_of(text: &str) -> Option<(&str, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"')).map(|c| if c == '"' { "\"" } else { "'" });
    let quote = quote.unwrap_or_default();
    let rest = text.strip_prefix(quote)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    let (key, behind) = rest.split_at(end);
    let is_closed = behind.strip_prefix(quote).is_some_and(|behind| behind.starts_with("]}"));
    (is_closed && !key.is_empty()).then(|| (key, quote.len() * 2 + key.len() + 2))
}

/// The first line that a program prints when it is given a key.
fn run(command: &[String], charset: Charset, key: &str, wait: Duration) -> Result<String, String> {
    let Some((program, arguments)) = command.split_first() else { return Err("there is no program".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .arg(key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let clock = SystemClock::new();
    let left = || wait.saturating_sub(clock.monotonic());
    let ended = output_of(&mut child, left()).and_then(|output| Ok((output, end_of(&mut child, left)?)));
    let ended = ended.map_err(|why| why.unwrap_or_else(|| format!("did not end within {} s", wait.as_secs())));
    if ended.is_err() {
        // It may run on for ever. A child that is killed is quickly gone.
        let _ = child.kill();
        let _ = child.wait();
    }
    let (output, status) = ended?;
    if !status.success() {
        return Err(format!("failed with {status} for the key {key}"));
    }
    let (charset, mark) = charset.of_text(&output);
    let output = charset.decode(Bytes::from(output).split_off(mark), DecodeError::Fail);
    let output = output.map_err(|error| format!("printed no {} for the key {key}", error.charset))?;
    // Blanks around a value belong to it, as to a password.
    match String::from_utf8_lossy(&output).split(is_line_end).next() {
        Some(line) if !line.trim().is_empty() => Ok(line.to_owned()),
        _ => Err(format!("printed nothing for the key {key}")),
    }
}

/// Whether a line ends here, as Java's `Scanner` has it.
fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Why a program has no end; nothing if it is too late.
type NoEnd = Option<String>;

/// All that a program prints, if it ends in time.
fn output_of(child: &mut Child, wait: Duration) -> Result<Vec<u8>, NoEnd> {
    let Some(stdout) = child.stdout.take() else { return Err(Some("has no output".to_owned())) };
    let (done, end) = mpsc::channel();
    let read = move || {
        let mut output = Vec::new();
        let max = FILTER_OUTPUT_BYTES_MAX as u64;
        let result: io::Result<usize> = stdout.take(max).read_to_end(&mut output);
        // Nobody waits any more if it took too long.
        let _ = done.send(result.map(|_| output));
    };
    let thread = thread::Builder::new().name("aqueduct-filter".to_owned()).spawn(read);
    thread.map_err(|error| Some(format!("no thread: {error}")))?;
    match end.recv_timeout(wait) {
        Ok(output) => output.map_err(|error| Some(error.to_string())),
        Err(_) => Err(None),
    }
}

/// How a program ends that prints no more, which need not be its end.
fn end_of(child: &mut Child, left: impl Fn() -> Duration) -> Result<ExitStatus, NoEnd> {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| Some(error.to_string()))? {
            return Ok(status);
        }
        if left().is_zero() {
            return Err(None);
        }
        thread::sleep(FILTER_END_POLL.min(left()));
    }
}

#[cfg(test)]
mod tests;
