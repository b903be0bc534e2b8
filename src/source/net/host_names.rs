//! The names of clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::client::host_address;
use crate::clock::{Clock, SystemClock};
use crate::limits::{HOST_NAME_AGE_MAX, HOST_NAMES_MAX};
use crate::net::name_of;

/// Looks up the names of addresses, and remembers them for a while.
#[derive(Clone, Debug)]
pub(crate) struct HostNames {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<IpAddr, Known>>>,
}

#[derive(Debug)]
struct Known {
    name: String,
    until: Duration,
}

impl HostNames {
    pub(crate) fn new() -> Self {
        Self { clock: Arc::new(SystemClock::new()), known: Arc::default() }
    }

    /// The name of an address, as Java tells it: what the system's resolver says, if that name has the address again;
    /// otherwise the address.
    pub(crate) fn of(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        let now = self.clock.monotonic();
        if let Some(known) = self.known.lock().get(&address).filter(|known| now < known.until) {
            return known.name.clone();
        }
        // Nobody waits for the lock while the resolver takes its time.
        let name = name_of(address).unwrap_or_else(|| host_address(address));
        let mut known = self.known.lock();
        if known.len() >= HOST_NAMES_MAX {
            known.retain(|_, known| now < known.until);
        }
        if known.len() >= HOST_NAMES_MAX {
            known.clear();
        }
        known.insert(address, Known { name: name.clone(), until: now.saturating_add(HOST_NAME_AGE_MAX) });
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::StepClock;

    #[test]
    fn an_address_without_a_name_stands_for_itself() {
        // Reserved for documentation: nobody has it.
        assert_eq!(HostNames::new().of("192.0.2.7".parse().unwrap()), "192.0.2.7");
    }

    #[test]
    fn names_are_remembered_for_a_while_and_never_more_than_the_limit() {
        let clock = Arc::new(StepClock::new());
        let names = HostNames { clock: clock.clone(), ..HostNames::new() };
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let known = Known { name: "web-1".to_owned(), until: HOST_NAME_AGE_MAX };
        names.known.lock().insert(address, known);
        assert_eq!(names.of(address), "web-1");
        clock.step(HOST_NAME_AGE_MAX);
        assert_eq!(names.of(address), "192.0.2.7");
        for number in (0_u32..).take(HOST_NAMES_MAX) {
            let known = Known { name: String::new(), until: Duration::MAX };
            names.known.lock().insert(IpAddr::V4(number.into()), known);
        }
        names.of("192.0.2.8".parse().unwrap());
        assert_eq!(names.known.lock().len(), 1);
    }
}
