//! The exec source: runs a command, each line that it prints is an event.

mod group;
mod report;
mod run;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::codec::charset::Charset;
use crate::limits::{EXEC_BATCH_EVENTS, EXEC_BATCH_WAIT, LINE_BYTES_CEILING, LINE_BYTES_MAX, TRANSACTION_EVENTS_MAX};
use crate::source::setting::Kind;
use crate::source::{SettingError, Source, SourceContext, SourceError};
use crate::tell::tell;
use run::Run;

pub use report::ExecReport;

/// Runs a command; every line of its standard output becomes an event: Flume's `exec` source.
///
/// ```
/// use std::sync::Arc;
///
/// use aqueduct::source::exec::Exec;
/// use aqueduct::source::{Source, SourceContext};
/// use aqueduct::{Channel, MemoryChannel, Shutdown, Wait};
///
/// let channel = MemoryChannel::new("lines");
/// let mut source = Exec::new("printf", ["%s\\n", "one line", "another; with $signs"]);
///
/// // An agent does the next lines.
/// let context = SourceContext::new("lines", Arc::new(channel.clone()), Shutdown::new());
/// source.open(&context)?;
/// source.run(&context)?;
///
/// let events = channel.take(10, Wait::NONE)?;
/// let bodies: Vec<_> = events.iter().map(|event| event.body().clone()).collect();
/// assert_eq!(bodies, ["one line", "another; with $signs"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # No guarantee of delivery
///
/// A command cannot be told what has been committed: lines that it printed and that were not committed yet are lost when
/// the process ends, and whatever it prints again after a restart comes twice. For files that grow there is
/// [`TailDir`](crate::TailDir), which loses and repeats nothing. While everything runs, nothing is dropped: a full channel
/// is waited for, the pipe fills up, and the command waits in turn.
///
/// # Processes
///
/// The command is started without a shell, with an empty standard input, unless [`shell`](Self::shell) makes one a part of
/// it. It runs in a process group of its own, together with what it starts, and with a guard: a small `/bin/sh` that waits
/// until this process is gone.
///
/// * The source stops: the group gets `SIGTERM`, what it still prints within [`EXEC_STOP`](crate::limits::EXEC_STOP) is
///   taken, then `SIGKILL` ends what is left.
/// * The command has ended and its output is closed: what is left of its group is killed. So a command must not leave
///   processes behind that are to go on. While one that it has started holds its output open, that is read, as in Flume, and
///   the command is not run again before.
/// * Its output is closed and it does not end within [`EXEC_EXIT`](crate::limits::EXEC_EXIT): it is stopped like that.
/// * This process ends without a word, by `kill -9` for instance: the guard sees it and kills the group. Only a process that
///   has left the group (`setsid`), or a guard that was killed before, escapes that; the closed pipe ends it when it prints.
///   A copy of this process that was forked without executing another program keeps the guard waiting.
///
/// # Lines
///
/// `\n`, `\r` and `\r\n` end a line, as in Flume; what is left at the end is a line, too. One that is longer than
/// [`line_max_bytes`](Self::line_max_bytes) is cut, and goes on as the next event. Bodies have the encoding that
/// [`charset`](Self::charset) names; in it, whatever is not valid becomes U+FFFD, or a question mark where the encoding does
/// not have that.
///
/// # Failures
///
/// Lines that cannot be put for a reason that can pass, such as storage that fails or an interceptor that panics, are kept and
/// put again when the agent runs the source again; meanwhile the command waits in its pipe. A failure never runs the command
/// a second time. A closed channel ends it with a fatal error.
///
/// # Counters
///
/// `dropped_events`: lines that the channel did not take, which happens only while the source stops, if a single line is too
/// large for it, or if the channel is closed or cannot tell what became of them. `event_read_fail`: commands that could not be
/// started.
#[must_use = "a source does nothing until it is run"]
pub struct Exec {
    settings: Settings,
    on_report: Option<Callback>,
    run: Option<Run>,
}

type Callback = Box<dyn FnMut(&ExecReport) + Send>;

#[derive(Clone, Debug)]
struct Settings {
    arguments: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    clears_env: bool,
    current_dir: Option<PathBuf>,
    // `None`: bodies are the bytes that the command prints.
    charset: Option<String>,
    line_max_bytes: usize,
    batch_max: usize,
    batch_wait: Duration,
    restart: Option<Duration>,
    reads_errors: bool,
}

impl Exec {
    /// Runs `program` with these arguments. A program without a slash is looked for in `PATH`.
    pub fn new<A: Into<OsString>>(program: impl Into<OsString>, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = std::iter::once(program.into()).chain(arguments.into_iter().map(Into::into)).collect();
        Self::of(arguments)
    }

    /// Runs a program and its arguments, separated by white space: Flume's `command`. There are no quotes and no escapes.
    pub fn command_line(command: &str) -> Self {
        Self::of(words(command))
    }

    /// Lets a shell run a command: Flume's `shell`, such as `/bin/sh -c`, whose words are followed by the whole command as
    /// the last argument.
    pub fn shell(shell: &str, command: &str) -> Self {
        let mut arguments = words(shell);
        arguments.push(command.into());
        Self::of(arguments)
    }

    fn of(arguments: Vec<OsString>) -> Self {
        let settings = Settings {
            arguments,
            env: Vec::new(),
            clears_env: false,
            current_dir: None,
            charset: Some("UTF-8".to_owned()),
            line_max_bytes: LINE_BYTES_MAX,
            batch_max: EXEC_BATCH_EVENTS,
            batch_wait: EXEC_BATCH_WAIT,
            restart: None,
            reads_errors: false,
        };
        Self { settings, on_report: None, run: None }
    }

    /// Sets a variable of the command's environment, which is otherwise that of this process.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.settings.env.push((name.into(), value.into()));
        self
    }

    /// Begins with an empty environment: the command sees nothing but what [`env`](Self::env) sets.
    pub fn env_clear(mut self) -> Self {
        self.settings.clears_env = true;
        self
    }

    /// Runs the command in this directory instead of that of this process.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.current_dir = Some(dir.into());
        self
    }

    /// The encoding of what the command prints, and of the bodies; UTF-8 by default. Labels as by [`Charset::for_label`].
    pub fn charset(mut self, label: impl Into<String>) -> Self {
        self.settings.charset = Some(label.into());
        self
    }

    /// Hands the bytes of the lines on as they are, valid text or not.
    pub fn bytes(mut self) -> Self {
        self.settings.charset = None;
        self
    }

    /// The longest line, from 4 bytes to [`LINE_BYTES_CEILING`]; [`LINE_BYTES_MAX`] by default.
    pub fn line_max_bytes(mut self, bytes: usize) -> Self {
        self.settings.line_max_bytes = bytes;
        self
    }

    /// Lines in one transaction, at most; [`EXEC_BATCH_EVENTS`] by default.
    pub fn batch_max(mut self, lines: usize) -> Self {
        self.settings.batch_max = lines;
        self
    }

    /// The time after the last commit at which lines are committed although there are fewer than
    /// [`batch_max`](Self::batch_max) of them; [`EXEC_BATCH_WAIT`] by default. So after a silence a line is committed at once.
    pub fn batch_wait(mut self, wait: Duration) -> Self {
        self.settings.batch_wait = wait;
        self
    }

    /// Runs the command again when it ends, however it ends, and also when it cannot be started, after this pause. By default
    /// the source ends with its command.
    pub fn restart(mut self, pause: Duration) -> Self {
        self.settings.restart = Some(pause);
        self
    }

    /// Whether the lines of standard error are read, for [`on_report`](Self::on_report). By default they go to
    /// `/dev/null`.
    pub fn read_errors(mut self, read: bool) -> Self {
        self.settings.reads_errors = read;
        self
    }

    /// Calls this for each line of standard error, if it is read, and each time the command ends or cannot be started.
    pub fn on_report(mut self, callback: impl FnMut(&ExecReport) + Send + 'static) -> Self {
        self.on_report = Some(Box::new(callback));
        self
    }

    /// Checks the settings, which [`open`](Source::open) does as well.
    ///
    /// # Errors
    /// [`SettingError`] names the first setting that cannot be used.
    pub fn check(self) -> Result<Self, SettingError> {
        self.settings.check()?;
        Ok(self)
    }
}

impl Settings {
    fn check(&self) -> Result<Charset, SettingError> {
        let error = |setting, value: String, reason: String| KIND.error(setting, value, reason);
        let has_program = self.arguments.first().is_some_and(|program| !program.is_empty());
        if !has_program {
            return Err(error("command", String::new(), "is empty; name a program".to_owned()));
        }
        if let Some(bad) = self.arguments.iter().find(|argument| argument.as_encoded_bytes().contains(&0)) {
            let reason = "contains a NUL, which no argument can".to_owned();
            return Err(error("command", bad.to_string_lossy().into_owned(), reason));
        }
        if !(4..=LINE_BYTES_CEILING).contains(&self.line_max_bytes) {
            let reason = format!("must be from 4 to {LINE_BYTES_CEILING}");
            return Err(error("line_max_bytes", self.line_max_bytes.to_string(), reason));
        }
        if !(1..=TRANSACTION_EVENTS_MAX).contains(&self.batch_max) {
            let reason = format!("must be from 1 to {TRANSACTION_EVENTS_MAX}");
            return Err(error("batch_max", self.batch_max.to_string(), reason));
        }
        let label = self.charset.as_deref();
        let refused = |reason: &str| error("charset", label.unwrap_or_default().to_owned(), reason.to_owned());
        let charset = label.map_or(Some(Charset::BYTES), Charset::for_label);
        match charset {
            None => Err(refused("is no known encoding; give a label such as UTF-8, ISO-8859-1 or Shift_JIS")),
            // Each line would need a mark of its own.
            Some(charset) if charset.name() == "UTF-16" => {
                Err(refused("leaves the order of bytes open; give UTF-16LE or UTF-16BE"))
            }
            Some(charset) => Ok(charset),
        }
    }

    /// The program, for messages.
    fn program(&self) -> String {
        self.arguments.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The command, with its output in pipes.
    fn command(&self) -> Command {
        let mut words = self.arguments.iter();
        let mut command = Command::new(words.next().map(OsString::as_os_str).unwrap_or_default());
        command.args(words);
        if self.clears_env {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        let errors = if self.reads_errors { Stdio::piped() } else { Stdio::null() };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        command
    }
}

impl Source for Exec {
    fn open(&mut self, _context: &SourceContext) -> Result<(), SourceError> {
        self.settings.check().map(drop).map_err(SourceError::fatal)
    }

    fn run(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        let charset = self.settings.check().map_err(SourceError::fatal)?;
        let mut tell = teller(&mut self.on_report);
        loop {
            // After a failure the command of the run before goes on.
            let started = match self.run.take() {
                Some(run) => Ok(run),
                None => Run::start(&self.settings, charset, context),
            };
            match started {
                Ok(run) => {
                    let run = self.run.insert(run);
                    let outcome = run.read_to_end(&mut tell);
                    let is_stopping = context.shutdown().is_requested();
                    if matches!(outcome, Err(SourceError::Retry(_))) && !is_stopping {
                        return outcome;
                    }
                    self.run.take().into_iter().for_each(|run| run.end(&mut tell));
                    // What does not fit any more while the source stops is counted as dropped, and nobody can help it.
                    if !is_stopping {
                        outcome?;
                    }
                }
                Err(error) => {
                    context.counters().event_read_fail.fetch_add(1, Ordering::Relaxed);
                    let text = format!("command {:?} cannot be started: {error}", self.settings.program());
                    if self.settings.restart.is_none() {
                        return Err(not_started(&error, text));
                    }
                    tell(ExecReport::NotStarted(text));
                }
            }
            let Some(pause) = self.settings.restart else { return Ok(()) };
            if context.shutdown().sleep(pause) {
                return Ok(());
            }
        }
    }

    fn close(&mut self) {
        let mut tell = teller(&mut self.on_report);
        let Some(mut run) = self.run.take() else { return };
        if run.is_stopping() {
            // The last attempt to put what was refused. What fails now is counted as dropped.
            let _ = run.read_to_end(&mut tell);
        }
        run.end(&mut tell);
    }
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn teller(on_report: &mut Option<Callback>) -> impl FnMut(ExecReport) {
    move |report| {
        tell!(DEBUG, "command", report = report);
        if let Some(callback) = on_report {
            callback(&report);
        }
    }
}

/// A program that there is not will not come by itself; for want of memory or processes there may be more later.
fn not_started(error: &io::Error, text: String) -> SourceError {
    match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock => SourceError::retry(text),
        _ => SourceError::fatal(text),
    }
}

/// Words separated by what Java's expressions take for white space.
fn words(text: &str) -> Vec<OsString> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
    text.split(is_blank).filter(|word| !word.is_empty()).map(OsString::from).collect()
}

const KIND: Kind = Kind("exec source");

#[cfg(test)]
mod tests;
