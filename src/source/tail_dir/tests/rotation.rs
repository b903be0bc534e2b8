//! Files that are renamed, emptied, removed and replaced.

use super::*;

#[test]
fn a_renamed_file_is_followed_and_not_read_again() {
    let bench = Bench::new();
    bench.append("app.log", "1\n2\n");
    let mut source = bench.ran(bench.source());
    // Lines come before and after the renaming, and after the writer has gone on to the new file.
    bench.append("app.log", "3\n");
    bench.rename("app.log", "app.log.1");
    bench.append("app.log.1", "4\n");
    bench.append("app.log", "a\n");
    bench.append("app.log.1", "5\n");
    bench.drain(&mut source);
    bench.rename("app.log.1", "app.log.2");
    bench.rename("app.log", "app.log.1");
    bench.append("app.log.1", "b\n");
    bench.append("app.log", "x\n");
    bench.drain(&mut source);
    let mut bodies = bench.bodies();
    bodies.sort();
    assert_eq!(bodies, ["1", "2", "3", "4", "5", "a", "b", "x"]);
    assert_eq!(bench.positions(), 3);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn a_file_that_leaves_the_pattern_is_followed_until_it_is_gone() {
    let bench = Bench::new();
    let group = || FileGroup::new(bench.dir.path(), r"app\.log");
    for open_files in [1, 100] {
        bench.append("app.log", "1\n");
        bench.append("old-0", "not ours\n");
        let mut source = bench.ran(bench.source_of([group()]).open_files(open_files));
        bench.append("app.log", "2\n");
        bench.rename("app.log", "old-1");
        bench.append("app.log", "a\n");
        bench.drain(&mut source);
        bench.append("old-1", "3\n4");
        bench.append("app.log", "b\n");
        bench.drain(&mut source);
        let mut bodies = bench.bodies();
        bodies.sort();
        assert_eq!(bodies, ["1", "2", "3", "a", "b"]);
        assert_eq!(bench.positions(), 2);
        bench.pass(&mut source, TAIL_IDLE);
        assert_eq!(bench.bodies(), ["4"]);
        bench.append("app.log", "c\n");
        bench.drain(&mut source);
        bench.append("old-1", "5\n");
        bench.pass(&mut source, TAIL_IDLE);
        assert_eq!((bench.bodies(), bench.positions()), (vec!["c".to_owned(), "5".into()], 2));
        bench.rename("app.log", "old-2");
        bench.rename("old-1", "app.log");
        bench.pass(&mut source, TAIL_IDLE);
        assert_eq!(bench.bodies(), [""; 0], "it is not read again when it comes back");
        bench.rename("app.log", "old-1");
        bench.rename("old-2", "app.log");
        assert_eq!(bench.reports(), [""; 0]);
        bench.remove("app.log");
        bench.remove("old-1");
        bench.pass(&mut source, TAIL_IDLE + TAIL_GONE);
        assert_eq!(bench.positions(), 0);
    }
}

#[test]
fn a_removed_file_is_read_to_its_end_while_it_is_open() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    let mut source = bench.ran(bench.source());
    let mut writer = fs::File::options().append(true).open(bench.path("app.log")).unwrap();
    writer.write_all(b"2\n").unwrap();
    bench.remove("app.log");
    bench.drain(&mut source);
    writer.write_all(b"3\n").unwrap();
    bench.drain(&mut source);
    writer.write_all(b"4").unwrap();
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3"]);
    bench.pass(&mut source, TAIL_IDLE);
    assert_eq!(bench.bodies(), ["4"]);
    bench.pass(&mut source, TAIL_GONE);
    assert_eq!(bench.positions(), 0);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn lines_that_went_with_a_closed_file_are_reported() {
    let bench = Bench::new();
    let mut source = bench.ran(bench.source().idle_timeout(Duration::ZERO));
    bench.append("app.log", "1\n");
    bench.drain(&mut source);
    bench.drain(&mut source);
    // It is closed, and cannot be opened again: a directory has its name for the time of a look.
    bench.append("app.log", "2\n");
    let mut out = PullBatch::new(0);
    bench.clock.step(TAIL_POLL);
    source.poll(&mut out).unwrap();
    bench.remove("app.log");
    bench.pass(&mut source, TAIL_GONE);
    assert_eq!(bench.bodies(), ["1"]);
    assert_one_report(&bench.reports(), "removed with at least 2 bytes not read");
    assert_eq!(bench.positions(), 0);
}

#[test]
fn an_emptied_file_is_read_from_its_beginning() {
    let bench = Bench::new();
    bench.append("app.log", "1\n2\n3\n");
    let mut source = bench.ran(bench.source());
    bench.truncate("app.log", 0);
    bench.drain(&mut source);
    assert_one_report(&bench.reports(), "was cut to 0 bytes after 6 were read");
    bench.append("app.log", "a\n");
    bench.drain(&mut source);
    bench.truncate("app.log", 0);
    bench.append("app.log", "b\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2", "3", "a", "b"]);
    // Emptied and filled again beyond what it was, with the same beginning, between two looks and between two lives.
    for stop in [false, true] {
        let banner = format!("{}\n", "=".repeat(5000));
        bench.truncate("app.log", 0);
        bench.append("app.log", format!("{banner}old 1\nold 2\n"));
        bench.drain(&mut source);
        bench.reports();
        bench.bodies();
        bench.truncate("app.log", 0);
        bench.append("app.log", format!("{banner}new 1\nnew 2\nnew 3\nnew 4\n"));
        if stop {
            source = bench.opened(bench.source());
        }
        bench.drain(&mut source);
        assert_eq!(bench.bodies()[1..], ["new 1", "new 2", "new 3", "new 4"]);
        assert_eq!(bench.reports().len(), usize::from(stop), "a kind of problem is reported once in a life");
    }
}

#[test]
fn an_unfinished_line_that_is_cut_off_is_not_read() {
    let bench = Bench::new();
    bench.append("app.log", "1\nunfinished");
    let mut source = bench.ran(bench.source());
    bench.truncate("app.log", 4);
    bench.append("app.log", "!\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "un!"]);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn an_unfinished_line_that_is_written_anew_is_read_anew() {
    for (first, second, expected) in [
        ("abc", "xyz123\n", &["xyz123"][..]),
        ("one\nprogress 10%", "one\nprogress 100% done\n", &["one", "progress 100% done"]),
        ("one\nabc", "one\nabd", &["one", "abd!"]),
        // An over-long line that is being skipped, and one that is cut.
        ("0123456789abcdef", "0123456789abcdeX\nnext\n", &["0123456789", "next"]),
    ] {
        for overlong in [Overlong::Truncate, Overlong::Split] {
            let bench = Bench::new();
            let max = if first.starts_with('0') { 10 } else { 100 };
            bench.append("app.log", first);
            let mut source = bench.ran(bench.source().line_max_bytes(max).overlong(overlong));
            bench.drain(&mut source);
            fs::write(bench.path("app.log"), second).unwrap();
            bench.drain(&mut source);
            if !second.ends_with('\n') {
                bench.append("app.log", "!\n");
                bench.drain(&mut source);
            }
            let mut bodies = bench.bodies();
            if max == 10 && overlong == Overlong::Split {
                assert_eq!(bodies.remove(1), "abcdeX");
            }
            assert_eq!(bodies, expected);
            assert_eq!(bench.reports(), [""; 0]);
        }
    }
}

/// Goal: a long line that grows is compared where it may have changed, and the cost has a limit. Method: its last bytes are
/// written anew, and the bytes read at each look are counted, on the simulated file system.
#[test]
fn of_a_long_unfinished_line_the_end_is_compared() {
    use crate::limits::TAIL_COMPARED_BYTES_MAX;
    use crate::vfs::sim::OpKind;

    let sim = SimVfs::new();
    sim.make_dirs("/logs").unwrap();
    let bench = Bench::new();
    let path = Path::new("/logs/app");
    let long = "x".repeat(100_000);
    append_to(&sim, path, &long);
    let group = || FileGroup::new("/logs", "app");
    let make = || bench.source_of([group()]).line_max_bytes(1 << 20).vfs(Arc::new(sim.clone()));
    let mut source = bench.ran(make());
    for _ in 0..10 {
        append_to(&sim, path, "more");
        let before = sim.op_count();
        bench.drain(&mut source);
        let reads = sim.ops_since(before).into_iter().filter(|op| op.kind == OpKind::Read);
        let bytes: u64 = reads.map(|op| op.len).sum();
        assert!(bytes <= (TAIL_COMPARED_BYTES_MAX + 4) as u64, "{bytes} bytes");
    }
    sim.open(path, OpenMode::ReadWrite).unwrap().set_len(long.len() as u64).unwrap();
    append_to(&sim, path, &format!("{}\n", "less".repeat(10)));
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), [format!("{long}{}", "less".repeat(10))]);
}

/// Goal: a new file is read from its beginning although it has the inode number of a removed one and begins with all that was
/// read of that. Method: such a file while the old one is closed, and while the source is stopped.
#[test]
fn an_inode_that_is_used_again_is_a_new_file_even_if_it_begins_like_the_old_one() {
    for is_stopped in [false, true] {
        let bench = Bench::new();
        let make = || bench.source().idle_timeout(Duration::ZERO);
        bench.append("app.log", "started\n");
        let mut source = bench.opened(make());
        bench.drain(&mut source);
        bench.drain(&mut source);
        let before = fs::metadata(bench.path("app.log")).unwrap();
        bench.remove("app.log");
        if !reuse_inode(&before, &bench.path("app.log"), "started\nnew\n") {
            return println!("no inode number with a time of creation was used again");
        }
        if is_stopped {
            source = bench.opened(make());
        }
        bench.drain(&mut source);
        assert_eq!(bench.bodies(), ["started", "started", "new"], "stopped {is_stopped}");
        assert_one_report(&bench.reports(), "holds another content");
        bench.append("app.log", "more\n");
        bench.drain(&mut source);
        assert_eq!(bench.bodies(), ["more"], "what it is has been noted");
    }
}

/// Goal: the number of a removed file says nothing about the file that has it now. Method: files are removed and created
/// until an inode number comes again, with the source running and stopped.
#[test]
fn an_inode_that_is_used_again_is_a_new_file() {
    use std::os::unix::fs::MetadataExt as _;

    let bench = Bench::new();
    let inode = |name: &str| fs::metadata(bench.path(name)).unwrap().ino();
    let make = || bench.source().idle_timeout(Duration::ZERO).file_header("file");
    let mut source = bench.opened(make());
    let mut reused = 0;
    for round in 0..40 {
        let (old, new) = (format!("app.log.old{round}"), format!("app.log.new{round}"));
        bench.append(&old, format!("old {round}\n"));
        bench.drain(&mut source);
        bench.drain(&mut source);
        let number = inode(&old);
        bench.remove(&old);
        let length = if round % 4 < 2 { "" } else { " and longer" };
        bench.append(&new, format!("new {round}{length}\n"));
        reused += u32::from(inode(&new) == number);
        if round % 2 == 0 {
            source = bench.opened(make());
        }
        bench.drain(&mut source);
        let events = bench.events();
        let file = events.last().unwrap().headers().get("file").unwrap().to_owned();
        assert!(file.ends_with(&new), "{file} in round {round}");
        assert_eq!(bench.bodies(), [format!("old {round}"), format!("new {round}{length}")]);
        bench.remove(&new);
        bench.drain(&mut source);
    }
    println!("{reused} of 40 inode numbers were used again at once");
}

#[test]
fn a_file_is_not_forgotten_while_it_is_being_renamed() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    let mut source = bench.ran(bench.source().idle_timeout(Duration::ZERO));
    bench.drain(&mut source);
    // As if each look had come at the wrong moment.
    let aside = tempfile::tempdir_in(bench.dir.path().parent().unwrap()).unwrap();
    fs::rename(bench.path("app.log"), aside.path().join("x")).unwrap();
    bench.drain(&mut source);
    bench.drain(&mut source);
    fs::rename(aside.path().join("x"), bench.path("app.log.1")).unwrap();
    bench.append("app.log.1", "2\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["1", "2"]);
    fs::rename(bench.path("app.log.1"), aside.path().join("x")).unwrap();
    bench.pass(&mut source, TAIL_GONE);
    assert_eq!(bench.positions(), 0);
}

/// Goal: nobody has to look at the right moment. Method: a log is written and rotated, by either kind of rotation, with a
/// random look now and then and some restarts, and every line must come once.
#[test]
fn a_log_under_rotation_is_read_exactly_once() {
    let bench = Bench::new();
    let mut random = crate::testing::Random::new(crate::testing::Random::seed());
    let mut source = bench.opened(bench.source());
    let mut written = Vec::new();
    for line in 0..3000 {
        let text = format!("line {line}");
        bench.append("app.log", format!("{text}\n"));
        written.push(text);
        match random.below(60) {
            0 => {
                for number in (1..4).rev() {
                    let (from, to) = (format!("app.log.{number}"), format!("app.log.{}", number + 1));
                    if bench.path(&from).exists() {
                        bench.rename(&from, &to);
                    }
                }
                bench.rename("app.log", "app.log.1");
                if bench.path("app.log.4").exists() {
                    // The oldest goes. It is old enough to be read.
                    bench.drain(&mut source);
                    bench.remove("app.log.4");
                }
            }
            1 => {
                bench.drain(&mut source);
                bench.truncate("app.log", 0);
            }
            2 => source = bench.opened(bench.source()),
            3 => bench.pass(&mut source, TAIL_IDLE),
            4..10 => drop(bench.drain(&mut source)),
            10..20 => drop(bench.step(&mut source)),
            _ => {}
        }
    }
    bench.drain(&mut source);
    let mut bodies = bench.bodies();
    let number = |line: &String| line[5..].parse::<u32>().unwrap();
    bodies.sort_by_key(number);
    assert_eq!(bodies, written);
}

/// A directory of links to files in another one.
fn linked() -> (Bench, impl Fn(&Bench) -> TailDir) {
    let bench = Bench::new();
    for dir in ["containers", "pods", "other"] {
        fs::create_dir(bench.path(dir)).unwrap();
    }
    std::os::unix::fs::symlink("../pods/0.log", bench.path("containers/shop.log")).unwrap();
    let source =
        |bench: &Bench| bench.source_of([FileGroup::new(bench.path("containers"), r".*\.log")]).follow_links(true);
    (bench, source)
}

/// Goal: files are rotated behind a link as they are in the directory itself. Method: as kubelet does, the file that the link
/// leads to is renamed beside it and a new one takes its name, at once or later; with the file open and closed, and over a
/// restart.
#[test]
fn rotation_behind_a_link_is_followed() {
    let (bench, source) = linked();
    for (is_closed, restarts, is_late) in
        [(false, false, false), (true, false, false), (false, true, false), (true, false, true), (false, true, true)]
    {
        bench.append("pods/0.log", "1\n");
        let mut source_now = bench.ran(source(&bench));
        if is_closed {
            bench.pass(&mut source_now, TAIL_IDLE);
        }
        bench.append("pods/0.log", "2\n");
        bench.rename("pods/0.log", "pods/0.log.old");
        bench.append("pods/0.log.old", "3\n");
        if !is_late {
            bench.append("pods/0.log", "a\n");
        }
        if restarts {
            source_now = bench.opened(source(&bench));
        }
        bench.pass(&mut source_now, TAIL_GONE);
        bench.append("pods/0.log.old", "4\n");
        bench.append("pods/0.log", if is_late { "a\nb\n" } else { "b\n" });
        bench.drain(&mut source_now);
        let mut bodies = bench.bodies();
        bodies.sort();
        assert_eq!(bodies, ["1", "2", "3", "4", "a", "b"], "closed {is_closed}, restarts {restarts}, late {is_late}");
        assert_eq!(bench.positions(), 2);
        let reports = bench.reports();
        assert!(reports.is_empty() || is_late && reports[0].contains("cannot be seen"), "{reports:?}");
        bench.remove("pods/0.log");
        bench.remove("pods/0.log.old");
        bench.remove("containers/shop.log");
        bench.pass(&mut source_now, TAIL_IDLE + TAIL_GONE);
        assert_eq!(bench.positions(), 0);
        std::os::unix::fs::symlink("../pods/0.log", bench.path("containers/shop.log")).unwrap();
    }
}

#[test]
fn a_link_that_leads_to_another_directory_later_leaves_no_lines_behind() {
    let (bench, source) = linked();
    bench.append("pods/0.log", "1\n");
    let mut source = bench.ran(source(&bench));
    bench.pass(&mut source, TAIL_IDLE);
    bench.append("pods/0.log", "2\n");
    bench.append("other/0.log", "a\n");
    std::os::unix::fs::symlink("../other/0.log", bench.path("containers/new")).unwrap();
    bench.rename("containers/new", "containers/shop.log");
    bench.drain(&mut source);
    let mut bodies = bench.bodies();
    bodies.sort();
    assert_eq!((bodies, bench.positions()), (vec!["1".to_owned(), "2".into(), "a".into()], 2));
    assert_eq!(bench.reports(), [""; 0]);
}

/// Goal: what a disk that is away for a while held is not read again. Method: the directory behind the link goes away for
/// longer than a file is looked for, with the file closed, and over a restart.
#[test]
fn a_file_behind_a_link_may_be_out_of_sight_for_a_while() {
    for restarts in [false, true] {
        let (bench, source) = linked();
        bench.append("pods/0.log", "1\n");
        let mut source_now = bench.ran(source(&bench));
        bench.pass(&mut source_now, TAIL_IDLE);
        bench.rename("pods", "away");
        if restarts {
            source_now = bench.opened(source(&bench));
        }
        bench.pass(&mut source_now, TAIL_IDLE + TAIL_GONE);
        assert_one_report(&bench.reports(), "cannot be seen");
        bench.rename("away", "pods");
        bench.append("pods/0.log", "2\n");
        bench.drain(&mut source_now);
        assert_eq!((bench.bodies(), bench.positions()), (vec!["1".to_owned(), "2".into()], 1), "restarts {restarts}");
        bench.remove("containers/shop.log");
        bench.pass(&mut source_now, TAIL_IDLE + TAIL_GONE);
        assert_eq!(bench.positions(), 0);
    }
}

#[test]
fn a_source_that_ends_does_not_wait_for_what_is_out_of_sight() {
    let (bench, source) = linked();
    bench.append("pods/0.log", "1\n");
    let mut source = bench.opened(source(&bench).until_end());
    bench.step(&mut source);
    bench.append("pods/0.log", "2\n");
    bench.rename("pods", "away");
    assert_eq!(bench.drain(&mut source), Pulled::Done);
}
