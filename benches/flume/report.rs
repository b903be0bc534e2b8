//! What a row says: our side, Flume's, and the ratio.

/// What one side came to in all rounds.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Events a second, of each round.
    pub(crate) rates: Vec<f64>,
    /// Microseconds of each put, or of each call of a client.
    pub(crate) puts: Vec<f64>,
    /// Microseconds of each commit of a take.
    pub(crate) acks: Vec<f64>,
    /// What the disk has written meanwhile, for whomever.
    pub(crate) disk_bytes: u64,
    /// What the events of all rounds had.
    pub(crate) payload: u64,
    /// Peak of the resident memory.
    pub(crate) resident_kib: u64,
}

/// A line with both sides' rates, for events of so many bytes, one each with their latencies where there are some, and one with
/// the peaks of their resident memory.
pub(crate) fn print_rates(ours: &mut Measured, flume: &mut Measured, event_bytes: usize, what: &str) {
    let mut ratios: Vec<f64> = ours.rates.iter().zip(&flume.rates).map(|(ours, flume)| ours / flume).collect();
    let (own, theirs, ratio) = (median(&mut ours.rates), median(&mut flume.rates), median(&mut ratios));
    let [own_mb, their_mb] = [own, theirs].map(|rate| rate * event_bytes as f64 / 1e6);
    println!("{own:9.0} events/s {own_mb:7.1} MB/s | Flume {theirs:9.0} {their_mb:7.1} MB/s | ratio {ratio:.1}");
    print_latencies(&mut ours.puts, &mut flume.puts, what);
    print_latencies(&mut ours.acks, &mut flume.acks, "commit of a take");
    print_resident([ours.resident_kib, flume.resident_kib]);
}

/// What both sides wrote and how often they made it durable.
pub(crate) fn print_costs(ours: &Measured, flume: &Measured, syncs_per_event: [f64; 2]) {
    let [own, theirs] = syncs_per_event;
    let [own_bytes, their_bytes] = [ours, flume].map(|side| side.disk_bytes as f64 / side.payload as f64);
    println!(
        "{:18}{own:9.5} syncs/event {own_bytes:5.2} bytes of the disk/payload byte | Flume {theirs:9.5} {their_bytes:5.2}",
        ""
    );
}

pub(crate) fn print_resident([ours, flume]: [u64; 2]) {
    let [ours, flume] = [ours, flume].map(|kib| kib as f64 / 1024.0);
    println!("{:18}{ours:9.1} MiB      | Flume {flume:9.1} | ratio {:.3}, resident at most", "", ours / flume);
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print_latencies(ours: &mut [f64], flume: &mut [f64], what: &str) {
    if ours.is_empty() && flume.is_empty() {
        return;
    }
    let text = |all: &mut [f64]| {
        all.sort_by(f64::total_cmp);
        let at = |share: f64| all.get(((all.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0.0);
        format!("p50 {:.1} p99 {:.1} p99.9 {:.1}", at(0.5), at(0.99), at(0.999))
    };
    println!("{:18}{} | Flume {} us, {what}", "", text(ours), text(flume));
}
