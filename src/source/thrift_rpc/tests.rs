use std::io::{Read, Write};
use std::net::{Shutdown as Direction, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::channel::{Channel, MemoryChannel};
use crate::clock::{Clock, SystemClock};
use crate::rpc::thrift::events;
use crate::rpc::thrift::frame::{FrameReader, write_frame};
use crate::rpc::thrift::message::{self, Answer, Head, Kind};
use crate::rpc::{RpcClient, RpcError};
use crate::source::net::ListenerStats;
use crate::source::{AvroRpc, RpcAck};
use crate::testing::Random;
use crate::{Event, Shutdown, SourceStats, Wait};

const PROTOCOLS: [ThriftProtocol; 2] = [ThriftProtocol::Compact, ThriftProtocol::Binary];

/// A source that runs in a thread, before a channel.
struct Running {
    channel: MemoryChannel,
    context: SourceContext,
    protocol: ThriftProtocol,
    handle: ListenerHandle,
    thread: JoinHandle<()>,
}

fn start(protocol: ThriftProtocol, change: impl FnOnce(ThriftRpc) -> ThriftRpc) -> Running {
    start_before(MemoryChannel::new("events"), protocol, change)
}

fn start_before(
    channel: MemoryChannel,
    protocol: ThriftProtocol,
    change: impl FnOnce(ThriftRpc) -> ThriftRpc,
) -> Running {
    let mut source = change(ThriftRpc::bind("127.0.0.1:0").protocol(protocol));
    let context = SourceContext::new("thrift", Arc::new(channel.clone()), Shutdown::new());
    source.open(&context).unwrap();
    let (handle, inner) = (source.handle(), context.clone());
    let thread = thread::spawn(move || source.run(&inner).unwrap());
    Running { channel, context, protocol, handle, thread }
}

impl Running {
    fn connect(&self) -> Raw {
        let stream = TcpStream::connect(self.handle.local_addr().unwrap()).unwrap();
        // Only so that a test that fails does not hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Raw { stream, protocol: self.protocol, number: 0, frames: FrameReader::new(1 << 20) }
    }

    fn client(&self) -> RpcClient {
        let address = self.handle.local_addr().unwrap().to_string();
        RpcClient::builder([address]).thrift(self.protocol).build().unwrap()
    }

    fn bodies(&self) -> Vec<String> {
        let taken = self.channel.take(1_000_000, Wait::NONE).unwrap();
        let bodies = taken.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()).collect();
        taken.commit().unwrap();
        bodies
    }

    fn until(&self, done: impl Fn(&SourceStats) -> bool) {
        let clock = SystemClock::new();
        while !done(&self.context.counters().snapshot()) {
            // Only so that a test that fails does not hang.
            assert!(clock.monotonic() < Duration::from_secs(60), "{:?}", self.context.counters().snapshot());
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn stop(self) -> (SourceStats, ListenerStats) {
        self.context.shutdown().request();
        self.thread.join().unwrap();
        let (stats, listener) = (self.context.counters().snapshot(), self.handle.stats());
        assert_eq!((stats.open_connections, listener.bytes_in_flight, listener.panicked_connections), (0, 0, 0));
        (stats, listener)
    }
}

/// A client that sends whatever it likes.
struct Raw {
    stream: TcpStream,
    protocol: ThriftProtocol,
    number: i32,
    frames: FrameReader,
}

impl Raw {
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    fn head<'n>(&mut self, name: &'n str) -> Head<'n> {
        self.number += 1;
        Head { kind: Kind::Call, name, number: self.number }
    }

    /// A call with these arguments, as they are.
    fn call(&mut self, name: &str, arguments: &[u8]) -> Vec<u8> {
        let head = self.head(name);
        let mut out = Vec::new();
        write_frame(&mut out, |out| message::put_head(out, self.protocol, head).raw(arguments));
        out
    }

    fn batch(&mut self, bodies: &[&str]) -> Vec<u8> {
        let batch: Vec<Event> = bodies.iter().map(|body| Event::new((*body).to_owned())).collect();
        let head = self.head("appendBatch");
        let mut out = Vec::new();
        write_frame(&mut out, |out| events::put_many(&mut message::put_head(out, self.protocol, head), &batch));
        out
    }

    /// The answer to call `number`; `None` at the end.
    fn answer_to(&mut self, name: &str, number: i32) -> Option<Answer> {
        let mut byte = [0];
        loop {
            if self.stream.read(&mut byte).unwrap() == 0 {
                return None;
            }
            if self.frames.read(&mut &byte[..]).unwrap() {
                let call = Head { kind: Kind::Call, name, number };
                return Some(message::read_answer(self.frames.message(), self.protocol, call).unwrap());
            }
        }
    }

    fn answer(&mut self, name: &str) -> Answer {
        self.answer_to(name, self.number).unwrap()
    }

    fn is_closed(&mut self) -> bool {
        // A reset is an end, too.
        self.stream.read(&mut [0]).unwrap_or(0) == 0
    }
}

const OK: Answer = Answer::Status(crate::rpc::thrift::Status::Ok);
const FAILED: Answer = Answer::Status(crate::rpc::thrift::Status::Failed);

fn error(answer: Answer) -> String {
    let Answer::Error(reason) = answer else { panic!("{answer:?}") };
    reason
}

#[test]
fn calls_as_java_writes_them_get_the_answers_that_java_writes() {
    for (protocol, call, answer) in [
        (
            ThriftProtocol::Compact,
            &b"\0\0\0\x1b\x82\x21\x01\x06append\x1c\x1b\x01\x88\x01k\x01v\x18\x05Hello\0\0"[..],
            &b"\0\0\0\x0e\x82\x41\x01\x06append\x05\0\0\0"[..],
        ),
        (
            ThriftProtocol::Binary,
            b"\0\0\0\x36\x80\x01\0\x01\0\0\0\x06append\0\0\0\x01\x0c\0\x01\x0d\0\x01\x0b\x0b\0\0\0\x01\0\0\0\x01k\0\0\0\x01v\x0b\0\x02\0\0\0\x05Hello\0\0",
            b"\0\0\0\x1a\x80\x01\0\x02\0\0\0\x06append\0\0\0\x01\x08\0\0\0\0\0\0\0",
        ),
    ] {
        for size in [1, 3, 1000] {
            let running = start(protocol, |source| source);
            let mut raw = running.connect();
            for piece in call.chunks(size) {
                raw.send(piece);
            }
            let mut received = vec![0; answer.len()];
            raw.stream.read_exact(&mut received).unwrap();
            assert_eq!(received, answer);
            let taken = running.channel.take(10, Wait::NONE).unwrap();
            assert_eq!(taken[..], [Event::new("Hello").with_header("k", "v").unwrap()]);
            drop(taken);
            let (stats, _) = running.stop();
            assert_eq!((stats.received_events, stats.accepted_events, stats.accepted_batches), (1, 1, 1));
        }
    }
}

#[test]
fn many_clients_get_every_event_through_once() {
    for protocol in PROTOCOLS {
        let running = start(protocol, |source| source);
        thread::scope(|scope| {
            for thread in 0..8 {
                let running = &running;
                scope.spawn(move || {
                    let mut client = running.client();
                    for number in 0..20 {
                        let event = |part: usize| {
                            let body = format!("{thread} {}", number * 30 + part);
                            Event::new(body).with_header("thread", &thread.to_string()).unwrap()
                        };
                        client.append_batch(&(0..29).map(event).collect::<Vec<_>>()).unwrap();
                        client.append(&event(29)).unwrap();
                    }
                });
            }
        });
        let taken = running.channel.take(10_000, Wait::NONE).unwrap();
        for thread in 0..8 {
            let of_thread = taken.iter().filter(|event| event.headers().get("thread") == Some(&thread.to_string()));
            let bodies: Vec<_> = of_thread.map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect();
            assert_eq!(bodies, (0..600).map(|number| format!("{thread} {number}")).collect::<Vec<_>>());
        }
        taken.commit().unwrap();
        assert_eq!(running.stop().0.accepted_events, 4800);
    }
}

#[test]
fn calls_that_cannot_be_served_are_answered_with_the_reason_and_the_connection_goes_on() {
    let channel = MemoryChannel::builder("small").transaction_events_max(5).build().unwrap();
    let change = |source: ThriftRpc| source.batch_events_max(10).frame_bytes_max(10_000);
    let running = start_before(channel, ThriftProtocol::Compact, change);
    let mut raw = running.connect();
    let mut ask = |name: &str, arguments: &[u8]| {
        let call = raw.call(name, arguments);
        raw.send(call);
        error(raw.answer(name))
    };
    assert!(ask("remove", b"rubbish").contains("there is no method \"remove\""));
    assert!(ask("append", b"\x1c\x1b\x00\x18\x05Hell\0\0").contains("malformed events: ends too early"));
    assert!(ask("append", b"\x1c\x1b\x00\x00\x00").contains("the body of an event is missing"));
    assert!(ask("append", b"\x1c\x1b\x00\x18\x00\0\0\0").contains("1 bytes are left over"));
    assert!(ask("appendBatch", b"\x19\xfc\xff\xff\xff\xff\x07").contains("the value of a field is out of its range"));
    let empty = b"\x1b\x00\x18\x00\x00";
    let eleven = [&b"\x19\xbc"[..], &empty.repeat(11), b"\0"].concat();
    assert!(ask("appendBatch", &eleven).contains("a request of 11 events is over the limit of 10"));
    let six = [&b"\x19\x6c"[..], &empty.repeat(6), b"\0"].concat();
    assert!(ask("appendBatch", &six).contains("over the limit of 5 of channel small"));
    let headers = [&b"\x1c\x1b\xb8\x17\x88"[..], &[0; 6000], b"\x18\x00\0\0"].concat();
    assert!(ask("append", &headers).contains("over the limit of 10000"), "more in memory than on the wire");
    assert!(ask("append", b"\x1c\x1b\x01\x88\x01\xff\x00\x18\x00\0\0").contains("not UTF-8"));
    let deep = [&b"\x1c\x1b\x00\x18\x00\x1c"[..], &b"\x1c".repeat(1000), &[0; 1003]].concat();
    assert!(ask("append", &deep).contains("nested too deep"));
    let head = Head { kind: Kind::Reply, name: "append", number: 70 };
    let mut reply = Vec::new();
    write_frame(&mut reply, |out| events::put_one(&mut message::put_head(out, raw.protocol, head), &Event::new("x")));
    raw.send(reply);
    assert!(error(raw.answer_to("append", 70).unwrap()).contains("not a call"));
    for bodies in [&["good"][..], &[]] {
        let call = raw.batch(bodies);
        raw.send(call);
        assert_eq!(raw.answer("appendBatch"), OK);
    }
    assert_eq!(running.bodies(), ["good"]);
    let (stats, _) = running.stop();
    assert_eq!((stats.event_read_fail, stats.channel_write_fail, stats.accepted_events), (10, 1, 1));
}

#[test]
fn bytes_that_make_no_sense_end_their_connection_and_no_other() {
    for protocol in PROTOCOLS {
        let running = start(protocol, |source| source.frame_bytes_max(10_000));
        let mut good = running.connect();
        let call = good.batch(&["a"]);
        good.send(call);
        assert_eq!(good.answer("appendBatch"), OK);
        let other = if protocol == PROTOCOLS[0] { PROTOCOLS[1] } else { PROTOCOLS[0] };
        let mut in_other = Vec::new();
        let head = Head { kind: Kind::Call, name: "append", number: 1 };
        write_frame(&mut in_other, |out| events::put_one(&mut message::put_head(out, other, head), &Event::new("x")));
        let bad: [&[u8]; 7] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\x27\x11",
            b"\0\0\0\x02\x82\x21",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &in_other,
        ];
        for bytes in bad {
            assert!(running.connect().send(bytes).is_closed(), "{bytes:?}");
        }
        let call = good.batch(&["b"]);
        good.send(call);
        assert_eq!(good.answer("appendBatch"), OK);
        assert_eq!(running.bodies(), ["a", "b"]);
        let (stats, _) = running.stop();
        assert_eq!((stats.event_read_fail, stats.dropped_events), (7, 0));
    }
}

/// Goal: no bytes harm the source, or what others send. Method: frames with calls that are changed at random, and a good one
/// after each.
#[test]
fn any_frame_is_answered_or_ends_its_connection() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for protocol in PROTOCOLS {
        let running = start(protocol, |source| source.frame_timeout(Duration::from_millis(500)));
        let mut client = running.client();
        for _ in 0..300 {
            let mut raw = running.connect();
            let mut call = raw.batch(&["one", "two"]);
            for _ in 0..=random.below(4) {
                let at = 4 + random.index(call.len() - 4);
                call[at] = random.next_u64().to_le_bytes()[0];
            }
            raw.send(call);
            raw.stream.shutdown(Direction::Write).unwrap();
            let mut answer = Vec::new();
            raw.stream.read_to_end(&mut answer).unwrap();
            client.append(&Event::new("good")).unwrap();
        }
        assert_eq!(running.bodies().iter().filter(|body| *body == "good").count(), 300);
        running.stop();
    }
}

#[test]
fn a_full_channel_is_answered_with_failed_until_there_is_room() {
    let channel = MemoryChannel::builder("full").capacity_events(2).put_wait(Wait::NONE).build().unwrap();
    let running = start_before(channel, ThriftProtocol::Compact, |source| source);
    let mut raw = running.connect();
    for (batch, expected) in [(&["a", "b"][..], OK), (&["c"], FAILED)] {
        let call = raw.batch(batch);
        raw.send(call);
        assert_eq!(raw.answer("appendBatch"), expected, "{batch:?}");
    }
    let refused = running.client().append(&Event::new("c")).unwrap_err();
    assert!(matches!(&refused, RpcError::Failed { status: "FAILED", .. }), "{refused}");
    assert_eq!(running.bodies(), ["a", "b"]);
    running.client().append(&Event::new("c")).unwrap();
    assert_eq!(running.bodies(), ["c"]);
    let (stats, _) = running.stop();
    assert_eq!((stats.channel_write_fail, stats.accepted_events, stats.dropped_events), (2, 3, 0));
}

#[test]
fn calls_sent_without_waiting_are_answered_in_their_order() {
    let running = start(ThriftProtocol::Binary, |source| source);
    let mut raw = running.connect();
    let calls: Vec<u8> = (0..200).flat_map(|number| raw.batch(&[&number.to_string()])).collect();
    raw.send(calls);
    for number in 1..=200 {
        assert_eq!(raw.answer_to("appendBatch", number), Some(OK));
    }
    assert_eq!(running.bodies(), (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
    running.stop();
}

#[test]
fn on_receipt_the_client_is_told_before_and_losses_are_counted() {
    let channel = MemoryChannel::builder("full").capacity_events(1).put_wait(Wait::NONE).build().unwrap();
    let running = start_before(channel, ThriftProtocol::Compact, |source| source.ack(RpcAck::OnReceipt));
    let mut client = running.client();
    (0..3).for_each(|_| client.append(&Event::new("x")).unwrap());
    running.until(|stats| stats.dropped_events == 2);
    assert_eq!(running.bodies().len(), 1);
    running.stop();
}

#[test]
fn a_client_tells_what_kind_of_server_it_has_met() {
    let reply = |answer: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 1000]).unwrap();
            assert!(read > 0);
            stream.write_all(answer).unwrap();
        });
        let mut client = RpcClient::builder([address]).thrift(ThriftProtocol::Compact).build().unwrap();
        let error = client.append(&Event::new("x")).unwrap_err();
        server.join().unwrap();
        error
    };
    for (answer, text, is_unknown) in [
        (&b"\0\0\0\x0e\x82\x41\x01\x06append\x05\0\x02\0"[..], "answered FAILED", false),
        (b"\0\0\0\x0e\x82\x41\x01\x06append\x05\0\x04\0", "answered ERROR", false),
        (b"\0\0\0\x0e\x82\x41\x01\x06append\x05\0\x06\0", "answered UNKNOWN", false),
        (b"\0\0\0\x11\x82\x61\x01\x06append\x18\x02no\x15\x02\0", "answered with an error: no", false),
        (b"\0\0\0\x0e\x82\x41\x02\x06append\x05\0\0\0", "an answer to another call: append number 2", true),
        (b"\0\0\0\x0e\x82\x41\x01\x06append\x05\0\0\0x", "more than one answer", true),
        (b"\0\0\0\x01x", "malformed answer", true),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "over the limit", true),
        (b"", "the server closed the connection", true),
    ] {
        let error = reply(answer);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.is_outcome_unknown(), is_unknown, "{error}");
    }
    let avro = RpcClient::builder(["h:1"]).thrift(ThriftProtocol::Compact).deflate(6).build().unwrap_err();
    assert!(avro.to_string().contains("there is no compression"));
}

#[test]
fn avro_and_thrift_do_not_take_each_other_for_their_own() {
    let running = start(ThriftProtocol::Compact, |source| source);
    let address = running.handle.local_addr().unwrap().to_string();
    assert!(RpcClient::connect(&address).unwrap().append(&Event::new("x")).is_err());
    assert!(running.bodies().is_empty());
    running.stop();

    let channel = MemoryChannel::new("events");
    let context = SourceContext::new("avro", Arc::new(channel.clone()), Shutdown::new());
    let mut source = AvroRpc::bind("127.0.0.1:0").frame_timeout(Duration::from_millis(100));
    source.open(&context).unwrap();
    let address = source.handle().local_addr().unwrap().to_string();
    thread::scope(|scope| {
        let running = scope.spawn(|| source.run(&context).unwrap());
        for protocol in PROTOCOLS {
            let mut client = RpcClient::builder([&address]).thrift(protocol).build().unwrap();
            assert!(client.append(&Event::new("x")).is_err());
        }
        context.shutdown().request();
        running.join().unwrap();
    });
    assert!(channel.take(1, Wait::NONE).unwrap().is_empty());
}
