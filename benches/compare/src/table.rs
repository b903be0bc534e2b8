//! Medians, ratios and the tables of the report.

use std::fmt::Write as _;
use std::time::Duration;

use crate::workload::{BODY, Round};

/// One system in one workload, all rounds.
pub struct Series {
    pub name: &'static str,
    pub class: String,
    /// Of an event that was put, under strace.
    pub syncs_per_event: Option<f64>,
    pub rounds: Vec<Round>,
}

impl Series {
    fn rates(&self, events: usize) -> Vec<f64> {
        self.rounds.iter().map(|round| events as f64 / round.seconds).collect()
    }

    pub fn rate(&self, events: usize) -> f64 {
        median(self.rates(events))
    }

    /// How many times as many events a second as `other` in the same rounds.
    fn ratio(&self, other: &Self, events: usize) -> f64 {
        median(self.rates(events).iter().zip(other.rates(events)).map(|(this, other)| this / other).collect())
    }

    /// Bytes for the disk of each byte of payload.
    fn disk_bytes_per_byte(&self, events: usize) -> f64 {
        let payload = (events * BODY * self.rounds.len()).max(1) as f64;
        self.rounds.iter().map(|round| round.disk_bytes).sum::<u64>() as f64 / payload
    }

    fn latencies(&self) -> Vec<Duration> {
        let mut all: Vec<Duration> = self.rounds.iter().flat_map(|round| round.puts.iter().copied()).collect();
        all.sort_unstable();
        all
    }
}

/// The first of `series` is ours. `events` are those of one round.
pub fn table(series: &[Series], events: usize) -> String {
    let mut text = String::from(
        "| system | class, as checked | events/s | MB/s | aqueduct is | put p50 us | p99 | p99.9 | syncs an event | disk bytes a byte |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for one in series {
        let rate = one.rate(events);
        let latencies = one.latencies();
        let at = |share: f64| {
            let index = ((latencies.len().saturating_sub(1)) as f64 * share) as usize;
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.2} x | {:.0} | {:.0} | {:.0} | {} | {} |",
            one.name,
            one.class,
            thousands(rate),
            rate * BODY as f64 / 1e6,
            series[0].ratio(one, events),
            at(0.5),
            at(0.99),
            at(0.999),
            one.syncs_per_event.map_or("-".to_owned(), |syncs| format!("{syncs:.4}")),
            one.syncs_per_event.map_or("-".to_owned(), |_| format!("{:.2}", one.disk_bytes_per_byte(events))),
        );
    }
    text
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
