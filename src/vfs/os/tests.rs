//! What the traits promise beyond a plain system call.
use std::io::IoSlice;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::vfs::Following;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn create(path: &Path, bytes: &[u8]) -> Arc<dyn VfsFile> {
    let file = OsVfs::new().open(path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&mut [IoSlice::new(bytes)], 0).unwrap();
    file
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("an error").kind()
}

const MODES: [OpenMode; 3] = [OpenMode::Read, OpenMode::ReadWrite, OpenMode::CreateNew];

#[test]
fn a_symbolic_link_is_not_followed() {
    let dir = dir();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    create(&target, b"x");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for mode in [OpenMode::Read, OpenMode::ReadWrite] {
        let error = OsVfs::new().open(&link, mode).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()), "{error}");
    }
    assert_eq!(kind(OsVfs::new().open(&link, OpenMode::CreateNew)), io::ErrorKind::AlreadyExists);
    assert!(OsVfs::new().lock(&link).is_err());
    let metadata = OsVfs::new().metadata(&link).unwrap();
    assert_eq!(metadata.kind, FileKind::Other);
    // A link to nowhere must not be created through either.
    let dangling = dir.path().join("dangling");
    std::os::unix::fs::symlink(dir.path().join("nowhere"), &dangling).unwrap();
    for mode in MODES {
        assert!(OsVfs::new().open(&dangling, mode).is_err(), "{mode:?}");
    }
    assert!(OsVfs::new().lock(&dangling).is_err());
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn a_link_to_a_file_is_followed_to_read_where_that_is_wanted() {
    let dir = dir();
    let at = |name: &str| dir.path().join(name);
    create(&at("file"), b"x");
    fs::create_dir(at("dir")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let links = ["file", "dir", "fifo", "none", "link-loop"];
    for to in links {
        std::os::unix::fs::symlink(at(to), at(&format!("link-{to}"))).unwrap();
    }
    std::os::unix::fs::symlink(at("link-link-loop"), at("link-loop")).unwrap();
    std::os::unix::fs::symlink(at("link-file"), at("link-link")).unwrap();
    let vfs = Following::over(Arc::new(OsVfs::new()));
    for link in ["link-file", "link-link"] {
        assert_eq!(vfs.metadata(&at(link)).unwrap(), vfs.metadata(&at("file")).unwrap());
        let mut byte = [0];
        vfs.open(&at(link), OpenMode::Read).unwrap().read_exact_at(&mut byte, 0).unwrap();
        assert_eq!(byte, *b"x");
        assert!(vfs.open(&at(link), OpenMode::ReadWrite).is_err());
        assert_eq!(kind(vfs.open(&at(link), OpenMode::CreateNew)), io::ErrorKind::AlreadyExists);
    }
    for to in ["dir", "fifo", "none", "loop"] {
        let link = at(&format!("link-{to}"));
        match vfs.metadata(&link) {
            Ok(metadata) => assert!(metadata.kind == FileKind::Other && ["dir", "fifo"].contains(&to), "{to}"),
            Err(error) => {
                assert!(error.to_string().contains("cannot be seen") && ["none", "loop"].contains(&to), "{to}");
            }
        }
        assert!(vfs.open(&link, OpenMode::Read).is_err(), "{to}");
    }
    assert_eq!(kind(vfs.metadata(&at("missing"))), io::ErrorKind::NotFound);
    let real = fs::canonicalize(dir.path()).unwrap();
    for link in ["link-link", "link-file", "link-none", "link-dir"] {
        assert_eq!(vfs.dir_behind(&at(link)).unwrap(), real, "{link}");
    }
    assert!(vfs.dir_behind(&at("file")).is_err() && vfs.dir_behind(&at("link-loop")).is_err());
    vfs.rename(&at("link-file"), &at("moved")).unwrap();
    vfs.remove_file(&at("link-link")).unwrap();
    assert_eq!(fs::read(at("file")).unwrap(), b"x");
    assert_eq!(fs::read_link(at("moved")).unwrap(), at("file"));
}

#[test]
fn a_fifo_is_refused_without_waiting_for_its_other_end() {
    let dir = dir();
    let path = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(kind(OsVfs::new().open(&path, OpenMode::Read)), io::ErrorKind::InvalidInput);
    assert_eq!(kind(OsVfs::new().open(&path, OpenMode::ReadWrite)), io::ErrorKind::InvalidInput);
    assert_eq!(OsVfs::new().metadata(&path).unwrap().kind, FileKind::Other);
    assert_eq!(kind(OsVfs::new().sync_dir(&path)), io::ErrorKind::NotADirectory);
}

#[test]
fn a_directory_is_not_a_file_and_a_file_is_not_a_directory() {
    let dir = dir();
    assert_eq!(kind(OsVfs::new().open(dir.path(), OpenMode::Read)), io::ErrorKind::InvalidInput);
    assert_eq!(kind(OsVfs::new().open(dir.path(), OpenMode::ReadWrite)), io::ErrorKind::IsADirectory);
    assert_eq!(kind(OsVfs::new().remove_file(dir.path())), io::ErrorKind::IsADirectory);
    let file = dir.path().join("f");
    create(&file, b"");
    assert_eq!(kind(OsVfs::new().sync_dir(&file)), io::ErrorKind::NotADirectory);
    assert_eq!(kind(OsVfs::new().read_dir(&file)), io::ErrorKind::NotADirectory);
    assert_eq!(kind(OsVfs::new().create_dir(&file)), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_file_is_created_only_once_and_for_its_owner_only() {
    let dir = dir();
    let (file, sub, lock) = (dir.path().join("f"), dir.path().join("d"), dir.path().join("lock"));
    create(&file, b"first");
    assert_eq!(kind(OsVfs::new().open(&file, OpenMode::CreateNew)), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&file).unwrap(), b"first");
    OsVfs::new().create_dir(&sub).unwrap();
    let _guard = OsVfs::new().lock(&lock).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!([mode(&file), mode(&sub), mode(&lock)], [0; 3]);
    assert_eq!(kind(OsVfs::new().open(&dir.path().join("none"), OpenMode::ReadWrite)), io::ErrorKind::NotFound);
}

#[test]
fn a_lock_excludes_others_in_the_same_process_until_its_guard_drops() {
    let dir = dir();
    let path = dir.path().join("lock");
    let guard = OsVfs::new().lock(&path).unwrap();
    assert_eq!(kind(OsVfs::new().lock(&path)), io::ErrorKind::WouldBlock);
    assert_eq!(kind(OsVfs::new().lock(&path)), io::ErrorKind::WouldBlock);
    drop(guard);
    drop(OsVfs::new().lock(&path).unwrap());
}

/// A program that is being started has a copy of each descriptor for a moment.
#[test]
fn a_lock_ends_with_its_guard_although_its_descriptor_has_a_copy() {
    let dir = dir();
    let path = dir.path().join("lock");
    let guard = OsLock::take(&path).unwrap();
    let copy = guard.file.try_clone().unwrap();
    drop(guard);
    drop(OsLock::take(&path).unwrap());
    drop(copy);
}

#[test]
fn nobody_is_refused_a_lock_because_of_those_who_look_at_it() {
    let dir = dir();
    let path = dir.path().join("lock");
    drop(OsVfs::new().lock(&path).unwrap());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                OsVfs::new().is_locked(&path).unwrap();
            }
        });
        let refused = (0..3000).find_map(|_| OsVfs::new().lock(&path).err());
        is_over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
        assert!(refused.is_none(), "{refused:?}");
    });
}

#[test]
fn only_bytes_that_a_file_has_can_be_mapped() {
    let dir = dir();
    let file = create(&dir.path().join("f"), b"0123456789");
    assert_eq!(kind(file.map(11)), io::ErrorKind::InvalidInput);
    assert_eq!(kind(file.map(u64::MAX)), io::ErrorKind::InvalidInput);
    assert_eq!(file.map(0).unwrap(), &b""[..]);
    let map = file.map(10).unwrap();
    drop(file);
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(map.slice(3..6), &b"345"[..], "a mapping outlives the file's name and handle");
}

#[test]
fn a_removed_file_stays_usable_through_its_handle() {
    let dir = dir();
    let path = dir.path().join("f");
    let file = create(&path, b"abc");
    OsVfs::new().remove_file(&path).unwrap();
    let mut buf = [0; 8];
    assert_eq!((file.read_at(&mut buf, 1).unwrap(), &buf[..2]), (2, &b"bc"[..]));
    assert_eq!(file.read_at(&mut buf, 3).unwrap(), 0);
    file.set_len(5).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.metadata().unwrap().len, 5);
}

#[test]
fn a_handle_for_reading_does_not_write() {
    let dir = dir();
    let path = dir.path().join("f");
    create(&path, b"abc");
    let file = OsVfs::new().open(&path, OpenMode::Read).unwrap();
    assert!(file.write_at(&[IoSlice::new(b"x")], 0).is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
}

#[test]
fn more_slices_than_the_kernel_takes_are_written_in_turns() {
    let dir = dir();
    let file = OsVfs::new().open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let mut bufs: Vec<IoSlice<'_>> = bytes.chunks(1).map(IoSlice::new).collect();
    file.write_all_at(&mut bufs, 3).unwrap();
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap()[3..], bytes);
}

#[test]
fn renames_keep_the_identity_and_replace_what_is_there() {
    let dir = dir();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let id = create(&a, b"a").metadata().unwrap().id;
    create(&b, b"b");
    OsVfs::new().rename(&a, &b).unwrap();
    OsVfs::new().sync_dir(dir.path()).unwrap();
    assert_eq!(OsVfs::new().metadata(&b).unwrap().id, id);
    assert_eq!(OsVfs::new().read_dir(dir.path()).unwrap(), ["b"]);
    assert_eq!(kind(OsVfs::new().metadata(&a)), io::ErrorKind::NotFound);
    assert!(OsVfs::new().available_bytes(dir.path()).unwrap() > 0);
}

#[test]
fn renames_to_new_names_replace_nothing() {
    let dir = dir();
    let (a, b, c) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
    let id = create(&a, b"a").metadata().unwrap().id;
    create(&b, b"b");
    assert_eq!(kind(OsVfs::new().rename_new(&a, &b)), io::ErrorKind::AlreadyExists);
    assert_eq!((std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap()), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!(kind(OsVfs::new().rename_new(&c, &b)), io::ErrorKind::NotFound);
    OsVfs::new().rename_new(&a, &c).unwrap();
    assert_eq!(OsVfs::new().metadata(&c).unwrap().id, id);
}

#[test]
fn who_asks_for_a_lock_neither_makes_its_file_nor_takes_it() {
    let dir = dir();
    let path = dir.path().join("lock");
    assert!(!OsVfs::new().is_locked(&path).unwrap());
    assert!(!path.exists());
    let lock = OsVfs::new().lock(&path).unwrap();
    assert!(OsVfs::new().is_locked(&path).unwrap());
    drop(lock);
    assert!(!OsVfs::new().is_locked(&path).unwrap());
    drop(OsVfs::new().lock(&path).unwrap());
}
