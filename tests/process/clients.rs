//! Official Python clients of other image APIs against `promptbatch simulate --provider NAME`, with only their base URL and token changed.

use std::process::Command;

use crate::bench::{Bench, quick, stderr};
use crate::served::Served;

/// Environment variable with a Python that has the clients. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing client a failure, and not a reason to skip.
const CLIENTS_REQUIRED: &str = "PROMPTBATCH_TEST_CLIENTS_REQUIRED";

/// Generates one image with the client of this provider. `module` is the module of the client, and `package` its package.
fn generates(provider: &str, module: &str, package: &str) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let import = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if !import.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os(CLIENTS_REQUIRED).is_none(), "{python} has no {package}");
        eprintln!("SKIPPED: {python} has no {package}; pip install {package}, or set {PYTHON}");
        return;
    }
    let bench = Bench::new(quick());
    let api = Served::new(&bench, &["--provider", provider]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/clients.py");
    let mut command = Command::new(python);
    // A proxy of this machine must not see requests to itself.
    command.args([script, provider, &api.url]).env("NO_PROXY", "127.0.0.1").current_dir(bench.folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{provider}: {}", stderr(&output));
    let counts = ["accepted", "accepted_twice", "token_leaks"].map(|name| api.count(name));
    assert_eq!(counts, [1, 0, 0], "{provider}: one image, paid for once, and no token for the image host");
}

#[test]
fn openais_client_generates_an_image() {
    generates("openai", "openai", "openai");
}

#[test]
fn replicates_client_generates_an_image_and_lists_it() {
    generates("replicate", "replicate", "replicate");
}

#[test]
fn dashscopes_client_generates_an_image() {
    generates("dashscope", "dashscope", "dashscope");
}

#[test]
fn togethers_client_generates_an_image() {
    generates("together", "together", "together");
}

#[test]
fn geminis_client_generates_an_image() {
    generates("gemini", "google.genai", "google-genai");
}
