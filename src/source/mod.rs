//! Sources: where events come from.
//!
//! There are two forms. [`PullSource`] is for anything that is asked for data (files, databases, brokers): one required
//! method that fills a batch; a runner owns the transaction, the back-off and the retries. [`Source`] is the general form
//! for anything that is told (listeners): it runs until it is asked to stop and puts batches whenever they arrive, from as
//! many threads as it likes.

#[cfg(feature = "rpc")]
mod avro_rpc;
mod context;
pub(crate) mod delivery;
pub mod exec;
mod files;
mod func;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod http;
pub mod net;
mod pull;
#[cfg(feature = "rpc")]
mod rpc;
mod sequence;
mod setting;
pub mod spool_dir;
mod stress;
pub mod syslog;
pub mod tail_dir;
pub mod tcp_lines;
#[cfg(test)]
mod testing;
#[cfg(feature = "rpc")]
mod thrift_rpc;
pub mod udp_lines;

use std::error::Error;

#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use avro_rpc::AvroRpc;
pub use context::{SourceContext, SourceCounters, SourcePort};
pub use delivery::OnFull;
pub use files::FileReport;
pub use func::{FromFn, from_fn};
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use http::Http;
pub use pull::{PullBatch, PullSource, Pulled};
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use rpc::RpcAck;
pub use sequence::Sequence;
pub use setting::SettingError;
pub use stress::Stress;
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub use thrift_rpc::ThriftRpc;

/// A source that decides for itself when events come.
///
/// The agent calls [`open`](Self::open), after which every listener must accept connections, and then [`run`](Self::run), which
/// goes on until [`SourceContext::shutdown`] is requested or there is nothing more to come. When `run` returns an error that can
/// pass, the agent calls `open` and `run` again after a back-off. [`close`](Self::close) comes after the last `run`.
pub trait Source: Send {
    /// Prepares to run: binds listeners, reads positions.
    ///
    /// # Errors
    /// [`SourceError::Retry`] is tried again with back-off, [`SourceError::Fatal`] ends the source.
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let _ = context;
        Ok(())
    }

    /// Puts events until shutdown is requested. `Ok` means that the source has nothing more to come, ever.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError>;

    /// Called once when the agent is done with the source, which gives up here what it kept for another `run`.
    fn close(&mut self) {}
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        (**self).open(context)
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        (**self).run(context)
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// Why a source stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Something that can pass: the agent tries again after a back-off.
    #[error(transparent)]
    Retry(Box<dyn Error + Send + Sync>),
    /// Something that will not pass without a person: the agent stops the source and reports it.
    #[error(transparent)]
    Fatal(Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// An error that can pass.
    pub fn retry(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }

    /// An error that will not pass.
    pub fn fatal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fatal(error.into())
    }
}
