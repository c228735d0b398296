//! Manifests from pipes: read once, and waited for no longer than the user wants.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::bench::{Bench, expect_code, quick, stderr, wait_until};

/// Creates a pipe, to which a separate thread writes once.
fn fifo(bench: &Bench, name: &str, text: &'static str) {
    assert!(Command::new("mkfifo").arg(bench.path(name)).status().unwrap().success());
    let path = bench.path(name);
    std::thread::spawn(move || fs::write(path, text).unwrap());
}

#[test]
fn a_pipe_is_read_once() {
    let bench = Bench::new(quick());
    fifo(&bench, "p.csv", "prompt,id\na cat,1\na dog,2\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    bench.check_images(2);
    // Wrong encodings and mistakes need more than one pass over the input.
    fifo(&bench, "bad.csv", "prompt,size\na cat,big\n");
    let output = bench.output(&["validate", "bad.csv"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("bad.csv:2"), "{}", stderr(&output));
    fifo(&bench, "list.yaml", "prompts:\n  - prompt: a {s}\n    vars: {s: {from: list.txt}}\n");
    bench.write("list.txt", "cat\ndog\n");
    expect_code(&bench.output(&["plan", "list.yaml", "-o", "out"]), 0);
}

#[test]
fn what_a_shell_substitutes_is_a_manifest() {
    let bench = Bench::new(quick());
    let shell = |script: &str| {
        let program = env!("CARGO_BIN_EXE_promptbatch");
        let script = script.replace("RUN", &format!("'{program}' run --base-url {}", bench.simulator.url()));
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(bench.folder.path()).env("MODELSCOPE_API_KEY", "test-token");
        command.stdin(Stdio::null()).output().unwrap()
    };
    expect_code(&shell("RUN <(printf 'prompt\\na cat\\n') --format csv -o out"), 0);
    bench.check_images(1);
    expect_code(&shell("printf 'prompt\\na cat\\n' | RUN /dev/stdin --format csv -o out"), 0);
    bench.write("p.csv", "prompt\na cat\n");
    expect_code(&shell("RUN /dev/stdin --format csv -o out < p.csv"), 0);
    assert_eq!(bench.stats().n_accepted, 1, "it was the same manifest each time");
    let nameless = shell("RUN <(printf 'prompt\\na cat\\n') --format csv");
    expect_code(&nameless, 2);
    assert!(stderr(&nameless).contains("has no name of its own; add -o OUT"), "{}", stderr(&nameless));
    let formless = shell("RUN <(printf 'prompt\\na cat\\n') -o out");
    expect_code(&formless, 2);
    assert!(stderr(&formless).contains("a pipe has no file name; add --format"), "{}", stderr(&formless));
}

/// Goal: one signal ends a program that waits for a pipe. Method: one pipe without a writer, and one whose writer stops
/// in the middle.
#[test]
fn a_signal_ends_the_wait_for_a_pipe_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        for has_begun in [false, true] {
            let bench = Bench::new(quick());
            let path = bench.path("p.csv");
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            let mut child = bench.spawn("p.csv", &[]);
            let held = has_begun.then(|| {
                let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
                pipe.write_all(b"prompt\na cat").unwrap();
                pipe
            });
            let pid = child.id().to_string();
            // The thread that receives signals exists before the manifest is opened.
            let listens = || {
                let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
                let names =
                    threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default());
                names.into_iter().any(|name| name.trim() == "signals")
            };
            wait_until("it listens", listens);
            assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
            drop(held);
            assert!(!bench.path("out").exists());
        }
    }
}
