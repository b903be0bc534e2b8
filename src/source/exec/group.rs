//! A command with everything that it starts, in a process group that ends with this process.
//!
//! ```text
//! this process --(pipe)--> guard: waits for the end of the pipe, then kills its group
//!                            |
//!                            +-- the command, in the guard's group
//!                                  +-- whatever it starts
//! ```
//!
//! The pipe has one writing end, in this process, which the kernel closes when the process ends in whatever way, `kill -9`
//! included. The guard leads the group and is waited for last, so that the number of the group cannot pass to others while
//! somebody may still kill it.

use std::io::{self, PipeWriter};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::clock::{Clock, SystemClock};
use crate::limits::EXEC_KILL;

/// A running command. Dropped, it is killed by its guard, but not waited for.
#[derive(Debug)]
pub(super) struct Group {
    guard: Child,
    command: Child,
    clock: SystemClock,
    // Its end is what the guard waits for.
    lifeline: Option<PipeWriter>,
}

impl Group {
    /// Starts a command whose standard input, output and error are set already.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let (reader, lifeline) = io::pipe()?;
        let mut guard = Command::new(SHELL)
            .args(["-c", GUARD])
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .env_clear()
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("the guard {SHELL} cannot be started: {error}")))?;
        // ORDER: after the guard, so that at no moment a command runs that nobody would kill.
        let leader = Pid::from_child(&guard).as_raw_nonzero().get();
        match command.process_group(leader).spawn() {
            Ok(command) => Ok(Self { guard, command, clock: SystemClock::new(), lifeline: Some(lifeline) }),
            Err(error) => {
                drop(lifeline);
                // It ends by itself now.
                let _ = guard.wait();
                Err(error)
            }
        }
    }

    /// The command, to take its pipes.
    pub(super) fn command(&mut self) -> &mut Child {
        &mut self.command
    }

    /// Asks the command and all that it has started to end. The guard does not listen to that.
    pub(super) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// How the command ended, if it has.
    pub(super) fn status(&mut self) -> Option<ExitStatus> {
        self.command.try_wait().ok().flatten()
    }

    /// Kills what is left of the group and waits for the command and the guard, in bounded time: a process that is stuck in
    /// the kernel is left behind.
    pub(super) fn kill(mut self) -> Option<ExitStatus> {
        self.signal(Signal::KILL);
        self.lifeline = None;
        let deadline = self.clock.monotonic() + EXEC_KILL;
        let status = wait(&mut self.command, &self.clock, deadline);
        // ORDER: last. Until then nobody else gets the number of the group.
        wait(&mut self.guard, &self.clock, deadline);
        status
    }

    fn signal(&self, signal: Signal) {
        // There is nobody left, or nothing that could be done about it.
        let _ = kill_process_group(Pid::from_child(&self.guard), signal);
    }
}

fn wait(child: &mut Child, clock: &SystemClock, deadline: Duration) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if clock.monotonic() < deadline => thread::sleep(LOOK),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

const SHELL: &str = "/bin/sh";
/// Reads until its standard input ends, which is when the writing end is closed, and kills its own group. It is a constant:
/// nothing of the command's is ever part of it.
const GUARD: &str = "trap '' HUP INT QUIT TERM; read -r end; kill -KILL 0";
/// Pause between two looks at a process that is about to end.
const LOOK: Duration = Duration::from_millis(1);
