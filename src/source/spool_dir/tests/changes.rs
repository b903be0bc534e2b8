//! Files that are not left alone while they are here.

use super::*;

#[test]
fn a_file_that_grows_is_reported_once_and_read_to_its_new_end() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.write("a", "1\n2\n3\n", 2);
    bench.write("b", "other\n", 1);
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    append(&bench.path("a"), "4\n5 is not compl");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3", "4", "other"], "the last line may go on");
    append(&bench.path("a"), "ete\n6");
    bench.settle();
    bench.drain(&mut source);
    assert_eq!(bench.names(), ["a", "b.COMPLETED"]);
    bench.settle();
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3", "4", "other", "5 is not complete", "6"]);
    assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED"]);
    assert_one_report(&bench.reports(), "grew from 6 to 22 bytes");
    assert!(bench.port.0.lock().1.is_empty(), "no position is left behind");
}

#[test]
fn a_file_that_grows_all_the_time_is_no_hindrance_and_survives_restarts() {
    let mut bench = Bench::new();
    bench.batch = 1;
    bench.write("live", "", 100);
    let mut expected = Vec::new();
    for round in 0..20 {
        append(&bench.path("live"), &format!("live {round}\nsecond {round}\n"));
        bench.write(&format!("file{round:02}"), format!("file {round}\n"), 50);
        let mut source = bench.opened(bench.source());
        bench.step(&mut source).unwrap();
        bench.step(&mut source).unwrap();
        append(&bench.path("live"), &format!("more {round}\n"));
        bench.drain(&mut source);
        bench.settle();
        append(&bench.path("live"), &format!("even more {round}\n"));
        bench.drain(&mut source);
        expected.extend(["live", "second", "more", "even more", "file"].map(|word| format!("{word} {round}")));
    }
    bench.settle();
    let mut source = bench.opened(bench.source().until_empty());
    for _ in 0..3 {
        bench.settle();
        bench.drain(&mut source);
    }
    let mut bodies = bench.bodies();
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected);
}

#[test]
fn until_empty_waits_for_a_file_that_grows() {
    let mut bench = Bench::new();
    bench.batch = 1;
    bench.write("a", "1\n2\n", 1);
    let mut source = bench.opened(bench.source().until_empty());
    bench.step(&mut source).unwrap();
    append(&bench.path("a"), "3\n");
    assert_eq!(bench.drain(&mut source), Pulled::Idle);
    bench.settle();
    assert_eq!(bench.drain(&mut source), Pulled::Done);
    assert_eq!(bench.bodies(), ["1", "2", "3"]);
}

#[test]
fn a_file_that_shrinks_is_reported_once_and_left_alone() {
    for restart in [false, true] {
        let mut bench = Bench::new();
        bench.batch = 2;
        bench.write("a", "1\n2\n3\n4\n", 2);
        bench.write("b", "other", 1);
        let mut source = bench.opened(bench.source());
        bench.step(&mut source).unwrap();
        fs::File::options().write(true).open(bench.path("a")).unwrap().set_len(2).unwrap();
        if restart {
            source = bench.opened(bench.source());
        }
        bench.drain(&mut source);
        assert_one_report(&bench.reports(), "shrank from 8 to 2 bytes");
        let bodies = bench.bodies();
        assert!(bodies.starts_with(&["1".into(), "2".into()]) && bodies.ends_with(&["other".into()]), "{bodies:?}");
        bench.write("a", "something quite different\n", 0);
        bench.drain(&mut source);
        bench.run(bench.source());
        assert_eq!(bench.bodies(), bodies, "the same file is never read again");
        assert_eq!(bench.names(), ["a", "b.COMPLETED"]);

        // Another file of that name is.
        bench.write("new", "new\n", 0);
        fs::rename(bench.path("new"), bench.path("a")).unwrap();
        bench.run(bench.source());
        assert_eq!(bench.bodies().last().unwrap(), "new");
        assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED"]);
    }
}

#[test]
fn a_replaced_file_is_read_to_its_end_and_the_other_one_as_well() {
    for completed in [Completed::rename(), Completed::Delete, Completed::tracker(".flumespool")] {
        let mut bench = Bench::new();
        bench.batch = 2;
        bench.write("a", "1\n2\n3\n", 1);
        let mut source = bench.opened(bench.source().completed(completed.clone()));
        bench.step(&mut source).unwrap();
        bench.write("other", "4\n5\n", 1);
        fs::rename(bench.path("other"), bench.path("a")).unwrap();
        bench.drain(&mut source);
        assert_eq!(bench.bodies(), ["1", "2", "3", "4", "5"], "{completed:?}");
        assert_one_report(&bench.reports(), "was replaced");
    }
}

#[test]
fn a_file_replaced_while_the_source_is_down_is_read_as_a_new_one() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.write("a", "1\n2\n3\n", 1);
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    bench.write("other", "4\n5\n", 1);
    fs::rename(bench.path("other"), bench.path("a")).unwrap();
    bench.run(bench.source());
    assert_eq!(bench.bodies(), ["1", "2", "4", "5"]);
    assert_one_report(&bench.reports(), "was replaced");
}

#[test]
fn a_removed_file_is_read_to_its_end() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.write("a", "1\n2\n3\n", 1);
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    fs::remove_file(bench.path("a")).unwrap();
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3"]);
    assert_one_report(&bench.reports(), "was removed");
}

#[test]
fn a_touched_file_is_reported_and_completed() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.write("a", "1\n2\n3\n", 9);
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    set_age(&bench.path("a"), 3);
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3"]);
    assert_eq!(bench.names(), ["a.COMPLETED"]);
    assert_one_report(&bench.reports(), "was modified");
}

#[test]
fn files_that_vanish_after_the_listing_are_passed_over() {
    let mut bench = Bench::new();
    bench.batch = 1;
    for i in 0..5 {
        bench.write(&format!("{i}"), format!("{i}"), 1);
    }
    let mut source = bench.opened(bench.source());
    bench.step(&mut source).unwrap();
    fs::remove_file(bench.path("2")).unwrap();
    fs::remove_file(bench.path("3")).unwrap();
    fs::create_dir(bench.path("3")).unwrap();
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["0", "1", "4"]);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn a_name_that_was_completed_before_is_reported_once_and_left_alone() {
    for completed in [Completed::rename(), Completed::tracker(".flumespool")] {
        let bench = Bench::new();
        bench.write("a", "first\n", 3);
        let source = || bench.source().completed(completed.clone());
        let mut source_1 = bench.ran(source());
        fs::write(bench.path("new"), "second, different\n").unwrap();
        fs::rename(bench.path("new"), bench.path("a")).unwrap();
        bench.write("b", "third\n", 1);
        bench.drain(&mut source_1);
        bench.drain(&mut source_1);
        assert_eq!(bench.bodies(), ["first", "third"], "{completed:?}");
        assert_one_report(&bench.reports(), "completed before as");
        bench.run(source());
        assert_one_report(&bench.reports(), "completed before as");

        let mark = if completed == Completed::rename() { "a.COMPLETED" } else { ".flumespool/a.COMPLETED" };
        fs::remove_file(bench.path(mark)).unwrap();
        bench.drain(&mut source_1);
        assert_eq!(bench.bodies(), ["first", "third", "second, different"], "{completed:?}");
    }
}

#[test]
fn another_file_that_begins_like_the_tracked_one_is_reported() {
    let bench = Bench::new();
    let source = || bench.source().completed(Completed::tracker(".flumespool"));
    let head = "h".repeat(4100);
    bench.write("a", format!("{head}\nAAAA\n"), 3);
    bench.run(source());
    bench.write("new", format!("{head}\nBBBB\n"), 2);
    fs::rename(bench.path("new"), bench.path("a")).unwrap();
    bench.run(source());
    assert_eq!(bench.events().len(), 2);
    assert_one_report(&bench.reports(), "completed before as");
}

/// The inodes are others in a spool directory that comes from a backup, and in some on FUSE.
#[test]
fn a_tracked_file_that_is_compared_as_a_whole_may_have_another_inode() {
    for len in [5, 4096] {
        let bench = Bench::new();
        let source = || bench.source().completed(Completed::tracker(".flumespool"));
        let text = "x".repeat(len);
        bench.write("a", &text, 3);
        bench.run(source());
        bench.write("restored", &text, 2);
        fs::rename(bench.path("restored"), bench.path("a")).unwrap();
        bench.run(source());
        assert_eq!((bench.events().len(), bench.reports()), (1, vec![]), "{len}");
    }
}

#[test]
fn a_new_file_with_the_inode_of_a_removed_one_is_not_that_one_grown() {
    let bench = Bench::new();
    let delete = || bench.source().completed(Completed::Delete);
    bench.write("a", "beat\n", 3);
    let before = fs::metadata(bench.path("a")).unwrap();
    let mut source = bench.opened(delete());
    bench.step(&mut source).unwrap();
    // The position still names the file that is removed by now.
    drop(source);
    if !reuse_inode(&before, &bench.path("a"), "beat\nbeat\n") {
        return println!("no inode number with a time of creation was used again");
    }
    bench.run(delete());
    assert_eq!(bench.bodies(), ["beat"; 3]);
    assert_eq!((bench.names(), bench.reports()), (vec![], vec![]));
}

#[test]
fn a_name_that_was_removed_before_is_a_new_file() {
    let bench = Bench::new();
    let mut source = bench.opened(bench.source().completed(Completed::Delete));
    for round in 0..10 {
        // The same content, and mostly the same inode.
        bench.write("a", "beat\n", 3);
        if round % 2 == 0 {
            source = bench.opened(bench.source().completed(Completed::Delete));
        }
        bench.drain(&mut source);
        assert_eq!(bench.events().len(), round + 1);
    }
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn empty_trackers_of_flume_count() {
    let bench = Bench::new();
    bench.write("a", "read by flume\n", 3);
    bench.write("b", "not read\n", 3);
    bench.write(".flumespool/a.COMPLETED", "", 1);
    bench.run(bench.source().completed(Completed::tracker(".flumespool")));
    assert_eq!(bench.bodies(), ["not read"]);
    set_age(&bench.path("b"), 1);
    bench.run(bench.source().completed(Completed::tracker(".flumespool")));
    assert_eq!(bench.bodies(), ["not read"], "touched, but the same content");
    assert_eq!(bench.reports(), [""; 0]);
}
