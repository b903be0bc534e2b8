//! On the operating system's files: names, rolling, what is found on start, errors.
#![allow(clippy::disallowed_methods)] // what is in the directory is looked at, and changed, past the sink

mod crashes;
mod naming;
mod removed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::channel::Channel;
use crate::clock::StepClock;
use crate::event::Event;
use crate::limits::FILE_ROLL_WRITE_BYTES;
use crate::sink::testing::{Run, TestChannel};
use crate::sink::{HeaderAndText, SerializeResult};

/// A directory, a clock that stands still, a channel, and the runner of the sink `roll`.
struct Bench {
    root: tempfile::TempDir,
    clock: Arc<StepClock>,
    channel: TestChannel,
    run: Run,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(StepClock::new());
        clock.step(Duration::from_millis(1_795_425_556_919));
        let channel = TestChannel::default();
        let run = channel.run("roll");
        Self { root: tempfile::tempdir().unwrap(), clock, channel, run }
    }

    fn sink(&self) -> FileRoll {
        FileRoll::new(self.root.path().join("out")).clock(Arc::clone(&self.clock) as _)
    }

    /// A new process: nothing but the channel and the files is left.
    fn restart(&mut self) {
        self.run = self.channel.run("roll");
    }

    fn push(&self, bodies: &[&'static str]) {
        for body in bodies {
            self.channel.push(*body);
        }
    }

    /// Puts the bodies and delivers them in one batch.
    fn deliver(&mut self, sink: &mut FileRoll, bodies: &[&'static str]) {
        self.push(bodies);
        assert_eq!(self.run.step(sink, bodies.len()).unwrap(), bodies.len());
    }

    fn idle(&mut self, sink: &mut FileRoll) {
        assert_eq!(self.run.step(sink, 1).unwrap(), 0);
    }

    /// Fails to deliver, because of the commit.
    fn deliver_without_commit(&mut self, sink: &mut FileRoll, bodies: &[&'static str]) {
        self.push(bodies);
        self.channel.fail_commits(1);
        assert!(self.run.step(sink, bodies.len()).is_err());
    }

    fn out(&self) -> std::path::PathBuf {
        self.root.path().join("out")
    }

    fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.out()).unwrap() {
            let entry = entry.unwrap();
            let text = String::from_utf8(fs::read(entry.path()).unwrap()).unwrap();
            files.insert(entry.file_name().into_string().unwrap(), text);
        }
        files
    }

    fn assert_files(&self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<_, _> = expected.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        assert_eq!(self.files(), expected);
    }
}

const FIRST: &str = "1795425556919-1";
const FIRST_TMP: &str = "1795425556919-1.tmp";
// Until the first commit.
const FIRST_HIDDEN: &str = ".39253e9c6f6c9875-1795425556919-1.tmp";
const SECOND_HIDDEN: &str = ".39253e9c6f6c9875-1795425556919-2.tmp";
const SECOND: &str = "1795425556919-2";
const SECOND_TMP: &str = "1795425556919-2.tmp";

fn message(error: &SinkError) -> String {
    error.to_string()
}

#[test]
fn a_file_gets_its_final_name_when_its_time_is_over_and_none_is_made_without_events() {
    let mut bench = Bench::new();
    let mut sink = bench.sink();
    bench.idle(&mut sink);
    bench.assert_files(&[]);
    bench.deliver(&mut sink, &["a", "b"]);
    bench.clock.step(Duration::from_millis(29_999));
    bench.idle(&mut sink);
    bench.deliver(&mut sink, &["c"]);
    bench.assert_files(&[(FIRST_TMP, "a\nb\nc\n")]);
    bench.clock.step(Duration::from_millis(1));
    bench.idle(&mut sink);
    bench.assert_files(&[(FIRST, "a\nb\nc\n")]);
    bench.clock.step(Duration::from_secs(60));
    bench.idle(&mut sink);
    bench.deliver(&mut sink, &["d"]);
    bench.assert_files(&[(FIRST, "a\nb\nc\n"), (SECOND_TMP, "d\n")]);
    // The time of the second is over when a batch comes: it goes to the third.
    bench.clock.step(Duration::from_secs(30));
    bench.deliver(&mut sink, &["e"]);
    bench.assert_files(&[(FIRST, "a\nb\nc\n"), (SECOND, "d\n"), ("1795425556919-3.tmp", "e\n")]);
    sink.close().unwrap();
    bench.assert_files(&[(FIRST, "a\nb\nc\n"), (SECOND, "d\n"), ("1795425556919-3", "e\n")]);
}

#[test]
fn bytes_and_events_finish_a_file_after_the_batch_that_reaches_them() {
    for (bytes, events) in [(6, 0), (0, 3), (5, 4), (6, 3)] {
        let mut bench = Bench::new();
        let mut sink = bench.sink().roll_interval(Duration::ZERO).roll_bytes(bytes).roll_events(events);
        bench.deliver(&mut sink, &["a", "b"]);
        bench.clock.step(Duration::from_secs(1 << 40));
        bench.idle(&mut sink);
        bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
        bench.deliver(&mut sink, &["c"]);
        bench.assert_files(&[(FIRST, "a\nb\nc\n")]);
        bench.deliver(&mut sink, &["d", "e", "f", "g"]);
        bench.assert_files(&[(FIRST, "a\nb\nc\n"), (SECOND, "d\ne\nf\ng\n")]);
    }
}

#[test]
fn names_have_prefix_extension_and_suffix_and_bodies_their_headers() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().prefix("tick-").extension("txt").in_progress_suffix("_open");
    sink = sink.serializer(HeaderAndText::new());
    bench.channel.push(Event::new("x").with_header("k", "v").unwrap());
    bench.run.step(&mut sink, 1).unwrap();
    bench.assert_files(&[("tick-1795425556919-1.txt_open", "{k=v} x\n")]);
    sink.close().unwrap();
    bench.assert_files(&[("tick-1795425556919-1.txt", "{k=v} x\n")]);
}

#[test]
fn with_empty_files_there_is_one_from_the_start_and_one_for_each_interval_as_in_flume() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().empty_files(true);
    bench.idle(&mut sink);
    bench.assert_files(&[(FIRST_HIDDEN, "")]);
    bench.clock.step(Duration::from_secs(30));
    bench.idle(&mut sink);
    bench.assert_files(&[(FIRST, ""), (SECOND_HIDDEN, "")]);
    bench.deliver(&mut sink, &["a"]);
    bench.clock.step(Duration::from_secs(30));
    bench.idle(&mut sink);
    bench.assert_files(&[(FIRST, ""), (SECOND, "a\n"), ("1795425556919-3.tmp", "")]);
    // Killed: the third is in no take, and made anew.
    bench.restart();
    bench.idle(&mut bench.sink().empty_files(true));
    bench.assert_files(&[(FIRST, ""), (SECOND, "a\n"), ("1795425556919-3.tmp", "")]);
}

#[test]
fn a_sink_that_stands_by_has_no_empty_files() {
    use crate::sink::group::{Failover, SinkGroup};
    let mut bench = Bench::new();
    let spare = FileRoll::new(bench.root.path().join("spare")).clock(Arc::clone(&bench.clock) as _);
    let mut group = SinkGroup::new(Failover::new())
        .member("main", bench.sink().empty_files(true))
        .member("spare", spare.empty_files(true))
        .clock(Arc::clone(&bench.clock) as _);
    assert_eq!(bench.run.step(&mut group, 1).unwrap(), 0);
    bench.clock.step(Duration::from_secs(30));
    assert_eq!(bench.run.step(&mut group, 1).unwrap(), 0);
    assert_eq!(bench.files().len(), 2);
    assert_eq!(fs::read_dir(bench.root.path().join("spare")).unwrap().count(), 0);
    // The other one fails, as its directory is gone.
    fs::remove_dir_all(bench.out()).unwrap();
    bench.clock.step(Duration::from_secs(30));
    bench.push(&["a"]);
    assert_eq!(bench.run.step(&mut group, 1).unwrap(), 1);
    assert_eq!(fs::read_dir(bench.root.path().join("spare")).unwrap().count(), 1);
}

#[test]
fn what_was_written_for_a_take_that_failed_is_cut_off() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().roll_interval(Duration::ZERO);
    // The very first take fails: nothing of the file is committed.
    bench.deliver_without_commit(&mut sink, &["a", "b"]);
    bench.assert_files(&[(FIRST_HIDDEN, "a\nb\n")]);
    assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
    bench.assert_files(&[(FIRST_TMP, "a\n")]);
    assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
    bench.deliver_without_commit(&mut sink, &["c", "d"]);
    bench.assert_files(&[(FIRST_TMP, "a\nb\nc\nd\n")]);
    bench.restart();
    let mut sink = bench.sink().roll_interval(Duration::ZERO);
    sink.open(&bench.run.context).unwrap();
    bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
    assert_eq!(bench.run.step(&mut sink, 10).unwrap(), 2);
    bench.assert_files(&[(FIRST_TMP, "a\nb\nc\nd\n")]);
}

/// A process that dies between the commit of the first take and what the sink does then.
#[test]
fn the_first_file_stays_where_positions_are_lost_with_the_process() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    let life = |bodies: &[&'static str], is_told: bool| {
        let channel = Arc::new(crate::MemoryChannel::new("c"));
        let context = SinkContext::new("roll", channel.clone(), crate::Shutdown::new());
        let mut sink = FileRoll::new(&out);
        sink.open(&context).unwrap();
        for body in bodies {
            channel.put(*body).unwrap();
        }
        let mut take = channel.take(10, crate::Wait::NONE).unwrap();
        sink.write(&mut SinkBatch::new(&mut take, &context)).unwrap();
        take.commit().unwrap();
        if is_told {
            sink.committed().unwrap();
        }
    };
    let files = || {
        let found = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap());
        let named =
            found.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()));
        named.collect::<BTreeMap<_, _>>()
    };
    life(&["a", "b"], false);
    let (hidden, text) = files().pop_first().unwrap();
    assert_eq!(text, "a\nb\n");
    let name = hidden.get(18..).unwrap().to_owned();
    // The name that it is to get is taken.
    fs::write(out.join(&name), "other").unwrap();
    life(&["c"], true);
    life(&["d"], true);
    let mut left = files();
    assert_eq!(left.remove(&name).as_deref(), Some("other"));
    assert_eq!(left.remove(&format!("1.{name}")).as_deref(), Some("a\nb\n"));
    let mut texts: Vec<_> = left.into_values().collect();
    texts.sort();
    assert_eq!(texts, ["c\n", "d\n"]);
}

#[test]
fn closing_with_an_uncommitted_take_leaves_the_file_in_progress() {
    let mut bench = Bench::new();
    let mut sink = bench.sink();
    bench.deliver(&mut sink, &["a"]);
    bench.deliver_without_commit(&mut sink, &["b"]);
    bench.clock.step(Duration::from_secs(30));
    sink.close().unwrap();
    bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
    bench.restart();
    let mut sink = bench.sink();
    assert_eq!(bench.run.step(&mut sink, 9).unwrap(), 1);
    sink.close().unwrap();
    // The time of the first was over, so `b` went to the second.
    bench.assert_files(&[(FIRST, "a\n"), (SECOND, "b\n")]);
}

#[test]
fn a_file_of_a_sink_that_was_killed_before_its_first_commit_is_removed_by_that_sink_alone() {
    let mut bench = Bench::new();
    bench.deliver_without_commit(&mut bench.sink(), &["a"]);
    bench.assert_files(&[(FIRST_HIDDEN, "a\n")]);
    // Another name, and another prefix: not theirs.
    let other = TestChannel::default();
    other.run("another").step(&mut bench.sink(), 1).unwrap();
    other.run("roll").step(&mut bench.sink().prefix("p-"), 1).unwrap();
    bench.assert_files(&[(FIRST_HIDDEN, "a\n")]);
    // Nor is its series.
    other.push("x");
    other.run("another").step(&mut bench.sink(), 1).unwrap();
    bench.assert_files(&[(FIRST_HIDDEN, "a\n"), ("1795425556920-1.tmp", "x\n")]);
    bench.restart();
    bench.clock.step(Duration::from_millis(5));
    assert_eq!(bench.run.step(&mut bench.sink(), 9).unwrap(), 1);
    bench.assert_files(&[("1795425556920-1.tmp", "x\n"), ("1795425556924-1.tmp", "a\n")]);
}

#[test]
fn a_file_of_a_sink_that_was_killed_right_after_its_first_commit_is_gone_on_with() {
    let mut bench = Bench::new();
    bench.push(&["a", "b"]);
    let mut sink = bench.sink();
    let mut take = bench.channel.take(1, crate::Wait::NONE).unwrap();
    sink.open(&bench.run.context).unwrap();
    sink.write(&mut SinkBatch::new(&mut take, &bench.run.context)).unwrap();
    take.commit().unwrap();
    bench.assert_files(&[(FIRST_HIDDEN, "a\n")]);
    bench.restart();
    assert_eq!(bench.run.step(&mut bench.sink(), 9).unwrap(), 1);
    bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
}

#[test]
fn a_file_whose_limit_was_reached_is_finished_on_start() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().roll_events(2);
    bench.push(&["a", "b"]);
    // Killed between the commit and `committed`.
    let mut take = bench.channel.take(2, crate::Wait::NONE).unwrap();
    sink.open(&bench.run.context).unwrap();
    sink.write(&mut SinkBatch::new(&mut take, &bench.run.context)).unwrap();
    take.commit().unwrap();
    bench.assert_files(&[(FIRST_HIDDEN, "a\nb\n")]);
    bench.restart();
    bench.idle(&mut bench.sink());
    bench.assert_files(&[(FIRST, "a\nb\n")]);
}

#[test]
fn a_file_is_not_finished_while_a_take_is_not_committed_whatever_the_runner_calls() {
    let bench = Bench::new();
    let mut sink = bench.sink().roll_events(1);
    sink.open(&bench.run.context).unwrap();
    bench.push(&["a", "b"]);
    let mut first = bench.channel.take(1, crate::Wait::NONE).unwrap();
    sink.write(&mut SinkBatch::new(&mut first, &bench.run.context)).unwrap();
    bench.clock.step(Duration::from_secs(30));
    sink.idle().unwrap();
    let mut second = bench.channel.take(1, crate::Wait::NONE).unwrap();
    sink.write(&mut SinkBatch::new(&mut second, &bench.run.context)).unwrap();
    bench.assert_files(&[(FIRST_HIDDEN, "a\nb\n")]);
    first.commit().unwrap();
    second.commit().unwrap();
    sink.committed().unwrap();
    bench.assert_files(&[(FIRST, "a\nb\n")]);
}

#[test]
fn after_an_error_nothing_is_written_before_the_sink_is_opened_again() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().serializer(Blocks { appendable: true, ..Blocks::default() });
    bench.deliver(&mut sink, &["a"]);
    bench.push(&["bad"]);
    assert!(bench.run.step(&mut sink, 1).is_err());
    let mut take = bench.channel.take(1, crate::Wait::NONE).unwrap();
    let error = sink.write(&mut SinkBatch::new(&mut take, &bench.run.context)).unwrap_err();
    assert!(message(&error).contains("not open"), "{error}");
    sink.idle().unwrap();
    sink.close().unwrap();
    bench.assert_files(&[(FIRST_TMP, "HEAD|[a]")]);
}

#[test]
fn the_age_of_a_file_counts_over_a_restart() {
    let mut bench = Bench::new();
    bench.deliver(&mut bench.sink(), &["a"]);
    bench.clock.step(Duration::from_secs(20));
    bench.restart();
    let mut sink = bench.sink();
    bench.deliver(&mut sink, &["b"]);
    bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
    bench.clock.step(Duration::from_secs(10));
    bench.idle(&mut sink);
    bench.assert_files(&[(FIRST, "a\nb\n")]);
}

#[test]
fn finished_files_belong_to_their_reader() {
    for clean in [true, false] {
        let mut bench = Bench::new();
        let mut sink = bench.sink();
        bench.deliver(&mut sink, &["a"]);
        bench.clock.step(Duration::from_secs(30));
        bench.idle(&mut sink);
        fs::remove_file(bench.out().join(FIRST)).unwrap();
        if clean {
            sink.close().unwrap();
        }
        bench.restart();
        bench.deliver(&mut bench.sink(), &["b"]);
        bench.assert_files(&[(SECOND_TMP, "b\n")]);
    }
}

#[test]
fn no_existing_file_is_overwritten_and_no_foreign_one_removed() {
    let mut bench = Bench::new();
    fs::create_dir(bench.out()).unwrap();
    let foreign = [FIRST, "1795425556920-5.tmp", "1795425556922-1x", "readme"];
    for name in foreign {
        fs::write(bench.out().join(name), name).unwrap();
    }
    let mut sink = bench.sink().roll_events(1);
    bench.deliver(&mut sink, &["a"]);
    let mut expected: Vec<_> = foreign.iter().map(|name| (*name, *name)).collect();
    expected.push(("1795425556921-1", "a\n"));
    bench.assert_files(&expected);
    // Someone puts files where the second, the third and the fourth of this series would be.
    for name in ["1795425556921-2", "1795425556921-4"] {
        fs::write(bench.out().join(name), name).unwrap();
        expected.push((name, name));
    }
    let mut sink = bench.sink();
    bench.restart();
    bench.deliver(&mut sink, &["b"]);
    fs::write(bench.out().join("1795425556921-3"), "3").unwrap();
    expected.push(("1795425556921-3", "3"));
    sink.close().unwrap();
    expected.push(("1795425556921-5", "b\n"));
    bench.assert_files(&expected);
    bench.restart();
    bench.deliver(&mut bench.sink(), &["c"]);
    expected.push(("1795425556921-6.tmp", "c\n"));
    bench.assert_files(&expected);
}

#[test]
fn sinks_that_share_a_directory_leave_each_other_alone() {
    let mut bench = Bench::new();
    let other_channel = TestChannel::default();
    let mut other_run = other_channel.run("another");
    let (mut one, mut other) = (bench.sink(), bench.sink());
    for round in 0..3 {
        // Both at the same millisecond; every commit of the other is tried twice, and both are killed after each round.
        bench.deliver(&mut one, &["1"]);
        other_channel.push("2");
        other_channel.fail_commits(1);
        assert!(other_run.step(&mut other, 1).is_err());
        assert_eq!(other_run.step(&mut other, 1).unwrap(), 1);
        let lines = |body: &str| body.repeat(round + 1);
        bench.assert_files(&[(FIRST_TMP, &lines("1\n")), ("1795425556920-1.tmp", &lines("2\n"))]);
        bench.restart();
        other_run = other_channel.run("another");
        (one, other) = (bench.sink(), bench.sink());
    }
}

#[test]
fn a_file_that_lost_committed_bytes_stops_the_sink_and_is_named_with_both_lengths() {
    let mut bench = Bench::new();
    bench.deliver(&mut bench.sink(), &["a", "b"]);
    fs::write(bench.out().join(FIRST_TMP), "a\n").unwrap();
    bench.restart();
    for _ in 0..2 {
        let error = bench.run.step(&mut bench.sink(), 1).unwrap_err();
        assert!(matches!(error, SinkError::Fatal(_)));
        let text = message(&error);
        assert!(text.contains(FIRST_TMP) && text.contains("is 2 bytes long, but 4 bytes with 2 events"), "{text}");
    }
    // The advice in the message helps.
    fs::rename(bench.out().join(FIRST_TMP), bench.out().join("aside")).unwrap();
    bench.deliver(&mut bench.sink(), &["c"]);
    bench.assert_files(&[("aside", "a\n"), (SECOND_TMP, "c\n")]);
}

#[test]
fn without_a_sync_for_each_batch_a_file_that_lost_bytes_is_reported_once_and_finished() {
    for fsync in [Fsync::OnRoll, Fsync::Never] {
        let mut bench = Bench::new();
        bench.deliver(&mut bench.sink().fsync(fsync), &["a", "b"]);
        fs::write(bench.out().join(FIRST_TMP), "a\n").unwrap();
        bench.restart();
        let mut sink = bench.sink().fsync(fsync);
        let error = bench.run.step(&mut sink, 1).unwrap_err();
        assert!(matches!(error, SinkError::Retry(_)) && message(&error).contains("is 2 bytes long"));
        bench.deliver(&mut sink, &["c"]);
        bench.assert_files(&[(FIRST, "a\n"), (SECOND_TMP, "c\n")]);
    }
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    let sinks = [
        (bench.sink().prefix("../x"), "prefix \"../x\""),
        (bench.sink().prefix("nul\0"), "prefix \"nul\\0\""),
        (bench.sink().extension("a/b"), "extension \"a/b\""),
        (bench.sink().extension("\n"), "extension \"\\n\""),
        (bench.sink().in_progress_suffix(""), "suffix \"\""),
        (bench.sink().in_progress_suffix("0"), "suffix \"0\""),
        (bench.sink().in_progress_suffix(".t/"), "suffix \".t/\""),
        (bench.sink().prefix("x".repeat(193)), "255 bytes"),
    ];
    for (mut sink, named) in sinks {
        let error = sink.open(&bench.run.context).unwrap_err();
        assert!(matches!(error, SinkError::Fatal(_)) && message(&error).contains(named), "{error}");
        assert!(!bench.out().exists());
    }
    bench.sink().prefix("x".repeat(192)).open(&bench.run.context).unwrap();
}

#[test]
fn a_position_of_something_else_is_refused() {
    let bench = Bench::new();
    for foreign in [&b""[..], b"17", &[0xff; 60]] {
        bench.channel.set_position("sink/roll/", Some(Bytes::from_static(foreign)));
        let error = bench.sink().open(&bench.run.context).unwrap_err();
        assert!(matches!(error, SinkError::Fatal(_)) && message(&error).contains("give the sink a name"), "{error}");
    }
}

#[test]
fn what_can_be_repaired_is_an_error_that_can_pass_and_names_the_path() {
    let mut bench = Bench::new();
    let deep = bench.root.path().join("no").join("out");
    let mut sink = FileRoll::new(&deep);
    let error = sink.open(&bench.run.context).unwrap_err();
    assert!(matches!(error, SinkError::Retry(_)) && message(&error).contains(&deep.display().to_string()), "{error}");
    fs::create_dir(bench.root.path().join("no")).unwrap();
    bench.deliver(&mut sink, &["a"]);
    // A file where the directory should be.
    let file = bench.root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileRoll::new(&file).open(&bench.run.context).unwrap_err();
    assert!(matches!(error, SinkError::Retry(_)) && message(&error).contains("not a directory"), "{error}");
    // Writing without opening.
    let mut take = bench.channel.take(1, crate::Wait::NONE).unwrap();
    let error = bench.sink().write(&mut SinkBatch::new(&mut take, &bench.run.context)).unwrap_err();
    assert!(message(&error).contains("not open"));
}

#[test]
fn a_symbolic_link_in_the_place_of_the_file_is_not_followed() {
    let mut bench = Bench::new();
    bench.deliver(&mut bench.sink(), &["a"]);
    let victim = bench.root.path().join("victim");
    fs::write(&victim, "victim").unwrap();
    fs::remove_file(bench.out().join(FIRST_TMP)).unwrap();
    std::os::unix::fs::symlink(&victim, bench.out().join(FIRST_TMP)).unwrap();
    bench.restart();
    assert!(bench.run.step(&mut bench.sink(), 1).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"victim");
}

/// A format with header, blocks and footer that refuses the body `bad`: what a container format needs of the sink.
#[derive(Default)]
struct Blocks {
    kept: Vec<u8>,
    resumed: bool,
    appendable: bool,
}

impl Serializer for Blocks {
    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        out.extend_from_slice(b"HEAD|");
        Ok(())
    }

    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        assert!(head.starts_with(b"HEAD|") && head.len() <= crate::limits::SERIALIZER_HEAD_BYTES);
        self.resumed = true;
        Ok(self.appendable)
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        if event.body() == "bad" {
            out.extend_from_slice(b"half of it");
            return Err("a bad body".into());
        }
        self.kept.extend_from_slice(event.body());
        Ok(())
    }

    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        out.push(b'[');
        out.append(&mut self.kept);
        out.push(b']');
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        out.extend_from_slice(b"|FOOT");
        Ok(())
    }
}

#[test]
fn a_serializer_can_have_a_header_blocks_and_a_footer() {
    for appendable in [true, false] {
        let mut bench = Bench::new();
        let mut sink = bench.sink().serializer(Blocks { appendable, ..Blocks::default() });
        bench.deliver(&mut sink, &["a", "b"]);
        bench.deliver_without_commit(&mut sink, &["c"]);
        bench.assert_files(&[(FIRST_TMP, "HEAD|[ab][c]")]);
        bench.run.step(&mut sink, 1).unwrap();
        sink.close().unwrap();
        if appendable {
            bench.assert_files(&[(FIRST, "HEAD|[ab][c]|FOOT")]);
        } else {
            bench.assert_files(&[(FIRST, "HEAD|[ab]"), (SECOND, "HEAD|[c]|FOOT")]);
        }
    }
}

#[test]
fn an_event_that_cannot_be_serialized_stops_only_itself() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().serializer(Blocks { appendable: true, ..Blocks::default() });
    bench.push(&["a", "b", "bad", "c"]);
    assert_eq!(bench.run.step(&mut sink, 4).unwrap(), 2);
    bench.assert_files(&[(FIRST_TMP, "HEAD|[ab]")]);
    for _ in 0..2 {
        let error = bench.run.step(&mut sink, 4).unwrap_err();
        assert!(matches!(error, SinkError::Permanent(_)) && message(&error) == "a bad body");
    }
    // The agent's policy drops it.
    bench.channel.take(1, crate::Wait::NONE).unwrap().commit().unwrap();
    bench.run.step(&mut sink, 4).unwrap();
    sink.close().unwrap();
    bench.assert_files(&[(FIRST, "HEAD|[ab][c]|FOOT")]);
}

#[test]
fn large_batches_and_giant_events_arrive_whole_and_leave_no_large_buffer() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().roll_interval(Duration::ZERO);
    let mut expected = Vec::new();
    for (count, size) in [(10_000_usize, 200_usize), (3, 4 << 20), (5000, 1), (1, 0), (3, FILE_ROLL_WRITE_BYTES - 1)] {
        for i in 0..count {
            let body = vec![b'a' + u8::try_from(i % 26).unwrap(); size];
            expected.extend_from_slice(&body);
            expected.push(b'\n');
            bench.channel.push(body);
        }
        assert_eq!(bench.run.step(&mut sink, count).unwrap(), count);
        assert!(sink.buffer.is_empty() && sink.buffer.capacity() <= 2 * FILE_ROLL_WRITE_BYTES + 1024);
    }
    let written = fs::read(Path::new(&bench.out()).join(FIRST_TMP)).unwrap();
    assert!(written == expected, "{} bytes instead of {}", written.len(), expected.len());
    println!("{} bytes in batches of 1 to 10000", expected.len());
}
