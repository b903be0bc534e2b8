//! Files and directories that somebody removes or renames while they are written to.

use super::*;

/// Goal: nothing more is committed into a file that somebody removed, and its loss is told. Method: the file, or its directory, is
/// removed or renamed before a batch, or before it is finished.
#[test]
fn a_file_that_somebody_removed_is_told_and_gets_no_more_events() {
    type Remove = fn(&Bench);
    let ways: [Remove; 4] = [
        |bench| fs::remove_file(bench.out().join(FIRST_TMP)).unwrap(),
        |bench| fs::rename(bench.out().join(FIRST_TMP), bench.root.path().join("elsewhere")).unwrap(),
        |bench| fs::remove_dir_all(bench.out()).unwrap(),
        |bench| fs::rename(bench.out(), bench.root.path().join("elsewhere")).unwrap(),
    ];
    for remove in ways {
        for is_due in [false, true] {
            let mut bench = Bench::new();
            let mut sink = bench.sink();
            bench.deliver(&mut sink, &["a", "b"]);
            remove(&bench);
            bench.push(&["c"]);
            if is_due {
                bench.clock.step(Duration::from_secs(30));
            }
            let error = message(&bench.run.step(&mut sink, 1).unwrap_err());
            assert!(error.contains("is gone") && error.contains("with 2 events"), "{error}");
            assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
            bench.assert_files(&[(SECOND_TMP, "c\n")]);
            sink.close().unwrap();
            bench.assert_files(&[(SECOND, "c\n")]);
        }
    }
}

/// Goal: a file that somebody put in the place of the one in progress is not taken for it. Method: a shorter and a longer one, before
/// a batch and before the file is finished; then the sink opens once more before anything is committed to the next file.
#[test]
fn a_file_in_the_place_of_the_one_in_progress_is_left_alone() {
    for (content, fsync) in [("x", Fsync::EveryBatch), ("x", Fsync::OnRoll), ("a longer one\n", Fsync::EveryBatch)] {
        for is_due in [false, true] {
            let mut bench = Bench::new();
            let mut sink = bench.sink().fsync(fsync);
            bench.deliver(&mut sink, &["a", "b"]);
            let path = bench.out().join(FIRST_TMP);
            fs::write(bench.root.path().join("other"), content).unwrap();
            fs::rename(bench.root.path().join("other"), &path).unwrap();
            bench.push(&["c"]);
            if is_due {
                bench.clock.step(Duration::from_secs(30));
            }
            let error = message(&bench.run.step(&mut sink, 1).unwrap_err());
            assert!(error.contains("is gone") && error.contains("with 2 events"), "{error}");
            bench.channel.fail_commits(1);
            assert!(bench.run.step(&mut sink, 1).is_err());
            assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
            bench.assert_files(&[(FIRST_TMP, content), (SECOND_TMP, "c\n")]);
            sink.close().unwrap();
            bench.assert_files(&[(FIRST_TMP, content), (SECOND, "c\n")]);
        }
    }
}

/// A name that is used again, as nothing was committed under it, is that of a file to go on with.
#[test]
fn a_name_whose_file_was_removed_before_any_commit_is_used_again() {
    let mut bench = Bench::new();
    let mut sink = bench.sink().empty_files(true);
    bench.idle(&mut sink);
    fs::remove_file(bench.out().join(FIRST_HIDDEN)).unwrap();
    bench.push(&["a"]);
    let error = message(&bench.run.step(&mut sink, 1).unwrap_err());
    assert!(error.contains("with 0 events"), "{error}");
    assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
    bench.deliver_without_commit(&mut sink, &["b"]);
    assert_eq!(bench.run.step(&mut sink, 1).unwrap(), 1);
    bench.assert_files(&[(FIRST_TMP, "a\nb\n")]);
}
