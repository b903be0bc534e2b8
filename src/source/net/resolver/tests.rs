#[cfg(feature = "tracing")]
use std::io::{self, Write};
use std::sync::OnceLock;
#[cfg(feature = "tracing")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "tracing")]
use tracing_subscriber::filter::LevelFilter;

use super::*;
use crate::clock::StepClock;

fn resolver(clock: &Arc<StepClock>, addresses_of: fn(&str) -> Vec<IpAddr>) -> Resolver {
    let resolver = Resolver::asking(
        addresses_of,
        #[cfg(feature = "dns")]
        |_| None,
    );
    Resolver { clock: clock.clone(), ..resolver }
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

#[test]
fn addresses_of_hosts_are_believed_for_a_while_and_failures_for_a_shorter_one() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn one_host(host: &str) -> Vec<IpAddr> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        if host == "known.example" { vec![address(1), address(2)] } else { Vec::new() }
    }
    let clock = Arc::new(StepClock::new());
    let resolver = resolver(&clock, one_host);
    let ask = || {
        assert!(resolver.has("known.example", address(2)) && !resolver.has("known.example", address(3)));
        assert!(!resolver.has("other.example", address(2)));
        ASKED.load(Ordering::SeqCst)
    };
    assert_eq!(ask(), 2);
    assert_eq!(ask(), 2);
    clock.step(HOST_NAME_RETRY);
    assert_eq!(ask(), 3);
    clock.step(HOST_NAME_AGE_MAX);
    assert_eq!(ask(), 5);
}

/// Goal: an operator hears of a rule that does nothing, once for each time that it begins to. Method: a host that is unknown, known
/// and unknown again, each for several questions, and what a subscriber of this thread is told.
#[cfg(feature = "tracing")]
#[test]
fn that_a_host_is_not_known_is_told_aloud_once() {
    static KNOWN: AtomicBool = AtomicBool::new(false);
    static TOLD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    fn at_times(_: &str) -> Vec<IpAddr> {
        if KNOWN.load(Ordering::SeqCst) { vec![address(1)] } else { Vec::new() }
    }
    struct Told;
    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            TOLD.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let clock = Arc::new(StepClock::new());
    let resolver = resolver(&clock, at_times);
    let listening = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_writer(|| Told).finish();
    let _listening = tracing::subscriber::set_default(listening);
    for known in [false, false, false, true, true, false, false] {
        KNOWN.store(known, Ordering::SeqCst);
        assert_eq!(resolver.has("at-times.example", address(1)), known);
        clock.step(HOST_NAME_AGE_MAX);
    }
    let told = String::from_utf8(TOLD.lock().clone()).unwrap();
    let levels: Vec<_> =
        told.lines().filter(|line| line.contains("at-times")).map(|line| line.contains("WARN")).collect();
    assert_eq!(levels, [true, false, false, true, false], "{told}");
}

/// Goal: a resolver that stopped to answer holds up one client, not all. Method: the second look-up of a host asks about
/// the host itself, as another client would.
#[test]
fn others_go_on_with_what_is_known_while_one_asks_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static RESOLVER: OnceLock<Resolver> = OnceLock::new();
    fn stops_to_answer(host: &str) -> Vec<IpAddr> {
        if ASKED.fetch_add(1, Ordering::SeqCst) == 0 {
            return vec![address(1)];
        }
        assert!(RESOLVER.get().unwrap().has(host, address(1)));
        Vec::new()
    }
    let clock = Arc::new(StepClock::new());
    let resolver = RESOLVER.get_or_init(|| resolver(&clock, stops_to_answer));
    assert!(resolver.has("known.example", address(1)));
    clock.step(HOST_NAME_AGE_MAX);
    assert!(!resolver.has("known.example", address(1)), "not known any more");
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}

#[test]
fn the_system_knows_this_host() {
    assert!(Resolver::new().has("localhost", [127, 0, 0, 1].into()));
}

#[cfg(feature = "tracing")]
#[test]
fn of_many_clients_at_once_one_hears_that_a_host_has_no_address() {
    static WARNS: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static GATE: std::sync::Barrier = std::sync::Barrier::new(8);
    fn nobody(_: &str) -> Vec<IpAddr> {
        GATE.wait();
        Vec::new()
    }
    #[derive(Clone)]
    struct Told;
    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            WARNS.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let resolver = resolver(&Arc::new(StepClock::new()), nobody);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let listening =
                    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(|| Told).finish();
                let _listening = tracing::subscriber::set_default(listening);
                assert!(!resolver.has("race.example", address(1)));
            });
        }
    });
    let told = String::from_utf8(WARNS.lock().clone()).unwrap();
    let count = told.lines().filter(|line| line.contains("race.example") && line.contains("WARN")).count();
    assert_eq!(count, 1, "{told}");
}
