//! What the children of the suites that run a whole agent have in common: files through a file channel into rolled files.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aqueduct::agent::Outcome;
use aqueduct::source::PullSource;
use aqueduct::{Agent, Drain, FileRoll, FileStore, Wait};

use crate::PATIENCE;

/// Runs an agent of this name from `source` into `dir/out` until the source is done, with everything small so that much
/// happens in little time, and says how it went.
pub(crate) fn child(name: &str, dir: &Path, source: impl PullSource + 'static) -> ExitCode {
    println!("begun");
    match run(name, &dir.join("out"), source) {
        Ok(()) => {
            println!("done");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("bad {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, output: &Path, source: impl PullSource + 'static) -> Result<(), Box<dyn Error>> {
    let store =
        FileStore::builder(output.join(".channel")).segment_bytes(16 << 10).replay_bytes_max(16 << 10).open()?;
    println!("open");
    let sink = FileRoll::new(output).roll_interval(Duration::ZERO).roll_bytes(3000).extension("txt");
    let agent = Agent::builder(name)
        .channel("disk", store.channel("lines")?)
        .source("in", source)
        .batch(7)
        .to(["disk"])
        .sink("out", sink)
        .batch(5)
        .from("disk")
        .build()?;
    let running = agent.start()?;
    if running.wait_done(Wait::up_to(PATIENCE)) == Outcome::Stopped {
        return Err(format!("not done after {PATIENCE:?}: {:?}", running.stats()).into());
    }
    let report = running.shutdown(Drain::NONE)?;
    store.close()?;
    match report.outcome.exit_code() {
        0 => Ok(()),
        code => Err(format!("the agent ended with {code}: {:?}", report.components).into()),
    }
}
