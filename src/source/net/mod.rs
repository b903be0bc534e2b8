//! What all listening sources on TCP share: the listener, its limits, its threads, and their end.
//!
//! One thread accepts, each connection has a thread with a small stack, and nothing is accepted or read beyond the
//! limits. A source on top gives one function that talks to one connection; whatever goes wrong in it, a panic included,
//! ends that connection and no other.

mod budget;
mod connection;
mod handle;
mod ip_filter;
mod layers;
mod listener;
mod peers;

pub(crate) use crate::net::Readiness;
pub(crate) use connection::Connection;
pub use handle::{ListenerHandle, ListenerStats};
pub use ip_filter::{IpFilter, IpFilterError};
pub(crate) use listener::{Listener, ListenerOptions};
