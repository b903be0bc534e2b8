//! Our side of the comparison.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct::rpc::RpcClient;
use aqueduct::source::{AvroRpc, Source, SourceContext};
use aqueduct::{Channel, Event, FileStore, MemoryChannel, PutBatch, Shutdown, Wait};

const BODY: usize = 500;

/// How long single transactions took.
#[derive(Default)]
struct Times {
    puts: Vec<Duration>,
    acks: Vec<Duration>,
}

#[derive(Default)]
struct Ours {
    channel: Option<Arc<dyn Channel>>,
    // Held open as long as the channel.
    store: Option<FileStore>,
    client: Option<RpcClient>,
}

/// Does the commands that come in.
pub(crate) fn obey() {
    let mut ours = Ours::default();
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<usize>().expect("a number");
        let answer = match words[0] {
            "file" => timed(|| {
                ours.open_file(Path::new(words[1]));
                Times::default()
            }),
            "memory" => untimed(|| ours.open_memory()),
            "put" => timed(|| ours.put_together(number(1), number(2), number(3))),
            "put-take" => timed(|| ours.put_take(number(1), number(2))),
            "pass" => timed(|| ours.pass(number(1), number(2))),
            "drain" => untimed(|| ours.drain()),
            "receive" => untimed(|| ours.receive(number(1))),
            "take" => timed(|| Times { acks: take(ours.channel(), number(1), number(2)), ..Times::default() }),
            "connect" => untimed(|| ours.connect(number(1), number(2), number(3))),
            "send" => timed(|| ours.send(number(1), number(2))),
            other => panic!("no such command: {other}"),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("standard output");
    }
}

impl Ours {
    fn channel(&self) -> &dyn Channel {
        self.channel.as_deref().expect("an open channel")
    }

    fn open_file(&mut self, dir: &Path) {
        let store = FileStore::builder(dir).open().expect("a store");
        self.channel = Some(Arc::new(store.channel("bench").expect("a channel")));
        self.store = Some(store);
    }

    fn open_memory(&mut self) {
        let channel = MemoryChannel::builder("bench").capacity_events(10_000).build().expect("a channel");
        self.channel = Some(Arc::new(channel));
    }

    fn put_together(&self, producers: usize, commits: usize, batch: usize) -> Times {
        let channel = self.channel();
        let puts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..producers).map(|_| scope.spawn(|| put(channel, commits, batch))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a producer")).collect()
        });
        Times { puts, ..Times::default() }
    }

    fn put_take(&self, commits: usize, batch: usize) -> Times {
        let channel = self.channel();
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| put(channel, commits, batch));
            let acks = take(channel, commits * batch, batch);
            Times { puts: producer.join().expect("a producer"), acks }
        })
    }

    fn pass(&self, commits: usize, batch: usize) -> Times {
        let channel = self.channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..commits).for_each(|_| put_batch(channel, events(batch)));
            });
            let mut taken = 0;
            while taken < commits * batch {
                let take = channel.take(batch, Wait::FOREVER).expect("take");
                taken += take.len();
                take.commit().expect("commit");
            }
        });
        Times::default()
    }

    fn drain(&self) {
        loop {
            let take = self.channel().take(1000, Wait::NONE).expect("take");
            if take.is_empty() {
                return;
            }
            take.commit().expect("commit");
        }
    }

    /// Until this process ends.
    fn receive(&self, port: usize) {
        let channel = self.channel.clone().expect("an open channel");
        let context = SourceContext::new("bench", Arc::new(channel), Shutdown::new());
        let mut source = AvroRpc::bind(format!("127.0.0.1:{port}"));
        source.open(&context).expect("a free port");
        std::thread::spawn(move || source.run(&context).expect("a run"));
    }

    fn connect(&mut self, port: usize, batch: usize, in_flight: usize) {
        let builder = RpcClient::builder([format!("127.0.0.1:{port}")]).batch_events(batch);
        let mut client = builder.requests_in_flight(in_flight).build().expect("a client");
        client.reconnect().expect("a connection");
        self.client = Some(client);
    }

    fn send(&mut self, lists: usize, list: usize) -> Times {
        let client = self.client.as_mut().expect("a client");
        let send = |_| {
            let events = events(list);
            let begun = Instant::now();
            client.append_batch(&events).expect("an answer");
            begun.elapsed()
        };
        Times { puts: (0..lists).map(send).collect(), ..Times::default() }
    }
}

fn put_batch(channel: &dyn Channel, events: Vec<Event>) {
    let mut transaction = channel.begin_put();
    transaction.set_batch(PutBatch::new(events));
    transaction.commit().expect("commit");
}

/// How long each put took, once its events were made.
fn put(channel: &dyn Channel, commits: usize, batch: usize) -> Vec<Duration> {
    let one = |_| {
        let events = events(batch);
        let begun = Instant::now();
        put_batch(channel, events);
        begun.elapsed()
    };
    (0..commits).map(one).collect()
}

/// How long each commit took.
fn take(channel: &dyn Channel, events: usize, batch: usize) -> Vec<Duration> {
    let (mut taken, mut times) = (0, Vec::new());
    while taken < events {
        let take = channel.take(batch, Wait::FOREVER).expect("take");
        taken += take.len();
        let begun = Instant::now();
        take.commit().expect("commit");
        times.push(begun.elapsed());
    }
    times
}

/// New events, of one array that nobody counts references of, as on Flume's side.
fn events(number: usize) -> Vec<Event> {
    static BYTES: [u8; BODY] = [b'x'; BODY];
    (0..number).map(|_| Event::new(&BYTES[..])).collect()
}

fn timed(work: impl FnOnce() -> Times) -> String {
    let begun = Instant::now();
    let Times { puts, acks } = work();
    let seconds = begun.elapsed().as_secs_f64();
    let mut answer = format!("{seconds}|");
    list(&mut answer, &puts);
    answer.push('|');
    list(&mut answer, &acks);
    answer
}

/// Microseconds, as part of an answer.
fn list(answer: &mut String, times: &[Duration]) {
    for time in times {
        write!(answer, "{} ", time.as_nanos() as f64 / 1e3).expect("memory");
    }
}

fn untimed(work: impl FnOnce()) -> String {
    work();
    "ok".to_owned()
}
