//! Dying and going on: kill -9 at random moments, and the signals that ask politely.

use std::process::{Child, Command};
use std::time::Duration;

use promptbatch::provider::simulator::config::Config;

use crate::bench::{Bench, expect_code, quick, wait_until};

/// Kills in one batch.
const KILLS: usize = 25;

const JOBS: usize = 120;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Goal: no death loses an image or an accepted task, and the simulator has accepted no task more than the ledger accounts for.
///
/// Method: kill -9 the real program again and again at random moments, resume, and compare both sides' books at the end.
#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let bench = Bench::new(Config { latency: Duration::from_millis(300), ..quick() });
    bench.csv(JOBS);
    let mut rng = fastrand::Rng::with_seed(4711);
    let mut n_killed_at_work = 0;
    for _ in 0..KILLS {
        let mut child = bench.spawn("prompts.csv", &["-j", "8"]);
        std::thread::sleep(Duration::from_millis(rng.u64(20..250)));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        n_killed_at_work += usize::from(was_running);
    }
    assert!(n_killed_at_work >= 20, "only {n_killed_at_work} kills met a live process");
    expect_code(&bench.run("prompts.csv", &["-j", "8"]), 0);
    bench.check_images(JOBS);

    let stats = bench.stats();
    let n_attempts: u64 = bench.results().iter().map(|row| row["attempts"].parse::<u64>().unwrap()).sum();
    let n_in_doubt = n_attempts - JOBS as u64;
    assert!(stats.n_accepted >= JOBS as u64);
    assert!(stats.n_accepted_twice <= n_in_doubt, "{} paid twice, {n_in_doubt} in doubt", stats.n_accepted_twice);
    assert!(n_in_doubt <= (KILLS * 8) as u64, "at most the submissions under way at each kill");
    assert_eq!((stats.n_contents, stats.n_polls_lost), (JOBS as u64, 0));
    println!(
        "{KILLS} kills: {} accepted for {JOBS} jobs, {n_in_doubt} in doubt, {} twice",
        stats.n_accepted, stats.n_accepted_twice
    );
}

#[test]
fn an_accepted_task_is_never_submitted_again_after_a_kill() {
    let bench = Bench::new(Config { latency: Duration::from_secs(2), ..quick() });
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
        let bench = Bench::new(Config { latency: Duration::from_secs(3), ..quick() });
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
    let faults = ["submit-hang=1"]
        .iter()
        .map(|text| text.parse::<promptbatch::provider::simulator::faults::FaultSetting>().unwrap());
    let bench = Bench::new(Config { faults: faults.collect(), ..quick() });
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
