//! A case that does not end is named.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a case may take without a word. What a channel has to wake is woken at once; no case of a channel that does so
/// comes near.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Runs a case, and says on standard error if it does not end for long: many a mistake of a channel makes a case wait
/// for ever.
pub(super) fn watched<T>(name: &str, case: impl FnOnce() -> T) -> T {
    let say = || {
        let seconds = SILENCE_MAX.as_secs();
        // Not `eprintln!`, whose text a test keeps to itself until it ends.
        let _ = writeln!(
            io::stderr(),
            "conformance case {name} has not ended after {seconds} s: a put, a take or a task that should have been woken \
             may wait for ever, or longer than it was told to"
        );
    };
    watched_for(SILENCE_MAX, say, case)
}

fn watched_for<T>(limit: Duration, say: impl FnOnce() + Send, case: impl FnOnce() -> T) -> T {
    let (running, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let watch = move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        };
        // Without the thread the case is as good, only silent.
        let _ = thread::Builder::new().name("conformance".to_owned()).spawn_scoped(scope, watch);
        // Dropped when the case ends, also by a panic, which ends the watch.
        let _running = running;
        case()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_case_is_named_while_it_does_not_end_and_only_then() {
        let (named, hears) = mpsc::channel();
        // Ends only once it was named.
        watched_for(Duration::ZERO, move || named.send(()).unwrap(), || hears.recv().unwrap());

        let (named, hears) = mpsc::channel::<()>();
        assert_eq!(watched_for(Duration::MAX, move || named.send(()).unwrap(), || 7), 7);
        assert!(hears.recv().is_err(), "the watch is gone with its case, and has said nothing");

        let failed =
            catch_unwind(AssertUnwindSafe(|| watched_for(Duration::MAX, || (), || panic!("the case's own words"))));
        assert_eq!(failed.unwrap_err().downcast_ref::<&str>(), Some(&"the case's own words"));
    }
}
