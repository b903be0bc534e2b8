//! Aqueduct beside other stores and channels, on one machine, in one run.
//!
//!     cargo run --release --manifest-path benches/compare/Cargo.toml -- [OPTIONS] [WORKLOAD...]
//!
//!     --rounds N    rounds, the systems in turn in each (default 5; one more before them warms up)
//!     --scale F     times as many transactions in a round
//!     --csv FILE    append the medians as lines `row,series,x,y,unit`
//!     --check       check the classes only
//!
//! Without names all workloads run: put-1x100, put-8x10, put-1x1, put-take-1x100, os-put-1x100, os-put-take-1x100,
//! memory-shared, memory-own, memory-packed. Before a store is measured, strace tells whether it does what its class says; a
//! store that does not is an error. `AQUEDUCT_BENCH_DIR` names the directory to write in (default: the system's for
//! temporary files); it has to be on a disk.

mod check;
#[path = "../../store/disk.rs"]
mod disk;
mod memory;
mod stores;
mod table;
mod workload;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use stores::{Class, Result, SYSTEMS, Store, System};
use table::Series;
use workload::{Plain, WORKLOADS, Workload};

struct Options {
    rounds: usize,
    scale: f64,
    csv: Option<PathBuf>,
    check_only: bool,
    wanted: Vec<String>,
}

fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { rounds: 5, scale: 1.0, csv: None, check_only: false, wanted: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "probe" => return check::probe(&value()?, &value()?, Path::new(&value()?)),
            "--rounds" => options.rounds = value()?.parse()?,
            "--scale" => options.scale = value()?.parse()?,
            "--csv" => options.csv = Some(value()?.into()),
            "--check" => options.check_only = true,
            word if word.starts_with("--") => return Err(format!("unknown option {word}").into()),
            word => options.wanted.push(word.to_owned()),
        }
    }
    let parent = disk::parent();
    for workload in WORKLOADS.iter().filter(|workload| options.wants(workload.name)) {
        stores_in_turn(workload, &options, &parent)?;
    }
    for load in memory::LOADS.iter().filter(|load| options.wants(load.name) && !options.check_only) {
        channels_in_turn(load, &options)?;
    }
    Ok(())
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == name)
    }

    fn commits(&self, commits: usize) -> usize {
        ((commits as f64 * self.scale) as usize).max(1)
    }

    fn report(&self, row: &str, title: &str, series: &[Series], events: usize) -> Result {
        println!("### {title}\n\n{}", table::table(series, events));
        let Some(path) = &self.csv else { return Ok(()) };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        for (x, one) in series.iter().enumerate() {
            let name = one.name.replace(',', ":");
            writeln!(file, "beside-{row},{name},{x},{:.0},events/s", one.rate(events))?;
        }
        Ok(())
    }
}

struct Running {
    system: &'static System,
    store: Box<dyn Store>,
    series: Series,
    // Removed after the store is closed.
    _dir: tempfile::TempDir,
}

fn stores_in_turn(workload: &Workload, options: &Options, parent: &Path) -> Result {
    let workload = Workload { commits: options.commits(workload.commits), ..*workload };
    let mut running = Vec::new();
    for system in SYSTEMS.iter().filter(|system| system.can(workload.class, workload.what)) {
        let counted = check::check(system, &workload, parent)?;
        let class = format!("{}, {:.2} syncs a call", workload.class.name(), counted.syncs_per_call());
        if options.check_only {
            println!("{} | {} | {class} | {counted:?}", workload.name, system.name);
        }
        if !counted.holds(workload.class) {
            return Err(format!("{} in {} is not {:?}: {counted:?}", system.name, workload.name, workload.class).into());
        }
        if options.check_only {
            continue;
        }
        let dir = tempfile::tempdir_in(parent)?;
        let store = (system.open)(&dir.path().join("store"), workload.class)?;
        let syncs_per_event = Some(counted.syncs_per_event(&workload));
        let series = Series { name: system.name, class, syncs_per_event, rounds: Vec::new() };
        running.push(Running { system, store, series, _dir: dir });
    }
    if running.is_empty() {
        return Ok(());
    }
    let bodies = workload::bodies();
    for round in 0..=options.rounds {
        // Each round begins with another system, so that none always follows the same one.
        running.rotate_left(1);
        for one in &mut running {
            if workload.class == Class::Os {
                // What others left to write must not be written in this one's time.
                rustix::fs::sync();
            }
            let result = workload::run(&*one.store, &workload, &bodies, &Plain);
            let measured = result.map_err(|error| format!("{}: {error}", one.system.name))?;
            // The first round warms up files and caches.
            if round > 0 {
                one.series.rounds.push(measured);
            }
            one.store.tidy()?;
        }
    }
    let place = |name| SYSTEMS.iter().position(|system| system.name == name);
    let mut series: Vec<Series> = running.into_iter().map(|one| one.series).collect();
    series.sort_by_key(|one| place(one.name));
    let title = format!("{} ({})", workload.title, workload.class.name());
    options.report(workload.name, &title, &series, workload.events_total())
}

fn channels_in_turn(load: &memory::Load, options: &Options) -> Result {
    let load = memory::Load { commits: options.commits(load.commits), ..*load };
    let series = |(name, _): &(&'static str, memory::Run)| Series {
        name,
        class: "none".into(),
        syncs_per_event: None,
        rounds: Vec::new(),
    };
    let mut series: Vec<Series> = memory::SYSTEMS.iter().map(series).collect();
    for round in 0..=options.rounds {
        for (one, (_, run)) in series.iter_mut().zip(memory::SYSTEMS) {
            let measured = run(&load)?;
            if round > 0 {
                one.rounds.push(measured);
            }
        }
    }
    options.report(load.name, load.title, &series, load.events_total())
}
