//! Random steps on a store against a model, through crashes, failing disks and changed settings.
//!
//! One seed is one history of 200 steps on a simulated disk. `AQUEDUCT_SEED=n` runs the history of one seed,
//! `AQUEDUCT_MODEL_SEEDS=n` that many from a random one on. A history that fails is shortened, and printed with its seed.
//! Seeds that failed once are in `tests/fixtures/model_seeds.txt` and run first.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // an error is a failed test
#![allow(clippy::print_stdout)] // each suite says what it covered

mod model;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aqueduct::testing::Random;
use world::{Action, World};

const STEPS: usize = 200;
const SEEDS: u64 = 2000;

type Counts = BTreeMap<&'static str, u64>;

fn history(seed: u64) -> Vec<Action> {
    let mut random = Random::new(seed);
    (0..STEPS).map(|_| Action::choose(&mut random)).collect()
}

/// Runs a history; the problem, if there is one.
fn run(seed: u64, actions: &[Action], counts: &mut Counts) -> Result<(), String> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, counts)?;
        for (step, action) in actions.iter().enumerate() {
            world.step(*action).map_err(|problem| format!("step {step}, {action:?}: {problem}"))?;
        }
        world.finish()
    }));
    result.unwrap_or_else(|_| Err("it panicked".to_owned()))
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
    let mut counts = Counts::new();
    for seed in &seeds {
        let actions = history(*seed);
        if let Err(problem) = run(*seed, &actions, &mut counts) {
            let short = shorten(*seed, actions);
            let problem_now = run(*seed, &short, &mut Counts::new()).err().unwrap_or_default();
            let list: Vec<String> = short.iter().map(|action| format!("    {action:?}")).collect();
            panic!(
                "AQUEDUCT_SEED={seed}: {problem}\nshortened to {} steps: {problem_now}\n{}",
                short.len(),
                list.join("\n")
            );
        }
    }
    println!("{} histories of {STEPS} steps: {counts:?}", seeds.len());
}
