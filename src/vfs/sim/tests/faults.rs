//! Injected errors, exhausted resources, locks, handles, tampering.

use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn nothing() -> CrashChoice {
    CrashChoice::new(CrashMode::Posix, Survive::Nothing)
}

fn everything() -> CrashChoice {
    CrashChoice::new(CrashMode::Posix, Survive::All)
}

#[test]
fn a_failed_sync_of_a_file_forgets_the_bytes_and_the_next_one_lies() {
    let sim = with_dir();
    sim.poke("/d/f", 0, b"old").unwrap();
    let file = sim.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    write(&*file, b"new+", 0).unwrap();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::SyncData));
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(sim.peek("/d/f").unwrap(), b"new+", "the cache still shows it");
    file.sync_data().unwrap();
    assert_eq!(sim.crash(&everything()).peek("/d/f").unwrap(), b"old", "the disk never got it");
    // What is written later does get there, and only that.
    write(&*file, b"more", 4).unwrap();
    file.sync_data().unwrap();
    assert_eq!(sim.crash(&nothing()).peek("/d/f").unwrap(), b"old\0more");
    assert_eq!(sim.snapshot().peek("/d/f").unwrap(), b"new+more");
}

#[test]
fn a_failed_sync_of_a_directory_forgets_the_names_and_the_next_one_lies() {
    let sim = with_dir();
    create(&sim, "/d/f", b"x").unwrap().sync_data().unwrap();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::SyncDir));
    assert_eq!(sim.sync_dir(Path::new("/d")).unwrap_err().raw_os_error(), Some(EIO));
    sim.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(sim.peek("/d/f").unwrap(), b"x");
    assert!(sim.crash(&everything()).files().is_empty());
    create(&sim, "/d/g", b"").unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(sim.crash(&nothing()).files(), [Path::new("/d/g")]);
}

#[test]
fn a_directory_that_cannot_be_opened_for_its_sync_loses_nothing() {
    let sim = with_dir();
    create(&sim, "/d/f", b"").unwrap();
    sim.inject(Inject::new(Fault::Errno(24)).on(OpKind::SyncDir));
    assert_eq!(sim.sync_dir(Path::new("/d")).unwrap_err().raw_os_error(), Some(24));
    assert!(sim.crash(&nothing()).files().is_empty());
    sim.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(sim.crash(&nothing()).files(), [Path::new("/d/f")]);
}

#[test]
fn faults_hit_the_nth_match_once_or_from_then_on() {
    let sim = with_dir();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::Write).on(OpKind::SetLen).path("*.seg").skip(1));
    let (seg, log) = (create(&sim, "/d/1.seg", b"a").unwrap(), create(&sim, "/d/1.log", b"a").unwrap());
    assert_eq!(seg.set_len(7).unwrap_err().raw_os_error(), Some(EIO));
    seg.set_len(8).unwrap();
    sim.inject(Inject::new(Fault::Errno(ENOSPC)).on(OpKind::Write).sticky().skip(2));
    write(&*seg, b"1", 0).unwrap();
    write(&*log, b"2", 0).unwrap();
    for _ in 0..3 {
        assert_eq!(write(&*log, b"3", 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    sim.clear_faults();
    write(&*log, b"4", 0).unwrap();
    assert_eq!(sim.peek("/d/1.log").unwrap(), b"4");
    let failed: Vec<_> = sim.ops().into_iter().filter(|op| op.error.is_some()).collect();
    assert_eq!(failed.len(), 4);
    assert_eq!((failed[0].kind, failed[0].len, failed[0].index), (OpKind::SetLen, 7, 4));
    assert_eq!(&*failed[0].path, Path::new("/d/1.seg"));
    assert_eq!(sim.op_count(), sim.ops().len() as u64);
}

#[test]
fn a_fault_can_be_held_back_until_an_operation_and_the_trace_tells_where_it_was() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"a").unwrap();
    let now = sim.op_count();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::Write).not_before(now + 2));
    for expected in [true, true, false, true] {
        assert_eq!(write(&*file, b"b", 0).is_ok(), expected);
    }
    let since = sim.ops_since(now);
    assert_eq!(since.len(), 4);
    assert_eq!(since.iter().map(|op| op.fault).collect::<Vec<_>>(), [None, None, Some(Fault::Errno(EIO)), None]);
    assert_eq!((since[0].index, sim.ops_since(now + 4).len()), (now, 0));
}

#[test]
fn every_operation_of_every_kind_can_be_failed() {
    for kind in OpKind::ALL {
        let sim = with_dir();
        let file = create(&sim, "/d/f", b"abc").unwrap();
        sim.inject(Inject::new(Fault::Errno(EIO)).on(kind));
        let d = Path::new("/d");
        let results = [
            sim.open(Path::new("/d/f"), OpenMode::Read).map(drop),
            sim.open(Path::new("/d/g"), OpenMode::CreateNew).map(drop),
            sim.create_dir(Path::new("/d/h")),
            sim.read_dir(d).map(drop),
            sim.metadata(d).map(drop),
            sim.rename(Path::new("/d/f"), Path::new("/d/i")),
            sim.lock(Path::new("/d/lock")).map(drop),
            sim.remove_file(Path::new("/d/lock")),
            sim.sync_dir(d),
            sim.available_bytes(d).map(drop),
            file.read_at(&mut [0; 3], 0).map(drop),
            write(&*file, b"x", 0),
            file.sync_data(),
            file.set_len(1),
            file.map(1).map(drop),
        ];
        let errors: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()?.raw_os_error()).collect();
        let expected: &[i32] = if kind == OpKind::Lock { &[EIO, 2] } else { &[EIO] };
        assert_eq!(errors, expected, "{kind:?}: {results:?}");
    }
}

#[test]
fn transfers_can_be_short_and_bits_can_flip() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"0123456789").unwrap();
    let mut buf = [0; 10];
    sim.inject(Inject::new(Fault::Short(3)).on(OpKind::Read));
    assert_eq!(file.read_at(&mut buf, 2).unwrap(), 3);
    assert_eq!(&buf[..4], b"234\0");
    sim.inject(Inject::new(Fault::Short(1)).on(OpKind::Write).sticky());
    write(&*file, b"abc", 0).unwrap();
    assert_eq!(sim.peek("/d/f").unwrap(), b"abc3456789");
    sim.clear_faults();
    sim.inject(Inject::new(Fault::Short(0)).on(OpKind::Write));
    assert_eq!(write(&*file, b"abc", 0).unwrap_err().kind(), io::ErrorKind::WriteZero);
    sim.inject(Inject::new(Fault::Flip(8)).on(OpKind::Read));
    file.read_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"acc3456789");
    sim.inject(Inject::new(Fault::Flip(24 + 1)).on(OpKind::Write));
    write(&*file, b"abc", 0).unwrap();
    assert_eq!(sim.peek("/d/f").unwrap(), b"cbc3456789");
}

#[test]
fn a_killed_process_gets_nothing_done_any_more() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"").unwrap();
    sim.inject(Inject::new(Fault::KillAfter(3)).on(OpKind::Write));
    let error = write(&*file, b"abcdef", 0).unwrap_err();
    assert!(is_simulated_kill(&error) && sim.is_killed(), "{error}");
    assert_eq!(error.to_string(), "simulated kill");
    let count = sim.op_count();
    assert!(is_simulated_kill(&file.sync_data().unwrap_err()));
    assert!(is_simulated_kill(&sim.read_dir(Path::new("/")).unwrap_err()));
    assert_eq!(sim.op_count(), count);
    let disk = sim.crash(&CrashChoice::new(CrashMode::Kill, Survive::All));
    assert_eq!(disk.peek("/d/f").unwrap(), b"abc");
    assert!(!disk.is_killed() && disk.op_count() == 0);
    assert!(!is_simulated_kill(&io::Error::other("simulated kill")));
}

#[test]
fn a_kill_in_the_middle_of_an_open_leaves_the_file_but_no_handle() {
    let sim = with_dir();
    sim.inject(Inject::new(Fault::KillAfter(0)).on(OpKind::Create));
    assert!(is_simulated_kill(&create(&sim, "/d/f", b"").unwrap_err()));
    assert_eq!((sim.handles(), sim.files().len()), (0, 1));
    let sim = with_dir();
    sim.inject(Inject::new(Fault::KillAfter(0)).on(OpKind::Lock));
    assert!(is_simulated_kill(&sim.lock(Path::new("/d/lock")).unwrap_err()));
    assert_eq!((sim.handles(), sim.files().len()), (0, 1));
}

#[test]
fn space_is_taken_by_new_blocks_only_and_comes_back_with_the_last_handle() {
    let sim = with_dir();
    sim.set_space(Some(3 * 4096 + 100));
    let free = || sim.available_bytes(Path::new("/d")).unwrap();
    let file = create(&sim, "/d/f", &[1; 5000]).unwrap();
    assert_eq!(free(), 4096 + 100);
    write(&*file, &[2; 8192], 0).unwrap();
    assert_eq!(free(), 4096 + 100, "overwriting and filling a block takes none");
    file.set_len(1 << 20).unwrap();
    assert_eq!(free(), 4096 + 100, "a hole takes none");
    // Two blocks are wanted, one is left: a short write, then the error.
    assert_eq!(file.write_at(&[IoSlice::new(&[3; 8192])], 8192).unwrap(), 4096);
    assert_eq!(free(), 100);
    let error = file.write_at(&[IoSlice::new(&[3; 8192])], 12_288).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::StorageFull, Some(ENOSPC)));
    write(&*file, &[4; 12_288], 0).unwrap();
    file.set_len(4096).unwrap();
    assert_eq!(free(), 2 * 4096 + 100);
    sim.remove_file(Path::new("/d/f")).unwrap();
    assert_eq!(free(), 2 * 4096 + 100, "the handle keeps it");
    drop(file);
    assert_eq!(free(), 3 * 4096 + 100);
    let replaced = create(&sim, "/d/a", &[5; 10]).unwrap();
    drop(replaced);
    create(&sim, "/d/b", &[6; 10]).unwrap();
    sim.rename(Path::new("/d/b"), Path::new("/d/a")).unwrap();
    assert_eq!(free(), 2 * 4096 + 100);
    let disk = sim.crash(&nothing());
    assert_eq!(disk.available_bytes(Path::new("/")).unwrap(), 3 * 4096 + 100);
}

#[test]
fn the_longest_file_is_bounded() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"").unwrap();
    let max = super::super::state::FILE_BYTES_MAX;
    file.set_len(max).unwrap();
    assert_eq!(file.set_len(max + 1).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(file.write_at(&[IoSlice::new(b"ab")], max - 1).unwrap(), 1);
    assert_eq!(write(&*file, b"b", max).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(write(&*file, b"b", u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    let mut byte = [0];
    assert_eq!((file.read_at(&mut byte, max - 1).unwrap(), byte), (1, *b"a"));
}

#[test]
fn handles_run_out_and_come_back() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"").unwrap();
    sim.set_handles(Some(2));
    let lock = sim.lock(Path::new("/d/lock")).unwrap();
    let emfile = Some(24);
    assert_eq!(create(&sim, "/d/g", b"").unwrap_err().raw_os_error(), emfile);
    assert_eq!(sim.lock(Path::new("/d/lock2")).unwrap_err().raw_os_error(), emfile);
    assert_eq!(sim.sync_dir(Path::new("/d")).unwrap_err().raw_os_error(), emfile);
    assert_eq!(sim.read_dir(Path::new("/d")).unwrap_err().raw_os_error(), emfile);
    assert_eq!(sim.files().len(), 2, "nothing was created");
    drop(lock);
    create(&sim, "/d/g", b"").unwrap();
    drop(file);
    assert_eq!(sim.handles(), 0);
    assert_eq!(sim.open(Path::new("/d/x"), OpenMode::Read).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(sim.handles(), 0, "a failed open holds none");
}

#[test]
fn a_lock_is_exclusive_until_its_guard_drops_or_the_system_crashes() {
    let sim = with_dir();
    let path = Path::new("/d/lock");
    let guard = sim.lock(path).unwrap();
    assert_eq!(sim.clone().lock(path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(sim.handles(), 1, "a lock that was not taken holds none");
    for mode in CrashMode::ALL {
        sim.crash(&CrashChoice::new(mode, Survive::All)).lock(path).unwrap();
    }
    sim.remove_file(path).unwrap();
    let other = sim.lock(path).unwrap();
    drop(guard);
    assert_eq!(sim.lock(path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(other);
    sim.lock(path).unwrap();
}

#[test]
fn an_unnamed_file_stays_readable_and_writable_through_its_handle() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"first").unwrap();
    let id = file.metadata().unwrap().id;
    sim.remove_file(Path::new("/d/f")).unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    create(&sim, "/d/f", b"second").unwrap();
    write(&*file, b"F", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.map(5).unwrap(), &b"First"[..]);
    assert_eq!(sim.peek("/d/f").unwrap(), b"second");
    assert_ne!(sim.metadata(Path::new("/d/f")).unwrap().id, id);
}

#[test]
fn modification_times_rise_with_each_change_and_identities_survive_renames() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"1").unwrap();
    let before = file.metadata().unwrap();
    write(&*file, b"2", 0).unwrap();
    let after = file.metadata().unwrap();
    assert!(after.modified > before.modified);
    sim.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
    assert_eq!(sim.metadata(Path::new("/d/g")).unwrap(), after);
    sim.step(Duration::from_secs(3600));
    file.set_len(0).unwrap();
    assert!(file.metadata().unwrap().modified >= after.modified + Duration::from_secs(3600));
}

#[test]
fn tampering_changes_the_disk_and_the_running_system_at_once() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"abc").unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    let saved = sim.save("/d/f").unwrap();
    sim.flip_bit("/d/f", 8).unwrap();
    let both = |expected: &[u8]| {
        assert_eq!(sim.peek("/d/f").unwrap(), expected);
        assert_eq!(sim.crash(&nothing()).peek("/d/f").unwrap(), expected);
        assert_eq!(file.map(expected.len() as u64).unwrap(), expected);
    };
    both(b"acc");
    sim.poke("/d/f", 2, b"de").unwrap();
    both(b"acde");
    sim.cut("/d/f", 2).unwrap();
    both(b"ac");
    sim.cut("/d/f", 3).unwrap();
    both(b"ac\0");
    sim.restore("/d/f", &saved).unwrap();
    both(b"abc");
    sim.restore("/d/copy", &saved).unwrap();
    assert_eq!(sim.files(), [Path::new("/d/copy"), Path::new("/d/f")]);
    assert_eq!(sim.flip_bit("/d/f", 24).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(sim.peek("/d").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(sim.erase("/d/x").unwrap_err().kind(), io::ErrorKind::NotFound);
    sim.erase("/d").unwrap();
    assert!(sim.files().is_empty() && sim.crash(&nothing()).files().is_empty());
    assert_eq!(sim.metadata(Path::new("/d")).unwrap_err().kind(), io::ErrorKind::NotFound);
    sim.make_special("/fifo").unwrap();
    assert_eq!(sim.metadata(Path::new("/fifo")).unwrap().kind, FileKind::Other);
    assert_eq!(sim.open(Path::new("/fifo"), OpenMode::Read).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_trace_is_bounded() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"").unwrap();
    for _ in 0..TRACE_RECORDS_MAX {
        file.metadata().unwrap();
    }
    let ops = sim.ops();
    assert_eq!(ops.len(), TRACE_RECORDS_MAX);
    assert_eq!((ops[0].index, sim.op_count()), (1, TRACE_RECORDS_MAX as u64 + 1));
}

#[test]
fn patterns_match_whole_paths() {
    let hit = |pattern: &str, path: &str| {
        let sim = SimVfs::new();
        sim.inject(Inject::new(Fault::Errno(EIO)).path(pattern));
        sim.metadata(Path::new(path)).unwrap_err().raw_os_error() == Some(EIO)
    };
    for (pattern, path) in [("*", "/a"), ("/a", "/a"), ("*.seg", "/d/1.seg"), ("/?/*g", "/d/xgg"), ("**/*b*", "/abc")] {
        assert!(hit(pattern, path), "{pattern} {path}");
    }
    for (pattern, path) in [("", "/a"), ("/b", "/a"), ("*.seg", "/d/1.seg.tmp"), ("/?", "/ab"), ("*a*b*c", "/abcb")] {
        assert!(!hit(pattern, path), "{pattern} {path}");
    }
}

#[test]
fn a_failed_sync_may_have_reached_the_disk_in_part() {
    for kept in 0..5 {
        let sim = with_dir();
        let file = create(&sim, "/d/f", b"ab").unwrap();
        sim.sync_dir(Path::new("/d")).unwrap();
        write(&*file, b"cd", 2).unwrap();
        sim.inject(Inject::new(Fault::PartialSync { errno: EIO, kept }).on(OpKind::SyncData));
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(EIO));
        file.sync_data().unwrap();
        let expected = [&b""[..], b"\0\0", b"ab", b"ab\0\0", b"abcd"];
        assert_eq!(sim.crash(&everything()).peek("/d/f").unwrap(), expected[kept]);
        assert_eq!(sim.peek("/d/f").unwrap(), b"abcd");
    }
    let sim = with_dir();
    create(&sim, "/d/f", b"").unwrap();
    create(&sim, "/d/g", b"").unwrap();
    sim.inject(Inject::new(Fault::PartialSync { errno: EIO, kept: 1 }).on(OpKind::SyncDir));
    sim.sync_dir(Path::new("/d")).unwrap_err();
    assert_eq!(sim.crash(&everything()).files(), [Path::new("/d/f")]);
}

#[test]
fn after_a_failed_sync_the_cache_may_go_and_the_old_bytes_are_read_again() {
    let sim = with_dir();
    sim.poke("/d/f", 0, b"old").unwrap();
    sim.poke("/d/g", 0, b"old").unwrap();
    let open = |path: &str| sim.open(Path::new(path), OpenMode::ReadWrite).unwrap();
    let (f, g) = (open("/d/f"), open("/d/g"));
    write(&*f, b"new+", 0).unwrap();
    write(&*g, b"new+", 0).unwrap();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::SyncData));
    f.sync_data().unwrap_err();
    write(&*f, b"F", 0).unwrap();
    sim.drop_caches();
    assert_eq!(sim.peek("/d/f").unwrap(), b"Fld\0", "what is not lost stays, the length too");
    assert_eq!(sim.peek("/d/g").unwrap(), b"new+", "what is dirty is not dropped");
    sim.sync_everything();
    assert!(sim.unsynced().is_empty());
    assert_eq!(sim.crash(&nothing()).peek("/d/f").unwrap(), b"Fld");
    assert_eq!(sim.crash(&nothing()).peek("/d/g").unwrap(), b"new+");
}

#[test]
fn bytes_rewritten_after_a_failed_sync_are_durable_after_the_next_one() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"0123456789").unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::SyncData));
    file.sync_data().unwrap_err();
    write(&*file, b"0123", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(sim.crash(&nothing()).peek("/d/f").unwrap(), b"0123");
}

#[test]
fn an_operation_can_be_held_while_others_go_on() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"a").unwrap();
    let gate = Gate::new();
    sim.inject(Inject::pause(&gate).on(OpKind::SyncData).then(Fault::Errno(EIO)));
    sim.inject(Inject::pause(&gate).on(OpKind::Remove));
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync_data());
        gate.wait_for(1);
        let remove = scope.spawn(|| sim.remove_file(Path::new("/d/f")));
        gate.wait_for(2);
        write(&*file, b"b", 1).unwrap();
        assert_eq!(sim.peek("/d/f").unwrap(), b"ab");
        gate.open();
        assert_eq!(sync.join().unwrap().unwrap_err().raw_os_error(), Some(EIO));
        remove.join().unwrap().unwrap();
    });
    let errors: Vec<_> = sim.ops().into_iter().filter(|op| op.error.is_some()).map(|op| op.kind).collect();
    assert_eq!(errors, [OpKind::SyncData], "the error stands at the operation that had it");
    // Whoever waits at a gate when the process is killed does not come back from it.
    let gate = Gate::new();
    sim.inject(Inject::pause(&gate).on(OpKind::SetLen));
    sim.inject(Inject::new(Fault::Kill).on(OpKind::Read));
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| file.set_len(0));
        gate.wait_for(1);
        assert!(is_simulated_kill(&file.read_at(&mut [0], 0).unwrap_err()));
        gate.open();
        assert!(is_simulated_kill(&cut.join().unwrap().unwrap_err()));
    });
    let disk = sim.snapshot();
    assert!(disk.files().is_empty() && !disk.is_killed());
}

#[test]
fn one_run_yields_every_moment_to_crash_it() {
    let run = |sim: &SimVfs| {
        let file = create(sim, "/d/f", b"abc").unwrap();
        file.read_at(&mut [0], 0).unwrap();
        file.sync_data().unwrap();
        sim.sync_dir(Path::new("/d")).unwrap();
    };
    let sim = with_dir();
    sim.record_moments(3);
    run(&sim);
    let (moments, missed) = sim.take_moments();
    assert_eq!((moments.len(), missed), (3, 1));
    assert_eq!(moments.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 3]);
    for (index, moment) in moments {
        // The same as killing the process before that operation.
        let killed = with_dir();
        killed.inject(Inject::new(Fault::Kill).skip(index));
        let _ = create(&killed, "/d/f", b"abc").and_then(|file| file.read_at(&mut [0], 0).and(file.sync_data()));
        assert_eq!(moment.unsynced(), killed.unsynced(), "before operation {index}");
        assert_eq!(moment.files(), killed.files());
    }
    assert_eq!(sim.take_moments().0.len(), 0);
}

#[test]
fn numbers_of_removed_files_come_back_only_when_nothing_can_refer_to_them() {
    let sim = with_dir();
    let id = |path: &str| sim.metadata(Path::new(path)).unwrap().id;
    let file = create(&sim, "/d/f", b"old").unwrap();
    let first = id("/d/f");
    sim.sync_dir(Path::new("/d")).unwrap();
    file.sync_data().unwrap();
    sim.remove_file(Path::new("/d/f")).unwrap();
    create(&sim, "/d/1", b"").unwrap();
    assert_ne!(id("/d/1"), first, "still open");
    drop(file);
    create(&sim, "/d/2", b"").unwrap();
    assert_ne!(id("/d/2"), first, "a power cut can still bring it back");
    assert_eq!(sim.crash(&nothing()).peek("/d/f").unwrap(), b"old");
    sim.sync_dir(Path::new("/d")).unwrap();
    create(&sim, "/d/3", b"").unwrap();
    assert_eq!(id("/d/3"), first);
}

#[test]
fn records_and_changes_print_as_one_line() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"abc").unwrap();
    file.set_len(1).unwrap();
    sim.open(Path::new("/d/g"), OpenMode::Read).unwrap_err();
    let lines = |items: &[&dyn fmt::Display]| items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let (ops, unsynced) = (sim.ops(), sim.unsynced());
    let ops: Vec<&dyn fmt::Display> = ops.iter().map(|op| op as _).collect();
    assert_eq!(lines(&ops), "0 Create /d/f\n1 Write /d/f 0+3\n2 SetLen /d/f 0+1\n3 Open /d/g: entity not found");
    let unsynced: Vec<&dyn fmt::Display> = unsynced.iter().map(|change| change as _).collect();
    assert_eq!(lines(&unsynced), "Link /d/f\nLength /d/f 0..3\nWrite /d/f 0+3\nLength /d/f 3..1");
}

#[test]
fn a_removal_whose_sync_failed_leaves_the_file_on_the_disk_for_ever() {
    let sim = with_dir();
    sim.poke("/d/f", 0, b"old").unwrap();
    sim.remove_file(Path::new("/d/f")).unwrap();
    sim.inject(Inject::new(Fault::Errno(EIO)).on(OpKind::SyncDir));
    sim.sync_dir(Path::new("/d")).unwrap_err();
    sim.sync_everything();
    assert!(sim.files().is_empty());
    assert_eq!(sim.crash(&everything()).peek("/d/f").unwrap(), b"old");
}
