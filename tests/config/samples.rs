//! Configurations as Flume's users write them: all of them are right.

use std::path::Path;

use aqueduct::config::{Options, Properties};

/// Every agent of every file of a folder.
fn all_are_right(folder: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut agents = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let properties = Properties::load(&path).unwrap_or_else(|error| panic!("{error}"));
        for agent in properties.agents() {
            let options = Options::new().with_environment(|_| None).with_home("/nowhere");
            let plan = properties.plan(agent, &options).unwrap_or_else(|error| panic!("{error}"));
            let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [""; 0], "{}", path.display());
            agents += 1;
        }
        assert!(!properties.agents().is_empty(), "{} has no agent", path.display());
    }
    agents
}

#[test]
fn the_examples_are_right() {
    println!("{} agents", all_are_right("examples/conf"));
}

#[test]
fn what_flumes_guide_shows_is_right() {
    println!("{} agents", all_are_right("tests/fixtures/config/guide"));
}

#[test]
fn later_files_count_more() {
    let base = "a1.sources = r\na1.channels = c\na1.sources.r.type = seq\na1.sources.r.channels = c\na1.channels.c.type = memory";
    let properties = Properties::parse("base", base.as_bytes()).unwrap();
    let over = Properties::parse("over", b"a1.sources.r.type = sec\n# \na1.sources.r.totalEvents = 3").unwrap();
    let both = properties.clone().then(over.clone());
    assert_eq!(both.value("a1.sources.r.type"), Some("sec"));
    let error = both.plan("a1", &Options::new()).unwrap_err().to_string();
    assert_eq!(error, "agent a1: over:1: a1.sources.r.type = sec: there is no such type of source; is it seq?");
    assert!(over.then(properties).plan("a1", &Options::new()).is_ok());
}
