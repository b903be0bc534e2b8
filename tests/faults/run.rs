//! Runs one case: the workload with its fault, as a user goes on after it, and every way to end.

use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fault, Inject, OpKind, OpRecord, SimVfs, SplitMix, Survive};
use aqueduct::{Channel, FullReason, PutError, limits};

use crate::judge::Judge;
use crate::matrix::Case;
use crate::scripts::check::{goes_on, recover};
use crate::scripts::oracle::{Oracle, State};
use crate::scripts::workload::{Config, ONE, Step, Workload};
use crate::scripts::world::{CallName, Outcome, Plan, World};

type Result<T = ()> = std::result::Result<T, String>;

/// Operations of one run, at most: beyond that it counts as endless.
const OPS_MAX: u64 = 100_000;

/// The operations of a workload without faults.
pub(crate) fn trace(workload: &Workload, config: Config) -> Result<Vec<OpRecord>> {
    let mut run = Run::new(config, Plan::Faults(Vec::new()), 0);
    run.script(workload)?;
    Ok(run.world.trace())
}

/// Runs a case. Returns how many operations failed.
pub(crate) fn case(workload: &Workload, config: Config, case: &Case, op: &OpRecord) -> Result<u64> {
    let variant = SplitMix::new(case.op ^ u64::from(crc32fast::hash(case.to_string().as_bytes()))).next_u64();
    let mut run = Run::new(config, Plan::Faults(case.plan(op, config)), variant);
    run.script(workload)?;
    if run.judge.hits.is_empty() {
        return Err("the fault did not happen: the run is not the same every time".to_owned());
    }
    run.endings("at the end")?;
    run.goes_on_alive()?;
    Ok(run.judge.hits.len() as u64)
}

struct Run {
    world: World,
    judge: Judge,
    variant: u64,
}

impl Run {
    fn new(config: Config, plan: Plan, variant: u64) -> Self {
        let world = World::new(config, plan);
        world.sim.inject(Inject::new(Fault::Kill).not_before(OPS_MAX));
        Self { world, judge: Judge::default(), variant }
    }

    fn script(&mut self, workload: &Workload) -> Result {
        for (number, step) in workload.steps.iter().enumerate() {
            if self.judge.homeless && matches!(step, Step::PowerCut(_)) {
                break;
            }
            self.step(step).map_err(|error| format!("step {number}, {step:?}: {error}"))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result {
        match step {
            Step::Open => self.open(),
            Step::Channel(name) => {
                self.call(step)?;
                if !self.world.channels.contains_key(*name) {
                    // Once more, as whoever wants to use it would.
                    self.call(step)?;
                }
                Ok(())
            }
            _ => self.call(step),
        }
    }

    fn call(&mut self, step: &Step) -> Result {
        self.world.step(step)?;
        if self.world.sim.is_killed() {
            return Err(format!("it takes more than {OPS_MAX} operations"));
        }
        self.judge.look(&self.world)
    }

    /// Opens; if that fails, once more; if that fails, too, once more without faults.
    fn open(&mut self) -> Result {
        for attempt in 0..3 {
            self.call(&Step::Open)?;
            if self.world.store.is_some() {
                return Ok(());
            }
            if self.world.sim.handles() > 0 {
                return Err(format!("an open that failed leaves {} files open", self.world.sim.handles()));
            }
            self.endings("after an open that failed")?;
            if attempt == 1 {
                self.world.repair();
            }
        }
        Err("the store does not open any more".to_owned())
    }

    /// Ends here in every way, opens again without faults, and compares.
    fn endings(&self, when: &str) -> Result {
        let sim = &self.world.sim;
        let oracle = &self.world.oracle;
        let power = CrashChoice::new(CrashMode::Posix, Survive::Nothing);
        let mode = CrashMode::ALL[1 + usize::try_from(self.variant % 3).expect("small")];
        let random = CrashChoice::new(mode, Survive::Random(self.variant)).garbage(self.variant);
        let kill = CrashChoice::new(CrashMode::Kill, Survive::All);
        let evicted = sim.crash(&kill);
        evicted.drop_caches();
        let images = [
            ("killed", sim.crash(&kill), false),
            ("power cut", sim.crash(&power), true),
            ("random power cut", sim.crash(&random), true),
            ("killed, cache gone", evicted, true),
        ];
        let built_on = usize::try_from((self.variant >> 8) % 4).expect("small");
        for (number, (name, image, power)) in images.into_iter().enumerate() {
            if self.judge.homeless && name != "killed" {
                continue;
            }
            // Room was made before the store is opened again.
            image.set_space(None);
            let result = self.ending(&image, oracle, power, number == built_on);
            result.map_err(|error| format!("{name} {when}: {error}"))?;
        }
        Ok(())
    }

    fn ending(&self, image: &SimVfs, oracle: &Oracle, power: bool, build_on: bool) -> Result {
        let config = self.world.config;
        let state = recover(image, config, oracle, 100)?;
        if !oracle.allows(power, &state) {
            let allowed = oracle.candidates(power);
            let some: Vec<&State> = allowed.iter().take(4).collect();
            return Err(format!("found {state:?}, allowed are {} such as {some:?}", allowed.len()));
        }
        // What is found stays, and so does what is built on it.
        let again = if self.judge.homeless { CrashMode::Kill } else { CrashMode::Posix };
        let again = CrashChoice::new(again, Survive::Nothing);
        let next = image.crash(&again);
        let found = recover(&next, config, oracle, 200)?;
        if found != state {
            return Err(format!("the first open shows {state:?}, the one after a power cut {found:?}"));
        }
        if !build_on {
            return Ok(());
        }
        let on = if self.variant.is_multiple_of(2) { image } else { &next };
        let (oracle, state) = extend(on, config, oracle, state)?;
        let cut = on.crash(&again);
        let found = recover(&cut, config, &oracle, 300)?;
        if found != state {
            return Err(format!("what was done after the open is lost: {found:?} is not {state:?}"));
        }
        if self.variant.is_multiple_of(8) {
            goes_on(&cut, config, &oracle, &state)?;
        }
        Ok(())
    }

    /// The faults are over, the process lives on: what it promised holds, and what can go on does.
    fn goes_on_alive(&mut self) -> Result {
        self.world.repair();
        if self.world.store.is_some() {
            self.capacity().map_err(|error| format!("capacity: {error}"))?;
            for name in ["a", "b", "c", "d"] {
                for max in [2, 1000, 1000] {
                    self.world.take(name, max).map_err(|error| format!("take of {name} at the end: {error}"))?;
                    self.judge.look(&self.world)?;
                }
                let left = self.world.live.channels.get(name).map_or(0, |left| left.len() as u64);
                let said = self.world.channels.get(name).map_or(0, |channel| channel.stats().withheld_events);
                if !self.world.owed(name).is_empty() || left != said {
                    let left = &self.world.live.channels;
                    return Err(format!("{name} does not give all it has but for {said}: {left:?} is left"));
                }
            }
            let mut commits = true;
            while !self.world.takes.is_empty() {
                let end = if commits { Step::Commit { count: None, set: None, weak: false } } else { Step::Rollback };
                self.call(&end).map_err(|error| format!("{end:?} at the end: {error}"))?;
                commits = !commits;
            }
            self.call(&Step::Maintain)?;
            self.call(&Step::Maintain)?;
            self.strays()?;
            if self.variant.is_multiple_of(4) {
                self.world.drop_store();
            } else {
                self.call(&Step::Close).map_err(|error| format!("close: {error}"))?;
            }
        }
        if self.world.sim.handles() > 0 {
            return Err(format!("{} files are still open", self.world.sim.handles()));
        }
        self.endings("after that")?;
        // The same process opens it once more.
        self.call(&Step::Open)?;
        if self.world.store.is_some() { Ok(()) } else { Err("the store does not open any more".to_owned()) }
    }

    /// Room that a put had claimed comes back when it fails.
    fn capacity(&mut self) -> Result {
        let Some(channel) = self.world.channels.get("a").cloned() else { return Ok(()) };
        let before = channel.stats();
        let (_, event) = self.world.oracle.clone().event(10);
        channel.set_capacity(before.depth_events + 1, before.depth_bytes + event.size_bytes());
        self.call(&Step::Put { shares: ONE, bytes: 10, set: None, sync: false })?;
        let last = self.world.calls.last().map(|call| (call.name, call.outcome));
        let full = channel.stats();
        if full.depth_events > 0 {
            channel.set_capacity(full.depth_events, full.depth_bytes);
            match channel.put("one too many") {
                Err(PutError::Full { reason: FullReason::Events, .. }) => {}
                other => return Err(format!("a full channel says {other:?}")),
            }
        }
        if last == Some((CallName::Put, Outcome::Done)) && full.depth_events != before.depth_events + 1 {
            return Err(format!("the depth is {} after {} and one more", full.depth_events, before.depth_events));
        }
        channel.set_capacity(limits::FILE_CHANNEL_EVENTS, limits::FILE_CHANNEL_BYTES);
        Ok(())
    }

    /// Every file of a lane that works belongs to it, unless it could not be removed.
    fn strays(&self) -> Result {
        if self.judge.hits.iter().any(|op| op.kind == OpKind::Remove) {
            return Ok(());
        }
        let Some(store) = &self.world.store else { return Ok(()) };
        let files = self.world.sim.files();
        for lane in store.stats().lanes.iter().filter(|lane| lane.poisoned.is_none()) {
            let is_large = |path: &&std::path::PathBuf| {
                let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
                path.starts_with(&lane.path) && ["seg", "spare", "new", "tmp"].contains(&kind)
            };
            let bytes = |path| self.world.sim.peek(path).map_or(0, |bytes| bytes.len() as u64);
            let actual: u64 = files.iter().filter(is_large).map(bytes).sum();
            let known = lane.segment_bytes + lane.spare_bytes;
            if actual != known {
                return Err(format!("{actual} bytes in files, the statistics know {known}: {files:?}"));
            }
        }
        Ok(())
    }
}

/// Puts into every channel and takes from one, durably; returns what must be there from then on.
fn extend(image: &SimVfs, config: Config, oracle: &Oracle, state: State) -> Result<(Oracle, State)> {
    let mut oracle = oracle.clone();
    let mut state = state;
    let store = config.builder(image, 500).open().map_err(|error| format!("another open: {error}"))?;
    for (name, keys) in &mut state.channels {
        let channel = store.channel(name).map_err(|error| error.to_string())?;
        let (key, event) = oracle.event(20);
        let mut put = channel.begin_put();
        put.push(event);
        put.set_durability(aqueduct::Durability::Sync);
        put.set_position("again", name.clone());
        put.commit().map_err(|error| format!("a put into {name} after the open: {error}"))?;
        keys.push(key);
        state.positions.insert("again".to_owned(), name.clone().into_bytes());
        let mut take =
            channel.take(1, aqueduct::Wait::NONE).map_err(|error| format!("a take after the open: {error}"))?;
        take.set_durability(aqueduct::Durability::Sync);
        take.commit().map_err(|error| format!("its commit: {error}"))?;
        keys.remove(0);
    }
    Ok((oracle, state))
}
