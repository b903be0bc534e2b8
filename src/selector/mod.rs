//! Selectors: which channels of a source an event goes to.
//!
//! Without a selector a source is replicating: every event goes to all of its channels.
//!
//! | Flume | here |
//! |---|---|
//! | `replicating` | [`Replicating`], and [`optional`](crate::agent::SourceBuilder::optional) for channels that may be missed |
//! | `multiplexing` | [`Multiplexing`] |
//! | `load_balancing` | [`LoadBalancing`] |

mod load_balancing;
mod multiplexing;
mod replicating;
mod route;

pub use load_balancing::LoadBalancing;
pub use multiplexing::Multiplexing;
pub use replicating::Replicating;
pub use route::Route;

use crate::event::Event;

/// Chooses the channels of an event, in the thread that puts it.
///
/// A closure over event and [`Route`] is a selector, too.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::selector::{Route, Selector, SelectorError};
///
/// /// Sends errors to the channel `alerts`, everything to all the others.
/// struct Alerts {
///     alerts: usize,
/// }
///
/// impl Selector for Alerts {
///     fn bind(&mut self, channels: &[String]) -> Result<(), SelectorError> {
///         let place = channels.iter().position(|name| name == "alerts");
///         self.alerts = place.ok_or_else(|| SelectorError::new("the source has no channel alerts"))?;
///         Ok(())
///     }
///
///     fn select(&self, event: &Event, route: &mut Route<'_>) {
///         let error = event.headers().get("level") == Some("error");
///         for place in 0..route.channels().len() {
///             if error || place != self.alerts {
///                 route.require(place);
///             }
///         }
///     }
/// }
/// ```
pub trait Selector: Send + Sync {
    /// Chooses channels for `event` by adding their places to `route`. An event that is sent nowhere is dropped, which is
    /// counted.
    fn select(&self, event: &Event, route: &mut Route<'_>);

    /// Called once, when the agent is built, with the names of the source's channels; the place of a channel is its index
    /// here. First come those of `to`, then those of `optional`.
    ///
    /// # Errors
    /// If the selector cannot work with these channels; it is reported with all other mistakes of the agent.
    fn bind(&mut self, channels: &[String]) -> Result<(), SelectorError> {
        let _ = channels;
        Ok(())
    }
}

impl<F: Fn(&Event, &mut Route<'_>) + Send + Sync> Selector for F {
    fn select(&self, event: &Event, route: &mut Route<'_>) {
        self(event, route);
    }
}

/// Why a selector cannot work with the channels of its source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

impl SelectorError {
    /// An error with a message for the person who configured the agent.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
