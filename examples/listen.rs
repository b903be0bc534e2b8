//! Receives lines over TCP. A client gets its `OK` once the line is durable, so a client that saw `OK` never has to send again.
//!
//!     cargo run --release --example listen

// An example prints what it proves and ends with a panic where it does not hold.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss)]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use aqueduct::sink::{self, Delivered};
use aqueduct::{Agent, Drain, FileStore, TcpLines};

const CLIENTS: usize = 20;
const LINES: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = FileStore::open(dir.path().join("spool"))?;
    let source = TcpLines::bind("127.0.0.1:0");
    let listener = source.handle();
    let (delivered, lines) = std::sync::mpsc::channel();
    let running = Agent::builder("edge")
        .channel("disk", store.channel("lines")?)
        .source("tcp", source)
        .to(["disk"])
        .sink(
            "out",
            sink::from_fn(move |events| {
                for event in events {
                    delivered.send(event.body().clone()).map_err(sink::SinkError::fatal)?;
                }
                Ok(Delivered::All)
            }),
        )
        .from("disk")
        .build()?
        .start()?;
    let address = listener.local_addr().ok_or("the source does not listen")?;
    println!("listening on {address}");

    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || talk(client, address))).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("a client panicked"))
    })?;
    let stats = store.stats();
    println!("{} lines acknowledged, each after its commit, with {} syncs", CLIENTS * LINES, stats.syncs);

    let report = running.shutdown(Drain::up_to(Duration::from_secs(10)))?;
    store.close()?;
    assert!(report.is_drained());
    let lines: Vec<String> = lines.try_iter().map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
    for client in 0..CLIENTS {
        let own: Vec<_> = lines.iter().filter(|line| line.starts_with(&format!("{client}:"))).collect();
        let sent: Vec<_> = (0..LINES).map(|line| format!("{client}:{line}")).collect();
        assert!(own.iter().copied().eq(&sent), "client {client} got its lines through once, in order");
    }
    println!("{} lines delivered, each once and in its client's order", lines.len());
    Ok(())
}

fn talk(client: usize, address: std::net::SocketAddr) -> std::io::Result<()> {
    let stream = TcpStream::connect(address)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut answer = String::new();
    for line in 0..LINES {
        writeln!(&stream, "{client}:{line}")?;
        answer.clear();
        answers.read_line(&mut answer)?;
        if answer != "OK\n" {
            return Err(std::io::Error::other(format!("the answer is {answer:?}")));
        }
    }
    Ok(())
}
