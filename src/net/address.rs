//! How addresses are written.

use std::net::IpAddr;

/// An address without its port, as Java writes it: an IPv6 address with all of its groups, and an IPv4 client of an IPv6
/// socket as what it is.
pub(crate) fn host_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_java_does() {
        for (address, host) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:db8::a", "2001:db8:0:0:0:0:0:a"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(host_address(address.parse().unwrap()), host);
        }
    }
}
