//! Long proofs of shared runs under faults: killed, paused and cut off workers, and a server that goes away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{expect_code, quick, wait_until};
use crate::postgres::Cluster;
use crate::shared::{SILENCE, SharedBench, ended, signal};

fn slow() -> SimulatorConfig {
    SimulatorConfig { latency: Duration::from_millis(500), answer_delay: Duration::from_millis(30), ..quick() }
}

/// Goal: no kill of any worker loses an image, or pays twice without a counted doubt. Method: three workers, of which a random one is killed
/// and replaced again and again; both books at the end.
#[test]
#[ignore = "200 kills, some minutes"]
fn two_hundred_kills_of_workers_lose_and_double_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let shared = SharedBench::new(&cluster, "kills", slow());
    let (n_jobs, began) = (4000, Instant::now());
    shared.share(n_jobs, 10);
    let flags = ["-j", "4"];
    let mut rng = fastrand::Rng::with_seed(4711);
    let mut workers: Vec<_> = (0..3).map(|_| shared.worker(&flags)).collect();
    for nth in 0..200 {
        sleep(Duration::from_millis(rng.u64(100..900)));
        let chosen = rng.usize(0..workers.len());
        assert!(workers[chosen].try_wait().unwrap().is_none(), "the run was over after {nth} kills");
        workers[chosen].kill().unwrap();
        workers[chosen].wait().unwrap();
        workers[chosen] = shared.worker(&flags);
    }
    println!("200 kills in {:.0?}", began.elapsed());
    for worker in workers {
        expect_code(&ended(worker), 0);
    }
    let n_doubts = shared.merge(n_jobs);
    println!("{n_jobs} jobs in {:.0?}, {n_doubts} doubts", began.elapsed());
}

/// Goal: a worker that was paused beyond its lease sends nothing afterwards. Method: SIGSTOP with jobs at hand, until another worker has
/// finished all of them, then SIGCONT; the simulator counts the submissions.
#[test]
#[ignore = "waits for several leases"]
fn a_paused_worker_sends_nothing_when_it_wakes_up() {
    let Some(cluster) = Cluster::start() else { return };
    for round in 0..3 {
        let shared = SharedBench::new(&cluster, &format!("paused_{round}"), slow());
        shared.share(120, 2);
        let paused = shared.worker(&["-j", "6"]);
        wait_until("it submits", || shared.bench.stats().n_submits > 10);
        sleep(Duration::from_millis(37 * round));
        signal(&paused, "-STOP");
        sleep(SILENCE * 2);
        let other = shared.worker(&["-j", "6"]);
        expect_code(&ended(other), 0);
        let n_submits = shared.bench.stats().n_submits;
        signal(&paused, "-CONT");
        expect_code(&ended(paused), 0);
        assert_eq!(shared.bench.stats().n_submits, n_submits, "it sent something after its pause");
        let n_doubts = shared.merge(120);
        println!("round {round}: {n_doubts} doubts");
    }
}

/// Goal: an outage of the server loses no worker, no image and no answer. Method: stop the server for a minute with tasks in flight.
#[test]
#[ignore = "the server is away for a minute"]
fn a_minute_without_the_server_costs_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let shared = SharedBench::new(&cluster, "outage", slow());
    shared.share(300, 2);
    let workers = [shared.worker(&["-j", "6"]), shared.worker(&["-j", "6"])];
    wait_until("they submit", || shared.bench.stats().n_submits > 20);
    cluster.stop();
    sleep(Duration::from_secs(60));
    cluster.start_again();
    for worker in workers {
        expect_code(&ended(worker), 0);
    }
    assert_eq!(cluster.sql("SELECT count(*) FROM promptbatch_outage.workers"), "2", "no worker had to join again");
    assert_eq!(shared.merge(300), 0);
}

/// Goal: lost connections cost nothing. Method: end every connection of the workers again and again while they work.
#[test]
#[ignore = "connections are ended for a minute"]
fn connections_that_are_ended_again_and_again_cost_nothing() {
    let Some(cluster) = Cluster::start() else { return };
    let shared = SharedBench::new(&cluster, "ended", slow());
    shared.share(600, 2);
    let mut workers = [shared.worker(&["-j", "8"]), shared.worker(&["-j", "8"])];
    wait_until("they submit", || shared.bench.stats().n_submits > 20);
    let mut n_ended = 0;
    while workers.iter_mut().any(|worker| worker.try_wait().unwrap().is_none()) {
        let ended =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'promptbatch'";
        n_ended += cluster.sql(ended).parse::<u32>().unwrap();
        sleep(Duration::from_millis(150));
    }
    println!("{n_ended} connections ended");
    assert!(n_ended > 20, "only {n_ended} connections were ended");
    for worker in workers {
        expect_code(&ended(worker), 0);
    }
    assert_eq!(shared.merge(600), 0);
}
