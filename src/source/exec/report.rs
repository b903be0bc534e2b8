//! What the source tells of its command.

use std::fmt;
use std::process::ExitStatus;

/// Something about the command that its events do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecReport {
    /// A line of its standard error; invalid parts appear as U+FFFD.
    Error(String),
    /// It has ended, by itself or because the source ended it; without a status if it could not be waited for.
    Ended(Option<ExitStatus>),
    /// It could not be started, and is tried again.
    NotStarted(String),
}

impl fmt::Display for ExecReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(line) => write!(f, "standard error: {line}"),
            Self::Ended(Some(status)) => write!(f, "the command ended: {status}"),
            Self::Ended(None) => f.write_str("the command was ended, but nobody knows how"),
            Self::NotStarted(reason) => f.write_str(reason),
        }
    }
}
