//! Jobs per second and memory of the real program against the real simulator, each in a process of its own, on loopback.
//!
//! `cargo bench --bench throughput [-- JOBS [ROUNDS]]`. Tasks take no time, pictures are 64x64; everything is durable as in any
//! run: ledger synced at every turn, images synced one by one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let (n_jobs, n_rounds) = (numbers.next().unwrap_or(2000), numbers.next().unwrap_or(3));
    println!("{n_jobs} jobs a round, latency 0, 64x64 images");
    println!("{:>6} {:>9} {:>8} {:>12}", "round", "seconds", "jobs/s", "peak memory");
    let mut rates: Vec<f64> = (1..=n_rounds).map(|round| measure(round, n_jobs)).collect();
    rates.sort_by(f64::total_cmp);
    println!("median: {:.0} jobs/s", rates[rates.len() / 2]);
}

fn measure(round: u32, n_jobs: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows: Vec<String> = (0..n_jobs).map(|n| format!("a cat number {n}\n")).collect();
    fs::write(folder.path().join("p.csv"), format!("prompt\n{}", rows.concat())).expect("the manifest is written");
    let program = env!("CARGO_BIN_EXE_promptbatch");
    let mut simulate = Command::new(program);
    simulate.args(["simulate", "--port", "0", "--latency", "0s", "--image-size", "64x64"]);
    let mut simulator =
        Killed(simulate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the simulator starts"));
    let mut url = String::new();
    BufReader::new(simulator.0.stdout.as_mut().expect("piped")).read_line(&mut url).expect("its address");

    let mut run = Command::new(program);
    run.args(["run", "p.csv", "-o", "out", "-q", "-j", "1000", "--base-url", url.trim()]);
    let began = Instant::now();
    let mut child = run.env("MODELSCOPE_API_KEY", "x").current_dir(folder.path()).spawn().expect("the run starts");
    let mut peak = None;
    let status = loop {
        // The kernel forgets a process's peak when it ends, so the last look counts.
        peak = peak_memory(child.id()).or(peak);
        if let Some(status) = child.try_wait().expect("the run is ours") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let seconds = began.elapsed().as_secs_f64();
    assert!(status.success(), "every job has its image");
    let rate = f64::from(n_jobs) / seconds;
    let peak = peak.unwrap_or_else(|| "unknown".into());
    println!("{round:>6} {seconds:>9.2} {rate:>8.0} {peak:>12}");
    rate
}

/// The peak of a process's resident memory, as Linux tells it.
fn peak_memory(pid: u32) -> Option<String> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|text| text.trim().to_owned())
}
