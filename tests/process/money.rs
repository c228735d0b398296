//! Limits of the user on the cost, the time and the jobs of one command, and the reported cost.

use std::process::{Command, Output};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{Bench, expect_code, quick, stderr, stdout, wait_until};

const PRICE: [&str; 2] = ["--price", "2 magicube"];

fn run(bench: &Bench, more: &[&str]) -> Output {
    bench.run("prompts.csv", &[&["--progress", "none"], more].concat())
}

fn priced(bench: &Bench, more: &[&str]) -> Output {
    run(bench, &[&PRICE[..], more].concat())
}

#[track_caller]
fn expect_words(output: &Output, words: &str) {
    assert!(stderr(output).contains(words), "{words:?} is not in:\n{}", stderr(output));
}

/// Returns the sum of the column `cost`.
fn cost_column(bench: &Bench) -> u64 {
    let results = bench.results();
    let cells = results.iter().map(|row| row["cost"].as_str()).filter(|cell| !cell.is_empty());
    cells.map(|cell| cell.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_limit_on_the_cost_is_used_up_and_never_exceeded_over_all_runs() {
    let bench = Bench::new(quick());
    bench.csv(10);
    let output = priced(&bench, &["-j", "64", "--max-cost", "7", "--report", "json=r.json"]);
    expect_code(&output, 75);
    expect_words(&output, "stopped at 6 of --max-cost 7 magicube; run again with a higher limit");
    expect_words(&output, "cost so far: 6 magicube");
    expect_words(&output, "run the same command again with a higher --max-cost to resume: 7 jobs unfinished");
    assert_eq!((bench.stats().n_submits, cost_column(&bench)), (3, 6));
    assert_eq!(bench.results().iter().filter(|row| row["status"] == "succeeded").count(), 3, "they are seen through");
    let report: Value = serde_json::from_slice(&std::fs::read(bench.path("r.json")).unwrap()).unwrap();
    assert_eq!(
        (&report["stop"], &report["cost"]["amount"], &report["cost_max"]),
        (&"cost".into(), &6.0.into(), &6.0.into())
    );
    expect_code(&priced(&bench, &["--max-cost", "7 magicube"]), 75);
    assert_eq!(bench.stats().n_submits, 3, "the limit is on all runs together");
    // An earlier run was given the price.
    let output = run(&bench, &["--max-cost", "20"]);
    expect_code(&output, 0);
    assert_eq!((bench.stats().n_accepted, cost_column(&bench)), (10, 20));
    expect_code(&run(&bench, &["--max-cost", "0"]), 0);
    expect_code(&bench.output(&["results", "out"]), 0);
    assert_eq!(cost_column(&bench), 20, "the results keep the price");
}

#[test]
fn a_limit_on_the_cost_that_cannot_be_kept_is_refused_before_anything_is_sent() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let output = run(&bench, &["--max-cost", "20"]);
    expect_code(&output, 2);
    expect_words(
        &output,
        "the price of an image is not known; give it with --price \"2 magicube\" or `price:` in the manifest",
    );
    assert!(!bench.path("out").exists(), "nothing is made");
    let output = priced(&bench, &["--max-cost", "20 USD"]);
    expect_code(&output, 2);
    expect_words(&output, "`--max-cost 20 USD`: the price is in `magicube`");
    for wrong in ["-1", "many", "", "nan"] {
        expect_code(&priced(&bench, &["--max-cost", wrong]), 2);
    }
    bench.write(
        "two.yaml",
        "price: {unit: USD, per_image: {Qwen/Qwen-Image: 1}}\nprompts:\n- {prompt: a, model: Qwen/Qwen-Image}\n- b\n",
    );
    let output = bench.run("two.yaml", &["--max-cost", "20"]);
    expect_code(&output, 2);
    expect_words(&output, "no price for Tongyi-MAI/Z-Image-Turbo (job 2) is given");
    let output = priced(&bench, &["--max-cost", "1.99"]);
    expect_code(&output, 75);
    expect_words(&output, "stopped at 0 of --max-cost 1.99 magicube");
    assert_eq!(bench.stats().n_submits, 0);
    let output = bench.run_command("prompts.csv", &PRICE).env("PROMPTBATCH_MAX_COST", "2").output().unwrap();
    expect_code(&output, 75);
    assert_eq!(bench.stats().n_submits, 1);
}

/// Goal: the limit holds if processes die with submissions in flight. Method: kill -9 the real program again and again.
#[test]
fn a_limit_on_the_cost_holds_over_kills() {
    let faults = ["submit-cut-after=0.1", "500=0.05"].map(|fault| fault.parse().unwrap());
    let answer_delay = Duration::from_millis(60);
    let bench = Bench::new(SimulatorConfig { answer_delay, faults: faults.into_iter().collect(), ..quick() });
    bench.csv(60);
    let flags = [&PRICE[..], &["-j", "16", "--max-cost", "61", "--retries", "50", "--resubmits", "20"]].concat();
    for nth in 1..=4 {
        let n_before = bench.stats().n_submits;
        let mut child = bench.spawn("prompts.csv", &flags);
        wait_until("it submits, or ends", || {
            let is_over =
                Command::new("kill").args(["-0", &child.id().to_string()]).output().is_ok_and(|o| !o.status.success());
            bench.stats().n_submits >= n_before + nth || is_over || bench.stats().n_accepted >= 28
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(bench.stats().n_accepted * 2 <= 61, "{} accepted", bench.stats().n_accepted);
    }
    let output = bench.run("prompts.csv", &flags);
    expect_code(&output, 75);
    let n_accepted = bench.stats().n_accepted;
    assert!(n_accepted * 2 <= 61 && n_accepted > 5, "{n_accepted} accepted\n{}", stderr(&output));
    expect_words(&output, "of --max-cost 61 magicube");
}

/// Goal: the paid amount is within the reported range, and is not reported too low. Method: lose answers on purpose,
/// and compare with the server's counts.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_cost_is_told_as_a_range_where_answers_were_lost() {
    let faults = ["submit-cut-after=0.4"].map(|fault| fault.parse().unwrap());
    let bench = Bench::new(SimulatorConfig { faults: faults.into_iter().collect(), ..quick() });
    bench.csv(10);
    let again = ["--retries", "50", "--resubmits", "50", "--in-doubt", "resubmit"];
    let flags = [&again[..], &["--report", "json=r.json", "--report", "md=r.md"]].concat();
    let output = priced(&bench, &flags);
    expect_code(&output, 0);
    let (sure, paid) = (20, 2 * bench.stats().n_accepted);
    let n_doubts = bench.stats().n_submits - 10;
    assert!(paid > sure && n_doubts > 0, "the faults must bite");
    let submissions = if n_doubts == 1 { "submission" } else { "submissions" };
    let range = format!("20 to {} magicube ({n_doubts} {submissions} in doubt)", sure + 2 * n_doubts);
    expect_words(&output, &format!("cost so far: {range}"));
    assert!(paid <= sure + 2 * n_doubts);
    let page = std::fs::read_to_string(bench.path("r.md")).unwrap();
    assert!(page.contains(&format!(", {range}, exit code 0.")), "{page}");
    let report: Value = serde_json::from_slice(&std::fs::read(bench.path("r.json")).unwrap()).unwrap();
    assert_eq!(
        (report["cost"]["amount"].as_u64(), report["cost_max"].as_f64()),
        (None, Some(f64::from(u32::try_from(sure + 2 * n_doubts).unwrap())))
    );
    assert_eq!(cost_column(&bench), 20, "a column of what is sure");
    let output = bench.output(&["plan", "prompts.csv", "-o", "out", "--max-cost", "100"]);
    expect_code(&output, 0);
    assert!(stdout(&output).contains(&format!("cost so far: {range}")), "{}", stdout(&output));
}

#[test]
fn a_part_after_the_other_makes_the_batch() {
    let bench = Bench::new(quick());
    bench.csv(8);
    let flags = ["--limit", "3", "--shuffle", "5"];
    let output = run(&bench, &flags);
    expect_code(&output, 5);
    expect_words(&output, "this part is done: 3 jobs done, 5 outstanding; run the same command for more");
    expect_words(&output, "8 jobs, 3 of them now (--limit)");
    let done: Vec<_> =
        bench.results().iter().filter(|row| row["status"] == "succeeded").map(|row| row["index"].clone()).collect();
    assert!(done.len() == 3 && done != ["1", "2", "3"], "three by the order that was drawn: {done:?}");
    let output = run(&bench, &flags);
    expect_code(&output, 5);
    expect_words(&output, "this part is done: 3 jobs done, 2 outstanding");
    expect_code(&run(&bench, &flags), 0);
    expect_code(&run(&bench, &flags), 0);
    assert_eq!(bench.stats().n_submits, 8);
    bench.check_images(8);
}

#[test]
fn a_part_is_of_a_job_at_least_and_of_all_at_most() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(3);
    for wrong in ["0", "-1", "1.5", "all"] {
        let output = bench.run("prompts.csv", &["--limit", wrong]);
        expect_code(&output, 2);
    }
    expect_words(&bench.run("prompts.csv", &["--limit", "0"]), "write a whole number of at least 1");
    assert_eq!(bench.stats().n_submits, 0);
    // With failures and outstanding jobs, the exit code is that of a part. Without outstanding jobs, it is that of the
    // failures.
    expect_code(&run(&bench, &["--limit", "2"]), 5);
    expect_code(&run(&bench, &["--limit", "2"]), 100);
    expect_code(&run(&bench, &["--limit", "100"]), 100);
}

/// Goal: a retry keeps the limits too, and jobs that it does not retry now stay failed.
#[test]
fn a_retry_keeps_the_limits() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(5);
    expect_code(&priced(&bench, &[]), 100);
    let retry =
        |more: &[&str]| bench.output(&[&["retry", "out", "--only", "moderated", "--progress", "none"], more].concat());
    let output = retry(&["--limit", "2"]);
    expect_code(&output, 100);
    expect_words(&output, "retrying 2 jobs");
    assert_eq!(
        (bench.stats().n_accepted, bench.results().iter().filter(|row| row["status"] == "moderated").count()),
        (7, 5)
    );
    assert_eq!(cost_column(&bench), 14);
    // An earlier run was given the price. Two more jobs are paid for, and the rest waits for a higher limit.
    let output = retry(&["--max-cost", "19"]);
    expect_code(&output, 75);
    expect_words(&output, "stopped at 18 of --max-cost 19 magicube");
    assert_eq!(bench.stats().n_accepted, 9);
}

#[test]
fn time_that_is_up_stops_a_run_that_has_more_to_submit() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let output = run(&bench, &["--rate", "1/h", "--max-duration", "1500ms"]);
    expect_code(&output, 75);
    expect_words(&output, "stopped: the time is up (--max-duration");
    expect_words(&output, "run the same command again to resume: 2 jobs unfinished");
    assert_eq!(bench.results().iter().filter(|row| row["status"] == "succeeded").count(), 1);
    expect_code(&bench.run("prompts.csv", &["--max-duration", "soon"]), 2);
    expect_code(&run(&bench, &["--max-duration", "1h"]), 0);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_part_of_the_jobs_may_fail() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(40);
    let output = run(&bench, &["-j", "1", "--max-failures", "50%"]);
    expect_code(&output, 75);
    expect_words(&output, "stopped: 20 jobs failed (--max-failures)");
    expect_code(&run(&bench, &["--max-failures", "101%"]), 2);
}

/// Goal: a limit that the last jobs reach stops nothing, so that the share decides. Method: as many failures as there are jobs.
#[test]
fn a_limit_that_leaves_nothing_undone_is_no_stop() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(2);
    let flags = ["-j", "1", "--max-failures", "2"];
    let output = bench.run("prompts.csv", &[&flags[..], &["--fail-under", "0%"]].concat());
    expect_code(&output, 0);
    expect_words(&output, "0.0% succeeded (required: 0%");
    assert!(!stderr(&output).contains("stopped"), "{}", stderr(&output));
    expect_code(
        &bench.output(&[&["run", "prompts.csv", "-o", "b", "--base-url", bench.simulator.url()], &flags[..]].concat()),
        100,
    );
}

#[test]
fn a_plan_shows_the_limits_and_so_does_a_dry_run() {
    let bench = Bench::new(quick());
    bench.csv(10);
    expect_code(&priced(&bench, &["--limit", "4"]), 5);
    let n_submits = bench.stats().n_submits;
    let flags = ["--limit", "5", "--max-cost", "17", "-j", "2"];
    let plan = bench.output(&[&["plan", "prompts.csv", "-o", "out"], &flags[..]].concat());
    expect_code(&plan, 0);
    for words in [
        "limit: 5 of 6 unfinished jobs would be worked on, 1 left for later runs (--limit)",
        "cost: 10 magicube",
        "cost so far: 8 magicube",
        "--max-cost 17 magicube: 9 left, not enough",
    ] {
        assert!(stdout(&plan).contains(words), "{words}\n{}", stdout(&plan));
    }
    let dry = run(&bench, &[&["--dry-run"], &flags[..]].concat());
    expect_code(&dry, 0);
    assert_eq!((stdout(&dry), bench.stats().n_submits), (stdout(&plan), n_submits));
    let json = bench.output(&[&["plan", "prompts.csv", "-o", "out", "--json"], &flags[..4]].concat());
    let json: Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(
        (&json["limit"], &json["max_cost"], &json["paid"]["amount_max"]),
        (&5.into(), &17.0.into(), &8.0.into())
    );
    expect_code(&bench.output(&["plan", "prompts.csv", "-o", "out", "--max-cost", "9 USD"]), 2);
}
