//! Flume's Thrift RPC, without I/O.
//!
//! A connection carries frames, each with its length before it ([`frame`]); the content of a frame is a message
//! ([`message`]): a call or an answer, in one of two encodings ([`data`]), with events in it ([`events`]).
//!
//! ```text
//! struct ThriftFlumeEvent { 1: required map<string, string> headers, 2: required binary body }
//! enum Status { OK, FAILED, ERROR, UNKNOWN }
//! service ThriftSourceProtocol {
//!     Status append(1: ThriftFlumeEvent event),
//!     Status appendBatch(1: list<ThriftFlumeEvent> events) }
//! ```

pub(crate) mod data;
pub(crate) mod events;
pub(crate) mod frame;
pub(crate) mod message;
mod reader;

pub use data::ThriftProtocol;
pub(crate) use data::Writer;
pub(crate) use reader::Reader;

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    Failed,
    Error,
    Unknown,
}
