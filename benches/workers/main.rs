//! Benchmark of shared runs: the real program as one to sixteen workers, a PostgreSQL and a simulated service, all on this machine.
//!
//! `cargo bench --features postgres --bench workers [-- PART.. [--jobs N] [--push N]]`. The parts are `throughput` (with memory), `rate`, `takeover`
//! and `push` (with `status`); all of them without a word. PostgreSQL is started as in the tests, with its own defaults: it syncs. Ends with an error
//! if a goal is missed. Without PostgreSQL it says so, and measures nothing.

#[expect(dead_code, reason = "the tests of the program use all of it")]
#[path = "../../tests/process/postgres.rs"]
mod postgres;
mod world;

use std::error::Error;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::postgres::Cluster;
use crate::world::{Simulator, World, count_of, median};

/// Result of a part: whether its goals are met.
type Met = Result<bool, Box<dyn Error>>;

/// Part of the benchmark.
struct Part {
    name: &'static str,
    measure: fn(&World, &Sizes) -> Met,
}

/// Parts, in the order in which they are measured.
const PARTS: [Part; 4] = [
    Part { name: "throughput", measure: throughput },
    Part { name: "rate", measure: rates },
    Part { name: "takeover", measure: takeover },
    Part { name: "push", measure: push },
];

/// Sizes of the runs.
struct Sizes {
    /// Jobs of a run that is measured for its speed.
    n_jobs: usize,
    /// Jobs that are pushed.
    n_pushed: usize,
}

/// Goals: jobs per second of all workers, memory to that of a run on one machine, seconds of a takeover, seconds for each job that is pushed,
/// seconds of `status`.
const JOBS_PER_SECOND: f64 = 4000.0;
const MEMORY: f64 = 1.25;
const TAKEOVER: f64 = 75.0;
const PUSH: f64 = 150.0 / 10_000_000.0;
const STATUS: f64 = 0.050;

/// Rates, with the spans of each in seconds, the jobs of a run, and the share that must be used. Times are further apart than the rate says by
/// the time by which one may be used late: a twentieth of the span, at most a second.
const RATES: [(&str, f64, usize, f64); 2] = [("100/s", 1.0, 1500, 0.95), ("6000/m", 60.0, 3000, 0.98)];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let of = |name, usual| number(name).map_or(Ok(usual), |text| text.parse());
    let sizes = Sizes { n_jobs: of("--jobs", 8000)?, n_pushed: of("--push", 1_000_000)? };
    let is_named = |part: &&Part| args.iter().any(|arg| arg == part.name);
    let named: Vec<&Part> = PARTS.iter().filter(is_named).collect();
    let Some(cluster) = Cluster::start() else { return Ok(ExitCode::SUCCESS) };
    let world = World::new(cluster)?;
    let mut is_all_met = true;
    for part in if named.is_empty() { PARTS.iter().collect() } else { named } {
        is_all_met &= (part.measure)(&world, &sizes)?;
        println!();
    }
    Ok(if is_all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const fn word(is_met: bool) -> &'static str {
    if is_met { "ok" } else { "MISSED" }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
const fn float(n: usize) -> f64 {
    n as f64
}

/// Jobs per second and peak memory of one, two and four workers, and of the same run on one machine.
fn throughput(world: &World, sizes: &Sizes) -> Met {
    let n_jobs = sizes.n_jobs;
    let simulator = Simulator::start(&["--latency", "0s", "--image-size", "110x110"])?;
    world.manifest("p.csv", n_jobs)?;
    let concurrency = n_jobs.to_string();
    println!(
        "{n_jobs} jobs, tasks that take no time, images of about 12 kB; PostgreSQL, service and workers on this machine"
    );
    println!("{:16} {:>8} {:>8} {:>9} {:>9}", "", "seconds", "jobs/s", "peak MB", "goals");
    let alone = ["run", "p.csv", "-q", "-o", "alone", "-j", &concurrency];
    // The service draws its pictures the first time.
    World::ended(&[world.spawn(&["run", "p.csv", "-q", "-o", "warm-up", "-j", &concurrency], &simulator)?])?;
    let one = World::ended(&[world.spawn(&alone, &simulator)?])?;
    println!("{:16} {:>8.2} {:>8.0} {:>9.0}", "one machine", one.seconds, float(n_jobs) / one.seconds, one.peak_mb);
    let mut is_all_met = true;
    for n_workers in [1, 2, 4] {
        let (run, out) = (format!("speed_{n_workers}"), format!("speed-{n_workers}"));
        let address = world.share(&run, &out, &simulator)?;
        let work = ["work", "-q", "--ledger", &address, "-o", &out, "-j", &concurrency];
        let workers: Vec<_> = (0..n_workers).map(|_| world.spawn(&work, &simulator)).collect::<Result<_, _>>()?;
        let all = World::ended(&workers)?;
        let per_second = float(n_jobs - 1) / all.seconds;
        let is_met = per_second >= JOBS_PER_SECOND && all.peak_mb <= one.peak_mb * MEMORY;
        is_all_met &= is_met;
        let goals = format!("{JOBS_PER_SECOND:.0}/s, {:.0} MB", one.peak_mb * MEMORY);
        println!(
            "{:16} {:>8.2} {per_second:>8.0} {:>9.0} {goals:>16}  {}",
            format!("{n_workers} workers"),
            all.seconds,
            all.peak_mb,
            word(is_met)
        );
    }
    Ok(is_all_met)
}

/// Use of known rates by one to sixteen workers, and whether any span has more than its count.
fn rates(world: &World, _: &Sizes) -> Met {
    println!("{:16} {:>8} {:>8} {:>9} {:>9}", "", "seconds", "used", "goal", "refused");
    let mut is_all_met = true;
    for (rate, span, n_jobs, goal) in RATES {
        let manifest = format!("rate-{n_jobs}.csv");
        world.manifest(&manifest, n_jobs)?;
        for n_workers in [1, 4, 16] {
            let simulator = Simulator::start(&["--latency", "100ms", "--image-size", "16x16", "--rate", rate])?;
            let run = format!("rate_{}_{n_workers}", if span > 1.0 { "minute" } else { "second" });
            let address = world.address(&run);
            let work = ["run", &manifest, "-q", "--ledger", &address, "-o", &run, "--rate", rate, "-j", "500"];
            let workers: Vec<_> = (0..n_workers).map(|_| world.spawn(&work, &simulator)).collect::<Result<_, _>>()?;
            World::ended(&workers)?;
            let sent = world.sent_at(&run)?;
            let per_second: f64 = count_of(rate) / span;
            let took = sent.last().ok_or("nothing was sent")? - sent[0];
            let used = float(n_jobs - 1) / took / per_second;
            // A span may begin anywhere, and has at most its count.
            let fullest = sent.iter().enumerate().map(|(i, at)| sent[i..].partition_point(|other| *other < at + span));
            let is_kept = float(fullest.max().unwrap_or(0)) <= count_of(rate);
            let n_refused = simulator.stat("rate").unwrap_or(0.0);
            let is_met = used >= goal && is_kept && n_refused == 0.0;
            is_all_met &= is_met;
            println!(
                "{:16} {took:>8.1} {:>7.1}% {:>8.1}% {n_refused:>9}  {}",
                format!("{rate}, {n_workers} w."),
                used * 100.0,
                goal * 100.0,
                word(is_met)
            );
        }
    }
    Ok(is_all_met)
}

/// Time from the death of a worker until another one has the images of its tasks.
fn takeover(world: &World, _: &Sizes) -> Met {
    let simulator = Simulator::start(&["--latency", "2s", "--latency-sigma", "0", "--image-size", "16x16"])?;
    world.manifest("dead.csv", 60)?;
    let address = world.address("dead");
    let work = ["run", "dead.csv", "-q", "--ledger", &address, "-o", "dead", "-j", "60"];
    let mut first = world.spawn(&work, &simulator)?;
    while simulator.stat("accepted").unwrap_or(0.0) < 30.0 {
        sleep(Duration::from_millis(20));
    }
    let second = world.spawn(&work, &simulator)?;
    // It has joined, and waits for jobs.
    sleep(Duration::from_secs(1));
    first.kill()?;
    let began = Instant::now();
    World::ended(&[second])?;
    let seconds = began.elapsed().as_secs_f64();
    let is_met = seconds <= TAKEOVER;
    println!("{:16} {seconds:>8.1} s, goal {TAKEOVER:.0} s  {}", "takeover", word(is_met));
    Ok(is_met)
}

/// Time of a push, and of `status` afterwards.
fn push(world: &World, sizes: &Sizes) -> Met {
    let n_jobs = sizes.n_pushed;
    let simulator = Simulator::start(&["--latency", "0s", "--image-size", "16x16"])?;
    world.manifest("big.csv", n_jobs)?;
    world.begin("big.csv", "big", &simulator)?;
    let address = world.address("big");
    let began = Instant::now();
    world.output(&["share", "big", "--ledger", &address, "--progress", "none"])?;
    let seconds = began.elapsed().as_secs_f64();
    let (goal, is_met) = (PUSH * float(n_jobs), seconds <= PUSH * float(n_jobs));
    println!("{:16} {seconds:>8.1} s, goal {goal:.1} s, {n_jobs} jobs  {}", "push", word(is_met));
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        world.output(&["status", &address])?;
        times.push(began.elapsed().as_secs_f64());
    }
    let middle = median(times);
    let is_quick = middle <= STATUS;
    println!("{:16} {:>8.1} ms, goal {:.0} ms  {}", "status", middle * 1000.0, STATUS * 1000.0, word(is_quick));
    Ok(is_met && is_quick)
}
