//! Names of addresses.

use std::net::{IpAddr, ToSocketAddrs};

/// The name that the system's resolver has for an address, if that name has the address again, as Java wants it.
pub(crate) fn name_of(address: IpAddr) -> Option<String> {
    let name = dns_lookup::lookup_addr(&address).ok()?;
    let mut addresses = (name.as_str(), 0).to_socket_addrs().ok()?;
    addresses.any(|found| found.ip().to_canonical() == address).then_some(name)
}
