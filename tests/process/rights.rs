//! Missing permissions on our own folder: reported with the path, at the start and in the middle of a run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::bench::{Bench, expect_code, stderr, stdout, wait_until};
use crate::disk::{REQUIRED, check_intact, slow};

/// Copies the program for a user whom permissions restrict, and who may write in the bench's folder. `None` if no other
/// user is possible.
fn as_nobody(bench: &Bench) -> Option<PathBuf> {
    let program = bench.path("promptbatch");
    fs::copy(env!("CARGO_BIN_EXE_promptbatch"), &program).unwrap();
    fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let may = Command::new("setpriv").args(NOBODY_ARGS).arg(&program).arg("--version").output();
    match may {
        Ok(output) if output.status.success() => Some(program),
        failed if std::env::var_os(REQUIRED).is_some() => panic!("another user is required here: {failed:?}"),
        failed => {
            eprintln!("SKIPPED: nobody else can run the program here, run as root to test permissions: {failed:?}");
            None
        }
    }
}

/// User id of `nobody` on most systems. Any id that is not root's works.
const NOBODY_ARGS: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

fn nobodys(bench: &Bench, program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(NOBODY_ARGS).arg(program).args(args).current_dir(bench.folder.path()).stdin(Stdio::null());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("MODELSCOPE_API_KEY", "test-token");
    command
}

fn nobodys_run(bench: &Bench, program: &Path, more: &[&str]) -> Command {
    let mut command =
        nobodys(bench, program, &["run", "prompts.csv", "-o", "out", "--base-url", bench.simulator.url()]);
    command.args(more);
    command
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Goal: missing permissions are reported with the path, at the start and in the middle. With the permissions, the run
/// continues.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn missing_rights_are_told_and_the_run_goes_on_with_them() {
    let bench = Bench::new(slow());
    let Some(program) = as_nobody(&bench) else { return };
    bench.csv(40);
    let run = |more: &[&str]| nobodys_run(&bench, &program, more).output().unwrap();
    let denied = |output: &Output, path: &str| {
        expect_code(output, 1);
        let words = stderr(output);
        assert!(words.contains(path) && words.contains("allow ") && words.contains("(os error 13)"), "{words}");
    };
    fs::create_dir(bench.path("out")).unwrap();
    denied(&run(&[]), "out/run.lock");
    chmod(&bench.path("out"), 0o777);

    let child =
        nobodys_run(&bench, &program, &["-j", "4"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("some images are there", || bench.stats().n_images > 5);
    chmod(&bench.path("out/images"), 0o555);
    denied(&child.wait_with_output().unwrap(), "out/images/");
    check_intact(&bench);
    denied(&run(&[]), "out/images/");
    chmod(&bench.path("out/images"), 0o777);

    chmod(&bench.path("out/run.lock"), 0o000);
    denied(&run(&[]), "out/run.lock");
    chmod(&bench.path("out/run.lock"), 0o666);
    chmod(&bench.path("out/run.db"), 0o000);
    let output = run(&[]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("allow reading and writing it and its folder"), "{}", stderr(&output));
    chmod(&bench.path("out/run.db"), 0o666);
    expect_code(&run(&[]), 0);
    bench.check_images(40);
    chmod(&bench.path("out"), 0o555);
    let status = nobodys(&bench, &program, &["status", "out"]).output().unwrap();
    expect_code(&status, 0);
    assert!(stdout(&status).contains("40 of 40 succeeded"), "{}", stdout(&status));
    assert_eq!((bench.stats().n_submits, bench.stats().n_accepted_twice), (40, 0));
}
