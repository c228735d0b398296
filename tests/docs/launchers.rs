//! Files for other systems, in the documentation and in `.github`, held against the published schemas of those systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::markdown::{blocks, root, text};

/// Environment variable with a Python that has `check-jsonschema` and `kubernetes-validate`. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes missing schemas a failure, and not a reason to skip.
const REQUIRED: &str = "PROMPTBATCH_TEST_SCHEMAS_REQUIRED";

/// Returns the blocks of the documentation that are files of this system.
fn files_of(system: &str) -> Vec<String> {
    let pages = ["docs/ci.md", "docs/many-machines.md"].map(|page| text(Path::new(page)));
    let all = pages.iter().flat_map(|page| blocks(page));
    all.filter(|block| block.comment == format!("schema: {system}")).map(|block| block.text).collect()
}

/// Checks files with a module of Python.
fn check(python: &str, module: &[&str], files: &[PathBuf]) {
    assert!(!files.is_empty(), "nothing to check with {module:?}");
    let output = Command::new(python).args(["-m", module[0]]).args(&module[1..]).args(files).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Goal: whoever copies a file gets one that its system takes. Method: the JSON schemas of GitHub, GitLab and Kubernetes. A file with a
/// misspelled key is refused, so that the check is one.
#[test]
fn the_files_for_other_systems_are_valid() {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let import = Command::new(&python).args(["-c", "import check_jsonschema, kubernetes_validate"]).output();
    if !import.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os(REQUIRED).is_none(), "{python} has no schemas");
        eprintln!(
            "SKIPPED: {python} has no schemas; pip install check-jsonschema kubernetes-validate, or set {PYTHON}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let written = |system: &str| -> Vec<PathBuf> {
        let numbered = files_of(system).into_iter().enumerate();
        numbered.map(|(n, text)| write(&format!("{system}-{n}.yml"), &text)).collect()
    };
    let schema = |name| ["check_jsonschema", "--builtin-schema", name];
    let own = ["test.yml", "release.yml"].map(|name| root().join(".github/workflows").join(name));
    let workflows: Vec<PathBuf> = written("github-workflow").into_iter().chain(own).collect();
    check(&python, &schema("vendor.github-workflows"), &workflows);
    check(&python, &schema("vendor.dependabot"), &[root().join(".github/dependabot.yml")]);
    check(&python, &schema("vendor.gitlab-ci"), &written("gitlab-ci"));
    let jobs = written("kubernetes");
    check(&python, &["kubernetes_validate", "--strict"], &jobs);

    let wrong = write("wrong.yml", &fs::read_to_string(&jobs[0]).unwrap().replace("completionMode", "completionMood"));
    let output = Command::new(&python).args(["-m", "kubernetes_validate", "--strict"]).arg(wrong).output().unwrap();
    assert!(!output.status.success(), "a misspelled key is not found");
}
