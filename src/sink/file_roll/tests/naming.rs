//! Names that consist of the time.

use super::*;
use crate::sink::FileNaming;

/// At a whole second.
const BEGIN: u64 = 1_795_435_200_000;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.clock.step(Duration::from_millis(BEGIN - 1_795_425_556_919));
    bench
}

fn sink(bench: &Bench) -> FileRoll {
    bench.sink().naming(FileNaming::Date).prefix("t-").extension("log").roll_events(1)
}

/// The name of file `number` of a second, in the zone of the system that runs the test.
fn name(seconds: i64, number: u32) -> String {
    let time = jiff::Timestamp::from_second(1_795_435_200 + seconds).unwrap();
    let time = jiff::tz::TimeZone::system().to_datetime(time);
    let (date, clock) = (time.date().to_string().replace('-', ""), time.time().to_string().replace(':', ""));
    format!("t-{date}{clock}-{number}.log")
}

#[test]
fn files_of_a_second_are_counted() {
    let mut bench = bench();
    let mut sink = sink(&bench);
    for body in ["a", "b", "c"] {
        bench.deliver(&mut sink, &[body]);
    }
    bench.clock.step(Duration::from_millis(1_500));
    bench.deliver(&mut sink, &["d"]);
    let names = [name(0, 1), name(0, 2), name(0, 3), name(1, 1)];
    assert!(names[0].starts_with("t-202611"), "{}", names[0]);
    let files: Vec<_> = names.iter().map(String::as_str).zip(["a\n", "b\n", "c\n", "d\n"]).collect();
    bench.assert_files(&files);
}

#[test]
fn a_new_start_without_positions_writes_beside_the_files_of_the_second() {
    let bench = bench();
    for body in ["a", "b"] {
        let channel = TestChannel::default();
        let mut sink = sink(&bench);
        channel.push(body);
        assert_eq!(channel.run("roll").step(&mut sink, 1).unwrap(), 1);
    }
    bench.assert_files(&[(&name(0, 1), "a\n"), (&name(0, 2), "b\n")]);
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
    bench.assert_files(&[(&name(0, 1), "a\nb\n"), ("t-1795435200000-3.tmp", "somebody else's\n")]);
}
