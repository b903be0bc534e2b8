//! Damaged stores (C3, C4): every byte of small stores is changed, every file cut, removed, emptied, doubled, mixed up with
//! others and replaced by an older copy of itself.
//!
//! Under `OnCorruption::Fail` everything is there, or an error names the place; under `OnCorruption::Salvage` everything
//! is there that was not touched, and what is lost is counted once. See `docs/testing.md`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // an error is a failed test

mod check;
mod damage;
mod harm;
mod image;
mod layout;
mod look;
mod memory;
#[path = "../scripts/pool.rs"]
mod pool;
mod stores;

use std::collections::BTreeMap;
use std::sync::Mutex;

use aqueduct::store::OnCorruption;

use check::{Outcome, check};
use damage::{Damage, Size};
use image::Image;

const POLICIES: [OnCorruption; 2] = [OnCorruption::Fail, OnCorruption::Salvage];
/// Kinds of failures of which one is shown.
const FAILURES_MAX: usize = 40;
/// Failures after which no more are looked for.
const FAILURES_ENOUGH: usize = 1000;

#[test]
fn no_damage_loses_anything_without_a_word() {
    let images = stores::all();
    let size =
        if std::env::var("AQUEDUCT_CORRUPTION").is_ok_and(|size| size == "full") { Size::Full } else { Size::Short };
    let replay = std::env::var("AQUEDUCT_CORRUPTION_REPLAY").ok();
    let tally = Mutex::new(BTreeMap::<(&'static str, &'static str, Outcome), u64>::new());
    let failures = Mutex::new(Vec::new());
    let mut cases: Vec<(&Image, OnCorruption, Damage)> = Vec::new();
    for image in &images {
        let foreign = if image.lanes == 1 { "recycled" } else { "fan-out" };
        let foreign = images.iter().find(|other| other.name == foreign && other.name != image.name);
        for damage in damage::all(image, foreign.unwrap_or(&images[0]), size) {
            cases.extend(POLICIES.map(|policy| (image, policy, damage.clone())));
        }
    }
    if let Some(replay) = &replay {
        cases.retain(|case| line(case) == *replay);
        assert!(!cases.is_empty(), "no such case; a case of the full setting needs AQUEDUCT_CORRUPTION=full as well");
    }
    let pieces: Vec<_> = cases.chunks(64).collect();
    let results = pool::run(&pieces, |piece| {
        for case in *piece {
            if failures.lock().expect("no thread panics with it").len() >= FAILURES_ENOUGH {
                return Ok(());
            }
            let (image, policy, damage) = case;
            match pool::without_panics(|| check(image, damage, *policy)) {
                Ok(outcome) => {
                    let key = (image.name, name(*policy), outcome);
                    *tally.lock().expect("no thread panics with it").entry(key).or_default() += 1;
                }
                Err(error) => {
                    let text = format!("{error}\n  AQUEDUCT_CORRUPTION_REPLAY='{}'", line(case));
                    failures.lock().expect("no thread panics with it").push((kind(case, &error), text));
                }
            }
        }
        Ok(())
    });
    results.into_iter().for_each(|result| result.expect("every failure is kept"));
    for ((image, policy, outcome), count) in tally.into_inner().expect("no thread panics with it") {
        println!("{image:24} {policy:8} {outcome:?}: {count}");
    }
    let failures = failures.into_inner().expect("no thread panics with it");
    let mut kinds = BTreeMap::<&str, Vec<&str>>::new();
    failures.iter().for_each(|(kind, text)| kinds.entry(kind).or_default().push(text));
    for (kind, texts) in kinds.iter().take(FAILURES_MAX) {
        println!("{} times {kind}, such as {}\n", texts.len(), texts[0]);
    }
    assert!(failures.is_empty(), "{} of {} cases failed", failures.len(), cases.len());
}

/// What failures have in common that need to be seen once: store, policy, file and the words of the error.
fn kind((image, policy, damage): &(&Image, OnCorruption, Damage), error: &str) -> String {
    let words: String = error.chars().filter(|c| !c.is_ascii_digit()).take(30).collect();
    format!("{} / {} / {} / {words}", image.name, name(*policy), damage.path.display())
}

fn name(policy: OnCorruption) -> &'static str {
    if policy == OnCorruption::Fail { "fail" } else { "salvage" }
}

fn line((image, policy, damage): &(&Image, OnCorruption, Damage)) -> String {
    format!("{}; {}; {damage}", image.name, name(*policy))
}

/// The stores are what their scripts say, and the reader of the format agrees with the store's own.
#[test]
fn the_undamaged_stores_hold_what_they_should() {
    for image in stores::all() {
        check::is_whole(&image).unwrap_or_else(|error| panic!("{}: {error}", image.name));
    }
}
