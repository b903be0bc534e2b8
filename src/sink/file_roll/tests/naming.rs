//! Names that consist of the day.

use super::*;
use crate::sink::FileNaming;

/// Noon of the 23rd of November 2026 in UTC, and so the same day nearly everywhere.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.clock.step(Duration::from_millis(1_795_435_200_000 - 1_795_425_556_919));
    bench
}

fn sink(bench: &Bench) -> FileRoll {
    bench.sink().naming(FileNaming::Date).prefix("t-").extension("log").roll_events(1)
}

#[test]
fn files_of_a_day_are_counted_from_the_second_one() {
    let mut bench = bench();
    let mut sink = sink(&bench);
    for body in ["a", "b", "c"] {
        bench.deliver(&mut sink, &[body]);
    }
    bench.clock.step(Duration::from_secs(24 * 60 * 60));
    bench.deliver(&mut sink, &["d"]);
    bench.assert_files(&[
        ("t-2026-11-23.log", "a\n"),
        ("t-2026-11-23-1.log", "b\n"),
        ("t-2026-11-23-2.log", "c\n"),
        ("t-2026-11-24.log", "d\n"),
    ]);
}

#[test]
fn a_new_start_without_positions_writes_beside_the_files_of_the_day() {
    let bench = bench();
    for body in ["a", "b"] {
        let channel = TestChannel::default();
        let mut sink = sink(&bench);
        channel.push(body);
        assert_eq!(channel.run("roll").step(&mut sink, 1).unwrap(), 1);
    }
    bench.assert_files(&[("t-2026-11-23.log", "a\n"), ("t-2026-11-23-1.log", "b\n")]);
}

#[test]
fn a_file_is_gone_on_with_after_a_restart_and_one_behind_it_is_removed() {
    let mut bench = bench();
    let mut first = sink(&bench).roll_events(2);
    bench.deliver(&mut first, &["a"]);
    drop(first);
    fs::write(bench.out().join("t-1795435200000-3.log.tmp"), "of no committed take\n").unwrap();
    fs::write(bench.out().join("t-1795435200000-3.tmp"), "somebody else's\n").unwrap();
    bench.restart();
    let mut second = sink(&bench).roll_events(2);
    bench.deliver(&mut second, &["b"]);
    bench.assert_files(&[("t-2026-11-23.log", "a\nb\n"), ("t-1795435200000-3.tmp", "somebody else's\n")]);
}
