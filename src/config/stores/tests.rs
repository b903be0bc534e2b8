//! Paths of directories, and closing channels of a shared store.

use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use super::*;
use crate::vfs::sim::{Fault, Inject, OpKind, SimVfs};

/// What so many channels of a store share.
fn shared(store: FileStore, users: usize) -> Arc<Shared> {
    let settings = StoreSettings {
        checkpoint: PathBuf::new(),
        data: Vec::new(),
        capacity: 1,
        transaction_events: 1,
        put_wait: Wait::NONE,
        durability: Durability::Os,
    };
    Arc::new(Shared { store, settings, users: AtomicUsize::new(users) })
}

#[test]
fn paths_are_resolved_as_far_as_they_exist() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for made in ["a", "a/b"] {
        std::fs::create_dir(root.join(made)).unwrap();
    }
    std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
    for (path, expected) in [
        ("a", "a"),
        ("a/../a/b/.", "a/b"),
        ("link", "a/b"),
        ("link/..", "a"),
        ("link/new/x", "a/b/new/x"),
        ("link/../new", "a/new"),
        ("new/../a", "a"),
        ("new/x/../y", "new/y"),
    ] {
        assert_eq!(resolved(&root.join(path)), root.join(expected), "{path}");
    }
    let here = Path::new(".").canonicalize().unwrap();
    assert_eq!(resolved(Path::new("no/such")), here.join("no/such"));
    assert_eq!(resolved(Path::new("/no/such/./dir/")), Path::new("/no/such/dir"));
}

#[test]
fn closing_again_says_what_the_first_time_said() {
    for fails in [false, true] {
        let disk = SimVfs::new();
        let store = FileStore::builder("/s").vfs(Arc::new(disk.clone())).seed(1).durability(Durability::Os);
        let store = store.background(false).open().unwrap();
        let shared = shared(store.clone(), 2);
        let open = || {
            let channel = store.channel("c").unwrap();
            StoreChannel { channel, shared: shared.clone(), closed: ReentrantMutex::default() }
        };
        let (channel, later) = (open(), open());
        channel.put("x").unwrap();
        if fails {
            disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData));
        }
        let said = channel.close().map_err(|error| error.to_string());
        assert_eq!(said.is_err(), fails);
        store.channel("c").unwrap();
        assert_eq!(channel.close().map_err(|error| error.to_string()), said);
        // What a failed sync may lose is withheld; that is not a close.
        let is_open = !matches!(later.take(1, Wait::NONE), Err(crate::error::TakeError::Closed { .. }));
        assert!(is_open && !shared.is_closed(), "it is another's now");
        assert_eq!(later.close().map_err(|error| error.to_string()), said);
        assert!(shared.is_closed());
    }
}

/// Closing again said that all was well, and the store was closed, although what was in memory was not saved.
#[test]
fn a_channel_that_could_not_save_what_is_in_memory_keeps_its_store_open() {
    let disk = SimVfs::new();
    let open = || FileStore::builder("/store").vfs(Arc::new(disk.clone())).background(false).open().unwrap();
    let store = open();
    let channel = Spillable::builder("c").open(&store).unwrap();
    let shared = shared(store, 1);
    let channel = StoreChannel { channel, shared, closed: ReentrantMutex::default() };
    let mut put = channel.begin_put();
    put.push("in memory");
    put.commit().unwrap();

    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky());
    for _ in 0..2 {
        let error = channel.close().unwrap_err();
        assert!(error.to_string().starts_with("1 events of channel c are in memory only"), "{error}");
    }
    assert!(!channel.shared.is_closed());
    disk.clear_faults();
    channel.close().unwrap();
    assert!(channel.shared.is_closed());
    channel.close().unwrap();
    drop(channel);
    assert_eq!(Spillable::builder("c").open(&open()).unwrap().stats().depth_events, 1);
}

#[test]
fn a_lease_is_one_of_the_store() {
    let store = FileStore::builder("/s").vfs(Arc::new(SimVfs::new())).seed(1).background(false).open().unwrap();
    let shared = shared(store.clone(), 2);
    let open = |name: &str| {
        let channel = store.channel(name).unwrap();
        StoreChannel { channel, shared: shared.clone(), closed: ReentrantMutex::default() }
    };
    let (channel, other) = (open("c"), open("other"));
    let lease = channel.lease("a/sink/out/");
    assert!(lease.is_some() && other.lease("a/sink/out/").is_none() && other.lease("a/sink/in/").is_some());
    drop(lease);
    assert!(store.channel("c").unwrap().lease("a/sink/out/").is_some());
}

/// Closes the channel in its waker, as an executor does that polls its task in place.
struct Closer(Arc<StoreChannel<FileChannel>>);

impl Wake for Closer {
    fn wake(self: Arc<Self>) {
        self.0.close().unwrap();
    }
}

/// A task that closed its channel when it was woken waited for the close that had woken it, in the same thread.
#[test]
fn a_waker_may_close_the_channel_and_with_it_the_store() {
    for others in [0, 1] {
        let (over, is_over) = mpsc::channel();
        // A thread that hangs is left behind.
        let closing = thread::spawn(move || {
            let store = FileStore::builder("/s").vfs(Arc::new(SimVfs::new())).background(false).open().unwrap();
            let channel = store.channel("c").unwrap();
            let other = store.channel("d").unwrap();
            let shared = shared(store, 1 + others);
            let channel = Arc::new(StoreChannel { channel, shared: shared.clone(), closed: ReentrantMutex::default() });
            let waker = Waker::from(Arc::new(Closer(channel.clone())));
            // Closing the channel wakes the one, closing the store the other.
            assert!(channel.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            assert!(other.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            channel.close().unwrap();
            assert_eq!(shared.users.load(Ordering::Acquire), others);
            assert_eq!(shared.store.channel("e").is_err(), others == 0);
            over.send(()).unwrap();
        });
        let ended = is_over.recv_timeout(Duration::from_secs(60));
        assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
        closing.join().unwrap();
    }
}
