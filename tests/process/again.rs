//! Commands for ended jobs: `retry`, `verify`, `log` and `status`, and what each of them costs.

use std::fs;

use crate::bench::{Bench, Row, expect_code, quick, stderr, stdout};
use crate::served::Served;

fn run(bench: &Bench, api: &Served, more: &[&str]) -> std::process::Output {
    let mut args = vec!["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "--progress", "none"];
    args.extend(more);
    bench.output(&args)
}

fn statuses(bench: &Bench) -> Vec<String> {
    bench.results().iter().map(|row| row["status"].clone()).collect()
}

fn column(rows: &[Row], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone()).collect()
}

#[test]
fn failed_jobs_are_tried_again_and_nothing_else() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &["--fault", "task-failed=1"]);
    expect_code(&run(&bench, &api, &["--resubmits", "0"]), 100);
    assert_eq!(statuses(&bench), ["failed", "failed", "failed"]);
    // Two more rows are known and not done: the daily quota refused their submissions.
    let api = api.again(&bench, &["--quota", "0"]);
    bench.csv(5);
    expect_code(&run(&bench, &api, &[]), 75);
    let api = api.again(&bench, &[]);
    let output = bench.output(&["retry", "out", "--progress", "none"]);
    expect_code(&output, 100);
    assert_eq!(statuses(&bench), ["succeeded", "succeeded", "succeeded", "pending", "pending"], "{}", stderr(&output));
    assert_eq!(api.count("submits"), 3);
    expect_code(&run(&bench, &api, &[]), 0);
    assert_eq!(api.count("submits"), 5);
    bench.check_images(5);
    let again = bench.output(&["retry", "out"]);
    expect_code(&again, 0);
    assert!(stderr(&again).contains("nothing to retry"), "{}", stderr(&again));
}

/// Goal: a script that repeats a limited retry as long as it ends with 5 comes to an end, and each job gets its turn.
///
/// Method: a service that refuses every picture, and later none.
#[test]
fn a_limited_retry_takes_turns_and_does_not_go_on_for_ever() {
    let bench = Bench::new(quick());
    bench.csv(5);
    let api = Served::new(&bench, &["--fail-rate", "1"]);
    expect_code(&run(&bench, &api, &[]), 100);
    let retry = || bench.output(&["retry", "out", "--only", "moderated", "--limit", "2", "--progress", "none"]);
    let n_submits = || -> Vec<usize> {
        let log = |index: usize| stdout(&bench.output(&["log", "out", &index.to_string()]));
        (1..=5).map(|index| log(index).matches("submitting").count()).collect()
    };
    let before = n_submits();
    for _ in 0..5 {
        let output = retry();
        expect_code(&output, 100);
        assert!(!stderr(&output).contains("for more"), "{}", stderr(&output));
    }
    let more: Vec<usize> = n_submits().iter().zip(before).map(|(now, before)| now - before).collect();
    // Two jobs of one command may end in either order.
    assert!(more.iter().sum::<usize>() == 10 && more.iter().all(|n| (1..=3).contains(n)), "{more:?}");
    let _api = api.again(&bench, &[]);
    let codes: Vec<_> = (0..3).map(|_| retry().status.code()).collect();
    assert_eq!(codes, [Some(5), Some(5), Some(0)]);
}

#[test]
fn moderated_jobs_are_tried_again_only_if_asked_for() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let api = Served::new(&bench, &["--fail-rate", "1"]);
    expect_code(&run(&bench, &api, &[]), 100);
    let api = api.again(&bench, &[]);
    let output = bench.output(&["retry", "out"]);
    expect_code(&output, 100);
    let words = "nothing to retry; left out: 2 moderated (--only moderated)\n";
    assert!(stderr(&output).ends_with(words), "{}", stderr(&output));
    let other = bench.output(&["retry", "out", "--only", "task_lost"]);
    assert!(stderr(&other).ends_with(words), "{}", stderr(&other));
    assert_eq!((statuses(&bench), api.count("submits")), (vec!["moderated".to_owned(); 2], 0));
    expect_code(&bench.output(&["retry", "out", "--only", "moderated", "--progress", "none"]), 0);
    assert_eq!((statuses(&bench), api.count("submits")), (vec!["succeeded".to_owned(); 2], 2));
    expect_code(&bench.output(&["retry", "out", "--only", "nonsense"]), 2);
}

/// Checks that a task given up too early is paid for: its image is downloaded, and nothing is paid again.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_task_that_took_too_long_is_asked_for_before_it_is_paid_for_again() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let api = Served::new(&bench, &["--latency", "2s", "--latency-sigma", "0"]);
    expect_code(&run(&bench, &api, &["--task-timeout", "500ms", "--resubmits", "0"]), 100);
    assert_eq!(column(&bench.results(), "error_code"), ["task_lost", "task_lost"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    expect_code(&bench.output(&["retry", "out", "--only", "timeout", "--progress", "none"]), 0);
    bench.check_images(2);
    assert_eq!(api.count("submits"), 2, "not one submission more");
}

#[test]
fn jobs_that_were_held_in_doubt_are_submitted_when_the_user_says_so() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &["--fault", "submit-cut-after=1"]);
    let output = run(&bench, &api, &["--in-doubt", "hold"]);
    expect_code(&output, 100);
    let words = stderr(&output);
    assert!(words.contains("3 submissions were in doubt, as the response was lost: 3 not settled"), "{words}");
    assert!(words.contains("promptbatch retry out --only in_doubt"), "{words}");
    let api = api.again(&bench, &[]);
    expect_code(&run(&bench, &api, &["--in-doubt", "hold"]), 100);
    expect_code(&bench.output(&["retry", "out"]), 100);
    assert_eq!(api.count("submits"), 0, "neither a run nor a plain retry touches them");
    expect_code(&bench.output(&["retry", "out", "--only", "in_doubt", "--in-doubt", "hold", "--progress", "none"]), 0);
    assert_eq!(api.count("submits"), 3);
    bench.check_images(3);
    assert_eq!(column(&bench.results(), "submits_in_doubt"), ["1", "1", "1"]);
    let status = stdout(&bench.output(&["status", "out"]));
    assert!(status.contains("3 submissions were in doubt, as the response was lost: 3 submitted again"), "{status}");
}

#[test]
fn damaged_images_are_found_and_fetched_again_from_what_was_paid_for() {
    let bench = Bench::new(quick());
    bench.csv(5);
    let api = Served::new(&bench, &[]);
    expect_code(&run(&bench, &api, &[]), 0);
    expect_code(&bench.output(&["verify", "out"]), 0);
    let names = column(&bench.results(), "file_name");
    let path = |n: usize| bench.path("out").join(&names[n]);
    let whole = fs::read(path(1)).unwrap();
    fs::remove_file(path(0)).unwrap();
    fs::write(path(1), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = fs::read(path(2)).unwrap();
    flipped[40] ^= 1;
    fs::write(path(2), &flipped).unwrap();
    fs::write(bench.path("out/images/mine.png"), "not yours").unwrap();

    let output = bench.output(&["verify", "out"]);
    expect_code(&output, 100);
    let words = stdout(&output);
    for part in [
        "5 images, 3 of them missing or damaged",
        ": missing",
        "bytes long instead of",
        "its sha256 differs",
        "1 file under images/ does not belong to any job",
        "images/mine.png",
    ] {
        assert!(words.contains(part), "{part} is missing in:\n{words}");
    }
    fs::remove_file(bench.path("out/images/mine.png")).unwrap();
    let output = bench.output(&["verify", "out", "--repair", "--progress", "none"]);
    expect_code(&output, 0);
    assert_eq!(api.count("submits"), 5, "nothing was submitted: {}", stderr(&output));
    bench.check_images(5);
    assert_eq!(fs::read(bench.path("out/damaged").join(&names[2])).unwrap(), flipped, "what was there is kept");
    expect_code(&bench.output(&["verify", "out"]), 0);
    expect_code(&run(&bench, &api, &[]), 0);
    assert_eq!(api.count("submits"), 5);
}

/// Checks that a fault of the image host is no reason to pay again. The job stays running, and the same command
/// continues.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_image_that_cannot_be_had_now_is_fetched_by_the_next_repair() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let api = Served::new(&bench, &[]);
    expect_code(&run(&bench, &api, &[]), 0);
    fs::remove_file(bench.path("out").join(&bench.results()[0]["file_name"])).unwrap();
    let api = api.again(&bench, &["--fault", "image-404=1"]);
    let repair = || bench.output(&["verify", "out", "--repair", "--progress", "none"]);
    let output = repair();
    expect_code(&output, 100);
    assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output));
    assert_eq!(statuses(&bench), ["running", "succeeded"]);
    let output = bench.output(&["verify", "out"]);
    expect_code(&output, 100);
    assert!(stdout(&output).contains("are being fetched again and have not arrived yet"), "{}", stdout(&output));
    let api = api.again(&bench, &[]);
    expect_code(&repair(), 0);
    assert_eq!(api.count("submits"), 0);
    bench.check_images(2);
    expect_code(&bench.output(&["verify", "out"]), 0);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_image_whose_task_is_gone_becomes_pending_and_is_left_to_a_run() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let api = Served::new(&bench, &[]);
    expect_code(&run(&bench, &api, &[]), 0);
    fs::remove_file(bench.path("out").join(&bench.results()[0]["file_name"])).unwrap();
    let api = api.again(&bench, &["--fault", "poll-not-found=1"]);
    let output = bench.output(&["verify", "out", "--repair", "--progress", "none"]);
    expect_code(&output, 100);
    assert!(stderr(&output).contains("1 job can no longer be fetched and is pending"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("every image"), "{}", stderr(&output));
    let api = api.again(&bench, &[]);
    expect_code(&bench.output(&["retry", "out"]), 100);
    assert_eq!((statuses(&bench), api.count("submits")), (vec!["pending".to_owned(), "succeeded".to_owned()], 0));
    expect_code(&run(&bench, &api, &[]), 0);
    assert_eq!(api.count("submits"), 1, "the user has asked for it, and it is one more");
    bench.check_images(2);
}

/// Checks that a job with a task and without an image, for good, is submitted again only with `--anew`.
#[test]
fn a_job_is_submitted_anew_when_the_user_says_so() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let api = Served::new(&bench, &["--fault", "image-404=1"]);
    expect_code(&run(&bench, &api, &["--retries", "0"]), 100);
    let retry =
        |more: &[&str]| bench.output(&[&["retry", "out", "--retries", "0", "--progress", "none"], more].concat());
    expect_code(&retry(&[]), 100);
    assert_eq!(api.count("submits"), 1, "asked for, not submitted");
    let api = api.again(&bench, &[]);
    expect_code(&retry(&["--anew"]), 0);
    assert_eq!(api.count("submits"), 1);
}

#[test]
fn a_ledger_does_not_decide_where_the_token_goes() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let place = "https://no-such-host.invalid";
    let output = bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", place, "--retries", "0"]);
    expect_code(&output, 100);
    let output = bench.output(&["retry", "out"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains(&format!("add --base-url {place}")), "{}", stderr(&output));
    assert_eq!(statuses(&bench), ["failed"], "nothing was reopened");
    expect_code(&bench.output(&["retry", "out", "--base-url", place, "--retries", "0"]), 100);
}

#[test]
fn the_story_of_a_job_is_told() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &[]);
    expect_code(&run(&bench, &api, &[]), 0);
    let output = bench.output(&["log", "out", "2"]);
    expect_code(&output, 0);
    let row = &bench.results()[1];
    let story = stdout(&output);
    let lines: Vec<&str> = story.lines().collect();
    assert_eq!(lines[0], format!("job 2, id {}: succeeded", row["id"]));
    assert_eq!(lines[1], "prompt: a cat, number 2");
    assert!(
        lines[3].ends_with("  submitting") && lines[4].ends_with(&format!("  accepted as task {}", row["task_id"])),
        "{story}"
    );
    assert!(lines[5].contains("  done at the provider: http://") && lines[6].ends_with("  succeeded"), "{story}");
    assert!(story.contains(&format!("image: {}, 32x32, {} bytes", row["file_name"], row["bytes"])), "{story}");
    assert!(lines.last().unwrap().starts_with("submissions: 1, of which 0 in doubt"), "{story}");
    for name in [&row["id"], &row["task_id"], &row["id"][..8]] {
        assert_eq!(stdout(&bench.output(&["log", "out", name])), story, "{name}");
    }
    let local = stdout(&bench.command(&["log", "out", "2"]).env("TZ", "CST-8").output().unwrap());
    assert!(local.lines().filter(|line| line.contains("Z (20") && line.contains(" +08:00)  ")).count() > 2, "{local}");
    let unknown = bench.output(&["log", "out", "99"]);
    expect_code(&unknown, 2);
    assert!(stderr(&unknown).contains("could not find the job"), "{}", stderr(&unknown));
}

#[test]
fn where_a_run_stands_is_told_to_scripts() {
    let bench = Bench::new(quick());
    bench.csv(4);
    let api = Served::new(&bench, &["--fail-rate", "0.5"]);
    expect_code(&run(&bench, &api, &[]), 100);
    let output = bench.output(&["status", "out", "--json"]);
    expect_code(&output, 0);
    let status: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let n_moderated = statuses(&bench).iter().filter(|status| *status == "moderated").count();
    assert!((1..4).contains(&n_moderated));
    assert_eq!((status["jobs"].as_u64(), status["pid"].as_u64()), (Some(4), None));
    assert_eq!(status["moderated"].as_u64(), Some(n_moderated as u64));
    assert_eq!(status["succeeded"].as_u64(), Some(4 - n_moderated as u64));
    assert_eq!(status["submissions"].as_u64(), Some(4));
    assert_eq!(status["failures"].as_array().unwrap().len(), n_moderated);
    assert_eq!(status["failures"][0]["error_code"], "moderated");
}

/// Goal: jobs that a gateway rejected are tried again by a plain retry, which says that they may be paid for twice. Method: a gateway that
/// rejects every submission although it was accepted behind it; with other failures, and with a second retry, which has none of them.
#[test]
fn rejected_jobs_are_tried_again_with_a_warning() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &["--fault", "submit-gateway-accepted=1", "--seed", "3"]);
    let args = ["--in-doubt", "fail", "--retries", "0", "-j", "1"];
    let _ = run(&bench, &api, &args);
    let codes = |code: &str| column(&bench.results(), "error_code").iter().filter(|other| *other == code).count();
    let (n_rejected, n_others) = (codes("rejected"), codes("in_doubt"));
    assert!(n_rejected > 0, "{:?}", column(&bench.results(), "error_code"));
    let api = api.again(&bench, &[]);
    let output = bench.output(&["retry", "out", "--progress", "none"]);
    let words = stderr(&output);
    let jobs = if n_rejected == 1 { "1 job".to_owned() } else { format!("{n_rejected} jobs") };
    assert!(words.contains(&format!("out: retrying {jobs}\n")), "{words}");
    assert!(
        words.contains(&format!("warning: {jobs} may have been accepted before (`rejected`, `in_doubt`)")),
        "{words}"
    );
    assert_eq!((codes("rejected"), codes("in_doubt"), api.count("submits")), (0, n_others, n_rejected as u64));
    let again = bench.output(&["retry", "out", "--only", "moderated,transient", "--progress", "none"]);
    assert!(!stderr(&again).contains("may have been accepted"), "{}", stderr(&again));
}
