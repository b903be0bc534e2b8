//! What the outside may know about a source of datagrams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::queue::Queue;

/// Looks at a source of datagrams: its address (needed where the port is 0, so that the system chooses one) and what
/// happened there. It is taken from the source before the source is given away, and stays valid through restarts.
///
/// ```
/// # use aqueduct::source::udp_lines::UdpLines;
/// let source = UdpLines::bind("127.0.0.1:0");
/// let handle = source.handle();
/// assert_eq!(handle.local_addr(), None); // not open yet
/// ```
#[derive(Clone, Debug, Default)]
pub struct DatagramHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    datagrams: AtomicU64,
    bytes: AtomicU64,
    empty: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    address: Option<SocketAddr>,
    receive_buffer: usize,
    queue: Option<Arc<Queue>>,
    // `None` as long as nobody could tell.
    kernel_drops: Option<u64>,
}

/// What happened at a source of datagrams since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramStats {
    /// Datagrams that were received.
    pub datagrams: u64,
    /// Their bytes, without the heads of the network.
    pub bytes: u64,
    /// Datagrams without a byte.
    pub empty_datagrams: u64,
    /// Datagrams that the kernel has dropped, because its buffer was full or their checksum was wrong, as far as it has
    /// been looked at, which happens every second while some arrive. `None` if `/proc/net` does not tell.
    pub kernel_drops: Option<u64>,
    /// The size of the kernel's buffer as the kernel counts it, its own overhead included.
    pub receive_buffer_bytes: u64,
    /// Bytes of events now that are received and not committed.
    pub bytes_in_flight: u64,
    /// The most of it since the source was opened.
    pub bytes_in_flight_peak: u64,
    /// The limit of it.
    pub bytes_in_flight_max: u64,
}

impl DatagramHandle {
    /// The address that the source is bound to; `None` while it is not open.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.shared.state.lock().address
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> DatagramStats {
        let state = self.shared.state.lock();
        let (used, peak, max) = state.queue.as_ref().map_or((0, 0, 0), |queue| queue.usage());
        DatagramStats {
            datagrams: self.shared.datagrams.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            empty_datagrams: self.shared.empty.load(Ordering::Relaxed),
            kernel_drops: state.kernel_drops,
            receive_buffer_bytes: state.receive_buffer as u64,
            bytes_in_flight: used as u64,
            bytes_in_flight_peak: peak as u64,
            bytes_in_flight_max: max as u64,
        }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.shared.datagrams.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if bytes == 0 {
            self.shared.empty.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many more were dropped by the kernel.
    pub(super) fn dropped(&self, datagrams: Option<u64>) {
        if let Some(datagrams) = datagrams {
            *self.shared.state.lock().kernel_drops.get_or_insert(0) += datagrams;
        }
    }

    pub(super) fn opened(&self, address: SocketAddr, receive_buffer: usize, queue: Arc<Queue>) {
        let mut state = self.shared.state.lock();
        state.address = Some(address);
        state.receive_buffer = receive_buffer;
        state.queue = Some(queue);
    }

    pub(super) fn closed(&self) {
        self.shared.state.lock().address = None;
    }
}
