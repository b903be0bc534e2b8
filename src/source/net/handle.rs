//! What the outside may know about a listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::budget::Budget;
use crate::tell::tell;

/// Looks at the listener of a network source: its address (needed where the port is 0, so that the system chooses one)
/// and what happened there. It is taken from the source before the source is given away, and stays valid through
/// restarts.
///
/// ```
/// # use aqueduct::TcpLines;
/// let source = TcpLines::bind("127.0.0.1:0");
/// let listener = source.handle();
/// assert_eq!(listener.local_addr(), None); // not open yet
/// ```
#[derive(Clone, Debug, Default)]
pub struct ListenerHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct State {
    addresses: Vec<SocketAddr>,
    budget: Option<Arc<Budget>>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) insecure: AtomicU64,
    // Not those of other failed reads, which are told in no such way.
    #[cfg(feature = "rpc")]
    pub(super) nonsense: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) accept_errors: AtomicU64,
}

/// What happened at a listener since its source was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections that were accepted and served.
    pub accepted_connections: u64,
    /// Connections that were closed at once, because of a limit or because the system gave no thread.
    pub refused_connections: u64,
    /// Connections that were closed because their peer was silent, too slow, or did not read its answers.
    pub timed_out_connections: u64,
    /// Connections that ended before their TLS handshake did, whatever the reason: a peer without TLS, without a
    /// certificate that is trusted, or gone.
    pub failed_handshakes: u64,
    /// Connections that ended with a panic, such as one of an interceptor.
    pub panicked_connections: u64,
    /// Failures of the system to accept a connection, such as for lack of file descriptors.
    pub accept_errors: u64,
    /// Bytes set aside now for what is received and not committed.
    pub bytes_in_flight: u64,
    /// The most of it since the listener was opened.
    pub bytes_in_flight_peak: u64,
    /// The limit of it.
    pub bytes_in_flight_max: u64,
}

impl ListenerHandle {
    /// The address that the listener is bound to, the first one of several; `None` while it is not open.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.state.lock().addresses.first().copied()
    }

    /// The addresses that the listener is bound to, in the order in which the source was given them; none while it is not
    /// open.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.state.lock().addresses.clone()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> ListenerStats {
        let (used, peak, max) = self.shared.state.lock().budget.as_ref().map_or((0, 0, 0), |budget| budget.usage());
        let counts = &self.shared.counts;
        ListenerStats {
            accepted_connections: counts.accepted.load(Ordering::Relaxed),
            refused_connections: counts.refused.load(Ordering::Relaxed),
            timed_out_connections: counts.timed_out.load(Ordering::Relaxed),
            failed_handshakes: counts.insecure.load(Ordering::Relaxed),
            panicked_connections: counts.panicked.load(Ordering::Relaxed),
            accept_errors: counts.accept_errors.load(Ordering::Relaxed),
            bytes_in_flight: used as u64,
            bytes_in_flight_peak: peak as u64,
            bytes_in_flight_max: max as u64,
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Counts a connection that got no secure layer. A client with other settings comes again and again, so that not each
    /// time is told aloud.
    pub(super) fn count_insecure(&self, peer: SocketAddr, error: &io::Error) {
        let failures = self.shared.counts.insecure.fetch_add(1, Ordering::Relaxed) + 1;
        if failures.is_power_of_two() {
            tell!(WARN, "connection has no secure layer", peer = peer, error = error, failures = failures);
        } else {
            tell!(DEBUG, "connection has no secure layer", peer = peer, error = error, failures = failures);
        }
    }

    pub(super) fn opened(&self, addresses: Vec<SocketAddr>, budget: Arc<Budget>) {
        *self.shared.state.lock() = State { addresses, budget: Some(budget) };
    }

    pub(super) fn closed(&self) {
        self.shared.state.lock().addresses.clear();
    }
}

/// Counts one more of something.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
