use super::*;
use crate::testing::Random;

const OK: &[u8] = &[0, 0, 0];

/// With so many requests of ten events under way on a connection that is agreed upon.
fn in_flight(requests: usize) -> InFlight {
    let mut in_flight = InFlight::new();
    put(&mut in_flight);
    in_flight.take_in(&answer(1, &[0; 7])).unwrap();
    assert_eq!(in_flight.next_answered(), Some(Answered::Accepted(10)));
    assert!(in_flight.is_agreed());
    (0..requests).for_each(|_| put(&mut in_flight));
    in_flight
}

fn put(in_flight: &mut InFlight) {
    let deadline = Duration::from_secs(u64::from(in_flight.serial));
    in_flight.put_request(&mut Vec::new(), "appendBatch", (10, deadline), |_| {});
}

fn answer(serial: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(serial, &mut out, |out| out.extend_from_slice(content));
    out
}

#[test]
fn answers_count_in_the_order_of_the_requests_however_they_come() {
    let mut in_flight = in_flight(3);
    assert_eq!(in_flight.deadline(), Duration::from_secs(1));
    in_flight.take_in(&[answer(4, OK), answer(3, OK)].concat()).unwrap();
    assert_eq!((in_flight.next_answered(), in_flight.len()), (None, 3));
    // Byte by byte.
    answer(2, OK).iter().for_each(|byte| in_flight.take_in(&[*byte]).unwrap());
    (0..3).for_each(|_| assert_eq!(in_flight.next_answered(), Some(Answered::Accepted(10))));
    assert_eq!((in_flight.next_answered(), in_flight.len()), (None, 0));
}

#[test]
fn the_next_answer_must_come_before_the_deadline_of_the_oldest_request_without_one() {
    let mut in_flight = in_flight(3);
    in_flight.take_in(&answer(3, OK)).unwrap();
    assert_eq!(in_flight.deadline(), Duration::from_secs(1));
    in_flight.take_in(&answer(2, OK)).unwrap();
    assert_eq!(in_flight.deadline(), Duration::from_secs(3));
}

#[test]
fn what_is_known_after_a_refusal_depends_on_the_others() {
    for (requests, before, refused, is_unknown) in [
        (1, vec![], 2, false),
        (3, vec![2, 3], 4, false),
        (3, vec![], 4, true),
        (3, vec![4, 3], 2, true),
        (3, vec![2], 3, true),
    ] {
        let mut in_flight = in_flight(requests);
        before.iter().for_each(|serial| in_flight.take_in(&answer(*serial, OK)).unwrap());
        let trouble = in_flight.take_in(&answer(refused, &[0, 0, 2])).unwrap_err();
        let error = in_flight.error(trouble, "here");
        assert_eq!(error.is_outcome_unknown(), is_unknown, "{before:?}, {refused}: {error}");
    }
}

#[test]
fn what_nobody_asked_for_is_trouble() {
    for bytes in [answer(9, OK), answer(1, OK), [answer(2, OK), answer(2, OK)].concat()] {
        let Err(Trouble::Protocol(reason)) = in_flight(3).take_in(&bytes) else { panic!("{bytes:?}") };
        assert!(reason.contains("which was not made"), "{reason}");
    }
    // Also if only a part has come.
    let begun = [answer(2, OK), vec![0]].concat();
    assert!(matches!(in_flight(1).take_in(&begun), Err(Trouble::Protocol(_))));
    assert_eq!(in_flight(2).take_in(&begun), Ok(()));
}

#[test]
fn any_bytes_are_answers_or_trouble() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let good = [answer(3, OK), answer(2, OK), answer(4, b"\0\x01\0\x06bad")].concat();
    for _ in 0..10_000 {
        let mut bytes = good.clone();
        let at = random.index(bytes.len());
        bytes[at] = random.next_u64().to_le_bytes()[0];
        let mut in_flight = in_flight(3);
        let outcome = bytes.chunks(1 + random.index(9)).try_for_each(|chunk| in_flight.take_in(chunk));
        let known = std::iter::from_fn(|| in_flight.next_answered()).count();
        assert!(known + in_flight.len() == 3, "{outcome:?}");
    }
}
