//! Workers of a shared run under a real Ray with one node, this machine, started by the Python package of this repository.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{expect_code, quick, stderr, stdout};
use crate::postgres;
use crate::shared::{SILENCE, SharedBench};

/// Environment variable with a Python that has Ray. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing Ray a failure, and not a reason to skip.
const REQUIRED: &str = "PROMPTBATCH_TEST_RAY_REQUIRED";

/// Returns a Python that has Ray. `None`, with words, if this machine has none.
fn python() -> Option<String> {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let import = Command::new(&python).args(["-c", "import ray"]).output();
    if import.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os(REQUIRED).is_none(), "{python} has no Ray");
    eprintln!("SKIPPED: {python} has no Ray; pip install ray, or set {PYTHON}");
    None
}

/// Goal: a shared run under Ray ends whole, whatever happens to its workers, and is paid for once.
///
/// Method: two workers are interrupted, lose their actors, and one is killed; the script checks who is started again. Afterwards the books
/// of the simulator and of the folder, and every image.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn workers_under_ray_are_started_again_and_leave_well() {
    let Some(python) = python() else { return };
    let Some(cluster) = postgres::shared() else { return };
    let config = SimulatorConfig { latency: Duration::from_millis(500), ..quick() };
    let shared = SharedBench::new(cluster, "ray", config);
    shared.share(200, 1);
    let (folder, root) = (shared.bench.path("ray"), Path::new(env!("CARGO_MANIFEST_DIR")));
    fs::create_dir(&folder).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_promptbatch")).parent().unwrap();
    let mut script = Command::new(python);
    script.arg(root.join("tests/python/ray_workers.py")).arg(&shared.address).arg(shared.bench.path("out"));
    script.arg(&folder).arg(shared.bench.simulator.url()).current_dir(shared.bench.folder.path());
    script.env("PATH", format!("{}:{}", program.display(), std::env::var("PATH").unwrap()));
    script.env("PYTHONPATH", root.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    script.env("HOME", shared.bench.folder.path()).env("MODELSCOPE_API_KEY", "test-token").env_remove("RAY_ADDRESS");
    script.env("PROMPTBATCH_TEST_SILENCE_MS", SILENCE.as_millis().to_string());
    let output = script.output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    expect_code(&output, 0);
    shared.merge(200);
}
