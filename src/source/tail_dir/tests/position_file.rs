//! Flume's position file.

use super::*;
use std::os::unix::fs::MetadataExt as _;

impl Bench {
    fn positions_text(&self) -> String {
        fs::read_to_string(self.path("positions.json")).unwrap()
    }

    fn write_positions(&self, entries: &[(&str, u64, &str)]) {
        let entry = |&(inode_of, pos, name): &(&str, u64, &str)| {
            let inode = fs::metadata(self.path(inode_of)).unwrap().ino();
            format!("{{\"inode\":{inode},\"pos\":{pos},\"file\":\"{}\"}}", self.path(name).display())
        };
        let text: Vec<String> = entries.iter().map(entry).collect();
        fs::write(self.path("positions.json"), format!("[{}]", text.join(","))).unwrap();
    }
}

/// Goal: the source goes on where Flume stopped, and looks at its file once only. Method: entries that apply, and entries
/// whose path or inode is another's.
#[test]
fn the_source_goes_on_where_flume_stopped() {
    let bench = Bench::new();
    for name in ["app.log.a", "app.log.b", "app.log.c", "app.log.d"] {
        bench.append(name, "1\n2\n3\n");
    }
    let entries = [
        ("app.log.a", 2, "app.log.a"),
        ("app.log.b", 4, "app.log.x"),
        ("app.log.a", 4, "app.log.c"),
        ("app.log.d", 99, "app.log.d"),
    ];
    bench.write_positions(&entries);
    let make = || bench.source().position_file(bench.path("positions.json")).file_header("file");
    // Killed before and after what was taken over is committed.
    bench.opened(make()).poll(&mut PullBatch::new(10)).unwrap();
    let mut source = bench.opened(make());
    bench.step(&mut source);
    assert_eq!(bench.events().len(), 0);
    let mut source = bench.opened(make());
    bench.drain(&mut source);
    let mut found: Vec<String> = bench
        .events()
        .iter()
        .map(|event| {
            let file = event.headers().get("file").unwrap();
            format!("{}{}", &file[file.len() - 1..], String::from_utf8_lossy(event.body()))
        })
        .collect();
    found.sort();
    assert_eq!(found, ["a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3", "d1", "d2", "d3"]);
    assert_one_report(&bench.reports(), "app.log.d\": was cut to 6 bytes after 99 were read");
    assert_eq!(bench.positions(), 5, "four files, and that the position file was read");
    bench.bodies();
    bench.write_positions(&[("app.log.a", 0, "app.log.a")]);
    drop(bench.ran(make()));
    assert_eq!(bench.bodies(), [""; 0]);
}

#[test]
fn a_position_file_that_cannot_be_read_stops_the_source() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    let make = || bench.source().position_file(bench.path("positions.json"));
    fs::write(bench.path("positions.json"), "[{\"inode\":1").unwrap();
    let error = make().open(&bench.context()).unwrap_err();
    assert!(matches!(&error, SourceError::Fatal(text) if text.to_string().contains("at byte 11")), "{error}");
    bench.remove("positions.json");
    fs::create_dir(bench.path("positions.json")).unwrap();
    let error = make().open(&bench.context()).unwrap_err();
    assert!(matches!(&error, SourceError::Retry(text) if text.to_string().contains("positions.json")), "{error}");
    fs::remove_dir(bench.path("positions.json")).unwrap();
    fs::write(bench.path("positions.json"), "").unwrap();
    drop(bench.ran(make()));
    assert_eq!(bench.bodies(), ["1"]);
}

#[test]
fn the_directories_of_the_position_file_are_created() {
    let bench = Bench::new();
    let interval = Duration::from_secs(3);
    let path = bench.path("new/deep/positions.json");
    bench.append("app.log", "1\n");
    let mut source = bench.ran(bench.source().position_file(&path).write_position_file(interval));
    source.close();
    assert!(fs::read_to_string(path).unwrap().contains("\"pos\":2,"));
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn the_position_file_is_written_as_flume_does() {
    let bench = Bench::new();
    let interval = Duration::from_secs(3);
    let make = || bench.source().position_file(bench.path("positions.json")).write_position_file(interval);
    let mut source = bench.ran(make());
    assert_eq!(bench.positions_text(), "", "there is no file yet");
    bench.append("app.log", "1\nhalf");
    bench.pass(&mut source, interval);
    let inode = fs::metadata(bench.path("app.log")).unwrap().ino();
    let path = bench.path("app.log").display().to_string();
    assert_eq!(bench.positions_text(), format!("[{{\"inode\":{inode},\"pos\":2,\"file\":\"{path}\"}}]"));
    bench.append("app.log", "\n");
    bench.drain(&mut source);
    assert!(bench.positions_text().contains("\"pos\":2,"), "it is not due");
    source.close();
    assert!(bench.positions_text().contains("\"pos\":7,"));
    // What is not committed is not written.
    bench.append("app.log", "2\n");
    let mut source = bench.opened(make());
    let mut out = PullBatch::new(10);
    source.poll(&mut out).unwrap();
    assert_eq!(out.events().len(), 1);
    source.close();
    assert!(bench.positions_text().contains("\"pos\":7,"));
    bench.rename("app.log", "app.log.1");
    let mut source = bench.ran(make());
    bench.pass(&mut source, interval);
    assert!(bench.positions_text().contains("\"pos\":9,\"file\":") && bench.positions_text().contains("app.log.1"));
    assert_eq!(bench.reports(), [""; 0]);
    // It is no reason to stop that it cannot be written.
    bench.remove("positions.json");
    fs::create_dir(bench.path("positions.json")).unwrap();
    bench.append("app.log", "3\n");
    bench.pass(&mut source, interval);
    assert_eq!(bench.bodies(), ["1", "half", "2", "3"]);
    assert_one_report(&bench.reports(), "the position file cannot be written");
}
