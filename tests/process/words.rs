//! What people read, as snapshots: help, summaries, and the errors that a user can meet.

use std::process::Output;

use promptbatch::provider::simulator::config::Config;

use crate::bench::{Bench, quick, stderr, stdout};

/// The words of a run with what differs from run to run taken out: times, ports, process ids.
fn words(bench: &Bench, output: &Output) -> String {
    let text = format!("{}{}exit {}\n", stdout(output), stderr(output), output.status.code().unwrap());
    let text = text.replace(bench.simulator.url(), "URL");
    // The next midnight in Shanghai depends on the day.
    let text = match (text.find("come back at "), text.find("\nresults:")) {
        (Some(from), Some(to)) => format!("{}come back at TIME, in SPAN{}", &text[..from], &text[to..]),
        _ => text,
    };
    // How often progress is told depends on the machine.
    let is_progress = |line: &&str| {
        line.split(' ').next().is_some_and(|word| word.contains('/') && word.as_bytes()[0].is_ascii_digit())
    };
    let lines = text.lines().filter(|line| !is_progress(line)).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_span =
            |i: usize| words[i].parse::<u32>().is_ok() && words.get(i + 1).is_some_and(|unit| unit.starts_with("s,"));
        (0..words.len()).map(|i| if is_span(i) { "N" } else { words[i] }).collect::<Vec<_>>().join(" ") + "\n"
    });
    lines.collect()
}

#[test]
fn the_help_of_every_verb() {
    let bench = Bench::new(quick());
    for verb in [
        "", "run", "plan", "validate", "init", "schema", "status", "retry", "verify", "log", "results", "gallery",
        "export", "simulate",
    ] {
        let mut args = vec![verb, "--help"];
        args.retain(|arg| !arg.is_empty());
        let output = bench.output(&args);
        insta::assert_snapshot!(format!("help-{}", if verb.is_empty() { "top" } else { verb }), stdout(&output));
    }
}

#[test]
fn a_run_from_its_first_to_its_last_word() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt\na cat\n一只狗\n");
    let first = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-all-well", words(&bench, &first));
    let second = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-nothing-to-do", words(&bench, &second));
    bench.write("p.csv", "prompt\na cat\n一只狗\na cow\n");
    let third = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-one-new", words(&bench, &third));
    let status = bench.output(&["status", "out"]);
    insta::assert_snapshot!("status", words(&bench, &status));
}

#[test]
fn a_run_in_which_all_is_refused() {
    let bench = Bench::new(Config { fail_rate: 1.0, ..quick() });
    bench.csv(2);
    insta::assert_snapshot!("run-moderated", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
    let bench = Bench::new(Config { token: Some("other".into()), ..quick() });
    bench.csv(2);
    insta::assert_snapshot!("run-unauthorized", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
    let bench = Bench::new(Config { quota: Some(1), ..quick() });
    bench.csv(3);
    insta::assert_snapshot!("run-quota", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
}

#[test]
fn the_errors_of_the_command_line() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let cases: [&[&str]; 10] = [
        &["run", "absent.yaml"],
        &["run", "prompts.doc"],
        &["run", "prompts.csv", "--rate", "fast"],
        &["run", "prompts.csv", "-j", "0"],
        &["run", "prompts.csv", "--base-url", "ftp://x"],
        &["run", "prompts.csv", "--set", "size"],
        &["run", "prompts.csv", "--set", "sise=1x1"],
        &["run", "prompts.csv", "--task-timeout", "soon"],
        &["run", "prompts.csv", "--token-file", "absent"],
        &["status", "absent"],
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|args| format!("$ promptbatch {}\n{}", args.join(" "), words(&bench, &bench.output(args))))
        .collect();
    insta::assert_snapshot!("errors", all.join("\n"));
}
