//! Embeddable event collection: Apache Flume's model as a Rust library.
//!
//! An [`Event`] is a few headers and a body. A [`Source`] (or a [`PullSource`], which is asked for data) puts events into a
//! [`Channel`], where they wait; a [`Sink`] takes them from there and delivers them. Between source and channel an
//! [`Interceptor`] may change or drop events, and a [`Selector`] chooses the channels of each. An [`Agent`] puts all of them
//! together and keeps them running.
//!
//! Source and channel, and channel and sink, meet in transactions. A [`PutTransaction`] becomes visible as a whole or not at all.
//! The events of a [`TakeTransaction`] go back to the head of the channel unless it is committed. A source or sink can commit
//! its position (how far a file is read, how much output is written) in the same transaction. With that, a source that can be
//! read again and a sink that can cut back its output are exactly-once together. What committed events survive depends on the
//! channel; for durable channels see [`Durability`].
//!
//! Every channel can be used without an agent: put into it, take from it, in any thread. Commits block, or return
//! a [`Ticket`] that can be waited for, or awaited under any runtime.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! use aqueduct::{Channel, FileStore, Wait};
//!
//! let store = FileStore::open(dir.path())?; // recovers what an earlier run left
//! let orders = store.channel("orders")?;
//! orders.put("hello")?; // durable when it returns Ok
//!
//! let batch = orders.take(100, Wait::NONE)?;
//! for event in &batch {
//!     println!("{:?}", event.body()); // a `?` here would drop the batch, and its events would come again
//! }
//! batch.commit()?;
//! store.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! Start with [`FileStore`] for a durable queue, with [`Agent`] for a whole pipeline, and with [`config`] for a Flume
//! properties file.
//!
//! # What it is not
//!
//! Not a broker: nothing here listens or replicates unless a source or sink does it. Not a database: events are taken in
//! order, not looked up. Not a framework: no global state, no signal handlers, no logger, no threads before something is
//! opened or started, and the process ends when its owner says so.
//!
//! # Features
//!
//! Features add API and change nothing.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `full` | no | everything below but `testing` |
//! | `avro` | no | Avro container files: the serializer `avro_event` of file sinks, the deserializer `avro` of the spool directory |
//! | `dns` | no | names of hosts: of clients in headers of the syslog sources and in rules of an IP filter, and of this host |
//! | `http` | no | the HTTP source, which runs a tokio runtime of its own, and the HTTP sink; includes `json` |
//! | `json` | no | JSON: the serializer `json` of file sinks, the JSON handlers of the HTTP source |
//! | `metrics` | no | module `metrics`: the numbers of agents, channels and stores for the facade of the crate `metrics` |
//! | `rpc` | no | Flume's Avro and Thrift RPC: sources, sinks, and the client `rpc::RpcClient` |
//! | `tls` | no | module `tls`: TLS and mutual TLS for everything that speaks TCP, with PEM, PKCS#12 and JKS stores |
//! | `tracing` | no | events and spans of the crate `tracing`: what happens to components and stores |
//! | `testing` | no | the crash simulator `vfs::sim` and the conformance suite `testing::conformance` for channels |
//!
//! # Limits and platform
//!
//! Every limit is a constant of [`limits`] with its unit and default. The crate runs on Linux.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod agent;
mod batch;
pub mod channel;
pub mod clock;
pub mod codec;
pub mod config;
mod durability;
mod error;
mod event;
pub mod import;
pub mod interceptor;
mod lease;
pub mod limits;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod net;
mod random;
#[cfg(feature = "rpc")]
#[cfg_attr(docsrs, doc(cfg(feature = "rpc")))]
pub mod rpc;
mod sabotage;
pub mod selector;
mod shutdown;
pub mod sink;
pub mod source;
mod stats;
pub mod store;
mod sync;
mod tell;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod ticket;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub mod tls;
pub mod vfs;
mod wait;
mod wakers;

pub use agent::{Agent, BuildErrors, Drain, Pusher, RunningAgent};
pub use batch::{Positions, PutBatch};
pub use channel::{Channel, FileChannel, MemoryChannel, Overflow, PutTransaction, Spillable, TakeTransaction};
pub use durability::Durability;
pub use error::{FullReason, PutError, StorageError, TakeError};
pub use event::{Event, EventId, EventPacker, Headers, HeadersError, HeadersIter};
pub use interceptor::Interceptor;
pub use selector::Selector;
pub use shutdown::Shutdown;
pub use sink::{FileRoll, Sink};
pub use source::spool_dir::SpoolDir;
pub use source::tail_dir::TailDir;
pub use source::tcp_lines::TcpLines;
pub use source::{PullSource, Source};
pub use stats::{ChannelStats, SinkStats, SourceStats};
pub use store::{FileStore, FileStoreBuilder, OpenError, RecoveryReport};
pub use ticket::{PutTicket, RawTicket, Receipt, TakeTicket, Ticket};
pub use wait::Wait;

/// The programs in `docs/`, compiled and run by `cargo test`.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../docs/extending.md")]
    mod extending {}
    #[doc = include_str!("../README.md")]
    mod readme {}
}
