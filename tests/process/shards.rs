//! Parts of one manifest on several machines, and their merge into one run.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, quick, rows, stderr, stdout, wait_until};
use crate::books::Books;

/// Starts the run of one part.
fn part(bench: &Bench, partition: &str, more: &[&str]) -> Child {
    let args = [&["--partition", partition, "--progress", "none"], more].concat();
    bench.run_command("prompts.csv", &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Runs all parts at once, kills some of them on the way, and runs those again.
fn run_parts(bench: &Bench, kind: &str, count: usize, n_kills: usize, more: &[&str]) {
    let name = |nth: usize| format!("{kind}:{nth}/{count}");
    let mut running: Vec<_> = (1..=count).map(|nth| part(bench, &name(nth), more)).collect();
    let mut rng = fastrand::Rng::with_seed(7);
    for kill in 0..n_kills {
        std::thread::sleep(Duration::from_millis(rng.u64(100..300)));
        let nth = kill % count;
        running[nth].kill().unwrap();
        running[nth].wait().unwrap();
        running[nth] = part(bench, &name(nth + 1), more);
    }
    for child in running {
        expect_code(&ended(child), 0);
    }
}

/// Goal: machines that share nothing do the work of one, and nothing is paid for twice or lost, although some are killed.
///
/// Method: parts of one manifest at once against one API, with kills; their merge; then the checks of any run, and the books of the API.
fn parts_become_one_run(kind: &str, n_jobs: usize, count: usize, n_kills: usize) {
    let bench = Bench::new(SimulatorConfig { answer_delay: Duration::from_millis(20), ..quick() });
    bench.csv(n_jobs);
    run_parts(&bench, kind, count, n_kills, &["-j", "16", "--resubmits", "20", "--in-doubt", "resubmit"]);
    let merged = bench.output(&["merge", "out"]);
    expect_code(&merged, 0);
    assert!(
        stdout(&merged).starts_with(&format!("{count} parts, {n_jobs} jobs: {n_jobs} succeeded")),
        "{}",
        stdout(&merged)
    );
    bench.check_images(n_jobs);
    let indexes: Vec<_> = bench.results().iter().map(|row| row["index"].parse::<usize>().unwrap()).collect();
    assert_eq!(indexes, (1..=n_jobs).collect::<Vec<_>>(), "the rows of the manifest, in its order");
    Books::read(&bench)
        .check(&bench, &Limits { resubmits_max: 20, in_doubt: InDoubtPolicy::Resubmit, ..Limits::default() });
    // The merged folder is a run like any other.
    for args in [&["verify", "out"][..], &["results", "out"], &["gallery", "out"], &["status", "out"]] {
        expect_code(&bench.output(args), 0);
    }
    let n_submits = bench.stats().n_submits;
    expect_code(&bench.run("prompts.csv", &["--progress", "none"]), 0);
    assert_eq!(bench.stats().n_submits, n_submits, "a finished run sends nothing");
}

#[test]
fn parts_by_hash_become_one_run() {
    parts_become_one_run("hash", 120, 4, 6);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn parts_in_turn_become_one_run() {
    parts_become_one_run("slice", 60, 3, 0);
}

#[test]
#[ignore = "ten thousand jobs in eight processes"]
fn ten_thousand_jobs_in_eight_parts_become_one_run() {
    parts_become_one_run("hash", 10_000, 8, 6);
}

#[test]
fn a_part_that_is_missing_is_named_as_an_array_job_is() {
    let bench = Bench::new(quick());
    bench.csv(20);
    for nth in [1, 3, 4] {
        expect_code(&ended(part(&bench, &format!("slice:{nth}/6"), &[])), 0);
    }
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 5);
    assert!(
        stderr(&output).contains("3 of 6 parts are missing: 2,5-6") && stderr(&output).contains("--array=2,5-6"),
        "{}",
        stderr(&output)
    );
    assert!(!bench.path("out/run.db").exists() && !bench.path("out/results.csv").exists(), "nothing is written");
}

/// Goal: no folder is taken for another one, which would pay for its jobs again.
#[test]
fn folders_of_parts_and_of_whole_runs_are_kept_apart() {
    let bench = Bench::new(quick());
    bench.csv(12);
    for nth in [1, 2] {
        expect_code(&ended(part(&bench, &format!("hash:{nth}/2"), &[])), 0);
    }
    let n_submits = bench.stats().n_submits;
    assert_eq!(n_submits, 12);
    let refused = |args: &[&str], words: &str| {
        let output = bench.output(args);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    };
    let url = bench.simulator.url();
    let whole = ["run", "prompts.csv", "-o", "out/shards/1-of-2", "--base-url", url];
    refused(&whole, "the folder has part hash:1/2");
    refused(
        &["run", "prompts.csv", "-o", "out", "--base-url", url, "--partition", "slice:1/2"],
        "the folder has part hash:1/2",
    );
    refused(&["run", "prompts.csv", "-o", "out", "--partition", "hash:3/2"], "a partition is hash:M/N");
    refused(&["run", "prompts.csv", "-o", "out", "--partition", "auto"], "SLURM_ARRAY_TASK_ID");
    refused(&["merge", "nothing"], "could not find parts of a run");
    expect_code(&bench.output(&["merge", "out"]), 0);
    refused(&["merge", "out/shards/1-of-2", "out/shards/2-of-2", "-o", "out"], "it has a run already");
    refused(&["merge", "out", "-o", "other"], "it is a run of its own");
    refused(&["merge", "out/shards/1-of-2", "out/shards/2-of-2"], "with -o OUT");
    assert_eq!(bench.stats().n_submits, n_submits);
}

#[test]
fn parts_of_different_manifests_are_not_merged() {
    let bench = Bench::new(quick());
    bench.csv(12);
    expect_code(&ended(part(&bench, "hash:1/2", &[])), 0);
    bench.csv(13);
    expect_code(&ended(part(&bench, "hash:2/2", &[])), 0);
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("parts of different manifests"), "{}", stderr(&output));
}

/// Goal: a job that two machines did is one job, and both payments are counted. Method: one part in two places.
#[test]
fn a_job_in_two_parts_keeps_its_image_and_counts_both_payments() {
    let bench = Bench::new(quick());
    bench.csv(6);
    for out in ["a", "b"] {
        let args = ["run", "prompts.csv", "-o", out, "--partition", "slice:1/1", "--base-url", bench.simulator.url()];
        expect_code(&bench.output(&[&args[..], &["--price", "2 USD", "--progress", "none"]].concat()), 0);
    }
    let output = bench.output(&["merge", "a", "b", "-o", "out"]);
    expect_code(&output, 0);
    assert!(stdout(&output).contains("6 jobs were submitted in more than one part"), "{}", stdout(&output));
    bench.check_images(6);
    assert_eq!(bench.stats().n_accepted, 12);
    assert!(bench.results().iter().all(|row| row["attempts"] == "2" && row["cost"] == "4"), "{:?}", bench.results()[0]);
}

/// Goal: a merge that is killed leaves nothing half done. Method: kill it at many moments, try to run its folder, and merge again.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_merge_that_is_killed_is_repeated() {
    let bench = Bench::new(quick());
    bench.csv(80);
    run_parts(&bench, "hash", 2, 0, &["-j", "32"]);
    let n_submits = bench.stats().n_submits;
    let mut n_refused = 0;
    for millis in [0, 1, 2, 5, 10, 20] {
        let mut merge = bench.command(&["merge", "out"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("it has a ledger", || bench.path("out/run.mark").exists());
        std::thread::sleep(Duration::from_millis(millis));
        merge.kill().unwrap();
        let is_over = merge.wait().unwrap().success();
        if is_over || fs::exists(bench.path("out/results.csv")).unwrap() {
            break;
        }
        let output = bench.run("prompts.csv", &["--progress", "none", "--retries", "0"]);
        expect_code(&output, 2);
        n_refused += u32::from(stderr(&output).contains("`promptbatch merge`"));
        assert_eq!(bench.stats().n_submits, n_submits, "nothing is paid for again");
    }
    if !fs::exists(bench.path("out/results.csv")).unwrap() {
        expect_code(&bench.output(&["merge", "out"]), 0);
    }
    assert!(n_refused > 0, "a kill must come half-way");
    expect_code(&bench.run("prompts.csv", &["--progress", "none"]), 0);
    bench.check_images(80);
    assert_eq!(bench.stats().n_submits, n_submits);
}

/// Goal: `plan` and `validate` speak of the part, and the parts are the whole.
#[test]
fn plans_of_all_parts_are_the_plan_of_the_whole() {
    let bench = Bench::new(quick());
    bench.csv(50);
    for kind in ["hash", "slice"] {
        let mut prompts = BTreeSet::new();
        let mut n_jobs = 0;
        for nth in 1..=3 {
            let partition = format!("{kind}:{nth}/3");
            let list = stdout(&bench.output(&["plan", "prompts.csv", "--partition", &partition, "--list"]));
            let n = list.lines().skip(1).filter(|line| prompts.insert((*line).to_owned())).count();
            let plan =
                stdout(&bench.output(&["plan", "prompts.csv", "--partition", &partition, "--json", "--rate", "60/m"]));
            let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
            assert_eq!((plan["jobs"].as_u64(), plan["skipped"].as_u64()), (Some(n as u64), Some(0)), "{plan}");
            assert!(plan["out"].as_str().unwrap().ends_with(&format!("shards/{nth}-of-3")), "{plan}");
            let seconds = plan["estimate"]["seconds"].as_f64().unwrap();
            let n_submits = u32::try_from(n).unwrap();
            assert!(seconds >= 3.0 * (f64::from(n_submits) - 2.0), "a third of the rate: {plan}");
            n_jobs += n;
        }
        assert_eq!((n_jobs, prompts.len()), (50, 50));
    }
    assert_eq!(rows(&bench.path("prompts.csv")).len(), 50);
}

/// Goal: what only a part can settle is settled there. Method: kill a part with submissions under way, and merge; run it again, and merge.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_part_with_submissions_under_way_is_run_once_more_first() {
    let bench = Bench::new(SimulatorConfig { answer_delay: Duration::from_secs(2), ..quick() });
    bench.csv(4);
    let mut killed = part(&bench, "slice:1/1", &["-j", "4"]);
    wait_until("it has submitted", || bench.stats().n_submits > 0);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 5);
    assert!(stderr(&output).contains("only this part can look them up; run it once more"), "{}", stderr(&output));
    assert!(!bench.path("out/run.db").exists());
    expect_code(&ended(part(&bench, "slice:1/1", &[])), 0);
    expect_code(&bench.output(&["merge", "out"]), 0);
    bench.check_images(4);
}

/// Goal: a pipeline takes only a complete run for one. Method: a part that stopped at its limit, and one with a failed job.
#[test]
fn a_merge_ends_as_a_run_does() {
    let bench = Bench::new(quick());
    bench.csv(6);
    expect_code(&ended(part(&bench, "slice:1/2", &["--limit", "2"])), 5);
    expect_code(&ended(part(&bench, "slice:2/2", &[])), 0);
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 5);
    let next = "1 job unfinished; to go on: promptbatch run MANIFEST -o out\n";
    assert!(stdout(&output).ends_with(next), "{}", stdout(&output));
    expect_code(&bench.run("prompts.csv", &["--progress", "none"]), 0);
    bench.check_images(6);

    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(2);
    expect_code(&ended(part(&bench, "slice:1/1", &[])), 100);
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 100);
    assert!(stdout(&output).ends_with("as they are: promptbatch retry out --only moderated\n"), "{}", stdout(&output));
}

/// Goal: a merge replaces nothing of the user's. Method: files of the names that it would take.
#[test]
fn a_merge_replaces_no_file_of_the_users() {
    let bench = Bench::new(quick());
    bench.csv(3);
    expect_code(&ended(part(&bench, "slice:1/1", &[])), 0);
    bench.write("out/results.csv", "mine\n");
    let output = bench.output(&["merge", "out"]);
    expect_code(&output, 2);
    assert_eq!(fs::read_to_string(bench.path("out/results.csv")).unwrap(), "mine\n", "{}", stderr(&output));
    fs::remove_file(bench.path("out/results.csv")).unwrap();
    let name = rows(&bench.path("out/shards/1-of-1/results.csv"))[1]["file_name"].clone();
    fs::create_dir_all(bench.path("out/images")).unwrap();
    bench.write(&format!("out/{name}"), "mine too");
    expect_code(&bench.output(&["merge", "out"]), 0);
    assert_eq!(fs::read_to_string(bench.path("out").join(&name)).unwrap(), "mine too");
    expect_code(&bench.output(&["verify", "out"]), 0);
    assert!(bench.results().iter().all(|row| row["status"] == "succeeded" && row["file_name"] != name));
}
