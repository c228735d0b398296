//! A run and those after it: tokens that are refused halfway, quotas, outages, and what the next session makes of them.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use promptbatch::provider::simulator::config::Config;

use crate::bench::{Bench, expect_code, quick, stderr, wait_until};
use crate::host::{Host, json, png, response};
use crate::served::Served;

/// An API that refuses the token after so many submissions, until it is mended; and the images.
fn api_that_refuses_after(n_taken: usize, is_mended: Arc<AtomicUsize>) -> Host {
    let images = Host::new(|_| response("200 OK", "", &png()));
    let n_posts = AtomicUsize::new(0);
    Host::new(move |head| {
        let link = format!("{}/x.png", images.url);
        let is_post = head.starts_with("post");
        if is_mended.load(Ordering::SeqCst) == 0 && is_post && n_posts.load(Ordering::SeqCst) >= n_taken {
            let body = r#"{"errors":{"code":401,"message":"Please bind your Alibaba Cloud account before use."}}"#;
            return response("401 Unauthorized", "", body.as_bytes());
        }
        if is_post {
            let n = n_posts.fetch_add(1, Ordering::SeqCst);
            return json(&format!(r#"{{"task_id":"t{n}"}}"#));
        }
        json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{link}"]}}"#))
    })
}

#[test]
fn a_token_that_is_refused_halfway_stops_the_run_and_a_mended_one_goes_on() {
    let is_mended = Arc::new(AtomicUsize::new(0));
    let api = api_that_refuses_after(3, is_mended.clone());
    let bench = Bench::new(quick());
    bench.csv(6);
    let run =
        || bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "-j", "2", "--progress", "none"]);
    let output = run();
    expect_code(&output, 3);
    assert!(stderr(&output).contains("bind your Alibaba Cloud account"), "{}", stderr(&output));
    let rows = bench.results();
    let n_accepted = rows.iter().filter(|row| ["succeeded", "running"].contains(&row["status"].as_str())).count();
    assert_eq!(n_accepted, 3, "what was accepted is on record: {rows:?}");
    assert!(rows.iter().all(|row| row["status"] != "failed"), "no job is to blame");
    is_mended.store(1, Ordering::SeqCst);
    expect_code(&run(), 0);
    bench.check_images(6);
    let posts = api.heads().iter().filter(|head| head.starts_with("post")).count();
    let n_refused = rows.iter().map(|row| row["attempts"].parse::<usize>().unwrap()).sum::<usize>() - 3;
    assert_eq!(posts, 6 + n_refused, "each job was accepted once");
}

#[test]
fn a_quota_stops_the_run_without_a_refusal_and_says_when_to_come_back() {
    let bench = Bench::new(Config { quota: Some(3), ..quick() });
    bench.csv(5);
    let output = bench.run("prompts.csv", &["-j", "1"]);
    expect_code(&output, 75);
    assert_eq!((bench.stats().n_submits, bench.stats().n_accepted), (3, 3), "none was spent on asking");
    let words = stderr(&output);
    assert!(
        words.contains("3 of 5 succeeded") && words.contains("come back at 20") && words.contains(":05:00.000Z, in "),
        "{words}"
    );
}

#[test]
fn a_quota_can_be_waited_for_and_the_wait_be_interrupted() {
    let bench = Bench::new(Config { quota: Some(1), ..quick() });
    bench.csv(3);
    let child = bench.spawn("prompts.csv", &["-j", "1", "--on-quota", "wait", "--progress", "plain"]);
    wait_until("the first image is there", || bench.stats().n_images == 1);
    std::thread::sleep(Duration::from_millis(500));
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    expect_code(&output, 130);
    assert_eq!(bench.stats().n_submits, 1, "nothing is submitted while it waits");
    assert!(stderr(&output).contains("1 of 3 succeeded"), "{}", stderr(&output));
}

#[test]
fn an_api_that_goes_away_and_comes_back_costs_nothing() {
    let bench = Bench::new(quick());
    bench.csv(12);
    let api = Served::new(&bench, &["--latency", "1s"]);
    let mut command = bench.command(&["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "-j", "4", "-v"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("tasks are in flight", || api.count("accepted") >= 4);
    let n_before = api.count("accepted");
    let api = api.again(&bench, &["--latency", "1s"]);
    expect_code(&child.wait_with_output().unwrap(), 0);
    bench.check_images(12);
    let n_doubts: u64 = bench.results().iter().map(|row| row["submits_in_doubt"].parse::<u64>().unwrap()).sum();
    assert!(n_before + api.count("accepted") <= 12 + n_doubts, "{n_before} and {}", api.count("accepted"));
}

#[test]
fn an_api_that_stays_away_stops_the_run_and_fails_nobody() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &["--latency", "30s"]);
    let args = ["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "--max-outage", "2s", "--progress", "none"];
    let child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("tasks are in flight", || api.count("accepted") == 3);
    wait_until("all are recorded", || {
        String::from_utf8_lossy(&bench.output(&["status", "out"]).stdout).contains("3 running at the provider")
    });
    let url = api.url.clone();
    drop(api);
    let output = child.wait_with_output().unwrap();
    expect_code(&output, 75);
    assert!(
        stderr(&output).contains("--max-outage") && stderr(&output).contains("same command"),
        "{}",
        stderr(&output)
    );
    assert!(bench.results().iter().all(|row| row["status"] == "running"), "{url}: what is paid for is kept");
}
