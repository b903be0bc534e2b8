//! A durable channel in an asynchronous program: tasks await their commits, which share syncs, and a task that ships events
//! awaits them. The crate itself has no runtime; tickets are plain futures.
//!
//!     cargo run --release --example tokio_app

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout)]

use std::error::Error;

use aqueduct::{Channel, FileChannel, FileStore, Wait};

const TASKS: usize = 64;
const EVENTS: usize = 50;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path().join("store"))?;
    let channel = store.channel("orders")?;
    let syncs = store.stats().syncs;

    // One thread is enough: nothing in it blocks.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let shipped = runtime.block_on(async {
        let shipper = tokio::spawn(ship(channel.clone(), TASKS * EVENTS));
        let producers: Vec<_> = (0..TASKS).map(|task| tokio::spawn(produce(channel.clone(), task))).collect();
        for producer in producers {
            producer.await??;
        }
        shipper.await?
    })?;
    println!(
        "{TASKS} tasks committed {} events one by one, with {} syncs; {shipped} shipped",
        TASKS * EVENTS,
        store.stats().syncs - syncs
    );
    assert_eq!(shipped, TASKS * EVENTS);
    assert_eq!(channel.stats().depth_events, 0);
    Ok(store.close()?)
}

/// What a request handler would do: each event is durable before its answer.
async fn produce(channel: FileChannel, task: usize) -> Result<(), Failure> {
    for number in 0..EVENTS {
        let mut put = channel.begin_put();
        put.push(format!("{task}:{number}"));
        // Does not wait for room: a full channel is an error here, and the handler's answer would be 503.
        put.set_wait(Wait::NONE);
        put.submit()?.await?;
    }
    Ok(())
}

/// Takes what there is, ships it, and commits; events of a take that is dropped come again.
async fn ship(channel: FileChannel, events: usize) -> Result<usize, Failure> {
    let mut shipped = 0;
    while shipped < events {
        channel.ready().await;
        let take = channel.take(100, Wait::NONE)?;
        shipped += take.len();
        take.submit()?.await?;
    }
    Ok(shipped)
}
