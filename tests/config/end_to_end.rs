//! The example `agent` as an operator runs it: started, stopped by signals, killed, started again.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

// Only so that a failure does not hang.
const HANG: Duration = Duration::from_secs(120);

/// The program, which `cargo test` builds with the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("examples").join("agent");
    assert!(path.exists(), "{} is missing: run `cargo build --example agent` first", path.display());
    path
}

/// A running agent.
struct Agent {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// What it writes, line by line. It is read by a thread that goes ahead by a line, so that there is a limit to waiting for the next.
struct Lines(Receiver<String>);

impl Lines {
    fn of(from: impl Read + Send + 'static) -> Self {
        let (send, receive) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = String::new();
            while from.read_line(&mut line).unwrap() > 0 && send.send(std::mem::take(&mut line)).is_ok() {}
        });
        Self(receive)
    }

    /// The next line; nothing at the end. Panics with the reason that `late` gives if it is not there in time.
    fn next(&self, until: Instant, late: impl Fn() -> String) -> Option<String> {
        match self.0.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => panic!("after {HANG:?} {}", late()),
            line => line.ok(),
        }
    }

    /// All up to the end.
    fn rest(&self, until: Instant) -> String {
        let mut rest = String::new();
        while let Some(line) = self.next(until, || format!("it has not ended; it said: {rest}")) {
            rest += &line;
        }
        rest
    }
}

impl Agent {
    /// Starts it and waits until it says that it is ready.
    fn start(file: &Path, arguments: &[&str]) -> Self {
        let mut agent = Self::spawn(file, arguments);
        agent.wait_for("agent: ready: ");
        agent
    }

    fn spawn(file: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["agent", "-n", "a1", "-f"])
            .arg(file)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// Reads what it says until a line begins so.
    fn wait_for(&mut self, begin: &str) -> String {
        let (mut said, until) = (String::new(), Instant::now() + HANG);
        loop {
            let late = || format!("it does not say {begin:?}, but: {said}");
            let Some(line) = self.stderr.next(until, late) else { panic!("it has ended, and said: {said}") };
            said += &line;
            if line.starts_with(begin) {
                return said;
            }
        }
    }

    /// The next line of its logger sink.
    fn line(&mut self) -> String {
        let line = self.stdout.next(Instant::now() + HANG, || "its logger sink has written no line".to_owned());
        line.expect("it has ended").trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end: exit code, and what it wrote meanwhile.
    fn end(mut self) -> (Option<i32>, String, String) {
        let until = Instant::now() + HANG;
        let (out, err) = (self.stdout.rest(until), self.stderr.rest(until));
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

/// Goal: nothing is lost and nothing repeated on the way spool directory, file channel, files, however the program is stopped.
/// Method: a logger behind a channel of its own shows how far the source is; in the middle comes SIGTERM, SIGINT or SIGKILL, and
/// a new start; a last file tells when all is read.
#[test]
fn files_are_collected_exactly_once_through_stops_and_kills() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    std::fs::create_dir(base.join("in")).unwrap();
    std::fs::create_dir(base.join("out")).unwrap();
    let mut expected = Vec::new();
    for file in 0..4 {
        let lines: Vec<String> = (0..5000).map(|line| format!("f{file} l{line}")).collect();
        std::fs::write(base.join("in").join(format!("{file}.log")), lines.join("\n")).unwrap();
        expected.extend(lines);
    }
    let conf = base.join("a1.properties");
    std::fs::write(&conf, collecting(base)).unwrap();

    for (signal, lines) in [("TERM", 700), ("KILL", 2900), ("INT", 1300), ("KILL", 1), ("TERM", 4000)] {
        let mut agent = Agent::start(&conf, &["--no-reload-conf", "-c", "conf", "-Dflume.root.logger=INFO,console"]);
        for _ in 0..lines {
            assert!(agent.line().starts_with("Event: { headers:{} body: "));
        }
        agent.signal(signal);
        let (code, _, said) = agent.end();
        assert_eq!(code, (signal != "KILL").then_some(0), "{signal}: {said}");
    }
    let mut agent = Agent::start(&conf, &[]);
    std::fs::write(base.join("in").join("last"), "the end").unwrap();
    expected.push("the end".to_owned());
    while !agent.line().ends_with("the end }") {}
    agent.signal("TERM");
    let (code, _, said) = agent.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("agent: a1 has stopped\n"), "{said}");

    assert_eq!(collected(&base.join("out")), expected);
    let left: Vec<_> = std::fs::read_dir(base.join("in")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".COMPLETED")), "{left:?}");
}

fn collecting(base: &Path) -> String {
    format!(
        "a1.sources = r\na1.channels = disk show\na1.sinks = files log\n\
         a1.sources.r.type = spooldir\na1.sources.r.spoolDir = {0}/in\na1.sources.r.channels = disk show\na1.sources.r.pollDelay = 20\n\
         a1.channels.disk.type = file\na1.channels.disk.checkpointDir = {0}/check\na1.channels.disk.dataDirs = {0}/data\n\
         a1.channels.show.type = memory\na1.channels.show.capacity = 1000\n\
         a1.sinks.files.type = file_roll\na1.sinks.files.sink.directory = {0}/out\na1.sinks.files.sink.rollInterval = 0\n\
         a1.sinks.files.channel = disk\na1.sinks.log.type = logger\na1.sinks.log.channel = show\n",
        base.display()
    )
}

/// The lines of all files of a directory, in the order in which the files were written.
fn collected(dir: &Path) -> Vec<String> {
    let mut files: Vec<(u64, u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (start, number) = name.split_once('-').unwrap_or_else(|| panic!("{name}"));
        files.push((start.parse().unwrap(), number.parse().unwrap_or_else(|_| panic!("{name} is not finished")), path));
    }
    files.sort();
    let text: String = files.iter().map(|(_, _, path)| std::fs::read_to_string(path).unwrap()).collect();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_check_ends_with_the_code_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    std::fs::write(&conf, super::GOOD).unwrap();
    let conf = conf.to_str().unwrap();
    let good = run(&["--conf-file", conf, "--name", "a1", "--check"]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&good.stdout),
        "agent a1: 1 source, 1 channel, 1 sink; no mistakes, 0 warnings\n"
    );
    std::fs::write(conf, format!("{}a1.sources.r1.colour = red\na1.sinks.k2.type = null", super::GOOD)).unwrap();
    let bad = run(&["--conf-file", conf, "--name=a1", "--check"]);
    assert_eq!(bad.status.code(), Some(78));
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(said, format!("agent: agent a1: {conf}:9: a1.sources.r1.colour: seq has no such key\n"));
    let lenient = run(&["-f", conf, "-n", "a1", "--check", "--lenient"]);
    assert_eq!(lenient.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&lenient.stdout),
        "agent a1: 1 source, 1 channel, 1 sink; no mistakes, 2 warnings\n"
    );
    for (arguments, said) in [
        (vec!["--name", "a1"], "agent: --conf-file is missing"),
        (vec!["-f", conf], "agent: --name is missing"),
        (vec!["-f"], "agent: -f needs a value"),
        (vec!["-f", conf, "-n", "a1", "--chekc"], "agent: --chekc is no argument"),
        (vec!["-u", "http://x/y"], "agent: configurations are read from files, not by http"),
        (vec!["--reload=0"], "agent: --reload=0 would look at the files without a pause; it needs at least 1"),
        (vec!["--drain", "long"], "agent: --drain needs a number of seconds up to a day, not long"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with(said),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Whoever waits for it to be ready sends then.
#[test]
fn it_is_ready_once_every_source_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let source = format!(
        "a1.sources.r1.type = netcat\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = {port}\n\
         a1.sinks.k1.type = logger\n"
    );
    std::fs::write(&conf, format!("{}{source}", super::GOOD)).unwrap();
    let mut agent = Agent::spawn(&conf, &[]);
    let said = agent.wait_for("agent: source r1: ");
    assert!(said.contains("it is tried again") && !said.contains("agent: ready"), "{said}");
    drop(taken);
    agent.wait_for("agent: ready: agent a1: 1 source, ");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Nothing is started anew where nothing has changed.
    agent.signal("HUP");
    let said = agent.wait_for("agent: the configuration has not changed");
    assert!(!said.contains("takes over"), "{said}");
    agent.signal("TERM");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn the_arguments_of_flume_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    std::fs::write(&conf, super::GOOD).unwrap();
    std::fs::write(dir.path().join("flume-env.sh"), "export JAVA_OPTS=-Dx=y\n").unwrap();
    let (conf, dir) = (conf.to_str().unwrap(), dir.path().to_str().unwrap());
    let (joined, equal, long) = (format!("-f{conf}"), format!("-f={conf}"), format!("-conf-file={conf}"));
    for arguments in [
        vec![joined.as_str(), "-na1", "-i", "5", "-b", dir, "-p", "/flume"],
        vec![&equal, "-n=a1", "-user", "me", "-pwd=secret", "-a", "some.Class", "-javaagent:x.jar"],
        vec![&long, "-name", "a1", "--poll-interval=3", "-no-reload-conf", "--conf-user", "me"],
    ] {
        let output = run(&[vec!["agent", "--check"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stderr, b"");
    }
    let output = run(&["-c", dir, "-f", conf, "-n", "a1", "--check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with(&format!("agent: warning: {dir}/flume-env.sh is not run; ")), "{said}");
    assert_eq!(run(&["-prov", "some.Class"]).status.code(), Some(64));
}

#[test]
fn it_ends_by_itself_when_all_is_done_if_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    let text = format!("{}a1.sources.r1.totalEvents = ${{sys:total}}\na1.sinks.k1.type = logger\n", super::GOOD);
    std::fs::write(&conf, text).unwrap();
    let output = run(&["-f", conf.to_str().unwrap(), "-n", "a1", "-Dtotal=3", "--until-done"]);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let expected: Vec<String> =
        (0..3).map(|number| format!("Event: {{ headers:{{}} body: {:<48}{number} }}", format!("3{number}"))).collect();
    assert_eq!(lines, expected);
}

/// The reader of a pipe of logs may go away at any time: `agent 2>&1 | tee log`.
#[test]
fn it_goes_on_when_nobody_listens_to_it() {
    let nobody = || std::io::pipe().unwrap().1;
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    std::fs::write(&conf, format!("{}a1.sources.r1.totalEvents = 3\na1.sinks.k1.type = logger\n", super::GOOD))
        .unwrap();
    let agent = || {
        let mut command = Command::new(program());
        command.args(["-n", "a1", "-f"]).arg(&conf);
        command
    };
    let output = agent().arg("--until-done").stderr(nobody()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 3);
    assert_eq!(agent().arg("--until-done").stdout(nobody()).status().unwrap().code(), Some(0));
    assert_eq!(agent().arg("--check").stdout(nobody()).status().unwrap().code(), Some(0));
    assert_eq!(agent().arg("--chekc").stderr(nobody()).status().unwrap().code(), Some(64));
}

/// Goal: a changed file is taken over on SIGHUP, a wrong one is not, and channels go on. Method: the logger shows which
/// interceptor is at work; the events of a memory channel without a sink survive the change and come out when it has one.
#[test]
fn a_changed_configuration_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    let conf = dir.path().join("f");
    let text = |sink: &str, more: &str| {
        format!(
            "a1.sources = r\na1.channels = show keep\na1.sinks = log\na1.sources.r.type = spooldir\na1.sources.r.spoolDir = {}/in\n\
             a1.sources.r.pollDelay = 20\na1.sources.r.channels = show keep\na1.channels.show.type = memory\na1.channels.keep.type = memory\n\
             a1.sinks.log.type = logger\na1.sinks.log.channel = {sink}\n{more}\n",
            dir.path().display()
        )
    };
    let put = |name: &str, line: &str| {
        std::fs::write(dir.path().join(name), line).unwrap();
        std::fs::rename(dir.path().join(name), dir.path().join("in").join(name)).unwrap();
    };
    std::fs::write(&conf, text("show", "")).unwrap();
    let mut agent = Agent::start(&conf, &["--reload=3600"]);
    put("a", "one");
    assert_eq!(agent.line(), format!("Event: {{ headers:{{}} body: {:<48}one }}", "6F 6E 65"));

    std::fs::write(&conf, text("show", "a1.sources.r.colour = red")).unwrap();
    agent.signal("HUP");
    agent.wait_for("agent: the changed configuration is not used: ");
    put("b", "two");
    assert_eq!(agent.line(), format!("Event: {{ headers:{{}} body: {:<48}two }}", "74 77 6F"));

    let zone = "a1.sources.r.interceptors = z\na1.sources.r.interceptors.z.type = static";
    std::fs::write(&conf, text("keep", zone)).unwrap();
    agent.signal("HUP");
    agent.wait_for("agent: ready: ");
    for (body, text) in [("6F 6E 65", "one"), ("74 77 6F", "two")] {
        assert_eq!(agent.line(), format!("Event: {{ headers:{{}} body: {body:<48}{text} }}"));
    }
    put("c", "three");
    assert_eq!(agent.line(), format!("Event: {{ headers:{{key=value}} body: {:<48}three }}", "74 68 72 65 65"));
    agent.signal("TERM");
    let (code, _, said) = agent.end();
    assert_eq!(code, Some(0));
    assert!(said.contains("agent: 1 events are left in channel show, which are lost"), "{said}");
}

/// Key stores are not looked at for changes, but read again with a properties file that has changed.
#[test]
fn key_stores_are_read_again_with_a_changed_file() {
    let dir = tempfile::tempdir().unwrap();
    let (conf, key_store) = (dir.path().join("f"), dir.path().join("key.pem"));
    let good = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/openssl.pem")).unwrap();
    let source = format!(
        "a1.sources.r1.type = avro\na1.sources.r1.bind = 127.0.0.1\na1.sources.r1.port = 0\na1.sources.r1.ssl = true\n\
         a1.sources.r1.keystore = {}\na1.sources.r1.keystore-password = changeit\n",
        key_store.display()
    );
    let with = |comment: &str| std::fs::write(&conf, format!("{}{source}# {comment}\n", super::GOOD)).unwrap();
    with("first");
    std::fs::write(&key_store, &good).unwrap();
    let mut agent = Agent::start(&conf, &[]);
    std::fs::write(&key_store, "no key").unwrap();
    agent.signal("HUP");
    agent.wait_for("agent: the configuration has not changed");
    with("second");
    agent.signal("HUP");
    let said = agent.wait_for("agent: the changed configuration is not used: ");
    assert!(said.contains("a1.sources.r1.keystore"), "{said}");
    std::fs::write(&key_store, good).unwrap();
    with("third");
    agent.signal("HUP");
    agent.wait_for("agent: takes over a changed configuration");
    agent.wait_for("agent: ready: ");
    agent.signal("TERM");
    assert_eq!(agent.end().0, Some(0));
}

/// Not only what becomes of components: the spool directory here goes on without the file.
#[test]
fn what_the_library_warns_of_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (conf, spool) = (dir.path().join("f"), dir.path().join("in"));
    std::fs::create_dir(&spool).unwrap();
    std::fs::write(spool.join("bad"), b"\xff\n").unwrap();
    let source = format!("a1.sources.r1.type = spooldir\na1.sources.r1.spoolDir = {}\n", spool.display());
    std::fs::write(&conf, format!("{}{source}", super::GOOD)).unwrap();
    let agent = Agent::spawn(&conf, &[]);
    let (mut said, until) = (String::new(), Instant::now() + HANG);
    while !said.contains("WARN") {
        said = agent.stderr.next(until, || "there is no warning".to_owned()).expect("it has ended");
    }
    assert!(said.contains("a file is not as it should be") && said.contains("bad"), "{said}");
    agent.signal("TERM");
    assert_eq!(agent.end().0, Some(0));
}

/// Nothing is wrong with a configuration whose channel cannot be opened now.
#[test]
fn a_channel_that_cannot_be_opened_is_no_mistake_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("f");
    std::fs::write(dir.path().join("check"), "a file, and no directory").unwrap();
    std::fs::write(&conf, collecting(dir.path())).unwrap();
    let output = run(&["-f", conf.to_str().unwrap(), "-n", "a1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a1.channels.disk: the file channel in "), "{said}");
}
