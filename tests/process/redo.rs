//! Command `redo`: another image of jobs that succeeded, what it costs, and what a kill leaves.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, expect_code, files, hex, quick, stderr, stdout};
use crate::served::Served;

fn redo(bench: &Bench, more: &[&str]) -> Output {
    bench.output(&[&["redo", "out", "--progress", "none"], more].concat())
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of every image and sidecar file, by its path below OUT.
fn images(bench: &Bench, folder: &str) -> BTreeMap<String, String> {
    let folder = bench.path("out").join(folder);
    let names = if folder.is_dir() { files(&folder) } else { vec![] };
    names.into_iter().map(|name| (name.clone(), hash(&fs::read(bench.path("out").join(name)).unwrap()))).collect()
}

/// Returns a bench whose run has succeeded, with this manifest.
fn finished(config: SimulatorConfig, manifest: &str, more: &[&str]) -> Bench {
    let bench = Bench::new(config);
    bench.write("p.csv", manifest);
    expect_code(&bench.run("p.csv", more), 0);
    bench
}

/// Goal: the new image takes the place of the old one everywhere, and the old one is lost nowhere. Method: make one of three jobs again,
/// twice; look at the disk, the results, the history, the verification, the cost and a further run.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_new_image_takes_the_place_and_the_old_one_is_kept() {
    let bench = finished(quick(), "prompt\na cat\na dog\na cow\n", &["--price", "2 magicube", "--sidecar", "json"]);
    let before = images(&bench, "images");
    let name = bench.results()[1]["file_name"].clone();
    for (nth, kept) in ["replaced/images/000002-a-dog.png", "replaced/images/000002-a-dog.2.png"].iter().enumerate() {
        let old = images(&bench, "images");
        let output = redo(&bench, &["2", "--new-seed"]);
        expect_code(&output, 0);
        let words = stderr(&output);
        assert!(words.contains("out: making 1 job again, which is paid for again: 2 magicube"), "{words}");
        assert!(words.contains("  000002 a dog") && words.contains("kept in out/replaced"), "{words}");
        let new = images(&bench, "images");
        assert_eq!(new.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "the same names");
        assert_ne!(new[&name], old[&name]);
        assert!(
            new.iter().filter(|(other, _)| !other.contains("-a-dog")).all(|(other, bytes)| before[other] == *bytes)
        );
        let replaced = images(&bench, "replaced");
        assert_eq!((replaced.len(), &replaced[*kept]), (2 * (nth + 1), &old[&name]));
        assert_eq!(replaced[&kept.replace(".png", ".json")], old[&name.replace(".png", ".json")]);
        let row = &bench.results()[1];
        assert_eq!((row["status"].as_str(), row["file_name"].as_str()), ("succeeded", name.as_str()));
        assert_eq!(row["cost"], ["4", "6"][nth]);
        assert!(row["seed"].parse::<u32>().unwrap() < 1 << 31);
        let sidecar = fs::read_to_string(bench.path("out").join(name.replace(".png", ".json"))).unwrap();
        assert!(sidecar.contains(&format!("\"seed\": {},", row["seed"])), "{sidecar}");
        let log = stdout(&bench.output(&["log", "out", "2"]));
        assert!(log.contains(&format!("with the new seed {}, to be submitted again", row["seed"])), "{log}");
        assert!(log.contains(&format!("; the image before is kept as {kept}, 64x64, ")), "{log}");
        let verified = bench.output(&["verify", "out"]);
        expect_code(&verified, 0);
        let kept = ["1 replaced image", "2 replaced images"][nth];
        assert_eq!(stdout(&verified), format!("3 images, all as recorded\n{kept}, all as recorded\n"));
        assert_eq!(bench.stats().n_accepted, 4 + nth as u64);
        expect_code(&bench.run("p.csv", &[]), 0);
        assert_eq!(bench.stats().n_accepted, 4 + nth as u64, "a run does not go back to the row's own seed");
        assert_eq!(bench.results()[1], *row);
    }
}

/// Goal: nothing is paid for again by mistake. Method: names of no job, of several jobs, of failed and of unfinished jobs; and each
/// together with a good one.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn what_cannot_be_made_again_is_refused_and_nothing_is_changed() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "id,prompt,n\ncat,a cat,2\ndog,a dog,1\ncow,a cow,1\n");
    let api = Served::new(&bench, &["--fault", "task-failed=1"]);
    let run = |more: &[&str]| {
        let args = ["run", "p.csv", "-o", "out", "--base-url", &api.url, "--progress", "none"];
        bench.output(&[&args[..], more].concat())
    };
    expect_code(&run(&["--limit", "3", "--resubmits", "0", "-j", "1"]), 5);
    let api = api.again(&bench, &[]);
    let retried = bench.output(&["retry", "out", "--progress", "none", "--limit", "2"]);
    expect_code(&retried, 5);
    let (before, n_before) = (bench.results(), api.count("submits"));
    for (names, told) in [
        (&["1", "17"][..], "could not find the job \"17\""),
        (&["cat"], "several jobs match \"cat\": 1 ("),
        (
            &["1", "dog"],
            "could not make the job \"dog\" again: it is failed; submit it again with `promptbatch retry out --only ",
        ),
        (
            &["cow", "1"],
            "could not make the job \"cow\" again: it is pending; complete it with `promptbatch run` first",
        ),
    ] {
        for more in [&[][..], &["--dry-run"]] {
            let output = redo(&bench, &[names, more].concat());
            expect_code(&output, 2);
            assert!(stderr(&output).contains(told), "{names:?}: {}", stderr(&output));
        }
    }
    bench.write("p.csv", "id,prompt,n,skip\ncat,a cat,2,yes\ncow,a cow,1,\n");
    expect_code(&bench.output(&["redo", "out"]), 2);
    assert_eq!((bench.results(), api.count("submits")), (before, n_before));
    assert!(!bench.path("out/replaced").exists());
    bench.output(&["run", "p.csv", "-o", "out", "--base-url", &api.url, "--progress", "none", "--replace-manifest"]);
    for name in ["1", "dog"] {
        let output = redo(&bench, &[name]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("no longer in the manifest, or its row says `skip`"), "{}", stderr(&output));
    }
}

/// Goal: a dry run tells the cost and changes nothing. Method: compare the whole folder; prices known, unknown and from a flag; fixed
/// seeds, with and without a new one.
#[test]
fn a_dry_run_tells_the_cost_and_changes_nothing() {
    let bench = finished(quick(), "id,prompt,seed\ncat,a cat,5\ndog,a dog,\n", &[]);
    let folder = || {
        let names = files(&bench.path("out")).into_iter();
        names.map(|name| (fs::read(bench.path(&name)).map(|bytes| hash(&bytes)).ok(), name)).collect::<Vec<_>>()
    };
    let before = folder();
    let told = |args: &[&str]| {
        let output = redo(&bench, &[args, &["--dry-run"]].concat());
        expect_code(&output, 0);
        stdout(&output)
    };
    let both = told(&["cat", "2", "000001"]);
    assert!(both.starts_with("out: would make 2 jobs again, which is paid for again: cost unknown; give "), "{both}");
    assert!(both.contains("\n  000001 [cat] a cat, seed 5\n  000002 [dog] a dog\n"), "{both}");
    assert!(both.contains("warning: 1 job has a fixed seed, which mostly gives the same image again"), "{both}");
    assert!(told(&["1", "2", "--price", "2 magicube"]).contains("paid for again: 4 magicube\n"));
    assert!(!told(&["1", "--new-seed"]).contains("warning"));
    assert_eq!((folder(), bench.stats().n_submits), (before, 2));
    let output = redo(&bench, &["cat"]);
    expect_code(&output, 0);
    assert!(stderr(&output).contains("warning: 1 job has a fixed seed"), "{}", stderr(&output));
    assert_eq!((bench.results()[0]["seed"].as_str(), bench.stats().n_submits), ("5", 3));
    expect_code(&bench.output(&["verify", "out"]), 0);
}

/// Returns a bench whose two jobs have their images, and its server.
fn served() -> (Bench, Served) {
    let bench = Bench::new(quick());
    bench.write("p.csv", "id,prompt,seed\ncat,a cat,5\ndog,a dog,\n");
    let api = Served::new(&bench, &[]);
    let args = ["run", "p.csv", "-o", "out", "--base-url", &api.url, "-q", "--sidecar", "json"];
    expect_code(&bench.output(&args), 0);
    (bench, api)
}

/// Goal: the image that was paid for is what the job has, if the new one is refused. Method: a provider that refuses the prompt, one that
/// refuses the request, and one that fails every task; then look at all that shows the job, and at `retry`, `verify` and `redo`.
#[test]
fn a_failed_redo_returns_to_the_image_before() {
    for (n, faults) in [&["--fail-rate", "1"][..], &["--fault", "task-failed=1"]].into_iter().enumerate() {
        let (bench, api) = served();
        let (old, rows) = (images(&bench, "images"), bench.results());
        let api = api.again(&bench, faults);
        let output = redo(&bench, &["cat", "dog", "--new-seed", "--resubmits", "0"]);
        expect_code(&output, 100);
        let words = stderr(&output);
        let told = "2 jobs made again have no other image; their images before are current again:\n  000001 a cat: ";
        assert!(words.contains(told), "{words}");
        assert_eq!((images(&bench, "images"), images(&bench, "replaced").len()), (old.clone(), 0), "{words}");
        for (row, was) in bench.results().iter().zip(&rows) {
            for column in ["status", "file_name", "seed", "task_id", "submitted_at", "finished_at", "sha256", "error"] {
                assert_eq!(row.get(column), was.get(column), "{column}");
            }
        }
        let log = stdout(&bench.output(&["log", "out", "cat"]));
        assert!(log.contains("failed: ") && log.contains("is current again: images/000001-a-cat.png"), "{log}");
        expect_code(&bench.output(&["verify", "out"]), 0);
        let exported = bench.output(&["export", "out", "--to", "imagefolder", "-o", "data"]);
        expect_code(&exported, 0);
        let n_exported = files(&bench.path("data")).iter().filter(|name| name.contains(".png")).count();
        assert_eq!(n_exported, 2);
        expect_code(&bench.output(&["retry", "out", "--progress", "none"]), 0);
        let again = ["run", "p.csv", "-o", "out", "--base-url", &api.url, "--progress", "none"];
        expect_code(&bench.output(&again), 0);
        let quiet = bench.output(&["redo", "out", "cat", "-q", "--resubmits", "0"]);
        expect_code(&quiet, 100);
        assert!(stderr(&quiet).contains("error: 1 job made again has no other image"), "{}", stderr(&quiet));
        let _api = api.again(&bench, &[]);
        expect_code(&redo(&bench, &["cat", "--new-seed"]), 0);
        assert_eq!((images(&bench, "replaced").len(), bench.results()[0]["status"].as_str()), (2, "succeeded"), "{n}");
        assert_ne!(images(&bench, "images"), old);
    }
}

/// Goal: neither a kill nor a file of the user's costs the image before. Method: kill -9 at random moments of a redo that fails, then the
/// same command; in the second round a file has the image's name.
#[test]
fn a_killed_redo_that_fails_returns_to_the_image_before() {
    let mut rng = fastrand::Rng::with_seed(4713);
    for is_taken in [false, true] {
        let (bench, api) = served();
        let old = images(&bench, "images");
        let api = api.again(&bench, &["--fail-rate", "1"]);
        for _ in 0..6 {
            let args = ["redo", "out", "cat", "dog", "--new-seed", "--progress", "none"];
            let mut child = bench.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(rng.u64(0..150)));
            child.kill().unwrap();
            child.wait().unwrap();
            let kept: Vec<_> = [images(&bench, "images"), images(&bench, "replaced")].into_iter().flatten().collect();
            assert!(old.values().all(|bytes| kept.iter().any(|(_, other)| other == bytes)), "{kept:?}");
            let name = bench.path("out/images/000001-a-cat.png");
            if is_taken && bench.path("out/images").is_dir() && !name.exists() {
                fs::write(name, "mine").unwrap();
            }
        }
        redo(&bench, &["cat", "dog"]);
        let rows = bench.results();
        assert!(rows.iter().all(|row| row["status"] == "succeeded"), "{rows:?}");
        assert_eq!((rows[0]["seed"].as_str(), rows[1]["seed"].as_str()), ("5", ""));
        expect_code(&bench.output(&["verify", "out"]), 0);
        let current = rows.iter().map(|row| hash(&fs::read(bench.path("out").join(&row["file_name"])).unwrap()));
        let current: Vec<_> = current.collect();
        assert!(current.iter().all(|bytes| old.values().any(|other| other == bytes)));
        if bench.path("out/images/000001-a-cat.png").metadata().unwrap().len() == 4 {
            assert_eq!(rows[0]["file_name"], "replaced/images/000001-a-cat.png");
        }
        drop(api);
    }
}

/// Goal: a damaged or missing image does not hinder the job, and a token is needed before anything is changed. Method: damage one image,
/// remove another; first without a token.
#[test]
fn damaged_images_are_put_aside_and_a_missing_token_changes_nothing() {
    let bench = finished(quick(), "prompt\na cat\na dog\n", &[]);
    let names: Vec<_> = bench.results().iter().map(|row| row["file_name"].clone()).collect();
    let before = images(&bench, "images");
    let output = bench.command(&["redo", "out", "1"]).env_remove("MODELSCOPE_API_KEY").output().unwrap();
    expect_code(&output, 3);
    assert_eq!((images(&bench, "images"), bench.path("out/replaced").exists()), (before, false));
    fs::write(bench.path("out").join(&names[0]), "damaged").unwrap();
    fs::remove_file(bench.path("out").join(&names[1])).unwrap();
    expect_code(&redo(&bench, &["1", "2", "--new-seed"]), 0);
    bench.check_images(2);
    assert_eq!(fs::read(bench.path("out/damaged").join(&names[0])).unwrap(), b"damaged");
    assert_eq!(images(&bench, "replaced").len(), 0);
}

/// Goal: a lost or damaged image that was replaced is told, with its job. Method: damage one, remove another, and have a third job return to
/// its image; with and without --repair, which can fetch a current image only.
#[test]
fn verify_checks_the_images_that_were_replaced() {
    let (bench, api) = served();
    expect_code(&redo(&bench, &["cat", "dog", "--new-seed"]), 0);
    let api = api.again(&bench, &["--fail-rate", "1"]);
    expect_code(&redo(&bench, &["dog", "--new-seed"]), 100);
    let verified = || stdout(&bench.output(&["verify", "out"]));
    assert_eq!(verified(), "2 images, all as recorded\n2 replaced images, all as recorded\n");
    fs::write(bench.path("out/replaced/images/000001-a-cat.png"), "damaged").unwrap();
    fs::remove_file(bench.path("out/replaced/images/000002-a-dog.png")).unwrap();
    let told = verified();
    let list = "\n2 replaced images, 2 of them missing or damaged, which cannot be fetched again; copy them back if you have them:\n  \
                000001 replaced/images/000001-a-cat.png: ";
    assert!(told.starts_with("2 images, all as recorded") && told.contains(list), "{told}");
    assert!(told.contains("\n  000002 replaced/images/000002-a-dog.png: "), "{told}");
    for repair in [&[][..], &["--repair"]] {
        expect_code(&bench.output(&[&["verify", "out"], repair].concat()), 100);
    }
    assert_eq!(fs::read(bench.path("out/replaced/images/000001-a-cat.png")).unwrap(), b"damaged");
    drop(api);
}

/// Returns how many times jobs were made again, and whether the end of that is still to be seen.
fn redone(bench: &Bench) -> (usize, bool) {
    let ledger = rusqlite::Connection::open(bench.path("out/run.db")).unwrap();
    let n = ledger.query_row("SELECT count(*) FROM events WHERE kind = 'redone'", (), |row| row.get(0)).unwrap();
    let open = "SELECT count(*) FROM meta WHERE key = 'redo' AND value <> ''";
    (n, ledger.query_row(open, (), |row| row.get(0)).unwrap())
}

/// Goal: a kill at any moment loses neither image, and no job is paid for more often than it says. Method: kill -9 at random moments of
/// one redo, look for the old bytes under both names after each, and continue with the same command, or with `run`, to the end.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_kill_at_any_moment_loses_neither_image() {
    let config =
        SimulatorConfig { latency: Duration::from_millis(300), answer_delay: Duration::from_millis(20), ..quick() };
    let bench = finished(config, "prompt\na cat\na dog\na cow\na hen\n", &[]);
    let mut rng = fastrand::Rng::with_seed(4712);
    for round in 0..4_usize {
        let old = images(&bench, "images");
        let n_before = bench.stats().n_accepted;
        let mut n_kills = 0;
        let command = if round % 2 == 0 { "redo" } else { "run" };
        loop {
            let args = ["redo", "out", "1", "2", "4", "--new-seed", "-j", "1", "--resubmits", "20"];
            let mut child = match (command, n_kills) {
                ("run", 1..) => bench.spawn("p.csv", &["-j", "1", "--resubmits", "20"]),
                _ => bench.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
            };
            let pause = if n_kills % 2 == 0 { rng.u64(0..120) } else { rng.u64(0..700) };
            std::thread::sleep(Duration::from_millis(pause));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            n_kills += 1;
            let everywhere: Vec<_> =
                [images(&bench, "images"), images(&bench, "replaced")].into_iter().flatten().collect();
            for (name, bytes) in &old {
                assert!(
                    everywhere.iter().any(|(_, kept)| kept == bytes),
                    "round {round}, kill {n_kills}: {name} is lost"
                );
            }
            let (n_redone, is_open) = redone(&bench);
            if n_redone == 3 * (round + 1) && !is_open {
                break; // It was killed after its end.
            }
            if n_redone == 3 * round {
                n_kills = 0; // Nothing was begun: `run` would find nothing to continue.
            }
        }
        expect_code(&bench.run("p.csv", &["--resubmits", "20"]), 0);
        bench.check_images(4);
        let (new, kept) = (images(&bench, "images"), images(&bench, "replaced"));
        for (name, bytes) in &old {
            let is_redone = !name.contains("cow");
            assert_eq!(new.get(name) == Some(bytes), !is_redone, "round {round}: {name}");
            assert_eq!(kept.values().any(|kept| kept == bytes), is_redone, "round {round}: {name}");
        }
        assert_eq!(kept.len(), 3 * (round + 1), "each is kept once");
        let n_doubts = bench.results().iter().map(|row| row["submits_in_doubt"].parse::<u64>().unwrap()).sum::<u64>();
        assert!(bench.stats().n_accepted - n_before <= 3 + n_doubts, "round {round}: paid for too often");
    }
}

/// Goal: the same command continues, and makes no job twice. Method: one job at a time by `--limit`, with a limit on the cost between, and
/// then once more, which is another wish.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_same_command_continues_and_makes_no_job_twice() {
    let bench = finished(quick(), "prompt\na cat\na dog\na cow\n", &["--price", "2 magicube"]);
    let jobs = ["1", "2", "3"];
    let step = |more: &[&str]| redo(&bench, &[&jobs, more].concat());
    expect_code(&step(&["--limit", "1"]), 5);
    let statuses = || bench.results().iter().map(|row| row["status"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (statuses(), bench.stats().n_accepted),
        (vec!["succeeded".into(), "pending".into(), "pending".into()], 4)
    );
    expect_code(&step(&["--max-cost", "8"]), 75);
    assert_eq!(bench.stats().n_accepted, 4);
    let output = step(&["--limit", "1"]);
    expect_code(&output, 5);
    let words = stderr(&output);
    assert!(words.contains("out: 2 jobs continued, from an interrupted redo"), "{words}");
    assert!(words.contains("out: 1 job ended already, in an interrupted redo"), "{words}");
    assert!(!words.contains("paid for again"), "{words}");
    expect_code(&step(&[]), 0);
    assert_eq!((bench.stats().n_accepted, images(&bench, "replaced").len()), (6, 3));
    bench.check_images(3);
    expect_code(&step(&["--new-seed"]), 0);
    assert_eq!((bench.stats().n_accepted, images(&bench, "replaced").len()), (9, 6));
}

/// Goal: a seed that the provider has no field for does not cost a job its image. Method: `--new-seed` at such a provider.
#[test]
fn a_seed_that_the_provider_does_not_take_changes_nothing() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let api = Served::new(&bench, &["--provider", "openai"]);
    let at = |command: &mut Command| {
        let output = command.env("OPENAI_API_KEY", "test-token").output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let run = ["run", "prompts.csv", "-o", "out", "--provider", "openai", "--base-url", &api.url, "--progress", "none"];
    assert_eq!(at(&mut bench.command(&run)).0, Some(0));
    let before = images(&bench, "images");
    let (code, words) = at(&mut bench.command(&["redo", "out", "1", "--new-seed", "--base-url", &api.url]));
    assert!(code == Some(2) && words.contains("or leave out --new-seed"), "{words}");
    assert_eq!((images(&bench, "images"), api.count("submits")), (before, 1));
    assert_eq!(at(&mut bench.command(&["redo", "out", "1", "--base-url", &api.url, "--progress", "none"])).0, Some(0));
    assert_eq!(api.count("submits"), 2);
}
