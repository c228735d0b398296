//! Failures of our own disk: full, read-only, closed, moved and deleted, at the start and in the middle of a run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use promptbatch::images::validate::inspect;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::model::outcome::Outcome;
use promptbatch::model::phase::Phase;
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::store::error::LedgerError;
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobSet, stores};
use sha2::{Digest, Sha256};

use crate::bench::{Bench, expect_code, files, quick, stderr, stdout, wait_until};

/// Environment variable that makes mounting mandatory, as in CI.
pub const REQUIRED: &str = "PROMPTBATCH_TEST_TMPFS_REQUIRED";

/// Size in KiB that is enough for everything.
const KIB_ENOUGH: u64 = 64 << 10;

/// Disk of a fixed size, mounted for as long as this value lives.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk. Returns `None`, and prints a notice, if nothing can be mounted.
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at }),
            failed if std::env::var_os(REQUIRED).is_some() => panic!("mounting is required here: {failed:?}"),
            failed => {
                eprintln!("SKIPPED: nothing can be mounted here, run as root to test full disks: {failed:?}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &format!("remount,{options}")]).arg(&self.at).status().unwrap();
        assert!(status.success(), "remount {options}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn size(kib: u64) -> String {
    format!("size={kib}k")
}

/// Returns a configuration in which tasks and answers take some time, so that requests are always in progress.
pub fn slow() -> SimulatorConfig {
    SimulatorConfig { answer_delay: Duration::from_millis(20), ..quick() }
}

/// Checks OUT after any disk failure: the ledger is sound, and every recorded image is complete.
///
/// The ledger is read in a copy, because a full disk has no space for an index next to it.
pub fn check_intact(bench: &Bench) {
    let out = bench.path("out");
    if out.join("images").exists() {
        for name in files(&out.join("images")) {
            let bytes = fs::read(out.join(&name)).unwrap();
            assert!(inspect(bytes.as_slice(), &CheckLimits::default()).unwrap().is_ok(), "{name} is not whole");
        }
    }
    let copy = tempfile::tempdir().unwrap();
    for name in ["run.db", "run.db-wal"] {
        let _ = fs::copy(out.join(name), copy.path().join(name));
    }
    let raw = rusqlite::Connection::open(copy.path().join("run.db")).unwrap();
    let verdict: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let file = match stores::open_for_reading(copy.path()) {
        Ok(file) => file,
        Err(LedgerError::Missing { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    let check = |known: promptbatch::model::phase::JobRecord| {
        if let Phase::Finished(Outcome::Succeeded(artifacts)) = known.state.phase {
            for artifact in artifacts {
                let bytes = fs::read(out.join(&artifact.file_name)).unwrap();
                assert_eq!(Sha256::digest(&bytes)[..], artifact.sha256, "{}", artifact.file_name);
            }
        }
        Ok::<_, LedgerError>(())
    };
    file.for_each_job(JobSet::InManifest, check).unwrap();
}

/// Goal: after the disk is repaired, nothing is lost, and only submissions in doubt are paid for twice. A job whose answer the disk refused to
/// record twice is held, and the user is told how to go on.
#[track_caller]
fn check_goes_on(bench: &Bench, n_jobs: usize) {
    let output = bench.run("prompts.csv", &[]);
    if is_held(&output) {
        expect_code(&output, 100);
        let address = bench.simulator.url();
        expect_code(&bench.output(&["retry", "out", "--only", "in_doubt", "--base-url", address]), 0);
    } else {
        expect_code(&output, 0);
    }
    bench.check_images(n_jobs);
    let stats = bench.stats();
    let n_attempts: u64 = bench.results().iter().map(|row| row["attempts"].parse::<u64>().unwrap()).sum();
    let n_in_doubt = n_attempts - n_jobs as u64;
    assert!(stats.n_accepted_twice <= n_in_doubt, "{} twice, {n_in_doubt} in doubt", stats.n_accepted_twice);
}

/// Returns whether a run ended with a job that is held, because its submission was in doubt twice.
fn is_held(output: &Output) -> bool {
    stderr(output).contains("promptbatch retry out --only in_doubt")
}

#[track_caller]
fn expect_full(output: &Output) {
    expect_code(output, 1);
    let words = stderr(output);
    let is_clear = ["disk is full", "No space left on device"].iter().any(|part| words.contains(part));
    assert!(is_clear && words.contains("free some space"), "{words}");
}

/// Goal: an image without space on disk ends the run, and puts no job in doubt. Method: a disk that accepts the
/// ledger's writes and hardly one new file. Submissions are in progress when the images arrive.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_disk_too_full_for_an_image_loses_no_answer() {
    let (answer_delay, latency) = (Duration::from_millis(200), Duration::from_millis(300));
    let bench = Bench::new(SimulatorConfig { answer_delay, latency, ..quick() });
    let Some(disk) = SmallDisk::mount(bench.path("out"), "nr_inodes=8") else { return };
    bench.csv(48);
    let output = bench.run("prompts.csv", &["-j", "12"]);
    expect_full(&output);
    assert!(stderr(&output).contains("could not create out/.partial/"), "{}", stderr(&output));
    check_intact(&bench);
    let n_submits = bench.stats().n_submits;
    assert!(n_submits > 0 && n_submits < 48, "{n_submits}");
    disk.remount("nr_inodes=1000");
    check_goes_on(&bench, 48);
    assert_eq!((bench.stats().n_submits, bench.stats().n_accepted_twice), (48, 0));
}

/// Number of sizes that are tested in parallel: most of a run is waiting.
const LANES: usize = 4;

/// Goal: wherever the disk becomes full, the message is clear and the run can continue. Method: disks of growing size,
/// from one that holds nothing to one that holds everything. So the failure moves through all writes.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_disk_that_becomes_full_anywhere_is_told_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = SmallDisk::mount(folder.path().join("probe"), &size(4)) else { return };
    let sizes: Vec<u64> = (0..28).map(|n| 4 + n * 20).collect();
    let sizes = &sizes;
    let lane = |lane: usize| sizes.iter().skip(lane).step_by(LANES).filter_map(|kib| full_at(*kib)).collect::<Vec<_>>();
    let met: Vec<u64> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|n| scope.spawn(move || lane(n))).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let n_with_images = met.iter().filter(|n_images| **n_images > 0).count();
    println!("{} sizes were too small, {n_with_images} of them for the images", met.len());
    assert!(met.len() >= 15 && met.len() > n_with_images && n_with_images >= 5, "{met:?}");
}

/// Runs on a disk of this size until it is full, and then with enough space. Returns the number of images requested
/// before. Returns `None` if the size was enough, or if nothing can be mounted.
fn full_at(kib: u64) -> Option<u64> {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_millis(20), ..quick() });
    let disk = SmallDisk::mount(bench.path("out"), &size(kib))?;
    bench.csv(8);
    let output = bench.run("prompts.csv", &["-j", "3"]);
    if output.status.code() == Some(0) {
        return None;
    }
    expect_full(&output);
    let n_images = bench.stats().n_images;
    check_intact(&bench);
    let again = bench.run("prompts.csv", &["-j", "3"]);
    if again.status.code() != Some(0) && !is_held(&again) {
        expect_full(&again);
    }
    check_intact(&bench);
    disk.remount(&size(KIB_ENOUGH));
    check_goes_on(&bench, 8);
    Some(n_images)
}

/// Goal: a disk that another program fills does not end the batch either. Method: a file takes the rest of the disk in
/// the middle of a run, and is removed afterwards.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_disk_that_another_program_fills_up_is_gone_on_with() {
    let bench = Bench::new(slow());
    let Some(_disk) = SmallDisk::mount(bench.path("out"), &size(8 << 10)) else { return };
    bench.csv(60);
    let child = bench.spawn("prompts.csv", &["-j", "4"]);
    wait_until("some images are there", || bench.stats().n_images > 5);
    let filler = bench.path("out/filler");
    assert!(fs::write(&filler, vec![1; 16 << 20]).is_err(), "the disk is small");
    expect_full(&child.wait_with_output().unwrap());
    check_intact(&bench);
    fs::remove_file(filler).unwrap();
    check_goes_on(&bench, 60);
}

#[test]
fn a_read_only_folder_is_told_and_changes_nothing() {
    let bench = Bench::new(quick());
    let Some(disk) = SmallDisk::mount(bench.path("out"), &size(KIB_ENOUGH)) else { return };
    bench.csv(4);
    disk.remount("ro");
    let output = bench.run("prompts.csv", &[]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("allow writing there, or choose another output folder"), "{}", stderr(&output));
    assert_eq!(bench.stats().n_submits, 0);
    disk.remount("rw");
    check_goes_on(&bench, 4);
    disk.remount("ro");
    let status = bench.output(&["status", "out"]);
    expect_code(&status, 0);
    assert!(stdout(&status).contains("4 of 4 succeeded"), "{}", stdout(&status));
}

#[test]
fn a_path_that_cannot_be_a_folder_is_told_and_sends_nothing() {
    let bench = Bench::new(quick());
    bench.csv(2);
    bench.write("file", "not a folder");
    for out in ["file", "file/out"] {
        let output = bench.output(&["run", "prompts.csv", "-o", out, "--base-url", bench.simulator.url()]);
        expect_code(&output, 1);
        assert!(stderr(&output).contains("move away the file or folder that is in the way"), "{}", stderr(&output));
    }
    assert_eq!(
        (fs::read_to_string(bench.path("file")).unwrap().as_str(), bench.stats().n_submits),
        ("not a folder", 0)
    );
}

/// Goal: every command refuses an unusable ledger with a message and with exit code 1, and leaves it unchanged.
#[test]
fn a_ledger_that_cannot_be_used_is_refused_by_every_verb() {
    let bench = Bench::new(quick());
    bench.csv(2);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let path = bench.path("out/run.db");
    let whole = fs::read(&path).unwrap();
    let n_submits = bench.stats().n_submits;
    let newer = {
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 99).unwrap();
        drop(raw);
        fs::read(&path).unwrap()
    };
    let cases = [
        (newer, "use a newer promptbatch"),
        (b"something else entirely".repeat(100), "move it away, or choose another output folder"),
        (whole[..whole.len() / 2].to_vec(), "the file is damaged"),
        (whole[..1000].to_vec(), "the file is damaged"),
    ];
    for (bytes, words) in cases {
        fs::write(&path, &bytes).unwrap();
        for output in
            [bench.run("prompts.csv", &[]), bench.output(&["status", "out"]), bench.output(&["results", "out"])]
        {
            expect_code(&output, 1);
            assert!(stderr(&output).contains(words), "{}", stderr(&output));
            assert!(fs::read(&path).unwrap() == bytes, "{words}: the file was changed");
        }
    }
    // An empty file is no ledger, whatever log is left beside it: `run` says what else shows that there was one.
    for log in [false, true] {
        fs::write(&path, "").unwrap();
        drop(fs::remove_file(bench.path("out/run.db-wal")));
        if log {
            fs::write(bench.path("out/run.db-wal"), "").unwrap();
        }
        for (output, code, words) in [
            (bench.run("prompts.csv", &[]), 2, "but the ledger run.db holds no run"),
            (bench.output(&["status", "out"]), 1, "it is empty, and there are images beside it"),
            (bench.output(&["results", "out"]), 1, "it is empty, and there are images beside it"),
        ] {
            expect_code(&output, code);
            assert!(stderr(&output).contains(words), "{}", stderr(&output));
            assert_eq!(fs::metadata(&path).unwrap().len(), 0, "{words}: the file was changed");
        }
    }
    fs::write(&path, whole).unwrap();
    expect_code(&bench.run("prompts.csv", &[]), 0);
    assert_eq!(bench.stats().n_submits, n_submits);
}

/// Goal: a run whose folder disappears ends with a clear message, and creates nothing in its place. The run continues
/// when the folder is back.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_folder_that_goes_in_the_middle_of_a_run_is_told() {
    let bench = Bench::new(slow());
    bench.csv(40);
    let child = bench.spawn("prompts.csv", &["-j", "4"]);
    wait_until("some images are there", || bench.stats().n_images > 5);
    fs::rename(bench.path("out"), bench.path("aside")).unwrap();
    let output = child.wait_with_output().unwrap();
    expect_code(&output, 1);
    assert!(stderr(&output).contains("put it back, and run the same command again"), "{}", stderr(&output));
    assert!(!bench.path("out").exists(), "nothing is made where it was");
    fs::rename(bench.path("aside"), bench.path("out")).unwrap();
    check_intact(&bench);
    check_goes_on(&bench, 40);

    bench.csv(80);
    let child = bench.spawn("prompts.csv", &["-j", "4"]);
    wait_until("some more images are there", || bench.stats().n_images > 50);
    fs::rename(bench.path("out"), bench.path("aside")).unwrap();
    fs::remove_dir_all(bench.path("aside")).unwrap();
    let output = child.wait_with_output().unwrap();
    expect_code(&output, 1);
    assert!(stderr(&output).contains("moved, deleted or replaced"), "{}", stderr(&output));
    assert!(!bench.path("out").exists(), "nothing is made where it was");
}

/// Goal: a link that leads out of OUT is refused before the first request.
#[test]
fn links_out_of_the_folder_are_refused_and_send_nothing() {
    let bench = Bench::new(quick());
    bench.csv(2);
    fs::create_dir(bench.path("elsewhere")).unwrap();
    for name in ["run.db", "run.lock", "images"] {
        let _ = fs::remove_dir_all(bench.path("out"));
        fs::create_dir(bench.path("out")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", bench.path("out").join(name)).unwrap();
        let output = bench.run("prompts.csv", &[]);
        expect_code(&output, 1);
        let words = stderr(&output);
        assert!(words.contains(&format!("out/{name}: it is a symbolic link")), "{words}");
        fs::remove_file(bench.path("out").join(name)).unwrap();
    }
    assert_eq!(bench.stats().n_submits, 0);
    let _ = fs::remove_file(bench.path("out/results.csv"));
    std::os::unix::fs::symlink("../elsewhere/results.csv", bench.path("out/results.csv")).unwrap();
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(2);
    assert_eq!(fs::read_dir(bench.path("elsewhere")).unwrap().count(), 0, "a file has left OUT");
}
