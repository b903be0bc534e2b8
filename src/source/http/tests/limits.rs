use super::*;
use crate::limits::HTTP_CONNECTION_BYTES;
use crate::source::http::events::EVENT_COST;

type Change = fn(Http) -> Http;

#[test]
fn settings_that_make_no_sense_are_errors_that_name_them() {
    let context = SourceContext::new("http", Arc::new(small(1)), Shutdown::new());
    let cases: [(Change, &str); 12] = [
        (|source| source.body_bytes_max(0), "body_bytes_max is 0; it must be at least 1"),
        (|source| source.header_bytes_max(8191), "header_bytes_max is 8191; it must be at least 8192"),
        (|source| source.headers_max(0), "headers_max is 0; it must be at least 1"),
        (|source| source.headers_max(1025), "headers_max is 1025; it must be at most 1024"),
        (|source| source.batch_events_max(0), "batch_events_max is 0"),
        (|source| source.workers(0), "workers is 0"),
        (|source| source.connections_max(0), "connections_max is 0"),
        (|source| source.idle_timeout(Duration::ZERO), "idle_timeout is zero"),
        (|source| source.header_timeout(Duration::ZERO), "header_timeout is zero"),
        (|source| source.body_timeout(Duration::ZERO), "body_timeout is zero"),
        (|source| source.bytes_in_flight_max(1 << 20), "need 67108864 bytes, but bytes_in_flight_max is 1048576"),
        (|source| source.body_bytes_max(usize::MAX), "or lower connections_max or body_bytes_max"),
    ];
    for (change, reason) in cases {
        let error = change(Http::bind("127.0.0.1:0")).open(&context).unwrap_err();
        assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains(reason), "{error}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Http::bind(taken.local_addr().unwrap().to_string()).open(&context).unwrap_err();
    assert!(matches!(error, SourceError::Retry(_)), "{error}");
}

#[test]
fn a_source_runs_again_after_it_has_stopped() {
    let channel = small(10);
    let mut source = Http::bind("127.0.0.1:0");
    let handle = source.handle();
    for _ in 0..3 {
        let context = SourceContext::new("http", Arc::new(channel.clone()), Shutdown::new());
        source.open(&context).unwrap();
        let address = handle.local_addr().unwrap();
        thread::scope(|scope| {
            let running = scope.spawn(|| source.run(&context));
            let mut client = Client(BufReader::new(TcpStream::connect(address).unwrap()));
            client.send(post("/", "", "[{}]"));
            assert_eq!(client.answer().unwrap().status, 200);
            context.shutdown().request();
            running.join().unwrap().unwrap();
        });
        assert_eq!(handle.local_addr(), None);
    }
    assert_eq!(channel.take(10, Wait::NONE).unwrap().len(), 3);
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_client_gets_to_know_it() {
    let running = start(|source| source.body_bytes_max(100_000));
    let exact = format!("[{{\"body\":\"{}\"}}]", "x".repeat(100_000 - 13));
    assert_eq!((exact.len(), running.post(&exact).status), (100_000, 200));
    // Announced, and sent all the same.
    let answer = running.ask(post("/", "", vec![b' '; 900_000]));
    assert!(
        answer.status == 413 && answer.body.contains("900000 bytes, which is over the limit of 100000"),
        "{answer:?}"
    );
    // Not announced.
    let chunk = format!("ffff\r\n{}\r\n", " ".repeat(0xffff));
    let mut client = running.connect();
    client.send("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    (0..10).for_each(|_| client.send(&chunk));
    let answer = client.answer().unwrap();
    assert!(answer.status == 413 && answer.body == "the body is over the limit of 100000 bytes\n", "{answer:?}");
    assert!(client.is_at_end());
    running.until(|stats, _| stats.bytes_in_flight == 0);
    assert_eq!(running.take().len(), 1);
    running.stop();
}

#[test]
fn a_head_over_the_limits_is_refused() {
    let running = start(|source| source.header_bytes_max(8192).headers_max(10));
    let headers = |count: usize| (0..count).map(|n| format!("h{n}: v\r\n")).collect::<Vec<_>>().concat();
    assert_eq!(running.ask(post("/", &headers(8), "[]")).status, 200);
    assert_eq!(running.ask(post("/", &headers(9), "[]")).status, 431);
    assert_eq!(running.ask(post("/", &format!("long: {}\r\n", "v".repeat(7000)), "[]")).status, 200);
    assert_eq!(running.ask(post("/", &format!("long: {}\r\n", "v".repeat(9000)), "[]")).status, 431);
    assert_eq!(running.ask(post(&format!("/{}", "p".repeat(9000)), "", "[]")).status, 431);
    // One that never ends.
    let mut client = running.connect();
    client.send("POST / HTTP/1.1\r\nlong: ");
    client.send("v".repeat(20_000));
    assert_eq!(client.answer().unwrap().status, 431);
    let (_, counts) = running.stop();
    assert_eq!(counts.event_read_fail, 4);
}

/// Goal: nothing small becomes large in memory. Method: the most expensive JSON for its size, against small limits.
#[test]
fn events_that_would_need_much_memory_are_refused() {
    let connections = 4;
    let change = |source: Http| {
        source
            .connections_max(connections)
            .body_bytes_max(200_000)
            .bytes_in_flight_max(connections * HTTP_CONNECTION_BYTES + 400_000)
    };
    let running = start(|source| change(source).batch_events_max(usize::MAX));
    let empty = |count: usize| format!("[{{}}{}]", ",{}".repeat(count - 1));
    assert_eq!(running.post(empty(1000)).status, 200);
    assert_eq!(running.take().len(), 1000);
    let answer = running.post(empty(60_000));
    let max = HTTP_CONNECTION_BYTES + 400_000;
    let never = format!(
        "the request would take more than {max} bytes of memory with its events, which is all that bytes_in_flight_max leaves \
         to one\n"
    );
    assert_eq!((answer.status, answer.body), (413, never));
    assert!(running.take().is_empty());
    running.until(|stats, _| stats.bytes_in_flight == 0);
    let stats = running.stats();
    assert!(stats.bytes_in_flight_peak <= 400_000 && stats.bytes_in_flight_max == 400_000, "{stats:?}");
    running.stop();

    let running = start(|source| change(source).batch_events_max(1000));
    assert_eq!(running.post(empty(1000)).status, 200);
    assert_eq!(running.post(empty(1001)).body, "the request has more than 1000 events\n");
    running.stop();
}

/// Goal: only what never fits is refused for good. Method: a request that needs both parts of what there is, alone, and while
/// another one holds something.
#[test]
fn events_that_fit_alone_are_refused_for_now_alone() {
    let (body, part) = (400_000, 1 << 20);
    let running = start(|source| {
        source
            .connections_max(4)
            .body_bytes_max(body)
            .bytes_in_flight_max(4 * HTTP_CONNECTION_BYTES + 2 * part)
            .batch_events_max(usize::MAX)
    });
    let events_of = |bytes: usize| format!("[{{}}{}]", ",{}".repeat(bytes / EVENT_COST));
    let (fits, never) = (events_of(part * 7 / 4), events_of(4 * part));
    assert_eq!(running.post(&fits).status, 200);
    let mut other = running.connect();
    let request = post("/", "", vec![b' '; body]);
    other.send(&request[..request.len() - 1]);
    running.until(|stats, _| stats.bytes_in_flight >= (body - HTTP_CONNECTION_BYTES) as u64);
    let answer = running.post(&fits);
    assert!(answer.status == 503 && answer.body.contains("holds as many bytes as it may"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(other);
    running.until(|stats, counts| stats.bytes_in_flight == 0 && counts.open_connections == 0);
    assert_eq!((running.post(&fits).status, running.post(&never).status), (200, 413));
    running.stop();
}

#[test]
fn small_requests_are_served_while_large_ones_hold_all_there_is() {
    let change = |source: Http| {
        source
            .connections_max(8)
            .body_bytes_max(100_000)
            .bytes_in_flight_max(8 * HTTP_CONNECTION_BYTES + 200_000)
            .full_timeout(Duration::ZERO)
    };
    let running = start(change);
    // Bodies that are all but complete: one finds room, the others do not.
    let mut holding: Vec<Client> = Vec::new();
    for _ in 0..4 {
        let mut client = running.connect();
        let request = post("/", "", vec![b' '; 100_000]);
        client.send(&request[..request.len() - 1]);
        holding.push(client);
    }
    running.until(|_, counts| counts.event_read_fail == 3);
    let refused = running.counts().event_read_fail;
    for _ in 0..20 {
        assert_eq!(running.post("[{}]").status, 200);
    }
    assert_eq!(running.counts().event_read_fail, refused);
    drop(holding);
    running.until(|stats, counts| stats.bytes_in_flight == 0 && counts.open_connections == 0);
    assert_eq!(running.post(format!("[{}]", " ".repeat(99_998))).status, 200);
    running.stop();
}

/// Goal: bodies that stall hold nothing that others need. Method: one has what one request at a time can have, two wait for
/// that; others of medium size go on. Then those that waited get through.
#[test]
fn bodies_that_stall_keep_nobody_else_from_sending() {
    let (body, mebi) = (4 << 20, 1 << 20);
    let running = start(|source| {
        source
            .connections_max(8)
            .body_bytes_max(body)
            .bytes_in_flight_max(8 * HTTP_CONNECTION_BYTES + 2 * body + 4 * mebi)
            .full_timeout(Duration::from_secs(3600))
    });
    let request = post("/", "", format!("[{}]", " ".repeat(body - 2)));
    let (most, last) = request.split_at(request.len() - 1);
    thread::scope(|scope| {
        let senders = [(); 3].map(|()| {
            let mut client = running.connect();
            let (go_on, going_on) = std::sync::mpsc::channel::<()>();
            let thread = scope.spawn(move || {
                client.send(most);
                going_on.recv().unwrap();
                client.send(last);
                assert_eq!(client.answer().unwrap().status, 200);
            });
            (go_on, thread)
        });
        // The first one, and what each of the others can have besides.
        running.until(|stats, _| stats.bytes_in_flight >= (2 * body + mebi) as u64);
        for _ in 0..20 {
            assert_eq!(running.post(format!("[{{}}{}]", " ".repeat(mebi / 4))).status, 200);
        }
        senders.iter().for_each(|(go_on, _)| go_on.send(()).unwrap());
        senders.into_iter().for_each(|(_, thread)| thread.join().unwrap());
    });
    assert_eq!(running.take().len(), 20);
    running.stop();
}

#[test]
fn connections_over_the_limit_are_told_so() {
    let running = start(|source| source.connections_max(2));
    let mut clients = [running.connect(), running.connect()];
    for client in &mut clients {
        client.send(post("/", "", "[]"));
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let answer = running.connect().answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    drop(clients);
    running.until(|_, counts| counts.open_connections == 0);
    assert_eq!(running.post("[]").status, 200);
    let (stats, _) = running.stop();
    assert_eq!((stats.accepted_connections, stats.refused_connections), (3, 1));

    let running = start(|source| source.connections_per_peer_max(1));
    let _first = running.connect();
    running.until(|stats, _| stats.accepted_connections == 1);
    assert_eq!(running.connect().answer().unwrap().status, 503);
    running.stop();
}
