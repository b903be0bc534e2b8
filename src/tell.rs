//! What happens, told to whoever listens by `tracing` (feature `tracing`). Without the feature nothing of this is left.
//!
//! Told is what an operator would look for in a log: how components are, what becomes of a store, what cannot be read.
//! Nothing is told of events that go their way, nor of puts and takes: numbers say more of those, and they are too many.

use std::fmt::Display;

/// Tells that something happened: `tell!(WARN, "what", key = value, ...)`. Values are shown by `Display`, and computed with
/// and without the feature, so they should be there anyway. A subscriber may ask for snapshots, so nothing that those need is
/// locked meanwhile.
macro_rules! tell {
    ($level:ident, $what:literal $(, $key:ident = $value:expr)* $(,)?) => {{
        #[cfg(feature = "tracing")]
        ::tracing::event!(::tracing::Level::$level, $($key = %$value,)* $what);
        #[cfg(not(feature = "tracing"))]
        {
            $(let _ = &$value;)*
        }
    }};
}

pub(crate) use tell;

/// A span for what happens in the thread of a component, also in the user's own code, until it is dropped.
#[cfg(feature = "tracing")]
pub(crate) fn component(agent: &str, kind: &dyn Display, name: &str) -> ::tracing::span::EnteredSpan {
    ::tracing::info_span!("component", agent, kind = %kind, name).entered()
}

/// The span that a thread is in, to enter it in the threads that it starts.
#[cfg(feature = "tracing")]
pub(crate) use ::tracing::Span;

/// Nothing without the feature.
#[cfg(not(feature = "tracing"))]
pub(crate) fn component(_: &str, _: &dyn Display, _: &str) -> Span {
    Span
}

/// Nothing without the feature.
#[cfg(not(feature = "tracing"))]
#[derive(Clone)]
pub(crate) struct Span;

#[cfg(not(feature = "tracing"))]
impl Span {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn entered(self) -> Self {
        self
    }
}
