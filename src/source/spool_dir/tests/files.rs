//! Which files are read, and in which order.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn include_and_ignore_match_whole_names_and_ignore_wins() {
    let cases: [(Option<&str>, Option<&str>, &[&str]); 6] = [
        (None, None, &["a.log", "a.tmp", "b.log"]),
        (Some(r".*\.log"), None, &["a.log", "b.log"]),
        (None, Some(r".*\.tmp"), &["a.log", "b.log"]),
        (Some(r"a.*"), Some(r".*\.tmp"), &["a.log"]),
        (Some("a"), Some("b"), &[]),
        (Some("a|a.log"), None, &["a.log"]),
    ];
    for (include, ignore, expected) in cases {
        let bench = Bench::new();
        for name in ["a.log", "a.tmp", "b.log"] {
            bench.write(name, name, 1);
        }
        let mut source = bench.source();
        if let Some(pattern) = include {
            source = source.include(pattern);
        }
        if let Some(pattern) = ignore {
            source = source.ignore(pattern);
        }
        bench.run(source);
        assert_eq!(bench.bodies(), expected, "{include:?} {ignore:?}");
    }
}

#[test]
fn files_that_were_completed_before_another_way_was_chosen_are_left_alone() {
    for completed in [Completed::Delete, Completed::tracker(".flumespool"), Completed::rename()] {
        let bench = Bench::new();
        bench.write("new", "a line\n", 1);
        bench.write("old.COMPLETED", "delivered long ago\n", 1);
        bench.run(bench.source().completed(completed.clone()).ignore_suffix(".COMPLETED"));
        assert_eq!(bench.bodies(), ["a line"], "{completed:?}");
        assert!(bench.names().contains(&"old.COMPLETED".to_owned()), "{completed:?}: {:?}", bench.names());
        assert_eq!(bench.reports(), [""; 0]);
    }
}

#[test]
fn files_are_read_in_order_of_age_and_then_of_names() {
    let files = [("z", 5), ("m/y", 5), ("b", 9), ("m/a", 5), ("k", 1), ("a", 5)];
    for (order, expected) in [
        (ConsumeOrder::Oldest, ["b", "a", "m/a", "m/y", "z", "k"]),
        (ConsumeOrder::Youngest, ["k", "a", "m/a", "m/y", "z", "b"]),
    ] {
        for batch in [1, 100] {
            let mut bench = Bench::new();
            bench.batch = batch;
            for (name, age) in files {
                bench.write(name, name, age);
            }
            bench.run(bench.source().recursive(true).order(order));
            assert_eq!(bench.bodies(), expected);
        }
    }
}

#[test]
fn youngest_notices_younger_files_while_there_are_others() {
    let mut bench = Bench::new();
    bench.batch = 1;
    for i in 0..100 {
        bench.write(&format!("old{i:03}"), "old", 50);
    }
    let mut source = bench.opened(bench.source().order(ConsumeOrder::Youngest));
    bench.step(&mut source).unwrap();
    bench.write("young", "young", 1);
    bench.drain(&mut source);
    let bodies = bench.bodies();
    assert_eq!(bodies.len(), 101);
    let place = bodies.iter().position(|body| body == "young").unwrap();
    assert!(place < 50, "read at place {place}");
}

#[test]
fn random_order_reads_every_file_also_those_that_come_later() {
    let mut bench = Bench::new();
    bench.batch = 3;
    for i in 0..50 {
        bench.write(&format!("{i:02}"), format!("{i:02}"), 1);
    }
    let mut source = bench.opened(bench.source().order(ConsumeOrder::Random));
    bench.step(&mut source).unwrap();
    bench.write("late", "late", 1);
    bench.drain(&mut source);
    let mut bodies = bench.bodies();
    assert!(!bodies.is_sorted(), "fifty files in their order by chance");
    bodies.sort();
    assert_eq!(bodies, (0..50).map(|i| format!("{i:02}")).chain(["late".into()]).collect::<Vec<_>>());
}

#[test]
fn directories_below_are_read_only_if_asked_for() {
    let names = ["top", "d/one", "d/e/two", ".hidden/three", "skip.d/four", "d/.hidden-file"];
    for (recursive, expected) in [(false, vec!["top"]), (true, vec!["d/e/two", "d/one", "top"])] {
        for completed in [Completed::rename(), Completed::Delete, Completed::tracker("tracks")] {
            let bench = Bench::new();
            for name in names {
                bench.write(name, name, 1);
            }
            let source = || bench.source().recursive(recursive).ignore(r"skip\..*").completed(completed.clone());
            bench.run(source());
            bench.run(source());
            let mut bodies = bench.bodies();
            bodies.sort();
            assert_eq!(bodies, expected, "{completed:?}");
            assert_eq!(bench.reports(), [""; 0]);
        }
    }
}

#[test]
fn until_empty_ends_when_all_is_read() {
    let bench = Bench::new();
    let mut source = bench.opened(bench.source().until_empty());
    assert_eq!(bench.step(&mut source).unwrap(), Pulled::Done);
    bench.write("a", "1\n2\n", 1);
    bench.write("bad", b"\xff", 1);
    assert_eq!(bench.drain(&mut source), Pulled::Done);
    assert_eq!(bench.bodies(), ["1", "2"]);
    assert_eq!(bench.drain(&mut bench.opened(bench.source())), Pulled::Idle);
}

/// Goal: nothing but regular files is ever opened, and nothing in the directory stops the source.
#[test]
fn a_hostile_tree_gives_the_regular_files_only() {
    let bench = Bench::new();
    let outside = bench.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), bench.path("link")).unwrap();
    std::os::unix::fs::symlink(&outside, bench.path("linked-dir")).unwrap();
    std::os::unix::fs::symlink(bench.path("loop"), bench.path("loop")).unwrap();
    std::os::unix::fs::symlink(".", bench.path("self")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.path("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("socket")).unwrap();
    fs::create_dir(bench.path("looks-like.log")).unwrap();
    let odd: [&[u8]; 4] = [b"n\xffame", b"new\nline", b"%41", b"\x1b[31m"];
    for name in odd {
        fs::write(bench.path("").join(OsStr::from_bytes(name)), name.len().to_string()).unwrap();
    }
    let mut deep = bench.path("");
    for _ in 0..100 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("too-deep"), "too deep").unwrap();
    bench.run(bench.source().recursive(true).basename_header("name"));
    let names: Vec<_> = bench.events().iter().map(|e| e.headers().get("name").unwrap().to_owned()).collect();
    assert_eq!(names.len(), 4);
    for name in ["n%FFame", "new\nline", "%41", "\u{1b}[31m"] {
        assert!(names.iter().any(|found| found == name), "{name:?} in {names:?}");
    }
    assert_eq!(bench.reports(), [""; 0]);
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    bench.run(bench.source().recursive(true));
    assert_eq!(bench.events().len(), 4);
}

/// Goal: a link takes the place of the file it leads to, and what it leads to stays as it is. Method: each way to complete
/// files, with links to a file, to a directory, to nowhere and to themselves; a restart reads nothing again.
#[test]
fn links_to_files_are_read_if_so_wanted_and_completed_themselves() {
    for (completed, left) in [
        (Completed::rename(), &["dir", "file.COMPLETED", "link.COMPLETED", "loop", "nowhere"][..]),
        (Completed::Delete, &["dir", "loop", "nowhere"]),
        (Completed::tracker(".flumespool"), &["dir", "file", "link", "loop", "nowhere"]),
    ] {
        let bench = Bench::new();
        let outside = bench.dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "1\n2\n").unwrap();
        std::os::unix::fs::symlink(outside.join("file"), bench.path("link")).unwrap();
        std::os::unix::fs::symlink(&outside, bench.path("dir")).unwrap();
        std::os::unix::fs::symlink(outside.join("none"), bench.path("nowhere")).unwrap();
        std::os::unix::fs::symlink(bench.path("loop"), bench.path("loop")).unwrap();
        bench.write("file", "3\n", 1);
        let source =
            || bench.source().follow_links(true).recursive(true).completed(completed.clone()).basename_header("name");
        bench.run(source());
        bench.run(source());
        let mut events: Vec<_> = bench
            .events()
            .iter()
            .map(|event| {
                (String::from_utf8_lossy(event.body()).into_owned(), event.headers().get("name").unwrap().to_owned())
            })
            .collect();
        events.sort();
        let expected = [("1", "link"), ("2", "link"), ("3", "file")];
        assert_eq!(events, expected.map(|(body, name)| (body.to_owned(), name.to_owned())), "{completed:?}");
        let names: Vec<_> = bench.names().into_iter().filter(|name| !name.starts_with(".flumespool")).collect();
        assert_eq!(names, left);
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"1\n2\n");
        let reports = bench.reports();
        // Each run reports what it cannot see: the link to nowhere and the one to itself.
        assert!(reports.len() == 4 && reports.iter().all(|report| report.contains("cannot be seen")), "{reports:?}");
    }
}

/// Goal: a file behind a link is read once, though its disk is away for a while. Method: it goes away in the middle of the
/// file, before a restart, or before it is completed.
#[test]
fn a_file_behind_a_link_may_be_out_of_sight_for_a_while() {
    for lines in [25, 10] {
        let bench = Bench::new();
        let (outside, away) = (bench.dir.path().join("outside"), bench.dir.path().join("away"));
        fs::create_dir(&outside).unwrap();
        let text: Vec<String> = (0..lines).map(|line| line.to_string()).collect();
        fs::write(outside.join("file"), text.join("\n")).unwrap();
        std::os::unix::fs::symlink(outside.join("file"), bench.path("link")).unwrap();
        let source = || bench.source().follow_links(true);
        let mut first = bench.opened(source());
        let mut out = PullBatch::new(bench.batch);
        first.poll(&mut out).unwrap();
        bench.context().put_batch(out.into_put_batch(), None).unwrap();
        fs::rename(&outside, &away).unwrap();
        let mut second = bench.ran(source());
        assert_eq!(bench.events().len(), bench.batch, "{lines} lines");
        assert!(bench.reports().iter().any(|report| report.contains("cannot be seen")));
        fs::rename(&away, &outside).unwrap();
        bench.settle();
        bench.drain(&mut second);
        bench.settle();
        bench.drain(&mut second);
        assert_eq!((bench.bodies(), bench.names()), (text, vec!["link.COMPLETED".to_owned()]), "{lines} lines");
    }
}

#[test]
fn the_spool_directory_may_be_a_symbolic_link_itself() {
    let bench = Bench::new();
    bench.write("a", "1", 1);
    let link = bench.dir.path().join("link");
    std::os::unix::fs::symlink(bench.path(""), &link).unwrap();
    bench.run(SpoolDir::new(link));
    assert_eq!(bench.bodies(), ["1"]);
}

#[test]
fn a_spool_directory_that_is_missing_or_a_file_is_waited_for() {
    let bench = Bench::new();
    let dir = bench.dir.path().join("later");
    let mut source = SpoolDir::new(&dir);
    let mut refused = || source.open(&bench.context()).unwrap_err();
    assert!(matches!(refused(), SourceError::Retry(_)));
    fs::write(&dir, "").unwrap();
    let error = refused();
    assert!(
        matches!(&error, SourceError::Retry(text) if text.to_string().contains("is a file; name a directory")),
        "{error}"
    );
    fs::remove_file(&dir).unwrap();
    fs::rename(bench.path(""), &dir).unwrap();
    source.open(&bench.context()).unwrap();
}

#[test]
fn many_small_files_in_every_order_and_policy() {
    let mut runs = 0;
    for order in [ConsumeOrder::Oldest, ConsumeOrder::Youngest, ConsumeOrder::Random] {
        for completed in [Completed::rename(), Completed::Delete, Completed::tracker(".flumespool")] {
            let mut bench = Bench::new();
            bench.batch = 100;
            let sim = crate::vfs::sim::SimVfs::new();
            sim.make_dirs("/in").unwrap();
            for i in 0..1000 {
                sim.poke(format!("/in/{i:03}"), 0, format!("{i:03}\n").as_bytes()).unwrap();
            }
            let dir = || SpoolDir::new("/in").vfs(Arc::new(sim.clone()));
            bench.run(dir().order(order).completed(completed.clone()));
            bench.run(dir().order(order).completed(completed.clone()));
            let mut bodies = bench.bodies();
            bodies.sort();
            assert_eq!(bodies, (0..1000).map(|i| format!("{i:03}")).collect::<Vec<_>>());
            let left = sim.files().iter().filter(|path| path.extension().is_none()).count();
            assert_eq!(left, if matches!(completed, Completed::Tracker { .. }) { 1000 } else { 0 });
            runs += 1;
        }
    }
    println!("{runs} runs of 1000 files");
}

#[test]
fn a_large_directory_is_not_listed_for_every_file() {
    let bench = Bench::new();
    for i in 0..2000 {
        bench.write(&format!("{i:04}"), "x", 1);
    }
    let vfs = Arc::new(TestVfs::new(i64::MAX));
    bench.run(bench.source().vfs(vfs.clone()));
    assert_eq!(bench.events().len(), 2000);
    let (lists, syncs) = (vfs.lists.load(Ordering::Relaxed), vfs.syncs.load(Ordering::Relaxed));
    println!("2000 files in batches of 10: {lists} listings, {syncs} syncs");
    assert!(lists <= 2 && syncs <= 200);
}

#[test]
fn a_huge_directory_is_listed_in_steps() {
    let bench = Bench::new();
    let entries = crate::limits::SPOOL_ENTRIES_PER_POLL * 2 + 100;
    for i in 0..entries {
        fs::write(bench.path(&format!("ignored{i}")), "").unwrap();
    }
    let mut source = bench.opened(bench.source().ignore("ignored.*"));
    let mut polls = 1;
    while bench.step(&mut source).unwrap() == Pulled::More {
        polls += 1;
    }
    assert_eq!(polls, 3);
}
