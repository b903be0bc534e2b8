use super::*;

#[test]
fn events_are_committed_when_the_client_is_answered() {
    let running = start(|source| source);
    let mut client = running.connect();
    for number in 0..3 {
        client.send(post("/", "", format!(r#"[{{"headers":{{"n":"{number}"}},"body":"a"}},{{"body":"b"}}]"#)));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        let events = running.take();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].headers().get("n"), Some(number.to_string().as_str()));
        assert_eq!((&events[0].body()[..], &events[1].body()[..]), (&b"a"[..], &b"b"[..]));
    }
    // All at once, and the answers in the order of the requests.
    let requests =
        (0..50).map(|n| post("/", "", if n % 7 == 3 { "no".to_owned() } else { format!("[{{\"body\":{n}}}]") }));
    client.send(requests.collect::<Vec<_>>().concat());
    let statuses: Vec<u16> = (0..50).map(|_| client.answer().unwrap().status).collect();
    let expected: Vec<u16> = (0..50).map(|n| if n % 7 == 3 { 400 } else { 200 }).collect();
    assert_eq!(statuses, expected);
    let bodies: Vec<String> = (0..50).filter(|n| n % 7 != 3).map(|n| n.to_string()).collect();
    assert_eq!(running.bodies(), bodies);
    drop(client);
    let (stats, counts) = running.stop();
    assert_eq!((stats.accepted_connections, stats.timed_out_connections), (1, 0));
    assert_eq!((counts.received_events, counts.accepted_events), (49, 49));
    assert_eq!((counts.received_batches, counts.accepted_batches, counts.event_read_fail), (46, 46, 7));
}

#[test]
fn every_request_is_answered_as_flume_answers_it_or_better() {
    let running = start(|source| source);
    let good = r#"[{"body":"x"}]"#;
    let plain = |method: &str| format!("{method} / HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes();
    for (request, status, reason) in [
        (post("/", "", good), 200, ""),
        (post("/any/path?and=query", "content-type: text/plain\r\n", good), 200, ""),
        (post("/", "content-type: application/json; charset=\"UTF-8\"\r\n", good), 200, ""),
        (post("/", "expect: 100-continue\r\n", good), 100, ""),
        (post("/", "content-encoding: identity\r\n", good), 200, ""),
        (b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\n[]".to_vec(), 200, ""),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n1;ext=1\r\n]\r\n0\r\nx: y\r\n\r\n".to_vec(), 200, ""),
        (post("/", "", "[]"), 200, ""),
        (post("/", "", r#"{"body":"x"}"#), 400, "expected an array of events"),
        (post("/", "", "[null]"), 400, "expected an event"),
        (post("/", "", "[{]"), 400, "key must be a string at line 1 column 3"),
        (post("/", "", ""), 400, "EOF while parsing"),
        (plain("POST"), 400, "EOF while parsing"),
        (plain("GET"), 405, "events come with POST"),
        (plain("HEAD"), 405, ""),
        (plain("DELETE"), 405, "events come with POST"),
        (plain("PATCH"), 501, "events come with POST"),
        (plain("FOO"), 501, "events come with POST"),
        (plain("OPTIONS"), 403, "OPTIONS is not allowed"),
        (plain("TRACE"), 403, "TRACE is not allowed"),
        (post("/", "content-type: application/json; charset=latin1\r\n", good), 415, "use UTF-8, UTF-16 or UTF-32"),
        (post("/", "content-encoding: gzip\r\n", good), 415, "content encoding \"gzip\" is not supported"),
        (post("/", "content-encoding: br\r\n", good), 415, "content encoding \"br\" is not supported"),
        (b"rubbish\r\n\r\n".to_vec(), 400, ""),
    ] {
        let head = String::from_utf8_lossy(&request).into_owned();
        let answer = if head.starts_with("HEAD") {
            // The one answer whose length is not that of its body.
            let mut client = running.connect();
            client.send(&request);
            client.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
            let mut text = String::new();
            client.0.read_to_string(&mut text).unwrap();
            let status = text[9..12].parse().unwrap();
            Answer { status, headers: vec![("allow".to_owned(), "POST".to_owned())], body: String::new() }
        } else {
            running.ask(&request)
        };
        assert_eq!(answer.status, status, "{head}: {answer:?}");
        assert!(answer.body.contains(reason) && (answer.body.ends_with('\n') || reason.is_empty()), "{answer:?}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"));
    }
    running.until(|_, counts| counts.accepted_events == 5);
    assert_eq!(running.bodies(), ["x"; 5]);
    let (_, counts) = running.stop();
    assert_eq!((counts.event_read_fail, counts.channel_write_fail), (16, 0));
}

#[test]
fn events_come_with_get_where_that_is_wanted() {
    let running = start(|source| source.get(true));
    let good = r#"[{"body":"x"}]"#;
    let with = |method: &str| String::from_utf8(post("/", "", good)).unwrap().replace("POST", method).into_bytes();
    for (method, status) in [("GET", 200), ("POST", 200), ("OPTIONS", 403), ("PUT", 405)] {
        let answer = running.ask(with(method));
        assert_eq!(answer.status, status, "{method}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST, GET, HEAD"));
    }
    assert_eq!(running.ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").status, 400);
    let mut client = running.connect();
    client.send(with("HEAD"));
    running.until(|_, counts| counts.accepted_events == 3);
    running.stop();
}

#[test]
fn what_a_client_expects_to_be_told_before_it_sends_a_body() {
    let running = start(|source| source.body_bytes_max(1000));
    let head = |length: usize| {
        format!("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut client = running.connect();
    client.send(head(2));
    assert_eq!(client.answer().unwrap().status, 100);
    client.send("[]");
    assert_eq!(client.answer().unwrap().status, 200);
    client.send(head(1001));
    assert_eq!(client.answer().unwrap().status, 413);
    running.stop();
}

#[test]
fn frames_that_could_hide_a_request_are_refused_or_read_by_the_standard() {
    let running = start(|source| source);
    for (request, status) in [
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[] ", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -2\r\n\r\n[]", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\n[]", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n[]", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n[]\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost : x\r\ncontent-length: 2\r\n\r\n[]", 400),
        // RFC 9112, section 6.1: the transfer encoding decides, and the connection is closed behind the answer.
        (
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            200,
        ),
        (
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 60\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            200,
        ),
    ] {
        let mut client = running.connect();
        client.send(request);
        assert_eq!(client.answer().map(|answer| answer.status), Some(status), "{request}");
        assert!(client.is_at_end());
    }
    running.stop();
}
