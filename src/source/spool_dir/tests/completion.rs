//! Restarts, crashes, and completions that fail.

use super::*;

pub(super) fn policies() -> [Completed; 3] {
    [Completed::rename(), Completed::Delete, Completed::tracker(".flumespool")]
}

fn fill(bench: &Bench) -> Vec<String> {
    let mut expected = Vec::new();
    for (i, lines) in [3, 0, 1, 7, 1, 0, 2, 12, 1].into_iter().enumerate() {
        let text: Vec<String> = (0..lines).map(|line| format!("file {i} line {line}")).collect();
        let end = if i % 2 == 0 { "\n" } else { "" };
        bench.write(&format!("{i}"), if lines == 0 { String::new() } else { text.join("\n") + end }, 1);
        expected.extend(if lines == 0 { vec![String::new()] } else { text });
    }
    expected
}

fn assert_all_completed(bench: &Bench, completed: &Completed, what: &str) {
    let names = bench.names();
    match completed {
        Completed::Delete => assert_eq!(names, [""; 0], "{what}"),
        Completed::Rename { .. } => {
            assert!(names.len() == 9 && names.iter().all(|name| name.ends_with(".COMPLETED")), "{what}: {names:?}");
        }
        Completed::Tracker { .. } => {
            assert_eq!(names.iter().filter(|name| name.ends_with(".COMPLETED")).count(), 9, "{what}: {names:?}");
        }
    }
}

/// Goal: a restart neither loses nor repeats a line. Method: after every single poll the source is thrown away, either
/// before its batch is committed, or between the commit and the completion, or after both.
#[test]
fn a_restart_after_any_step_neither_loses_nor_repeats_a_line() {
    let mut restarts = 0;
    for completed in policies() {
        for batch in [1, 2, 3, 5, 100] {
            for (read_bytes, when) in [(1, 0), (3, 1), (1 << 16, 0), (1 << 16, 1), (1 << 16, 2)] {
                let mut bench = Bench::new();
                bench.batch = batch;
                let expected = fill(&bench);
                for round in 0..1000 {
                    let mut source = bench.opened(bench.source().completed(completed.clone()).read_bytes(read_bytes));
                    let mut out = PullBatch::new(batch);
                    let pulled = source.poll(&mut out).unwrap();
                    if out.is_empty() && pulled == Pulled::Idle {
                        break;
                    }
                    restarts += 1;
                    // Every other batch is lost, if batches are to be lost at all.
                    if when == 0 && round % 2 == 0 {
                        continue;
                    }
                    bench.context().put_batch(out.into_put_batch(), None).unwrap();
                    if when != 1 {
                        source.committed().unwrap();
                    }
                }
                assert_eq!(bench.bodies(), expected, "{completed:?} batch {batch} pieces {read_bytes} when {when}");
                assert_all_completed(&bench, &completed, "restarts");
                assert_eq!(bench.reports(), [""; 0]);
                assert!(bench.port.0.lock().1.is_empty(), "no position is left behind");
            }
        }
    }
    println!("{restarts} restarts");
}

/// Goal: a crash between any two changes of the file system leaves nothing lost and nothing repeated. Method: the file
/// system stops working after n changes, for every n, and a new source takes over.
#[test]
fn a_crash_between_any_two_changes_neither_loses_nor_repeats_a_line() {
    let mut crashes = 0;
    for completed in policies() {
        for batch in [1, 4, 100] {
            for allowed in 0..1000 {
                let mut bench = Bench::new();
                bench.batch = batch;
                let expected = fill(&bench);
                let vfs = Arc::new(TestVfs::new(allowed));
                let mut source = bench.source().completed(completed.clone()).vfs(vfs);
                let is_cut = source.open(&bench.context()).is_err()
                    || loop {
                        match bench.step(&mut source) {
                            Err(_) => break true,
                            Ok(Pulled::Idle) => break false,
                            Ok(_) => {}
                        }
                    };
                drop(source);
                let was_reported = !bench.reports().is_empty();
                let mut source = bench.ran(bench.source().completed(completed.clone()));
                bench.drain(&mut source);
                let what = format!("{completed:?} batch {batch} after {allowed} changes");
                assert_eq!(bench.bodies(), expected, "{what}");
                assert_all_completed(&bench, &completed, &what);
                assert_eq!(bench.reports(), [""; 0], "{what}");
                if !is_cut && !was_reported {
                    break;
                }
                crashes += 1;
            }
        }
    }
    println!("{crashes} crashes");
}

/// Goal: a file that cannot be completed is not read again, also after a restart, and is completed once that is possible.
#[test]
fn a_file_that_cannot_be_completed_is_reported_once_and_completed_later() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.write("a", "1\n2\n3\n", 2);
    bench.write("b", "4\n", 1);
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    bench.write("a.COMPLETED", "in the way", 1);
    bench.drain(&mut source);
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3", "4"]);
    assert_one_report(&bench.reports(), "completed before as");
    for _ in 0..3 {
        bench.run(bench.source());
    }
    assert_eq!(bench.bodies(), ["1", "2", "3", "4"]);
    assert_eq!(bench.reports().len(), 3, "once in each life");
    assert_eq!(fs::read(bench.path("a.COMPLETED")).unwrap(), b"in the way");
    fs::remove_file(bench.path("a.COMPLETED")).unwrap();
    bench.drain(&mut source);
    assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED"]);
    assert_eq!(fs::read(bench.path("a.COMPLETED")).unwrap(), b"1\n2\n3\n");
    bench.drain(&mut source);
    assert!(bench.port.0.lock().1.is_empty(), "no position is left behind");
}

/// Goal: a file that was read to its end is not read again because somebody touches it before it is completed. Where it cannot
/// be told from a new file that has its inode number and its content, it is, so that none is completed unread. Method: it is
/// touched while its completion fails, and after a crash between the commit and the completion, with and without times of
/// creation.
#[test]
fn a_file_that_is_touched_before_its_completion_is_read_again_only_if_it_may_be_new() {
    for (completed, keeps_created) in
        policies().into_iter().flat_map(|completed| [(completed.clone(), true), (completed, false)])
    {
        let bench = Bench::new();
        let vfs = || Arc::new(TestVfs { keeps_created, ..TestVfs::new(i64::MAX) });
        let source = || bench.source().completed(completed.clone()).vfs(vfs());
        let is_known = keeps_created && fs::metadata(bench.path("")).unwrap().created().is_ok();
        let what = format!("{completed:?}, known: {is_known}");
        if completed != Completed::Delete {
            // There is no room for the suffix.
            let long = "n".repeat(250);
            bench.write(&long, "1\n2\n", 9);
            let mut failing = bench.ran(source());
            for age in [8, 7] {
                set_age(&bench.path(&long), age);
                bench.drain(&mut failing);
                bench.run(source());
            }
            assert_eq!(bench.bodies(), ["1", "2"].repeat(if is_known { 1 } else { 3 }), "{what}");
            assert!(bench.reports().iter().all(|report| report.contains("cannot be completed")));
            fs::remove_file(bench.path(&long)).unwrap();
            bench.run(source());
        }

        bench.port.0.lock().0.clear();
        bench.write("a", "3\n4\n", 2);
        let mut out = PullBatch::new(10);
        bench.opened(source()).poll(&mut out).unwrap();
        bench.context().put_batch(out.into_put_batch(), None).unwrap();
        set_age(&bench.path("a"), 1);
        bench.run(source());
        assert_eq!(bench.bodies(), ["3", "4"].repeat(if is_known { 1 } else { 2 }), "{what}");
        assert!(fs::metadata(bench.path("a")).is_err() || matches!(completed, Completed::Tracker { .. }), "{what}");
        if is_known {
            assert_one_report(&bench.reports(), "was modified");
        }
        assert_eq!(bench.reports(), [""; 0], "{what}");
    }
}

#[test]
fn a_failed_sync_of_the_directory_ends_the_source() {
    let bench = Bench::new();
    bench.write("a", "1\n", 2);
    // The rename succeeds, the sync does not.
    let vfs = Arc::new(TestVfs::new(1));
    let mut source = bench.opened(bench.source().vfs(vfs));
    assert!(matches!(bench.step(&mut source), Err(SourceError::Fatal(_))));
    bench.run(bench.source());
    assert_eq!(bench.bodies(), ["1"]);
    assert_eq!(bench.names(), ["a.COMPLETED"]);
}

#[test]
fn a_file_that_grows_between_its_end_and_its_completion_is_read_on() {
    let bench = Bench::new();
    bench.write("a", "1\n", 2);
    let mut source = bench.opened(bench.source());
    let mut out = PullBatch::new(10);
    source.poll(&mut out).unwrap();
    append(&bench.path("a"), "2\n");
    bench.context().put_batch(out.into_put_batch(), None).unwrap();
    source.committed().unwrap();
    for _ in 0..3 {
        bench.settle();
        bench.drain(&mut source);
    }
    assert_eq!(bench.bodies(), ["1", "2"]);
    assert_eq!(bench.names(), ["a.COMPLETED"]);
    assert_one_report(&bench.reports(), "grew");

    // The same, but the source goes down before it completes the file.
    bench.write("b", "3\n", 2);
    let mut source = bench.opened(bench.source());
    let mut out = PullBatch::new(10);
    source.poll(&mut out).unwrap();
    bench.context().put_batch(out.into_put_batch(), None).unwrap();
    append(&bench.path("b"), "4\n");
    let mut source = bench.opened(bench.source());
    for _ in 0..3 {
        bench.settle();
        bench.drain(&mut source);
    }
    assert_eq!(bench.bodies(), ["1", "2", "3", "4"]);
    assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED"]);
}

#[test]
fn a_new_file_under_the_name_of_one_that_was_removed_just_before_the_crash_is_read() {
    let bench = Bench::new();
    bench.write("a", "beat\n", 2);
    let delete = || bench.source().completed(Completed::Delete);
    let mut source = bench.opened(delete());
    let mut out = PullBatch::new(10);
    source.poll(&mut out).unwrap();
    bench.context().put_batch(out.into_put_batch(), None).unwrap();
    source.committed().unwrap();
    drop(source);
    // The position still says that a file of this name is to be removed.
    bench.write("a", "beat\n", 1);
    bench.run(delete());
    assert_eq!(bench.bodies(), ["beat", "beat"]);
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn a_position_of_another_version_is_an_error_that_says_so() {
    let bench = Bench::new();
    for key in ["at", "kept/1-2-3"] {
        let bench = Bench { port: Arc::default(), reports: Arc::default(), ..Bench::new() };
        bench.port.0.lock().1.insert(format!("source/spool/{key}"), bytes::Bytes::from_static(b"\x09"));
        let error = bench.source().open(&bench.context()).unwrap_err();
        assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains(key), "{error}");
    }
    drop(bench);
}
