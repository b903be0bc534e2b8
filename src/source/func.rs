//! Sources made of closures.

use std::fmt;

use super::{PullBatch, PullSource, Pulled, SourceError};

/// A [`PullSource`] made of a closure, see [`from_fn`].
pub struct FromFn<F>(F);

/// Makes a pull source of a closure that fills a batch. It is not told when it is opened again, and so cannot go back to a
/// committed position: a source that sets positions implements [`PullSource`].
///
/// ```
/// use aqueduct::source::{self, Pulled};
///
/// let mut left = 3;
/// let countdown = source::from_fn(move |out| {
///     left -= 1;
///     out.push(format!("{left} to go"));
///     Ok(if left == 0 { Pulled::Done } else { Pulled::More })
/// });
/// # let _ = countdown;
/// ```
pub fn from_fn<F>(poll: F) -> FromFn<F>
where
    F: FnMut(&mut PullBatch) -> Result<Pulled, SourceError> + Send,
{
    FromFn(poll)
}

impl<F> PullSource for FromFn<F>
where
    F: FnMut(&mut PullBatch) -> Result<Pulled, SourceError> + Send,
{
    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        (self.0)(out)
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
