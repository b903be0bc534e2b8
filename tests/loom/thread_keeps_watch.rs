//! The store's thread: what is submitted is written, whatever becomes of its ticket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use loom::thread;

use crate::explore;
use crate::store::keeper;
use crate::store::lane::{Lane, Store};
use crate::ticket::PutTicket;
use crate::wait::{Bell, Deadline};

/// Runs `user` beside the store's thread, which has been woken for its first round already if `woken`; then stops it.
fn with_thread(woken: bool, user: impl Fn(&Arc<Lane>)) {
    let store = Arc::new(Store::new());
    let (weak, keeper) = (Arc::downgrade(&store), store.keeper.clone());
    if woken {
        store.keeper.wake();
    }
    let thread = thread::spawn(move || keeper::run(&weak, &keeper, || Duration::ZERO));
    user(store.lane());
    store.keeper.stop();
    thread.join().unwrap();
}

/// Polls the ticket as a task that is woken.
fn await_ticket(mut ticket: PutTicket) {
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(bell.clone());
    while Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending() {
        bell.wait(Deadline::Never);
    }
}

#[test]
fn what_nobody_waits_for_is_written() {
    explore(3, || {
        with_thread(true, |lane| {
            let (_, _held) = lane.submit();
            lane.wait_written(1);
        });
    });
}

#[test]
fn what_two_submit_and_nobody_waits_for_is_written() {
    explore(2, || {
        with_thread(false, |lane| {
            let other = {
                let lane = lane.clone();
                thread::spawn(move || lane.submit().1)
            };
            let (_, _held) = lane.submit();
            lane.wait_written(2);
            drop(other.join().unwrap());
        });
    });
}

#[test]
fn what_comes_after_a_look_is_written() {
    explore(2, || {
        with_thread(false, |lane| {
            let (_, _first) = lane.submit();
            lane.wait_written(1);
            let (_, _second) = lane.submit();
            lane.wait_written(2);
        });
    });
}

#[test]
fn what_is_let_go_is_written() {
    explore(3, || {
        with_thread(false, |lane| {
            drop(lane.submit());
            lane.wait_written(1);
        });
    });
}

#[test]
fn a_task_hears_of_it_beside_a_commit() {
    explore(2, || {
        with_thread(false, |lane| {
            let other = {
                let lane = lane.clone();
                thread::spawn(move || lane.commit().unwrap())
            };
            await_ticket(lane.submit().1);
            other.join().unwrap();
        });
    });
}
