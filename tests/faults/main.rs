//! The store on a disk whose operations fail.
//!
//! Scripted workloads run once without faults. Then every operation of theirs fails in every way that fits it, once or from
//! then on, and the workload goes on as a user would; after that the process ends in every way, and the store is opened
//! again without faults. `judge` knows what calls may tell and what the running store must show, `run` compares what is
//! found afterwards with every outcome that the promises allow. See `docs/testing.md`.
//!
//! A plain run takes a sample, in which each workload meets every kind of operation with every error;
//! `AQUEDUCT_FAULTS=all` runs the whole matrix, `AQUEDUCT_FAULTS=<n>` a sample n times as large, `AQUEDUCT_FAULTS_OF=<name>`
//! one workload. Each difference comes with a line for `AQUEDUCT_FAULT_REPLAY`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // an error is a failed test

mod judge;
mod matrix;
mod report;
mod roles;
mod run;
#[path = "../scripts/mod.rs"]
mod scripts;

use std::collections::{BTreeMap, BTreeSet};

use aqueduct::vfs::sim::{OpKind, OpRecord, SplitMix};

use matrix::{Case, Failure, Span};
use report::Report;
use scripts::pool;
use scripts::workload::{CONFIGS, Config, Workload, find, workloads};

/// Cases of each combination of workload, settings, kind of operation, failure and span in a plain run; some kinds of
/// operations have more.
const EACH: usize = 1;

/// Operations of a workload without faults, by workload and settings.
type Traces = BTreeMap<(&'static str, &'static str), Vec<OpRecord>>;

#[test]
fn every_operation_fails_in_every_way_and_no_promise_is_broken() {
    if let Ok(line) = std::env::var("AQUEDUCT_FAULT_REPLAY") {
        return replay(&line);
    }
    let each = match std::env::var("AQUEDUCT_FAULTS").ok().as_deref() {
        Some("all") => usize::MAX,
        Some(number) => number.parse().expect("AQUEDUCT_FAULTS is a number or `all`"),
        None => EACH,
    };
    let seed = std::env::var("AQUEDUCT_SEED").ok().map_or(0, |seed| seed.parse().expect("AQUEDUCT_SEED is a number"));
    println!("AQUEDUCT_SEED={seed}");
    let mut random = SplitMix::new(seed);
    let traces = traces();
    let mut cases = Vec::new();
    let mut all = 0;
    let only = std::env::var("AQUEDUCT_FAULTS_OF").ok();
    for ((workload, config), trace) in &traces {
        if only.as_deref().is_some_and(|only| only != *workload) {
            continue;
        }
        let found = matrix::cases(workload, config, trace);
        all += found.len();
        cases.extend(matrix::sample(found, each, &mut random));
    }
    let report = Report::new(cases.len() as u64);
    let results = report.watched(|| {
        pool::run(&cases, |case| {
            if report.is_enough() {
                return Ok(());
            }
            let (workload, config) = find(case.workload, case.config);
            let op = &traces[&(case.workload, case.config)][usize::try_from(case.op).expect("small")];
            report.begins(case);
            let result = pool::without_panics(|| run::case(&workload, config, case, op));
            report.ends(case, op, result);
            Ok(())
        })
    });
    assert_eq!(results.len(), cases.len());
    report.finish(all);
}

fn traces() -> Traces {
    let items: Vec<(Workload, Config)> =
        workloads().into_iter().flat_map(|workload| CONFIGS.map(|config| (workload.clone(), config))).collect();
    let results = pool::run(&items, |(workload, config)| run::trace(workload, *config));
    let traces = items.iter().zip(results).map(|((workload, config), result)| {
        let trace = result.unwrap_or_else(|error| panic!("{}/{} without faults: {error}", workload.name, config.name));
        ((workload.name, config.name), trace)
    });
    traces.collect()
}

/// The name of a workload or of settings, as the tables have it.
fn known(name: &str) -> Option<&'static str> {
    let workloads = workloads().into_iter().map(|workload| workload.name);
    { workloads }.chain(CONFIGS.map(|config| config.name)).find(|known| *known == name)
}

fn replay(line: &str) {
    let case = Case::parse(line, known).expect("a line that a failing run has printed");
    let (workload, config) = find(case.workload, case.config);
    let trace = run::trace(&workload, config).expect("a run without faults");
    for (number, op) in trace.iter().enumerate() {
        println!("{}{number:4} {op}", if number as u64 == case.op { ">" } else { " " });
    }
    let op = &trace[usize::try_from(case.op).expect("small")];
    match run::case(&workload, config, &case, op) {
        Ok(hits) => println!("{hits} operations failed, all promises kept"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_case_survives_its_text_form() {
    for line in ["put;sync;17;EIO;once", "fan-out;os;3;torn:60:ENOSPC;kind", "close;sync-2;9;half:1:EIO;dir"] {
        assert_eq!(Case::parse(line, known).expect("a case").to_string(), line);
    }
    assert_eq!(Case::parse("put;sync;17;EIO;always", known), None);
}

#[test]
fn each_workload_meets_every_kind_of_operation_with_every_failure() {
    let mut random = SplitMix::new(0);
    for ((workload, config), trace) in traces() {
        let all = matrix::cases(workload, config, &trace);
        let of = |kind: &OpKind, case: &Case| match case.failure {
            Failure::Short(1..) => (format!("{kind:?}"), "short".to_owned(), case.span),
            Failure::Torn(_, errno) => (format!("{kind:?}"), format!("torn:{errno}"), case.span),
            failure => (format!("{kind:?}"), failure.to_string(), case.span),
        };
        let wanted: BTreeSet<(String, String, Span)> = all.iter().map(|(kind, case)| of(kind, case)).collect();
        let sample = matrix::sample(all, 1, &mut random);
        let kind = |case: &Case| trace[usize::try_from(case.op).expect("small")].kind;
        let chosen: BTreeSet<_> = sample.iter().map(|case| of(&kind(case), case)).collect();
        assert_eq!(chosen, wanted, "{workload}/{config}");
    }
}
