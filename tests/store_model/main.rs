//! Random steps on a store against a model, through crashes, failing disks and changed settings.
//!
//! One seed is one history of 300 steps on a simulated disk. `AQUEDUCT_SEED=n` runs the history of one seed,
//! `AQUEDUCT_MODEL_SEEDS=n` that many from a random one on. A history that fails is shortened, and printed with its seed.
//! Seeds that failed once are in `tests/fixtures/model_seeds.txt` and run first.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // an error is a failed test
#![allow(clippy::print_stdout)] // each suite says what it covered

mod model;
#[path = "../scripts/pool.rs"]
mod pool;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use aqueduct::testing::Random;
use world::{Action, World};

const STEPS: usize = 300;
/// Histories of a plain run.
const SEEDS: u64 = 500;
/// Histories that a thread runs before it looks for more.
const PIECE: usize = 16;

type Counts = BTreeMap<&'static str, u64>;

fn history(seed: u64) -> Vec<Action> {
    let mut random = Random::new(seed);
    (0..STEPS).map(|_| Action::choose(&mut random)).collect()
}

/// Runs a history; the problem, if there is one.
fn run(seed: u64, actions: &[Action], counts: &mut Counts) -> Result<(), String> {
    pool::without_panics(|| {
        let mut world = World::new(seed, counts)?;
        for (step, action) in actions.iter().enumerate() {
            world.step(*action).map_err(|problem| format!("step {step}, {action:?}: {problem}"))?;
        }
        world.finish()
    })
}

/// Runs the histories of these seeds; of one that fails, the problem and the steps that show it.
fn run_all(seeds: &[u64]) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for seed in seeds {
        let actions = history(*seed);
        if let Err(problem) = run(*seed, &actions, &mut counts) {
            let short = shorten(*seed, actions);
            let problem_now = run(*seed, &short, &mut Counts::new()).err().unwrap_or_default();
            let list: Vec<String> = short.iter().map(|action| format!("    {action:?}")).collect();
            return Err(format!(
                "AQUEDUCT_SEED={seed}: {problem}\nshortened to {} steps: {problem_now}\n{}",
                short.len(),
                list.join("\n")
            ));
        }
    }
    Ok(counts)
}

/// Leaves out steps as long as it still fails.
fn shorten(seed: u64, mut actions: Vec<Action>) -> Vec<Action> {
    let mut piece = actions.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < actions.len() {
            let mut fewer = actions.clone();
            fewer.drain(at..actions.len().min(at + piece));
            if run(seed, &fewer, &mut Counts::new()).is_err() { actions = fewer } else { at += piece }
        }
        piece /= 2;
    }
    actions
}

#[test]
fn the_store_does_what_its_model_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let known = include_str!("../fixtures/model_seeds.txt").lines().filter_map(|line| line.trim().parse().ok());
    let seeds: Vec<u64> = match (number("AQUEDUCT_SEED"), number("AQUEDUCT_MODEL_SEEDS")) {
        (Some(seed), None) => vec![seed],
        (_, Some(count)) => {
            let first = Random::seed();
            (0..count).map(|number| first.wrapping_add(number)).collect()
        }
        _ => known.chain(0..SEEDS).collect(),
    };
    let failed = AtomicBool::new(false);
    let pieces: Vec<&[u64]> = seeds.chunks(PIECE).collect();
    let results = pool::run(&pieces, |piece| {
        // What the others find after the first one is of no more use.
        if failed.load(Ordering::Relaxed) {
            return Ok(Counts::new());
        }
        run_all(piece).inspect_err(|_| failed.store(true, Ordering::Relaxed))
    });
    let mut counts = Counts::new();
    for result in results {
        let found = result.unwrap_or_else(|problem| panic!("{problem}"));
        found.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
    }
    println!("{} histories of {STEPS} steps: {counts:?}", seeds.len());
}
