//! The choice of channels for one event.

use std::fmt;

/// The choice for one event. A required channel must take the event before the source goes on; an optional one gets it
/// if it has room at once.
pub struct Route<'a> {
    channels: &'a [String],
    // From this place on, channels are optional whatever the selector says.
    optional_from: usize,
    required: Vec<usize>,
    optional: Vec<usize>,
    unknown: Option<usize>,
}

impl<'a> Route<'a> {
    /// An empty choice among channels; those from `optional_from` on are optional. For tests of a selector.
    #[must_use]
    pub fn new(channels: &'a [String], optional_from: usize) -> Self {
        Self { channels, optional_from, required: Vec::new(), optional: Vec::new(), unknown: None }
    }

    /// The names of the source's channels; their indices are the places.
    #[must_use]
    pub fn channels(&self) -> &'a [String] {
        self.channels
    }

    /// How many of the channels are not listed as optional; theirs are the first places.
    #[must_use]
    pub fn required_count(&self) -> usize {
        self.optional_from.min(self.channels.len())
    }

    /// The place of a channel.
    #[must_use]
    pub fn place_of(&self, channel: &str) -> Option<usize> {
        self.channels.iter().position(|name| name == channel)
    }

    /// The event must go to this channel. For a channel that the source lists as optional, the same as
    /// [`offer`](Self::offer). A place that does not exist fails the put.
    pub fn require(&mut self, place: usize) {
        if place >= self.optional_from {
            self.offer(place);
        } else if !self.required.contains(&place) {
            self.optional.retain(|other| *other != place);
            self.required.push(place);
        }
    }

    /// The event must go to all channels that are not optional, and is offered to those that are.
    pub fn require_all(&mut self) {
        for place in 0..self.channels.len() {
            self.require(place);
        }
    }

    /// The event may go to this channel, if there is room at once.
    pub fn offer(&mut self, place: usize) {
        if place >= self.channels.len() {
            self.unknown = Some(place);
        } else if !self.required.contains(&place) && !self.optional.contains(&place) {
            self.optional.push(place);
        }
    }

    /// The places of the required channels, in the order they were chosen.
    #[must_use]
    pub fn required(&self) -> &[usize] {
        &self.required
    }

    /// The places of the optional channels.
    #[must_use]
    pub fn optional(&self) -> &[usize] {
        &self.optional
    }

    /// A place that was chosen and does not exist.
    pub(crate) fn unknown(&self) -> Option<usize> {
        self.unknown
    }

    pub(crate) fn clear(&mut self) {
        self.required.clear();
        self.optional.clear();
        self.unknown = None;
    }
}

impl fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("required", &self.required)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::selector::{Replicating, Selector};

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn required_wins_over_offered_and_listed_optional_wins_over_required() {
        let names = names();
        let mut route = Route::new(&names, 2);
        route.offer(0);
        route.require(0);
        route.require(0);
        route.offer(0);
        route.require(2);
        assert_eq!((route.required(), route.optional()), (&[0][..], &[2][..]));
        assert_eq!(route.place_of("b"), Some(1));
        println!("covered: required over offered, listed optional over required, repetition");
    }

    #[test]
    fn a_place_that_does_not_exist_is_remembered_until_the_next_event() {
        let names = names();
        let mut route = Route::new(&names, 3);
        route.require(3);
        assert_eq!(route.unknown(), Some(3));
        route.clear();
        assert_eq!(route.unknown(), None);
        Replicating::new().select(&Event::new("x"), &mut route);
        assert_eq!(route.required(), [0, 1, 2]);
        println!("covered: unknown place, clear, replicating");
    }
}
