//! Why events were not delivered.

use std::io;
use std::time::Duration;

/// Why a call failed, and so what is known of its events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
    /// The settings make no sense.
    #[error("{reason}")]
    Settings {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no connection. Nothing was sent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The host.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// The server did not take the events, such as because its channel is full. They can be sent again.
    #[error("{address} answered {status}: its channel did not take the events")]
    Failed {
        /// The host.
        address: String,
        /// `FAILED`, or whatever else is not `OK`.
        status: &'static str,
    },
    /// The server answered with an error of its own. It did not take the events.
    #[error("{address} answered with an error: {reason}")]
    Refused {
        /// The host.
        address: String,
        /// In the server's words.
        reason: String,
    },
    /// The connection broke, or there was no answer in time, after the request was sent, or in the middle of it. The
    /// events may have arrived: sending them again can deliver them twice.
    #[error("no answer from {address}: {source}; the events may have arrived")]
    Broken {
        /// The host.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// The answer makes no sense. The events may have arrived.
    #[error("{address} speaks another protocol: {reason}; the events may have arrived")]
    Protocol {
        /// The host.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// One of several requests in flight failed, for this reason, while others were under way: the events behind the delivered
    /// ones may have arrived all the same, but for those of the request that failed.
    #[error("{source}; other requests were in flight, and their events may have arrived")]
    InFlight {
        /// What happened to the request.
        source: Box<RpcError>,
    },
    /// No host took the events.
    #[error("none of {hosts} hosts took the events{}", last.as_ref().map(|last| format!("; the last: {last}")).unwrap_or_default())]
    NoHost {
        /// Number of hosts.
        hosts: usize,
        /// What happened with the last one that was tried, or with the last one that the events may have reached.
        #[source]
        last: Option<Box<RpcError>>,
    },
    /// All hosts failed in earlier calls, so recently that a client with [back-off](super::RpcClientBuilder::backoff) passes over
    /// them. Nothing was sent.
    #[error(
        "all {hosts} hosts failed lately and are passed over, the first of them for another {retry_in:.1?}; the last failure of an \
         earlier call: {reason}"
    )]
    PassedOver {
        /// Number of hosts.
        hosts: usize,
        /// Until one of them is tried again.
        retry_in: Duration,
        /// What happened with the last one that was tried.
        reason: String,
    },
}

impl RpcError {
    /// Whether the events may have arrived although the call failed, so that sending them again may deliver them twice.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Protocol { .. } | Self::InFlight { .. } => true,
            Self::NoHost { last, .. } => last.as_ref().is_some_and(|last| last.is_outcome_unknown()),
            _ => false,
        }
    }
}

/// Why a batch was not delivered as a whole.
#[derive(Debug, thiserror::Error)]
#[error("after {delivered} delivered events: {source}")]
pub struct BatchError {
    delivered: usize,
    source: RpcError,
}

/// What is kept of several failures of a call: a later one, unless it would hide that the events may have arrived.
pub(super) fn keep(last: &mut Option<RpcError>, error: RpcError) {
    if error.is_outcome_unknown() || !last.as_ref().is_some_and(RpcError::is_outcome_unknown) {
        *last = Some(error);
    }
}

impl BatchError {
    pub(super) fn new(delivered: usize, source: RpcError) -> Self {
        Self { delivered, source }
    }

    /// So many events, from the first on, were delivered for certain.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.delivered
    }

    /// What happened then.
    #[must_use]
    pub fn reason(&self) -> &RpcError {
        &self.source
    }

    /// What happened then.
    #[must_use]
    pub fn into_source(self) -> RpcError {
        self.source
    }
}
