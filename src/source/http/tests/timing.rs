use super::*;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);

fn patient(source: Http) -> Http {
    source.first_byte_timeout(LONG).idle_timeout(LONG).header_timeout(LONG).body_timeout(LONG).answer_timeout(LONG)
}

#[test]
fn clients_that_take_too_long_are_cut_off() {
    // Nothing at all.
    let running = start(|source| patient(source).first_byte_timeout(SHORT));
    assert!(running.connect().is_at_end());
    assert_eq!(running.stop().0.timed_out_connections, 1);

    // A head that does not end, however often a byte comes.
    let running = start(|source| patient(source).header_timeout(SHORT));
    let mut client = running.connect();
    client.send("POST / HTTP/1.1\r\nlong: ");
    let mut writer = client.0.get_ref().try_clone().unwrap();
    let dripping = thread::spawn(move || {
        while writer.write_all(b"v").is_ok() {
            // A pace, not a wait for anything: the limit is for the head as a whole.
            thread::park_timeout(Duration::from_millis(1));
        }
    });
    assert_eq!(client.answer().unwrap().status, 408);
    drop(client);
    dripping.join().unwrap();
    let (stats, counts) = running.stop();
    assert_eq!((stats.timed_out_connections, counts.event_read_fail), (1, 1));

    // A body that does not end.
    let running = start(|source| patient(source).body_timeout(SHORT));
    let mut client = running.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n[");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (408, "the body was not complete within 20ms\n"));
    assert!(client.is_at_end());
    let (stats, counts) = running.stop();
    assert_eq!((stats.timed_out_connections, counts.event_read_fail), (1, 1));

    // A body that stops coming.
    let running = start(|source| patient(source).silence_timeout(SHORT));
    let mut client = running.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n[");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (408, "nothing of the body came for 20ms\n"));
    assert!(client.is_at_end());
    let (stats, counts) = running.stop();
    assert_eq!((stats.timed_out_connections, counts.event_read_fail), (1, 1));

    // Silence between two requests.
    let running = start(|source| patient(source).idle_timeout(SHORT));
    let mut client = running.connect();
    client.send(post("/", "", "[]"));
    assert_eq!(client.answer().unwrap().status, 200);
    assert!(client.is_at_end());
    let (stats, counts) = running.stop();
    assert_eq!((stats.timed_out_connections, counts.event_read_fail), (1, 0));

    // Answers that nobody reads.
    let running = start(|source| patient(source).answer_timeout(SHORT));
    let mut client = running.connect();
    let requests = post("/", "", "").repeat(1000);
    while client.0.get_mut().write_all(&requests).is_ok() && running.stats().timed_out_connections == 0 {}
    running.until(|stats, counts| stats.timed_out_connections == 1 && counts.open_connections == 0);
    running.stop();
}

#[test]
fn time_that_the_source_takes_is_not_the_clients() {
    let running = start_with(small(1), |source| {
        source.first_byte_timeout(LONG).idle_timeout(SHORT).header_timeout(SHORT).body_timeout(SHORT).full_timeout(LONG)
    });
    assert_eq!(running.post("[{}]").status, 200);
    let mut client = running.connect();
    client.send(post("/", "", "[{}]"));
    running.until(|_, counts| counts.received_events == 2);
    // Longer than any of the limits.
    let other = running.connect();
    other.0.get_ref().set_read_timeout(Some(SHORT * 3)).unwrap();
    assert!(other.0.get_ref().read(&mut [0]).is_err());
    assert_eq!(running.take().len(), 1);
    assert_eq!(client.answer().unwrap().status, 200);
    running.stop();
}

#[test]
fn a_stop_lets_requests_finish_that_are_under_way() {
    let running = start(|source| patient(source).stop_timeout(LONG));
    let (mut idle, mut busy, mut early) = (running.connect(), running.connect(), running.connect());
    idle.send(post("/", "", "[]"));
    assert_eq!(idle.answer().unwrap().status, 200);
    let request = post("/", "", "[{\"body\":\"last\"}]");
    let (first, last) = request.split_at(request.len() - 3);
    busy.send(first);
    early.send("POST / HTTP/1.1\r\n");
    // Whoever connects later is accepted later: by then the others are known.
    running.until(|stats, _| stats.accepted_connections == 3);
    busy.send(&last[..1]);
    assert_eq!(running.post("[]").status, 200);
    running.context.shutdown().request();
    assert!(idle.is_at_end(), "nothing is under way there");
    busy.send(&last[1..]);
    let answer = busy.answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(busy.is_at_end());
    drop(early);
    assert_eq!(running.bodies(), ["last"]);
    running.stop();
}

#[test]
fn a_stop_ends_what_does_not_finish_in_its_time() {
    let running = start_with(small(1), |source| patient(source).stop_timeout(SHORT));
    let (mut sending, mut silent) = (running.connect(), running.connect());
    sending.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n[");
    running.until(|stats, _| stats.accepted_connections == 2);
    running.context.shutdown().request();
    assert!(sending.is_at_end() && silent.is_at_end());
    running.stop();
}

#[test]
fn a_stop_calls_requests_back_from_the_line_of_a_full_channel() {
    let running = start_with(small(1), |source| patient(source).full_timeout(LONG).stop_timeout(LONG));
    assert_eq!(running.post("[{}]").status, 200);
    let mut waiting = running.connect();
    waiting.send(post("/", "", "[{}]"));
    // Refused once, and in the line then.
    let channel = running.channel.clone();
    running.until(|_, _| channel.stats().put_attempt_events == 3);
    running.context.shutdown().request();
    assert_eq!(waiting.answer().unwrap().status, 503);
    let (_, counts) = running.stop();
    assert_eq!((counts.accepted_events, counts.channel_write_fail), (1, 1));
}

#[test]
fn a_stop_is_answered_while_clients_keep_coming() {
    let running = start(|source| source);
    let address = running.handle.local_addr().unwrap();
    let coming: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut accepted = 0;
                while let Ok(socket) = TcpStream::connect(address) {
                    let mut client = Client(BufReader::new(socket));
                    if client.0.get_mut().write_all(&post("/", "", "[{}]")).is_ok()
                        && client.answer().is_some_and(|answer| answer.status == 200)
                    {
                        accepted += 1;
                    }
                }
                accepted
            })
        })
        .collect();
    running.until(|_, counts| counts.accepted_events > 100);
    let channel = running.channel.clone();
    let (_, counts) = running.stop();
    let told: u64 = coming.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(told <= counts.accepted_events, "{told} {counts:?}");
    assert_eq!(channel.take(100_000, Wait::NONE).unwrap().len() as u64, counts.accepted_events);
}
