//! World of the benchmark: a folder, a server, simulated services, and processes of the real program.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres::Cluster;

/// Interval at which processes are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Folder and server of all parts.
pub(crate) struct World {
    folder: TempDir,
    cluster: Cluster,
}

/// Measurements of processes that ran at once.
pub(crate) struct Measured {
    /// Seconds until the last one ended.
    pub(crate) seconds: f64,
    /// Highest memory of one of them, in MB.
    pub(crate) peak_mb: f64,
}

/// Process that does not outlive the benchmark.
pub(crate) struct Worker {
    child: std::cell::RefCell<Child>,
    began: Instant,
}

impl Worker {
    /// Kills the process, and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        let child = self.child.get_mut();
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl World {
    pub(crate) fn new(cluster: Cluster) -> Result<Self, Box<dyn Error>> {
        Ok(Self { folder: tempfile::tempdir()?, cluster })
    }

    /// Returns the address of the shared run of this name.
    pub(crate) fn address(&self, run: &str) -> String {
        self.cluster.address(run)
    }

    /// Writes a manifest of so many different prompts.
    pub(crate) fn manifest(&self, name: &str, n_jobs: usize) -> Result<(), Box<dyn Error>> {
        let mut file = BufWriter::new(File::create(self.folder.path().join(name))?);
        writeln!(file, "prompt")?;
        for n in 0..n_jobs {
            writeln!(file, "a cat number {n}")?;
        }
        Ok(file.flush()?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
        command.args(args).current_dir(self.folder.path()).env("MODELSCOPE_API_KEY", "x").stdout(Stdio::null());
        command
    }

    /// Starts the program against a service.
    pub(crate) fn spawn(&self, args: &[&str], simulator: &Simulator) -> Result<Worker, Box<dyn Error>> {
        let began = Instant::now();
        let child = self.command(args).args(["--base-url", &simulator.url]).spawn()?;
        Ok(Worker { child: child.into(), began })
    }

    /// Waits for processes, which must end well.
    pub(crate) fn ended(workers: &[Worker]) -> Result<Measured, Box<dyn Error>> {
        let mut peak_kb = 0;
        loop {
            let mut n_ended = 0;
            for worker in workers {
                let mut child = worker.child.borrow_mut();
                peak_kb = peak_kb.max(peak_kilobytes(child.id()).unwrap_or(0));
                if let Some(status) = child.try_wait()? {
                    n_ended += 1;
                    if !status.success() {
                        return Err(format!("a worker ended with {status}").into());
                    }
                }
            }
            if n_ended == workers.len() {
                let began = workers.iter().map(|worker| worker.began).min().ok_or("no worker")?;
                return Ok(Measured { seconds: began.elapsed().as_secs_f64(), peak_mb: f64::from(peak_kb) / 1000.0 });
            }
            sleep(LOOK);
        }
    }

    /// Runs the program to its end, which must be a good one.
    pub(crate) fn output(&self, args: &[&str]) -> Result<(), Box<dyn Error>> {
        let status = self.command(args).stderr(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(format!("{args:?} ended with {status}").into()) }
    }

    /// Imports a manifest into a folder, and runs its first job.
    pub(crate) fn begin(&self, manifest: &str, out: &str, simulator: &Simulator) -> Result<(), Box<dyn Error>> {
        let mut command = self.command(&["run", manifest, "-q", "-o", out, "--limit", "1"]);
        let status = command.args(["--base-url", &simulator.url]).status()?;
        if status.code() == Some(5) { Ok(()) } else { Err(format!("the first job ended with {status}").into()) }
    }

    /// Imports the manifest `p.csv` into a folder, and shares it. Returns the address of the run.
    pub(crate) fn share(&self, run: &str, out: &str, simulator: &Simulator) -> Result<String, Box<dyn Error>> {
        self.begin("p.csv", out, simulator)?;
        let address = self.address(run);
        self.output(&["share", out, "--ledger", &address, "--progress", "none"])?;
        Ok(address)
    }

    /// Returns the times at which submissions of a run left, in seconds, in order.
    pub(crate) fn sent_at(&self, run: &str) -> Result<Vec<f64>, Box<dyn Error>> {
        let sql = format!(
            "SELECT e->>1 FROM promptbatch_{run}.commits c, jsonb_array_elements(c.events::jsonb) e WHERE e->>2 = 'submit'"
        );
        let mut sent = Vec::new();
        for line in self.cluster.sql(&sql).lines() {
            sent.push(line.parse::<f64>()? / 1000.0);
        }
        sent.sort_by(f64::total_cmp);
        Ok(sent)
    }
}

/// Returns the number in a rate such as `100/s`.
pub(crate) fn count_of(rate: &str) -> f64 {
    rate.split('/').next().and_then(|count| count.parse().ok()).expect("a rate begins with its count")
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Returns the peak resident memory of a process, in kB, as Linux reports it. `None` if the process has ended.
fn peak_kilobytes(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().trim_end_matches(" kB").parse().ok()
}

/// Simulated service in a process of its own.
pub(crate) struct Simulator {
    child: Child,
    url: String,
}

impl Simulator {
    pub(crate) fn start(flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
        command.args(["simulate", "--port", "0"]).args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut simulator = Self { child: command.spawn()?, url: String::new() };
        let stdout = simulator.child.stdout.as_mut().ok_or("its output is piped")?;
        BufReader::new(stdout).read_line(&mut simulator.url)?;
        simulator.url = simulator.url.trim().to_owned();
        Ok(simulator)
    }

    /// Returns one of the service's own counts; `None` if it has counted nothing of the kind.
    pub(crate) fn stat(&self, name: &str) -> Option<f64> {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).ok()?;
        write!(stream, "GET /stats HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
        let answer = std::io::read_to_string(stream).ok()?;
        let (_, rest) = answer.split_once(&format!("\"{name}\":"))?;
        rest.split([',', '}']).next()?.trim().parse().ok()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
