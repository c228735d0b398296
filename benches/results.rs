//! Benchmark of rewriting `results.csv` during a run of the real program against a `promptbatch simulate` process.
//!
//! `cargo bench --bench results [-- JOBS [RATE]]`, with `RATE` jobs per second. A thread named `results` writes the
//! results, and exists only while it writes. The kernel reports when it exists, and the CPU time that it used. Ends
//! with an error if its share of the run's time is too large, or if no results were written. The wait before a rewrite
//! grows with the number of jobs, so the rate must be low enough.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Default number of jobs. At `RATE` jobs per second the run takes minutes, in which the results are written twice.
const JOBS: u32 = 200_000;
const RATE: u32 = 800;

/// Maximum share of a run's time, in percent.
const SHARE_MAX: f64 = 2.0;

/// Interval at which the threads are sampled. A measured rewrite is too long or too short by at most this time.
const LOOK: Duration = Duration::from_millis(20);

/// Ticks of CPU time in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Process that does not outlive the benchmark.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One rewrite of the results.
struct Rewrite {
    began: Duration,
    took: Duration,
    cpu_seconds: f64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let (n_jobs, rate) = (numbers.next().unwrap_or(JOBS), numbers.next().unwrap_or(RATE));
    let folder = tempfile::tempdir()?;
    let rows: Vec<String> = (0..n_jobs).map(|n| format!("a cat number {n}\n")).collect();
    fs::write(folder.path().join("p.csv"), format!("prompt\n{}", rows.concat()))?;
    let (_simulator, url) = simulator()?;
    let mut run = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
    run.args(["run", "p.csv", "-q", "-o", "out", "-j", "2000", "--rate", &format!("{rate}/s"), "--base-url", &url]);
    run.current_dir(folder.path()).env("MODELSCOPE_API_KEY", "x");
    let began = Instant::now();
    let mut run = Killed(run.spawn()?);
    let tasks = Path::new("/proc").join(run.0.id().to_string()).join("task");
    let mut rewrites = BTreeMap::new();
    let status = loop {
        watch(&tasks, began.elapsed(), &mut rewrites);
        if let Some(status) = run.0.try_wait()? {
            break status;
        }
        thread::sleep(LOOK);
    };
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("the run: {status}").into());
    }
    println!("{n_jobs} jobs in {seconds:.0} s");
    let mut rewrites: Vec<Rewrite> = rewrites.into_values().collect();
    rewrites.sort_by_key(|rewrite| rewrite.began);
    for Rewrite { began, took, cpu_seconds } in &rewrites {
        println!(
            "results after {:>4.0} s: {:.2} s, {cpu_seconds:.2} s of CPU",
            began.as_secs_f64(),
            took.as_secs_f64()
        );
    }
    let share = |of: fn(&Rewrite) -> f64| 100.0 * rewrites.iter().map(of).sum::<f64>() / seconds;
    let (time, cpu) = (share(|rewrite| rewrite.took.as_secs_f64()), share(|rewrite| rewrite.cpu_seconds));
    let is_met = !rewrites.is_empty() && time < SHARE_MAX;
    let word = if is_met { "ok" } else { "MISSED" };
    println!(
        "written {} times: {time:.2} % of the time, {cpu:.2} % of a core; goal {SHARE_MAX} %  {word}",
        rewrites.len()
    );
    Ok(if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Records the thread that writes the results, if it exists at this moment.
fn watch(tasks: &Path, now: Duration, rewrites: &mut BTreeMap<PathBuf, Rewrite>) {
    for task in fs::read_dir(tasks).into_iter().flatten().flatten().map(|task| task.path()) {
        if fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "results") {
            let cpu_seconds = cpu_of(&task.join("stat")).unwrap_or_default();
            let rewrite = rewrites.entry(task).or_insert(Rewrite { began: now, took: Duration::ZERO, cpu_seconds });
            rewrite.took = (now + LOOK).saturating_sub(rewrite.began);
            rewrite.cpu_seconds = cpu_seconds.max(rewrite.cpu_seconds);
        }
    }
}

/// Returns the user and system time of a process or a thread, in seconds, as Linux reports it.
fn cpu_of(stat: &Path) -> Option<f64> {
    let stat = fs::read_to_string(stat).ok()?;
    // The name in parentheses may contain anything. The fields after it are numbers, of which these are the 12th and
    // 13th.
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// Starts a service whose tasks take no time and whose pictures have about 12 kB.
fn simulator() -> Result<(Killed, String), Box<dyn Error>> {
    let mut simulate = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
    simulate.args(["simulate", "--port", "0", "--latency", "0s", "--image-size", "110x110"]);
    let mut simulator = Killed(simulate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let mut url = String::new();
    BufReader::new(simulator.0.stdout.as_mut().ok_or("piped")?).read_line(&mut url)?;
    Ok((simulator, url.trim().to_owned()))
}
