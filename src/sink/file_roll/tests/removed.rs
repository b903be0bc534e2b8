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
