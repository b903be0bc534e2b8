//! Syslog over TCP and UDP: Flume's sources `syslogtcp`, `multiport_syslogtcp` and `syslogudp`.
//!
//! What becomes of a message stands in [`codec::syslog`](crate::codec::syslog).

mod session;
mod settings;
mod tcp;
mod udp;

pub(crate) use settings::Reading;
pub use tcp::SyslogTcp;
pub use udp::SyslogUdp;
