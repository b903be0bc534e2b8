//! Every decoder under inputs made from good ones by small changes, on any toolchain. The package in `fuzz/` does the same
//! with coverage as its guide; see `docs/testing.md`.
//!
//! Inputs that once broke a decoder are in `tests/fixtures/fuzz`, by its name, and run first.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout)] // an error is a failed test
#![allow(clippy::disallowed_methods)] // reads its own fixtures; looks at a clock to know when to stop

#[path = "scripts/allocations.rs"]
mod allocations;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aqueduct::testing::Random;
use aqueduct::testing::fuzz::{TARGETS, Target, target};

#[global_allocator]
static WATCHED: allocations::Watched = allocations::Watched;

/// Inputs are no longer than this.
const INPUT_BYTES_MAX: usize = 8 << 10;
/// The largest piece of memory that an input of that size may lead to: what is read ahead, and then some.
const PIECE_BYTES_MAX: usize = 2 << 20;
const TIME: Duration = Duration::from_millis(500);

#[test]
fn no_input_breaks_a_decoder() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let seconds = std::env::var("AQUEDUCT_FUZZ_SECONDS").ok().map(|text| text.parse().expect("seconds"));
    let time = seconds.map_or(TIME, Duration::from_secs);
    let mut failures = Vec::new();
    for target in TARGETS {
        let mut random = Random::new(seed);
        let pool = corpus(target);
        let until = Instant::now() + time;
        let mut rounds = 0;
        while Instant::now() < until {
            let input = changed(&pool, &mut random);
            if let Err(problem) = run(target, &input) {
                failures.push(format!("{}, round {rounds}: {problem}\n  input: {}", target.name, hex(&input)));
                break;
            }
            rounds += 1;
        }
        println!("{:16} {:3} seeds, {rounds} inputs", target.name, pool.len());
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn what_once_broke_a_decoder_does_not_any_more() {
    let dirs = std::fs::read_dir(fixtures()).expect("the directory with inputs");
    for dir in dirs.map(|dir| dir.expect("an entry").path()).filter(|path| path.is_dir()) {
        let name = dir.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let target = target(&name).unwrap_or_else(|| panic!("no decoder is called {name}"));
        for (path, input) in files(&dir) {
            run(target, &input).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        }
    }
}

#[test]
fn seeds_are_good_inputs_of_targets_with_distinct_names() {
    for (index, target) in TARGETS.iter().enumerate() {
        assert!(
            TARGETS.iter().skip(index + 1).all(|other| other.name != target.name),
            "{} is there twice",
            target.name
        );
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            assert!(seed.len() <= INPUT_BYTES_MAX, "a seed of {} has {} bytes", target.name, seed.len());
            run(target, &seed).unwrap_or_else(|problem| panic!("a seed of {}: {problem}", target.name));
        }
    }
}

fn run(target: &Target, input: &[u8]) -> Result<(), String> {
    let (result, largest) = allocations::largest(|| catch_unwind(AssertUnwindSafe(|| (target.run)(input))));
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        return Err(text.unwrap_or("it panicked").to_owned());
    }
    if largest > PIECE_BYTES_MAX {
        return Err(format!("it asked for {largest} bytes at once"));
    }
    Ok(())
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut corpus = (target.seeds)();
    corpus.extend(files(&fixtures().join(target.name)).into_iter().map(|(_, bytes)| bytes));
    corpus
}

/// One of the inputs, with some changes.
fn changed(pool: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = pool[random.index(pool.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.index(input.len() + 1);
        let len = random.index(9);
        match random.below(8) {
            0 => input.truncate(at),
            1 => drop(input.splice(at..at, (0..len).map(|_| byte(random)).collect::<Vec<_>>())),
            2 => drop(input.drain(at..input.len().min(at + len))),
            3 if at < input.len() => input[at] ^= 1 << random.below(8),
            4 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][random.index(5)],
            5 if at < input.len() => input[at] = byte(random),
            6 => {
                // A number at the edge of what fits.
                let number = [u64::MAX, u64::MAX >> 1, 1 << 62, 1 << 32, 0][random.index(5)].to_le_bytes();
                let end = input.len().min(at + [1, 2, 4, 8][random.index(4)]);
                input[at..end].copy_from_slice(&number[..end - at]);
            }
            _ => {
                let other = &pool[random.index(pool.len())];
                let from = random.index(other.len() + 1);
                let piece = other[from..other.len().min(from + random.index(64))].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn byte(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).expect("below 256")
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("a fixture can be read")))
        .collect();
    files.sort();
    files
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
