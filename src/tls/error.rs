//! What can be wrong with the settings of TLS.

use std::{fmt, io};

/// Why a [`TlsServer`](super::TlsServer) or [`TlsClient`](super::TlsClient) could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {place}: {source}")]
    Read {
        /// The file, and what it is for.
        place: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A store does not hold what it is needed for, or is not a store, or the password is wrong.
    #[error("{place}: {reason}")]
    Store {
        /// The file, and what it is for.
        place: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The settings contradict each other, or leave nothing.
    #[error("{reason}")]
    Settings {
        /// The one that is wrong, by its method of [`Protocols`](super::Protocols), such as `exclude_protocols`; `None` if it is
        /// none of these.
        setting: Option<&'static str>,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl TlsError {
    pub(super) fn store(place: &str, reason: impl fmt::Display) -> Self {
        Self::Store { place: place.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn settings(reason: impl fmt::Display) -> Self {
        Self::Settings { setting: None, reason: reason.to_string() }
    }

    pub(super) fn protocols(setting: &'static str, reason: impl fmt::Display) -> Self {
        Self::Settings { setting: Some(setting), reason: reason.to_string() }
    }
}
