//! The two sides under comparison as child processes: Apache Flume, and the example `agent` of this crate.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that a peer does: a Java machine needs seconds to start when others compute, too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Flume,
    Ours,
}

/// A running agent. Killed on drop.
pub(crate) struct Agent {
    child: Child,
    side: Side,
    log: PathBuf,
}

impl Side {
    /// Starts agent `name` of the properties file `conf`, in the directory `dir`, with `env` for its `${env:...}`.
    pub(crate) fn start(self, dir: &Path, conf: &Path, name: &str, env: &BTreeMap<String, String>) -> Agent {
        let mut command = match self {
            Self::Flume => java(&["org.apache.flume.node.Application"]),
            Self::Ours => Command::new(example("agent")),
        };
        command.arg("--conf-file").arg(conf).args(["--name", name]);
        if self == Self::Flume {
            command.arg("--no-reload-conf");
        }
        let starts = fs::read_dir(dir).expect("the directory of the run").count();
        let log = dir.join(format!("{name}-{starts}.log"));
        let file = File::create(&log).expect("a log file");
        command.current_dir(dir).env("HOME", dir).env("TZ", "UTC").env("LC_ALL", "C.UTF-8").envs(env);
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        Agent { child, side: self, log }
    }
}

impl Agent {
    /// What it has written to its standard output and error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it listens on TCP `port`.
    pub(crate) fn await_port(&mut self, port: u16) {
        self.await_that(&format!("it listens on port {port}"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// Waits until `done`; fails with the log if it ends before, or takes too long.
    pub(crate) fn await_that(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("{:?} ended ({status}) before {what}:\n{}", self.side, self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}: not in time: {what}\n{}", self.side, self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to stop (SIGTERM) and waits. Ours only once it has said that it is ready: a request that comes before a program
    /// has said what is to happen on a signal simply ends it, and what a test waits for may be there from an earlier life.
    pub(crate) fn stop(mut self) -> ExitStatus {
        if self.side == Side::Ours {
            let log = self.log.clone();
            self.await_that("it is ready", || {
                fs::read(&log).is_ok_and(|said| memchr::memmem::find(&said, b"agent: ready").is_some())
            });
        }
        self.signal("-TERM");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                if self.side == Side::Ours {
                    assert!(status.success(), "our agent ended with {status}:\n{}", self.log());
                }
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{:?} does not stop:\n{}", self.side, self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it without a word (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a running child");
        self.child.wait().expect("its end");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "a signal can be sent");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Flume's own RPC client: `properties` are those of its factory. Returns what it printed.
pub(crate) fn flume_client(dir: &Path, properties: &str, threads: usize, events: usize, batch: usize) -> String {
    let path = dir.join("client.properties");
    fs::write(&path, properties).expect("the client's properties");
    let mut command = java(&["peers.Client"]);
    command.arg(&path).args([threads.to_string(), events.to_string(), batch.to_string()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("the client runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn java(main: &[&str]) -> Command {
    let lib = std::env::var("AQUEDUCT_PEERS_FLUME").expect("tests/peers/run starts these tests, with Flume's jars");
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-Dfile.encoding=UTF-8"]);
    for package in ["java.nio", "sun.nio.ch", "java.lang", "java.util"] {
        command.args(["--add-opens", &format!("java.base/{package}=ALL-UNNAMED")]);
    }
    command.args(["-cp", &format!("{lib}/*")]).args(main);
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command
}

/// An example, as it is used: the release build, in the same directory of builds as the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let path = own.ancestors().nth(3).expect("the directory of all builds").join("release/examples").join(name);
    assert!(path.exists(), "{} is not there; tests/peers/run builds it", path.display());
    path
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}

/// Sends `bytes` over one TCP connection and returns what comes back until the other side closes.
pub(crate) fn send_tcp(port: u16, bytes: &[u8]) -> String {
    String::from_utf8_lossy(&send_tcp_bytes(port, bytes)).into_owned()
}

/// The same where the answer is not UTF-8.
pub(crate) fn send_tcp_bytes(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.write_all(bytes).expect("the bytes are sent");
    stream.shutdown(std::net::Shutdown::Write).expect("the end is sent");
    let mut answer = Vec::new();
    // Some peers reset a connection instead of closing it.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Sends lines over one TCP connection and reads an answer to each.
pub(crate) fn send_lines(port: u16, lines: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut answers = BufReader::new(&stream);
    let send = |line: &&str| {
        (&stream).write_all(format!("{line}\n").as_bytes()).expect("a line is sent");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        answer
    };
    lines.iter().map(send).collect()
}

pub(crate) fn send_udp(port: u16, datagrams: &[&[u8]]) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for datagram in datagrams {
        socket.send_to(datagram, ("127.0.0.1", port)).expect("a datagram is sent");
        // Order is kept on one machine; room in the receiver's buffer is not promised.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Posts `body` and returns the status code.
pub(crate) fn post(port: u16, path: &str, content_type: &str, body: &[u8]) -> u16 {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.write_all(&request).expect("the request is sent");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("an answer");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no status in {answer:?}"))
}
