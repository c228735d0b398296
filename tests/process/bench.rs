//! Test bench: a folder, a simulated API that outlives every process, and helpers that run the program and read its output.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use promptbatch::images::validate::inspect;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::internals::simulator::Stats;
use promptbatch::internals::simulator::{Simulator, SimulatorThread};
use promptbatch::simulator::config::SimulatorConfig;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Separate folder of one test, and the API that its runs use.
pub struct Bench {
    pub folder: TempDir,
    pub simulator: SimulatorThread,
}

/// Row of `results.csv`, by column.
pub type Row = BTreeMap<String, String>;

/// Returns a configuration with quick tasks and small pictures.
pub fn quick() -> SimulatorConfig {
    SimulatorConfig {
        latency: std::time::Duration::from_millis(100),
        image_size: "64x64".parse().ok(),
        ..SimulatorConfig::default()
    }
}

impl Bench {
    pub fn new(config: SimulatorConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, simulator: Simulator::spawn_thread(config).unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Writes a CSV manifest of `n` different prompts.
    pub fn csv(&self, n: usize) -> PathBuf {
        let rows = (1..=n).map(|n| format!("\"a cat, number {n}\",kind {}\n", n % 7));
        self.write("prompts.csv", &["prompt,category\n".to_owned()].into_iter().chain(rows).collect::<String>())
    }

    /// Returns a command of the program in this folder. Its environment holds only the PATH and a token.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("MODELSCOPE_API_KEY", "test-token")
            .env("TZ", "UTC0");
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::null());
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Returns the command `run MANIFEST -o out`, against this bench's API.
    pub fn run_command(&self, manifest: &str, more: &[&str]) -> Command {
        let mut args = vec!["run", manifest, "-o", "out", "--base-url", self.simulator.url()];
        args.extend(more);
        self.command(&args)
    }

    pub fn run(&self, manifest: &str, more: &[&str]) -> Output {
        self.run_command(manifest, more).output().unwrap()
    }

    /// Runs, and runs again after every early stop, as the program advises.
    pub fn run_to_the_end(&self, manifest: &str, more: &[&str]) -> Output {
        let mut runs = std::iter::repeat_with(|| self.run(manifest, more)).take(20);
        runs.find(|output| output.status.code() != Some(75)).expect("a batch has an end")
    }

    pub fn spawn(&self, manifest: &str, more: &[&str]) -> Child {
        self.run_command(manifest, more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn stats(&self) -> Stats {
        self.simulator.stats()
    }

    pub fn results(&self) -> Vec<Row> {
        rows(&self.path("out/results.csv"))
    }

    /// Goal: every succeeded job has its image on disk, complete and as described in the results. No other file is
    /// there.
    pub fn check_images(&self, n_jobs: usize) {
        let rows = self.results();
        assert_eq!(rows.len(), n_jobs);
        let mut names = vec![];
        for row in &rows {
            assert_eq!(row["status"], "succeeded", "{row:?}");
            let bytes = fs::read(self.path("out").join(&row["file_name"])).unwrap();
            let checked = inspect(bytes.as_slice(), &CheckLimits::default()).unwrap().unwrap();
            assert_eq!(
                (checked.width.to_string(), checked.height.to_string()),
                (row["width"].clone(), row["height"].clone())
            );
            assert_eq!(
                (bytes.len().to_string(), hex(&Sha256::digest(&bytes))),
                (row["bytes"].clone(), row["sha256"].clone())
            );
            names.push(row["file_name"].clone());
        }
        names.sort();
        assert_eq!(files(&self.path("out/images")), names, "no stray file, and no name twice");
    }
}

/// Returns the rows of a results file.
pub fn rows(path: &Path) -> Vec<Row> {
    csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// Returns the files below a folder such as `out/images`. Paths start with that folder, as in the results.
pub fn files(folder: &Path) -> Vec<String> {
    let mut names = vec![];
    let mut folders = vec![folder.to_owned()];
    let parent = folder.parent().unwrap();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(parent).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Checks the exit code. A failure shows the output of the program.
#[track_caller]
pub fn expect_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(output), stderr(output));
}

/// Waits until a condition is true, for at most 30 s.
#[track_caller]
pub fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_true() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("30 s went by without: {what}");
}
