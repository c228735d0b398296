//! Limits that the workers of a shared run keep together, through a real PostgreSQL.

use std::process::{Output, Stdio};
use std::time::Duration;

use promptbatch::model::event::EventKind;
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{expect_code, quick, stderr};
use crate::books::Books;
use crate::postgres;
use crate::shared::{SharedBench, ended};

/// Returns the times at which submissions left, in milliseconds, in order.
fn sent_at(shared: &SharedBench) -> Vec<i64> {
    let events = Books::read(&shared.bench).events;
    let sent = events.iter().filter(|event| event.kind == EventKind::SubmitStarted);
    let mut sent: Vec<i64> = sent.map(|event| event.at.millis()).collect();
    sent.sort_unstable();
    sent
}

/// Checks that no second has more submissions than this, and returns the time from the first to the last.
#[track_caller]
fn span_at(sent: &[i64], per_second: usize) -> Duration {
    for (i, first) in sent.iter().enumerate() {
        let n = sent[i..].partition_point(|at| *at < first + 1000);
        assert!(n <= per_second, "{n} submissions within a second");
    }
    Duration::from_millis(sent.last().unwrap().abs_diff(sent[0]))
}

/// Goal: three workers keep one rate together, and use it up. Method: a service that refuses what exceeds the rate; the times on record.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn three_workers_keep_one_rate() {
    let Some(cluster) = postgres::shared() else { return };
    let rate = "20/s".parse().ok();
    let shared = SharedBench::new(cluster, "one_rate", SimulatorConfig { rate, ..quick() });
    let n_jobs = 300;
    shared.bench.csv(n_jobs);
    let flags = ["prompts.csv", "--rate", "20/s", "-j", "60"];
    let worker = || shared.on_run("run", &flags).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let workers = [worker(), worker(), worker()];
    for worker in workers {
        let output = ended(worker);
        expect_code(&output, 0);
        assert!(!stderr(&output).contains("rate of the run was"), "{}", stderr(&output));
    }
    let busy = cluster.sql("SELECT count(*) FROM promptbatch_one_rate.workers WHERE totals[8] > 0");
    assert!(["2", "3"].contains(&&*busy), "{busy} workers submitted");
    assert_eq!(shared.merge(n_jobs), 0);
    assert_eq!(shared.bench.stats().n_refused("rate"), 0);
    let took = span_at(&sent_at(&shared), 20);
    let best = Duration::from_secs(n_jobs as u64 - 1) / 20;
    println!("{took:.2?} in place of {best:.2?}");
    // The simulation says that the rate is used up. A busy machine does not.
    assert!(took.mul_f64(0.5) <= best, "{took:?} in place of {best:?}");
}

/// Goal: which rate counts is said: the newest that was given, for all workers. Method: three commands one after the other on a run with few jobs,
/// each of which does one of them.
#[test]
fn the_newest_rate_counts_and_is_told() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "newest_rate", quick());
    shared.bench.csv(6);
    let run = |more: &[&str]| -> Output {
        let flags = [&["prompts.csv", "--limit", "2"], more].concat();
        shared.on_run("run", &flags).output().unwrap()
    };
    let told = [
        (run(&["--rate", "50/s"]), None),
        (run(&[]), Some("the run has a rate of 50/s, which all workers keep together")),
        (
            run(&["--rate", "40/s", "--burst", "3"]),
            Some("warning: the rate of the run was 50/s, and is 40/s with bursts of 3 from"),
        ),
    ];
    for (output, words) in told {
        let text = stderr(&output);
        assert_eq!(text.matches(" rate of ").count(), usize::from(words.is_some()), "{text}");
        assert!(words.is_none_or(|words| text.contains(words)), "{text}");
    }
    let status = cluster.sql("SELECT rate FROM promptbatch_newest_rate.pace");
    assert_eq!(status, "40/s with bursts of 3");
}

/// Goal: two workers together have no more tasks in flight than `-j` says, also one that was not told. Method: one of them with `-j 4`; the
/// service's own count.
#[test]
fn two_workers_share_the_places() {
    let Some(cluster) = postgres::shared() else { return };
    let latency = Duration::from_millis(150);
    let shared = SharedBench::new(cluster, "places", SimulatorConfig { latency, ..quick() });
    shared.bench.csv(130);
    expect_code(&shared.on_run("run", &["prompts.csv", "-j", "4", "--limit", "1"]).output().unwrap(), 5);
    let workers = [shared.worker(&[]), shared.worker(&["-j", "4"])];
    let [untold, told] = workers.map(ended);
    expect_code(&untold, 0);
    expect_code(&told, 0);
    let words = "the run has a number of tasks in flight of 4, which all workers keep together; -j replaces it";
    assert!(stderr(&untold).contains(words), "{}", stderr(&untold));
    assert_eq!(shared.bench.stats().n_unfinished_max, 4);
    assert_eq!(shared.merge(130), 0);
}

/// Goal: a run that an earlier version has shared is not worked on without its rate, and can be brought back. Method: set the version of its
/// tables back, and drop the table of the rate.
#[test]
fn a_run_of_an_earlier_version_is_refused_and_comes_back() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "earlier", quick());
    shared.share(8, 2);
    cluster.sql("DROP TABLE promptbatch_earlier.pace");
    cluster.sql("UPDATE promptbatch_earlier.meta SET value = '1' WHERE key = 'shared_version'");
    let refused = shared.on_run("work", &[]).output().unwrap();
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("an earlier version of promptbatch has shared the run"), "{}", stderr(&refused));
    expect_code(&shared.output(&["status", &shared.address]), 0);
    expect_code(&shared.output(&["merge", &shared.address, "-o", "out"]), 5);
    expect_code(&shared.output(&["share", "out", "--ledger", &shared.address]), 0);
    expect_code(&ended(shared.worker(&[])), 0);
    shared.merge(8);
}
