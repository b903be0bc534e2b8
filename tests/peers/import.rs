//! A file channel that Flume wrote, taken over by the example `import_flume_channel`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use aqueduct::{Channel, FileStore, Wait};

use crate::process::{Side, example, send_lines};
use crate::same::Run;

fn import(run: &Run) -> String {
    let state = run.dir.join("state");
    let dirs = format!("{},{}", state.join("data1").display(), state.join("data2").display());
    let mut command = Command::new(example("import_flume_channel"));
    command.arg("--checkpoint-dir").arg(state.join("checkpoint")).args(["--data-dirs", &dirs]);
    let output =
        command.arg("--store").arg(run.dir.join("store")).args(["--channel", "taken"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn imported(store: &Path) -> Vec<String> {
    let store = FileStore::open(store).expect("the store of the import");
    let channel = store.channel("taken").expect("its channel");
    let mut lines = Vec::new();
    loop {
        let take = channel.take(1000, Wait::NONE).expect("a take");
        if take.is_empty() {
            return lines;
        }
        for event in &take {
            assert_eq!(event.headers().get("from"), Some("flume"));
            lines.push(String::from_utf8_lossy(event.body()).into_owned());
        }
        take.commit().expect("its commit");
    }
}

fn unlock(run: &Run) {
    for dir in ["checkpoint", "data1", "data2"] {
        let _ = fs::remove_file(run.dir.join("state").join(dir).join("in_use.lock"));
    }
}

fn rows(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("row {number} {}", "x".repeat(number % 200))).collect()
}

fn fill(run: &Run, rows: &[String]) -> crate::process::Agent {
    let agent = run.listening("a1");
    let lines: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert!(send_lines(run.port, &lines).iter().all(|answer| answer == "OK\n"));
    agent
}

#[test]
fn a_backlog_that_flume_left_is_imported_in_order() {
    let root = tempfile::tempdir().expect("a directory");
    let run = Run::new(Side::Flume, "import", root.path());
    let rows = rows(2500);
    fill(&run, &rows).stop();
    let text = import(&run);
    assert!(text.contains("2500 events in the Flume channel, 0 of them"), "{text}");
    // Once more: everything is there already.
    assert!(import(&run).contains("2500 events in the Flume channel, 2500 of them"));
    assert_eq!(imported(&run.dir.join("store")), rows);
}

#[test]
fn a_backlog_of_killed_agents_that_was_drained_in_part_is_imported_without_loss() {
    let root = tempfile::tempdir().expect("a directory");
    let run = Run::new(Side::Flume, "import", root.path());
    let rows = rows(3000);
    fill(&run, &rows).kill();
    unlock(&run);
    let mut drain = run.start("a2");
    run.await_lines(&mut drain, 500);
    drain.kill();
    unlock(&run);
    import(&run);
    let imported = imported(&run.dir.join("store"));
    let delivered: Vec<String> = run
        .output()
        .values()
        .flat_map(|bytes| {
            // The last line may be cut.
            let text = String::from_utf8_lossy(bytes).into_owned();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            text[..whole].lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let all: BTreeSet<&String> = imported.iter().chain(&delivered).collect();
    assert_eq!(all.len(), rows.len(), "{} delivered by Flume, {} imported", delivered.len(), imported.len());
    assert_eq!(imported.iter().collect::<BTreeSet<_>>().len(), imported.len(), "no event is imported twice");
    // A batch that Flume had delivered and not committed is delivered again, as by Flume itself.
    let twice = imported.len() + delivered.len() - rows.len();
    assert!(twice <= 50, "{twice} events are there twice");
}
