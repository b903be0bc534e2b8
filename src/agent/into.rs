//! What can stand for a source or a sink.

use std::fmt;

use crate::event::Event;
use crate::sink::{self, Delivered, Sink, SinkError};
use crate::source::{self, PullBatch, PullSource, Pulled, Source, SourceError};

/// What [`AgentBuilder::source`](super::AgentBuilder::source) accepts: a [`Source`], a [`PullSource`], or a closure
/// `FnMut(&mut PullBatch) -> Result<Pulled, SourceError>`.
///
/// The parameter `M` only keeps the three apart for the compiler; it never has to be written, unless a type is both a
/// `Source` and a `PullSource`.
pub trait IntoSource<M> {
    /// The source, without its type.
    fn into_source(self) -> AnySource;
}

/// A source without its type.
pub struct AnySource(pub(super) SourceKind);

pub(super) enum SourceKind {
    Push(Box<dyn Source>),
    Pull(Box<dyn PullSource>),
    /// The application pushes.
    Pusher,
}

impl fmt::Debug for AnySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            SourceKind::Push(_) => "Source",
            SourceKind::Pull(_) => "PullSource",
            SourceKind::Pusher => "Pusher",
        };
        f.debug_tuple("AnySource").field(&kind).finish()
    }
}

/// Tells the compiler the accepted forms apart; see [`IntoSource`] and [`IntoSink`].
pub mod marker {
    /// A [`Source`](crate::Source).
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Push;
    /// A [`PullSource`](crate::PullSource).
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Pull;
    /// A [`Sink`](crate::Sink).
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Component;
    /// A closure.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Function;
    /// Something that lost its type before.
    #[derive(Debug)]
    #[non_exhaustive]
    pub struct Any;
}

impl<S: Source + 'static> IntoSource<marker::Push> for S {
    fn into_source(self) -> AnySource {
        AnySource(SourceKind::Push(Box::new(self)))
    }
}

impl<S: PullSource + 'static> IntoSource<marker::Pull> for S {
    fn into_source(self) -> AnySource {
        AnySource(SourceKind::Pull(Box::new(self)))
    }
}

impl<F> IntoSource<marker::Function> for F
where
    F: FnMut(&mut PullBatch) -> Result<Pulled, SourceError> + Send + 'static,
{
    fn into_source(self) -> AnySource {
        AnySource(SourceKind::Pull(Box::new(source::from_fn(self))))
    }
}

impl IntoSource<marker::Any> for AnySource {
    fn into_source(self) -> AnySource {
        self
    }
}

/// What [`AgentBuilder::sink`](super::AgentBuilder::sink) accepts: a [`Sink`], or a closure
/// `FnMut(&[Event]) -> Result<Delivered, SinkError>`.
///
/// As with [`IntoSource`], the parameter `M` never has to be written.
pub trait IntoSink<M> {
    /// The sink, without its type.
    fn into_sink(self) -> Box<dyn Sink>;
}

impl<S: Sink + 'static> IntoSink<marker::Component> for S {
    fn into_sink(self) -> Box<dyn Sink> {
        Box::new(self)
    }
}

impl<F> IntoSink<marker::Function> for F
where
    F: FnMut(&[Event]) -> Result<Delivered, SinkError> + Send + 'static,
{
    fn into_sink(self) -> Box<dyn Sink> {
        Box::new(sink::from_fn(self))
    }
}
