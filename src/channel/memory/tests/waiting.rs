//! Who waits, in which order, and who is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::{drain, names, numbered};
use crate::batch::PutBatch;
use crate::channel::{Channel, MemoryChannel, Overflow};
use crate::wait::Wait;

const PATIENTLY: Wait = Wait::up_to(Duration::from_secs(60));

fn channel(events: u64) -> MemoryChannel {
    MemoryChannel::builder("waiting").capacity_events(events).put_wait(PATIENTLY).build().expect("settings")
}

/// Waits until so many puts stand in line.
fn until_waiting(channel: &MemoryChannel, putters: usize) {
    while channel.shared.state.lock().putters.len() != putters {
        thread::yield_now();
    }
}

#[test]
fn a_large_put_is_not_starved_by_small_ones() {
    let channel = channel(10);
    channel.put_batch(PutBatch::new(numbered(0..10))).expect("put");
    thread::scope(|scope| {
        let large = scope.spawn(|| channel.put_batch(PutBatch::new(numbered(10..18))).expect("put"));
        until_waiting(&channel, 1);
        channel.take(5, Wait::NONE).expect("take").commit().expect("commit");
        // There is room for this one, but the large one was first.
        let mut small = channel.begin_put();
        small.push("18");
        small.set_wait(Wait::NONE);
        let error = small.commit().expect_err("others stand in line");
        assert!(error.is_full(), "{error}");
        let mut position = channel.begin_put();
        position.set_position("source", "18");
        position.commit().expect("what needs no room need not stand in line");
        let small = scope.spawn(|| channel.put_batch(PutBatch::new(numbered(18..19))).expect("put"));
        until_waiting(&channel, 2);
        channel.take(3, Wait::NONE).expect("take").commit().expect("commit");
        large.join().expect("large put");
        assert!(!small.is_finished());
        channel.take(1, Wait::NONE).expect("take").commit().expect("commit");
        small.join().expect("small put");
    });
    assert_eq!(drain(&channel), names(9..19));
}

#[test]
fn puts_get_in_in_the_order_in_which_they_came() {
    let channel = channel(4);
    channel.put_batch(PutBatch::new(numbered(0..4))).expect("put");
    let mut bodies = Vec::new();
    thread::scope(|scope| {
        let mut next = 4;
        for (place, count) in [1, 4, 2, 3, 1].into_iter().enumerate() {
            let channel = &channel;
            let events = numbered(next..next + count);
            scope.spawn(move || channel.put_batch(PutBatch::new(events)).expect("put"));
            until_waiting(channel, place + 1);
            next += count;
        }
        while bodies.len() < 15 {
            let take = channel.take(1, PATIENTLY).expect("take");
            bodies.extend(take.iter().map(|event| event.body().clone()));
            take.commit().expect("commit of a take");
        }
    });
    assert_eq!(bodies, names(0..15));
}

#[test]
fn one_who_gives_up_lets_the_next_one_in() {
    let channel = channel(10);
    channel.put_batch(PutBatch::new(numbered(0..5))).expect("put");
    thread::scope(|scope| {
        let large = scope.spawn(|| {
            let mut tx = channel.begin_put();
            tx.set_batch(PutBatch::new(numbered(0..8)));
            tx.set_wait(Wait::up_to(Duration::from_millis(20)));
            tx.commit()
        });
        let small = scope.spawn(|| channel.put_batch(PutBatch::new(numbered(5..10))));
        assert!(large.join().expect("large put").is_err_and(|error| error.is_full()));
        small.join().expect("small put").expect("put once the large one has given up");
    });
    assert_eq!(drain(&channel), names(0..10));
    assert!(channel.shared.state.lock().putters.is_empty());
}

#[test]
fn a_wait_of_its_own_comes_before_the_policy() {
    for overflow in [Overflow::Fail, Overflow::DropNewest, Overflow::DropOldest] {
        let builder = MemoryChannel::builder("waiting").capacity_events(1).overflow(overflow);
        let channel = builder.build().expect("settings");
        channel.put("0").expect("put");
        thread::scope(|scope| {
            let putter = scope.spawn(|| {
                let mut tx = channel.begin_put();
                tx.push("1");
                tx.set_wait(PATIENTLY);
                tx.commit().expect("put")
            });
            until_waiting(&channel, 1);
            channel.take(1, Wait::NONE).expect("take").commit().expect("commit");
            let receipt = putter.join().expect("putter");
            assert_eq!((receipt.events, receipt.dropped), (1, 0));
        });
        assert_eq!(drain(&channel), names(1..2), "{overflow:?}");
    }
}

#[test]
fn a_put_that_waits_does_not_count_its_wait_as_age() {
    let clock = Arc::new(crate::clock::StepClock::new());
    let builder = MemoryChannel::builder("age").capacity_events(1).put_wait(PATIENTLY).clock(clock.clone());
    let channel = builder.build().expect("settings");
    channel.put("0").expect("put");
    thread::scope(|scope| {
        let putter = scope.spawn(|| channel.put("1").expect("put"));
        until_waiting(&channel, 1);
        clock.step(Duration::from_secs(9));
        channel.take(1, Wait::NONE).expect("take").commit().expect("commit");
        putter.join().expect("putter");
    });
    assert_eq!(channel.stats().oldest_age, Some(Duration::ZERO));
}

/// Counts its wakes and, as a task may, uses the channel when it is woken and when it goes.
struct Nosy {
    channel: MemoryChannel,
    wakes: AtomicUsize,
}

impl Nosy {
    fn new(channel: &MemoryChannel) -> Arc<Self> {
        Arc::new(Self { channel: channel.clone(), wakes: AtomicUsize::new(0) })
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let _ = self.channel.stats();
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        let _ = self.channel.take(1, Wait::NONE).map(drop);
    }
}

fn poll(channel: &MemoryChannel, task: &Arc<Nosy>) -> Poll<()> {
    channel.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(task))))
}

#[test]
fn a_task_that_asks_again_is_remembered_once() {
    let channel = channel(10);
    let task = Nosy::new(&channel);
    for _ in 0..10_000 {
        assert_eq!(poll(&channel, &task), Poll::Pending);
    }
    channel.put("event").expect("put");
    assert_eq!(task.wakes.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&channel, &task), Poll::Ready(()));
    assert!(channel.shared.state.lock().wakers.take().is_empty());
}

#[test]
fn very_many_tasks_that_wait_wake_each_other_only_to_make_room() {
    let channel = channel(10);
    let tasks: Vec<Arc<Nosy>> = (0..3000).map(|_| Nosy::new(&channel)).collect();
    let wakes = |task: &Arc<Nosy>| task.wakes.load(Ordering::Relaxed);
    let mut polled = vec![0; tasks.len()];
    // Until nobody is woken any more.
    for _ in 0..10 {
        for (task, polled) in tasks.iter().zip(&mut polled) {
            if *polled <= wakes(task) {
                *polled += 1;
                assert_eq!(poll(&channel, task), Poll::Pending);
            }
        }
    }
    let woken: usize = tasks.iter().map(wakes).sum();
    assert_eq!(woken, 1024 + 2048);
    channel.put("event").expect("put");
    assert_eq!(tasks.iter().map(wakes).sum::<usize>(), woken + 3000);
}

#[test]
fn a_task_that_is_gone_is_let_go_of_outside_the_lock() {
    // Each task is held only by the channel, so that waking it drops it; its end uses the channel. A deadlock would
    // not end this test.
    let channel = channel(10);
    for _ in 0..1034 {
        assert_eq!(poll(&channel, &Nosy::new(&channel)), Poll::Pending);
    }
    channel.put("event").expect("put");
    assert_eq!(poll(&channel, &Nosy::new(&channel)), Poll::Ready(()));
    drain(&channel);
    assert_eq!(poll(&channel, &Nosy::new(&channel)), Poll::Pending);
    channel.close().expect("close");
}
