//! Benchmark of jobs per second, CPU and memory: the real program against the real simulator, on loopback.
//!
//! Each of them is a separate process. Two peers use the same simulator, in the same rounds.
//!
//! `cargo bench --bench throughput [-- JOBS [ROUNDS]]`. Tasks take no time, pictures have about 12 kB, and nothing is
//! limited. Our client is durable as in any run: every turn of the ledger is synced, and every image is checked, synced
//! and renamed. The peer `aiohttp_peer.py` is a typical script, with neither ledger nor sync. `wrk` with `ceiling.lua`
//! sends the same three requests per job, and discards the answers. No client can be faster against this simulator on
//! this machine.
//!
//! A warm-up that is not counted makes the simulator draw its pictures. CPU is the user and system time of the client
//! alone. No folder is deleted before the end: for minutes after a deletion, ext4 creates new files slowly.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Environment variable with the interpreter of the peer. The default is `python3`.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Ticks of a process's CPU time in a second, on every Linux.
const TICKS: f64 = 100.0;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measured client.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    Ours,
    Aiohttp,
    Wrk,
}

/// Measurements of one client in one round.
#[derive(Clone, Copy)]
struct Measured {
    seconds: f64,
    n_jobs: f64,
    cpu_seconds: f64,
    peak_kb: u64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.n_jobs / self.seconds
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu_seconds / self.n_jobs * 1e6
    }
}

/// State that all rounds share.
struct World {
    folder: TempDir,
    url: String,
    n_jobs: u32,
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u32>().ok());
    let (n_jobs, n_rounds) = (numbers.next().unwrap_or(8000), numbers.next().unwrap_or(5));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows: Vec<String> = (0..n_jobs).map(|n| format!("a cat number {n}\n")).collect();
    fs::write(folder.path().join("p.csv"), format!("prompt\n{}", rows.concat())).expect("the manifest is written");
    let (_simulator, url) = simulator();
    let world = World { folder, url, n_jobs };

    let mut clients = vec![Client::Ours];
    clients.extend([Client::Aiohttp, Client::Wrk].into_iter().filter(|client| client.is_here()));
    world.measure(Client::Ours, "warm-up");
    println!("{n_jobs} jobs a round, latency 0, images of {} bytes", world.image_bytes());
    println!(
        "{:>6} {:<12} {:>8} {:>8} {:>12} {:>12}",
        "round", "client", "seconds", "jobs/s", "CPU us/job", "peak memory"
    );
    let rounds: Vec<Vec<Measured>> = (1..=n_rounds).map(|round| world.round(round, &clients)).collect();
    for (nth, client) in clients.iter().enumerate() {
        let median = |what: &dyn Fn(&[Measured]) -> f64| median(rounds.iter().map(|round| what(round)).collect());
        let (rate, cpu) = (median(&|round| round[nth].rate()), median(&|round| round[nth].cpu_micros()));
        println!("median {:<12} {:>17.0} {cpu:>12.0}", client.name(), rate);
        if *client != Client::Ours {
            let (faster, cheaper) = (
                median(&|round| round[0].rate() / round[nth].rate()),
                median(&|round| round[0].cpu_micros() / round[nth].cpu_micros()),
            );
            println!(
                "       ours to it: {faster:.2} times the jobs/s, {cheaper:.2} times the CPU a job (median of the rounds)"
            );
        }
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_promptbatch"))
}

fn simulator() -> (Killed, String) {
    let mut simulate = program();
    simulate.args(["simulate", "--port", "0", "--latency", "0s", "--image-size", "110x110"]);
    let simulator = simulate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut simulator = Killed(simulator.expect("the simulator starts"));
    let mut url = String::new();
    BufReader::new(simulator.0.stdout.as_mut().expect("piped")).read_line(&mut url).expect("its address");
    (simulator, url.trim().to_owned())
}

fn python() -> Command {
    Command::new(std::env::var_os(PYTHON).unwrap_or_else(|| "python3".into()))
}

fn bench_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(name)
}

impl Client {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "promptbatch",
            Self::Aiohttp => "aiohttp",
            Self::Wrk => "wrk",
        }
    }

    /// Reports whether the client can be measured here. If not, prints a notice.
    fn is_here(self) -> bool {
        let (mut probe, remedy) = match self {
            Self::Ours => return true,
            Self::Aiohttp => {
                let mut probe = python();
                probe.args(["-c", "import aiohttp"]);
                (probe, format!("name an interpreter that has aiohttp in {PYTHON}"))
            }
            Self::Wrk => {
                let mut probe = Command::new("wrk");
                probe.arg("--version");
                (probe, "install wrk".to_owned())
            }
        };
        // wrk reports a mistake when asked for its version, and prints it.
        let ran = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_here = ran.is_ok_and(|status| status.success() || self == Self::Wrk);
        if !is_here {
            println!("SKIPPED: {} is not here; {remedy}", self.name());
        }
        is_here
    }
}

impl World {
    fn round(&self, round: u32, clients: &[Client]) -> Vec<Measured> {
        let measure = |client: &Client| {
            let measured = self.measure(*client, &format!("{}-{round}", client.name()));
            let Measured { seconds, peak_kb, .. } = measured;
            let (rate, cpu) = (measured.rate(), measured.cpu_micros());
            println!("{round:>6} {:<12} {seconds:>8.2} {rate:>8.0} {cpu:>12.0} {peak_kb:>9} kB", client.name());
            measured
        };
        clients.iter().map(measure).collect()
    }

    fn measure(&self, client: Client, out: &str) -> Measured {
        let n_images = || -> f64 { self.stat("images") };
        let n_before = n_images();
        let (seconds, cpu_seconds, peak_kb) = watch(self.command(client, out));
        let n_jobs = n_images() - n_before;
        assert!(client == Client::Wrk || n_jobs >= f64::from(self.n_jobs), "every job has its image");
        Measured { seconds, n_jobs, cpu_seconds, peak_kb }
    }

    fn command(&self, client: Client, out: &str) -> Command {
        let mut command = match client {
            Client::Ours => {
                let mut run = program();
                let n_jobs = self.n_jobs.to_string();
                run.args(["run", "p.csv", "-q", "-o", out, "-j", &n_jobs, "--base-url", &self.url]);
                run
            }
            Client::Aiohttp => {
                let mut python = python();
                python.arg(bench_file("aiohttp_peer.py")).args(["p.csv", out, &self.url]);
                python
            }
            Client::Wrk => {
                let mut wrk = Command::new("wrk");
                wrk.args(["-t1", "-c64", "-d3s", "-s"]).arg(bench_file("ceiling.lua")).arg(&self.url);
                wrk
            }
        };
        command.env("MODELSCOPE_API_KEY", "x").current_dir(self.folder.path()).stdout(Stdio::null());
        command
    }

    /// Returns one of the simulator's own counts.
    fn stat(&self, name: &str) -> f64 {
        let host = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(host).expect("the simulator listens");
        let request = format!("GET /stats HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it reads");
        let answer = std::io::read_to_string(stream).expect("it answers");
        let (_, rest) = answer.split_once(&format!("\"{name}\":")).expect("it counts");
        rest.split([',', '}']).next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Returns the average size of the images, in bytes.
    fn image_bytes(&self) -> u64 {
        let images = fs::read_dir(self.folder.path().join("warm-up/images")).expect("the images of the warm-up");
        let bytes: Vec<u64> = images.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).collect();
        bytes.iter().sum::<u64>() / bytes.len() as u64
    }
}

/// Runs a command to its end. Returns its duration, its CPU time, and its peak memory in kB, as of the last sample.
fn watch(mut command: Command) -> (f64, f64, u64) {
    // Data that the previous client left unwritten must not be written during this client's time.
    let _ = Command::new("sync").status();
    let cpu_before = cpu_of_children();
    let began = Instant::now();
    let mut child = command.spawn().expect("the client starts");
    let mut peak = 0;
    let status = loop {
        peak = peak_memory(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait().expect("the client is ours") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let seconds = began.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {status}");
    (seconds, cpu_of_children() - cpu_before, peak)
}

/// Returns the user and system time of all child processes that were waited for, in seconds, as Linux reports it.
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux tells");
    // The name in parentheses may contain anything. The fields after it are numbers, of which these are the 14th and
    // 15th.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Returns the peak resident memory of a process, in kB.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}
