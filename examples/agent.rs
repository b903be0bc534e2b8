//! Runs an agent of a Flume properties file, as `flume-ng agent` does.
//!
//!     cargo run --release --example agent -- --conf-file F --name a1
//!
//! It says on standard error when every source is open and accepts what it is sent, or which one cannot be opened yet, and
//! stops on SIGTERM or SIGINT: the sources first, then the sinks deliver what is in the channels, as far as it goes within `--drain` seconds. What is in
//! a file channel after that is there at the next start. Logger sinks write to standard output, and what the library warns of
//! stands among the rest on standard error.
//!
//! Exit codes: 0 it was stopped, or the check found no mistake; 1 it could not start, or a component failed for good; 64 wrong
//! arguments; 78 mistakes in the configuration; 75 stopped before all was done, with `--until-done`.
//!
//! run: --conf-file examples/conf/count.properties --name a1 --until-done

// A program reads its own files.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use aqueduct::agent::{Health, Outcome, RunningAgent, ShutdownReport};
use aqueduct::config::{Channels, ConfigError, OpenError, Options, Plan, Problem, Properties};
use aqueduct::{Channel, Drain, Wait};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

const USAGE: &str = "\
usage: agent --conf-file FILE --name AGENT [options]

  -f, --conf-file FILE   properties file; of several, the later ones count more
  -n, --name AGENT       which agent of the files to run
  -Dkey=value            system property, for ${sys:key} and for the defaults of TLS
      --check            find all mistakes and end
      --lenient          pass over mistakes with a warning and run what is left, as Flume does
      --reload[=SECONDS] look every so often (30) whether the files have changed, and on SIGHUP, and take them over
      --until-done       end when all sources have ended and all channels with sinks are empty
      --drain SECONDS    how long the sinks may go on delivering when it stops (10)
  -h, --help             this text
      --version          the version

Arguments of flume-ng that make no difference here are accepted: the word agent, -c and --conf DIR, -C and --classpath PATH,
--plugins-path DIR, --no-reload-conf, -X..., -javaagent..., -d, -i and --poll-interval SECONDS, -b and --backup-directory DIR, and
what is for configurations from elsewhere. As there, long names may begin with one dash, and -fFILE and -f=FILE are -f FILE.";

/// The long names of flume-ng, which may begin with one dash.
const LONG: [&str; 12] = [
    "name",
    "conf-file",
    "conf-uri",
    "auth-provider",
    "conf-provider",
    "conf-user",
    "conf-password",
    "poll-interval",
    "backup-directory",
    "no-reload-conf",
    "zkConnString",
    "zkBasePath",
];

/// The short names of flume-ng whose value may follow at once; of two that begin alike the longer one is first.
const SHORT: [&str; 11] = ["-prov", "-user", "-pwd", "-n", "-f", "-u", "-a", "-i", "-b", "-z", "-p"];

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => {
            say(format_args!("{message}\n\n{USAGE}"));
            return ExitCode::from(64);
        }
    };
    run(&arguments).unwrap_or_else(|failure| {
        say(&failure);
        let is_mistake = failure.is::<ConfigError>() || matches!(failure.downcast_ref(), Some(OpenError::Config(_)));
        ExitCode::from(if is_mistake { 78 } else { 1 })
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    // Before the files are read for what they say: what changes in between is taken over then.
    let content = arguments.content().unwrap_or_default();
    let properties = arguments.properties()?;
    let plan = arguments.plan(&properties)?;
    plan.warnings().iter().for_each(warn);
    if arguments.check {
        let count = plan.warnings().len();
        print(format_args!("{plan}; no mistakes, {count} warning{}", if count == 1 { "" } else { "s" }));
        return Ok(ExitCode::SUCCESS);
    }
    show_warnings();
    // From here on a signal stops it in good order, however early it comes.
    let wishes = wishes()?;
    let mut service = Service::start(arguments, content, properties, plan)?;
    loop {
        match service.wait(&wishes) {
            Reason::Over(why) => return service.stop(why),
            Reason::Reload => service = service.reload()?,
        }
    }
}

fn warn(problem: &Problem) {
    say(format_args!("warning: {problem}"));
}

/// Tells the operator, in one piece, so that it stays a line of its own where others write to the same file. Nobody may
/// listen any more, which is no reason to stop.
fn say(message: impl Display) {
    let _ = io::stderr().write_all(format!("agent: {message}\n").as_bytes());
}

/// Shows on standard error what the library warns of, such as clients that get no secure layer, files that are left alone, and disks
/// without room. As above, nobody may listen.
fn show_warnings() {
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(io::stderr);
    // That a component fails, which it may do again and again, the service says itself, once.
    let wanted = Targets::new().with_default(LevelFilter::WARN);
    let wanted = wanted.with_target("aqueduct::agent::component", LevelFilter::ERROR);
    lines.log_internal_errors(false).finish().with(wanted).init();
}

/// Answers on standard output, which may be closed, too.
fn print(answer: impl Display) {
    let _ = io::stdout().write_all(format!("{answer}\n").as_bytes());
}

/// What the command line asks for.
#[derive(Debug)]
struct Arguments {
    files: Vec<PathBuf>,
    name: String,
    properties: BTreeMap<String, String>,
    check: bool,
    lenient: bool,
    until_done: bool,
    reload: Option<Duration>,
    drain: Duration,
}

impl Arguments {
    /// `None` if nothing is left to do.
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut parsed = Self {
            files: Vec::new(),
            name: String::new(),
            properties: BTreeMap::new(),
            check: false,
            lenient: false,
            until_done: false,
            reload: None,
            drain: Duration::from_secs(10),
        };
        let mut arguments = arguments.peekable();
        arguments.next_if(|first| first == "agent");
        while let Some(argument) = arguments.next() {
            let argument = with_two_dashes(argument);
            let (name, joined) = split(&argument);
            let mut value = || {
                let next = joined.clone().or_else(|| arguments.next());
                next.ok_or_else(|| format!("{name} needs a value"))
            };
            match name {
                "-n" | "--name" => parsed.name = value()?,
                "-f" | "--conf-file" => parsed.files.push(value()?.into()),
                "-u" | "--conf-uri" => parsed.files.push(file_of(&value()?)?),
                "-c" | "--conf" => {
                    let environment = Path::new(&value()?).join("flume-env.sh");
                    if environment.exists() {
                        let why = "set the variables that it exports before, and give the -D of its JAVA_OPTS here";
                        say(format_args!("warning: {} is not run; {why}", environment.display()));
                    }
                }
                "-C" | "--classpath" | "--plugins-path" | "-i" | "--poll-interval" | "-b" | "--backup-directory"
                | "-a" | "--auth-provider" | "-user" | "--conf-user" | "-pwd" | "--conf-password" | "-p"
                | "--zkBasePath" => drop(value()?),
                "--no-reload-conf" | "-d" | "--dryrun" => {}
                "--check" => parsed.check = true,
                "--lenient" => parsed.lenient = true,
                "--until-done" => parsed.until_done = true,
                "--reload" => {
                    let every = seconds(name, joined.as_deref().unwrap_or("30"))?;
                    if every.is_zero() {
                        return Err(
                            "--reload=0 would look at the files without a pause; it needs at least 1".to_owned()
                        );
                    }
                    parsed.reload = Some(every);
                }
                "--drain" => parsed.drain = seconds(name, &value()?)?,
                "-h" | "--help" | "help" => {
                    print(USAGE);
                    return Ok(None);
                }
                "--version" | "version" => {
                    print(concat!("aqueduct ", env!("CARGO_PKG_VERSION")));
                    return Ok(None);
                }
                "-D" => parsed.define(&value()?),
                "-prov" | "--conf-provider" => return Err("configurations are read from files alone".to_owned()),
                "-z" | "--zkConnString" => return Err("configurations are not read from ZooKeeper".to_owned()),
                _ if ["-X", "-javaagent"].iter().any(|begin| name.starts_with(begin)) => {}
                _ if name.starts_with("-D") => parsed.define(argument.trim_start_matches("-D")),
                _ => return Err(format!("{argument} is no argument")),
            }
        }
        if parsed.files.is_empty() {
            return Err("--conf-file is missing".to_owned());
        }
        if parsed.name.is_empty() {
            return Err("--name is missing".to_owned());
        }
        Ok(Some(parsed))
    }

    fn define(&mut self, definition: &str) {
        let (key, value) = definition.split_once('=').unwrap_or((definition, ""));
        if key.starts_with("flume.monitoring.") && !value.is_empty() {
            say(format_args!("warning: -D{definition}: this program answers no questions about its counters"));
        }
        self.properties.insert(key.to_owned(), value.to_owned());
    }

    fn properties(&self) -> Result<Properties, ConfigError> {
        self.files.iter().try_fold(Properties::default(), |all, file| Ok(all.then(Properties::load(file)?)))
    }

    fn content(&self) -> io::Result<Vec<Vec<u8>>> {
        self.files.iter().map(std::fs::read).collect()
    }

    fn plan(&self, properties: &Properties) -> Result<Plan, ConfigError> {
        let mut options = Options::new();
        if self.lenient {
            options = options.lenient();
        }
        for (key, value) in &self.properties {
            options = options.with_property(key, value);
        }
        properties.plan(&self.name, &options)
    }
}

fn with_two_dashes(argument: String) -> String {
    let name = argument.strip_prefix('-').map(|name| name.split('=').next().unwrap_or_default());
    if name.is_some_and(|name| LONG.contains(&name)) { format!("-{argument}") } else { argument }
}

/// The name of an argument, and a value that follows it at once.
fn split(argument: &str) -> (&str, Option<String>) {
    if argument.starts_with("--") {
        return argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value.to_owned())));
    }
    let short = SHORT.iter().find_map(|short| Some((*short, argument.strip_prefix(short)?)));
    match short {
        Some((name, value)) if !value.is_empty() => (name, Some(value.strip_prefix('=').unwrap_or(value).to_owned())),
        _ => (argument, None),
    }
}

fn file_of(uri: &str) -> Result<PathBuf, String> {
    match uri.split_once(':') {
        None => Ok(uri.into()),
        Some(("file", path)) => Ok(path.strip_prefix("//").unwrap_or(path).into()),
        Some((scheme, _)) => Err(format!("configurations are read from files, not by {scheme}")),
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| *seconds <= 86_400);
    seconds.map(Duration::from_secs).ok_or_else(|| format!("{name} needs a number of seconds up to a day, not {value}"))
}

/// What comes from outside while the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

/// Signals as wishes. Whoever asks twice to stop does not want to wait.
fn wishes() -> Result<Receiver<Wish>, Box<dyn Error>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if signal != SIGHUP && std::mem::replace(&mut asked, true) {
                say("asked twice to stop: not waiting any more");
                std::process::exit(1);
            }
            let wish = if signal == SIGHUP { Wish::Reload } else { Wish::Stop };
            if send.send(wish).is_err() {
                break;
            }
        }
    })?;
    Ok(receive)
}

/// The agent at work.
struct Service<'a> {
    arguments: &'a Arguments,
    // What it runs by, and the files as they were then, and when they were looked at last, to see changes.
    properties: Properties,
    content: Vec<Vec<u8>>,
    seen: Vec<Vec<u8>>,
    channels: Channels,
    running: RunningAgent,
    // What is said once every source is open.
    ready: Option<String>,
    // What was said of each component last.
    said: BTreeMap<String, String>,
}

/// Why waiting is over.
enum Reason {
    Over(Outcome),
    Reload,
}

impl<'a> Service<'a> {
    fn start(
        arguments: &'a Arguments,
        content: Vec<Vec<u8>>,
        properties: Properties,
        plan: Plan,
    ) -> Result<Self, Box<dyn Error>> {
        let mut channels = Channels::new();
        let (running, ready) = open(plan, &mut channels)?;
        let (seen, said) = (content.clone(), BTreeMap::new());
        let mut service = Self { arguments, properties, content, seen, channels, running, ready: Some(ready), said };
        service.look();
        Ok(service)
    }

    fn wait(&mut self, wishes: &Receiver<Wish>) -> Reason {
        let mut looked = Instant::now();
        loop {
            let pause = if self.arguments.until_done { Duration::ZERO } else { Duration::from_secs(1) };
            let wish = match wishes.recv_timeout(pause) {
                Ok(wish) => Some(wish),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Wish::Stop),
            };
            self.look();
            match wish {
                Some(Wish::Stop) => return Reason::Over(Outcome::Stopped),
                // A new start would repeat what some sources have read. A terminal that is closed asks, too.
                Some(Wish::Reload) if self.is_other_than(&self.content).unwrap_or(true) => return Reason::Reload,
                Some(Wish::Reload) => {
                    say(
                        "the configuration has not changed; key stores are read again with a change, if only of a comment",
                    );
                }
                None => {}
            }
            if self.arguments.until_done {
                let outcome = self.running.wait_done(Wait::up_to(Duration::from_millis(200)));
                if outcome != Outcome::Stopped {
                    return Reason::Over(outcome);
                }
            }
            if self.arguments.reload.is_some_and(|every| looked.elapsed() >= every) {
                looked = Instant::now();
                // One that is being replaced is looked at again.
                if self.is_other_than(&self.seen).unwrap_or(false) {
                    return Reason::Reload;
                }
            }
        }
    }

    /// Says what has changed about the health of a component.
    fn look(&mut self) {
        let stats = self.running.stats();
        let sources = stats.sources.iter().map(|source| ("source", &source.name, &source.status));
        let sinks = stats.sinks.iter().map(|sink| ("sink", &sink.name, &sink.status));
        let groups = stats.groups.iter().map(|group| ("sink group", &group.name, &group.status));
        for (kind, name, status) in sources.chain(sinks).chain(groups) {
            let news = match (status.health, &status.last_error) {
                (Health::Retrying, Some(error)) => format!("{error}; it is tried again"),
                (Health::Failed, Some(error)) => format!("failed for good: {error}"),
                (Health::Running, Some(error)) => format!("works again after: {error}"),
                _ => continue,
            };
            let said = self.said.entry(format!("{kind} {name}")).or_default();
            if *said != news {
                say(format_args!("{kind} {name}: {news}"));
                *said = news;
            }
        }
        let is_open = |health| matches!(health, Health::Running | Health::Ended);
        if stats.sources.iter().all(|source| is_open(source.status.health))
            && let Some(what) = self.ready.take()
        {
            say(format_args!("ready: {what}"));
        }
    }

    /// Whether the files are others than those.
    fn is_other_than(&self, content: &[Vec<u8>]) -> io::Result<bool> {
        Ok(self.arguments.content()? != content)
    }

    /// Takes the files over, if they are right; if the agent cannot start with them, it goes on as it was.
    fn reload(mut self) -> Result<Self, Box<dyn Error>> {
        self.seen = self.arguments.content().unwrap_or_default();
        let properties = self.arguments.properties();
        let plan = properties.and_then(|properties| Ok((self.arguments.plan(&properties)?, properties)));
        let (plan, properties) = match plan {
            Ok(plan) => plan,
            Err(error) => {
                say(format_args!("the changed configuration is not used: {error}"));
                return Ok(self);
            }
        };
        plan.warnings().iter().for_each(warn);
        let Self { arguments, properties: before, content: used, seen, mut channels, running, .. } = self;
        let changed = channels.changed_by(&plan).join(", ");
        say("takes over a changed configuration");
        let drain = if changed.is_empty() { Drain::NONE } else { Drain::up_to(arguments.drain) };
        let report = running.shutdown(drain)?;
        if !changed.is_empty() {
            say(format_args!("has other settings or no place any more for channel {changed}"));
            say_left(&report, &channels);
        }
        let ((running, ready), properties, content) = match open(plan, &mut channels) {
            Ok(opened) => (opened, properties, seen.clone()),
            Err(error) => {
                say(format_args!("goes on as it was, since it cannot start with the changed configuration: {error}"));
                (open(arguments.plan(&before)?, &mut channels)?, before, used)
            }
        };
        let said = BTreeMap::new();
        let mut service = Self { arguments, properties, content, seen, channels, running, ready: Some(ready), said };
        service.look();
        Ok(service)
    }

    /// Stops in good order and says what is left.
    fn stop(mut self, why: Outcome) -> Result<ExitCode, Box<dyn Error>> {
        self.look();
        let Self { arguments, mut channels, running, .. } = self;
        let report = running.shutdown(Drain::up_to(arguments.drain))?;
        say_left(&report, &channels);
        channels.close()?;
        say(format_args!("{} has stopped", report.name));
        Ok(match (report.outcome, why) {
            (Outcome::Failed, _) | (_, Outcome::Failed) => ExitCode::FAILURE,
            _ if arguments.until_done => ExitCode::from(why.exit_code()),
            _ => ExitCode::SUCCESS,
        })
    }
}

/// Opens and starts an agent; what it is comes with it.
fn open(plan: Plan, channels: &mut Channels) -> Result<(RunningAgent, String), Box<dyn Error>> {
    let what = plan.to_string();
    Ok((plan.open_with(channels)?.start()?, what))
}

fn say_left(report: &ShutdownReport, channels: &Channels) {
    for left in report.left.iter().filter(|left| left.events > 0) {
        let is_kept = channels.get(&left.name).is_some_and(Channel::outlives_close);
        let then = if is_kept { "which wait for the next start" } else { "which are lost" };
        say(format_args!("{} events are left in channel {}, {then}", left.events, left.name));
    }
    for end in &report.components {
        if let Some(error) = &end.close_error {
            say(format_args!("{} {} did not close well: {error}", end.kind, end.name));
        }
    }
}
