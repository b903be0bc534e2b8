//! Requests that are longer than one read.

use bytes::Bytes;

use super::*;
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::source::SourcePort;
use crate::sync::Mutex;
use crate::ticket::PutTicket;

/// Before a channel; looks at the socket of the client, whenever there are events, for whether it has an answer.
struct Watched {
    channel: MemoryChannel,
    client: TcpStream,
    has_answer: Mutex<Vec<bool>>,
}

impl SourcePort for Watched {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        self.has_answer.lock().push(self.client.peek(&mut [0]).is_ok());
        SourcePort::submit(&self.channel, batch, wait)
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        SourcePort::position(&self.channel, owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        SourcePort::positions(&self.channel, prefix)
    }
}

/// Goal: a client has the answer to a request before the source has read all of the next one. Method: both are there before
/// the source begins to read, and the second is longer than one read.
#[test]
fn a_request_is_answered_before_the_next_one_is_whole() {
    let mut source = local();
    let shutdown = Shutdown::new();
    let open = SourceContext::new("avro", Arc::new(MemoryChannel::new("unused")), shutdown.clone());
    source.open(&open).unwrap();
    let stream = TcpStream::connect(source.handle().local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let watched = Watched {
        channel: MemoryChannel::new("events"),
        client: stream.try_clone().unwrap(),
        has_answer: Mutex::new(Vec::new()),
    };
    let mut raw = Raw::new(stream);
    let long = "x".repeat(2 * limits::RPC_READ_BYTES);
    let requests = [FIRST, SECOND].concat();
    raw.send(requests);
    raw.handshake.read(&[0; 7]).unwrap();
    raw.serial = 2;
    let request = raw.batch(&[&long]);
    raw.send(request);
    // From now on a look at it does not wait.
    raw.stream.set_nonblocking(true).unwrap();
    let watched = Arc::new(watched);
    let context = SourceContext::new("avro", Arc::clone(&watched) as Arc<dyn SourcePort>, shutdown.clone());
    let thread = thread::spawn(move || source.run(&context).unwrap());
    let all_came = (0..60_000).any(|_| {
        thread::sleep(Duration::from_millis(1));
        watched.has_answer.lock().len() == 3
    });
    assert!(all_came, "not all requests were read");
    assert_eq!(*watched.has_answer.lock(), [false, false, true]);
    raw.stream.set_nonblocking(false).unwrap();
    raw.handshake = client::Handshake::default();
    for serial in 1..=3 {
        assert_eq!(raw.answer().unwrap(), (serial, OK));
    }
    shutdown.request();
    thread.join().unwrap();
}

#[test]
fn long_requests_come_through_whatever_pieces_they_come_in() {
    let running = start(local());
    let mut raw = running.connect();
    raw.serial = 1;
    raw.send(FIRST);
    assert_eq!(raw.answer().unwrap(), (1, OK));
    assert_eq!(running.bodies(), ["Hello"]);
    let body = |number: usize, length: usize| format!("{number} ").repeat(length);
    let mut sent = Vec::new();
    let mut bytes = Vec::new();
    for round in 0..30 {
        // Of 100 bytes to more than 150 KB, with short ones among them.
        let lengths = if round % 4 == 3 { vec![1] } else { vec![40 + 50 * round; 1 + 7 * (round % 5)] };
        let bodies: Vec<String> = (sent.len()..).zip(lengths).map(|(number, length)| body(number, length)).collect();
        let borrowed: Vec<&str> = bodies.iter().map(String::as_str).collect();
        bytes.extend(raw.batch(&borrowed));
        sent.extend(bodies);
    }
    let mut writing = raw.stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut rest = &bytes[..];
            for size in [1, 13, 4096, 4097, 60_000, 31].into_iter().cycle() {
                let (piece, left) = rest.split_at(rest.len().min(size));
                writing.write_all(piece).unwrap();
                rest = left;
                if rest.is_empty() {
                    break;
                }
            }
        });
        for serial in 2..32 {
            assert_eq!(raw.answer().unwrap(), (serial, OK));
        }
    });
    assert!(running.bodies() == sent);
    running.stop();
}

#[test]
fn long_requests_come_through_compressed() {
    let running = start(local().deflate(true));
    let address = running.handle.local_addr().unwrap().to_string();
    let mut client = RpcClient::builder([address]).deflate(1).requests_in_flight(4).build().unwrap();
    let bodies: Vec<String> = (0..2000_usize).map(|number| format!("{}", number.pow(3)).repeat(70)).collect();
    let batch: Vec<Event> = bodies.iter().map(|body| Event::new(body.clone())).collect();
    client.append_batch(&batch).unwrap();
    assert!(running.bodies() == bodies);
    running.stop();
}

/// A client may announce as much as the limit allows: only what comes is held, and a part of it once more.
#[test]
fn what_is_only_announced_is_not_held() {
    let running = start(local());
    let mut raw = running.connect();
    let announced = u32::try_from(limits::RPC_FRAME_BYTES_MAX).unwrap();
    let mut bytes = b"\0\0\0\x01\0\0\0\x01".to_vec();
    bytes.extend_from_slice(&{
        let mut length = announced.to_le_bytes();
        length.reverse();
        length
    });
    bytes.extend(vec![7; 200_000]);
    raw.send(bytes);
    raw.stream.shutdown(Direction::Write).unwrap();
    assert!(raw.is_closed());
    running.until(|stats| stats.open_connections == 0);
    let (stats, listener) = running.stop();
    assert_eq!(stats.event_read_fail, 1);
    let peak = usize::try_from(listener.bytes_in_flight_peak).unwrap();
    let most = limits::RPC_CONNECTION_BYTES + 2 * 200_000 + 2 * limits::RPC_READ_BYTES;
    assert!(peak >= 200_000 && peak <= most, "{peak}");
}
