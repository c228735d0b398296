//! Limit on the cost that the workers of a shared run keep together, through a real PostgreSQL.

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{expect_code, quick, stderr, stdout, wait_until};
use crate::postgres;
use crate::shared::{SharedBench, ended};

const PRICE: [&str; 2] = ["--price", "2 magicube"];

fn status(shared: &SharedBench) -> Value {
    let told = shared.output(&["status", &shared.address, "--json"]);
    expect_code(&told, 0);
    serde_json::from_str(&stdout(&told)).unwrap()
}

#[track_caller]
fn expect_words(text: &str, words: &str) {
    assert!(text.contains(words), "{words:?} is not in:\n{text}");
}

/// Goal: three workers spend the limit together, to the last image, and a higher one lets the next go on. Method: the service's own count, and
/// what workers and `status` say.
#[test]
fn workers_spend_one_limit_together() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "one_cost", quick());
    let n_jobs = 300;
    shared.bench.csv(n_jobs);
    let flags = [&["prompts.csv", "--max-cost", "241", "-j", "30"], &PRICE[..]].concat();
    let worker = || {
        let mut command = shared.on_run("run", &flags);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let workers = [worker(), worker(), worker()];
    for worker in workers {
        let output = ended(worker);
        expect_code(&output, 75);
        expect_words(&stderr(&output), "stopped at 240 of --max-cost 241 magicube; run again with a higher limit");
        expect_words(&stderr(&output), "cost so far: 240 magicube");
    }
    assert_eq!((shared.bench.stats().n_accepted, shared.bench.stats().n_submits), (120, 120), "all of it, and no more");
    let told = status(&shared);
    assert_eq!((&told["cost"], &told["cost_max"], &told["max_cost"]), (&240.0.into(), &240.0.into(), &241.0.into()));
    assert_eq!((&told["currency"], &told["succeeded"]), (&"magicube".into(), &120.into()));
    let words = stdout(&shared.output(&["status", &shared.address]));
    expect_words(&words, "cost so far: 240 magicube, of at most 241 magicube");

    // The limit stays for those that are given none, and the newest one counts.
    let untold = shared.on_run("work", &[]).output().unwrap();
    expect_code(&untold, 75);
    expect_words(&stderr(&untold), "the run has a limit on the cost of 241 magicube, which all workers keep together");
    let raised = shared.on_run("work", &["--max-cost", "250 magicube"]).output().unwrap();
    expect_code(&raised, 75);
    expect_words(
        &stderr(&raised),
        "warning: the limit on the cost of the run was 241 magicube, and is 250 magicube from",
    );
    assert_eq!(shared.bench.stats().n_accepted, 125);
    expect_code(&shared.on_run("work", &["--max-cost", "10000"]).output().unwrap(), 0);
    assert_eq!(shared.merge(n_jobs), 0);
    let cost: u64 = shared.bench.results().iter().map(|row| row["cost"].parse::<u64>().unwrap()).sum();
    assert_eq!(cost, 600, "the folder counts the same");
}

/// Goal: the limit holds if workers die with submissions in flight. Method: kill -9 of one of two workers again and again, and answers that get
/// lost.
#[test]
fn the_limit_of_all_workers_holds_over_kills() {
    let Some(cluster) = postgres::shared() else { return };
    let faults = ["submit-cut-after=0.1", "500=0.05"].map(|fault| fault.parse().unwrap());
    let answer_delay = Duration::from_millis(60);
    let config = SimulatorConfig { answer_delay, faults: faults.into_iter().collect(), ..quick() };
    let shared = SharedBench::new(cluster, "killed_cost", config);
    shared.bench.csv(80);
    let flags = [&PRICE[..], &["-j", "8", "--max-cost", "81", "--retries", "50"]].concat();
    let first = shared.on_run("run", &[&["prompts.csv", "--limit", "1"], &flags[..]].concat()).output().unwrap();
    expect_code(&first, 5);
    let is_over = |child: &mut Child| child.try_wait().unwrap().is_some();
    let mut other = shared.worker(&flags);
    for _ in 0..4 {
        let (n_before, mut killed) = (shared.bench.stats().n_submits, shared.worker(&flags));
        while shared.bench.stats().n_submits < n_before + 3 && !is_over(&mut killed) && !is_over(&mut other) {
            sleep(Duration::from_millis(10));
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(shared.bench.stats().n_accepted * 2 <= 81, "{} accepted", shared.bench.stats().n_accepted);
    }
    expect_code(&ended(other), 75);
    expect_code(&ended(shared.worker(&flags)), 75);
    let (n_accepted, told) = (shared.bench.stats().n_accepted, status(&shared));
    assert!(n_accepted * 2 <= 81 && n_accepted > 10, "{n_accepted} accepted");
    let truly = f64::from(u32::try_from(n_accepted).unwrap()) * 2.0;
    let [sure, most] = ["cost", "cost_max"].map(|key| told[key].as_f64().unwrap());
    assert!(sure <= truly && truly <= most && most > 79.0 && most <= 81.0, "{truly}, told {told}");
}

/// Goal: a limit that one worker is given counts for a worker that is at work, within seconds. Method: slow tasks, and a second worker.
#[test]
fn a_limit_reaches_a_worker_that_is_at_work() {
    let Some(cluster) = postgres::shared() else { return };
    let shared =
        SharedBench::new(cluster, "heard_cost", SimulatorConfig { latency: Duration::from_millis(500), ..quick() });
    shared.bench.csv(400);
    let flags = [&["prompts.csv", "--limit", "1"], &PRICE[..]].concat();
    expect_code(&shared.on_run("run", &flags).output().unwrap(), 5);
    let at_work = shared.worker(&["-j", "2"]);
    wait_until("it submits", || shared.bench.stats().n_submits > 5);
    let limiting = shared.on_run("work", &["--max-cost", "40"]).output().unwrap();
    let output = ended(at_work);
    expect_code(&output, 75);
    expect_words(&stderr(&output), "of --max-cost 40 magicube");
    expect_code(&limiting, 75);
    // It may hear of it a moment late.
    let most = status(&shared)["cost_max"].as_f64().unwrap();
    assert!((40.0..=80.0).contains(&most), "{most}");
}

/// Goal: what the folder has cost counts, and a limit that cannot be kept is refused, with words. Method: folders with and without a price, and
/// prices that differ.
#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "refused_cost", quick());
    shared.bench.csv(20);
    expect_code(&shared.bench.run("prompts.csv", &["--limit", "4"]), 5);
    let share = |more: &[&str]| shared.output(&[&["share", "out", "--ledger", &shared.address], more].concat());
    let unpriced = share(&["--max-cost", "20"]);
    expect_code(&unpriced, 2);
    expect_words(&stderr(&unpriced), "the price of an image is not known");
    expect_code(&shared.output(&["status", &shared.address]), 2);
    expect_code(&share(&[&PRICE[..], &["--max-cost", "20 USD"]].concat()), 2);
    expect_code(&share(&[&PRICE[..], &["--max-cost", "15"]].concat()), 0);
    assert_eq!(status(&shared)["cost"], 8.0, "four images were paid for before");
    let other = share(&["--price", "3 magicube"]);
    expect_code(&other, 2);
    expect_words(&stderr(&other), "its cost is counted at 2 magicube, and --price says 3 magicube");
    for flags in [&["--price", "3 magicube"][..], &["--max-cost", "20 USD"]] {
        expect_code(&shared.on_run("work", flags).output().unwrap(), 2);
    }
    expect_code(&shared.on_run("work", &PRICE).output().unwrap(), 75);
    assert_eq!(shared.bench.stats().n_accepted, 7);

    // Without a price from the beginning, the cost so far is not known.
    let shared = SharedBench::new(cluster, "unpriced_cost", quick());
    shared.share(20, 4);
    let unknown = shared.on_run("work", &[&PRICE[..], &["--max-cost", "20"]].concat()).output().unwrap();
    expect_code(&unknown, 2);
    expect_words(&stderr(&unknown), "its cost so far is not known, so that --max-cost cannot be kept");
    assert_eq!(shared.bench.stats().n_accepted, 4);
    expect_code(&shared.on_run("work", &PRICE).output().unwrap(), 0);
    let told = status(&shared);
    assert!(told["cost"].is_null(), "{told}");
}
