//! Sinks made of closures.

use std::fmt;

use super::{Delivered, Sink, SinkBatch, SinkError};
use crate::event::Event;

/// A [`Sink`] made of a closure, see [`from_fn`].
pub struct FromFn<F>(F);

/// Makes a sink of a closure that delivers events.
///
/// ```
/// use aqueduct::sink::{self, Delivered};
///
/// let mut lines = Vec::new();
/// let collect = sink::from_fn(move |events| {
///     lines.extend(events.iter().map(|event| event.body().clone()));
///     Ok(Delivered::All)
/// });
/// # let _ = collect;
/// ```
pub fn from_fn<F>(write: F) -> FromFn<F>
where
    F: FnMut(&[Event]) -> Result<Delivered, SinkError> + Send,
{
    FromFn(write)
}

impl<F> Sink for FromFn<F>
where
    F: FnMut(&[Event]) -> Result<Delivered, SinkError> + Send,
{
    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        (self.0)(batch.events())
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
