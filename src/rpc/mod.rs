//! Flume's RPC: the client, and the encodings that it shares with the sources and sinks.
//!
//! [`RpcClient`] sends events to a Flume agent, or to an agent of this crate with [`AvroRpc`](crate::source::AvroRpc)
//! or [`ThriftRpc`](crate::source::ThriftRpc).

pub(crate) mod avro;
mod client;
pub(crate) mod thrift;

pub use client::{BatchError, HostOrder, RpcClient, RpcClientBuilder, RpcError};
pub use thrift::ThriftProtocol;
