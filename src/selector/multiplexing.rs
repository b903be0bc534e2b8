//! Channels by the value of a header.

use std::collections::HashMap;

use super::{Route, Selector, SelectorError};
use crate::event::Event;

/// Chooses channels by the value of a header: Flume's `multiplexing`.
///
/// ```
/// use aqueduct::selector::Multiplexing;
/// use aqueduct::sink::{self, Delivered};
/// use aqueduct::{Agent, Drain, Event, MemoryChannel};
///
/// let running = Agent::builder("edge")
///     .channel("berlin", MemoryChannel::new("berlin"))
///     .channel("paris", MemoryChannel::new("paris"))
///     .pusher("app")
///     .selector(Multiplexing::on("city").map("B", ["berlin"]).default_to(["paris"]))
///     .to(["berlin", "paris"])
///     .build()?
///     .start()?;
/// let app = running.pusher("app")?;
/// app.put(Event::new("one").with_header("city", "B")?)?;
/// app.put("two")?;
/// let left = running.shutdown(Drain::NONE)?.left;
/// assert_eq!(left.iter().map(|channel| channel.events).collect::<Vec<_>>(), [1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Values are compared as they are, with case. An event whose header is missing or blank, or has a value without
/// [`map`](Self::map), goes to the channels of [`default_to`](Self::default_to); without those, to none, which is counted. The channels of
/// [`optional`](Self::optional) for its value are offered the event besides. A channel that is both is required.
#[derive(Clone, Debug)]
pub struct Multiplexing {
    header: String,
    required: Table,
    optional: Table,
    default: Channels,
}

type Table = HashMap<String, Channels>;

/// Channels by name, and by place once the source's are known.
#[derive(Clone, Debug, Default)]
struct Channels {
    names: Vec<String>,
    places: Vec<usize>,
}

impl Multiplexing {
    /// Chooses by the header of this name. Flume's default is `flume.selector.header`.
    #[must_use]
    pub fn on(header: impl Into<String>) -> Self {
        Self { header: header.into(), required: Table::new(), optional: Table::new(), default: Channels::default() }
    }

    /// Sends events whose header has this value to these channels. For the same value again, to those as well.
    #[must_use]
    pub fn map(mut self, value: impl Into<String>, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.required.entry(value.into()).or_default().extend(channels);
        self
    }

    /// Offers events whose header has this value to these channels: they get it if they have room at once.
    #[must_use]
    pub fn optional(mut self, value: impl Into<String>, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.optional.entry(value.into()).or_default().extend(channels);
        self
    }

    /// Sends all other events to these channels.
    #[must_use]
    pub fn default_to(mut self, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.default.extend(channels);
        self
    }
}

impl Channels {
    fn extend(&mut self, channels: impl IntoIterator<Item = impl Into<String>>) {
        self.names.extend(channels.into_iter().map(Into::into));
    }

    /// Looks the places up. Names that are not there are added to `mistakes`.
    fn bind(&mut self, channels: &[String], what: &str, mistakes: &mut Vec<String>) {
        self.places.clear();
        for name in &self.names {
            match channels.iter().position(|known| known == name) {
                Some(place) => self.places.push(place),
                None => mistakes.push(format!("{what} names channel {name}, which is not one of the source's")),
            }
        }
    }
}

impl Selector for Multiplexing {
    fn select(&self, event: &Event, route: &mut Route<'_>) {
        let value = event.headers().get(&self.header);
        let mapped = value.filter(|value| !value.trim().is_empty()).and_then(|value| self.required.get(value));
        for place in &mapped.unwrap_or(&self.default).places {
            route.require(*place);
        }
        for place in value.and_then(|value| self.optional.get(value)).iter().flat_map(|channels| &channels.places) {
            route.offer(*place);
        }
    }

    fn bind(&mut self, channels: &[String]) -> Result<(), SelectorError> {
        let mut mistakes = Vec::new();
        if self.required.is_empty() && self.optional.is_empty() && self.default.names.is_empty() {
            mistakes.push("it sends nothing anywhere; give it a mapping or default channels".to_owned());
        }
        for (table, kind) in [(&mut self.required, "mapping"), (&mut self.optional, "optional")] {
            let mut values: Vec<_> = table.iter_mut().collect();
            values.sort_by(|left, right| left.0.cmp(right.0));
            for (value, listed) in values {
                let what = format!("{kind} of {value:?}");
                if listed.names.is_empty() {
                    mistakes.push(format!("{what} names no channel"));
                }
                listed.bind(channels, &what, &mut mistakes);
            }
        }
        self.default.bind(channels, "default", &mut mistakes);
        if mistakes.is_empty() { Ok(()) } else { Err(SelectorError::new(mistakes.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(mut selector: Multiplexing) -> Multiplexing {
        selector.bind(&names()).unwrap();
        selector
    }

    fn names() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    /// The channels that an event with this value must go to, and those it is offered to.
    fn chosen(selector: &Multiplexing, value: Option<&str>) -> (String, String) {
        let names = names();
        let mut route = Route::new(&names, 4);
        let event = value.map_or(Event::new("x"), |value| Event::new("x").with_header("state", value).unwrap());
        selector.select(&event, &mut route);
        let of = |places: &[usize]| places.iter().map(|place| names[*place].as_str()).collect();
        (of(route.required()), of(route.optional()))
    }

    fn pair(required: &str, optional: &str) -> (String, String) {
        (required.to_owned(), optional.to_owned())
    }

    #[test]
    fn the_value_decides_and_everything_else_goes_to_the_default() {
        let selector =
            bound(Multiplexing::on("state").map("CA", ["a"]).map("AZ", ["b"]).map("NY", ["a", "c"]).default_to(["d"]));
        assert_eq!(chosen(&selector, Some("CA")), pair("a", ""));
        assert_eq!(chosen(&selector, Some("NY")), pair("ac", ""));
        for other in [None, Some(""), Some("  "), Some("ca"), Some(" CA"), Some("TX")] {
            assert_eq!(chosen(&selector, other), pair("d", ""), "{other:?}");
        }
        let without = bound(Multiplexing::on("state").map("CA", ["a"]));
        assert_eq!(chosen(&without, Some("TX")), pair("", ""));
    }

    #[test]
    fn optional_channels_come_besides_the_required_ones_or_the_default() {
        let selector = Multiplexing::on("state").map("CA", ["a"]).optional("CA", ["a", "b"]).optional("AZ", ["c", "d"]);
        let selector = bound(selector.default_to(["d"]));
        assert_eq!(chosen(&selector, Some("CA")), pair("a", "b"));
        assert_eq!(chosen(&selector, Some("AZ")), pair("d", "c"));
        assert_eq!(chosen(&selector, None), pair("d", ""));
        let only_optional = bound(Multiplexing::on("state").optional("CA", ["a"]));
        assert_eq!(chosen(&only_optional, Some("CA")), pair("", "a"));
    }

    #[test]
    fn all_mistakes_are_told() {
        let told = |mut selector: Multiplexing| selector.bind(&names()).unwrap_err().to_string();
        let nowhere = Vec::<String>::new;
        let selector = Multiplexing::on("state").map("CA", ["x"]).map("AZ", nowhere()).optional("NY", ["y"]);
        assert_eq!(
            told(selector.default_to(["z"])),
            "mapping of \"AZ\" names no channel; mapping of \"CA\" names channel x, which is not one of the source's; \
             optional of \"NY\" names channel y, which is not one of the source's; \
             default names channel z, which is not one of the source's"
        );
        assert!(told(Multiplexing::on("state")).contains("give it a mapping"));
    }
}
