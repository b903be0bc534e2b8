//! Sockets below sources and clients: waiting for them within limits, and what lies between them and plain bytes.

mod address;
#[cfg(feature = "rpc")]
mod connect;
#[cfg(feature = "rpc")]
mod deflate;
#[cfg(feature = "dns")]
mod names;
mod signal;
mod stream;

pub(crate) use address::host_address;
#[cfg(feature = "rpc")]
pub(crate) use connect::Patience;
#[cfg(feature = "rpc")]
pub(crate) use deflate::Deflate;
#[cfg(feature = "dns")]
pub(crate) use names::name_of;
pub(crate) use signal::{Readiness, Signal, wait, wait_any};
pub(crate) use stream::Stream;
