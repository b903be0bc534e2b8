use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::*;
use crate::channel::Channel;
use crate::sink::testing::{Run, TestChannel};

/// A request, as a server gets it.
#[derive(Clone, Debug)]
struct Received {
    line: String,
    // In lower case.
    headers: Vec<String>,
    body: Vec<u8>,
    connection: usize,
}

impl Received {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What the server does with a request.
enum Reply {
    Status(u16),
    Bytes(Vec<u8>),
    /// The connection is closed without an answer.
    Hangup,
    /// The connection stays open without an answer.
    Silence,
}

/// A server of one test's own, which answers as `reply` says.
struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    thread: Option<JoinHandle<()>>,
    stop: Shutdown,
}

impl Server {
    fn new(reply: impl Fn(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (received, stop) = (Arc::<Mutex<Vec<Received>>>::default(), Shutdown::new());
        let (log, stopped) = (received.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut kept = Vec::new();
            for connection in 0.. {
                let (socket, _) = listener.accept().unwrap();
                if stopped.is_requested() {
                    return;
                }
                let mut socket = BufReader::new(socket);
                while let Some(request) = read_request(&mut socket, connection) {
                    log.lock().push(request.clone());
                    match reply(&request) {
                        Reply::Status(status) => {
                            let answer = format!("HTTP/1.1 {status} It\r\ncontent-length: 5\r\n\r\nwhy\n!");
                            socket.get_mut().write_all(answer.as_bytes()).unwrap();
                        }
                        Reply::Bytes(bytes) => {
                            // The sink may have seen enough.
                            let _ = socket.get_mut().write_all(&bytes);
                            break;
                        }
                        Reply::Hangup => break,
                        Reply::Silence => {
                            kept.push(socket);
                            break;
                        }
                    }
                }
            }
        });
        Self { address, received, thread: Some(thread), stop }
    }

    fn always(status: u16) -> Self {
        Self::new(move |_| Reply::Status(status))
    }

    fn sink(&self) -> Http {
        Http::new(format!("http://{}/in?key=secret", self.address))
    }

    fn bodies(&self) -> Vec<String> {
        self.received.lock().drain(..).map(|request| request.text().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.request();
        let _ = TcpStream::connect(self.address);
        let outcome = self.thread.take().unwrap().join();
        assert!(outcome.is_ok() || thread::panicking());
    }
}

fn read_request(socket: &mut BufReader<TcpStream>, connection: usize) -> Option<Received> {
    let mut line = String::new();
    if socket.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        socket.read_line(&mut header).ok()?;
        match header.trim_end() {
            "" => break,
            header => headers.push(header.to_ascii_lowercase()),
        }
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    socket.read_exact(&mut body).ok()?;
    Some(Received { line: line.trim_end().to_owned(), headers, body, connection })
}

fn start(bodies: &[&str]) -> (TestChannel, Run) {
    let channel = TestChannel::new(bodies.iter().map(|body| Event::new((*body).to_owned())));
    let run = channel.run("http");
    (channel, run)
}

fn retry(outcome: Result<usize, SinkError>) -> String {
    match outcome {
        Err(SinkError::Retry(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn permanent(outcome: Result<usize, SinkError>) -> String {
    match outcome {
        Err(SinkError::Permanent(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_event_is_a_request_as_flume_makes_it() {
    let server = Server::always(200);
    let (channel, mut run) = start(&["a", "", "c"]);
    let mut sink = server.sink().header("X-Own", "1");
    let count = sink.count();
    assert_eq!(run.step(&mut sink, 10).unwrap(), 3);
    assert_eq!((channel.waiting(), count.requests(), count.delivered(), count.dropped()), (0, 3, 3, 0));
    let received = server.received.lock().clone();
    assert_eq!(received.iter().map(Received::text).collect::<Vec<_>>(), ["a", "", "c"]);
    for request in received {
        assert_eq!((request.line.as_str(), request.connection), ("POST /in?key=secret HTTP/1.1", 0), "one connection");
        for header in ["content-type: text/plain", "accept: text/plain", "x-own: 1"] {
            assert!(request.headers.iter().any(|found| found == header), "{header}: {:?}", request.headers);
        }
        assert!(request.headers.contains(&format!("host: {}", server.address)));
        assert!(!request.headers.iter().any(|header| header.starts_with("accept-encoding")));
    }
    sink.close().unwrap();
}

#[test]
fn an_event_without_a_body_holds_nobody_up_if_it_is_to_be_skipped() {
    let server = Server::new(|request| Reply::Status(if request.body.is_empty() { 400 } else { 200 }));
    let (channel, mut run) = start(&["", "a", "", "", "b", ""]);
    let mut sink = server.sink().skip_empty(true);
    assert_eq!(run.step(&mut sink, 10).unwrap(), 6);
    assert_eq!((channel.waiting(), server.bodies()), (0, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((sink.count().requests(), sink.count().delivered(), sink.count().dropped()), (2, 2, 4));
    sink.close().unwrap();
    let (_, mut run) = start(&["", "a"]);
    assert!(permanent(run.step(&mut server.sink(), 10)).contains("answered 400"), "only if it is asked for");
}

#[test]
fn batches_are_what_flumes_http_source_understands() {
    let events = [Event::new("a").with_header("k", "\"v\"").unwrap(), Event::new("b\u{e4}\n")];
    for (format, content_type, expected) in [
        (
            HttpFormat::JsonArray,
            "content-type: application/json; charset=utf-8",
            "[{\"headers\":{\"k\":\"\\\"v\\\"\"},\"body\":\"a\"},{\"headers\":{},\"body\":\"b\u{e4}\\n\"}]",
        ),
        (
            HttpFormat::JsonLines,
            "content-type: application/x-ndjson",
            "{\"headers\":{\"k\":\"\\\"v\\\"\"},\"body\":\"a\"}\n{\"headers\":{},\"body\":\"b\u{e4}\\n\"}\n",
        ),
    ] {
        let server = Server::always(204);
        let channel = TestChannel::new(events.clone());
        let mut sink = server.sink().format(format);
        assert_eq!(channel.run("http").step(&mut sink, 10).unwrap(), 2);
        let received = server.received.lock().clone();
        assert_eq!((received.len(), received[0].text()), (1, expected));
        assert!(received[0].headers.iter().any(|header| header == content_type), "{:?}", received[0].headers);
        assert_eq!(sink.count().delivered(), 2);
    }
    let server = Server::always(200);
    let (_, mut run) = start(&["x"]);
    run.step(&mut server.sink().format(HttpFormat::JsonArray).content_type("text/own"), 1).unwrap();
    assert!(server.received.lock()[0].headers.iter().any(|header| header == "content-type: text/own"));
}

#[test]
fn the_status_decides_what_becomes_of_an_event() {
    for (status, waiting) in [(200, 0), (201, 0), (202, 0), (204, 0)] {
        let server = Server::always(status);
        let (channel, mut run) = start(&["x"]);
        assert_eq!((run.step(&mut server.sink(), 1).unwrap(), channel.waiting()), (1, waiting), "{status}");
    }
    for status in [301, 302, 307, 401, 403, 404, 408, 429, 500, 503] {
        let server = Server::always(status);
        let (channel, mut run) = start(&["x"]);
        let reason = retry(run.step(&mut server.sink(), 1));
        assert_eq!(reason, format!("http://{}/in answered {status}: why\\n!", server.address), "nothing secret");
        assert_eq!(channel.waiting(), 1);
        assert_eq!(server.bodies(), ["x"], "no redirection is followed");
    }
    for status in [400, 413, 415, 422] {
        let server = Server::always(status);
        let (channel, mut run) = start(&["x"]);
        assert!(permanent(run.step(&mut server.sink(), 1)).contains(&format!("answered {status}")));
        assert_eq!(channel.waiting(), 1);
    }
}

#[test]
fn rules_decide_otherwise_and_what_they_drop_is_counted() {
    let server = Server::new(|request| Reply::Status(request.text().parse().unwrap()));
    let (channel, mut run) = start(&["404", "409", "400", "500", "200", "301"]);
    let mut sink = server
        .sink()
        .on_status_class(4, StatusAction::Accept)
        .on_status(400, StatusAction::Reject)
        .on_status(500, StatusAction::Accept);
    let count = sink.count();
    assert_eq!(run.step(&mut sink, 10).unwrap(), 2);
    assert!(permanent(run.step(&mut sink, 10)).contains("answered 400"));
    channel.take(1, crate::Wait::NONE).unwrap().commit().unwrap();
    assert_eq!(run.step(&mut sink, 10).unwrap(), 2);
    assert!(retry(run.step(&mut sink, 10)).contains("answered 301"));
    assert_eq!((count.delivered(), count.dropped()), (1, 3));
    // The server has one connection at a time.
    sink.close().unwrap();
    let mut sink = server.sink().on_any_status(StatusAction::Accept);
    assert_eq!(run.step(&mut sink, 10).unwrap(), 1);
    assert_eq!(sink.count().dropped(), 1);
}

#[test]
fn what_was_delivered_before_an_error_is_not_sent_again() {
    let server = Server::new(|request| Reply::Status(if request.text() == "c" { 503 } else { 200 }));
    let (channel, mut run) = start(&["a", "b", "c", "d"]);
    let mut sink = server.sink();
    assert_eq!(run.step(&mut sink, 10).unwrap(), 2);
    assert!(retry(run.step(&mut sink, 10)).contains("answered 503"), "told without another request");
    assert_eq!(server.bodies(), ["a", "b", "c"]);
    assert_eq!(channel.waiting(), 2);
    retry(run.step(&mut sink, 10));
    assert_eq!(server.bodies(), ["c"]);
    assert_eq!((sink.count().requests(), sink.count().delivered()), (4, 2));
}

#[test]
fn a_commit_that_fails_repeats_the_batch_and_counts_it_once() {
    let server = Server::always(200);
    let (channel, mut run) = start(&["a", "b"]);
    let mut sink = server.sink();
    channel.fail_commits(1);
    assert!(run.step(&mut sink, 10).is_err());
    assert_eq!(run.step(&mut sink, 10).unwrap(), 2);
    assert_eq!(server.bodies(), ["a", "b", "a", "b"]);
    assert_eq!((sink.count().requests(), sink.count().delivered()), (4, 2));
}

#[test]
fn a_batch_that_is_refused_is_parted_until_the_culprit_is_found() {
    for format in [HttpFormat::JsonArray, HttpFormat::JsonLines] {
        let server = Server::new(|request| Reply::Status(if request.text().contains("bad") { 400 } else { 200 }));
        let bodies: Vec<String> = (0..100).map(|n| if n == 37 { "bad".to_owned() } else { n.to_string() }).collect();
        let (channel, mut run) = start(&bodies.iter().map(String::as_str).collect::<Vec<_>>());
        let mut sink = server.sink().format(format);
        let mut delivered = 0;
        let reason = loop {
            match run.step(&mut sink, 100) {
                Ok(count) => delivered += count,
                Err(SinkError::Permanent(reason)) => break reason.to_string(),
                Err(error) => panic!("{error}"),
            }
        };
        assert!(reason.contains("answered 400") && delivered == 37, "{reason} {delivered}");
        channel.take(1, crate::Wait::NONE).unwrap().commit().unwrap();
        assert_eq!(run.step(&mut sink, 100).unwrap(), 62);
        assert!(sink.count().requests() < 30 && sink.count().delivered() == 99, "{:?}", sink.count());
    }
}

#[test]
fn an_event_that_json_cannot_hold_is_permanent_and_those_before_it_are_delivered() {
    let server = Server::always(200);
    let channel = TestChannel::new([Event::new("a"), Event::new(vec![0xff]), Event::new("c")]);
    let mut run = channel.run("http");
    let mut sink = server.sink().format(HttpFormat::JsonLines);
    assert_eq!(run.step(&mut sink, 10).unwrap(), 1);
    assert!(permanent(run.step(&mut sink, 10)).contains("is not UTF-8 from byte 0 on"));
    assert_eq!(sink.count().requests(), 1);
    sink.close().unwrap();
    // As a body of its own it is as good as any.
    assert_eq!(run.step(&mut server.sink(), 10).unwrap(), 2);
    assert_eq!(server.received.lock().last().unwrap().body, b"c");
}

#[test]
fn no_answer_is_an_error_that_can_pass() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (channel, mut run) = start(&["x"]);
    // A name that is too long to be asked for.
    for unreachable in [closed.to_string(), "a".repeat(64)] {
        let reason = retry(run.step(&mut Http::new(format!("http://{unreachable}/")), 1));
        assert!(reason.contains(&format!("cannot post to http://{unreachable}/: ")), "{reason}");
    }

    let replies: [fn() -> Reply; 6] = [
        || Reply::Hangup,
        || Reply::Silence,
        || Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        || Reply::Bytes(b"rubbish\r\n\r\n".to_vec()),
        || Reply::Bytes([&b"HTTP/1.1 200 OK\r\nlong: "[..], &vec![b'x'; 200_000]].concat()),
        || Reply::Bytes(b"HTTP/1.1 99999 OK\r\n\r\n".to_vec()),
    ];
    for reply in replies {
        let server = Server::new(move |_| reply());
        let mut sink =
            server.sink().request_timeout(Duration::from_millis(100)).connect_timeout(Duration::from_millis(100));
        let reason = retry(run.step(&mut sink, 1));
        let said = reason.contains("no answer from http://") && reason.contains("which may have the events already");
        assert!(said && !reason.contains("secret"), "{reason}");
        assert_eq!((channel.waiting(), sink.count().delivered()), (1, 0));
    }

    // The time for connecting is not one for waiting.
    let server = Server::new(|_| Reply::Silence);
    let mut sink = server.sink().request_timeout(Duration::from_millis(100)).connect_timeout(Duration::from_secs(10));
    let reason = retry(run.step(&mut sink, 1));
    assert!(reason.contains("timeout: ") && !reason.contains("global"), "{reason}");

    // Limits that no clock reaches are none.
    let server = Server::new(|_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let (channel, mut run) = start(&["a"]);
    let mut patient = server.sink().request_timeout(Duration::MAX).connect_timeout(Duration::MAX);
    assert_eq!((run.step(&mut patient, 1).unwrap(), channel.waiting()), (1, 0));

    // A body that is too long, or does not end: the status is known, and the connection is not used again.
    let long = [&b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"[..], &vec![b'x'; 1_000_000]].concat();
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec();
    for answer in [long, cut] {
        let server = Server::new(move |_| Reply::Bytes(answer.clone()));
        let (channel, mut run) = start(&["a", "b"]);
        assert_eq!(run.step(&mut server.sink(), 2).unwrap(), 2);
        assert_eq!((channel.waiting(), server.received.lock()[1].connection), (0, 1));
    }
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_not_an_error() {
    let server = Server::new(|_| Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let (channel, mut run) = start(&["a", "b", "c"]);
    let mut sink = server.sink();
    for _ in 0..3 {
        // An error is possible when the end of the connection is still on its way; then it comes again.
        while run.step(&mut sink, 1).is_err() {}
    }
    assert_eq!((channel.waiting(), sink.count().delivered()), (0, 3));
}

#[test]
fn settings_that_make_no_sense_are_fatal_and_say_what_to_do() {
    for (sink, reason) in [
        (Http::new(""), "is not a URL; it must look like http://host:port/path"),
        (Http::new("collector:8080"), "is neither http nor https"),
        (Http::new("/path"), "names no host"),
        (Http::new("ftp://host/"), "is neither http nor https"),
        (Http::new("http://user:pass@host/"), "holds credentials, which belong into a header"),
        (Http::new("http://host/").header("a b", "c"), "\"a b\" is not a header of HTTP"),
        (Http::new("http://host/").header("secret", "c\n"), "the value of secret is not one of a header of HTTP"),
        (Http::new("http://host/").content_type("\u{0}"), "the value of content-type is not"),
        (Http::new("http://host/").request_timeout(Duration::ZERO), "request_timeout is zero"),
        (Http::new("http://host/").connect_timeout(Duration::ZERO), "connect_timeout is zero"),
    ] {
        let mut sink = sink;
        assert!(sink.check().unwrap_err().contains(reason));
        let (_, mut run) = start(&["x"]);
        match run.step(&mut sink, 1) {
            Err(SinkError::Fatal(error)) => assert!(error.to_string().contains(reason), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    let shown = format!("{:?}", Http::new("http://host/path?token=secret").header("authorization", "secret"));
    assert!(shown.contains("http://host/path") && !shown.contains("secret"), "{shown}");
}

#[test]
fn an_answer_can_ask_for_a_pause_which_a_stop_ends() {
    let server = Server::always(202);
    let (channel, mut run) = start(&["a", "b", "c"]);
    let mut sink = server.sink().on_status(202, StatusAction::AcceptThenPause);
    assert_eq!(run.step(&mut sink, 10).unwrap(), 1, "nothing more is sent");
    assert_eq!((channel.waiting(), server.bodies().len()), (2, 1));
    assert!(sink.is_pause_due);
    run.context.shutdown().request();
    assert_eq!(run.step(&mut sink, 10).unwrap(), 1);
    assert_eq!((sink.pauses, server.bodies().len()), (1, 1));
}
