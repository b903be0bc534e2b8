//! Feeds one of the decoders, which the environment variable `AQUEDUCT_FUZZ` names; `list` lists them. The seeds of the
//! decoder are written to the directory that `AQUEDUCT_FUZZ_SEEDS` names, if it does. `.ci/fuzz` runs all of them.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use aqueduct::testing::fuzz::{TARGETS, Target, target};

libfuzzer_sys::fuzz_target!(init: begin(), |data: &[u8]| (chosen().run)(data));

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("AQUEDUCT_FUZZ").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("AQUEDUCT_FUZZ is {name:?}, which is no decoder; `list` lists them"))
    })
}

fn begin() {
    if std::env::var("AQUEDUCT_FUZZ").is_ok_and(|name| name == "list") {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(0);
    }
    let Ok(dir) = std::env::var("AQUEDUCT_FUZZ_SEEDS") else { return };
    for (number, seed) in (chosen().seeds)().into_iter().enumerate() {
        let path = Path::new(&dir).join(format!("seed-{number}"));
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
