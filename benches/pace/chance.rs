//! Cost of random refusals beyond their own share, over hours: with and without configured limits, and with a hidden one.

use std::time::Duration;

use promptbatch::model::limits::{Concurrency, Limits};

use crate::light::{Count, Service, play, play_moves};

/// Seeds that judge the constants, which were tuned on seeds below 400.
const SEEDS: std::ops::Range<u64> = 1000..1020;

/// Shares of submissions that are refused at random.
const SHARES: [f64; 4] = [0.001, 0.01, 0.05, 0.1];

/// Minimum use of the submissions that random refusals leave, with every seed.
const GOAL: f64 = 0.95;

/// Minimum use of a hidden limit under random refusals, with the median seed.
const HIDDEN_GOAL: f64 = 0.9;

/// Limits that the user sets, and the duration of the simulation in seconds.
struct Told {
    name: &'static str,
    limits: Limits,
    end: u32,
}

fn told() -> [Told; 4] {
    let limits = |rate: &str, n: Option<u32>| Limits {
        rate: rate.parse().ok(),
        concurrency: n.and_then(|n| n.try_into().ok()).map_or(Concurrency::Auto, Concurrency::Fixed),
        ..Limits::default()
    };
    // Without configured limits, sixteen hundred submissions leave per second. Minutes are then as many submissions as
    // hours elsewhere.
    [
        Told { name: "nothing told", limits: limits("", None), end: 300 },
        Told { name: "--rate 100/s -j 600", limits: limits("100/s", Some(600)), end: 3600 },
        Told { name: "-j 10", limits: limits("", Some(10)), end: 4 * 3600 },
        Told { name: "--rate 20/s", limits: limits("20/s", None), end: 2 * 3600 },
    ]
}

/// Measures and prints every row whose name contains this word. Returns the number of missed goals.
pub fn measure(word: &str) -> usize {
    println!("\n{:<44} {:>8} {:>8}", "chance, of what is taken without it", "median", "worst");
    let n_missed = told().iter().map(|told| measure_told(told, word)).sum::<usize>();
    n_missed + measure_hidden(word) + measure_slots(word) + measure_moves(word)
}

fn measure_told(told: &Told, word: &str) -> usize {
    let mut without: Option<Vec<u64>> = None;
    let mut n_missed = 0;
    for retry_after in [None, Some(Duration::from_secs(1))] {
        for chance in SHARES {
            let wait = if retry_after.is_some() { ", Retry-After" } else { "" };
            let name = format!("chance {:.1} %, {}{wait}", chance * 100.0, told.name);
            if !name.contains(word) {
                continue;
            }
            let run = |service| play(service, &told.limits, 0, told.end).accepted;
            let without =
                without.get_or_insert_with(|| SEEDS.map(|seed| run(Service { seed, ..Service::default() })).collect());
            let taken = SEEDS.map(|seed| run(Service { chance, retry_after, seed, ..Service::default() }));
            let shares = taken.zip(without).map(|(n, all)| float(n) / (float(*all) * (1.0 - chance)));
            n_missed += row(&name, shares.collect(), |_, worst| worst >= GOAL);
        }
    }
    n_missed
}

/// Measures a hidden rate and random refusals at once.
fn measure_hidden(word: &str) -> usize {
    println!("\n{:<44} {:>8} {:>8}", "chance besides a hidden rate, of that rate", "median", "worst");
    let mut n_missed = 0;
    for text in ["2/s", "20/s", "100/s"] {
        for chance in [0.01, 0.05, 0.1] {
            let name = format!("chance {:.1} %, hidden {text}", chance * 100.0);
            if !name.contains(word) {
                continue;
            }
            let per_second = text.trim_end_matches("/s").parse().unwrap_or(1.0);
            let run = |seed| {
                let service = Service { chance, rate: text.parse().ok(), seed, ..Service::default() };
                let Count { submits, accepted } = play(service, &Limits::default(), 60, 3660);
                (float(accepted) / (per_second * 3600.0), 1.0 - float(accepted) / float(submits))
            };
            let (used, refused): (Vec<f64>, Vec<f64>) = SEEDS.map(run).unzip();
            n_missed += row(&name, used, |median, _| median >= HIDDEN_GOAL);
            println!("{:<44} {:>7.1}%", "  refused, chance included", median(refused) * 100.0);
        }
    }
    n_missed
}

/// Measures hidden slots and random refusals at once, for 20 minutes after the first.
fn measure_slots(word: &str) -> usize {
    println!("\n{:<44} {:>8} {:>8}", "chance besides hidden slots, of those slots", "median", "worst");
    let mut n_missed = 0;
    for (slots, task) in [(1_u32, 2.0), (4, 1.0), (4, 5.0), (10, 15.0), (50, 1.0), (50, 5.0)] {
        for chance in [0.0, 0.01, 0.05, 0.1] {
            let name = format!("chance {:.1} %, {slots} slots of {task} s", chance * 100.0);
            if !name.contains(word) {
                continue;
            }
            let run = |seed| {
                let service = Service { chance, slots: Some(slots as usize), task, seed, ..Service::default() };
                let Count { submits, accepted } = play(service, &Limits::default(), 60, 1260);
                let ideal = f64::from(slots) * 1200.0 * service.ends_per_slot();
                (float(accepted) / ideal, 1.0 - float(accepted) / float(submits))
            };
            let (used, refused): (Vec<f64>, Vec<f64>) = SEEDS.map(run).unzip();
            n_missed += row(&name, used, |median, _| median >= HIDDEN_GOAL);
            println!("{:<44} {:>7.1}%", "  refused, chance included", median(refused) * 100.0);
        }
    }
    n_missed
}

/// Measures hidden slots that move every 10 minutes, and random refusals. The first minute after each move is not counted.
fn measure_moves(word: &str) -> usize {
    println!("\n{:<44} {:>8} {:>8}", "chance besides slots that move, of those slots", "median", "worst");
    let mut n_missed = 0;
    for (slots, task) in
        [([8_u32, 2, 4], 1.0), ([4, 8, 2], 5.0), ([12, 3, 15], 2.0), ([50, 200, 50], 5.0), ([1, 6, 1], 3.0)]
    {
        for chance in [0.0, 0.01, 0.05] {
            let name = format!("chance {:.1} %, slots {slots:?} of {task} s", chance * 100.0);
            if !name.contains(word) {
                continue;
            }
            let run = |seed| {
                let service = Service { chance, task, seed, ..Service::default() };
                let counts = play_moves(service, &Limits::default(), slots.map(|n| n as usize), 60, 600);
                let accepted = counts.iter().zip(slots).map(|(count, slots)| float(count.accepted) / f64::from(slots));
                // Each part counts alike, however many slots it has.
                accepted.sum::<f64>() / (3.0 * 540.0 * service.ends_per_slot())
            };
            n_missed += row(&name, SEEDS.map(run).collect(), |median, _| median >= HIDDEN_GOAL);
        }
    }
    n_missed
}

fn row(name: &str, shares: Vec<f64>, is_reached: impl Fn(f64, f64) -> bool) -> usize {
    let worst = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let median = median(shares);
    let is_missed = !is_reached(median, worst);
    let mark = if is_missed { "  missed" } else { "" };
    println!("{name:<44} {:>7.1}% {:>7.1}%{mark}", median * 100.0, worst * 100.0);
    usize::from(is_missed)
}

fn median(mut shares: Vec<f64>) -> f64 {
    shares.sort_by(f64::total_cmp);
    shares[shares.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "some millions")]
const fn float(n: u64) -> f64 {
    n as f64
}
