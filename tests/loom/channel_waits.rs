//! Whoever waits at a channel, for events or for room, is woken by what it waits for and by a close.

use std::sync::Arc;
use std::task::{Context, Waker};

use loom::thread;

use crate::clock::StepClock;
use crate::error::TakeError;
use crate::explore;
use crate::store::capacity::{Capacity, Refused};
use crate::store::frame::LanePos;
use crate::store::backlog::Backlog;
use crate::store::capacity::CountsAs;
use crate::store::queue::{OpenTake, Queue};
use crate::store::record::{Ack, AckRange};
use crate::wait::{Bell, Deadline, Patience, Wait};

/// A channel with room for so many events.
fn channel(events: u64) -> Arc<Queue> {
    let capacity = Capacity { events, bytes: u64::MAX };
    Arc::new(Queue::new(0, "c".to_owned(), capacity, Arc::new(StepClock::new()), vec![Backlog::default()], 0))
}

fn spawn<T: 'static>(queue: &Arc<Queue>, run: impl FnOnce(&Queue) -> T + 'static) -> thread::JoinHandle<T> {
    let queue = queue.clone();
    thread::spawn(move || run(&queue))
}

/// Nobody is called back: that would make each wait a look from time to time, and no time passes here.
fn forever() -> Patience {
    Patience::new(Wait::FOREVER, None)
}

fn put(queue: &Queue, events: u64) {
    queue.reserve(events, 0, &forever(), false).unwrap();
    for waker in queue.publish(0, 0, LanePos::default(), events, 0) {
        waker.wake();
    }
}

fn take(queue: &Queue) -> usize {
    queue.take(&[], 1, u64::MAX, Wait::FOREVER).unwrap().events.len()
}

/// Takes one event and commits that.
fn take_committed(queue: &Arc<Queue>) {
    let taken = queue.take(&[], 1, u64::MAX, Wait::FOREVER).unwrap();
    let range = AckRange { lane: 0, events: 1, bytes: 0, lo: 0, hi: 1 };
    let take = OpenTake { queue: queue.clone(), pieces: taken.pieces, events: taken.events };
    take.acknowledged(&Ack { ranges: vec![range] });
}

#[test]
fn one_put_is_enough_for_two_that_take() {
    explore(3, || {
        let queue = channel(2);
        let others = [spawn(&queue, |queue| take(queue)), spawn(&queue, |queue| take(queue))];
        put(&queue, 2);
        assert_eq!(others.map(|other| other.join().unwrap()), [1, 1]);
    });
}

#[test]
fn what_is_rolled_back_wakes_who_takes() {
    explore(3, || {
        let queue = channel(1);
        put(&queue, 1);
        let other = spawn(&queue, |queue| take(queue));
        let taken = queue.take(&[], 1, u64::MAX, Wait::NONE).unwrap();
        if !taken.events.is_empty() {
            OpenTake { queue: queue.clone(), pieces: taken.pieces, events: taken.events }.give_back();
        }
        assert_eq!(other.join().unwrap(), 1);
    });
}

#[test]
fn puts_that_wait_for_room_are_woken_by_takes() {
    explore(2, || {
        let queue = channel(1);
        let others = [spawn(&queue, |queue| put(queue, 1)), spawn(&queue, |queue| put(queue, 1))];
        take_committed(&queue);
        take_committed(&queue);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn room_that_is_given_back_wakes_a_put() {
    explore(3, || {
        let queue = channel(1);
        queue.reserve(1, 0, &forever(), false).unwrap();
        let other = spawn(&queue, |queue| put(queue, 1));
        queue.unreserve(1, 0, CountsAs::Nothing);
        other.join().unwrap();
    });
}

#[test]
fn a_close_wakes_who_takes_and_who_puts() {
    explore(3, || {
        let queue = channel(1);
        queue.reserve(1, 0, &forever(), false).unwrap();
        let taker = spawn(&queue, |queue| queue.take(&[], 1, u64::MAX, Wait::FOREVER).map(|taken| taken.events.len()));
        let putter = spawn(&queue, |queue| queue.reserve(1, 0, &forever(), false));
        queue.close();
        assert_eq!(taker.join().unwrap(), Err(TakeError::Closed { channel: "c".to_owned() }));
        assert!(matches!(putter.join().unwrap(), Err(Refused::Closed)));
    });
}

#[test]
fn a_task_that_waits_is_woken_by_a_put_and_by_a_close() {
    for closes in [false, true] {
        explore(3, move || {
            let queue = channel(1);
            let other = spawn(&queue, move |queue| if closes { queue.close() } else { put(queue, 1) });
            let bell = Arc::<Bell>::default();
            let waker = Waker::from(bell.clone());
            while queue.poll_ready(&Context::from_waker(&waker)).is_pending() {
                bell.wait(Deadline::Never);
            }
            other.join().unwrap();
        });
    }
}
