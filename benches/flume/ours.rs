//! Our side of the comparison.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aqueduct::rpc::RpcClient;
use aqueduct::source::{AvroRpc, Source, SourceContext};
use aqueduct::{Channel, Event, FileStore, MemoryChannel, PutBatch, Shutdown, Wait};

const BODY: usize = 500;

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
            "file" => timed(|| ours.open_file(Path::new(words[1]))),
            "memory" => timed(|| ours.open_memory()),
            "put" => timed(|| ours.put_together(number(1), number(2), number(3))),
            "put-take" => timed(|| ours.put_take(number(1), number(2))),
            "drain" => untimed(|| ours.drain()),
            "receive" => untimed(|| ours.receive(number(1))),
            "take" => timed(|| take(ours.channel(), number(1), number(2))),
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

    fn put_together(&self, producers: usize, commits: usize, batch: usize) {
        let channel = self.channel();
        std::thread::scope(|scope| {
            (0..producers).for_each(|_| {
                scope.spawn(|| put(channel, commits, batch));
            });
        });
    }

    fn put_take(&self, commits: usize, batch: usize) {
        let channel = self.channel();
        std::thread::scope(|scope| {
            scope.spawn(|| put(channel, commits, batch));
            take(channel, commits * batch, batch);
        });
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

    fn send(&mut self, lists: usize, list: usize) {
        let client = self.client.as_mut().expect("a client");
        (0..lists).for_each(|_| client.append_batch(&events(list)).expect("an answer"));
    }
}

fn put(channel: &dyn Channel, commits: usize, batch: usize) {
    for _ in 0..commits {
        let mut transaction = channel.begin_put();
        transaction.set_batch(PutBatch::new(events(batch)));
        transaction.commit().expect("commit");
    }
}

fn take(channel: &dyn Channel, events: usize, batch: usize) {
    let mut taken = 0;
    while taken < events {
        let take = channel.take(batch, Wait::FOREVER).expect("take");
        taken += take.len();
        take.commit().expect("commit");
    }
}

/// New events, of one array that nobody counts references of, as on Flume's side.
fn events(number: usize) -> Vec<Event> {
    static BYTES: [u8; BODY] = [b'x'; BODY];
    (0..number).map(|_| Event::new(&BYTES[..])).collect()
}

fn timed(work: impl FnOnce()) -> String {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64().to_string()
}

fn untimed(work: impl FnOnce()) -> String {
    work();
    "ok".to_owned()
}
