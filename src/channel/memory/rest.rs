//! What a spillable channel asks of its memory beyond what every channel does.

use std::sync::Arc;

use super::MemoryChannel;
use super::positions::{self, Excess};
use super::queue::Taken;
use super::state::Size;
use super::take::OpenTake;
use crate::batch::Positions;
use crate::channel::TakeTransaction;

impl MemoryChannel {
    /// Events and bytes that count against the capacity.
    pub(in crate::channel) fn depth(&self) -> (u64, u64) {
        let depth = self.shared.state.lock().depth;
        (depth.events, depth.bytes)
    }

    /// Events that were ever put.
    pub(in crate::channel) fn put_events(&self) -> u64 {
        self.shared.state.lock().counts.put_success_events
    }

    /// Whether a take would find an event.
    pub(in crate::channel) fn has_events(&self) -> bool {
        !self.shared.state.lock().queue.is_empty()
    }

    /// Takes up to `max` events, also of a closed channel.
    pub(in crate::channel) fn take_rest(&self, max: usize) -> TakeTransaction {
        let mut state = self.shared.state.lock();
        if state.queue.is_empty() || max == 0 {
            return TakeTransaction::empty();
        }
        let (Taken { events, runs, bytes }, slot) = state.open_take(max);
        drop(state);
        let size = Size { events: events.len() as u64, bytes };
        let open = OpenTake { shared: Arc::clone(&self.shared), runs, size, slot };
        TakeTransaction::new(events, Box::new(open))
    }

    /// Whether these positions could be set.
    pub(in crate::channel) fn check_positions(&self, positions: &Positions) -> Result<(), Excess> {
        positions::check(positions, self.shared.settings.owner_bytes_max)?;
        self.shared.state.lock().positions.check_room(positions)
    }

    /// Sets and clears positions, which were checked.
    pub(in crate::channel) fn set_positions(&self, positions: Positions) {
        self.shared.state.lock().positions.apply(positions);
    }
}
