//! Which files are read, when, and how many at once.

use super::*;
use crate::limits::TAIL_OPEN_FILES;

#[test]
fn settings_that_cannot_be_used_are_named() {
    let group = || FileGroup::new("/logs", ".*");
    let source = || TailDir::new([group()]);
    for (source, setting, part) in [
        (TailDir::new([]), "groups", "name the files to read"),
        (TailDir::new([FileGroup::of_path("app.log")]), "group", "has no directory"),
        (TailDir::new([FileGroup::of_path("/logs/")]), "group", "has no expression"),
        (TailDir::new([FileGroup::new("/logs", "(")]), "group", "a group is not closed"),
        (TailDir::new([FileGroup::new("/logs", "(?=x)")]), "group", "look-ahead"),
        (TailDir::new([group().header("", "x")]), "group header", "1 to"),
        (source().file_header(""), "file_header", "1 to"),
        (source().byte_offset_header(""), "byte_offset_header", "1 to"),
        (source().truncated_header(""), "truncated_header", "1 to"),
        (source().line_max_bytes(3), "line_max_bytes", "from 4"),
        (source().read_bytes(0), "read_bytes", "from 1"),
        (source().open_files(0), "open_files", "1 at least"),
        (source().turn_events(0), "turn_events", "1 at least"),
        (source().poll_interval(Duration::ZERO), "poll_interval", "longer than nothing"),
        (source().write_position_file(Duration::ZERO), "write_position_file", "position_file"),
    ] {
        let error = source.check().unwrap_err();
        assert_eq!(error.setting, setting);
        assert!(error.to_string().contains(part), "{error}");
    }
    drop(source().check().unwrap());
    assert!(format!("{:?}", source()).contains("/logs"));
}

#[test]
fn names_are_matched_as_a_whole_and_only_regular_files_are_read() {
    let bench = Bench::new();
    for name in ["a.log", "a.log2", "xa.log", "b.log", "c"] {
        bench.append(name, format!("{name}\n"));
    }
    fs::create_dir(bench.path("dir.log")).unwrap();
    fs::write(bench.path("dir.log").join("a.log"), "below\n").unwrap();
    std::os::unix::fs::symlink(bench.path("c"), bench.path("link.log")).unwrap();
    std::os::unix::fs::symlink(bench.dir.path(), bench.path("here")).unwrap();
    let groups = [
        FileGroup::new(bench.dir.path(), r"a\.log|link\.log|dir\.log").header("g", "1"),
        // A group may lie behind a symbolic link, and a file belongs to the first group that matches it.
        FileGroup::new(bench.path("here"), r"[ab]\.log").header("g", "2"),
    ];
    let mut source = bench.ran(bench.source_of(groups));
    bench.append("b.log", "more\n");
    bench.drain(&mut source);
    let found: Vec<(String, String)> = bench
        .events()
        .iter()
        .map(|event| {
            let body = String::from_utf8(event.body().to_vec()).unwrap();
            (body, event.headers().get("g").unwrap().to_owned())
        })
        .collect();
    let expected = [("a.log", "1"), ("b.log", "2"), ("more", "2")];
    assert_eq!(found, expected.map(|(body, group)| (body.to_owned(), group.to_owned())));
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn links_to_files_are_read_if_so_wanted() {
    let bench = Bench::new();
    fs::create_dir(bench.path("real")).unwrap();
    bench.append("real/0.log", "1\n");
    for (to, link) in [("real/0.log", "app.log"), ("real", "app.log.dir"), ("none", "app.log.none")] {
        std::os::unix::fs::symlink(bench.path(to), bench.path(link)).unwrap();
    }
    std::os::unix::fs::symlink("app.log.loop", bench.path("app.log.loop")).unwrap();
    // The link is one more name of a file that another group has, too.
    let groups = || [bench.group(), FileGroup::new(bench.path("real"), ".*")];
    let source = || bench.source_of(groups()).follow_links(true).file_header("file");
    let mut source = bench.ran(source());
    bench.append("app.log", "2\n");
    bench.drain(&mut source);
    let link = bench.path("app.log").to_string_lossy().into_owned();
    let files: Vec<_> = bench.events().iter().map(|event| event.headers().get("file").unwrap().to_owned()).collect();
    assert_eq!(files, [link.clone(), link]);
    assert_eq!((bench.bodies(), bench.positions()), (vec!["1".to_owned(), "2".into()], 1));
    let reports = bench.reports();
    assert!(reports.len() == 2 && reports.iter().all(|report| report.contains("cannot be seen")), "{reports:?}");
    bench.append("none", "now it leads somewhere\n");
    bench.drain(&mut source);
    assert_eq!((bench.bodies(), bench.positions()), (vec!["now it leads somewhere".to_owned()], 2));
}

#[test]
fn names_that_are_not_utf_8_are_read_and_escaped_in_headers() {
    use std::os::unix::ffi::OsStrExt as _;

    let bench = Bench::new();
    let name = std::ffi::OsStr::from_bytes(b"app.log\xff");
    fs::write(bench.dir.path().join(name), "x\n").unwrap();
    drop(bench.ran(bench.source().file_header("file")));
    assert!(bench.events()[0].headers().get("file").unwrap().ends_with("/app.log%FF"));
}

#[test]
fn several_names_of_one_file_are_one_file() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    fs::hard_link(bench.path("app.log"), bench.path("app.log.link")).unwrap();
    let mut source = bench.ran(bench.source());
    bench.append("app.log.link", "2\n");
    bench.remove("app.log");
    bench.drain(&mut source);
    assert_eq!((bench.bodies(), bench.positions()), (vec!["1".to_owned(), "2".into()], 1));
}

#[test]
fn the_oldest_file_comes_first_and_turns_can_be_shortened() {
    let mut bench = Bench::new();
    bench.batch = 4;
    for (name, age) in [("app.log.a", 1), ("app.log.b", 3), ("app.log.c", 2)] {
        for line in 0..6 {
            bench.append(name, format!("{name}:{line}\n"));
        }
        bench.set_age(name, age);
    }
    drop(bench.ran(bench.source()));
    let order: String = bench.bodies().iter().map(|body| &body[8..9]).collect();
    assert_eq!(order, "bbbbbbccccccaaaaaa");
    bench.port.0.lock().1.clear();
    drop(bench.ran(bench.source().turn_events(3)));
    let order: String = bench.bodies().iter().map(|body| &body[8..9]).collect();
    assert_eq!(order, "bbbcccaaabbbcccaaa");
}

#[test]
fn groups_come_one_after_the_other() {
    let bench = Bench::new();
    for (name, age) in [("b.new", 1), ("b.old", 4), ("a.new", 2), ("a.old", 3)] {
        bench.append(name, format!("{name}\n"));
        bench.set_age(name, age);
    }
    let group = |pattern| FileGroup::new(bench.dir.path(), pattern);
    drop(bench.ran(bench.source_of([group("a.*"), group("b.*"), group(".*old")])));
    assert_eq!(bench.bodies(), ["a.old", "a.new", "b.old", "b.new"]);
}

/// Goal: a file that grows all the time is no hindrance to the others. Method: it grows with each poll.
#[test]
fn a_busy_file_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    bench.batch = 2;
    bench.append("app.log", "busy\nbusy\nbusy\n");
    bench.set_age("app.log", 10);
    bench.append("app.log.1", "quiet\n");
    let mut source = bench.opened(bench.source());
    for poll in 0..10 {
        bench.append("app.log", "busy\nbusy\nbusy\n");
        bench.step(&mut source);
        if bench.events().iter().any(|event| event.body() == "quiet") {
            println!("after {poll} polls");
            return;
        }
    }
    panic!("the quiet file never had its turn");
}

/// Goal: many files are read with few open at a time, exactly once. Method: more files than may be open grow in rounds.
#[test]
fn more_files_than_may_be_open_are_followed() {
    let open_now = || fs::read_dir("/proc/self/fd").unwrap().count();
    for open_files in [1, 3, TAIL_OPEN_FILES] {
        let mut bench = Bench::new();
        bench.batch = 7;
        let mut source = bench.opened(bench.source().open_files(open_files));
        let mut expected = Vec::new();
        let before = open_now();
        for round in 0..5 {
            for file in 0..40 {
                let text = format!("{file} {round}");
                bench.append(&format!("app.log.{file}"), format!("{text}\nhalf"));
                expected.push(if round == 0 { text } else { format!("half{text}") });
            }
            bench.drain(&mut source);
            if open_files == 1 {
                // Tests of other modules open files at the same time.
                assert!(open_now() < before + 30, "{} files are open", open_now());
            }
        }
        let mut bodies = bench.bodies();
        bodies.sort();
        expected.sort();
        assert_eq!(bodies, expected);
        assert_eq!(bench.reports(), [""; 0]);
    }
}

#[test]
fn more_files_than_a_transaction_has_positions_for_are_read() {
    let mut bench = Bench::new();
    bench.batch = 100_000;
    let mut expected = Vec::new();
    for file in 0..2500 {
        bench.append(&format!("app.log.{file:04}"), format!("{file:04}\n"));
        expected.push(format!("{file:04}"));
    }
    for skip in [true, false] {
        let mut source = bench.ran(bench.source().skip_to_end(skip));
        let mut bodies = bench.bodies();
        bodies.sort();
        assert_eq!(bodies, if skip { &[][..] } else { &expected });
        bench.pass(&mut source, TAIL_GONE);
        assert_eq!(bench.positions(), 2500);
        if skip {
            for file in 0..2500 {
                bench.remove(&format!("app.log.{file:04}"));
                bench.append(&format!("app.log.{file:04}"), format!("new {file:04}\n"));
            }
            expected.iter_mut().for_each(|line| line.insert_str(0, "new "));
            expected.sort();
        } else {
            for file in 0..2500 {
                bench.remove(&format!("app.log.{file:04}"));
            }
            bench.pass(&mut source, TAIL_GONE + TAIL_IDLE);
            assert_eq!(bench.positions(), 0);
        }
    }
}

#[test]
fn the_source_is_done_at_the_end_if_so_wanted() {
    let mut bench = Bench::new();
    for batch in [1, 100] {
        bench.batch = batch;
        bench.append("app.log", format!("1 {batch}\n2"));
        bench.append("app.log.1", format!("3 {batch}\n"));
        bench.append("app.log.2", "");
        let mut source = bench.opened(bench.source().until_end());
        assert_eq!(bench.drain(&mut source), Pulled::Done);
        let mut bodies = bench.bodies();
        bodies.sort();
        assert_eq!(bodies, [format!("1 {batch}"), "2".into(), format!("3 {batch}")]);
        let mut source = bench.opened(bench.source().until_end());
        assert_eq!(bench.drain(&mut source), Pulled::Done);
        assert_eq!(bench.bodies(), [""; 0]);
        for name in ["app.log", "app.log.1", "app.log.2"] {
            bench.remove(name);
        }
    }
}

#[test]
fn files_that_cannot_be_read_do_not_keep_the_source_from_its_end() {
    use crate::vfs::sim::{Fault, Inject, OpKind};

    for kind in [OpKind::Open, OpKind::Read] {
        let bench = Bench::new();
        let sim = SimVfs::new();
        sim.make_dirs("/logs").unwrap();
        sim.poke("/logs/a", 0, b"1\n").unwrap();
        sim.poke("/logs/b", 0, b"2\n").unwrap();
        sim.inject(Inject::new(Fault::Errno(rustix::io::Errno::IO.raw_os_error())).on(kind).path("/logs/b").sticky());
        let source = bench.source_of([FileGroup::new("/logs", "[ab]")]).until_end().vfs(Arc::new(sim.clone()));
        let mut source = bench.opened(source);
        assert_eq!(bench.drain(&mut source), Pulled::Done, "{kind:?}");
        assert_eq!(bench.bodies(), ["1"]);
        assert!(bench.reports().iter().any(|report| report.contains("/logs/b")), "{:?}", bench.reports());
    }
}

#[test]
fn a_file_that_can_be_read_again_is_read_to_its_end() {
    use crate::vfs::sim::{Fault, Inject, OpKind};

    let bench = Bench::new();
    let sim = SimVfs::new();
    sim.make_dirs("/logs").unwrap();
    sim.poke("/logs/a", 0, b"1\n").unwrap();
    sim.poke("/logs/b", 0, b"2").unwrap();
    let fault = Fault::Errno(rustix::io::Errno::IO.raw_os_error());
    sim.inject(Inject::new(fault).on(OpKind::Open).path("/logs/b"));
    let source = bench.source_of([FileGroup::new("/logs", "[ab]")]).until_end().vfs(Arc::new(sim.clone()));
    let mut source = bench.opened(source);
    assert_eq!(bench.drain(&mut source), Pulled::Done);
    assert_eq!(bench.bodies(), ["1", "2"]);
}

/// Goal: a directory whose time stands still for long enough is not listed again, and a change of it is seen.
#[test]
fn a_directory_is_listed_only_when_it_has_changed() {
    use crate::vfs::sim::OpKind;

    for cache in [true, false] {
        let bench = Bench::new();
        let sim = SimVfs::new();
        sim.make_dirs("/logs").unwrap();
        sim.poke("/logs/a", 0, b"1\n").unwrap();
        let make = || {
            let source = bench.source_of([FileGroup::new("/logs", "[ab]")]);
            source.cache_listing(cache).vfs(Arc::new(sim.clone()))
        };
        bench.clock.step(Duration::from_secs(10));
        let mut source = bench.ran(make());
        let lists = || sim.ops().iter().filter(|op| op.kind == OpKind::ReadDir).count();
        let before = lists();
        for line in 0..5 {
            let at = 2 + 2 * line;
            sim.poke("/logs/a", at, b"x\n").unwrap();
            bench.drain(&mut source);
        }
        assert_eq!(lists() - before, if cache { 0 } else { 5 });
        sim.poke("/logs/b", 0, b"2\n").unwrap();
        bench.drain(&mut source);
        assert_eq!(bench.bodies(), ["1", "x", "x", "x", "x", "x", "2"]);
    }
}

/// Goal: a file that two groups match belongs to the first, however it is found. Method: a file of the second group alone is
/// gone when it is to be opened, which makes the source look for it at once, and find a new file of both.
#[test]
fn a_file_of_two_groups_that_is_found_between_the_looks_at_all_belongs_to_the_first() {
    let mut bench = Bench::new();
    bench.batch = 1;
    for (age, name) in [(2, "b1"), (1, "b2")] {
        bench.append(name, "1\n2\n3\n");
        bench.set_age(name, age);
    }
    let group = |pattern, name| FileGroup::new(bench.dir.path(), pattern).header("group", name);
    let mut source = bench.opened(bench.source_of([group("a.*", "first"), group("[ab].*", "second")]));
    bench.step(&mut source);
    bench.rename("b2", "rotated");
    bench.append("a1", "new\n");
    for _ in 0..10 {
        bench.step(&mut source);
    }
    let of = |body: &str| bench.events().into_iter().find(|event| event.body() == body.as_bytes()).unwrap();
    assert_eq!(of("1").headers().get("group"), Some("second"));
    assert_eq!(of("new").headers().get("group"), Some("first"));
}
