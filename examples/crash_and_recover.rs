//! Kills itself with SIGKILL in the middle, again and again, and proves that every event is delivered exactly once.
//!
//!     cargo run --release --example crash_and_recover
//!
//! The child process numbers events and puts them, with the number as position in the same transaction; another thread
//! takes them and appends them to a file, with the file's length as position in the same transaction. The parent kills it
//! at random moments and starts it again; where the disk is so fast that the child is through before enough kills, it is
//! given more to do.

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aqueduct::{Channel, FileChannel, FileStore, Wait};

const EVENTS: u64 = 20_000;
const BATCH: u64 = 10;
const KILLS_MIN: u32 = 10;
const KILLS_MAX: u32 = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [dir, events] = args.as_slice() {
        return child(Path::new(dir), events.parse()?);
    }
    let dir = tempfile::tempdir()?;
    let (mut kills, mut delay, mut events) = (0, 5, EVENTS);
    loop {
        let mut child = Command::new(std::env::current_exe()?).arg(dir.path()).arg(events.to_string()).spawn()?;
        // Moments that repeat neither within a run nor between two: the disk sees to that.
        delay = (delay * 7 + 13) % 97;
        std::thread::sleep(Duration::from_millis(delay));
        if kills == KILLS_MAX || child.try_wait()?.is_some() {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("the child ended with {status}").into());
            }
            if kills >= KILLS_MIN {
                break;
            }
            events += EVENTS;
            continue;
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
    }
    let output = std::fs::read_to_string(dir.path().join("out"))?;
    assert!(output.lines().map(str::to_owned).eq((0..events).map(|number| number.to_string())));
    println!("killed {kills} times; {events} events delivered, each once, in order");
    Ok(())
}

fn child(dir: &Path, events: u64) -> Result<(), Box<dyn Error>> {
    let store = FileStore::open(dir.join("spool"))?;
    let channel = store.channel("numbers")?;
    let consumer = {
        let (channel, path) = (channel.clone(), dir.join("out"));
        std::thread::spawn(move || deliver(&channel, &path, events).map_err(|error| error.to_string()))
    };
    let mut next = number(&channel, "producer")?;
    while next < events {
        let mut tx = channel.begin_put();
        let end = (next + BATCH).min(events);
        (next..end).for_each(|number| tx.push(number.to_string()));
        next = end;
        tx.set_position("producer", next.to_le_bytes().to_vec());
        tx.commit()?;
    }
    consumer.join().map_err(|_| "the consumer panicked")??;
    store.close()?;
    Ok(())
}

/// Appends events to a file. What the file holds beyond the committed length was written for takes that did not happen.
fn deliver(channel: &FileChannel, path: &Path, events: u64) -> Result<(), Box<dyn Error>> {
    let mut length = number(channel, "length")?;
    let mut count = number(channel, "count")?;
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.set_len(length)?;
    while count < events {
        let mut take = channel.take(100, Wait::up_to(Duration::from_millis(100)))?;
        let lines: String =
            take.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned() + "\n").collect();
        file.write_all(lines.as_bytes())?;
        file.sync_data()?;
        length += lines.len() as u64;
        count += take.len() as u64;
        take.set_position("length", length.to_le_bytes().to_vec());
        take.set_position("count", count.to_le_bytes().to_vec());
        take.commit()?;
    }
    Ok(())
}

fn number(channel: &FileChannel, owner: &str) -> Result<u64, Box<dyn Error>> {
    let position = channel.position(owner).map(|bytes| bytes.as_ref().try_into().map(u64::from_le_bytes));
    Ok(position.transpose()?.unwrap_or(0))
}
