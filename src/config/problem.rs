//! What is wrong in a configuration, and where.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::error::StorageError;

/// Where a property stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    file: Arc<str>,
    // 0: not from a file.
    line: usize,
}

impl Origin {
    /// A line of a file, counted from 1.
    #[must_use]
    pub fn line(file: impl Into<Arc<str>>, line: usize) -> Self {
        Self { file: file.into(), line }
    }

    /// Not a file, such as `command line`.
    #[must_use]
    pub fn outside(what: impl Into<Arc<str>>) -> Self {
        Self { file: what.into(), line: 0 }
    }

    /// What to sort by.
    pub(super) fn order(&self) -> (usize, String) {
        (self.line, self.file.to_string())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// What Flume makes of a problem, and so whether it is an error here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is the worse for it. Never an error.
    Warning,
    /// The component runs, but not as it was written: a key or value is passed over. An error, unless lenient.
    Ignored,
    /// The component does not run, the others do. An error, unless lenient.
    Dropped,
    /// The agent does not run. Always an error.
    Fatal,
}

/// One thing that is wrong in a configuration.
///
/// It is shown as `<file>:<line>: <key> = <value>: <message>`, with as much of it as there is.
///
/// ```
/// use aqueduct::config::{Options, Problem, Properties};
///
/// fn first_mistake(text: &str) -> Result<(), Problem> {
///     let plan = Properties::parse("flume.properties", text.as_bytes()).and_then(|all| all.plan("a1", &Options::new()));
///     plan.map(drop).map_err(|error| error.problems()[0].clone())
/// }
///
/// let error: Box<dyn std::error::Error> = first_mistake("a1.sources = r1\na1.channels = c1\na1.channels.c1.type = memry")
///     .unwrap_err()
///     .into();
/// assert!(error.to_string().starts_with("flume.properties:"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands; for something that is missing, where its component is named.
    pub origin: Option<Origin>,
    /// The key in full, such as `a1.sources.r1.port`.
    pub key: String,
    /// The value as it is written; not that of a password, nor what stands for a reference.
    pub value: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with a key, wherever it stands.
    #[must_use]
    pub fn new(severity: Severity, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity, origin: None, key: key.into(), value: None, message: message.into() }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, origin: Option<Origin>) -> Self {
        self.origin = origin;
        self
    }

    /// The same, with the value of the key as it may be shown.
    #[must_use]
    pub fn with_value(mut self, value: Option<String>) -> Self {
        self.value = value;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if !self.key.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that keeps an agent from being built, one mistake a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    what: String,
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(what: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self { what: what.into(), problems }
    }

    /// A single mistake that says by itself what it is about.
    pub(super) fn of(problem: Problem) -> Self {
        Self { what: String::new(), problems: vec![problem] }
    }

    /// The mistakes, at least one, in the order of the file as far as it is known.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [problem] if self.what.is_empty() => problem.fmt(f),
            [problem] => write!(f, "{}: {problem}", self.what),
            problems => {
                write!(f, "{}: {} mistakes", self.what, problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl Error for Problem {}

impl Error for ConfigError {}

/// Why an agent cannot be opened whose configuration was found to be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A channel cannot be opened: its files are in use, damaged, or not to be read or written. Nothing is wrong with the
    /// configuration, and trying again may help.
    #[error("{key}: {source}")]
    Channel {
        /// The key of the channel, such as `a1.channels.c1`.
        key: String,
        /// What is in the way.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A channel with which the agent does not go on cannot be closed in good order.
    #[error("agent {agent}: {source}")]
    Close {
        /// The agent.
        agent: String,
        /// Why not.
        source: StorageError,
    },
    /// There is a mistake in the configuration after all.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A component could not be made; why is among the problems of its [`Keys`](super::Keys), which alone make this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    _private: (),
}

impl Refused {
    pub(super) fn new() -> Self {
        Self { _private: () }
    }
}
