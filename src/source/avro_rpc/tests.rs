use std::io::{Read, Write};
use std::net::{Shutdown as Direction, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::channel::{Channel, MemoryChannel};
use crate::clock::{Clock, SystemClock};
use crate::limits;
use crate::rpc::RpcClient;
use crate::rpc::avro::frame::{FrameReader, write_frame};
use crate::rpc::avro::{client, events, protocol as text};
use crate::source::RpcAck;
use crate::source::net::ListenerStats;
use crate::{Event, Shutdown, SourceStats, Wait};

mod long;
mod stalled;
mod stopped;

/// A source that runs in a thread, before a channel.
struct Running {
    channel: MemoryChannel,
    context: SourceContext,
    shutdown: Shutdown,
    handle: ListenerHandle,
    thread: JoinHandle<()>,
}

fn start(source: AvroRpc) -> Running {
    start_before(source, MemoryChannel::new("events"))
}

fn start_before(mut source: AvroRpc, channel: MemoryChannel) -> Running {
    let shutdown = Shutdown::new();
    let context = SourceContext::new("avro", Arc::new(channel.clone()), shutdown.clone());
    source.open(&context).unwrap();
    let (handle, inner) = (source.handle(), context.clone());
    let thread = thread::spawn(move || source.run(&inner).unwrap());
    Running { channel, context, shutdown, handle, thread }
}

fn local() -> AvroRpc {
    AvroRpc::bind("127.0.0.1:0")
}

impl Running {
    fn connect(&self) -> Raw {
        let stream = TcpStream::connect(self.handle.local_addr().unwrap()).unwrap();
        // Only so that a test that fails does not hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Raw::new(stream)
    }

    fn client(&self) -> RpcClient {
        RpcClient::connect(self.handle.local_addr().unwrap().to_string()).unwrap()
    }

    fn bodies(&self) -> Vec<String> {
        let taken = self.channel.take(1_000_000, Wait::NONE).unwrap();
        let bodies = taken.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()).collect();
        taken.commit().unwrap();
        bodies
    }

    fn stats(&self) -> SourceStats {
        self.context.counters().snapshot()
    }

    /// Waits for something that another thread does.
    fn until(&self, done: impl Fn(&SourceStats) -> bool) {
        let clock = SystemClock::new();
        while !done(&self.stats()) {
            // Only so that a test that fails does not hang.
            let is_late = clock.monotonic() > Duration::from_secs(60);
            assert!(!is_late, "{:?} {:?}", self.stats(), self.handle.stats());
            thread::yield_now();
        }
    }

    /// Stops the source and checks that nothing is left behind.
    fn stop(self) -> (SourceStats, ListenerStats) {
        self.shutdown.request();
        self.thread.join().unwrap();
        let (stats, listener) = (self.context.counters().snapshot(), self.handle.stats());
        assert_eq!(stats.open_connections, 0);
        assert_eq!((listener.bytes_in_flight, listener.panicked_connections), (0, 0));
        assert!(listener.bytes_in_flight_peak <= listener.bytes_in_flight_max);
        (stats, listener)
    }
}

/// A client that sends whatever it likes.
struct Raw {
    stream: TcpStream,
    handshake: client::Handshake,
    serial: u32,
    frames: FrameReader,
}

impl Raw {
    fn new(stream: TcpStream) -> Self {
        Self { stream, handshake: client::Handshake::default(), serial: 0, frames: FrameReader::new(1 << 20) }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// A request with these parameters.
    fn request(&mut self, name: &str, parameters: &[u8]) -> Vec<u8> {
        self.serial += 1;
        let mut out = Vec::new();
        write_frame(self.serial, &mut out, |out| {
            self.handshake.put_request(out, name);
            out.extend_from_slice(parameters);
        });
        out
    }

    fn batch(&mut self, bodies: &[&str]) -> Vec<u8> {
        let batch: Vec<Event> = bodies.iter().map(|body| Event::new((*body).to_owned())).collect();
        let mut parameters = Vec::new();
        events::put_events(&mut parameters, &batch);
        self.request("appendBatch", &parameters)
    }

    /// The next answer: its serial and what it says; `None` at the end.
    fn answer(&mut self) -> Option<(u32, client::Answer)> {
        let mut byte = [0];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return None,
                Err(error) => panic!("{error}"),
                Ok(_) => {}
            }
            if let Some(serial) = self.frames.read(&mut &byte[..]).unwrap() {
                return Some((serial, self.handshake.read(self.frames.message()).unwrap()));
            }
        }
    }

    fn status(&mut self) -> client::Answer {
        self.answer().unwrap().1
    }

    fn is_closed(&mut self) -> bool {
        // A reset is an end, too.
        self.stream.read(&mut [0]).unwrap_or(0) == 0
    }
}

const OK: client::Answer = client::Answer::Status(crate::rpc::avro::Status::Ok);
const FAILED: client::Answer = client::Answer::Status(crate::rpc::avro::Status::Failed);

fn error(answer: client::Answer) -> String {
    let client::Answer::Error(reason) = answer else { panic!("{answer:?}") };
    reason
}

/// What Flume's own client sends first, as it was recorded: `append` of `Hello`, in two buffers.
const FIRST: &[u8] = b"\0\0\0\x01\0\0\0\x02\
    \0\0\0\x2b\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\
    \x00\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\x02\x00\x00\x0cappend\
    \0\0\0\x07\x00\x0aHello";
/// And then: `appendBatch` of `Hello` with a header.
const SECOND: &[u8] = b"\0\0\0\x02\0\0\0\x02\0\0\0\x0d\x00\x16appendBatch\0\0\0\x0e\x02\x02\x02k\x02v\x00\x0aHello\x00";

#[test]
fn flumes_own_requests_get_flumes_own_answers() {
    for size in [1, 2, 7, 1000] {
        let running = start(local());
        let mut raw = running.connect();
        for piece in [FIRST, SECOND].concat().chunks(size) {
            raw.send(piece);
        }
        let expected = b"\0\0\0\x01\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0\x03\0\0\0";
        let mut answers = vec![0; expected.len()];
        raw.stream.read_exact(&mut answers).unwrap();
        assert_eq!(answers, expected);
        let taken = running.channel.take(10, Wait::NONE).unwrap();
        let hello = Event::new("Hello");
        assert_eq!(&taken[..], [hello.clone(), hello.with_header("k", "v").unwrap()]);
        drop(taken);
        let (stats, _) = running.stop();
        assert_eq!((stats.received_events, stats.accepted_events, stats.accepted_batches), (2, 2, 2));
    }
}

#[test]
fn an_unknown_hash_is_asked_for_its_protocol_and_then_served() {
    let running = start(local());
    let mut raw = running.connect();
    let with = |text: Option<&str>| {
        let mut out = Vec::new();
        write_frame(5, &mut out, |out| {
            out.extend([7; 16]);
            match text {
                None => out.push(0),
                Some(text) => {
                    crate::rpc::avro::data::put_long(out, 1);
                    crate::rpc::avro::data::put_bytes(out, text.as_bytes());
                }
            }
            out.extend(text::HASH);
            out.extend(b"\x00\x00\x0cappend\x00\x02x");
        });
        out
    };
    raw.send(with(None));
    assert_eq!(raw.answer().unwrap(), (5, client::Answer::SendAgain));
    assert_eq!(running.bodies(), [] as [&str; 0], "not executed");
    raw.send(with(Some(text::TEXT)));
    assert_eq!(raw.answer().unwrap(), (5, OK));
    assert_eq!(running.bodies(), ["x"]);
    // Another protocol is told what is different, and the end.
    let mut other = running.connect();
    other.send(with(Some(&text::TEXT.replace("FAILED", "FAILURE"))));
    assert!(error(other.status()).contains("Status is not an enum"));
    assert!(other.is_closed());
    running.stop();
}

#[test]
fn bytes_that_make_no_sense_end_their_connection_and_no_other() {
    let running = start(local().frame_bytes_max(10_000));
    let mut good = running.connect();
    let request = good.batch(&["a"]);
    good.send(request);
    assert_eq!(good.status(), OK);
    let bad: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\x01\0\0\0\0",
        b"\0\0\0\x01\xff\xff\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in bad {
        assert!(running.connect().send(bytes).is_closed(), "{bytes:?}");
    }
    // A frame over the limit is answered, since its serial is known.
    for length in [b"\x7f\xff\xff\xff", b"\0\0\x27\x11"] {
        let mut long = running.connect();
        long.send([&b"\0\0\0\x07\0\0\0\x01"[..], length].concat());
        let (serial, answer) = long.answer().unwrap();
        assert_eq!(serial, 7);
        assert!(error(answer).contains("bytes is over the limit of 10000"));
        assert!(long.is_closed());
    }
    // A handshake that is none is answered, as far as there is something to answer to.
    let mut short = running.connect();
    short.send(b"\0\0\0\x09\0\0\0\x01\0\0\0\x02ab");
    let (serial, answer) = short.answer().unwrap();
    assert!(serial == 9 && error(answer).contains("malformed request: ends too early"));
    assert!(short.is_closed());
    let request = good.batch(&["b"]);
    good.send(request);
    assert_eq!(good.status(), OK);
    assert_eq!(running.bodies(), ["a", "b"]);
    let (stats, _) = running.stop();
    assert_eq!((stats.event_read_fail, stats.dropped_events), (7, 0));
}

#[test]
fn requests_that_cannot_be_served_are_answered_with_the_reason_and_the_connection_goes_on() {
    let channel = MemoryChannel::builder("small").transaction_events_max(5).build().unwrap();
    let running = start_before(local().batch_events_max(10).frame_bytes_max(10_000), channel);
    let mut raw = running.connect();
    let mut ask = |name: &str, parameters: &[u8]| {
        let request = raw.request(name, parameters);
        raw.send(request);
        error(raw.status())
    };
    assert!(ask("remove", b"").contains("there is no message \"remove\""));
    assert!(ask("append", b"\x00\x0aHell").contains("malformed events: ends too early"));
    assert!(ask("append", b"\x00\x00\x00").contains("1 bytes are left over"));
    let bomb = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert!(ask("appendBatch", bomb).contains("an array of events is out of its range"));
    let eleven = [&b"\x16"[..], &[0; 22], b"\0"].concat();
    assert!(ask("appendBatch", &eleven).contains("a request of 11 events is over the limit of 10"));
    let six = [&b"\x0c"[..], &[0; 12], b"\0"].concat();
    assert!(ask("appendBatch", &six).contains("over the limit of 5 of channel small"));
    // Headers take more in memory than on the wire.
    let headers = [&b"\xf0\x2e"[..], &[0; 6000], b"\0\0"].concat();
    assert!(ask("append", &headers).contains("over the limit of 10000"));
    assert!(ask("append", b"\x02\x02\xff\x00\x00\x00").contains("not UTF-8"));
    let request = raw.batch(&["good"]);
    raw.send(request);
    assert_eq!(raw.status(), OK);
    let request = raw.batch(&[]);
    raw.send(request);
    assert_eq!(raw.status(), OK, "nothing is easily accepted");
    assert_eq!(running.bodies(), ["good"]);
    let (stats, _) = running.stop();
    assert_eq!((stats.event_read_fail, stats.channel_write_fail, stats.accepted_events), (7, 1, 1));
}

#[test]
fn a_full_channel_is_answered_with_failed_until_there_is_room() {
    let channel = MemoryChannel::builder("full").capacity_events(2).put_wait(Wait::NONE).build().unwrap();
    let running = start_before(local(), channel);
    let mut raw = running.connect();
    for (batch, expected) in [(&["a", "b"][..], OK), (&["c"], FAILED), (&["c"], FAILED)] {
        let request = raw.batch(batch);
        raw.send(request);
        assert_eq!(raw.status(), expected, "{batch:?}");
    }
    assert_eq!(running.bodies(), ["a", "b"]);
    let request = raw.batch(&["c"]);
    raw.send(request);
    assert_eq!(raw.status(), OK);
    assert_eq!(running.bodies(), ["c"]);
    let (stats, _) = running.stop();
    assert_eq!((stats.channel_write_fail, stats.accepted_events, stats.dropped_events), (2, 3, 0));
}

/// Goal: a stop calls back puts that wait for room. Method: a channel that waits for ever, and a client that waits for its
/// answer, or has it already.
#[test]
fn a_put_that_waits_for_room_does_not_hold_up_a_stop() {
    for ack in [RpcAck::AfterCommit, RpcAck::OnReceipt] {
        let channel = MemoryChannel::builder("full").capacity_events(1).put_wait(Wait::FOREVER).build().unwrap();
        let running = start_before(local().ack(ack), channel);
        let mut raw = running.connect();
        let request = raw.batch(&["a"]);
        raw.send(request);
        assert_eq!(raw.status(), OK);
        running.until(|_| running.channel.stats().put_success_events == 1);
        let request = raw.batch(&["b"]);
        raw.send(request);
        running.until(|_| running.channel.stats().put_attempt_events == 2);
        let (stats, _) = running.stop();
        let (answer, dropped) = if ack == RpcAck::AfterCommit { (FAILED, 0) } else { (OK, 1) };
        assert_eq!((raw.status(), stats.dropped_events, stats.accepted_events), (answer, dropped, 1));
    }
}

#[test]
fn requests_sent_without_waiting_are_answered_in_their_order() {
    let running = start(local());
    let mut raw = running.connect();
    let first = raw.batch(&["0"]);
    raw.send(first);
    assert_eq!(raw.answer().unwrap(), (1, OK));
    let requests: Vec<Vec<u8>> = (1..500).map(|number| raw.batch(&[&number.to_string(), "x"])).collect();
    raw.send(requests.concat());
    for serial in 2..=500 {
        assert_eq!(raw.answer().unwrap(), (serial, OK));
    }
    let bodies = running.bodies();
    let numbers: Vec<usize> = bodies.iter().filter_map(|body| body.parse().ok()).collect();
    assert_eq!((numbers, bodies.len()), ((0..500).collect(), 999));
    let (stats, _) = running.stop();
    assert_eq!((stats.accepted_batches, stats.received_batches), (500, 500), "a transaction each");
}

#[test]
fn clients_that_die_in_a_request_harm_nobody() {
    let running = start(local());
    for length in 1..FIRST.len() {
        let mut raw = running.connect();
        raw.send(&FIRST[..length]);
        raw.stream.shutdown(Direction::Both).unwrap();
        // One after the other, so that a failure says where the request was cut.
        running.until(|stats| stats.event_read_fail == length as u64);
    }
    running.until(|stats| stats.open_connections == 0);
    running.client().append(&Event::new("alive")).unwrap();
    assert_eq!(running.bodies(), ["alive"]);
    running.stop();
}

#[test]
fn sixteen_clients_at_once_get_every_event_through_once() {
    let running = start(local());
    thread::scope(|scope| {
        for number in 0..16 {
            let mut client = running.client();
            scope.spawn(move || {
                for round in 0..20 {
                    let batch: Vec<Event> =
                        (0..100).map(|event| Event::new(format!("{number} {}", round * 100 + event))).collect();
                    client.append_batch(&batch).unwrap();
                }
            });
        }
    });
    let mut next = [0; 16];
    for body in running.bodies() {
        let (client, event) = body.split_once(' ').unwrap();
        let next = &mut next[client.parse::<usize>().unwrap()];
        assert_eq!(event.parse(), Ok(*next), "in the order of the client");
        *next += 1;
    }
    assert_eq!(next, [2000; 16]);
    let (stats, listener) = running.stop();
    assert_eq!((stats.accepted_events, listener.accepted_connections), (32_000, 16));
}

#[test]
fn the_largest_requests_of_many_clients_pass_within_little_memory() {
    // Room for one of them, and for what every connection has.
    let (clients, frame) = (8, 1 << 20);
    let max = clients * limits::RPC_CONNECTION_BYTES + 2 * frame;
    let source = local().connections_max(clients).frame_bytes_max(frame).bytes_in_flight_max(max);
    let running = start(source);
    thread::scope(|scope| {
        for _ in 0..clients {
            let mut client = running.client();
            scope.spawn(move || {
                for _ in 0..5 {
                    client.append(&Event::new(vec![b'x'; frame - 1000])).unwrap();
                }
            });
        }
    });
    assert_eq!(running.bodies().len(), 40);
    let (_, listener) = running.stop();
    assert!(listener.bytes_in_flight_peak > frame as u64);
}

#[test]
fn events_are_acknowledged_on_receipt_if_so_chosen_and_losses_are_counted() {
    let running = start(local().ack(RpcAck::OnReceipt));
    let mut raw = running.connect();
    let request = raw.batch(&["kept"]);
    raw.send(request);
    assert_eq!(raw.status(), OK);
    running.until(|stats| stats.accepted_events == 1);
    running.channel.close().unwrap();
    let request = raw.batch(&["lost", "too"]);
    raw.send(request);
    assert_eq!(raw.status(), OK);
    running.until(|stats| stats.dropped_events == 2);
    running.stop();
}

#[test]
fn clients_that_are_silent_are_closed_in_their_time() {
    let running = start(local().idle_timeout(Duration::from_millis(20)).frame_timeout(Duration::from_secs(3600)));
    let (mut idle, mut busy) = (running.connect(), running.connect());
    busy.send(&FIRST[..10]);
    assert!(idle.is_closed());
    busy.send(&FIRST[10..]);
    assert_eq!(busy.answer(), Some((1, OK)));
    assert!(busy.is_closed());
    running.stop();
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(3600));
    for source in [local().frame_timeout(short), local().frame_timeout(long).silence_timeout(short)] {
        let running = start(source);
        let mut half = running.connect();
        assert!(half.send(&FIRST[..20]).is_closed());
        let (stats, listener) = running.stop();
        assert_eq!((stats.event_read_fail, listener.timed_out_connections), (1, 1));
    }
}

#[test]
fn a_stop_answers_what_was_received_and_ends_what_was_not() {
    let running = start(local());
    let (mut whole, mut half, _idle) = (running.connect(), running.connect(), running.connect());
    whole.send(FIRST);
    assert_eq!(whole.answer(), Some((1, OK)));
    half.send(&FIRST[..20]);
    running.until(|stats| stats.open_connections == 3);
    running.shutdown.request();
    assert!(half.is_closed() && whole.is_closed());
    let (stats, _) = running.stop();
    assert_eq!(stats.event_read_fail, 0, "it is the source that ended");
}

#[test]
fn addresses_that_the_rules_deny_are_not_served() {
    let running = start(local().ip_filter("deny:ip:127.*".parse().unwrap()));
    assert!(running.connect().is_closed());
    let (_, listener) = running.stop();
    assert_eq!((listener.refused_connections, listener.accepted_connections), (1, 0));
    let running = start(local().ip_filter("allow:name:localhost,deny:ip:*".parse().unwrap()));
    running.client().append(&Event::new("here")).unwrap();
    running.stop();
    // A rule that takes a name to tell.
    for (rules, refused) in [("deny:name:?*", 1), ("allow:name:?*,deny:ip:*", 0)] {
        let running = start(local().ip_filter(rules.parse().unwrap()));
        let mut client = running.connect();
        if refused > 0 {
            assert!(client.is_closed());
        } else {
            client.send(FIRST);
            assert_eq!(client.answer(), Some((1, OK)));
        }
        let (_, listener) = running.stop();
        assert_eq!((listener.refused_connections, listener.accepted_connections), (refused, 1 - refused), "{rules}");
    }
}

#[test]
fn compression_on_one_side_only_is_an_error() {
    let running = start(local().deflate(true));
    let mut plain = running.client();
    assert!(plain.append(&Event::new("plain")).unwrap_err().is_outcome_unknown());
    let address = running.handle.local_addr().unwrap().to_string();
    let mut client = RpcClient::builder([address]).deflate(9).build().unwrap();
    client.append(&Event::new("compressed")).unwrap();
    assert_eq!(running.bodies(), ["compressed"]);
    running.stop();
    let running = start(local());
    let address = running.handle.local_addr().unwrap().to_string();
    let mut client = RpcClient::builder([address]).deflate(0).build().unwrap();
    assert!(client.append(&Event::new("compressed")).is_err());
    assert!(running.bodies().is_empty());
    running.stop();
}

#[test]
fn options_that_cannot_work_are_refused_with_what_to_do() {
    let context = SourceContext::new("avro", Arc::new(MemoryChannel::new("events")), Shutdown::new());
    for (source, expected) in [
        (local().frame_bytes_max(0), "frame_bytes_max is 0"),
        (local().batch_events_max(0), "batch_events_max is 0"),
        (local().idle_timeout(Duration::ZERO), "idle_timeout is zero"),
        (local().silence_timeout(Duration::ZERO), "silence_timeout is zero"),
        (local().frame_bytes_max(1 << 30), "the largest request, which needs 2147483648, need"),
        (local().bytes_in_flight_max(1 << 20), "raise it to that, or lower connections_max"),
        (
            local().frame_bytes_max(usize::MAX).bytes_in_flight_max(usize::MAX),
            "is 18446744073709551615; lower connections_max",
        ),
        (local().connection_stack_bytes(usize::MAX), "it must be at most 1073741824"),
    ] {
        let mut source = source;
        match source.open(&context) {
            Err(SourceError::Fatal(error)) => assert!(error.to_string().contains(expected), "{error}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
