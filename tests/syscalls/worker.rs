//! A child that goes on, as a user would, when the store tells of an error.
//!
//! It speaks the language of `kill9/child.rs` and three lines more: `failed WHAT ERRNO TEXT`, where ERRNO is the operating
//! system's number (`full` for a full disk, `-` for none), `back CHANNEL` for a take that was not committed, and `closed`.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::testing::Random;
use aqueduct::{Channel, FileChannel, FileStore, FullReason, OpenError, PutError, StorageError, TakeError, Wait};

use crate::child::say;
use crate::plan::{self, BASE, Plan};

/// Small segments, many checkpoints, and takes that read from files.
pub(crate) const PLAN: Plan =
    Plan { name: "errors", segment_bytes: 8 << 10, replay_bytes_max: 2 << 10, cache_bytes: 0, ..BASE };
const STEPS: u64 = 120;
/// Opens that fail in a row before the child gives up.
const OPENS_MAX: u64 = 3;

/// What to do after an error.
enum Next {
    GoOn,
    Reopen,
}

pub(crate) fn run(dir: &Path, seed: u64) -> ExitCode {
    let mut worker = Worker { random: Random::new(seed), life: 0, id: 0, take: 0, left: STEPS };
    let mut refused = 0;
    loop {
        worker.begin_life();
        match open(dir) {
            Ok((store, channel)) => {
                refused = 0;
                if worker.work(&channel) {
                    // A close that fails changes nothing for what is in the store.
                    store.close().map_or_else(|error| failed("close", &error), |()| say("closed"));
                    return ExitCode::SUCCESS;
                }
            }
            Err(error) => {
                failed("open", error.as_ref());
                refused += 1;
                if refused == OPENS_MAX {
                    say("gave up");
                    return ExitCode::SUCCESS;
                }
            }
        }
    }
}

fn open(dir: &Path) -> Result<(FileStore, FileChannel), Box<dyn Error>> {
    say("opening");
    let store = PLAN.open(dir)?;
    let channel = store.channel(&Plan::channel(0))?;
    say("open");
    Ok((store, channel))
}

struct Worker {
    random: Random,
    life: u64,
    id: u64,
    take: u64,
    left: u64,
}

impl Worker {
    /// Identities grow from life to life; see `child.rs`.
    fn begin_life(&mut self) {
        self.life += 1;
        self.id = self.life << 24;
        self.take = self.life << 24;
    }

    /// `true` once all is done, `false` if the store has to be opened again.
    fn work(&mut self, channel: &FileChannel) -> bool {
        while self.left > 0 {
            self.left -= 1;
            let next = if self.random.below(5) < 3 { self.put(channel) } else { self.take(channel) };
            // The store's own thread gets its turn.
            if self.left.is_multiple_of(10) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if matches!(next, Next::Reopen) {
                return false;
            }
        }
        true
    }

    fn put(&mut self, channel: &FileChannel) -> Next {
        let (first, count) = (self.id, 1 + self.random.below(8));
        self.id += count;
        let mut put = channel.begin_put();
        (first..first + count).for_each(|id| put.push(plan::event(id)));
        match plan::put_position(first) {
            Some(position) => put.set_position("put0", position),
            None => put.clear_position("put0"),
        }
        say(&format!("put {first} {count} 1"));
        match put.commit() {
            Ok(_) => {
                say(&format!("ok {first}"));
                Next::GoOn
            }
            Err(error @ PutError::Indeterminate { .. }) => {
                failed("put", &error);
                Next::Reopen
            }
            Err(error) => {
                failed("put", &error);
                say(&format!("no {first}"));
                if error.is_full() { Next::GoOn } else { Next::Reopen }
            }
        }
    }

    fn take(&mut self, channel: &FileChannel) -> Next {
        let max = usize::try_from(1 + self.random.below(20)).expect("a small number");
        let mut take = match channel.take(max, Wait::NONE) {
            Ok(take) => take,
            Err(error) => {
                failed("take", &error);
                return Next::GoOn;
            }
        };
        let ids: Result<Vec<u64>, String> = take.iter().map(plan::identify).collect();
        let ids: Vec<String> = match ids {
            Ok(ids) => ids.iter().map(u64::to_string).collect(),
            Err(problem) => {
                say(&format!("bad {problem}"));
                return Next::Reopen;
            }
        };
        if ids.is_empty() {
            return Next::GoOn;
        }
        let number = self.take;
        self.take += 1;
        match plan::take_position(number) {
            Some(position) => take.set_position("take0", position),
            None => take.clear_position("take0"),
        }
        say(&format!("take 0 {number} {}", ids.join(",")));
        match take.commit() {
            Ok(()) => {
                say(&format!("taken 0 {number}"));
                Next::GoOn
            }
            Err(error @ TakeError::Indeterminate { .. }) => {
                failed("commit", &error);
                Next::Reopen
            }
            Err(error) => {
                failed("commit", &error);
                say("back 0");
                Next::Reopen
            }
        }
    }
}

fn failed(what: &str, error: &(dyn Error + 'static)) {
    let mut number = "-".to_owned();
    let mut text = error.to_string();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let shared = error.downcast_ref::<Arc<io::Error>>().map(Arc::as_ref);
        if let Some(code) = shared.or_else(|| error.downcast_ref()).and_then(io::Error::raw_os_error) {
            number = code.to_string();
        }
        let full = matches!(error.downcast_ref(), Some(PutError::Full { reason: FullReason::Disk, .. }))
            || matches!(error.downcast_ref(), Some(StorageError::DiskFull { .. }))
            || matches!(error.downcast_ref(), Some(OpenError::Storage(StorageError::DiskFull { .. })));
        if full {
            "full".clone_into(&mut number);
        }
        cause = error.source();
        if let Some(error) = cause {
            text = format!("{text}: {error}");
        }
    }
    say(&format!("failed {what} {number} {}", text.replace('\n', " ")));
}
