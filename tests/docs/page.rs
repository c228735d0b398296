//! One page of the documentation, tested: its files are written, its commands run, and their output is compared.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::{Bench, output, stdout};
use crate::markdown::{Block, blocks, root};

/// Stands for cargo: `cargo run -- ARGS` runs the program as it is, and no other command does anything.
const CARGO: &str = "#!/bin/sh
if [ \"$1\" != run ]; then exit 0; fi
while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done
if [ $# -gt 0 ]; then shift; exec promptbatch \"$@\"; fi
";

/// Runs all commands of a page, and returns how many there are.
pub fn run(page: &Path, text: &str) -> usize {
    let bench = Bench::new();
    fs::create_dir(bench.path("examples")).unwrap();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, bench.path("examples").join(path.file_name().unwrap())).unwrap();
    }
    let programs = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_promptbatch"), programs.path().join("promptbatch")).unwrap();
    let cargo = programs.path().join("cargo");
    fs::write(&cargo, CARGO).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    blocks(text).iter().map(|block| run_block(&bench, programs.path(), page, block)).sum()
}

fn run_block(bench: &Bench, programs: &Path, page: &Path, block: &Block) -> usize {
    let at = format!("{}:{}", page.display(), block.line);
    let (key, value) = block.comment.split_once(':').unwrap_or((&block.comment, ""));
    let value = value.trim();
    match (block.language.as_str(), key) {
        ("console", "not run") => {
            for (command, _) in commands(&block.text) {
                if command.starts_with("promptbatch ") {
                    parses(page, &command);
                }
            }
            0
        }
        ("console", _) => {
            let commands = commands(&block.text);
            assert!(!commands.is_empty(), "{at}: commands begin with `$ `");
            for (i, (command, expected)) in commands.iter().enumerate() {
                let code = if key == "exit" && i + 1 == commands.len() { value.parse().unwrap() } else { 0 };
                run_command(bench, programs, &at, command, expected, code);
            }
            commands.len()
        }
        (_, "file" | "manifest") => {
            let path = bench.path(value);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &block.text).unwrap();
            if key == "manifest" {
                run_command(bench, programs, &at, &format!("promptbatch validate {value}"), &[], 0);
            }
            0
        }
        // The examples in Rust are compiled with those of the library.
        ("text" | "rust,no_run" | "toml", _) | (_, "example" | "schema") => 0,
        (language, _) => panic!("{at}: say in a comment how the `{language}` block is tested"),
    }
}

/// Splits a console block into its commands, each with its output. A command continues after a `\` at the end of a
/// line.
fn commands(text: &str) -> Vec<(String, Vec<&str>)> {
    let mut commands: Vec<(String, Vec<&str>)> = vec![];
    let mut is_continued = false;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), vec![]));
        } else if let Some((command, expected)) = commands.last_mut() {
            if is_continued {
                command.push('\n');
                command.push_str(line);
            } else {
                expected.push(line);
            }
        }
        is_continued = line.ends_with('\\');
    }
    commands
}

fn run_command(bench: &Bench, programs: &Path, at: &str, command: &str, expected: &[&str], code: i32) {
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .env_clear()
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("HOME", bench.folder.path())
        .env("MODELSCOPE_API_KEY", "test-token")
        .env("PROMPTBATCH_BASE_URL", bench.simulator.url())
        // A command that is refused ends soon, and with an error.
        .env("PROMPTBATCH_MAX_OUTAGE", "10s")
        .current_dir(bench.folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(code), "{at}: {command}\n{said}");
    let mut lines = said.lines().map(without_times);
    for line in expected.iter().filter(|line| line.trim() != "...").map(|line| without_times(line)) {
        assert!(
            lines.any(|said| said == line),
            "{at}: {command}\ndoes not print, where it is expected,\n{line}\nbut\n{said}"
        );
    }
}

/// Replaces every number before a unit of time.
fn without_times(line: &str) -> String {
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let is_unit = |word: &str| ["s", "ms", "min", "h"].contains(&word.trim_end_matches([',', '.', ';', ':']));
    let is_time = |i: usize| words[i].parse::<f64>().is_ok() && words.get(i + 1).is_some_and(|word| is_unit(word));
    (0..words.len()).map(|i| if is_time(i) { "N" } else { words[i] }).collect::<Vec<_>>().join(" ")
}

/// Checks that the program accepts a command line, without executing it.
pub fn parses(page: &Path, command: &str) {
    let words = words(command);
    let args: Vec<&str> = words.iter().skip(1).map(String::as_str).chain(["--help"]).collect();
    let output = output(&args);
    assert!(output.status.success(), "{}: {command}\n{}", page.display(), String::from_utf8_lossy(&output.stderr));
}

/// Splits a command line into words, up to the first pipe or redirection. Quotes hold words together.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.replace("\\\n", " ").chars() {
        match (quote, c) {
            (None, '|' | '>' | '<' | '#' | '&') if words.last().is_some_and(String::is_empty) => break,
            (None, ' ') => words.push(String::new()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => words.last_mut().expect("there is a first word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
