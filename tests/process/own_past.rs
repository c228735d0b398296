//! Consistency of a run with its past: an older or damaged ledger, another account, missing images, an interrupted repair.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, stderr, stdout, wait_until};
use crate::exports::{STRACE_REQUIRED, is_killed};

/// Upper limit on the calls of a repair of a few images.
const KILLS_MAX: usize = 400;

fn copy_ledger(from: &Path, to: &Path) {
    for name in ["run.db", "run.db-wal"] {
        drop(fs::remove_file(to.join(name)));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

/// Goal: a ledger restored from a copy causes no unreported second payment. Method: two jobs, a copy of the ledger, two
/// more jobs. Then the copy is restored, so that two paid jobs are new to it.
#[test]
fn an_older_ledger_is_refused_until_it_is_accepted_and_then_nothing_is_paid_for_untold() {
    let bench = Bench::new(quick());
    let (out, older) = (bench.path("out"), bench.path("older"));
    bench.csv(2);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    fs::create_dir(&older).unwrap();
    copy_ledger(&out, &older);
    bench.csv(4);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    assert_eq!(bench.stats().n_accepted, 4);

    copy_ledger(&older, &out);
    for args in [&["retry", "out"][..], &["verify", "out"], &["verify", "out", "--repair"]] {
        let output = bench.output(args);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("--accept-older-ledger"), "{args:?}: {}", stderr(&output));
    }
    let refused = bench.run("prompts.csv", &[]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("out/run.db: it ends with event "), "{}", stderr(&refused));
    let status = bench.output(&["status", "out"]);
    expect_code(&status, 0);
    assert!(stdout(&status).contains("warning: could not resume out/run.db"), "{}", stdout(&status));
    assert_eq!(bench.stats().n_submits, 4, "nothing was sent");

    let held = bench.run("prompts.csv", &["--accept-older-ledger", "--in-doubt", "hold"]);
    expect_code(&held, 100);
    let statuses = || bench.results().iter().map(|row| row["status"].clone()).collect::<Vec<_>>();
    assert_eq!(statuses(), ["succeeded", "succeeded", "in_doubt", "in_doubt"]);
    assert_eq!(bench.stats().n_submits, 4, "what may be paid for is held");
    expect_code(&bench.output(&["status", "out"]), 0);
    expect_code(&bench.output(&["retry", "out", "--only", "in_doubt", "--progress", "none"]), 0);
    assert_eq!(bench.stats().n_accepted, 6);
    // Each of the two was paid for once more, and the results report it.
    let told = bench.results().iter().map(|row| 1 + row["submits_in_doubt"].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(told, bench.stats().n_accepted);
}

/// Goal: another token is told of while a task of the old one is open, and never else; and no token is stored. Method: runs to their end with two
/// tokens, and runs with open tasks that are killed, of one token, of the other, and of the other as the batch's own.
#[test]
fn another_token_is_told_of_while_a_task_is_open() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(60), ..quick() });
    let told = |token: &str, more: &[&str]| {
        let n_polls = bench.stats().n_polls;
        let mut command = bench.run_command("prompts.csv", more);
        let mut child = command.env("MODELSCOPE_API_KEY", token).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("its tasks are asked for", || bench.stats().n_polls > n_polls);
        child.kill().unwrap();
        stderr(&child.wait_with_output().unwrap()).contains("this is another token than before")
    };
    bench.csv(2);
    assert!(!told("the-first-token", &[]));
    assert!(!told("the-first-token", &[]));
    assert!(told("the-second-token", &[]));
    assert!(told("the-second-token", &[]), "the tasks are still the first one's");
    assert!(!told("the-second-token", &["--new-account"]));
    assert!(!told("the-second-token", &[]));
    assert!(told("the-first-token", &[]));

    let ended = Bench::new(quick());
    for (n, token) in [(1, "the-first-token"), (2, "the-second-token"), (2, "the-second-token"), (3, "the-first-token")]
    {
        ended.csv(n);
        let output = ended.run_command("prompts.csv", &[]).env("MODELSCOPE_API_KEY", token).output().unwrap();
        expect_code(&output, 0);
        assert!(!stderr(&output).contains("token"), "{}", stderr(&output));
    }
    for name in ["run.db", "run.mark", "results.csv"] {
        let bytes = fs::read(ended.path("out").join(name)).unwrap();
        for token in ["the-first-token", "the-second-token"] {
            assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{name} holds {token}");
        }
    }
}

/// Goal: a folder whose ledger is lost is not taken for a new one, whatever else is left, and the remedy that is named works. Method: take away
/// the ledger with more and more of the other files, and put it back. A folder of the user's own images is no run.
#[test]
fn a_run_whose_ledger_is_lost_is_not_paid_for_again() {
    let bench = Bench::new(quick());
    bench.csv(2);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let out = bench.path("out");
    fs::create_dir(bench.path("kept")).unwrap();
    for (gone, words) in [
        (&["run.db"][..], "it has the images and the results of a run, but the ledger run.db is missing"),
        (&["run.db", "run.mark"], "it has the images and the results of a run, but"),
        (&["run.db", "run.mark", "results.csv"], "it has the images of a run, but"),
        (&["run.db", "run.mark", "images"], "it has the results of a run, but"),
        (&["run.db", "images", "results.csv"], "it is missing, and"),
    ] {
        for name in gone {
            fs::rename(out.join(name), bench.path("kept").join(name)).unwrap();
        }
        let refused = bench.run("prompts.csv", &[]);
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains(words), "{gone:?}: {}", stderr(&refused));
        assert!(stderr(&refused).to_lowercase().contains("put "), "{gone:?}: {}", stderr(&refused));
        for name in gone {
            drop(fs::remove_file(out.join(name)));
            fs::rename(bench.path("kept").join(name), out.join(name)).unwrap();
        }
        expect_code(&bench.run("prompts.csv", &[]), 0);
    }
    fs::write(out.join("run.db"), "").unwrap();
    let empty = bench.run("prompts.csv", &[]);
    expect_code(&empty, 2);
    assert!(stderr(&empty).contains("of a run, but the ledger run.db holds no run"), "{}", stderr(&empty));
    assert_eq!(bench.stats().n_submits, 2, "nothing was sent again");

    fs::create_dir_all(bench.path("mine/images")).unwrap();
    fs::write(bench.path("mine/images/heron-1.png"), "a picture of mine").unwrap();
    let mine = bench.output(&["run", "prompts.csv", "-o", "mine", "--base-url", bench.simulator.url()]);
    expect_code(&mine, 0);
}

/// Goal: an image that is not on disk is not done. Method: images that are deleted, cut, or replaced by a folder. One
/// more has only changed bytes, which only `verify` detects.
#[test]
fn images_that_are_gone_are_told_by_a_run_that_has_nothing_to_do() {
    let bench = Bench::new(quick());
    bench.csv(6);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let names = files(&bench.path("out/images"));
    let path = |n: usize| bench.path("out").join(&names[n]);
    let whole = fs::read(path(0)).unwrap();
    fs::write(path(0), vec![0; whole.len()]).unwrap();
    expect_code(&bench.run("prompts.csv", &[]), 0);
    fs::remove_file(path(1)).unwrap();
    let one = bench.run("prompts.csv", &[]);
    expect_code(&one, 100);
    let words = "1 of 6 images is missing or has the wrong size: promptbatch verify out --repair";
    assert!(stderr(&one).contains(words), "{}", stderr(&one));
    fs::write(path(2), &whole[..100]).unwrap();
    fs::remove_file(path(3)).unwrap();
    fs::create_dir(path(3)).unwrap();
    for more in [&[][..], &["--fail-under", "10%"]] {
        let three = bench.run("prompts.csv", more);
        expect_code(&three, 100);
        assert!(stderr(&three).contains("3 of 6 images are missing or have the wrong size"), "{}", stderr(&three));
    }
    bench.csv(7);
    let with_more = bench.run("prompts.csv", &[]);
    expect_code(&with_more, 100);
    assert!(stderr(&with_more).contains("3 of 7 images are missing"), "{}", stderr(&with_more));
    expect_code(&bench.output(&["verify", "out", "--repair", "--progress", "none"]), 0);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(7);
    assert_eq!(bench.stats().n_submits, 7, "nothing was paid for again");
}

/// Goal: every command that relies on a row reports a flipped bit by that row. Method: change a column directly in the
/// database.
#[test]
fn a_damaged_row_is_told_by_every_verb() {
    let bench = Bench::new(quick());
    bench.csv(3);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let raw = rusqlite::Connection::open(bench.path("out/run.db")).unwrap();
    raw.execute("UPDATE jobs SET n_in_doubt = 1 WHERE position = 2", ()).unwrap();
    drop(raw);
    for args in
        [&["status", "out"][..], &["verify", "out"], &["results", "out"], &["retry", "out"], &["log", "out", "2"]]
    {
        let output = bench.output(args);
        expect_code(&output, 1);
        let told = stderr(&output);
        assert!(told.contains("job 2 (row 2): its state") && told.contains("is damaged"), "{args:?}: {told}");
    }
    let run = bench.run("prompts.csv", &[]);
    expect_code(&run, 1);
    assert!(stderr(&run).contains("job 2 (row 2): its state"), "{}", stderr(&run));
}

/// Goal: a repair that is killed at any step loses nothing, and pays for nothing. Method: strace kills it at the first
/// call that changes the disk, then at the second, and so on. The same command then restores all images under their
/// names, and the damaged file is still available.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_repair_that_is_killed_at_any_step_goes_on() {
    let bench = Bench::new(quick());
    bench.csv(3);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.write("token", "test-token");
    let names = files(&bench.path("out/images"));
    let [damaged, missing] = [&names[0], &names[1]].map(|name| bench.path("out").join(name));
    let mut flipped = fs::read(&damaged).unwrap();
    flipped[50] ^= 1;
    fs::write(&damaged, &flipped).unwrap();
    fs::remove_file(missing).unwrap();
    fs::rename(bench.path("out"), bench.path("before")).unwrap();
    let repair = ["verify", "out", "--repair", "--progress", "none", "--token-file", "token"];
    let mut n_kills = 0;
    for nth in 1..=KILLS_MAX {
        let _ = fs::remove_dir_all(bench.path("out"));
        let copied = Command::new("cp").args(["-r", "before", "out"]).current_dir(bench.folder.path()).status();
        assert!(copied.unwrap().success());
        if !is_killed(&bench, &repair, nth) {
            break;
        }
        n_kills += 1;
        expect_code(&bench.output(&repair), 0);
        expect_code(&bench.run("prompts.csv", &[]), 0);
        bench.check_images(3);
        assert_eq!(files(&bench.path("out/images")), names, "killed at call {nth}");
        let kept = bench.path("out/damaged").join(&names[0]);
        assert!(fs::read(&kept).is_ok_and(|bytes| bytes == flipped), "killed at call {nth}: what was there is kept");
        assert_eq!(bench.stats().n_submits, 3, "killed at call {nth}: nothing is submitted");
    }
    let is_skipped = n_kills == 0 && std::env::var_os(STRACE_REQUIRED).is_none();
    assert!(is_skipped || (20..KILLS_MAX).contains(&n_kills), "{n_kills} kills");
}
