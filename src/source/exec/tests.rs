//! With real processes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::shutdown::Shutdown;
use crate::source::testing::TestPort;

/// A source that runs in a thread.
struct Running {
    port: Arc<TestPort>,
    stop: Shutdown,
    context: SourceContext,
    thread: JoinHandle<Result<(), SourceError>>,
    reports: Arc<Mutex<Vec<ExecReport>>>,
}

impl Running {
    fn start(source: Exec) -> Self {
        Self::start_at(source, Arc::default())
    }

    fn start_at(source: Exec, port: Arc<TestPort>) -> Self {
        let stop = Shutdown::new();
        let context = SourceContext::new("exec", port.clone(), stop.clone());
        let reports: Arc<Mutex<Vec<ExecReport>>> = Arc::default();
        let told = reports.clone();
        let mut source = source.on_report(move |report| told.lock().push(report.clone()));
        source.open(&context).unwrap();
        let own = context.clone();
        let thread = thread::spawn(move || source.run(&own));
        Self { port, stop, context, thread, reports }
    }

    /// Waits until so many lines are committed.
    fn await_lines(&self, lines: usize) -> Vec<String> {
        self.port.until(|state| state.events.len() >= lines);
        self.lines()
    }

    fn lines(&self) -> Vec<String> {
        self.port.bodies().iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    fn stop(self) -> Vec<ExecReport> {
        self.stop.request();
        self.join()
    }

    fn join(self) -> Vec<ExecReport> {
        self.thread.join().unwrap().unwrap();
        Arc::into_inner(self.reports).unwrap().into_inner()
    }

    fn dropped(&self) -> u64 {
        self.context.counters().snapshot().dropped_events
    }
}

fn sh(script: &str) -> Exec {
    Exec::shell("/bin/sh -c", script)
}

fn bodies(source: Exec) -> Vec<Bytes> {
    let running = Running::start(source);
    let port = running.port.clone();
    running.join();
    port.bodies()
}

/// Waits until a process has ended; one that nobody waits for counts.
fn await_end(pid: &str) {
    for _ in 0..60_000 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        if matches!(state, None | Some("Z" | "X")) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("process {pid} does not end");
}

fn is_alive(pid: &str) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

#[test]
fn lines_are_events_in_batches() {
    let running = Running::start(Exec::command_line("  seq 1\t100 ").batch_max(7).batch_wait(Duration::MAX));
    let port = running.port.clone();
    let reports = running.join();
    assert_eq!(port.bodies(), (1..=100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(port.state.lock().batches, [&[7; 14][..], &[2]].concat());
    assert!(matches!(&reports[..], [ExecReport::Ended(Some(status))] if status.success()), "{reports:?}");
}

#[test]
fn a_command_is_no_shell_unless_it_is_asked_for() {
    let words = bodies(Exec::command_line("printf %s\\n 'a $HOME *; ls"));
    assert_eq!(words, ["'a", "$HOME", "*;", "ls"]);
    assert_eq!(bodies(Exec::new("printf", ["%s\\n", "a b", "$(date)"])), ["a b", "$(date)"]);
    assert_eq!(bodies(sh("for i in a b; do echo \"$i c\"; done")), ["a c", "b c"]);
    assert_eq!(bodies(sh("cat; echo end of input")), ["end of input"]);
    let environment = Exec::new("/usr/bin/env", [""; 0]).env_clear().env("ONE", "1").env("TWO", "2");
    assert_eq!(bodies(environment), ["ONE=1", "TWO=2"]);
    assert_eq!(bodies(Exec::new("pwd", [""; 0]).current_dir("/usr")), ["/usr"]);
}

#[test]
fn bodies_keep_the_encoding_of_the_command() {
    let printed = r"printf 'caf\351\r\nbad\r\rlast'";
    assert_eq!(bodies(sh(printed).charset("ISO-8859-1")), [&b"caf\xe9"[..], b"bad", b"", b"last"]);
    assert_eq!(bodies(sh(printed)), ["caf\u{fffd}", "bad", "", "last"]);
    assert_eq!(bodies(sh(printed).bytes())[0], &b"caf\xe9"[..]);
    assert_eq!(bodies(sh(printed).charset("US-ASCII"))[0], "caf?");
    let wide = sh(r"printf 'a\0\n\0b\0'").charset("UTF-16LE");
    assert_eq!(bodies(wide), [&b"a\0"[..], b"b\0"]);
    let mistake = |source: Exec| source.check().unwrap_err().setting;
    assert_eq!(mistake(sh("").charset("UTF-16")), "charset");
    assert_eq!(mistake(sh("").charset("none")), "charset");
    assert_eq!(mistake(Exec::command_line(" \t")), "command");
    assert_eq!(mistake(sh("a\0b")), "command");
    assert_eq!(mistake(sh("").batch_max(0)), "batch_max");
    assert_eq!(mistake(sh("").line_max_bytes(3)), "line_max_bytes");
}

#[test]
fn a_partial_batch_is_committed_while_the_command_goes_on() {
    let running = Running::start(sh("echo one; echo two; exec sleep 1000").batch_wait(Duration::from_millis(10)));
    assert_eq!(running.await_lines(2), ["one", "two"]);
    let reports = running.stop();
    assert!(matches!(&reports[..], [ExecReport::Ended(Some(status))] if !status.success()), "{reports:?}");
}

#[test]
fn a_command_runs_again_however_it_ends() {
    let running = Running::start(sh("echo $$; kill -9 $$").restart(Duration::ZERO).batch_max(1));
    let mut pids = running.await_lines(3);
    let reports = running.stop();
    assert!(reports.len() >= 3 && reports.iter().all(|report| matches!(report, ExecReport::Ended(Some(_)))));
    pids.dedup();
    assert!(pids.len() >= 3, "{pids:?}");
}

#[test]
fn a_command_that_cannot_be_started_is_an_error_or_tried_again() {
    let port: Arc<TestPort> = Arc::default();
    let context = SourceContext::new("exec", port, Shutdown::new());
    let error = Exec::command_line("/no/such/program x").run(&context).unwrap_err();
    assert!(matches!(error, SourceError::Fatal(_)));
    assert!(error.to_string().starts_with("command \"/no/such/program\" cannot be started: "), "{error}");
    assert_eq!(context.counters().snapshot().event_read_fail, 1);

    let stop = context.shutdown().clone();
    let told = Mutex::new(0);
    let mut source = Exec::command_line("/no/such/program").restart(Duration::ZERO).on_report(move |report| {
        assert!(matches!(report, ExecReport::NotStarted(_)), "{report}");
        *told.lock() += 1;
        if *told.lock() == 3 {
            stop.request();
        }
    });
    source.run(&context).unwrap();
    assert_eq!(context.counters().snapshot().event_read_fail, 4);
}

#[test]
fn a_stop_ends_all_that_the_command_has_started_even_what_ignores_it() {
    let script = "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; done";
    let running = Running::start(sh(script).batch_max(1));
    let pids = running.await_lines(2);
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    running.stop();
    pids.iter().for_each(|pid| await_end(pid));
}

#[test]
fn what_a_command_prints_when_it_is_asked_to_end_is_taken() {
    let script = "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.01; done";
    let running = Running::start(sh(script).batch_max(1));
    running.await_lines(1);
    let port = running.port.clone();
    let reports = running.stop();
    assert_eq!(port.bodies(), ["hello", "bye"]);
    let ended = reports.last();
    assert!(matches!(ended, Some(ExecReport::Ended(Some(status))) if status.code() == Some(3)), "{ended:?}");
}

#[test]
fn a_command_that_closes_its_output_and_goes_on_is_ended() {
    let running = Running::start(sh("echo $$; exec >&-; while :; do sleep 1000; done"));
    let port = running.port.clone();
    running.join();
    let pid = String::from_utf8(port.bodies()[0].to_vec()).unwrap();
    await_end(&pid);
}

#[test]
fn a_line_without_end_is_cut() {
    let running = Running::start(sh("exec cat /dev/zero").line_max_bytes(1000).batch_wait(Duration::ZERO));
    running.await_lines(100);
    let port = running.port.clone();
    running.stop();
    // The last one ends with the command.
    let bodies = port.bodies();
    assert!(bodies[..bodies.len() - 1].iter().all(|body| body == &[0; 1000][..]));
}

/// Goal: a full channel drops nothing and stops the command. Method: the channel takes ten lines; the command, which prints
/// far more than a pipe holds and then ends, is still there when the channel refuses; with room, all lines come in order.
#[test]
fn a_full_channel_slows_the_command_and_loses_nothing() {
    let port = TestPort::with(|state| state.capacity = 10);
    let source = sh("echo $$; seq 1 100000").batch_max(10);
    let running = Running::start_at(source, port.clone());
    port.until(|state| state.waiting == 1 && !state.events.is_empty());
    let lines = running.lines();
    assert!(lines.len() == 10 && is_alive(&lines[0]), "{lines:?}");
    port.change(|state| state.capacity = usize::MAX);
    port.until(|state| state.events.len() == 100_001);
    assert_eq!(running.dropped(), 0);
    running.join();
    assert_eq!(port.bodies()[1..], (1..=100_000).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn lines_that_do_not_fit_while_the_source_stops_are_counted() {
    let port = TestPort::with(|state| state.capacity = 5);
    let running = Running::start_at(sh("seq 1 10; exec sleep 1000").batch_max(5), port.clone());
    port.until(|state| state.waiting == 1 && !state.events.is_empty());
    let context = running.context.clone();
    running.stop();
    assert_eq!((port.bodies().len(), context.counters().snapshot().dropped_events), (5, 5));
}

#[test]
fn a_closed_channel_ends_the_command_for_good() {
    let port = TestPort::with(|state| state.closed = true);
    let running = Running::start_at(sh("echo one; exec sleep 1000").batch_max(1), port);
    let error = running.thread.join().unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Fatal(_)), "{error}");
    assert!(matches!(&running.reports.lock()[..], [ExecReport::Ended(Some(_))]));
    assert_eq!(running.context.counters().snapshot().dropped_events, 1);
}

/// A source whose first run ended because the channel failed.
fn failed(source: Exec, port: &Arc<TestPort>) -> (Exec, SourceContext, Arc<Mutex<Vec<ExecReport>>>) {
    port.change(|state| state.failing = true);
    let context = SourceContext::new("exec", port.clone(), Shutdown::new());
    let reports: Arc<Mutex<Vec<ExecReport>>> = Arc::default();
    let told = reports.clone();
    let mut source = source.on_report(move |report| told.lock().push(report.clone()));
    let error = source.run(&context).unwrap_err();
    assert!(matches!(error, SourceError::Retry(_)), "{error}");
    assert!(reports.lock().is_empty(), "the command goes on");
    (source, context, reports)
}

#[test]
fn lines_that_cannot_be_put_are_kept_and_the_command_goes_on() {
    let port: Arc<TestPort> = Arc::default();
    let (mut source, context, reports) = failed(sh("echo $$; seq 1 1000").batch_max(7), &port);
    source.open(&context).unwrap();
    assert!(matches!(source.run(&context), Err(SourceError::Retry(_))));
    port.change(|state| state.failing = false);
    source.open(&context).unwrap();
    source.run(&context).unwrap();
    source.close();
    let lines = port.bodies();
    assert_eq!(lines[1..], (1..=1000).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(matches!(&reports.lock()[..], [ExecReport::Ended(Some(status))] if status.success()));
    let counters = context.counters().snapshot();
    assert_eq!((counters.received_events, counters.accepted_events, counters.dropped_events), (1001, 1001, 0));
}

/// Goal: a stop between two runs takes what it can, counts the rest, and leaves no process behind. Method: the channel works
/// again when the source is closed, or does not, or nobody has asked the source to stop.
#[test]
fn a_command_that_waits_for_another_run_ends_with_its_source() {
    for (works_again, is_stopping) in [(true, true), (false, true), (true, false)] {
        let port: Arc<TestPort> = Arc::default();
        let pid = sh("echo $$; echo two; exec sleep 1000").batch_max(2);
        let (mut source, context, reports) = failed(pid, &port);
        port.change(|state| state.failing = !works_again);
        if is_stopping {
            context.shutdown().request();
        }
        source.close();
        assert!(matches!(&reports.lock()[..], [ExecReport::Ended(Some(status))] if !status.success()));
        let put = if works_again && is_stopping { 2 } else { 0 };
        assert_eq!((port.bodies().len() as u64, context.counters().snapshot().dropped_events), (put, 2 - put));
    }
}

/// Goal: the end of a command is not the end of what it started with its output. Method: that prints one more line once the
/// command has ended.
#[test]
fn output_that_others_hold_open_is_read_after_the_command_has_ended() {
    let script = "(until grep -q ') Z' /proc/$$/stat; do sleep 0.01; done; echo late) & echo first";
    assert_eq!(bodies(sh(script)), ["first", "late"]);
}

#[test]
fn a_flood_of_errors_does_not_hold_up_the_lines() {
    let script = "yes flood >&2 & seq 1 1000; wait";
    let running = Running::start(sh(script).read_errors(true).batch_wait(Duration::ZERO));
    assert_eq!(running.await_lines(1000).len(), 1000);
    while running.reports.lock().is_empty() {
        thread::yield_now();
    }
    let reports = running.stop();
    let floods = reports.iter().filter(|report| matches!(report, ExecReport::Error(line) if line.starts_with("flo")));
    assert_eq!(floods.count(), reports.len() - 1);
    let endless = Running::start(sh("exec cat /dev/zero >&2").read_errors(true));
    while endless.reports.lock().len() < 10 {
        thread::yield_now();
    }
    let reports = endless.stop();
    let is_bounded = |report: &ExecReport| !matches!(report, ExecReport::Error(line) if line.len() > 8192);
    assert!(reports.iter().all(is_bounded));
    // Nobody reads them, and nobody waits.
    assert_eq!(bodies(sh("seq 1 100000 >&2; echo done")), ["done"]);
}

#[test]
fn a_source_that_panics_leaves_no_process_behind() {
    let context = SourceContext::new("exec", Arc::<TestPort>::default(), Shutdown::new());
    let pid: Arc<Mutex<String>> = Arc::default();
    let seen = pid.clone();
    let mut source = sh("echo $$ >&2; exec sleep 1000").read_errors(true).on_report(move |report| {
        if let ExecReport::Error(line) = report {
            seen.lock().clone_from(line);
            panic!("told to");
        }
    });
    thread::spawn(move || source.run(&context)).join().unwrap_err();
    await_end(&pid.lock());
}

/// Goal: a command does not outlive a process that is killed. Method: this test program is started as the victim, below, whose
/// command ignores requests to end and has started another process; the victim is killed, and both end.
#[test]
fn a_command_ends_with_its_process_even_if_that_is_killed() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "source::exec::tests::victim", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.contains(PIDS)).expect("the pids");
    let pids: Vec<String> = line.split(PIDS).nth(1).unwrap().split_whitespace().map(str::to_owned).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)), "{line}");
    kill_process(Pid::from_child(&victim), Signal::KILL).unwrap();
    victim.wait().unwrap();
    pids.iter().for_each(|pid| await_end(pid));
}

#[test]
#[ignore = "is the process that the test above kills"]
fn victim() {
    let script = "trap '' TERM HUP; sleep 1000 & echo $! $$; while :; do wait; done";
    let running = Running::start(sh(script).batch_max(1));
    println!("{PIDS}{}", running.await_lines(1)[0]);
    running.port.until(|state| state.events.len() > 1);
}

const PIDS: &str = "processes: ";

/// What was printed and not committed when the process was killed is gone, and no line comes twice.
#[test]
fn over_kills_each_line_comes_once_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let mut committed: Vec<u64> = Vec::new();
    for _ in 0..3 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "source::exec::tests::counting_victim", "--ignored", "--nocapture"])
            .env(COUNTER, dir.path().join("counter"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut numbers = lines.by_ref().filter_map(|line| line.split(COMMITTED).nth(1)?.parse::<u64>().ok());
        committed.extend(numbers.by_ref().take(20));
        kill_process(Pid::from_child(&victim), Signal::KILL).unwrap();
        victim.wait().unwrap();
        committed.extend(numbers);
    }
    assert!(committed.windows(2).all(|pair| pair[0] < pair[1]), "{committed:?}");
    let printed: u64 = std::fs::read_to_string(dir.path().join("counter")).unwrap().trim().parse().unwrap();
    assert!(committed.len() >= 60 && committed.last() <= Some(&printed), "{committed:?} of {printed}");
}

#[test]
#[ignore = "is the process that the test above kills"]
fn counting_victim() {
    let counter = std::env::var(COUNTER).unwrap();
    let script = format!(
        "f='{counter}'; n=$(cat $f 2>/dev/null); n=${{n:-0}}; while :; do n=$((n+1)); echo $n >$f.new; mv $f.new $f; echo $n; done"
    );
    let running = Running::start(sh(&script).batch_max(3));
    let mut told = 0;
    loop {
        for line in running.await_lines(told + 1).into_iter().skip(told) {
            println!("{COMMITTED}{line}");
            told += 1;
        }
    }
}

const COUNTER: &str = "AQUEDUCT_EXEC_COUNTER";
const COMMITTED: &str = "committed: ";
