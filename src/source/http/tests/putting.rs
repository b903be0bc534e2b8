use bytes::Bytes;

use super::*;
use crate::error::{FullReason, StorageError};
use crate::{PutBatch, PutError, PutTicket, Receipt};

type Refuse = fn(Box<PutBatch>) -> PutError;

/// Refuses every batch in its own way.
struct Refusing(Refuse);

impl SourcePort for Refusing {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        let error = self.0(Box::new(batch));
        // As a channel says it that finds out late.
        Ok(PutTicket::ready(Err(error)))
    }

    fn position(&self, _: &str) -> Option<Bytes> {
        None
    }

    fn positions(&self, _: &str) -> Vec<(String, Bytes)> {
        Vec::new()
    }
}

#[test]
fn a_put_that_failed_is_answered_by_what_the_client_can_do() {
    let cases: [(Refuse, u16, &str); 6] = [
        (|batch| PutError::Closed { channel: "c".into(), batch }, 503, "channel c is closed"),
        (|batch| PutError::Stopped { source_name: "s".into(), batch }, 503, "takes no more events"),
        (|batch| PutError::NotCommitted { source: StorageError::Closed, batch }, 503, "not committed"),
        (
            |batch| PutError::TooLarge { channel: "c".into(), what: "events", actual: 2, max: 1, batch },
            413,
            "over the limit",
        ),
        (|_| PutError::Indeterminate { source: StorageError::Closed }, 500, "the outcome of the commit is unknown"),
        (|batch| PutError::Component { component: "i".into(), reason: "r".into(), batch }, 500, "i failed: r"),
    ];
    for (refuse, status, reason) in cases {
        let running = start_at(small(1), Arc::new(Refusing(refuse)), |source| source);
        let answer = running.post("[{}]");
        assert_eq!(answer.status, status);
        assert!(answer.body.contains(reason), "{answer:?}");
        assert_eq!(answer.header("retry-after"), (status == 503).then_some("1"));
        assert_eq!(running.post("[]").status, 200, "nothing is put");
        let (_, counts) = running.stop();
        assert_eq!((counts.received_events, counts.accepted_events, counts.channel_write_fail), (1, 0, 1));
    }
}

#[test]
fn a_transaction_that_the_channel_never_takes_is_too_large() {
    let channel = MemoryChannel::builder("events").transaction_events_max(2).build().unwrap();
    let running = start_with(channel, |source| source);
    assert_eq!(running.post("[{},{},{}]").status, 413);
    assert_eq!(running.post("[{},{}]").status, 200);
    assert_eq!(running.take().len(), 2);
    running.stop();
}

#[test]
fn a_full_channel_is_answered_with_503_once_the_time_to_wait_is_over() {
    let running = start_with(small(2), |source| source.full_timeout(Duration::from_millis(20)));
    assert_eq!(running.post("[{},{}]").status, 200);
    let mut client = running.connect();
    client.send(post("/", "", "[{}]"));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.body.contains("channel events is full"), "{answer:?}");
    assert_eq!(running.take().len(), 2);
    client.send(post("/", "", "[{}]"));
    assert_eq!(client.answer().unwrap().status, 200);
    let (_, counts) = running.stop();
    assert_eq!((counts.received_events, counts.accepted_events, counts.channel_write_fail), (4, 3, 1));
}

/// A channel in front of which others always wait: it has room for those who wait, too.
struct Saturated;

impl SourcePort for Saturated {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        if wait == Some(Wait::NONE) {
            let (channel, reason) = ("c".into(), FullReason::Events);
            return Err(PutError::Full { channel, reason, batch: Box::new(batch) });
        }
        Ok(PutTicket::ready(Ok(Receipt::default())))
    }

    fn position(&self, _: &str) -> Option<Bytes> {
        None
    }

    fn positions(&self, _: &str) -> Vec<(String, Bytes)> {
        Vec::new()
    }
}

#[test]
fn a_request_takes_a_place_in_the_line_of_a_full_channel() {
    let running = start_at(small(1), Arc::new(Saturated), |source| source);
    assert_eq!(running.post("[{}]").status, 200);
    assert_eq!(running.stop().1.accepted_events, 1);
}

/// Goal: whoever waits for a full channel holds nobody up. Method: more requests wait than there are workers and places in its
/// line, for an hour; others are served meanwhile; then there is room.
#[test]
fn a_full_channel_stalls_nobody_else() {
    let clients = HTTP_WAITING_MAX + 2;
    let patient = |source: Http| source.full_timeout(Duration::from_secs(3600)).connections_per_peer_max(clients + 10);
    let running = start_with(small(1), |source| patient(source).workers(1));
    assert_eq!(running.post("[{\"body\":0}]").status, 200);
    let mut waiting: Vec<Client> = (1..=clients)
        .map(|number| {
            let mut client = running.connect();
            client.send(post("/", "", format!("[{{\"body\":{number}}}]")));
            client
        })
        .collect();
    running.until(|_, counts| counts.received_events == clients as u64 + 1);
    for _ in 0..10 {
        assert_eq!(running.post("[]").status, 200);
        assert_eq!(running.post("[").status, 400);
    }
    assert_eq!(running.counts().accepted_events, 1);
    let mut bodies = Vec::new();
    while bodies.len() <= clients {
        bodies.extend(running.bodies());
        thread::yield_now();
    }
    bodies.sort_by_key(|body| body.parse::<usize>().unwrap());
    assert_eq!(bodies, (0..=clients).map(|number| number.to_string()).collect::<Vec<_>>());
    for client in &mut waiting {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let (_, counts) = running.stop();
    let all = clients as u64 + 1;
    assert_eq!((counts.accepted_events, counts.accepted_batches, counts.channel_write_fail), (all, all, 0));
}

#[test]
fn what_a_client_has_sent_that_went_away_is_put_and_counted() {
    let running = start_with(small(1), |source| source.full_timeout(Duration::from_secs(3600)));
    assert_eq!(running.post("[{}]").status, 200);
    let mut client = running.connect();
    client.send(post("/", "", "[{}]"));
    running.until(|_, counts| counts.received_events == 2);
    // With the answer to come unread, so that the connection is reset.
    rustix::net::sockopt::set_socket_linger(client.0.get_ref(), Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(running.take().len(), 1);
    running.until(|_, counts| counts.accepted_events == 2);
    assert_eq!(running.take().len(), 1);
    running.until(|stats, counts| stats.bytes_in_flight == 0 && counts.open_connections == 0);
    running.stop();
}

#[test]
fn a_client_that_only_closed_its_own_side_is_answered() {
    let running = start_with(small(1), |source| source.full_timeout(Duration::from_secs(3600)));
    assert_eq!(running.post("[{}]").status, 200);
    let mut client = running.connect();
    client.send(post("/", "", "[{}]"));
    client.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    running.until(|_, counts| counts.received_events == 2);
    assert_eq!(running.take().len(), 1);
    assert_eq!(client.answer().unwrap().status, 200);
    assert!(client.is_at_end());
    running.stop();
}

#[test]
fn on_receipt_the_client_is_told_before_and_losses_are_counted() {
    let running = start_with(small(3), |source| source.ack(Ack::OnReceipt).full_timeout(Duration::ZERO));
    let mut client = running.connect();
    for number in 0..5 {
        client.send(post("/", "", format!("[{{\"body\":{number}}},{{}}]")));
        assert_eq!(client.answer().unwrap().status, 202);
    }
    assert_eq!(running.post("[").status, 400, "that is known at once");
    assert_eq!(running.post("[]").status, 200, "nothing to be told");
    running.until(|_, counts| counts.dropped_events == 8);
    assert_eq!(running.bodies(), ["0", ""]);
    let (_, counts) = running.stop();
    assert_eq!((counts.received_events, counts.accepted_events, counts.channel_write_fail), (10, 2, 4));
}

#[test]
fn one_connection_holds_one_transaction_also_when_it_is_told_before() {
    let running = start_with(small(1), |source| source.ack(Ack::OnReceipt).full_timeout(Duration::from_secs(3600)));
    let mut client = running.connect();
    client.send((0..4).map(|n| post("/", "", format!("[{{\"body\":{n}}}]"))).collect::<Vec<_>>().concat());
    // The first is put, the second waits for room, the third waits for the second.
    running.until(|_, counts| counts.received_events == 2);
    assert_eq!(client.answer().unwrap().status, 202);
    assert_eq!(client.answer().unwrap().status, 202);
    assert_eq!(running.counts().received_events, 2);
    let mut bodies = Vec::new();
    while bodies.len() < 4 {
        bodies.extend(running.bodies());
        thread::yield_now();
    }
    assert_eq!(bodies, ["0", "1", "2", "3"]);
    running.stop();
}
