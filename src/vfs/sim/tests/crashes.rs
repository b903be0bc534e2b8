//! Programs that replace a file, right and wrong ones, under every classic crash in every mode.

use std::collections::BTreeMap;

use super::*;

const OLD: [u8; 1500] = [b'o'; 1500];
const NEW: [u8; 2600] = [b'n'; 2600];

/// What a reader finds after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Missing,
    Empty,
    Old,
    New,
    Torn,
}

fn look(disk: &SimVfs) -> Found {
    match disk.peek("/d/f") {
        Err(_) => Found::Missing,
        Ok(bytes) if bytes.is_empty() => Found::Empty,
        Ok(bytes) if bytes == OLD => Found::Old,
        Ok(bytes) if bytes == NEW => Found::New,
        Ok(_) => Found::Torn,
    }
}

#[derive(Clone, Copy, Debug)]
struct Program {
    sync_file: bool,
    rename: bool,
    sync_dir: bool,
}

const TEXTBOOK: Program = Program { sync_file: true, rename: true, sync_dir: true };

impl Program {
    fn run(self, vfs: &dyn Vfs) -> io::Result<()> {
        let path = if self.rename { "/d/f.tmp" } else { "/d/f" };
        let file = match create(vfs, path, &NEW) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = vfs.open(Path::new(path), OpenMode::ReadWrite)?;
                file.set_len(0)?;
                write(&*file, &NEW, 0)?;
                file
            }
            created => created?,
        };
        if self.sync_file {
            file.sync_data()?;
        }
        if self.rename {
            vfs.rename(Path::new(path), Path::new("/d/f"))?;
        }
        if self.sync_dir {
            vfs.sync_dir(Path::new("/d"))?;
        }
        Ok(())
    }
}

/// Crashes the program before each of its operations and after the last one, and counts what is found: separately while
/// it runs and after it has returned.
fn enumerate(program: Program, mode: CrashMode, had_old: bool) -> [BTreeMap<Found, u32>; 2] {
    let mut found = [BTreeMap::new(), BTreeMap::new()];
    for at in 0.. {
        let sim = with_dir();
        if had_old {
            sim.poke("/d/f", 0, &OLD).unwrap();
        }
        sim.inject(Inject::new(Fault::Kill).skip(at));
        let result = program.run(&sim);
        assert_eq!(result.is_err(), sim.is_killed());
        let finished = usize::from(result.is_ok());
        for choice in sim.crash_choices(mode, 64, at) {
            *found[finished].entry(look(&sim.crash(&choice))).or_insert(0) += 1;
        }
        if finished == 1 {
            break;
        }
    }
    found
}

#[test]
fn the_textbook_program_survives_every_crash_with_old_or_new_content() {
    let mut images = 0;
    for mode in CrashMode::ALL {
        for had_old in [false, true] {
            let [during, after] = enumerate(TEXTBOOK, mode, had_old);
            let before = if had_old { Found::Old } else { Found::Missing };
            assert!(during.keys().all(|found| [before, Found::New].contains(found)), "{mode:?} {had_old}: {during:?}");
            assert_eq!(after.keys().copied().collect::<Vec<_>>(), [Found::New], "{mode:?} {had_old}: {after:?}");
            assert!(during[&before] > 0);
            images += during.values().chain(after.values()).sum::<u32>();
        }
    }
    println!("{images} images");
}

#[test]
fn a_program_without_syncs_loses_empties_and_tears_files() {
    let naive = Program { sync_file: false, sync_dir: false, ..TEXTBOOK };
    for mode in [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage] {
        let [_, fresh] = enumerate(naive, mode, false);
        for wanted in [Found::Missing, Found::Empty, Found::Torn, Found::New] {
            assert!(fresh.contains_key(&wanted), "{mode:?}: {wanted:?} not among {fresh:?}");
        }
        let [_, replaced] = enumerate(naive, mode, true);
        for wanted in [Found::Old, Found::Empty, Found::Torn, Found::New] {
            assert!(replaced.contains_key(&wanted), "{mode:?}: {wanted:?} not among {replaced:?}");
        }
        assert!(!replaced.contains_key(&Found::Missing), "a rename is atomic: {mode:?} {replaced:?}");
    }
}

#[test]
fn a_program_without_syncs_is_right_as_long_as_only_processes_die() {
    let naive = Program { sync_file: false, sync_dir: false, ..TEXTBOOK };
    let [during, after] = enumerate(naive, CrashMode::Kill, true);
    assert!(during.keys().all(|found| [Found::Old, Found::New].contains(found)), "{during:?}");
    assert_eq!(after.keys().collect::<Vec<_>>(), [&Found::New]);
}

#[test]
fn each_missing_step_of_the_textbook_program_is_caught() {
    for mode in [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage] {
        let [_, after] = enumerate(Program { sync_dir: false, ..TEXTBOOK }, mode, false);
        assert!(after.contains_key(&Found::Missing), "no sync of the directory, {mode:?}: {after:?}");
        let [_, after] = enumerate(Program { sync_file: false, ..TEXTBOOK }, mode, false);
        assert!(after.contains_key(&Found::Empty), "no sync of the file, {mode:?}: {after:?}");
        assert!(after.contains_key(&Found::Torn), "no sync of the file, {mode:?}: {after:?}");
        assert!(!after.contains_key(&Found::Missing), "{mode:?}: {after:?}");
        let [during, _] = enumerate(Program { rename: false, ..TEXTBOOK }, mode, true);
        assert!(during.contains_key(&Found::Torn), "written in place, {mode:?}: {during:?}");
    }
}

#[test]
fn a_synced_file_in_a_new_directory_needs_the_sync_of_the_parent_too() {
    let sim = with_dir();
    sim.create_dir(Path::new("/d/sub")).unwrap();
    create(&sim, "/d/sub/f", b"x").unwrap().sync_data().unwrap();
    sim.sync_dir(Path::new("/d/sub")).unwrap();
    let lost = sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing));
    assert!(lost.files().is_empty());
    sim.sync_dir(Path::new("/d")).unwrap();
    assert!(sim.unsynced().is_empty());
    let kept = sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing));
    assert_eq!(kept.peek("/d/sub/f").unwrap(), b"x");
}

#[test]
fn a_write_is_torn_at_the_sectors_of_the_file_and_keeps_what_lies_around_it() {
    let sim = with_dir();
    sim.poke("/d/f", 0, &[b'o'; 2048]).unwrap();
    let file = sim.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    write(&*file, &[b'n'; 1000], 500).unwrap();
    let crash = |fate| {
        let choice = CrashChoice::new(CrashMode::Posix, Survive::Mask(vec![fate]));
        sim.crash(&choice).peek("/d/f").unwrap()
    };
    let expect = |new: std::ops::Range<usize>| {
        let mut bytes = [b'o'; 2048];
        bytes[new].fill(b'n');
        bytes.to_vec()
    };
    assert_eq!(crash(Fate::Kept), expect(500..1500));
    assert_eq!(crash(Fate::Lost), expect(0..0));
    assert_eq!(crash(Fate::Head(1)), expect(500..512));
    assert_eq!(crash(Fate::Head(2)), expect(500..1024));
    assert_eq!(crash(Fate::Tail(2)), expect(1024..1500));
    assert_eq!(crash(Fate::Sectors(0b010)), expect(512..1024));
    let large = CrashChoice::new(CrashMode::Posix, Survive::Mask(vec![Fate::Head(1)])).sector(Sector::Bytes4096);
    assert_eq!(sim.crash(&large).peek("/d/f").unwrap(), expect(500..1500));
    let mut garbled = 0;
    for seed in 0..64 {
        let bytes =
            sim.crash(&CrashChoice::new(CrashMode::Garbage, Survive::Nothing).garbage(seed)).peek("/d/f").unwrap();
        assert!(bytes[..500].iter().chain(&bytes[1500..]).all(|&byte| byte == b'o'), "seed {seed}");
        garbled += u32::from(bytes != expect(0..0));
    }
    assert!((8..=56).contains(&garbled), "{garbled} of 64");
}

#[test]
fn the_length_of_a_file_and_its_bytes_survive_independently() {
    use Fate::{Kept, Lost};
    use UnsyncedKind::{Length, Write};

    let sim = with_dir();
    sim.poke("/d/f", 0, b"old").unwrap();
    let file = sim.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    write(&*file, b"new+", 0).unwrap();
    write(&*file, b"more", 4).unwrap();
    let kinds: Vec<_> = sim.unsynced().iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [Length, Write, Length, Write]);
    let crash = |mask: &[Fate]| {
        let choice = CrashChoice::new(CrashMode::Posix, Survive::Mask(mask.to_vec()));
        sim.crash(&choice).peek("/d/f").unwrap()
    };
    assert_eq!(crash(&[Lost, Kept, Lost, Lost]), b"new");
    assert_eq!(crash(&[Kept, Lost, Lost, Lost]), b"old\0");
    assert_eq!(crash(&[Lost, Lost, Kept, Kept]), b"old\0more");
    assert_eq!(crash(&[Lost, Kept, Kept, Lost]), b"new+\0\0\0\0");
    assert_eq!(crash(&[Lost, Kept, Fate::Length(6), Kept]), b"new+mo");
    file.set_len(2).unwrap();
    assert_eq!(crash(&[Kept, Kept, Kept, Kept, Kept]), b"ne");
    assert_eq!(crash(&[Kept, Kept, Kept, Kept, Fate::Length(5)]), b"new+m");
    assert_eq!(crash(&[Lost, Kept, Lost, Kept, Lost]), b"new");
}

#[test]
fn bytes_cut_off_do_not_come_back_when_the_file_grows_again() {
    let sim = with_dir();
    sim.poke("/d/f", 0, &[7; 6000]).unwrap();
    let file = sim.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    file.set_len(10).unwrap();
    file.set_len(6000).unwrap();
    for disk in [sim.snapshot(), sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::All))] {
        let bytes = disk.peek("/d/f").unwrap();
        assert_eq!(&bytes[..10], [7; 10]);
        assert!(bytes[10..].iter().all(|&byte| byte == 0) && bytes.len() == 6000);
    }
}

#[test]
fn bytes_beyond_a_length_that_was_lost_do_not_show_up_later() {
    let sim = with_dir();
    sim.set_space(Some(3 * 4096));
    let file = create(&sim, "/d/f", &[7; 6000]).unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    let disk = sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::Data));
    assert_eq!(disk.available_bytes(Path::new("/")).unwrap(), 3 * 4096);
    disk.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap().set_len(6000).unwrap();
    assert_eq!(disk.peek("/d/f").unwrap(), [0; 6000]);
    drop(file);
}

#[test]
fn a_removed_file_may_come_back_until_its_directory_is_synced() {
    let sim = with_dir();
    sim.poke("/d/f", 0, b"old").unwrap();
    sim.remove_file(Path::new("/d/f")).unwrap();
    let nothing = CrashChoice::new(CrashMode::Posix, Survive::Nothing);
    assert_eq!(sim.crash(&nothing).peek("/d/f").unwrap(), b"old");
    sim.sync_dir(Path::new("/d")).unwrap();
    assert!(sim.crash(&nothing).files().is_empty());
}

#[test]
fn a_journal_keeps_the_order_of_names_and_posix_does_not() {
    let sim = with_dir();
    for name in ["/d/1", "/d/2", "/d/3"] {
        create(&sim, name, b"").unwrap();
    }
    let names = |mode, survive| sim.crash(&CrashChoice::new(mode, survive)).files().len();
    assert_eq!(names(CrashMode::Posix, Survive::AllBut(0)), 2);
    assert_eq!(names(CrashMode::Journaled, Survive::AllBut(0)), 0);
    assert_eq!(names(CrashMode::Journaled, Survive::AllBut(2)), 2);
    assert_eq!(names(CrashMode::Posix, Survive::Only(2)), 1);
}

#[test]
fn a_lost_rename_never_takes_the_only_name_of_a_file() {
    // Rename chains and reuse of the freed name: whatever survives, the durable file is somewhere, once.
    let sim = with_dir();
    sim.poke("/d/a", 0, b"kept").unwrap();
    sim.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    create(&sim, "/d/a", b"").unwrap();
    sim.rename(Path::new("/d/b"), Path::new("/d/c")).unwrap();
    let mut images = 0;
    for mode in [CrashMode::Journaled, CrashMode::Posix] {
        for choice in sim.crash_choices(mode, 200, 3) {
            let disk = sim.crash(&choice);
            let holders = disk.files().iter().filter(|path| disk.peek(path).unwrap() == b"kept").count();
            assert_eq!(holders, 1, "{choice}: {:?}", disk.files());
            images += 1;
        }
    }
    println!("{images} images");
}

#[test]
fn a_rename_between_directories_is_atomic_whichever_of_them_is_synced() {
    for synced in ["/d", "/e"] {
        let sim = with_dir();
        sim.make_dirs("/e").unwrap();
        sim.poke("/d/f", 0, b"kept").unwrap();
        create(&sim, "/e/f", b"replaced").unwrap();
        sim.rename(Path::new("/d/f"), Path::new("/e/f")).unwrap();
        for choice in sim.crash_choices(CrashMode::Posix, 64, 5) {
            let disk = sim.crash(&choice);
            let (here, there) = (disk.peek("/d/f").ok(), disk.peek("/e/f").ok());
            assert_eq!(here.is_some(), there.as_deref() != Some(b"kept"), "{choice}: {here:?} {there:?}");
        }
        sim.sync_dir(Path::new(synced)).unwrap();
        for choice in sim.crash_choices(CrashMode::Posix, 64, 5) {
            let disk = sim.crash(&choice);
            assert_eq!(disk.files(), [Path::new("/e/f")]);
            assert_eq!(disk.peek("/e/f").unwrap(), b"kept", "{choice}");
        }
    }
}

#[test]
fn after_a_kill_the_page_cache_lives_on_and_a_power_cut_can_still_take_it() {
    let sim = with_dir();
    let file = create(&sim, "/d/f", b"cached").unwrap();
    let killed = sim.crash(&CrashChoice::new(CrashMode::Kill, Survive::Nothing));
    assert_eq!(killed.peek("/d/f").unwrap(), b"cached");
    assert!(killed.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing)).files().is_empty());
    // The two file systems are independent from here on.
    killed.sync_dir(Path::new("/d")).unwrap();
    assert!(sim.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing)).files().is_empty());
    write(&*file, b"C", 0).unwrap();
    assert_eq!(killed.peek("/d/f").unwrap(), b"cached");
}

#[test]
fn an_unnamed_file_is_gone_after_any_crash() {
    let sim = with_dir();
    sim.set_space(Some(3 * 4096));
    let file = create(&sim, "/d/f", &[1; 5000]).unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    sim.remove_file(Path::new("/d/f")).unwrap();
    sim.sync_dir(Path::new("/d")).unwrap();
    let mut byte = [0];
    assert_eq!((file.read_at(&mut byte, 4999).unwrap(), byte), (1, [1]));
    for mode in CrashMode::ALL {
        let disk = sim.crash(&CrashChoice::new(mode, Survive::All));
        assert!(disk.files().is_empty());
        assert_eq!(disk.available_bytes(Path::new("/")).unwrap(), 3 * 4096, "{mode:?}");
    }
}

#[test]
fn every_choice_can_be_printed_and_parsed() {
    let sim = with_dir();
    create(&sim, "/d/f", &NEW).unwrap();
    let mut choices = 0;
    for mode in CrashMode::ALL {
        for choice in sim.crash_choices(mode, 8, 11) {
            assert_eq!(choice.to_string().parse::<CrashChoice>().unwrap(), choice);
            choices += 1;
        }
    }
    let fates = vec![Fate::Lost, Fate::Kept, Fate::Head(3), Fate::Tail(0), Fate::Sectors(u64::MAX), Fate::Length(9)];
    for survive in [Survive::Mask(fates), Survive::Mask(Vec::new()), Survive::Random(u64::MAX)] {
        let choice = CrashChoice::new(CrashMode::Garbage, survive).sector(Sector::Bytes4096).garbage(5);
        assert_eq!(choice.to_string().parse::<CrashChoice>().unwrap(), choice);
    }
    for bad in [
        "",
        "posix",
        "posix/512/0",
        "posix/512/0/",
        "posix/513/0/all",
        "x/512/0/all",
        "posix/512/0/prefix:-1",
        "posix/512/0/mask:k,",
        "posix/512/0/mask:k1",
        "posix/512/0/all:1",
        "posix/512/0/mask:\u{e9}",
    ] {
        let error = bad.parse::<CrashChoice>().unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")), "{error}");
    }
    println!("{choices} choices");
}

#[test]
fn the_same_choice_gives_the_same_disk() {
    let sim = with_dir();
    sim.poke("/d/f", 0, &OLD).unwrap();
    TEXTBOOK.run(&sim).unwrap();
    create(&sim, "/d/g", &NEW).unwrap();
    for mode in CrashMode::ALL {
        for choice in sim.crash_choices(mode, 50, 17) {
            let (a, b) = (sim.crash(&choice), sim.crash(&choice));
            assert_eq!(a.files(), b.files());
            for path in a.files() {
                assert_eq!(a.peek(&path).unwrap(), b.peek(&path).unwrap(), "{choice}");
            }
        }
    }
}
