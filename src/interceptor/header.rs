//! The header that an interceptor sets.

use std::borrow::Cow;

use crate::event::Event;

/// Name of a header, and whether one that is there is left alone.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) preserve_existing: bool,
}

impl Target {
    pub(super) fn new(name: impl Into<String>, preserve_existing: bool) -> Self {
        Self { name: name.into(), preserve_existing }
    }

    /// The event with the header. Without room for it the event stays as it is: a missing header is the smaller loss.
    pub(super) fn set<'v>(&self, mut event: Event, value: impl FnOnce() -> Cow<'v, str>) -> Event {
        if !(self.preserve_existing && event.headers().get(&self.name).is_some()) {
            let _ = event.headers_mut().insert(&self.name, &value());
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HEADERS_BYTES_MAX;

    #[test]
    fn a_header_is_added_replaced_or_preserved() {
        let old = || Event::new("x").with_header("zone", "old").unwrap();
        let set = |preserve, event| Target::new("zone", preserve).set(event, || "new".into());
        for preserve in [false, true] {
            assert_eq!(set(preserve, Event::new("x")).headers().get("zone"), Some("new"));
        }
        assert_eq!(set(false, old()).headers().get("zone"), Some("new"));
        assert_eq!(set(true, old()).headers().get("zone"), Some("old"));
    }

    #[test]
    fn an_event_without_room_for_a_header_goes_on_as_it_is() {
        let full = Event::new("x").with_header("big", &"v".repeat(HEADERS_BYTES_MAX - 10)).unwrap();
        assert_eq!(Target::new("zone", false).set(full.clone(), || "eu".into()), full);
    }
}
