//! A folder and a simulated API for the commands of one page.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use promptbatch::internals::simulator::{Simulator, SimulatorThread};
use promptbatch::simulator::config::SimulatorConfig;
use tempfile::TempDir;

/// Folder of one page, and the API that its commands use.
pub struct Bench {
    pub folder: TempDir,
    pub simulator: SimulatorThread,
}

impl Bench {
    /// Creates an empty folder, and an API with quick tasks and small pictures.
    pub fn new() -> Self {
        let config = SimulatorConfig {
            latency: Duration::from_millis(100),
            image_size: "64x64".parse().ok(),
            ..SimulatorConfig::default()
        };
        Self { folder: tempfile::tempdir().unwrap(), simulator: Simulator::spawn_thread(config).unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs the program with these arguments in an empty environment.
pub fn output(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_promptbatch"));
    command.env_clear().args(args).stdin(Stdio::null()).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
