//! Runs that several processes share through a real PostgreSQL.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, quick, stderr, stdout, wait_until};
use crate::books::Books;
use crate::postgres::{self, Cluster};

/// Silence after which a worker is taken over here.
pub const SILENCE: Duration = Duration::from_secs(3);

/// Folder of one test, with a shared run of its own.
pub struct SharedBench {
    pub bench: Bench,
    pub address: String,
}

impl SharedBench {
    pub fn new(cluster: &Cluster, run: &str, config: SimulatorConfig) -> Self {
        Self { bench: Bench::new(config), address: cluster.address(run) }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(args);
        command.env("PROMPTBATCH_TEST_SILENCE_MS", SILENCE.as_millis().to_string());
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Returns a command on the shared run, with its address: `work`, for example.
    pub fn on_run(&self, verb: &str, more: &[&str]) -> Command {
        let mut args = vec![verb, "--ledger", &self.address, "-o", "out", "--base-url", self.bench.simulator.url()];
        args.extend(["--resubmits", "20", "--in-doubt", "resubmit"]);
        args.extend(more);
        self.command(&args)
    }

    pub fn worker(&self, more: &[&str]) -> Child {
        self.on_run("work", more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the manifest in the folder up to a limit, and shares the folder.
    pub fn share(&self, n_jobs: usize, n_before: usize) {
        self.bench.csv(n_jobs);
        let limit = n_before.to_string();
        expect_code(&self.bench.run("prompts.csv", &["--limit", &limit]), 5);
        expect_code(&self.output(&["share", "out", "--ledger", &self.address]), 0);
    }

    /// Brings the run back, and compares the books of both sides and the images. Returns the number of doubts.
    #[track_caller]
    pub fn merge(&self, n_jobs: usize) -> u32 {
        expect_code(&self.output(&["merge", &self.address, "-o", "out"]), 0);
        self.bench.check_images(n_jobs);
        let limits = Limits { resubmits_max: 20, in_doubt: InDoubtPolicy::Resubmit, ..Limits::default() };
        let told = Books::read(&self.bench).check(&self.bench, &limits);
        let (stats, n_doubts) = (self.bench.stats(), told.doubts.values().sum::<u32>());
        println!("{} accepted, {} twice, {n_doubts} doubts", stats.n_accepted, stats.n_accepted_twice);
        assert!(stats.n_accepted_twice <= u64::from(n_doubts + told.n_lost), "{stats:?}, {n_doubts} doubts");
        assert_eq!(stats.n_contents, n_jobs as u64, "every job was submitted");
        n_doubts
    }
}

pub fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

pub fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Goal: a run that one machine began is finished by two workers, although one of them is killed, and comes back whole. Method: kill -9 of
/// a worker with tasks in flight; the books of the simulator and of the folder at the end.
#[test]
fn the_jobs_of_a_killed_worker_are_finished_by_another() {
    let Some(cluster) = postgres::shared() else { return };
    let shared =
        SharedBench::new(cluster, "killed", SimulatorConfig { latency: Duration::from_millis(400), ..quick() });
    shared.share(100, 10);
    let refused = shared.bench.run("prompts.csv", &[]);
    expect_code(&refused, 4);
    assert!(stderr(&refused).contains("promptbatch merge"), "{}", stderr(&refused));
    let mut first = shared.worker(&["-j", "4"]);
    let n_before = shared.bench.stats().n_submits;
    wait_until("the first one submits", || shared.bench.stats().n_submits > n_before + 4);
    let second = shared.worker(&["-j", "4"]);
    let live = shared.output(&["merge", &shared.address, "-o", "out"]);
    expect_code(&live, 4);
    first.kill().unwrap();
    first.wait().unwrap();
    let second = ended(second);
    expect_code(&second, 0);
    let status = shared.output(&["status", &shared.address, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!((status["succeeded"].as_u64(), status["workers"].as_array().map(Vec::len)), (Some(100), Some(0)));
    shared.merge(100);
    // The folder is a run like any other again.
    let n_submits = shared.bench.stats().n_submits;
    expect_code(&shared.bench.run("prompts.csv", &[]), 0);
    assert_eq!(shared.bench.stats().n_submits, n_submits);
    expect_code(&shared.bench.output(&["verify", "out"]), 0);
}

/// Goal: one command is right on every machine. Method: two processes of it at the same moment, a third one afterwards, and one with
/// another manifest.
#[test]
fn the_same_command_shares_or_joins() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "joined", quick());
    shared.bench.csv(60);
    let run = || shared.on_run("run", &["prompts.csv"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (one, two) = (run(), run());
    expect_code(&ended(one), 0);
    expect_code(&ended(two), 0);
    expect_code(&ended(run()), 0);
    assert_eq!(shared.bench.stats().n_accepted, 60);
    shared.bench.write("others.csv", "prompt\na dog\n");
    let other = shared.on_run("run", &["others.csv"]).output().unwrap();
    expect_code(&other, 2);
    assert!(stderr(&other).contains("the run of another manifest"), "{}", stderr(&other));
    // Options that the run has settled are not ignored in silence.
    for (flags, code) in [(["--image-format", "jpeg"], 2), (["--name", "{index}"], 2), (["--metadata", "on"], 0)] {
        let joined = shared.on_run("run", &[&["prompts.csv"], &flags[..]].concat()).output().unwrap();
        expect_code(&joined, code);
        let is_told = stderr(&joined).contains("its images have other names, formats or files");
        assert_eq!(is_told, code == 2, "{}", stderr(&joined));
    }
    let part = shared.on_run("run", &["prompts.csv", "--partition", "hash:1/2"]).output().unwrap();
    expect_code(&part, 2);
    assert_eq!(shared.merge(60), 0);
    let late = shared.on_run("work", &[]).output().unwrap();
    expect_code(&late, 2);
    assert!(stderr(&late).contains("merged back"), "{}", stderr(&late));
}

/// Goal: nothing works on the jobs of a lent folder, and nothing is lent twice. Method: every command that writes, and the folder's own mark.
#[test]
fn a_lent_folder_is_left_alone() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "lent", quick());
    shared.share(12, 4);
    let url = shared.bench.simulator.url();
    let n_submits = shared.bench.stats().n_submits;
    let commands: [&[&str]; 4] = [
        &["run", "prompts.csv", "-o", "out", "--base-url", url],
        &["retry", "out", "--base-url", url],
        &["redo", "out", "000001", "--base-url", url],
        &["share", "out", "--ledger", &cluster.address("lent_elsewhere")],
    ];
    for command in commands {
        let refused = shared.output(command);
        assert!([Some(2), Some(4)].contains(&refused.status.code()), "{command:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("shared"), "{command:?}: {}", stderr(&refused));
    }
    // What only reads goes on.
    for command in [["status", "out"], ["verify", "out"], ["results", "out"]] {
        expect_code(&shared.output(&command), 0);
    }
    // Sharing again says that it is done.
    expect_code(&shared.output(&["share", "out", "--ledger", &shared.address]), 0);
    assert_eq!(shared.bench.stats().n_submits, n_submits);
    // It comes back as it went.
    expect_code(&shared.output(&["merge", &shared.address, "-o", "out"]), 5);
    expect_code(&shared.bench.run("prompts.csv", &[]), 0);
    shared.bench.check_images(12);
    assert_eq!(shared.bench.stats().n_accepted, 12);
}

/// Goal: a folder whose server is gone for good can be taken back, and what may have been paid for there is in doubt. Method: drop the
/// schema, and accept the older ledger.
#[test]
fn a_folder_whose_server_is_gone_is_taken_back_with_doubts() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "gone", quick());
    shared.share(12, 4);
    cluster.sql("DROP SCHEMA promptbatch_gone CASCADE");
    let gone = shared.output(&["merge", &shared.address, "-o", "out"]);
    expect_code(&gone, 2);
    assert!(stderr(&gone).contains("promptbatch share"), "{}", stderr(&gone));
    expect_code(&shared.bench.run("prompts.csv", &[]), 4);
    let held = shared.bench.run("prompts.csv", &["--accept-older-ledger", "--in-doubt", "hold"]);
    expect_code(&held, 100);
    let rows = shared.bench.results();
    assert_eq!(rows.iter().filter(|row| row["status"] == "in_doubt").count(), 8);
}

/// Goal: nothing is paid for because images or jobs are in two places. Method: workers and merges with other folders than that of the images, and
/// a second folder for the run.
#[test]
fn a_shared_run_has_one_folder_of_images_and_one_way_back() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "one_folder", quick());
    shared.share(12, 4);
    let (address, url) = (shared.address.as_str(), shared.bench.simulator.url());
    let refused = |args: &[&str], words: &str| {
        let output = shared.output(args);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    };
    refused(&["work", "--ledger", address, "--base-url", url, "-o", "other"], "which is another folder");
    let bucket = format!("file://{}", shared.bench.path("bucket").display());
    refused(
        &["work", "--ledger", address, "--base-url", url, "-o", "out", "--images", &bucket],
        "could not put the images at",
    );
    refused(&["merge", address, "-o", "other"], "which is another folder");
    assert!(!shared.bench.path("other/.promptbatch-shared").exists());
    expect_code(&ended(shared.worker(&[])), 0);
    shared.merge(12);
    // The same folder again is no mistake.
    expect_code(&shared.output(&["merge", address, "-o", "out"]), 0);
    refused(&["merge", address, "-o", "other"], "it was brought back into");
    assert_eq!(shared.bench.stats().n_accepted, 12);
}

/// Goal: no message shows a password. Method: a password in the address and one in the environment, and commands that fail and succeed.
#[test]
fn no_message_shows_a_password() {
    let Some(cluster) = postgres::shared() else { return };
    let shared = SharedBench::new(cluster, "secret", quick());
    shared.bench.csv(4);
    let with = |address: &str| address.replace("tester@", "tester:hunter2@");
    let bad = with(&shared.address).replace("/postgres?", "/nowhere?");
    let good = with(&shared.address);
    let url = shared.bench.simulator.url();
    let mut texts = String::new();
    for args in [
        vec!["status", &bad],
        vec!["run", "prompts.csv", "-o", "out", "--base-url", url, "--ledger", &good],
        vec!["status", &good],
        vec!["work", "-o", "out", "--ledger", "postgres://tester:hunter2@127.0.0.1:port/x"],
        vec!["merge", &good, "-o", "out"],
    ] {
        let output = shared.command(&args).env("PGPASSWORD", "hunter2").output().unwrap();
        texts += &(stdout(&output) + &stderr(&output));
    }
    assert!(texts.contains("4 of 4 succeeded") && texts.contains("nowhere"), "{texts}");
    assert!(!texts.contains("hunter2"), "{texts}");
    shared.bench.check_images(4);
}
