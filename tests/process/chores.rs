//! Long operations of our own: reported on standard error while they run, unless the user disables it.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::bench::{Bench, expect_code, quick, stderr, stdout};

/// Validates a manifest that arrives through a pipe and pauses for a while in between.
fn validated_slowly(bench: &Bench, more: &[&str]) -> Output {
    let pipe = bench.path("slow.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args: Vec<&str> = ["validate", "slow.csv"].iter().chain(more).copied().collect();
    let child = bench.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = OpenOptions::new().write(true).open(&pipe).unwrap();
    input.write_all(b"prompt\n").unwrap();
    thread::sleep(Duration::from_millis(1000));
    (1..=1000).for_each(|n| writeln!(input, "a cat number {n}").unwrap_or_else(|error| panic!("row {n}: {error}")));
    drop(input);
    child.wait_with_output().unwrap()
}

/// Goal: a long operation is reported in a log, and the data output stays pure. Method: a manifest whose rows take a
/// second to arrive.
#[test]
fn a_check_that_takes_long_is_told_of() {
    let bench = Bench::new(quick());
    let output = validated_slowly(&bench, &[]);
    assert_eq!(stdout(&output), "slow.csv: 1000 jobs, no mistakes\n");
    let told = stderr(&output);
    let is_told = told.starts_with("checking the manifest: ") && told.ends_with(" kB/s\n");
    assert!(is_told && told.lines().count() == 1, "{told:?}");
}

#[test]
fn where_nobody_wants_to_know_nothing_is_told() {
    let bench = Bench::new(quick());
    let output = validated_slowly(&bench, &["--progress", "none"]);
    expect_code(&output, 0);
    assert_eq!(stderr(&output), "");
}

/// Goal: continuing with a million rows does not read them again. Method: a manifest that causes a warning whenever it
/// is checked. The warning appears the first time and after an edit, and not in between. A wrong manifest is refused
/// even if there is a ledger.
#[test]
fn a_manifest_that_is_known_is_not_checked_again() {
    let bench = Bench::new(quick());
    let is_checked = |rows: &str| {
        bench.write("p.csv", &format!("prompt,sede\n{rows}"));
        let output = bench.run("p.csv", &[]);
        expect_code(&output, 0);
        stderr(&output).contains("warning: the column `sede` is carried through")
    };
    let checked = ["a cat,1\n", "a cat,1\n", "a cat,1\na dog,2\n", "a cat,1\na dog,2\n"].map(is_checked);
    assert_eq!(checked, [true, false, true, false]);
    bench.write("p.csv", "prompt,sede\na cat,1\na dog\n");
    expect_code(&bench.run("p.csv", &[]), 2);
}
