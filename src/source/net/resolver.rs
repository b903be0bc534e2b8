//! What the IP filter of a listener asks the system's resolver.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

#[cfg(feature = "dns")]
use super::HostNames;
use crate::clock::{Clock, SystemClock};
use crate::limits::{HOST_NAME_AGE_MAX, HOST_NAME_RETRY};
use crate::tell::tell;

/// Looks up hosts and clients, and remembers for a while what it was told, also that it was told nothing.
pub(super) struct Resolver {
    clock: Arc<dyn Clock>,
    addresses_of: fn(&str) -> Vec<IpAddr>,
    // As many as there are hosts in the rules.
    hosts: Mutex<HashMap<String, Known>>,
    #[cfg(feature = "dns")]
    names: HostNames,
}

struct Known {
    addresses: Vec<IpAddr>,
    until: Duration,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self::asking(
            addresses_of,
            #[cfg(feature = "dns")]
            crate::net::name_of,
        )
    }

    /// With the questions given. A host without addresses is one that is not known just then.
    pub(super) fn asking(
        addresses_of: fn(&str) -> Vec<IpAddr>,
        #[cfg(feature = "dns")] name_of: fn(IpAddr) -> Option<String>,
    ) -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            addresses_of,
            hosts: Mutex::default(),
            #[cfg(feature = "dns")]
            names: HostNames::asking(name_of, HOST_NAME_RETRY),
        }
    }

    /// Whether `host` has this address.
    ///
    /// # Blocking
    /// For one look-up, unless the answer is known, or was known and somebody else asks again just now.
    pub(super) fn has(&self, host: &str, address: IpAddr) -> bool {
        let now = self.clock.monotonic();
        if let Some(known) = self.hosts.lock().get_mut(host) {
            if now < known.until {
                return known.addresses.contains(&address);
            }
            // Others go on with it while this thread asks again.
            known.until = now.saturating_add(HOST_NAME_RETRY);
        }
        // Nobody waits for the lock while the resolver takes its time.
        let addresses = (self.addresses_of)(host);
        let is_meant = addresses.contains(&address);
        let is_unknown = addresses.is_empty();
        let age_max = if is_unknown { HOST_NAME_RETRY } else { HOST_NAME_AGE_MAX };
        let until = self.clock.monotonic().saturating_add(age_max);
        let before = self.hosts.lock().insert(host.to_owned(), Known { addresses, until });
        if is_unknown {
            Self::tell_unknown(host, before.is_some_and(|known| known.addresses.is_empty()));
        }
        is_meant
    }

    /// Tells that a rule about a host does nothing: aloud only if the host was known before, or nobody has asked for it yet.
    fn tell_unknown(host: &str, was_unknown: bool) {
        if was_unknown {
            tell!(DEBUG, "host of an IP filter has no address, so that its rule matches nobody", host = host);
        } else {
            tell!(WARN, "host of an IP filter has no address, so that its rule matches nobody", host = host);
        }
    }

    /// The name of a client, or its address if it has none.
    ///
    /// # Blocking
    /// For one look-up, unless the answer is known.
    #[cfg(feature = "dns")]
    pub(super) fn name_of(&self, address: IpAddr) -> String {
        self.names.of(address)
    }
}

fn addresses_of(host: &str) -> Vec<IpAddr> {
    let found = (host, 0).to_socket_addrs().into_iter().flatten();
    found.map(|address| address.ip().to_canonical()).collect()
}

#[cfg(test)]
mod tests;
