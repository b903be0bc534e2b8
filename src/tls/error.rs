//! What can be wrong with the settings of TLS.

use std::{fmt, io};

use rustls::{CertificateError, Error};

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

/// What is wrong with a key and a certificate of our own.
pub(super) fn own(error: &Error) -> String {
    let reason = match error {
        Error::InvalidCertificate(problem) => format!("its certificate: {}", words(problem)),
        // What the library says of a key that it does not take does not tell the most likely reason.
        Error::General(text) => format!("{text}; a key of RSA needs 2048 to 4096 bits"),
        other => other.to_string(),
    };
    format!("key and certificate cannot be used: {reason}")
}

/// The error of a connection, in words if it is about the certificate of the peer.
pub(crate) fn of_connection(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(Error::InvalidCertificate(problem)) => {
            let text = format!("invalid peer certificate: {}", words(problem));
            io::Error::new(error.kind(), text)
        }
        _ => error,
    }
}

/// The same words for the same problem: whoever tries again tells it once, so the time of the check is none of them.
fn words(problem: &CertificateError) -> String {
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it has expired: it is not valid after {} (UNIX)", not_after.as_secs())
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {} (UNIX)", not_before.as_secs())
        }
        CertificateError::BadSignature => {
            "BadSignature: a signature is wrong, or made with a key of RSA of less than 2048 bits, which is not \
             supported"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
            "it is of X.509 version 1 or 2, which is not supported; make one of version 3".to_owned()
        }
        CertificateError::Other(other) => other.to_string(),
        other => other.to_string(),
    }
}
