//! The bytes that one connection holds.

use parking_lot::Mutex;

use crate::limits::HTTP_CONNECTION_BYTES;
use crate::source::net::Share;

/// What one connection holds of a request: [`HTTP_CONNECTION_BYTES`] that it has anyway, and a share of what the source
/// may hold. What finds no room is refused, and the client is told to come again.
#[derive(Debug)]
pub(super) struct Hold {
    share: Mutex<Share>,
}

impl Hold {
    pub(super) fn new(share: Share) -> Self {
        Self { share: Mutex::new(share) }
    }

    /// Whether so many bytes may be held; nobody is blocked.
    pub(super) fn grow_to(&self, bytes: usize) -> bool {
        let beyond = bytes.saturating_sub(HTTP_CONNECTION_BYTES);
        self.share.lock().grow_with_reserve_to(beyond)
    }

    /// Bytes that a request can hold when there is no other, at most.
    pub(super) fn max(&self) -> usize {
        let (_, max) = self.share.lock().request_max();
        max.saturating_add(HTTP_CONNECTION_BYTES)
    }

    /// Gives back what a request has needed.
    pub(super) fn release(&self) {
        self.share.lock().shrink();
    }
}
