//! Benchmark of time and memory: the real program on a million rows, and on the ledger of a nearly finished run.
//!
//! `cargo bench --bench scale [-- --rows N]`: a million rows by default. The goals are those for a million rows. Beyond
//! that, times may grow with the rows, and memory may not. Ends with an error if a goal is missed.

mod material;

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Default number of rows.
const ROWS: u64 = 1_000_000;

/// Maximum memory of any command, in kB.
const PEAK_MAX: u64 = 150_000;

/// Interval at which a process is sampled. Its memory during the last interval before its end is missed.
const LOOK: Duration = Duration::from_millis(2);

/// Time without a submission after which a run counts as broken.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Command that one process runs, and its time limit.
struct Task {
    name: &'static str,
    args: &'static [&'static str],
    /// Time limit in seconds, at a million rows.
    goal: f64,
    until: Until,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until the process ends normally.
    End,
    /// Until a submission arrives. Then the process is killed.
    Submission,
}

/// Tasks, in this order because the last ones change the ledger.
const TASKS: [Task; 10] = [
    Task { name: "validate", args: &["validate", "m.csv"], goal: 5.0, until: Until::End },
    Task { name: "plan, no run yet", args: &["plan", "m.csv", "-o", "none"], goal: 5.0, until: Until::End },
    Task {
        name: "run, no run yet, to the first submission",
        args: &["run", "m.csv", "-o", "new"],
        goal: 10.0,
        until: Until::Submission,
    },
    Task { name: "status", args: &["status", "out"], goal: 0.3, until: Until::End },
    Task { name: "results", args: &["results", "out"], goal: 10.0, until: Until::End },
    Task { name: "gallery", args: &["gallery", "out"], goal: 20.0, until: Until::End },
    Task { name: "plan, nothing changed", args: &["plan", "m.csv", "-o", "out"], goal: 5.0, until: Until::End },
    Task { name: "plan, edited", args: &["plan", "edited.csv", "-o", "out"], goal: 10.0, until: Until::End },
    Task {
        name: "run, nothing changed, to the first submission",
        args: &["run", "m.csv", "-o", "out"],
        goal: 1.0,
        until: Until::Submission,
    },
    Task {
        name: "run, edited, to the first submission",
        args: &["run", "edited.csv", "-o", "out"],
        goal: 10.0,
        until: Until::Submission,
    },
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let rows = args.iter().position(|arg| arg == "--rows").and_then(|at| args.get(at + 1));
    let n_rows: u64 = rows.map_or(Ok(ROWS), |rows| rows.parse())?;
    let folder = tempfile::tempdir()?;
    let service = Service::start()?;
    let began = Instant::now();
    material::manifest(&folder.path().join("m.csv"), n_rows)?;
    material::edited(&folder.path().join("edited.csv"), n_rows)?;
    material::ledger(&folder.path().join("m.csv"), &folder.path().join("out"), &service.url)?;
    let bytes = |name: &str| fs::metadata(folder.path().join(name)).map(|file| file.len() / 1_000_000);
    println!(
        "{n_rows} rows in {} MB of CSV; a ledger of {} MB, {} jobs pending; made in {:.0} s",
        bytes("m.csv")?,
        bytes("out/run.db")?,
        material::PENDING,
        began.elapsed().as_secs_f64()
    );
    println!("{:48} {:>8} {:>8} {:>9} {:>9}", "", "seconds", "goal", "peak MB", "goal");
    let mut is_all_met = true;
    for task in &TASKS {
        let (seconds, peak) = measure(task, folder.path(), &service)?;
        #[expect(clippy::cast_precision_loss, reason = "rows of a bench")]
        let goal = task.goal * (n_rows as f64 / ROWS as f64).max(1.0);
        let is_met = seconds <= goal && peak <= PEAK_MAX;
        is_all_met &= is_met;
        let word = if is_met { "ok" } else { "MISSED" };
        // A process that ended before it was sampled has no known peak.
        let peak = if peak == 0 { "-".to_owned() } else { (peak / 1000).to_string() };
        let peak_max = PEAK_MAX / 1000;
        println!("{:48} {seconds:>8.2} {goal:>8.2} {peak:>9} {peak_max:>9}  {word}", task.name);
    }
    Ok(if is_all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the program. Returns its duration in seconds and its peak memory in kB.
fn measure(task: &Task, folder: &Path, service: &Service) -> Result<(f64, u64), Box<dyn Error>> {
    // A submission that an earlier process made in its last moment must not count.
    while service.submissions.try_recv().is_ok() {}
    let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
    command.args(task.args).current_dir(folder).stdout(Stdio::null()).env("PROMPTBATCH_PROGRESS", "none");
    if task.until == Until::Submission {
        command.args(["--base-url", &service.url, "-q"]).env("MODELSCOPE_API_KEY", "x");
    }
    let began = Instant::now();
    let mut child = Killed(command.spawn()?);
    let mut peak = 0;
    while began.elapsed() < PATIENCE {
        // The kernel discards a process's peak when it ends, so the last sample counts.
        peak = peak_kilobytes(child.0.id()).unwrap_or(peak);
        if let Ok(at) = service.submissions.try_recv() {
            return Ok(((at - began).as_secs_f64(), peak));
        }
        if let Some(status) = child.0.try_wait()? {
            let seconds = began.elapsed().as_secs_f64();
            let is_as_wanted = status.success() && task.until == Until::End;
            return is_as_wanted.then_some((seconds, peak)).ok_or_else(|| format!("{}: {status}", task.name).into());
        }
        thread::sleep(LOOK);
    }
    Err(format!("{}: nothing for {} s", task.name, PATIENCE.as_secs()).into())
}

/// Process that does not outlive the benchmark.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the peak resident memory of a process, in kB, as Linux reports it. `None` if the process has ended.
fn peak_kilobytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

/// Server that receives submissions and answers none.
struct Service {
    url: String,
    submissions: Receiver<Instant>,
}

impl Service {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let (heard, submissions) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = heard.clone();
                thread::spawn(move || hear(stream, &heard));
            }
        });
        Ok(Self { url, submissions })
    }
}

/// Reads until the other side closes the connection.
fn hear(mut stream: TcpStream, heard: &Sender<Instant>) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if bytes[..n].starts_with(b"POST") {
            let _ = heard.send(Instant::now());
        }
    }
}
