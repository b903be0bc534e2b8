use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::event::Event;
use crate::sink::testing::TestChannel;
use crate::sink::{Http, SinkError};
use crate::tls::{KeyStore, TlsServer};

/// Reads a request with the body `body!` and answers it.
fn answer(stream: &mut StreamOwned<rustls::ServerConnection, TcpStream>, answers: &[&[u8]]) {
    let mut request = Vec::new();
    while !request.ends_with(b"body!") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..read]);
    }
    // Each is a record of its own, and all are one write to the socket.
    let mut records = Vec::new();
    for answer in answers {
        stream.conn.writer().write_all(answer).unwrap();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut records).unwrap();
        }
    }
    stream.sock.write_all(&records).unwrap();
}

#[test]
fn what_comes_behind_an_answer_is_not_the_answer_to_the_next_request() {
    let fixture = format!("{}/tests/fixtures/tls/server.p12", env!("CARGO_MANIFEST_DIR"));
    let server = TlsServer::builder(KeyStore::new(fixture).password("changeit")).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let accept = || {
            let connection = rustls::ServerConnection::new(Arc::clone(server.config())).unwrap();
            StreamOwned::new(connection, listener.accept().unwrap().0)
        };
        let long = [&b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n"[..], &[b'x'; 10_000]].concat();
        let mut first = accept();
        answer(&mut first, &[b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &long]);
        answer(&mut accept(), &[b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n"]);
    });
    let channel = TestChannel::new(["body!", "body!"].map(Event::new));
    let mut run = channel.run("http");
    let tls = TlsClient::builder().danger_trust_all_certificates().build().unwrap();
    let mut sink = Http::new(format!("https://{address}/")).tls(tls);
    assert_eq!(run.step(&mut sink, 1).unwrap(), 1);
    match run.step(&mut sink, 1) {
        Err(SinkError::Retry(error)) => assert!(error.to_string().contains("answered 503"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((channel.waiting(), sink.count().delivered()), (1, 1));
    thread.join().unwrap();
}
