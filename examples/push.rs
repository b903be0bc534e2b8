//! Pushes events from the application into an agent, from several threads, and waits for each to be durable.
//!
//!     cargo run --release --example push

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aqueduct::sink::{self, Delivered};
use aqueduct::{Agent, Drain, Event, FileStore};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path().join("spool"))?;
    let delivered = Arc::new(AtomicU64::new(0));
    let count = delivered.clone();
    let running = Agent::builder("app")
        .channel("disk", store.channel("orders")?)
        .pusher("web")
        .interceptor(|event: Event| event.with_header("origin", "web").ok())
        .to(["disk"])
        .sink(
            "backend",
            sink::from_fn(move |events| {
                assert!(events.iter().all(|event| event.headers().get("origin") == Some("web")));
                count.fetch_add(events.len() as u64, Ordering::Relaxed);
                Ok(Delivered::All)
            }),
        )
        .from("disk")
        .build()?
        .start()?;

    // Blocking: one commit at a time for each thread; the threads share their syncs.
    let pusher = running.pusher("web")?;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let pusher = pusher.clone();
            scope.spawn(move || {
                for order in 0..100 {
                    pusher.put(format!("order {thread}-{order}")).expect("the channel has room");
                }
            });
        }
    });
    // With tickets: many commits in flight from one thread.
    let tickets = (0..200).map(|order| pusher.submit(vec![Event::new(format!("order t-{order}"))]));
    for ticket in tickets.collect::<Result<Vec<_>, _>>()? {
        ticket.wait()?;
    }
    let stats = store.stats();
    println!("1,000 durable commits took {} syncs", stats.syncs);

    let report = running.shutdown(Drain::up_to(Duration::from_secs(10)))?;
    store.close()?;
    println!("delivered {} events, left {:?}", delivered.load(Ordering::Relaxed), report.left);
    assert!(report.is_drained());
    assert_eq!(delivered.load(Ordering::Relaxed), 1000);
    Ok(())
}
