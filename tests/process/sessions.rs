//! Successive sessions of a run: tokens refused halfway, quotas, outages, and the behaviour of the next session.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::FaultSetting;

use crate::bench::{Bench, expect_code, quick, stderr, stdout, wait_until};
use crate::host::{Host, api_with_images_at, json, png, response};
use crate::served::Served;

/// Starts an API that refuses the token after `n_taken` submissions, until `is_mended` is set. Also starts the image
/// host.
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
    let bench = Bench::new(SimulatorConfig { quota: Some(3), ..quick() });
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
    let bench = Bench::new(SimulatorConfig { quota: Some(1), ..quick() });
    bench.csv(3);
    let child = bench.spawn("prompts.csv", &["-j", "1", "--on-quota", "wait", "--progress", "plain"]);
    wait_until("the first image is there", || bench.stats().n_images == 1);
    std::thread::sleep(Duration::from_millis(500));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
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
    let status = stdout(&bench.output(&["status", "out"]));
    let next = "the tasks of 3 jobs are paid for, and no process fetches their images now: run the same command again";
    assert!(status.contains(next) && !status.contains("lost"), "{status}");
}

#[test]
fn a_run_that_nobody_listens_to_goes_on() {
    let bench = Bench::new(quick());
    bench.csv(4);
    let mut child = bench.spawn("prompts.csv", &["-v"]);
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    bench.check_images(4);
}

/// Goal: a closed terminal is an interruption like any other. Method: run on a terminal, and close it while tasks are
/// in flight.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_terminal_that_is_closed_stops_the_run_cleanly() {
    let python = std::env::var("PROMPTBATCH_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let python = std::path::absolute(&python).ok().filter(|path| path.exists()).unwrap_or_else(|| python.into());
    if !Command::new(&python).args(["-c", "import pty"]).output().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("PROMPTBATCH_TEST_PYTHON_REQUIRED").is_none(), "{} is no Python", python.display());
        eprintln!("SKIPPED: {} is no Python; set PROMPTBATCH_TEST_PYTHON", python.display());
        return;
    }
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(3), ..quick() });
    bench.csv(4);
    let run = bench.run_command("prompts.csv", &["-j", "4"]);
    let mut command = Command::new(&python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/closed_terminal.py")).arg("flag");
    command.arg(run.get_program()).args(run.get_args()).current_dir(bench.folder.path());
    command.env("MODELSCOPE_API_KEY", "test-token").env("TERM", "xterm").stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_until("all are accepted and recorded", || {
        String::from_utf8_lossy(&bench.output(&["status", "out"]).stdout).contains("4 running at the provider")
    });
    bench.write("flag", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "129");
    assert!(bench.results().iter().all(|row| row["status"] == "running"), "the results were written on the way out");
    expect_code(&bench.run("prompts.csv", &[]), 0);
    assert_eq!(bench.stats().n_submits, 4);
}

/// Goal: a slow image host does not delay a run that has to stop.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_slow_download_does_not_delay_a_stop() {
    let images = Host::new(|_| {
        std::thread::sleep(Duration::from_secs(30));
        response("200 OK", "", &png())
    });
    let api = api_with_images_at(format!("{}/x.png", images.url));
    let bench = Bench::new(quick());
    bench.write("one.csv", "prompt\na cat\n");
    let args = ["run", "one.csv", "-o", "out", "--base-url", &api.url, "--progress", "none"];
    let child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the image is being fetched", || {
        String::from_utf8_lossy(&bench.output(&["log", "out", "1"]).stdout).contains("done at the provider")
    });
    let began = std::time::Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    expect_code(&child.wait_with_output().unwrap(), 143);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it waits a moment and not for the image: {:?}",
        began.elapsed()
    );
}

#[test]
fn where_a_live_run_stands_is_told_beside_it() {
    let faults = ["submit-hang=1"].iter().map(|text| text.parse::<FaultSetting>().unwrap());
    let bench = Bench::new(SimulatorConfig { faults: faults.collect(), ..quick() });
    bench.csv(2);
    let mut child = bench.spawn("prompts.csv", &[]);
    wait_until("both submissions hang", || bench.stats().n_submits == 2);
    let status: serde_json::Value = serde_json::from_slice(&bench.output(&["status", "out", "--json"]).stdout).unwrap();
    assert_eq!(status["pid"].as_u64(), Some(child.id().into()));
    assert_eq!((status["submitting"].as_u64(), status["in_doubt"].as_u64()), (Some(2), Some(0)));
    child.kill().unwrap();
    child.wait().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&bench.output(&["status", "out", "--json"]).stdout).unwrap();
    assert!(status["pid"].is_null(), "{status}");
    assert_eq!((status["submitting"].as_u64(), status["in_doubt"].as_u64()), (Some(0), Some(2)));
}

#[test]
fn jobs_that_are_dropped_while_they_are_paid_for_are_told() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(60), ..quick() });
    bench.csv(3);
    let child = bench.spawn("prompts.csv", &["-j", "3"]);
    wait_until("tasks are in flight", || bench.stats().n_accepted == 3);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    expect_code(&child.wait_with_output().unwrap(), 130);
    bench.csv(2);
    let mut command = bench.run_command("prompts.csv", &["--task-timeout", "1ms", "--resubmits", "0"]);
    let words = stderr(&command.output().unwrap());
    assert!(
        words.contains("warning: the tasks of 1 job that left the manifest may be running and paid for"),
        "{words}"
    );
}

/// Goal: a model whose quota is used up holds its own jobs back, and the run ends only when the others are done. Method: six jobs
/// of two models, of each of which the service takes two a day, the model with too many first; the second run meets no quota.
#[test]
fn a_quota_of_one_model_does_not_stop_the_others() {
    let bench = Bench::new(quick());
    let rows = (0..4).map(|n| format!("a cat {n},x/a")).chain((0..2).map(|n| format!("a dog {n},x/b")));
    bench.write("models.csv", &format!("prompt,model\n{}\n", rows.collect::<Vec<_>>().join("\n")));
    let api = Served::new(&bench, &["--model-quota", "2"]);
    let run = |url: &str| bench.output(&["run", "models.csv", "-o", "out", "--base-url", url, "-j", "2"]);
    let output = run(&api.url);
    expect_code(&output, 75);
    let words = stderr(&output);
    assert!(words.contains("stopped: the daily quota is used up"), "{words}");
    let done: Vec<_> =
        bench.results().iter().filter(|row| row["status"] == "succeeded").map(|row| row["model"].clone()).collect();
    assert_eq!(done, ["x/a", "x/a", "x/b", "x/b"], "{words}");
    let api = api.again(&bench, &[]);
    expect_code(&run(&api.url), 0);
    assert_eq!(api.count("submits"), 2, "nothing is paid for again");
}
