//! The child: works on the store and says what it does. A line is written before a commit begins and after it has returned.
//!
//! | line | meaning |
//! |---|---|
//! | `opening`, `open` | an open begins, has returned |
//! | `put FIRST COUNT CHANNELS` | the commit of the events FIRST.. for the channels with these bits begins |
//! | `ok FIRST`, `no FIRST` | it returned; it returned that nothing was put |
//! | `take CHANNEL NUMBER IDS` | the commit of a take of these events begins |
//! | `taken CHANNEL NUMBER` | it returned |
//! | `bad TEXT` | something is wrong |

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use aqueduct::testing::Random;
use aqueduct::{Channel, FileChannel, FileStore, PutError, PutTicket, Wait};

use crate::plan::{self, Mode, PLANS, Plan};

/// Events in a channel beyond which the child puts no more.
const DEPTH_MAX: u64 = 5000;

pub(crate) fn run(args: &[String]) -> ExitCode {
    let plan = PLANS.iter().find(|plan| plan.name == args[0]).expect("a known suite");
    let seed: u64 = args[2].parse().expect("a seed");
    let life: u64 = args[3].parse().expect("a number");
    match work(plan, Path::new(&args[1]), seed, life) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&format!("bad {problem}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for the parent, with one write: the pipe takes it whole or not at all.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

fn work(plan: &'static Plan, dir: &Path, seed: u64, life: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut putters: Vec<_> =
        (0..plan.putters).map(|number| Putter::new(plan, number, life, random.next_u64())).collect();
    let mut takers: Vec<_> = (0..plan.channels).map(|number| Taker::new(number, life, random.next_u64())).collect();
    if !plan.takes {
        takers.clear();
    }
    loop {
        say("opening");
        let store = plan.open(dir).map_err(|error| format!("open: {error}"))?;
        say("open");
        let names = (0..plan.channels).map(Plan::channel);
        let channels: Vec<FileChannel> =
            names.map(|name| store.channel(&name)).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        if plan.mode == Mode::Work {
            return for_ever(&store, &channels, putters, takers);
        }
        for _ in 0..random.below(8) {
            putters.iter_mut().try_for_each(|putter| putter.step(&store, &channels))?;
            takers.iter_mut().try_for_each(|taker| taker.step(&channels))?;
        }
        if plan.mode == Mode::Close || random.one_in(3) {
            store.close().map_err(|error| format!("close: {error}"))?;
        }
    }
}

fn for_ever(
    store: &FileStore,
    channels: &[FileChannel],
    putters: Vec<Putter>,
    takers: Vec<Taker>,
) -> Result<(), String> {
    std::thread::scope(|scope| {
        let putters = putters.into_iter().map(|mut putter| {
            scope.spawn(move || {
                loop {
                    putter.step(store, channels)?;
                }
            })
        });
        let takers = takers.into_iter().map(|mut taker| {
            scope.spawn(move || {
                loop {
                    taker.step(channels)?;
                }
            })
        });
        let threads: Vec<std::thread::ScopedJoinHandle<'_, Result<(), String>>> = putters.chain(takers).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked".to_owned())??;
        }
        Ok(())
    })
}

struct Putter {
    plan: &'static Plan,
    number: u64,
    next: u64,
    random: Random,
}

impl Putter {
    fn new(plan: &'static Plan, number: u64, life: u64, seed: u64) -> Self {
        // Identities grow from life to life, and those of two putters are never the same.
        Self { plan, number, next: number << 48 | (life + 1) << 24, random: Random::new(seed) }
    }

    /// One to three transactions, the later ones submitted before the earlier ones have returned.
    fn step(&mut self, store: &FileStore, channels: &[FileChannel]) -> Result<(), String> {
        if channels.iter().any(|channel| channel.stats().depth_events > DEPTH_MAX) {
            std::thread::yield_now();
            return Ok(());
        }
        let mut flying: Vec<(u64, PutTicket)> = Vec::new();
        for _ in 0..=self.random.below(3) {
            let first = self.next;
            match self.submit(store, channels) {
                Ok(ticket) => flying.push((first, ticket)),
                Err(error) => refused(first, &error)?,
            }
        }
        for (first, ticket) in flying {
            match ticket.wait() {
                Ok(_) => say(&format!("ok {first}")),
                Err(error) => refused(first, &error)?,
            }
        }
        Ok(())
    }

    fn submit(&mut self, store: &FileStore, channels: &[FileChannel]) -> Result<PutTicket, PutError> {
        let first = self.next;
        let empty = self.plan.positions && self.random.one_in(3);
        let count = if empty { 0 } else { 1 + self.random.below(20) };
        self.next += count.max(1);
        let all = (1_u64 << channels.len()) - 1;
        let bits = 1 + self.random.below(all);
        let chosen: Vec<&FileChannel> = channels
            .iter()
            .enumerate()
            .filter(|(index, _)| bits >> index & 1 == 1)
            .map(|(_, channel)| channel)
            .collect();
        say(&format!("put {first} {count} {bits}"));
        let owner = format!("put{}", self.number);
        let extra = self.plan.positions.then(|| format!("put{}-extra", first % 50));
        if let [channel] = chosen.as_slice() {
            let mut put = channel.begin_put();
            (first..first + count).for_each(|id| put.push(plan::event(id)));
            match plan::put_position(first) {
                Some(position) => put.set_position(owner, position),
                None => put.clear_position(owner),
            }
            if let Some(extra) = extra {
                put.set_position(extra, vec![7; 500]);
            }
            return put.submit();
        }
        let mut put = store.begin_put();
        (first..first + count).for_each(|id| put.push_to(&chosen, plan::event(id)));
        match plan::put_position(first) {
            Some(position) => put.set_position(owner, position),
            None => put.clear_position(owner),
        }
        put.submit()
    }
}

fn refused(first: u64, error: &PutError) -> Result<(), String> {
    if !error.is_full() {
        return Err(format!("put {first}: {error}"));
    }
    say(&format!("no {first}"));
    Ok(())
}

struct Taker {
    channel: usize,
    next: u64,
    random: Random,
}

impl Taker {
    fn new(channel: usize, life: u64, seed: u64) -> Self {
        Self { channel, next: (life + 1) << 24, random: Random::new(seed) }
    }

    fn step(&mut self, channels: &[FileChannel]) -> Result<(), String> {
        let channel = &channels[self.channel];
        let max = usize::try_from(1 + self.random.below(40)).expect("a small number");
        let mut take = channel.take(max, Wait::NONE).map_err(|error| error.to_string())?;
        let ids: Vec<u64> = take.iter().map(plan::identify).collect::<Result<_, _>>()?;
        if ids.is_empty() {
            std::thread::yield_now();
            return Ok(());
        }
        let count = match self.random.below(10) {
            0 => return Ok(()),
            1 => {
                take.rollback();
                return Ok(());
            }
            2 | 3 => 1 + self.random.index(ids.len()),
            _ => ids.len(),
        };
        let number = self.next;
        self.next += 1;
        let owner = format!("take{}", self.channel);
        match plan::take_position(number) {
            Some(position) => take.set_position(owner, position),
            None => take.clear_position(owner),
        }
        let list: Vec<String> = ids[..count].iter().map(u64::to_string).collect();
        say(&format!("take {} {number} {}", self.channel, list.join(",")));
        take.commit_first(count).map_err(|error| format!("take: {error}"))?;
        say(&format!("taken {} {number}", self.channel));
        Ok(())
    }
}
