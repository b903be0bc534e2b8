//! Takes that wait, and tasks that do.

use std::thread;
use std::time::Duration;

use super::super::ChannelFactory;
use super::super::support::{PATIENTLY, Subject, Task, bodies_of, let_them_wait, name, names, promptly, until};
use crate::channel::{Channel, TakeTransaction};
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn a_take_that_does_not_wait_comes_back_empty(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let take = subject.take(10, Wait::NONE).expect("take");
    assert!(take.is_empty());
    assert_eq!(take.id(0), None);
    take.commit().expect("commit of a take of nothing");
    subject.take(10, Wait::NONE).expect("take").rollback();
    subject.put_range(0..1);
    subject.assert_drains(0..1);
}

pub(in super::super) fn a_take_that_waits_in_vain_comes_back_empty(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let take = subject.take(10, Wait::up_to(Duration::from_millis(5))).expect("take");
    assert!(take.is_empty());
    drop(take);
    subject.put_range(0..1);
    subject.assert_drains(0..1);
}

pub(in super::super) fn a_take_that_finds_events_does_not_wait_for_more(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..1);
    let take = subject.take(10, Wait::FOREVER).expect("take");
    assert_eq!(bodies_of(&take), names(0..1));
}

pub(in super::super) fn a_waiting_take_wakes_for_each_put(factory: &dyn ChannelFactory) {
    const ROUNDS: u64 = 200;
    // Two threads play a ball back and forth. A wake-up that comes by chance (from a poll, say) would take minutes over
    // all the rounds, one that is lost would end the wait empty.
    let (there, back) = (Subject::new(factory), Subject::new(factory));
    let (there_handle, back_handle) = (there.handle(), back.handle());
    thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let take = promptly("a waiting take", || there_handle.take(1, PATIENTLY)).expect("take");
                assert_eq!(bodies_of(&take), [name(round)]);
                take.commit().expect("commit of a take");
                back_handle.put(name(round)).expect("put");
            }
        });
        for round in 0..ROUNDS {
            there.put(name(round)).expect("put");
            let take = promptly("a waiting take", || back.take(1, PATIENTLY)).expect("take");
            assert_eq!(bodies_of(&take), [name(round)]);
            take.commit().expect("commit of a take");
        }
    });
}

pub(in super::super) fn a_waiting_take_wakes_for_a_rollback(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let handle = subject.handle();
    subject.put_range(0..1);
    let open = subject.take_exactly(1);
    thread::scope(|scope| {
        let taker = scope.spawn(move || {
            let take = promptly("a waiting take", || handle.take(1, PATIENTLY)).expect("take");
            bodies_of(&take)
        });
        let_them_wait();
        open.rollback();
        assert_eq!(taker.join().expect("taker"), names(0..1));
    });
}

pub(in super::super) fn one_put_serves_many_waiting_takes(factory: &dyn ChannelFactory) {
    const TAKERS: u64 = 8;
    let subject = Subject::new(factory);
    // All of the takes stay open: none may be woken by the end of another.
    let open: Vec<TakeTransaction> = thread::scope(|scope| {
        let takers: Vec<_> = (0..TAKERS)
            .map(|_| {
                let handle = subject.handle();
                scope.spawn(move || promptly("a waiting take", || handle.take(1, PATIENTLY)).expect("take"))
            })
            .collect();
        let_them_wait();
        subject.put_range(0..TAKERS);
        takers.into_iter().map(|taker| taker.join().expect("taker")).collect()
    });
    let mut bodies: Vec<String> = open.iter().flat_map(|take| bodies_of(take)).collect();
    bodies.sort();
    assert_eq!(bodies, names(0..TAKERS));
}

pub(in super::super) fn a_task_is_ready_while_there_are_events(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let task = Task::new();
    assert!(!task.is_ready(&subject), "an empty channel is ready");
    subject.put_range(0..2);
    until("the task is woken by a put", || task.wakes() > 0);
    assert!(task.is_ready(&subject));
    assert!(task.is_ready(&subject), "asking took the events away");
    let takes = subject.take_exactly(2);
    assert!(!task.is_ready(&subject), "events of an open take make the channel ready");
    takes.commit();
    assert!(!task.is_ready(&subject));
}

pub(in super::super) fn a_task_is_woken_by_a_rollback(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..2);
    let takes = subject.take_exactly(2);
    let task = Task::new();
    assert!(!task.is_ready(&subject));
    takes.rollback();
    until("the task is woken by a rollback", || task.wakes() > 0);
    assert!(task.is_ready(&subject));
}

pub(in super::super) fn all_waiting_tasks_are_woken(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let tasks: Vec<Task> = (0..20).map(|_| Task::new()).collect();
    for task in &tasks {
        assert!(!task.is_ready(&subject));
    }
    subject.put_range(0..1);
    until("all tasks are woken", || tasks.iter().all(|task| task.wakes() > 0));
}

pub(in super::super) fn ready_can_be_awaited(factory: &dyn ChannelFactory) {
    const ROUNDS: u64 = 100;
    let subject = Subject::new(factory);
    let handle = subject.handle();
    thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..ROUNDS {
                handle.put(name(round)).expect("put");
            }
        });
        let mut bodies = Vec::new();
        while bodies.len() < 100 {
            Task::block_on(subject.ready());
            let take = subject.take(3, Wait::NONE).expect("take");
            assert!(!take.is_empty(), "the only taker was told that there are events and found none");
            bodies.extend(bodies_of(&take));
            take.commit().expect("commit of a take");
        }
        assert_eq!(bodies, names(0..ROUNDS));
    });
}
