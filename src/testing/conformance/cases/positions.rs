//! Positions that are committed with transactions.

use bytes::Bytes;

use super::super::ChannelFactory;
use super::super::support::{Subject, numbered};
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::wait::Wait;

pub(in super::super) const NEEDS_DURABLE: bool = false;

pub(in super::super) fn a_position_is_set_with_its_put(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    assert_eq!(subject.position("file"), None);
    for offset in ["10", "20", ""] {
        let mut tx = subject.begin_put();
        tx.push("event");
        tx.set_position("file", offset);
        tx.commit().expect("put");
        assert_eq!(subject.position("file"), Some(Bytes::from(offset)));
    }
    assert_eq!(subject.position("fil"), None);
    assert_eq!(subject.position("file "), None);
    assert_eq!(subject.drain().len(), 3);
}

pub(in super::super) fn a_position_is_set_with_its_take(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..2);
    let mut take = subject.take(1, Wait::NONE).expect("take");
    take.set_position("sink", "100");
    assert_eq!(subject.position("sink"), None, "set before the commit");
    take.commit().expect("commit of a take");
    assert_eq!(subject.position("sink"), Some("100".into()));

    let mut take = subject.take(1, Wait::NONE).expect("take");
    take.clear_position("sink");
    take.commit().expect("commit of a take");
    assert_eq!(subject.position("sink"), None);
}

pub(in super::super) fn a_position_is_cleared_with_its_put(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    set(&subject, &[("a", Some("1")), ("b", Some("2"))]);
    set(&subject, &[("a", None), ("unknown", None)]);
    assert_eq!(subject.position("a"), None);
    assert_eq!(subject.positions(""), [("b".to_owned(), Bytes::from("2"))]);
    set(&subject, &[("a", Some("3"))]);
    assert_eq!(subject.position("a"), Some("3".into()));
}

pub(in super::super) fn the_last_word_on_a_position_counts(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    set(&subject, &[("a", Some("1")), ("a", Some("2")), ("b", Some("1")), ("b", None), ("c", None), ("c", Some("1"))]);
    let expected = [("a".to_owned(), Bytes::from("2")), ("c".to_owned(), Bytes::from("1"))];
    assert_eq!(subject.positions(""), expected);
}

pub(in super::super) fn a_transaction_may_set_positions_only(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    set(&subject, &[("a", Some("1")), ("b", Some("2"))]);
    assert_eq!(subject.position("a"), Some("1".into()));
    assert_eq!(subject.position("b"), Some("2".into()));
    subject.assert_nothing_to_take();
}

pub(in super::super) fn a_position_is_not_set_with_a_take_that_is_rolled_back(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    set(&subject, &[("sink", Some("1"))]);
    subject.put_range(0..3);
    for is_dropped in [true, false] {
        let mut take = subject.take(2, Wait::NONE).expect("take");
        take.set_position("sink", "2");
        if is_dropped {
            drop(take);
        } else {
            take.rollback();
        }
        assert_eq!(subject.position("sink"), Some("1".into()));
    }
    subject.assert_drains(0..3);
}

pub(in super::super) fn a_position_is_set_with_the_commit_of_a_part(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    subject.put_range(0..3);
    let mut take = subject.take(2, Wait::NONE).expect("take");
    take.set_position("sink", "1");
    take.commit_first(1).expect("commit of a part");
    assert_eq!(subject.position("sink"), Some("1".into()));
    subject.assert_drains(1..3);
}

pub(in super::super) fn a_position_is_not_set_with_a_put_that_fails(factory: &dyn ChannelFactory) {
    let subject = Subject::of_events(factory, 2);
    set(&subject, &[("source", Some("1"))]);
    subject.put_range(0..2);
    for count in [1, 3] {
        let mut tx = subject.begin_put();
        tx.set_batch(PutBatch::new(numbered(0..count)));
        tx.set_position("source", "2");
        let error = tx.commit().expect_err("no room");
        assert_eq!(subject.position("source"), Some("1".into()), "{error}");
    }
    let mut tx = subject.begin_put();
    tx.set_position("source", "2");
    drop(tx);
    assert_eq!(subject.position("source"), Some("1".into()));
}

pub(in super::super) fn positions_are_listed_by_prefix_and_name(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let owners = ["tail/b", "tail/a", "tail", "tail0", "other", "", "tai", "tail/\u{e4}"];
    for (value, owner) in owners.iter().enumerate() {
        set(&subject, &[(owner, Some(&value.to_string()))]);
    }
    let listed = |prefix: &str| subject.positions(prefix).into_iter().map(|(owner, _)| owner).collect::<Vec<_>>();
    assert_eq!(listed("tail/"), ["tail/a", "tail/b", "tail/\u{e4}"]);
    assert_eq!(listed("tail"), ["tail", "tail/a", "tail/b", "tail/\u{e4}", "tail0"]);
    assert_eq!(listed("none"), [""; 0]);
    assert_eq!(listed("").len(), owners.len());
    assert_eq!(subject.positions("tail/a"), [("tail/a".to_owned(), Bytes::from("1"))]);
}

pub(in super::super) fn a_position_is_any_bytes(factory: &dyn ChannelFactory) {
    let subject = Subject::new(factory);
    let bytes: Bytes = (0..=255).collect();
    let mut tx = subject.begin_put();
    tx.set_position("bytes", bytes.clone());
    tx.commit().expect("put");
    assert_eq!(subject.position("bytes"), Some(bytes));
}

fn set(subject: &Subject<'_>, positions: &[(&str, Option<&str>)]) {
    let mut tx = subject.begin_put();
    for (owner, position) in positions {
        match position {
            Some(position) => tx.set_position(*owner, (*position).to_owned()),
            None => tx.clear_position(*owner),
        }
    }
    tx.commit().expect("put of positions");
}
