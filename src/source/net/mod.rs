//! What all listening sources share: the listener, its limits, its threads, and their end.
//!
//! On TCP, one thread accepts, each connection has a thread with a small stack, and nothing is accepted or read beyond the
//! limits. A source on top gives one function that talks to one connection; whatever goes wrong in it, a panic included,
//! ends that connection and no other.

mod budget;
mod checks;
pub(crate) mod client;
mod connection;
mod datagram;
mod handle;
#[cfg(feature = "dns")]
mod host_names;
mod ip_filter;
mod layers;
mod listener;
mod methods;
mod peers;
mod resolver;
#[cfg(feature = "http")]
mod task_stream;
#[cfg(feature = "http")]
mod tasks;

pub(crate) use crate::net::Readiness;
#[cfg(feature = "http")]
pub(crate) use budget::Share;
pub(crate) use checks::{at_least, not_zero};
pub(crate) use connection::Connection;
pub(crate) use datagram::{Datagram, DatagramOptions, Datagrams};
pub use datagram::{DatagramHandle, DatagramStats};
pub use handle::{ListenerHandle, ListenerStats};
#[cfg(feature = "dns")]
pub(crate) use host_names::HostNames;
pub use ip_filter::{IpFilter, IpFilterError};
pub(crate) use listener::{Listener, ListenerOptions};
pub(crate) use methods::{connection_settings, datagram_settings, listener_settings};
#[cfg(feature = "http")]
pub(crate) use task_stream::TaskStream;
#[cfg(feature = "http")]
pub(crate) use tasks::{SecureConnection, TaskConnection, TaskOptions, TaskSignals, race};
