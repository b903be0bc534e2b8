//! Code of the application that comes back to the store from where one does not expect it.

#![allow(clippy::expect_used)] // an error is a failed test

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use aqueduct::clock::{Clock, StepClock};
use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Channel, FileChannel, PutError, PutTicket, Spillable, StorageError, Wait};

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1)
}

/// A clock that panics once, in a thread of this name.
#[derive(Debug, Default)]
struct Fragile {
    clock: StepClock,
    breaks: AtomicBool,
    thread: &'static str,
}

impl Fragile {
    fn of(thread: &'static str) -> Arc<Self> {
        Arc::new(Self { thread, ..Self::default() })
    }
}

impl Clock for Fragile {
    fn monotonic(&self) -> Duration {
        let is_here = thread::current().name() == Some(self.thread);
        assert!(!is_here || !self.breaks.swap(false, Ordering::Relaxed), "a clock of the test");
        self.clock.monotonic()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }
}

/// Runs what may hang. A thread that hangs is left behind.
fn in_time(run: impl FnOnce() + Send + 'static) {
    let (over, is_over) = mpsc::channel();
    let running = thread::spawn(move || {
        run();
        over.send(()).expect("somebody waits");
    });
    assert!(is_over.recv_timeout(HANG) != Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
    running.join().expect("no panic");
}

fn submit(channel: &FileChannel, body: &'static str) -> Result<PutTicket, PutError> {
    let mut put = channel.begin_put();
    put.push(body);
    put.submit()
}

/// Lines that are put when their thread ends.
struct Buffer {
    channel: FileChannel,
    lines: Vec<&'static str>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        for line in self.lines.drain(..) {
            self.channel.put(line).expect("a put");
        }
    }
}

thread_local! {
    static BUFFER: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// In a store of several data directories, a put from the destructor of a thread-local value ended the process: the thread's
/// note of its last put was gone already.
#[test]
fn a_thread_local_value_may_put_when_its_thread_ends() {
    let store = settings(&SimVfs::new()).data_dir("/one").data_dir("/two").open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let ended = thread::spawn({
        let channel = channel.clone();
        // The last value that a thread has begun to use is dropped first: here the note of the last put.
        move || {
            BUFFER.set(Some(Buffer { channel: channel.clone(), lines: vec!["second", "third"] }));
            channel.put("first").expect("a put");
        }
    });
    ended.join().expect("no panic");
    assert_eq!(channel.stats().depth_events, 3);
}

/// Closes the store in its waker, as an executor does that polls its task in place.
struct Closer(FileStore);

impl Wake for Closer {
    fn wake(self: Arc<Self>) {
        self.0.close().expect("a close");
    }
}

/// A task that closed the store when its channel or its commit woke it hung, and with it the close that had woken it.
#[test]
fn a_waker_may_close_the_store() {
    for background in [true, false] {
        in_time(move || {
            let store = settings(&SimVfs::new()).background(background).open().expect("a new store");
            let channel = store.channel("channel").expect("a channel");
            let waker = Waker::from(Arc::new(Closer(store.clone())));
            assert!(channel.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            store.close().expect("a close");
            assert!(channel.put("late").is_err());
        });
        in_time(move || {
            let disk = SimVfs::new();
            let store = settings(&disk).background(background).open().expect("a new store");
            let channel = store.channel("channel").expect("a channel");
            let mut put = channel.begin_put();
            put.push("an event");
            let mut ticket = put.submit().expect("a ticket");
            let waker = Waker::from(Arc::new(Closer(store.clone())));
            let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
            store.close().expect("a close");
            if polled.is_pending() {
                ticket.wait().expect("it was written");
            }
            let store = settings(&disk).open().expect("the locks are free");
            assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 1);
        });
    }
}

/// Does something when it is woken for the last time.
struct Once {
    wakes: AtomicUsize,
    run: Box<dyn Fn() + Send + Sync>,
}

impl Wake for Once {
    fn wake(self: Arc<Self>) {
        if self.wakes.fetch_sub(1, Ordering::SeqCst) == 1 {
            (self.run)();
        }
    }
}

fn on_wake(wakes: usize, run: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Once { wakes: AtomicUsize::new(wakes), run: Box::new(run) }))
}

/// A task that closed a spillable channel when the saving of its close, or a commit with a position, woke it hung, and so did
/// one that then committed a take.
#[test]
fn a_waker_may_close_the_spillable_channel_that_wakes_it() {
    let open =
        |store: &FileStore, memory| Spillable::builder("orders").memory_events(memory).open(store).expect("a channel");
    let not_saved = |channel: &Spillable| {
        let error = channel.close().expect_err("another one is under way");
        assert!(matches!(error, StorageError::NotSaved { .. }), "{error}");
    };
    // The rollback wakes the task, the close of what has spilled does, and then that its memory is saved.
    in_time(move || {
        let store = settings(&SimVfs::new()).background(false).open().expect("a new store");
        let channel = open(&store, 10);
        for event in ["1", "2", "3"] {
            channel.put(event).expect("a put");
        }
        let take = Mutex::new(Some(channel.take(1, Wait::NONE).expect("a take")));
        let rest = channel.take(2, Wait::NONE).expect("a take");
        let waker = on_wake(3, {
            let channel = channel.clone();
            move || {
                not_saved(&channel);
                let mut take = take.lock().expect("no panic").take().expect("the first time");
                take.set_position("sink", "1");
                take.commit().expect("a take that was open may be committed");
            }
        });
        assert!(channel.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        rest.rollback();
        channel.close().expect("a close");
        drop(channel);
        let channel = open(&store, 10);
        assert_eq!((channel.stats().depth_events, channel.position("sink").as_deref()), (2, Some(&b"1"[..])));
    });
    in_time(move || {
        let store = settings(&SimVfs::new()).background(false).open().expect("a new store");
        let channel = open(&store, 0);
        let waker = on_wake(1, {
            let channel = channel.clone();
            move || not_saved(&channel)
        });
        assert!(channel.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        let mut put = channel.begin_put();
        put.push("1");
        put.set_position("source", "1");
        put.commit().expect("a put");
        channel.close().expect("again");
        assert_eq!(open(&store, 0).position("source").as_deref(), Some(&b"1"[..]));
    });
}

/// What a thread was about to write when it panicked kept its room in the channel for ever.
#[test]
fn a_panic_while_writing_gives_room_back() {
    in_time(|| {
        let clock = Fragile::of("producer");
        let disk = SimVfs::new();
        let store = settings(&disk).clock(clock.clone()).background(false).data_dir("/one").data_dir("/two").open();
        let store = store.expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        let producer = thread::Builder::new().name("producer".to_owned()).spawn({
            let channel = channel.clone();
            move || {
                let ticket = submit(&channel, "lost").expect("a put");
                clock.breaks.store(true, Ordering::Relaxed);
                catch_unwind(AssertUnwindSafe(|| ticket.wait())).expect_err("the clock panics");
            }
        });
        producer.expect("a thread").join().expect("the panic was caught");
        let stats = channel.stats();
        assert_eq!((stats.reserved_events, stats.depth_events, stats.put_error_count), (0, 0, 1));
        channel.put("kept").expect("a put into the other directory");
    });
}

/// What was put, and what a handle that ended left to be written, while a panic unwound that had nothing to do with it made the
/// data directory refuse all that came later.
#[test]
fn what_is_written_while_a_panic_unwinds_is_written_as_ever() {
    let disk = SimVfs::new();
    let store = settings(&disk).background(false).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let buffer = Buffer { channel: channel.clone(), lines: vec!["one", "two"] };
    let spillable = Spillable::builder("spillable").open(&store).expect("a channel");
    for n in 0..3000 {
        spillable.put(n.to_string()).expect("a put");
    }
    let tickets: Vec<_> = (0..5000).map(|_| submit(&channel, "three").expect("a put")).collect();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _dropped = (buffer, tickets, spillable);
        panic!("of the application");
    }));
    unwound.expect_err("it panics");
    channel.put("four").expect("a put behind it");
    store.close().expect("a close");
    drop((channel, store));
    let store = settings(&disk).open().expect("the store");
    assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 5003);
    let spillable = Spillable::builder("spillable").open(&store).expect("a channel");
    assert_eq!(spillable.stats().depth_events, 3000);
}

/// When the store's own thread panicked, tasks waited for ever for what they had handed to it.
#[test]
fn a_panic_of_the_stores_thread_ends_what_tasks_wait_for() {
    in_time(|| {
        let clock = Fragile::of("aqueduct-store");
        let store = settings(&SimVfs::new()).clock(clock.clone()).open().expect("a new store");
        let channel = store.channel("channel").expect("a channel");
        clock.breaks.store(true, Ordering::Relaxed);
        let (woken, is_woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Sends(Mutex::new(woken))));
        let mut ticket = submit(&channel, "late").expect("a put");
        while Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending() {
            is_woken.recv().expect("the waker is kept");
        }
        assert!(!clock.breaks.load(Ordering::Relaxed), "the thread has looked at the clock");
        let error = channel.put("later").expect_err("nothing is written any more");
        assert!(matches!(error, PutError::NotCommitted { source: StorageError::Poisoned { .. }, .. }), "{error}");
        store.close().expect("nothing was left to be synced");
    });
}

struct Sends(Mutex<mpsc::Sender<()>>);

impl Wake for Sends {
    fn wake(self: Arc<Self>) {
        self.0.lock().expect("no panic").send(()).expect("somebody waits");
    }
}

/// Nothing that ends takes this long.
const HANG: Duration = Duration::from_secs(60);
