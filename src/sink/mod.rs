//! Sinks: where events go.
//!
//! A sink is one required method over a batch. The runner owns the transaction: it takes, calls [`Sink::write`], and
//! commits or rolls back by the answer, so a sink cannot forget either.

mod batch;
mod context;
mod counters;
pub(crate) mod file_roll;
mod func;
pub mod group;
#[cfg(feature = "http")]
mod http;
mod logger;
mod null;
#[cfg(feature = "rpc")]
mod rpc;
mod serializer;
#[cfg(test)]
mod testing;
#[cfg(feature = "rpc")]
mod thrift_rpc;

use std::error::Error;

pub use batch::SinkBatch;
pub use context::SinkContext;
pub(crate) use counters::{SinkCounters, count};
pub use file_roll::{FileNaming, FileRoll, FileRollError, Fsync};
pub use func::{FromFn, from_fn};
pub use group::SinkGroup;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use http::{Http, HttpCount, HttpFormat, StatusAction};
pub use logger::{LogFormat, Logger};
pub use null::{Null, NullCount};
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use rpc::AvroRpc;
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use serializer::JsonLines;
#[cfg(feature = "avro")]
#[cfg_attr(docsrs, doc(cfg(feature = "avro")))]
pub use serializer::{AvroCompression, AvroEvent};
pub use serializer::{HeaderAndText, SerializeResult, Serializer, Text};
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use thrift_rpc::ThriftRpc;

/// Delivers events to the outside.
///
/// ```
/// use aqueduct::sink::{Delivered, Sink, SinkBatch, SinkError};
///
/// struct Print;
///
/// impl Sink for Print {
///     fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
///         for event in batch.events() {
///             println!("{}", String::from_utf8_lossy(event.body()));
///         }
///         Ok(Delivered::All)
///     }
/// }
/// ```
///
/// # Contract
///
/// The runner calls [`open`](Self::open), then [`write`](Self::write) whenever there are events and [`idle`](Self::idle) while
/// there are none, and [`close`](Self::close) once at the end. After an error of `write` or of the take's commit the sink is
/// opened again, and the same events come again, in the same order, though perhaps in another batch.
///
/// Two errors of the commit end the sink instead: that the channel is closed, and that the outcome is unknown
/// ([`TakeError::Indeterminate`](crate::TakeError::Indeterminate)). In the second case it is known only after the store has been
/// opened again whether the events come again; the position that was set with them is there if and only if they do not.
pub trait Sink: Send {
    /// Delivers a batch, or the first events of it. What is delivered must be as safe as the sink promises when this returns,
    /// because the events leave the channel next.
    ///
    /// # Errors
    /// [`SinkError`] says what happens with the events.
    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError>;

    /// Connects, opens files, goes back to the committed position, or to the beginning if there is none. Called before the
    /// first write and again after every error of `write` or of the commit that does not end the sink.
    ///
    /// # Errors
    /// [`SinkError::Retry`] is tried again with back-off; [`SinkError::Fatal`] ends the sink.
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        let _ = context;
        Ok(())
    }

    /// The take of the last write is committed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn committed(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Called about once a second while no events come, for what is due by time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn idle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Called once when the agent stops, after the last commit: finish files, close connections.
    ///
    /// # Errors
    /// They are reported by the agent.
    fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn write(&mut self, batch: &mut SinkBatch<'_>) -> Result<Delivered, SinkError> {
        (**self).write(batch)
    }

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        (**self).open(context)
    }

    fn committed(&mut self) -> Result<(), SinkError> {
        (**self).committed()
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        (**self).idle()
    }

    fn close(&mut self) -> Result<(), SinkError> {
        (**self).close()
    }
}

/// How much of a batch was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// All of it.
    All,
    /// The first so many events; the others come again, without an `open` in between. A number as large as the batch, or larger,
    /// means [`All`](Self::All). `First(0)` is not an error: nothing is committed, and the runner writes the same events again
    /// after a pause that grows like the back-off after errors. It does so for ever, and only the counters of the channel show it.
    First(usize),
}

/// Why a sink did not deliver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Something that can pass: the events go back to the channel and come again after a back-off.
    #[error(transparent)]
    Retry(Box<dyn Error + Send + Sync>),
    /// The first event of the batch can never be delivered by this sink: the agent's policy for such events applies
    /// (retry for ever, drop and count, or divert to another channel).
    #[error(transparent)]
    Permanent(Box<dyn Error + Send + Sync>),
    /// Something that will not pass without a person: the events go back, the agent stops the sink and reports it.
    #[error(transparent)]
    Fatal(Box<dyn Error + Send + Sync>),
}

impl SinkError {
    /// An error that can pass.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }

    /// An event that can never be delivered.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent(error.into())
    }

    /// An error that will not pass.
    pub fn fatal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fatal(error.into())
    }
}
