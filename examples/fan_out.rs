//! One event for two channels: written once, visible in both or in none.
//!
//!     cargo run --release --example fan_out

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;

use aqueduct::{Channel, Event, FileStore, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path())?;
    let (orders, audit) = (store.channel("orders")?, store.channel("audit")?);
    let body = vec![b'x'; 10_000];

    let before = store.stats();
    for _ in 0..100 {
        let mut fan = store.begin_put();
        fan.push_to(&[&orders, &audit], Event::new(body.clone()));
        fan.commit()?;
    }
    let after = store.stats();
    let (syncs, bytes) = (after.syncs - before.syncs, after.bytes - before.bytes);
    println!("100 events of 10,000 bytes into two channels: {syncs} syncs, {bytes} bytes written");
    assert!(bytes < 100 * 11_000, "each event is on disk once");

    // The channels go on independently: one is drained, the other one keeps its events.
    let take = orders.take(1000, Wait::NONE)?;
    assert_eq!(take.len(), 100);
    take.commit()?;
    println!("orders: {} left, audit: {} left", orders.stats().depth_events, audit.stats().depth_events);
    store.close()?;

    let store = FileStore::open(dir.path())?;
    let audit = store.channel("audit")?.take(1000, Wait::NONE)?;
    assert_eq!(audit.len(), 100);
    assert!(audit.iter().all(|event| event.body() == &body));
    audit.commit()?;
    assert_eq!(store.channel("orders")?.stats().depth_events, 0);
    println!("after a restart audit had all 100, orders none");
    store.close()?;
    Ok(())
}
