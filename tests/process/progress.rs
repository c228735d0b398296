//! Progress output of a run without a terminal: lines at intervals, and JSON.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{Bench, expect_code, quick, stderr, stdout, wait_until};

/// Parses the output line by line. All of it must be JSON.
fn lines(output: &Output) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr(output).lines().map(parse).collect()
}

fn of<'a>(lines: &'a [Value], event: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["event"] == event)
}

/// Goal: the JSON lines report of every job what the results contain, and of the run what the exit code means.
#[test]
fn every_job_is_told_in_json_and_nothing_else_is_said() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.3, ..quick() });
    bench.csv(20);
    let secret = "geheim-4711";
    let mut command = bench.run_command("prompts.csv", &["--progress", "json", "--price", "2 magicube"]);
    let output = command.env("MODELSCOPE_API_KEY", secret).output().unwrap();
    expect_code(&output, 100);
    assert!(!stderr(&output).contains(secret));
    let lines = lines(&output);
    assert!(lines.iter().all(|line| line["v"] == 1 && line["at"].is_string()));
    assert_eq!((lines[0]["event"].as_str(), lines[1]["event"].as_str()), (Some("message"), Some("start")));
    assert_eq!((of(&lines, "accepted").count(), of(&lines, "ready").count() > 0), (20, true));
    let end = lines.last().unwrap();
    let n_succeeded = bench.results().iter().filter(|row| row["status"] == "succeeded").count();
    assert_eq!((end["event"].as_str(), end["exit_code"].as_u64()), (Some("end"), Some(100)));
    assert_eq!((end["stop"].is_null(), end["succeeded"].as_u64()), (true, Some(n_succeeded as u64)));
    for row in bench.results() {
        let index: u64 = row["index"].parse().unwrap();
        let finished = of(&lines, "finished").find(|line| line["index"] == index).expect("every job ends");
        assert_eq!(finished["status"], row["status"]);
        assert_eq!(finished["files"][0].as_str().unwrap_or(""), row["file_name"]);
        assert_eq!(finished["error_code"].as_str().unwrap_or(""), row["error_code"]);
    }
}

#[test]
fn a_run_that_stops_or_never_begins_has_a_last_line_too() {
    let bench = Bench::new(SimulatorConfig { quota: Some(3), ..quick() });
    bench.csv(9);
    let stopped = bench.run("prompts.csv", &["--progress", "json", "-j", "1"]);
    expect_code(&stopped, 75);
    let told = lines(&stopped);
    assert_eq!(of(&told, "stopping").map(|line| line["why"].as_str()).collect::<Vec<_>>(), [Some("quota")]);
    let end = told.last().unwrap();
    assert_eq!(
        (end["exit_code"].as_u64(), end["stop"].as_str(), end["pending"].as_u64()),
        (Some(75), Some("quota"), Some(6))
    );
    bench.write("bad.yaml", "- {prompt: a, sede: 5}\n");
    let refused = bench.run("bad.yaml", &["--progress", "json"]);
    expect_code(&refused, 2);
    let told = lines(&refused);
    assert_eq!(
        (told.last().unwrap()["event"].as_str(), told.last().unwrap()["exit_code"].as_u64()),
        (Some("end"), Some(2))
    );
    assert!(of(&told, "message").any(|line| line["text"].as_str().unwrap().contains("unknown field `sede`")));
}

/// Goal: who asks for JSON gets nothing else, whatever is wrong with the command line, and the last line has the exit code. Method: mistakes
/// that the parser finds, and mistakes that are found before a run begins, for several verbs, by the flag and by its variable.
#[test]
fn mistakes_of_a_command_line_are_json_too() {
    let bench = Bench::new(quick());
    bench.csv(1);
    fs::create_dir(bench.path("out")).unwrap();
    bench.write("out/gallery.html", "my page");
    for args in [
        &["run", "prompts.csv", "--no-such-flag"][..],
        &["run", "prompts.csv", "--retries", "many"],
        &["run"],
        &["run", "prompts.csv", "--quiet", "--verbose"],
        &["run", "gone"],
        &["run", "gone.csv"],
        &["run", "prompts.csv", "--rate", "1/s", "--rate", "2/s"],
        &["run", "prompts.csv", "-o", "out", "--gallery"],
        &["retry", "gone"],
        &["verify", "gone"],
        &["validate", "gone.csv"],
        &["plan", "prompts.csv", "--where", "absent=1"],
    ] {
        for is_flag in [true, false] {
            let mut command = bench.command(args);
            if is_flag {
                command.args(["--progress", "json"]);
            } else {
                command.env("PROMPTBATCH_PROGRESS", "json");
            }
            let output = command.output().unwrap();
            expect_code(&output, 2);
            let told = lines(&output);
            let end = told.last().unwrap();
            assert_eq!((end["event"].as_str(), end["exit_code"].as_u64()), (Some("end"), Some(2)), "{args:?}");
            assert_eq!(of(&told, "end").count(), 1, "{args:?}");
            let message = of(&told, "message").find_map(|line| line["text"].as_str()).expect("the mistake is said");
            assert!(message.contains("error: "), "{args:?}: {message}");
            assert!(!message.contains('\u{1b}'), "{args:?}: {message}");
        }
    }
    let unknown = bench.command(&["--progress=json", "runn"]).output().unwrap();
    expect_code(&unknown, 2);
    assert_eq!(lines(&unknown).len(), 2);
    let help = bench.command(&["run", "--help", "--progress", "json"]).output().unwrap();
    expect_code(&help, 0);
    assert!(stderr(&help).is_empty(), "help is no message: {}", stderr(&help));
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_log_is_told_of_a_hold_when_it_begins() {
    let config =
        SimulatorConfig { rate: "1/s".parse().ok(), retry_after: Some(std::time::Duration::from_secs(3)), ..quick() };
    let bench = Bench::new(config);
    bench.csv(4);
    let output = bench.run("prompts.csv", &[]);
    expect_code(&output, 0);
    assert!(stderr(&output).contains("throttled: next submission in "), "{}", stderr(&output));
}

/// Goal: a watcher may come before the run, and may watch several. Method: watch a folder that is not there, and put a run into its place;
/// then watch the folder above, with two runs.
#[test]
fn a_run_to_come_and_several_runs_can_be_watched() {
    let bench = Bench::new(quick());
    bench.csv(1);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let args = ["status", "all/a", "--watch", "--json"];
    let mut watcher = bench.command(&args);
    let mut watcher = watcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    BufReader::new(watcher.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "waiting for a run in all/a\n");
    fs::create_dir(bench.path("all")).unwrap();
    fs::rename(bench.path("out"), bench.path("all/a")).unwrap();
    let shown = watcher.wait_with_output().unwrap();
    expect_code(&shown, 0);
    assert_eq!(serde_json::from_str::<Value>(&stdout(&shown)).unwrap()["succeeded"], 1);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    fs::rename(bench.path("out"), bench.path("all/b")).unwrap();
    let several = bench.output(&["status", "all", "--watch"]);
    expect_code(&several, 0);
    assert_eq!(stdout(&several), "all/a: 1 of 1 succeeded\nall/b: 1 of 1 succeeded\n");
}

/// Goal: a watcher of a live run sees its end, learns its rate, and does not disturb it.
#[test]
fn a_live_run_can_be_watched_until_it_is_over() {
    let bench = Bench::new(SimulatorConfig { latency: std::time::Duration::from_millis(300), ..quick() });
    bench.csv(30);
    let mut run = bench.spawn("prompts.csv", &["-j", "2"]);
    wait_until("some are done", || bench.stats().n_accepted > 6);
    let watched = bench.output(&["status", "out", "--watch", "--json"]);
    expect_code(&watched, 0);
    assert!(run.wait().unwrap().success());
    let told: Vec<Value> = stdout(&watched).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last) = (&told[0], told.last().unwrap());
    assert_eq!(first["pid"].as_u64(), Some(run.id().into()));
    assert!(first["jobs_per_second"].as_f64().is_some_and(|rate| (2.0..20.0).contains(&rate)), "{first}");
    assert_eq!((last["pid"].is_null(), last["succeeded"].as_u64()), (true, Some(30)));
}
