//! Properties files as a whole: one or several, and the agents in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use super::options::Options;
use super::plan::Plan;
use super::problem::{ConfigError, OpenError, Origin, Problem, Severity};
use super::{properties, read};
use crate::agent::Agent;
use crate::limits::PROPERTIES_BYTES_MAX;
use crate::vfs::{OpenMode, OsVfs, Vfs};

/// The properties of one or more files: agents as Flume describes them.
///
/// ```
/// use aqueduct::config::Properties;
///
/// let agent = Properties::parse("demo.properties", b"
///     a1.sources = s1
///     a1.channels = c1
///     a1.sinks = k1
///
///     a1.sources.s1.type = seq
///     a1.sources.s1.totalEvents = 1000
///     a1.sources.s1.channels = c1
///
///     a1.channels.c1.type = memory
///
///     a1.sinks.k1.type = null
///     a1.sinks.k1.channel = c1
/// ")?.agent("a1")?;
/// let report = agent.run_to_completion(aqueduct::Wait::FOREVER)?;
/// assert!(report.is_drained());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Files are read as Java reads them: in ISO-8859-1, so that characters beyond it are written as `\uXXXX`; of two equal keys
/// the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    entries: BTreeMap<String, Raw>,
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

/// A value as it is written.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl fmt::Debug for Raw {
    /// Not the value, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Properties {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no properties file, or is over a limit.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let bytes = content(path, PROPERTIES_BYTES_MAX).map_err(|error| {
            ConfigError::of(Problem::new(Severity::Fatal, "", format!("cannot read {}: {error}", path.display())))
        })?;
        let mut properties = Self::parse(&path.display().to_string(), &bytes)?;
        properties.files.push(path.to_path_buf());
        Ok(properties)
    }

    /// Reads the bytes of a file; `name` stands for it in messages.
    ///
    /// # Errors
    /// If it is no properties file, or is over a limit.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let file: Arc<str> = name.into();
        let found = properties::parse(bytes).map_err(|error| {
            let problem = Problem::new(Severity::Fatal, "", error.reason);
            ConfigError::of(problem.at(Some(Origin::line(file.clone(), error.line))))
        })?;
        let mut properties = Self::default();
        for property in found {
            let origin = Origin::line(file.clone(), property.line);
            let key = trim(&property.key).to_owned();
            // Only the first key can have it.
            if let Some(key) = key.strip_prefix(BYTE_ORDER_MARK) {
                properties.problems.push(marked(key).at(Some(origin)));
                continue;
            }
            if property.is_garbled {
                properties.problems.push(Problem::new(Severity::Warning, &key, GARBLED).at(Some(origin.clone())));
            }
            let raw = Raw { value: trim(&property.value).to_owned(), origin: origin.clone() };
            if let Some(earlier) = properties.entries.insert(key.clone(), raw) {
                let message = format!("is given again here; {} has no effect", earlier.origin);
                properties.problems.push(Problem::new(Severity::Warning, key, message).at(Some(origin)));
            }
        }
        Ok(properties)
    }

    /// These properties and those of another file, which count where both have a key: as Flume merges several files.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        self.entries.extend(later.entries);
        self.problems.extend(later.problems);
        self.files.extend(later.files);
        self
    }

    /// The names of the agents that have sources, channels or sinks.
    #[must_use]
    pub fn agents(&self) -> BTreeSet<&str> {
        let kinds = ["sources", "channels", "sinks"];
        self.entries
            .keys()
            .filter_map(|key| key.split_once('.').filter(|(_, list)| kinds.contains(list)))
            .map(|(agent, _)| agent)
            .collect()
    }

    /// The value of a key as it is written.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|raw| raw.value.as_str())
    }

    /// The files that were read.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Makes the agent of a name, with the standard components, and opens its channels. Warnings are not shown: see
    /// [`plan`](Self::plan).
    ///
    /// # Errors
    /// All mistakes in the description of this agent, or why a channel cannot be opened.
    pub fn agent(&self, name: &str) -> Result<Agent, OpenError> {
        self.plan(name, &Options::new())?.open()
    }

    /// Checks the agent of a name and everything that it consists of. Nothing is opened.
    ///
    /// # Errors
    /// All mistakes in the description of this agent.
    pub fn plan(&self, name: &str, options: &Options) -> Result<Plan, ConfigError> {
        read::plan(self, name, options)
    }

    pub(super) fn entries(&self) -> &BTreeMap<String, Raw> {
        &self.entries
    }

    /// The problems of keys of an agent, and of those that belong to none.
    pub(super) fn problems_of<'a>(&'a self, agent: &'a str) -> impl Iterator<Item = &'a Problem> {
        self.problems.iter().filter(move |problem| problem.key.split_once('.').is_none_or(|(name, _)| name == agent))
    }
}

/// What is wrong where a byte order mark stands before a key, or what would be a comment or a blank line without it.
fn marked(key: &str) -> Problem {
    if key.is_empty() || key.starts_with(['#', '!']) {
        let message =
            "the file begins with a byte order mark, which Flume takes for a part of a key; save it without one";
        return Problem::new(Severity::Warning, "", message);
    }
    let message = "has a byte order mark before it, which Flume takes for a part of the key, so that it is not read; save the \
         file without one";
    Problem::new(Severity::Ignored, key, message)
}

/// As Java's `trim`: everything up to the blank goes.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// The content of a file, which may be a link, up to a limit.
pub(super) fn content(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    // The directories of mounted configurations are full of links.
    let file = OsVfs::new().open(&path.canonicalize()?, OpenMode::Read)?;
    let len = file.metadata()?.len;
    let len = usize::try_from(len).ok().filter(|len| *len <= bytes_max).ok_or_else(|| {
        io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {len} bytes, more than {bytes_max}"))
    })?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// In UTF-8, of which each byte counts as a character of its own.
const BYTE_ORDER_MARK: &str = "\u{ef}\u{bb}\u{bf}";
const GARBLED: &str = "has characters in UTF-8, of which each byte counts as a character of its own, as in Flume; \
     write them as \\uXXXX";
