//! Adds the commit to the version of a release build, where a git checkout of this repository is available; and lets the tests know
//! how much they play.
//!
//! A development build has no commit, so that a commit does not cause a rebuild of everything.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let version = match if is_release { commit() } else { None } {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=PROMPTBATCH_VERSION={version}");
    // A test is ignored, or not, when it is compiled.
    println!("cargo::rerun-if-env-changed=PROMPTBATCH_TEST_EFFORT");
    println!("cargo::rustc-check-cfg=cfg(every_test)");
    if env::var("PROMPTBATCH_TEST_EFFORT").is_ok_and(|effort| effort == "full") {
        println!("cargo::rustc-cfg=every_test");
    }
}

/// Returns the abbreviated commit. `None` without git, and in an unpacked archive.
fn commit() -> Option<String> {
    // In an archive that is unpacked inside another repository, git would name a commit of that one.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=10", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    output.status.success().then_some(text)
}
