//! Uses a channel without an agent: puts a batch, takes it in transactions, hands back what could not be shipped.
//!
//!     cargo run --release --example pull

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::time::Duration;

use aqueduct::{Channel, FileStore, Wait};

/// Whose position it is: all channels of a store share their positions.
const OWNER: &str = "pull/reader of lines";

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path().join("spool"))?;
    let channel = store.channel("lines")?;

    let mut tx = channel.begin_put();
    for line in 0..10 {
        tx.push(format!("line {line}"));
    }
    tx.set_position(OWNER, "offset 10");
    tx.commit()?;
    println!("put 10 lines and the position {:?} in one transaction", channel.position(OWNER));

    // The receiver breaks off at line 3: the take is dropped, so its events are back at the head, in order.
    let shipped = |take: &[aqueduct::Event]| take.iter().take_while(|event| event.body() != "line 3").count();
    let take = channel.take(5, Wait::up_to(Duration::from_secs(1)))?;
    println!("took {}, shipped {}, rolling back", take.len(), shipped(&take));
    drop(take);

    // This time only what was shipped is committed.
    let take = channel.take(5, Wait::NONE)?;
    assert_eq!(take[0].body(), "line 0");
    let count = shipped(&take);
    take.commit_first(count)?;
    println!("committed the first {count}");

    let take = channel.take(100, Wait::NONE)?;
    println!("the next take begins with {:?} and has {} events", take[0].body(), take.len());
    assert_eq!((take[0].body().as_ref(), take.len()), (b"line 3".as_slice(), 7));
    take.commit()?;
    assert!(channel.take(1, Wait::NONE)?.is_empty());
    store.close()?;

    let store = FileStore::open(dir.path().join("spool"))?;
    let channel = store.channel("lines")?;
    println!("after a restart: {} events, position {:?}", channel.stats().depth_events, channel.position(OWNER));
    assert_eq!(channel.stats().depth_events, 0);
    store.close()?;
    Ok(())
}
