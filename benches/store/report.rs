//! What a row says, for people on standard output and for programs in a file.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use crate::measure::{Runs, median};

/// Where results go.
#[derive(Debug)]
pub(crate) struct Report {
    csv: Option<File>,
    pub(crate) rounds: usize,
    row: &'static str,
    /// Of durability.
    class: &'static str,
}

impl Report {
    pub(crate) fn new(csv: Option<PathBuf>, rounds: usize) -> Self {
        let csv = csv.map(|path| File::options().create(true).append(true).open(path).expect("the file of --csv"));
        Self { csv, rounds, row: "", class: "" }
    }

    pub(crate) fn begin(&mut self, row: &'static str, class: &'static str) {
        (self.row, self.class) = (row, class);
    }

    fn title(&self) -> String {
        format!("{} ({})", self.row, self.class)
    }

    /// Both sides of a comparison.
    pub(crate) fn compare(&mut self, ours: &Runs, theirs: &Runs, reference: &str) {
        let ratios = ours.rates().iter().zip(theirs.rates()).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = median(ratios);
        let (rate, their_rate) = (ours.rate(), theirs.rate());
        let mb = rate * ours.event_bytes() / 1e6;
        println!(
            "{:28}{rate:9.0} events/s {mb:7.1} MB/s | {reference} {their_rate:9.0} | ratio {ratio:.2}",
            self.title()
        );
        self.value("ratio", reference, ratio, "");
        self.value("aqueduct", "", rate, "events/s");
        self.value(reference, "", their_rate, "events/s");
    }

    /// What the commits of our side cost.
    pub(crate) fn costs(&mut self, ours: &Runs) {
        let [p50, p99, p999] = ours.latencies();
        let (syncs, bytes) = (ours.syncs_per_event(), ours.bytes_per_payload_byte());
        let disk_bytes = ours.disk_bytes_per_payload_byte();
        println!(
            "{:28}commit p50 {p50:.0} p99 {p99:.0} p99.9 {p999:.0} us, {syncs:.4} syncs/event, {bytes:.4} bytes of the log and \
             {disk_bytes:.2} of the disk/payload byte",
            ""
        );
        self.percentiles("commit latency", [p50, p99, p999]);
        self.value("syncs per event", "", syncs, "");
        self.value("bytes per payload byte", "", bytes, "");
        self.value("disk bytes per payload byte", "", disk_bytes, "");
        self.acks(ours);
    }

    /// How long the commits of a channel take that is in no store: nothing is synced and nothing written.
    pub(crate) fn latencies(&mut self, ours: &Runs) {
        let [p50, p99, p999] = ours.latencies();
        println!("{:28}commit p50 {p50:.2} p99 {p99:.2} p99.9 {p999:.2} us", "");
        self.percentiles("commit latency", [p50, p99, p999]);
        self.acks(ours);
    }

    fn acks(&mut self, ours: &Runs) {
        let Some([p50, p99, p999]) = ours.ack_latencies() else { return };
        println!("{:28}acknowledgement p50 {p50:.2} p99 {p99:.2} p99.9 {p999:.2} us", "");
        self.percentiles("acknowledgement latency", [p50, p99, p999]);
    }

    fn percentiles(&mut self, series: &str, [p50, p99, p999]: [f64; 3]) {
        for (x, y) in [("50", p50), ("99", p99), ("99.9", p999)] {
            self.value(series, x, y, "us");
        }
    }

    /// A point of a curve: a rate with what its commits cost.
    pub(crate) fn point(&mut self, series: &str, x: &str, runs: &Runs) {
        let [p50, p99, p999] = runs.latencies();
        let rate = runs.rate();
        let mb = rate * runs.event_bytes() / 1e6;
        println!(
            "{:28}{series} {x:>8}: {rate:9.0} events/s {mb:7.1} MB/s, commit p50 {p50:.0} p99 {p99:.0} p99.9 {p999:.0} us, \
             {:.4} syncs/event, {:.4} bytes/payload byte",
            self.title(),
            runs.syncs_per_event(),
            runs.bytes_per_payload_byte(),
        );
        self.value(series, x, rate, "events/s");
        self.value(series, x, mb, "MB/s");
        for (name, y) in [("p50", p50), ("p99", p99), ("p99.9", p999)] {
            self.value(&format!("{series} {name}"), x, y, "us");
        }
    }

    /// Anything else that is said of a row.
    pub(crate) fn say(&self, text: &str) {
        println!("{:28}{text}", self.title());
    }

    /// A line of the file.
    pub(crate) fn value(&mut self, series: &str, x: &str, y: f64, unit: &str) {
        if let Some(csv) = &mut self.csv {
            writeln!(csv, "{},{series},{x},{y},{unit}", self.row).expect("the file of --csv");
        }
    }
}
