//! Crash and resume: kill -9 at random moments, and the signals that request a stop.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::FaultSetting;

use crate::bench::{Bench, expect_code, quick, wait_until};
use crate::books::Books;

/// Parameters of one batch: its kills, jobs and faults.
struct Plan {
    n_kills: usize,
    n_jobs: usize,
    faults: &'static [&'static str],
}

/// Batch for a normal test run: kills without faults.
const FEW: Plan = Plan { n_kills: 25, n_jobs: 100, faults: &[] };

/// Batch with all transient faults at once.
const MANY: Plan = Plan {
    n_kills: 200,
    n_jobs: 500,
    faults: &[
        "500=0.04",
        "429=0.04",
        "cut=0.04",
        "garbage=0.04",
        "hang=0.02",
        "truncated=0.08",
        "image-404=0.05",
        "poll-not-found=0.05",
    ],
};

/// Flags with more retries than any batch here uses, and with requests that hang for only a moment.
const FLAGS: [&str; 10] =
    ["-j", "8", "--retries", "50", "--resubmits", "20", "--request-timeout", "500ms", "--in-doubt", "resubmit"];

fn limits() -> Limits {
    Limits { retries_max: 50, resubmits_max: 20, in_doubt: InDoubtPolicy::Resubmit, ..Limits::default() }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Goal: no kill loses an image or an accepted task. The simulator has accepted no more tasks than the ledger accounts
/// for.
///
/// Method: kill -9 the real program again and again at random moments of one batch, under faults. Compare the records
/// of both sides and the disk after every kill and at the end.
fn kill_again_and_again(&Plan { n_kills, n_jobs, faults }: &Plan) {
    let began = Instant::now();
    let faults = faults.iter().map(|text| text.parse::<FaultSetting>().unwrap()).collect();
    // Every answer takes some time, so that requests are in progress when the process is killed.
    let (latency, answer_delay) = (Duration::from_millis(600), Duration::from_millis(40));
    let bench = Bench::new(SimulatorConfig { latency, faults, answer_delay, ..quick() });
    bench.csv(n_jobs);
    let mut rng = fastrand::Rng::with_seed(4711);
    let (mut n_events, mut n_at_work, mut n_on_record, mut n_with) = (0, 0, 0, [0; 5]);
    for nth in 0..n_kills {
        let n_before = n_requests(&bench);
        let mut child = bench.spawn("prompts.csv", &FLAGS);
        // Most processes are killed while they work, and some before they begin.
        if !nth.is_multiple_of(8) {
            wait_until("it asks for something", || n_requests(&bench) > n_before);
        }
        std::thread::sleep(Duration::from_millis(rng.u64(0..250)));
        assert!(child.try_wait().unwrap().is_none(), "the batch was over after {nth} kills");
        child.kill().unwrap();
        child.wait().unwrap();
        let books = Books::read(&bench);
        books.check(&bench, &limits());
        n_at_work += usize::from(n_requests(&bench) > n_before);
        n_on_record += usize::from(books.events.len() > n_events);
        n_events = books.events.len();
        for (sum, n) in n_with.iter_mut().zip(books.phases()) {
            *sum += usize::from(n > 0);
        }
    }
    println!("{n_kills} kills in {:.0?}, {n_at_work} at work, {n_on_record} after a record", began.elapsed());
    println!("deaths with jobs that are pending, submitting, running, downloading, finished: {n_with:?}");
    expect_code(&bench.run_to_the_end("prompts.csv", &FLAGS), 0);
    bench.check_images(n_jobs);
    let told = Books::read(&bench).check(&bench, &limits());

    let (stats, n_doubts) = (bench.stats(), told.doubts.values().sum::<u32>());
    println!(
        "{n_jobs} jobs: {} accepted, {} twice; {n_doubts} doubts and {} losses on record; {:.0?}",
        stats.n_accepted,
        stats.n_accepted_twice,
        told.n_lost,
        began.elapsed()
    );
    assert!(stats.n_accepted_twice <= u64::from(n_doubts + told.n_lost), "{stats:?}");
    assert_eq!((stats.n_contents, stats.n_polls_lost, stats.n_token_leaks), (n_jobs as u64, 0, 0));
    assert!(n_at_work * 10 >= n_kills * 7, "only {n_at_work} kills met a process at work");
    assert!(n_with[1..4].iter().all(|n| n * 10 >= n_kills), "deaths in every phase: {n_with:?}");
    assert!(stats.faults.values().all(|n| *n > 3), "the faults must bite: {:?}", stats.faults);
}

fn n_requests(bench: &Bench) -> u64 {
    let stats = bench.stats();
    stats.n_submits + stats.n_polls + stats.n_images
}

#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    kill_again_and_again(&FEW);
}

#[test]
#[ignore = "200 kills, two minutes"]
fn killed_two_hundred_times_it_loses_and_doubles_nothing() {
    kill_again_and_again(&MANY);
}

#[test]
fn an_accepted_task_is_never_submitted_again_after_a_kill() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(2), ..quick() });
    bench.csv(6);
    let mut child = bench.spawn("prompts.csv", &["-j", "6", "-v"]);
    wait_until("every job is accepted and recorded", || {
        let status = bench.output(&["status", "out"]);
        String::from_utf8_lossy(&status.stdout).contains("6 running at the provider")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(6);
    assert_eq!((bench.stats().n_submits, bench.stats().n_accepted), (6, 6));
}

#[test]
fn a_signal_stops_cleanly_and_the_same_command_goes_on() {
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(3), ..quick() });
        bench.csv(10);
        let child = bench.spawn("prompts.csv", &["-j", "4"]);
        wait_until("four tasks are in flight", || bench.stats().n_accepted == 4);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        expect_code(&output, code);
        assert!(String::from_utf8_lossy(&output.stderr).contains("run the same command again"));
        let counts = bench.results().iter().filter(|row| row["status"] == "running").count();
        assert_eq!(counts, 4, "the results were written on the way out");
        assert_eq!(bench.stats().n_accepted, 4, "no submission after the signal");
        expect_code(&bench.run("prompts.csv", &[]), 0);
        bench.check_images(10);
        assert_eq!(bench.stats().n_submits, 10);
    }
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let faults = [("submit-hang=1").parse::<FaultSetting>().unwrap()].into_iter().collect();
    let bench = Bench::new(SimulatorConfig { faults, ..quick() });
    bench.csv(2);
    let mut child = bench.spawn("prompts.csv", &[]);
    wait_until("both submissions hang", || bench.stats().n_submits == 2);
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "the first signal waits for the answers under way");
    signal(&child, "-INT");
    expect_code(&child.wait_with_output().unwrap(), 130);
    expect_code(&bench.output(&["results", "out"]), 0);
    assert!(bench.results().iter().all(|row| row["status"] == "in_doubt"));
}
