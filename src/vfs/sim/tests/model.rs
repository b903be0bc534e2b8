//! Laws that every crash obeys, checked on random workloads.

use super::*;

/// Runs random operations and hands the file system to a check now and then.
fn workload(rng: &mut SplitMix, steps: u32, mut check: impl FnMut(&SimVfs, &mut SplitMix)) {
    let sim = with_dir();
    sim.make_dirs("/e").unwrap();
    let mut files: Vec<Arc<dyn VfsFile>> = Vec::new();
    let path = |rng: &mut SplitMix| {
        let dir = if rng.chance(1, 2) { "/d" } else { "/e" };
        std::path::PathBuf::from(format!("{dir}/{}", rng.below(4)))
    };
    for _ in 0..steps {
        // Operations may fail (no such file, exists already): the file system stays consistent either way.
        match rng.below(16) {
            0 | 1 => files.extend(sim.open(&path(rng), OpenMode::CreateNew)),
            2 => files.extend(sim.open(&path(rng), OpenMode::ReadWrite)),
            3 => drop(sim.rename(&path(rng), &path(rng))),
            4 => drop(sim.remove_file(&path(rng))),
            5 => drop(sim.sync_dir(Path::new(if rng.chance(1, 2) { "/d" } else { "/e" }))),
            6 if !files.is_empty() => drop(files.swap_remove(rng.index(files.len()))),
            7 if rng.chance(1, 16) => sim.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).on(OpKind::SyncDir)),
            8..=10 => check(&sim, rng),
            _ if files.is_empty() => {}
            11 => drop(files[rng.index(files.len())].sync_data()),
            12 => files[rng.index(files.len())].set_len(rng.below(10_000)).unwrap(),
            _ => {
                let mut bytes = vec![0; rng.index(3000)];
                rng.fill(&mut bytes);
                write(&*files[rng.index(files.len())], &bytes, rng.below(8000)).unwrap();
            }
        }
    }
}

fn a_sync_failed(sim: &SimVfs) -> bool {
    sim.ops().iter().any(|op| matches!(op.kind, OpKind::SyncData | OpKind::SyncDir) && op.error.is_some())
}

fn contents(disk: &SimVfs) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    disk.files().into_iter().map(|path| (path.clone(), disk.peek(path).unwrap())).collect()
}

#[test]
fn every_crash_leaves_a_settled_disk_that_no_further_crash_changes() {
    let base = seed(0xC0);
    let mut images = 0;
    for round in 0..6 {
        workload(&mut SplitMix::new(base + round), 200, |sim, rng| {
            for mode in [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage] {
                for choice in sim.crash_choices(mode, 4, rng.next_u64()) {
                    let disk = sim.crash(&choice);
                    assert!(disk.unsynced().is_empty());
                    let before = contents(&disk);
                    let again = disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing));
                    assert_eq!(contents(&again), before, "seed {}: {choice}", base + round);
                    images += 1;
                }
            }
        });
    }
    println!("{images} images");
}

#[test]
fn if_everything_survives_the_disk_is_what_the_running_system_saw_unless_a_sync_failed() {
    let base = seed(0xA11);
    let (mut same, mut diverged) = (0, 0);
    for round in 0..200 {
        workload(&mut SplitMix::new(base + round), 120, |sim, _| {
            let failed =
                sim.ops().iter().any(|op| matches!(op.kind, OpKind::SyncData | OpKind::SyncDir) && op.error.is_some());
            for mode in [CrashMode::Journaled, CrashMode::Posix] {
                let disk = sim.crash(&CrashChoice::new(mode, Survive::All));
                if failed {
                    diverged += u32::from(contents(&disk) != contents(sim));
                } else {
                    assert_eq!(contents(&disk), contents(sim), "seed {}", base + round);
                    same += 1;
                }
            }
        });
    }
    assert!(same > 100 && diverged > 100, "{same} {diverged}");
    println!("{same} images equal, {diverged} differ after a failed sync");
}

#[test]
fn after_syncing_everything_nothing_can_be_lost() {
    let base = seed(0x5C);
    let mut images = 0;
    for round in 0..100 {
        workload(&mut SplitMix::new(base + round), 120, |sim, rng| {
            let copy = sim.snapshot();
            copy.sync_dir(Path::new("/d")).unwrap();
            copy.sync_dir(Path::new("/e")).unwrap();
            for path in copy.files() {
                copy.open(&path, OpenMode::ReadWrite).unwrap().sync_data().unwrap();
            }
            let nothing = CrashChoice::new(CrashMode::Posix, Survive::Nothing);
            let failed = a_sync_failed(sim);
            if !failed {
                assert!(copy.unsynced().is_empty(), "seed {}: {:?}", base + round, copy.unsynced());
                assert_eq!(contents(&copy.crash(&nothing)), contents(sim), "seed {}", base + round);
                images += 1;
            }
            // Space adds up again once everything is gone.
            let mut disk = sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::Random(rng.next_u64())));
            for path in disk.files() {
                disk.remove_file(&path).unwrap();
            }
            disk.set_space(Some(1 << 20));
            disk = disk.snapshot();
            assert_eq!(disk.available_bytes(Path::new("/")).unwrap(), 1 << 20);
        });
    }
    println!("{images} images");
}
