//! Benchmark of rate control: use of a provider's limits, refusals, and the time to follow a limit that moves.
//!
//! The real engine and driver run against the simulated service, in virtual time. Every figure is the worst of several
//! seeds. Exits with 1 if a goal is missed.
//!
//! `cargo bench --bench pace [-- WORD [SEEDS]]` runs only the scenarios that have this word in their name. `SEEDS` plays short
//! runs with the first seeds, on which constants are tuned, instead of those that judge them.

#[path = "pace/brief.rs"]
mod brief;
#[path = "pace/chance.rs"]
mod chance;
#[path = "../tests/simulation/direct.rs"]
#[expect(dead_code, reason = "the simulation has outages, and this does not")]
mod direct;
#[path = "pace/light.rs"]
mod light;
#[path = "pace/short.rs"]
mod short;
#[path = "pace/world.rs"]
mod world;

use std::time::Duration;

use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::world::{Sample, Taken, play};

/// Warm-up of a run, and of every move of a limit, before its use is judged, in seconds.
const WARM_UP: usize = 60;

/// Period in seconds over which nine tenths of a limit must be used, so that the limit counts as followed.
const FOLLOWED: usize = 10;

/// Seeds of each scenario.
const SEEDS: [u64; 3] = [7, 8, 9];

/// Simulated service, and the limits that the user sets.
struct Scenario {
    name: String,
    latency: u64,
    limits: Limits,
    retry_after: Option<Duration>,
    /// Limits of the service, each with the second from which it applies.
    takes: Vec<(u64, Taken)>,
    end: u64,
    share_min: f64,
    refused_max: f64,
}

fn rate(text: &str) -> Taken {
    Taken { rate: text.parse().ok(), concurrency: None }
}

fn tasks(n: u32) -> Taken {
    Taken { rate: None, concurrency: Some(n) }
}

fn scenarios() -> Vec<Scenario> {
    let mut scenarios = vec![];
    for text in ["1/s", "10/s", "50/s", "200/s", "1000/s"] {
        let limits = Limits { rate: text.parse().ok(), ..Limits::default() };
        let name = format!("known {text}");
        scenarios.push(Scenario {
            share_min: 0.98,
            refused_max: 0.0,
            ..hidden(name, 5, limits, &[(0, rate(text))], 180)
        });
    }
    for latency in [1, 5, 15] {
        let moves = [(0, rate("20/s")), (300, rate("10/s")), (600, rate("40/s"))];
        scenarios.push(hidden(format!("hidden rate, {latency} s"), latency, Limits::default(), &moves, 900));
        let moves = [(0, tasks(4)), (300, tasks(8)), (600, tasks(2))];
        scenarios.push(hidden(format!("hidden tasks, {latency} s"), latency, Limits::default(), &moves, 900));
        let moves = [(0, tasks(50)), (300, tasks(200))];
        scenarios.push(hidden(format!("many hidden tasks, {latency} s"), latency, Limits::default(), &moves, 600));
    }
    let moves = [(0, rate("20/s")), (300, rate("10/s")), (600, rate("40/s"))];
    let told = hidden("hidden rate, Retry-After".into(), 5, Limits::default(), &moves, 900);
    scenarios.push(Scenario { retry_after: Some(Duration::from_secs(1)), ..told });
    let moves = [(0, Taken { rate: "20/s".parse().ok(), concurrency: Some(50) })];
    scenarios.push(hidden("hidden rate and tasks".into(), 5, Limits::default(), &moves, 300));
    scenarios.push(hidden("slow hidden rate".into(), 15, Limits::default(), &[(0, rate("1/s"))], 600));
    let fixed = Limits { concurrency: Concurrency::Fixed(10.try_into().expect("ten")), ..Limits::default() };
    scenarios.push(hidden("-j 10, hidden tasks".into(), 5, fixed, &[(0, tasks(4))], 300));
    scenarios
}

fn hidden(name: String, latency: u64, limits: Limits, takes: &[(u64, Taken)], end: u64) -> Scenario {
    let takes = takes.to_vec();
    Scenario { name, latency, limits, retry_after: None, takes, end, share_min: 0.9, refused_max: 0.05 }
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let word = args.next().unwrap_or_default();
    let seeds = args.next().and_then(|n| n.parse().ok()).map(|n: u64| 1..n + 1);
    println!("{:<28} {:>15} {:>8} {:>9} {:>10}", "service", "takes", "used", "refused", "followed");
    let n_missed: usize = scenarios().iter().filter(|s| s.name.contains(&word)).map(measure).sum();
    let n_missed = n_missed + chance::measure(&word) + short::measure(&word, seeds);
    println!("{n_missed} goals missed");
    std::process::exit(i32::from(n_missed > 0));
}

/// Use of a limit.
struct Row {
    used: f64,
    refused: f64,
    /// Number of seconds after which the limit was followed. `None` means never.
    followed: Option<usize>,
}

/// Plays one scenario with every seed, and prints the worst figures for each of its limits. Returns the number of
/// missed goals.
fn measure(scenario: &Scenario) -> usize {
    let Scenario { name, takes, share_min, refused_max, .. } = scenario;
    let played: Vec<Vec<Row>> = SEEDS.iter().map(|seed| rows(scenario, *seed)).collect();
    let mut n_missed = 0;
    for (nth, (_, taken)) in takes.iter().enumerate() {
        let rows = || played.iter().map(|rows| &rows[nth]);
        let used = rows().map(|row| row.used).fold(f64::INFINITY, f64::min);
        let refused = rows().map(|row| row.refused).fold(0.0, f64::max);
        let followed: Option<Vec<usize>> = rows().map(|row| row.followed).collect();
        let followed = followed.and_then(|all| all.into_iter().max()).map_or("never".into(), |n| format!("{n} s"));
        let is_missed = used < *share_min || refused > *refused_max;
        n_missed += usize::from(is_missed);
        let mark = if is_missed { "  missed" } else { "" };
        let takes = [taken.rate.map(|rate| rate.to_string()), taken.concurrency.map(|n| format!("{n} tasks"))];
        let takes = takes.into_iter().flatten().collect::<Vec<_>>().join(", ");
        println!("{name:<28} {takes:>15} {:>7.1}% {:>8.1}% {followed:>10}{mark}", used * 100.0, refused * 100.0);
    }
    n_missed
}

fn rows(scenario: &Scenario, seed: u64) -> Vec<Row> {
    let Scenario { latency, limits, retry_after, takes, end, .. } = scenario;
    let config = SimulatorConfig {
        latency: Duration::from_secs(*latency),
        answer_delay: Duration::from_millis(40),
        image_size: "16x16".parse().ok(),
        rate: takes[0].1.rate,
        concurrency: takes[0].1.concurrency,
        retry_after: *retry_after,
        seed,
        ..SimulatorConfig::default()
    };
    let samples = play(config, &Limits { seed, ..limits.clone() }, &takes[1..], *end);
    let row = |(nth, (from, taken)): (usize, &(u64, Taken))| {
        let until = takes.get(nth + 1).map_or(*end, |(second, _)| *second);
        let samples = &samples[seconds(*from)..seconds(until)];
        let judged = &samples[WARM_UP * 10..];
        let is_used = |first: &usize| share(&samples[*first..first + FOLLOWED * 10], *taken) >= 0.9;
        let followed = (0..samples.len() - FOLLOWED * 10).find(is_used).map(|first| first / 10);
        Row { used: share(judged, *taken), refused: refused(judged), followed }
    };
    takes.iter().enumerate().map(row).collect()
}

fn seconds(n: u64) -> usize {
    usize::try_from(n * 10).expect("some minutes")
}

/// Returns the used share of the service's limit, for the limit that was nearer.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn share(samples: &[Sample], taken: Taken) -> f64 {
    let (first, last, n) = (samples[0], samples[samples.len() - 1], samples.len() as f64);
    let by_rate = taken.rate.map_or(0.0, |rate| {
        let rate = f64::from(rate.count.get()) / rate.per.as_secs_f64();
        (last.accepted - first.accepted) as f64 / (rate * (n - 1.0) / 10.0)
    });
    let n_unfinished: usize = samples.iter().map(|sample| sample.unfinished).sum();
    let by_tasks = taken.concurrency.map_or(0.0, |max| n_unfinished as f64 / n / f64::from(max));
    by_rate.max(by_tasks)
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn refused(samples: &[Sample]) -> f64 {
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let (n_submits, n_accepted) = (last.submits - first.submits, last.accepted - first.accepted);
    n_submits.saturating_sub(n_accepted) as f64 / n_submits.max(1) as f64
}
