mod handlers;
mod hostile;
mod limits;
mod putting;
mod statuses;
mod timing;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::source::SourcePort;
use crate::source::net::ListenerStats;
use crate::{Channel, Event, MemoryChannel, Shutdown, SourceStats, Wait};

/// A source with a channel behind it.
struct Running {
    channel: MemoryChannel,
    context: SourceContext,
    handle: ListenerHandle,
    thread: JoinHandle<()>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    // Names in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

fn start(change: impl FnOnce(Http) -> Http) -> Running {
    start_with(MemoryChannel::new("events"), change)
}

fn start_with(channel: MemoryChannel, change: impl FnOnce(Http) -> Http) -> Running {
    start_at(channel.clone(), Arc::new(channel), change)
}

fn start_at(channel: MemoryChannel, port: Arc<dyn SourcePort>, change: impl FnOnce(Http) -> Http) -> Running {
    let mut source = change(Http::bind("127.0.0.1:0"));
    let handle = source.handle();
    let context = SourceContext::new("http", port, Shutdown::new());
    source.open(&context).unwrap();
    let inner = context.clone();
    let thread = thread::spawn(move || source.run(&inner).unwrap());
    Running { channel, context, handle, thread }
}

/// A channel for so many events that does not wait by itself.
fn small(events: u64) -> MemoryChannel {
    MemoryChannel::builder("events").capacity_events(events).build().unwrap()
}

impl Running {
    fn connect(&self) -> Client {
        let socket = TcpStream::connect(self.handle.local_addr().unwrap()).unwrap();
        // Only so that a failure does not hang.
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client(BufReader::new(socket))
    }

    /// One request on a connection of its own.
    fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.send(request);
        client.answer().unwrap()
    }

    fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask(post("/", "", body))
    }

    fn take(&self) -> Vec<Event> {
        let taken = self.channel.take(100_000, Wait::NONE).unwrap();
        let events = taken.to_vec();
        taken.commit().unwrap();
        events
    }

    fn bodies(&self) -> Vec<String> {
        self.take().iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect()
    }

    fn counts(&self) -> SourceStats {
        self.context.counters().snapshot()
    }

    fn stats(&self) -> ListenerStats {
        self.handle.stats()
    }

    fn until(&self, done: impl Fn(&ListenerStats, &SourceStats) -> bool) {
        let clock = SystemClock::new();
        while !done(&self.stats(), &self.counts()) {
            // Only so that a failure does not hang.
            assert!(clock.monotonic() < Duration::from_secs(60), "{:?} {:?}", self.stats(), self.counts());
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Stops the source and gives back what it counted.
    fn stop(self) -> (ListenerStats, SourceStats) {
        self.context.shutdown().request();
        self.thread.join().unwrap();
        let (stats, counts) = (self.handle.stats(), self.context.counters().snapshot());
        assert_eq!(self.handle.local_addr(), None);
        assert_eq!((stats.bytes_in_flight, counts.open_connections), (0, 0));
        (stats, counts)
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// The next answer; `None` if the connection ends instead.
    fn answer(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                assert!(head.is_empty(), "the connection ended in the middle of an answer: {head:?}");
                return None;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        assert!(head[0].starts_with("HTTP/1.1 ") || head[0].starts_with("HTTP/1.0 "), "{head:?}");
        let pairs = head[1..].iter().map(|line| line.split_once(':').unwrap());
        let headers: Vec<_> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut answer = Answer { status, headers, body: String::new() };
        if status == 100 {
            return Some(answer);
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Whether the connection ended, with nothing more to read.
    fn is_at_end(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A request with headers, each ended by a line end.
fn post(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
