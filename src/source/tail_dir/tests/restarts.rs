//! What is committed, and what a next life makes of it.

use super::*;

/// Goal: no restart loses or repeats a line. Method: the source is opened again after each poll, committed or not.
#[test]
fn a_restart_at_any_point_neither_loses_nor_repeats_a_line() {
    for batch in [1, 3, 100] {
        for commit_each in [1, 2, 3] {
            let mut bench = Bench::new();
            bench.batch = batch;
            let mut expected = Vec::new();
            for file in 0..3 {
                for line in 0..10 {
                    bench.append(&format!("app.log.{file}"), format!("{file}:{line}\n"));
                    expected.push(format!("{file}:{line}"));
                }
            }
            let mut polls = 0;
            loop {
                let mut source = bench.opened(bench.source());
                polls += 1;
                // The first poll of a life may have nothing to do but to begin.
                let mut out = PullBatch::new(batch);
                let mut pulled = source.poll(&mut out).unwrap();
                if out.is_empty() {
                    pulled = source.poll(&mut out).unwrap();
                }
                if out.is_empty() && pulled == Pulled::Idle {
                    break;
                }
                if polls % commit_each == 0 {
                    bench.context().put_batch(out.into_put_batch(), None).unwrap();
                }
            }
            let mut bodies = bench.bodies();
            bodies.sort();
            assert_eq!(bodies, expected, "batches of {batch}, one of {commit_each} committed");
        }
    }
}

#[test]
fn rotation_while_nobody_looks_is_followed_at_the_next_start() {
    let bench = Bench::new();
    let group = || FileGroup::new(bench.dir.path(), r"app\.log(\.1)?");
    for name in ["app.log", "app.log.1"] {
        bench.append(name, format!("{name} 1\n"));
    }
    drop(bench.ran(bench.source_of([group()])));
    bench.bodies();
    for name in ["app.log", "app.log.1"] {
        bench.append(name, format!("{name} 2\n"));
    }
    // The older one leaves the pattern.
    bench.rename("app.log.1", "app.log.2");
    bench.rename("app.log", "app.log.1");
    bench.append("app.log", "new\n");
    bench.append("app.log.3", "never ours\n");
    let mut source = bench.ran(bench.source_of([group()]));
    let mut bodies = bench.bodies();
    bodies.sort();
    assert_eq!(bodies, ["app.log 2", "app.log.1 2", "new"]);
    bench.append("app.log.2", "app.log.1 3\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["app.log.1 3"]);
    assert_eq!((bench.positions(), bench.reports().len()), (3, 0));
}

#[test]
fn positions_of_files_that_are_gone_are_cleared_but_not_those_of_a_directory_that_is_away() {
    let bench = Bench::new();
    fs::create_dir(bench.path("disk")).unwrap();
    bench.append("app.log", "1\n");
    bench.append("disk/app.log", "2\n");
    let disk = || FileGroup::new(bench.path("disk"), ".*");
    drop(bench.ran(bench.source_of([bench.group(), disk()])));
    bench.bodies();
    bench.remove("app.log");
    fs::rename(bench.path("disk"), bench.path("away")).unwrap();
    let mut source = bench.source_of([bench.group(), disk()]);
    // The directory is missed at the first start, where it may be a mistake; later it may come back.
    let error = source.open(&bench.context()).unwrap_err().to_string();
    assert!(error.contains("disk"), "{error}");
    fs::create_dir(bench.path("disk")).unwrap();
    source.open(&bench.context()).unwrap();
    fs::remove_dir(bench.path("disk")).unwrap();
    source.open(&bench.context()).unwrap();
    bench.pass(&mut source, TAIL_GONE);
    assert_one_report(&bench.reports(), "cannot be listed");
    assert_eq!(bench.positions(), 1, "only what is known to be gone is cleared");
    fs::rename(bench.path("away"), bench.path("disk")).unwrap();
    bench.append("disk/app.log", "3\n");
    bench.drain(&mut source);
    assert_eq!((bench.bodies(), bench.positions()), (vec!["3".to_owned()], 1));
}

#[test]
fn a_group_that_is_not_configured_any_more_leaves_no_positions() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sub")).unwrap();
    bench.append("app.log", "1\n");
    bench.append("sub/x", "2\n");
    let sub = FileGroup::new(bench.path("sub"), ".*");
    drop(bench.ran(bench.source_of([bench.group(), sub])));
    assert_eq!(bench.positions(), 2);
    let mut source = bench.ran(bench.source());
    bench.pass(&mut source, TAIL_GONE);
    assert_eq!(bench.positions(), 1);
}

/// Goal: with `skip_to_end`, what was there at the start is passed over, and nothing that comes later.
#[test]
fn skipping_to_the_end_holds_for_the_first_moment_only() {
    let mut bench = Bench::new();
    bench.batch = 1;
    for file in 0..3 {
        bench.append(&format!("app.log.{file}"), "old\nhalf ");
    }
    let make = || bench.source().skip_to_end(true);
    let mut source = bench.opened(make());
    bench.append("app.log.0", "a line\n");
    // An error before anything is committed: the source is opened again, and remembers.
    source.open(&bench.context()).unwrap();
    let mut out = PullBatch::new(1);
    source.poll(&mut out).unwrap();
    assert_eq!(out.events().len(), 0, "the places come first");
    bench.context().put_batch(out.into_put_batch(), None).unwrap();
    source.committed().unwrap();
    assert_eq!(bench.positions(), 3);
    // Killed here: what came after the first moment is known to be new.
    bench.append("app.log.1", "another\n");
    let mut source = bench.opened(make());
    bench.append("app.log.3", "new file\n");
    bench.drain(&mut source);
    let mut bodies = bench.bodies();
    bodies.sort();
    assert_eq!(bodies, ["a line", "another", "new file"]);
    drop(source);
    bench.append("app.log.4", "while stopped\n");
    let mut source = bench.ran(make());
    bench.append("app.log.4", "while running\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["while running"]);
}

/// Goal: a number of a device that has changed with the start of the machine does not matter. Method: positions are
/// rewritten as if they had been committed on another device.
#[test]
fn a_device_may_have_another_number_after_a_start() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    bench.append("app.log.1", "a\n");
    drop(bench.ran(bench.source()));
    bench.bodies();
    for position in bench.port.0.lock().1.values_mut() {
        let mut place = super::super::position::Place::decode(position).unwrap();
        place.mark.id.device += 1;
        *position = place.encode();
    }
    bench.append("app.log", "2\n");
    drop(bench.ran(bench.source()));
    assert_eq!(bench.bodies(), ["2"]);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn foreign_positions_are_refused() {
    for (key, value) in [("file/0", &b"x"[..]), ("file/x", b""), ("file/", b"")] {
        let bench = Bench::new();
        bench.port.0.lock().1.insert(format!("source/tail/{key}"), value.to_vec().into());
        let error = bench.source().open(&bench.context()).unwrap_err();
        assert!(matches!(&error, SourceError::Fatal(text) if text.to_string().contains(key)), "{error}");
    }
    let mut source = Bench::new().source();
    assert!(matches!(source.poll(&mut PullBatch::new(1)), Err(SourceError::Fatal(_))));
}
