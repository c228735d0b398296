//! Official Python sample of the API against `promptbatch simulate`, with only its base URL and its token changed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::bench::{Bench, quick, stderr};

/// Environment variable with a Python that has `requests` and Pillow. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing Python a failure, and not a reason to skip.
const PYTHON_REQUIRED: &str = "PROMPTBATCH_TEST_PYTHON_REQUIRED";

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_official_python_sample_works_unchanged() {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let has_libraries =
        Command::new(&python).args(["-c", "import requests, PIL"]).output().is_ok_and(|output| output.status.success());
    if !has_libraries {
        assert!(std::env::var_os(PYTHON_REQUIRED).is_none(), "{python} has no requests or no Pillow");
        eprintln!("SKIPPED: {python} has no requests or no Pillow; pip install requests pillow, or set {PYTHON}");
        return;
    }
    let bench = Bench::new(quick());
    let mut simulate = bench.command(&["simulate", "--port", "0", "--latency", "1s"]);
    let mut simulator = Killed(simulate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut url = String::new();
    BufReader::new(simulator.0.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/official_sample.py");
    let mut command = Command::new(python);
    command.arg(sample).arg(format!("{}/", url.trim())).arg("any-token").current_dir(bench.folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let picture = std::fs::read(bench.path("result_image.jpg")).unwrap();
    assert!(picture.starts_with(&[0xff, 0xd8, 0xff]), "Pillow has opened the image and saved it as JPEG");
}
