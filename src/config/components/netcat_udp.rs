//! Flume's `netcatudp` source.

use super::super::{Keys, Made, Registry, Site, SourceSetup};
use super::{ALL_INTERFACES, bind_address};
use crate::limits::SOURCE_BATCH_EVENTS;
use crate::source::udp_lines::UdpLines;

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["netcatudp", "org.apache.flume.source.NetcatUdpSource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let address = bind_address(keys, "bind", Some(ALL_INTERFACES));
    let batch = SOURCE_BATCH_EVENTS.min(site.transaction_events_max());
    let mut source = UdpLines::bind(address).batch_max(batch);
    // Flume gives a header without a name where the key is missing.
    if let Some(name) = keys.optional("remoteAddress") {
        source = source.remote_address_header(name);
    }
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source)),
        Err(reason) => Err(keys.refuse(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::problems_of_source;

    #[test]
    fn every_key_of_flumes_is_known_and_mistakes_are_named() {
        for pairs in [&[("port", "0")][..], &[("bind", "::1"), ("port", "1"), ("remoteAddress", "from")]] {
            assert_eq!(problems_of_source("netcatudp", pairs), [] as [&str; 0], "{pairs:?}");
        }
        for (pairs, expected) in [
            (&[][..], "port: is missing"),
            (&[("port", "99999")], "must be a number from 0 to 65535"),
            // As Flume's guide has it.
            (&[("port", "1"), ("remoteAddressHeader", "from")], "has no such key; is it remoteAddress?"),
            (&[("port", "1"), ("max-line-length", "9")], "netcatudp has no such key"),
        ] {
            let found = problems_of_source("netcatudp", pairs);
            assert!(matches!(&found[..], [only] if only.contains(expected)), "{expected}: {found:?}");
        }
    }
}
