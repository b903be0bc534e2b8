//! How the addresses of clients are written in headers.

use std::net::{IpAddr, SocketAddr};

pub(crate) use crate::net::host_address;

/// An IPv4 client of an IPv6 socket as what it is.
pub(super) fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        // The others have more than address and port.
        IpAddr::V4(v4) => SocketAddr::from((v4, peer.port())),
        IpAddr::V6(_) => peer,
    }
}

/// An address with its port, as Java writes one that was not looked up: `/192.0.2.7:514`.
pub(crate) fn socket_address(address: SocketAddr) -> String {
    let (host, port) = (host_address(address.ip()), address.port());
    if host.contains(':') { format!("/[{host}]:{port}") } else { format!("/{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_java_does() {
        for (peer, shown) in
            [("[::ffff:10.0.0.1]:7", "10.0.0.1:7"), ("[fe80::1%3]:7", "[fe80::1%3]:7"), ("10.0.0.1:7", "10.0.0.1:7")]
        {
            assert_eq!(canonical(peer.parse().unwrap()).to_string(), shown);
        }
        assert_eq!(socket_address("192.0.2.7:514".parse().unwrap()), "/192.0.2.7:514");
        assert_eq!(socket_address("[::ffff:192.0.2.7]:514".parse().unwrap()), "/192.0.2.7:514");
        assert_eq!(socket_address("[::1]:514".parse().unwrap()), "/[0:0:0:0:0:0:0:1]:514");
    }
}
