//! Short runs, from the first submission to the last image: their time against the ideal, and what was refused.
//!
//! The ideal knows all limits. It submits as soon as the service accepts, polls each task at its end, and waits for its
//! answers only.

use std::time::Duration;

use promptbatch::model::limits::{Concurrency, Limits};

use crate::brief::{ANSWER, RetryAfter, Run, Service, play};

/// Seeds that judge the constants, which were tuned on seeds 1 to 9.
const SEEDS: std::ops::Range<u64> = 1000..1020;

/// Numbers of jobs of a run.
const JOBS: [usize; 4] = [20, 100, 400, 2000];

/// Number of jobs from which the goals apply.
const JUDGED_JOBS: usize = 100;

/// Maximum time of a run as a multiple of the ideal: with the median seed, and with the worst.
const MEDIAN_MAX: f64 = 1.10;
const WORST_MAX: f64 = 1.25;

/// Refusals by limits that a run may have: a number, or a share of its jobs if that is more.
const REFUSED_MAX: f64 = 8.0;
const REFUSED_SHARE_MAX: f64 = 0.03;

/// Longest ideal of a run that is played, in seconds: a day is no short run.
const IDEAL_MAX: f64 = 4.0 * 3600.0;

/// Service, and what the user tells about it.
struct Scene {
    name: String,
    service: Service,
    told: Limits,
}

fn scene(name: impl Into<String>, service: Service) -> Scene {
    Scene { name: name.into(), service, told: Limits::default() }
}

fn fixed(n: u32) -> Limits {
    Limits { concurrency: n.try_into().map_or(Concurrency::Auto, Concurrency::Fixed), ..Limits::default() }
}

fn scenes() -> Vec<Scene> {
    let mut scenes = vec![];
    for rate in [0.5, 2.0, 20.0, 200.0] {
        for burst in [1, 4] {
            for task in [0.2, 5.0] {
                let service = Service { rate: Some(rate), burst, task, ..Service::default() };
                scenes.push(scene(format!("{rate}/s, burst {burst}, tasks {task} s"), service));
            }
        }
    }
    for slots in [1, 4, 50] {
        for task in [0.02, 0.4, 5.0, 60.0] {
            let service = Service { slots: Some(slots), task, ..Service::default() };
            scenes.push(scene(format!("{slots} slots, tasks {task} s"), service));
        }
    }
    for (rate, burst, slots, task) in [(20.0, 4, 50, 2.0), (20.0, 4, 50, 5.0), (2.0, 1, 4, 1.0), (2.0, 4, 4, 5.0)] {
        let service = Service { rate: Some(rate), burst, slots: Some(slots), task, ..Service::default() };
        scenes.push(scene(format!("{rate}/s, burst {burst}, {slots} slots, tasks {task} s"), service));
    }
    for chance in [0.01, 0.05] {
        let name = |what: &str| format!("{what}, chance {} %", chance * 100.0);
        let rate = Service { rate: Some(20.0), burst: 4, task: 1.0, chance, ..Service::default() };
        scenes.push(scene(name("20/s, burst 4, tasks 1 s"), rate));
        let slots = Service { slots: Some(4), task: 1.0, chance, ..Service::default() };
        scenes.push(scene(name("4 slots, tasks 1 s"), slots));
        let none = Service { task: 2.0, chance, ..Service::default() };
        scenes.push(Scene { told: fixed(10), ..scene(name("-j 10, tasks 2 s"), none) });
    }
    for (n, task, sigma) in [(1, 2.0, 0.3), (10, 1.5, 0.3), (10, 0.02, 0.3), (10, 15.0, 0.3), (50, 5.0, 0.6)] {
        let service = Service { task, sigma, ..Service::default() };
        scenes.push(Scene { told: fixed(n), ..scene(format!("-j {n}, tasks {task} s"), service) });
    }
    let service = Service { slots: Some(4), task: 1.0, ..Service::default() };
    scenes.push(Scene { told: fixed(10), ..scene("-j 10, 4 slots, tasks 1 s", service) });
    for (name, retry_after) in [
        ("Retry-After", RetryAfter::True),
        ("Retry-After too short", RetryAfter::Always(Duration::from_secs(1))),
        ("Retry-After too long", RetryAfter::Always(Duration::from_secs(10))),
    ] {
        let retry_after = Some(retry_after);
        for (rate, burst) in [(0.5, 1), (20.0, 4)] {
            let service = Service { rate: Some(rate), burst, task: 1.0, retry_after, ..Service::default() };
            scenes.push(scene(format!("{rate}/s, burst {burst}, tasks 1 s, {name}"), service));
        }
        let service = Service { slots: Some(4), task: 5.0, retry_after, ..Service::default() };
        scenes.push(scene(format!("4 slots, tasks 5 s, {name}"), service));
    }
    scenes.push(scene("no limit, tasks 2 s", Service { task: 2.0, ..Service::default() }));
    scenes
}

/// Measures and prints every row whose name contains this word, with these seeds, or with those that judge the
/// constants. Returns the number of missed goals.
pub fn measure(word: &str, seeds: Option<std::ops::Range<u64>>) -> usize {
    println!(
        "\n{:<58} {:>5} {:>8} {:>7} {:>7} {:>8} {:>7}",
        "short", "jobs", "ideal s", "median", "worst", "refused", "polls"
    );
    let seeds = seeds.unwrap_or(SEEDS);
    let mut n_missed = 0;
    for scene in scenes() {
        for n_jobs in JOBS {
            let name = format!("short {}", scene.name);
            if format!("{name}, {n_jobs} jobs").contains(word) {
                n_missed += row(&scene, &name, n_jobs, seeds.clone());
            }
        }
    }
    n_missed
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn row(scene: &Scene, name: &str, n_jobs: usize, seeds: std::ops::Range<u64>) -> usize {
    let mut runs: Vec<Run> = vec![];
    for seed in seeds {
        let service = Service { seed, ..scene.service };
        let slots = match scene.told.concurrency {
            Concurrency::Fixed(n) => service.slots.map_or(n.get(), |slots| slots.min(n.get())),
            Concurrency::Auto => service.slots.unwrap_or(u32::MAX),
        };
        let run = play(service, slots, &scene.told, n_jobs, IDEAL_MAX);
        let Some(run) = run else { return 0 };
        runs.push(run);
    }
    runs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let (median, worst) = (runs[runs.len() / 2].ratio(), runs[runs.len() - 1].ratio());
    let refused = runs.iter().map(|run| run.n_limited).max().unwrap_or(0);
    let ideal = runs[runs.len() / 2].ideal;
    let polls = runs.iter().map(|run| run.n_polls as f64).sum::<f64>() / (runs.len() * n_jobs) as f64;
    let refused_max = REFUSED_MAX.max(REFUSED_SHARE_MAX * n_jobs as f64);
    let is_slow = median > MEDIAN_MAX || worst > WORST_MAX;
    // Less than a round trip more is not felt.
    let is_felt = runs[runs.len() - 1].took - runs[runs.len() - 1].ideal > 4.0 * ANSWER;
    let is_missed = n_jobs >= JUDGED_JOBS && ((is_slow && is_felt) || refused as f64 > refused_max);
    let mark = if is_missed { "  missed" } else { "" };
    println!("{name:<58} {n_jobs:>5} {ideal:>8.1} {median:>7.2} {worst:>7.2} {refused:>8} {polls:>7.1}{mark}");
    usize::from(is_missed)
}
