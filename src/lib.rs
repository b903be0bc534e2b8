//! Embeddable event collection: Apache Flume's model as a Rust library.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
pub mod channel;
pub mod clock;
mod durability;
mod error;
mod event;
pub mod interceptor;
pub mod limits;
mod shutdown;
pub mod sink;
pub mod source;
mod stats;
mod ticket;
pub mod vfs;
mod wait;

pub use batch::{Positions, PutBatch};
pub use channel::{Channel, PutTransaction, TakeTransaction};
pub use durability::Durability;
pub use error::{FullReason, PutError, StorageError, TakeError};
pub use event::{Event, EventId, Headers, HeadersError, HeadersIter};
pub use interceptor::Interceptor;
pub use shutdown::Shutdown;
pub use sink::Sink;
pub use source::{PullSource, Source};
pub use stats::{ChannelStats, SinkStats, SourceStats};
pub use ticket::{PutTicket, RawTicket, Receipt, TakeTicket, Ticket};
pub use wait::Wait;
