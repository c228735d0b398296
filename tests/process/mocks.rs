//! The program against mocks of image APIs that others wrote, which know nothing of its descriptions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::bench::{Bench, expect_code, quick};

/// Environment variable with a folder whose `node_modules` has `@copilotkit/aimock`.
const AIMOCK: &str = "PROMPTBATCH_TEST_AIMOCK";

/// Environment variable that makes a missing mock a failure, and not a reason to skip.
const AIMOCK_REQUIRED: &str = "PROMPTBATCH_TEST_AIMOCK_REQUIRED";

/// Running mock, which is killed when this value is dropped.
struct Mock {
    child: Child,
    url: String,
}

impl Mock {
    /// Starts the mock with these probabilities of faults, in JSON. `None`, with a notice, if it is not on this machine.
    fn start(chaos: &str) -> Option<Self> {
        let folder = std::env::var(AIMOCK).unwrap_or_default();
        if !Path::new(&folder).join("node_modules/@copilotkit/aimock").is_dir() {
            assert!(std::env::var_os(AIMOCK_REQUIRED).is_none(), "{AIMOCK} names no folder with aimock");
            eprintln!("SKIPPED: npm install @copilotkit/aimock, and set {AIMOCK} to its folder");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/aimock.mjs");
        let mut command = Command::new("node");
        command.args([script, &folder, chaos]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://"), "the mock did not start: {url:?}");
        Some(Self { child, url: url.trim().to_owned() })
    }

    /// Returns how many submissions the mock answered as accepted.
    fn n_accepted(&self) -> u64 {
        let mut connection = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        write!(connection, "GET /submissions HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer.rsplit("\r\n\r\n").next().unwrap().trim().parse().unwrap_or_else(|_| panic!("{answer}"))
    }

    /// Runs `prompts.csv` at this provider of the mock.
    fn run(&self, bench: &Bench, provider: &str, path: &str, model: &str) -> Output {
        let (url, set) = (format!("{}{path}", self.url), format!("model={model}"));
        let args = ["run", "prompts.csv", "-o", "out", "--provider", provider, "--base-url", &url, "--set", &set];
        let mut command = bench.command(
            &[&args[..], &["--progress", "none", "--in-doubt", "resubmit", "--resubmits", "50", "--retries", "50"]]
                .concat(),
        );
        for token in ["OPENAI_API_KEY", "ARK_API_KEY", "SILICONFLOW_API_KEY", "FAL_KEY"] {
            command.env(token, "test-token");
        }
        command.output().unwrap()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Goal: the mock's answers are understood, also an image where a link was asked for, and a link where an image was.
#[test]
fn a_foreign_mock_of_each_shape_is_understood() {
    let Some(mock) = Mock::start("{}") else { return };
    let shapes = [
        ("openai", "", "gpt-image-1"),
        ("ark", "/api/v3", "seedream-4-0"),
        ("siliconflow", "", "Kwai-Kolors/Kolors"),
        ("fal", "/fal", "fal-ai/flux/dev"),
    ];
    for (provider, path, model) in shapes {
        let bench = Bench::new(quick());
        bench.write("prompts.csv", "prompt\na cat\na dog\na fox behind a link\n");
        let before = mock.n_accepted();
        println!("{provider}");
        expect_code(&mock.run(&bench, provider, path, model), 0);
        bench.check_images(3);
        assert_eq!(mock.n_accepted() - before, 3, "{provider}: each job is paid for once");
    }
}

/// Goal: under the mock's own faults every job ends with its image, and each repeated payment is told.
#[test]
fn the_faults_of_a_foreign_mock_cost_nothing_that_is_not_told() {
    let chaos = r#"{"rateLimitRate":0.1,"disconnectRate":0.05,"malformedRate":0.05,"dropRate":0.05}"#;
    let Some(mock) = Mock::start(chaos) else { return };
    let bench = Bench::new(quick());
    bench.csv(30);
    expect_code(&mock.run(&bench, "openai", "", "gpt-image-1"), 0);
    bench.check_images(30);
    let n_doubts: u64 = bench.results().iter().map(|row| row["submits_in_doubt"].parse::<u64>().unwrap()).sum();
    let n_twice = mock.n_accepted() - 30;
    assert!(n_twice <= n_doubts, "{n_twice} paid for twice, {n_doubts} told");
}
