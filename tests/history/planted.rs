//! The checker finds what is wrong, and nothing in histories that are right.

use crate::check::check;
use crate::record::{Crash, Finish, History, Id, Outcome, Put, Span, Take};

fn at(begin: u64, end: u64) -> Span {
    Span { begin, end }
}

fn put(span: Span, ids: &[Id]) -> Put {
    Put { span, submitted: span.end, ids: ids.to_vec(), outcome: Outcome::Done }
}

/// A take that is committed, for `count` of its events.
fn took(span: Span, ids: &[Id], finish: Span, count: usize) -> Take {
    let finish = Finish { span: finish, count, outcome: Outcome::Done };
    Take { span, ids: ids.to_vec(), finish: Some(finish) }
}

fn rolled_back(span: Span, ids: &[Id], finish: Span) -> Take {
    let finish = Finish { span: finish, count: ids.len(), outcome: Outcome::Not };
    Take { span, ids: ids.to_vec(), finish: Some(finish) }
}

fn found_nothing(span: Span) -> Take {
    Take { span, ids: Vec::new(), finish: None }
}

fn history(puts: Vec<Put>, takes: Vec<Take>) -> History {
    History { puts, takes, ..History::default() }
}

fn crash(begin: u64, end: u64, reopened: u64) -> Crash {
    Crash { span: at(begin, end), reopened }
}

/// Exactly the findings that begin with these words, in any order.
#[track_caller]
fn finds(history: &History, words: &[&str]) {
    let found = check(history);
    let mut kinds: Vec<&str> = found.iter().map(|text| text.split(':').next().expect("a word")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, words, "{found:#?}");
}

#[test]
fn a_history_that_is_right_passes() {
    let puts = vec![put(at(0, 1), &[1, 2]), put(at(2, 5), &[3]), put(at(3, 4), &[4])];
    // 3 and 4 overlap: either may be first.
    let takes = vec![
        found_nothing(at(0, 1)),
        took(at(6, 7), &[1], at(8, 9), 1),
        rolled_back(at(10, 11), &[2, 4], at(12, 13)),
        took(at(14, 15), &[2, 4, 3], at(16, 17), 3),
        found_nothing(at(18, 19)),
    ];
    finds(&history(puts, takes), &[]);
}

#[test]
fn a_lost_event_is_found() {
    let puts = vec![put(at(0, 1), &[1]), put(at(2, 3), &[2])];
    finds(&history(puts.clone(), vec![took(at(4, 5), &[1], at(6, 7), 1)]), &["lost"]);
    let kept_open = Take { finish: None, ..took(at(4, 5), &[1, 2], at(6, 7), 2) };
    finds(&history(puts.clone(), vec![kept_open]), &["lost"]);
    let of_one = took(at(4, 5), &[1, 2], at(6, 7), 1);
    finds(&history(puts.clone(), vec![of_one.clone()]), &["lost"]);
    finds(&history(puts, vec![of_one, took(at(8, 9), &[2], at(10, 11), 1)]), &[]);
}

#[test]
fn an_event_that_comes_twice_is_found() {
    let puts = vec![put(at(0, 1), &[1])];
    let once = took(at(2, 3), &[1], at(4, 5), 1);
    finds(&history(puts.clone(), vec![once.clone(), took(at(6, 7), &[1], at(8, 9), 1)]), &["duplicated"]);
    // Two takes hold it at once, and one of them gives it back only later.
    let back = rolled_back(at(2, 3), &[1], at(10, 11));
    finds(&history(puts.clone(), vec![back, took(at(6, 7), &[1], at(8, 9), 1)]), &["duplicated"]);
    // A commit that returned before the crash holds after it.
    let lives = |take: Take| History {
        crashes: vec![crash(6, 7, 8)],
        ..history(puts.clone(), vec![take, took(at(9, 10), &[1], at(11, 12), 1)])
    };
    finds(&lives(once.clone()), &["duplicated"]);
    let unknown = Finish { outcome: Outcome::Unknown, ..once.finish.expect("it has one") };
    finds(&lives(Take { finish: Some(unknown), ..once.clone() }), &[]);
    finds(&lives(Take { finish: None, ..once }), &[]);
}

#[test]
fn an_event_from_nowhere_is_found() {
    let take = took(at(2, 3), &[1], at(4, 5), 1);
    finds(&history(Vec::new(), vec![take.clone()]), &["fabricated"]);
    finds(&history(vec![put(at(4, 5), &[1])], vec![take.clone()]), &["fabricated"]);
    let refused = Put { outcome: Outcome::Not, ..put(at(0, 1), &[1]) };
    finds(&history(vec![refused], vec![take]), &["fabricated"]);
}

#[test]
fn half_a_transaction_is_found() {
    let unknown = Put { outcome: Outcome::Unknown, ..put(at(0, 1), &[1, 2]) };
    finds(&history(vec![unknown.clone()], vec![took(at(2, 3), &[1], at(4, 5), 1)]), &["torn"]);
    finds(&history(vec![unknown.clone()], vec![took(at(2, 3), &[1, 2], at(4, 5), 2)]), &[]);
    finds(&history(vec![unknown], Vec::new()), &[]);
    let mut half = took(at(2, 3), &[1, 2], at(4, 7), 2);
    half.finish.as_mut().expect("it has one").outcome = Outcome::Unknown;
    let again = took(at(9, 10), &[2], at(11, 12), 1);
    let lives =
        |again| History { crashes: vec![crash(6, 7, 8)], ..history(vec![put(at(0, 1), &[1, 2])], vec![half, again]) };
    finds(&lives(again), &["torn"]);
}

#[test]
fn events_out_of_order_are_found() {
    let puts = vec![put(at(0, 1), &[1]), put(at(2, 3), &[2])];
    finds(&history(puts.clone(), vec![took(at(4, 5), &[2, 1], at(6, 7), 2)]), &["order"]);
    let later_first = vec![took(at(4, 5), &[2], at(6, 7), 1), took(at(8, 9), &[1], at(10, 11), 1)];
    finds(&history(puts.clone(), later_first), &["order"]);
    // Takes that overlap may each get either.
    let at_once = vec![took(at(4, 6), &[2], at(7, 8), 1), took(at(5, 9), &[1], at(10, 11), 1)];
    finds(&history(puts.clone(), at_once), &[]);
    // A rollback that had returned puts its event before the other.
    let around = |finish| {
        let takes = vec![
            rolled_back(at(4, 5), &[1], finish),
            took(at(8, 9), &[2], at(10, 11), 1),
            took(at(20, 21), &[1], at(22, 23), 1),
        ];
        history(puts.clone(), takes)
    };
    finds(&around(at(6, 7)), &["order"]);
    finds(&around(at(6, 12)), &[]);
    let of_one_put = vec![took(at(4, 5), &[2], at(6, 7), 1), took(at(8, 9), &[1], at(10, 11), 1)];
    finds(&history(vec![put(at(0, 1), &[1, 2])], of_one_put), &["order"]);
    finds(&history(vec![put(at(0, 1), &[1, 2])], vec![took(at(4, 5), &[2, 1], at(6, 7), 2)]), &["order"]);
}

#[test]
fn transactions_in_flight_at_once_keep_the_order_in_which_they_were_submitted() {
    let in_flight = |begin, submitted, end, id: Id| Put { submitted, ..put(at(begin, end), &[id]) };
    let puts = vec![in_flight(0, 1, 10, 1), in_flight(2, 3, 9, 2)];
    finds(&history(puts.clone(), vec![took(at(11, 12), &[1, 2], at(13, 14), 2)]), &[]);
    finds(&history(puts.clone(), vec![took(at(11, 12), &[2, 1], at(13, 14), 2)]), &["order"]);
    let apart = |first| vec![took(first, &[2], at(16, 17), 1), took(at(18, 19), &[1], at(20, 21), 1)];
    finds(&history(puts.clone(), apart(at(11, 12))), &["order"]);
    // The first was not there yet, for all that is known.
    finds(&history(puts, apart(at(8, 12))), &[]);
    // Of two producers the one that was submitted first may become visible while the take goes on.
    let puts = vec![in_flight(0, 1, 10, 1), in_flight(2, 3, 9, 1 << 32)];
    finds(&history(puts, vec![took(at(4, 12), &[1 << 32, 1], at(13, 14), 2)]), &[]);
}

#[test]
fn an_empty_take_of_a_channel_with_events_is_found() {
    let puts = vec![put(at(0, 1), &[1])];
    let takes = |empty| vec![empty, took(at(6, 8), &[1], at(9, 10), 1)];
    finds(&history(puts.clone(), takes(found_nothing(at(2, 3)))), &["empty"]);
    // The other take may have had it already.
    finds(&history(puts.clone(), takes(found_nothing(at(5, 7)))), &[]);
    finds(&history(puts.clone(), takes(found_nothing(at(0, 2)))), &[]);
    let takes =
        vec![rolled_back(at(2, 3), &[1], at(4, 5)), found_nothing(at(6, 7)), took(at(8, 9), &[1], at(10, 11), 1)];
    finds(&history(puts, takes), &["empty"]);
}

#[test]
fn a_crash_takes_back_what_had_not_returned() {
    let mut history = History::default();
    let puts = vec![
        put(at(0, 1), &[1]),
        put(at(2, 3), &[2]),
        // Under way at the crash, and begun after it.
        put(at(9, 12), &[3]),
        put(at(14, 15), &[4]),
    ];
    let takes = vec![
        took(at(4, 5), &[1], at(6, 11), 1),
        // Had an event when the crash came: that the one before found nothing is no wonder.
        took(at(7, 13), &[2], at(14, 15), 1),
        found_nothing(at(8, 9)),
    ];
    history.add_life(puts, takes, Some(at(10, 12)));
    history.crashes.push(crash(10, 12, 20));
    assert_eq!(
        history.puts.iter().map(|put| put.outcome).collect::<Vec<_>>(),
        [Outcome::Done, Outcome::Done, Outcome::Unknown]
    );
    let mut without = history.clone();
    without.add_life(Vec::new(), vec![took(at(21, 22), &[2], at(23, 24), 1)], None);
    finds(&without, &[]);
    let mut with = history.clone();
    with.add_life(Vec::new(), vec![took(at(21, 22), &[1, 2, 3], at(23, 24), 3)], None);
    finds(&with, &[]);
    let mut lost = history.clone();
    lost.add_life(Vec::new(), vec![found_nothing(at(21, 22))], None);
    finds(&lost, &["empty", "lost"]);
    history.add_life(Vec::new(), vec![took(at(21, 22), &[2, 4], at(23, 24), 2)], None);
    finds(&history, &["fabricated"]);
}

#[test]
fn what_was_taken_and_committed_while_the_crash_came_may_be_gone() {
    let of_two = |finish| {
        let mut history = History::default();
        history.add_life(
            vec![put(at(0, 1), &[1, 2])],
            vec![took(at(11, 12), &[1, 2], finish, 2), found_nothing(at(13, 14))],
            Some(at(10, 20)),
        );
        history.crashes.push(crash(10, 20, 30));
        history
    };
    let then = |mut history: History, takes: Vec<Take>| {
        history.add_life(Vec::new(), takes, None);
        history
    };
    let again = |ids: &[Id]| took(at(33, 34), ids, at(35, 36), ids.len());
    // The commit began and ended before the crash was over: it may have been in time, as a whole.
    finds(&then(of_two(at(15, 16)), vec![found_nothing(at(31, 32))]), &[]);
    finds(&then(of_two(at(15, 16)), vec![again(&[1, 2])]), &[]);
    finds(&then(of_two(at(15, 16)), vec![again(&[2])]), &["torn"]);
    // An event that comes again was there all the time.
    finds(&then(of_two(at(15, 16)), vec![found_nothing(at(31, 32)), again(&[1, 2])]), &["empty"]);
    // One that began later was not.
    finds(&then(of_two(at(21, 22)), Vec::new()), &["lost"]);
    // Nor was one of a take that began later.
    let mut late = History::default();
    late.add_life(vec![put(at(0, 1), &[1])], vec![took(at(21, 22), &[1], at(23, 24), 1)], Some(at(10, 20)));
    late.crashes.push(crash(10, 20, 30));
    finds(&late, &["lost"]);
}
