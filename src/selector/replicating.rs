//! Every channel.

use super::{Route, Selector};
use crate::event::Event;

/// Sends every event to every channel of the source; what a source without a selector does.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Replicating;

impl Replicating {
    /// The selector.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Selector for Replicating {
    fn select(&self, _event: &Event, route: &mut Route<'_>) {
        route.require_all();
    }
}
