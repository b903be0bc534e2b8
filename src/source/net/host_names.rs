//! The names of clients.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::client::host_address;
use crate::clock::{Clock, SystemClock};
use crate::limits::{HOST_NAME_AGE_MAX, HOST_NAME_LOOKUPS_MAX, HOST_NAMES_MAX};
use crate::net::name_of;

/// Looks up the names of addresses, and remembers them for a while.
#[derive(Clone, Debug)]
pub(crate) struct HostNames {
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<HashMap<IpAddr, Known>>>,
    look_up: fn(IpAddr) -> Option<String>,
    // How long an address without a name stands for itself.
    unknown_age_max: Duration,
    // Addresses to look up aside, if nobody waits: the first of them is being looked up.
    aside: Option<Arc<Mutex<VecDeque<IpAddr>>>>,
}

#[derive(Debug)]
struct Known {
    name: String,
    until: Duration,
}

impl HostNames {
    /// Who asks waits for the resolver: for a thread that serves the one client it asks about.
    pub(crate) fn new() -> Self {
        Self::asking(name_of, HOST_NAME_AGE_MAX)
    }

    /// The same, with the question given, and with the time until it is asked again if it had no answer.
    pub(super) fn asking(look_up: fn(IpAddr) -> Option<String>, unknown_age_max: Duration) -> Self {
        Self { clock: Arc::new(SystemClock::new()), known: Arc::default(), look_up, unknown_age_max, aside: None }
    }

    /// Nobody waits for the resolver: until it has answered, and while too many wait for it, an address stands for its name.
    /// For a thread that serves everybody, and addresses that anybody can make up.
    pub(crate) fn aside() -> Self {
        Self { aside: Some(Arc::default()), ..Self::new() }
    }

    /// The name of an address, as Java tells it: what the system's resolver says, if that name has the address again;
    /// otherwise the address.
    pub(crate) fn of(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        let now = self.clock.monotonic();
        if let Some(known) = self.known.lock().get(&address).filter(|known| now < known.until) {
            return known.name.clone();
        }
        if let Some(waiting) = &self.aside {
            self.ask_for(address, waiting);
            return host_address(address);
        }
        self.ask(address)
    }

    /// Has an address looked up by a thread that ends once there is nothing more to look up.
    fn ask_for(&self, address: IpAddr, waiting: &Arc<Mutex<VecDeque<IpAddr>>>) {
        let mut queue = waiting.lock();
        if queue.len() >= HOST_NAME_LOOKUPS_MAX || queue.contains(&address) {
            return;
        }
        queue.push_back(address);
        if queue.len() > 1 {
            return;
        }
        let (names, waiting) = (self.clone(), waiting.clone());
        let thread = thread::Builder::new().name("host names".to_owned()).spawn(move || {
            loop {
                let Some(address) = waiting.lock().front().copied() else { return };
                names.ask(address);
                let mut queue = waiting.lock();
                queue.pop_front();
                // ORDER: under the lock. Whoever finds the queue empty starts a thread.
                if queue.is_empty() {
                    return;
                }
            }
        });
        if thread.is_err() {
            // Another datagram asks again.
            queue.clear();
        }
    }

    fn ask(&self, address: IpAddr) -> String {
        // Nobody waits for the lock while the resolver takes its time.
        let found = (self.look_up)(address);
        let age_max = if found.is_some() { HOST_NAME_AGE_MAX } else { self.unknown_age_max };
        let name = found.unwrap_or_else(|| host_address(address));
        let now = self.clock.monotonic();
        let mut known = self.known.lock();
        if known.len() >= HOST_NAMES_MAX {
            known.retain(|_, known| now < known.until);
        }
        if known.len() >= HOST_NAMES_MAX {
            known.clear();
        }
        known.insert(address, Known { name: name.clone(), until: now.saturating_add(age_max) });
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::StepClock;

    /// Knows one address.
    fn resolver(address: IpAddr) -> Option<String> {
        (address.to_string() == "192.0.2.1").then(|| "known".to_owned())
    }

    fn names() -> HostNames {
        HostNames { look_up: resolver, ..HostNames::new() }
    }

    #[test]
    fn an_address_without_a_name_stands_for_itself() {
        assert_eq!(names().of("192.0.2.1".parse().unwrap()), "known");
        assert_eq!(names().of("::ffff:192.0.2.7".parse().unwrap()), "192.0.2.7");
    }

    #[test]
    fn names_and_their_absence_have_ages_of_their_own() {
        let retry = HOST_NAME_AGE_MAX / 7;
        let names = HostNames { clock: Arc::new(StepClock::new()), ..HostNames::asking(resolver, retry) };
        for (address, age) in [("192.0.2.1", HOST_NAME_AGE_MAX), ("192.0.2.7", retry)] {
            let address = address.parse().unwrap();
            names.of(address);
            assert_eq!(names.known.lock()[&address].until, age, "{address}");
        }
    }

    /// Goal: a resolver that does not answer holds nobody up, and does not make many wait. Method: it answers only once more
    /// addresses than may wait have been asked for; then they are known, all but those that were too many.
    #[test]
    fn who_is_looked_up_aside_has_its_address_until_the_answer_is_there() {
        static CLOSED: Mutex<()> = Mutex::new(());
        #[allow(clippy::unnecessary_wraps)] // a resolver
        fn slow(address: IpAddr) -> Option<String> {
            let _open = CLOSED.lock();
            Some(format!("name of {address}"))
        }
        let names = HostNames { look_up: slow, ..HostNames::aside() };
        let address = |number: usize| IpAddr::V4(u32::try_from(number).unwrap().into());
        let closed = CLOSED.lock();
        for number in (0..HOST_NAME_LOOKUPS_MAX + 5).flat_map(|number| [number, number]) {
            assert_eq!(names.of(address(number)), address(number).to_string());
        }
        drop(closed);
        while names.known.lock().len() < HOST_NAME_LOOKUPS_MAX {
            thread::yield_now();
        }
        assert_eq!(names.of(address(7)), "name of 0.0.0.7");
        assert_eq!(
            names.of(address(HOST_NAME_LOOKUPS_MAX)),
            address(HOST_NAME_LOOKUPS_MAX).to_string(),
            "asked for now"
        );
        while names.known.lock().len() <= HOST_NAME_LOOKUPS_MAX {
            thread::yield_now();
        }
    }

    #[test]
    fn names_are_remembered_for_a_while_and_never_more_than_the_limit() {
        let clock = Arc::new(StepClock::new());
        let names = HostNames { clock: clock.clone(), ..names() };
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
