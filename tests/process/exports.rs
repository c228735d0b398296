//! Datasets in use: loaded by the libraries of their users, interrupted by kill -9, and exported during a live run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, stderr, stdout, wait_until};
use crate::served::Served;

/// Environment variable with a Python that has the libraries of trainers. The default is the Python on the PATH.
const PYTHON: &str = "PROMPTBATCH_TEST_PYTHON";

/// Environment variable that makes a missing Python a failure, and not a reason to skip.
const PYTHON_REQUIRED: &str = "PROMPTBATCH_TEST_PYTHON_REQUIRED";

/// Environment variable that makes a missing strace a failure.
pub const STRACE_REQUIRED: &str = "PROMPTBATCH_TEST_STRACE_REQUIRED";

/// System calls by which a program changes the disk, and those by which it syncs.
const CALLS: &str =
    "link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,write,pwrite64,fsync,fdatasync,syncfs";

/// Upper limit on the calls of an export of a few images.
const KILLS_MAX: usize = 400;

/// Prompts of every kind that a writer or a reader could get wrong.
const PROMPTS: [&str; 10] = [
    "a golden cat",
    "一只金色的猫，窗边，35毫米",
    "a cat 🐈‍⬛ with \"quotes\", commas, and 'more'",
    "two\nlines\r\nand three",
    " spaces at both ends ",
    "=1+1",
    "2027-01-15",
    "null",
    "قطة ذهبية \u{202e}abc",
    "back\\slash {\"json\": [1]} <b>&amp;</b>",
];

/// Creates a finished run of [`PROMPTS`], some with a seed and some with a style.
fn finished() -> Bench {
    let bench = Bench::new(SimulatorConfig { image_size: None, ..quick() });
    let mut table = csv::Writer::from_path(bench.path("prompts.csv")).unwrap();
    table.write_record(["prompt", "model", "seed", "size", "style"]).unwrap();
    for (n, prompt) in PROMPTS.iter().enumerate() {
        let seed = if n % 2 == 0 { n.to_string() } else { String::new() };
        table.write_record([prompt, "Qwen/Qwen-Image", seed.as_str(), "64x96", ["ink", "油画", ""][n % 3]]).unwrap();
    }
    table.flush().unwrap();
    // One of the prompts is a word that other programs write for a missing value.
    expect_code(&bench.run("prompts.csv", &["--progress", "none", "--verbatim"]), 0);
    bench
}

/// Texts that readers of tables, YAML, templates or file names could get wrong.
const AWKWARD: [&str; 16] = [
    "NaN",
    "N/A",
    "true",
    "007",
    "1e5",
    "-0",
    "2027-01-15T08:00:00Z",
    "[]",
    "\"quoted\"",
    "'",
    "tab\there",
    "a\u{2028}b",
    "🏳️‍🌈 e\u{301}",
    "# key: value",
    "- ~",
    "{prompt} %s $HOME C:\\x",
];

/// Creates a finished run of 30 rows. Most columns have values in one row or few, or have names that loaders know.
fn sparse() -> Bench {
    let bench = Bench::new(SimulatorConfig { image_size: None, ..quick() });
    let mut table = csv::Writer::from_path(bench.path("prompts.csv")).unwrap();
    let names = ["prompt", "model", "seed", "negative_prompt", "photo_file_name", "file_names", "image"];
    table.write_record([&names[..], &["label", "split", "date", "due", "nothing"]].concat()).unwrap();
    for n in 0..30 {
        let only = |row: usize, text: &'static str| if n == row { text } else { "" };
        let prompt =
            PROMPTS.iter().chain(&AWKWARD).nth(n).map_or_else(|| format!("a cat {n}"), |text| (*text).to_owned());
        let date = if n == 3 { "soon" } else { "2027-01-15" };
        let row = [&prompt, "Qwen/Qwen-Image", only(5, "9"), only(6, "blurry"), "a.png", only(7, "b.png"), "c.png"];
        table.write_record([&row[..], &["tabby", "test", date, only(8, "2027-02-01"), ""]].concat()).unwrap();
    }
    table.flush().unwrap();
    expect_code(&bench.run("prompts.csv", &["--progress", "none", "--verbatim", "--carry", "image"]), 0);
    bench
}

/// Returns the files of an export below a folder. Its own record is elsewhere.
fn dataset(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = if folder.exists() { files(folder) } else { vec![] };
    let read = |name: String| {
        let bytes = fs::read(folder.parent().unwrap().join(&name)).unwrap();
        (name.split_once('/').unwrap().1.to_owned(), bytes)
    };
    names.into_iter().map(read).collect()
}

/// Returns a Python with these modules. If there is none, prints a notice, or fails where a Python is required.
pub fn python(modules: &str) -> Option<PathBuf> {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let python = absolute(&python).ok().filter(|path| path.exists()).unwrap_or_else(|| python.into());
    let mut import = Command::new(&python);
    let has = import.args(["-c", &format!("import {modules}")]).output().is_ok_and(|output| output.status.success());
    if !has {
        let words = format!("{} has not all of {modules}; pip install them, or set {PYTHON}", python.display());
        assert!(std::env::var_os(PYTHON_REQUIRED).is_none(), "{words}");
        eprintln!("SKIPPED: {words}");
    }
    has.then_some(python)
}

/// Exports a run as datasets: the format, folder and flags of each. Loads them by a Python script, which compares all values.
fn load(python: &Path, bench: &Bench, datasets: &[(&str, &str, &[&str])]) {
    expect_code(&bench.output(&["results", "out", "--format", "jsonl"]), 0);
    let mut load = Command::new(python);
    load.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/load_exports.py")).arg("out/results.jsonl");
    let has_format = |format: &str| format != "parquet" || cfg!(feature = "parquet");
    let datasets = datasets.iter().filter(|(format, ..)| has_format(format)).collect::<Vec<_>>();
    for (format, dir, more) in &datasets {
        expect_code(&bench.output(&[&["export", "out", "--to", format, "-o", dir][..], more].concat()), 0);
        load.args([format, dir]);
    }
    let output = load.current_dir(bench.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(stdout(&output).lines().count(), datasets.len(), "{}", stdout(&output));
}

/// Goal: every format returns the original values, through the library that its users use. Method: a Python script
/// loads each dataset, and compares it with the results.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn every_format_is_loaded_by_the_libraries_of_its_users() {
    let Some(python) = python("datasets, webdataset, pyarrow, pandas, PIL") else { return };
    load(
        &python,
        &finished(),
        &[
            ("imagefolder", "folder", &[]),
            ("imagefolder", "table", &["--metadata", "csv"]),
            ("imagefolder", "parts", &["--split", "train=0.5,test=0.5"]),
            ("captions", "captions", &[]),
            ("webdataset", "shards", &["--shard-images", "4"]),
            ("parquet", "parquet", &["--shard-images", "4"]),
        ],
    );
}

/// Goal: columns with few values, with names that loaders know, or with dates in one split only keep no dataset from loading.
/// Method: a run of such columns in every format, with splits.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn sparse_columns_are_loaded_from_every_split() {
    let Some(python) = python("datasets, webdataset, pyarrow, pandas, PIL") else { return };
    let splits = ["--split", "train=0.8,test=0.2"];
    load(
        &python,
        &sparse(),
        &[
            ("imagefolder", "parts", &splits),
            ("imagefolder", "dates", &["--split", "train=0.8,test=0.2", "--caption", "{date}"]),
            ("imagefolder", "table", &["--metadata", "csv"]),
            ("captions", "captions", &[]),
            ("webdataset", "shards", &["--split", "train=0.8,test=0.2", "--shard-images", "10"]),
            ("parquet", "parquet", &splits),
        ],
    );
}

/// Interrupted export: the run exported before, the run whose export is killed, and the run exported next.
struct Cut {
    args: &'static [&'static str],
    before: Option<&'static str>,
    killed: &'static str,
    then: &'static str,
}

const CUTS: [Cut; 4] = [
    Cut {
        args: &["webdataset", "--shard-images", "4", "--split", "train=1,test=1"],
        before: None,
        killed: "out",
        then: "out",
    },
    // The manifest is edited between the kill and the next export.
    Cut { args: &["imagefolder", "--split", "train=1,test=1"], before: None, killed: "out", then: "edited" },
    // It is edited again after the kill, so that the table is another one than that of the killed export.
    Cut { args: &["imagefolder"], before: Some("out"), killed: "edited", then: "more" },
    Cut { args: &["captions", "--copy"], before: Some("out"), killed: "edited", then: "edited" },
];

/// Goal: an export killed at any step continues, and gives the same bytes as an uninterrupted one. Method: strace kills
/// it at the first call that changes the disk, then at the second, and so on.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_export_that_is_killed_at_any_step_goes_on() {
    let bench = finished();
    let table = fs::read_to_string(bench.path("prompts.csv")).unwrap();
    for (from, to, colour) in [("out", "edited", "silver"), ("edited", "more", "bronze")] {
        let copied = Command::new("cp").args(["-r", from, to]).current_dir(bench.folder.path()).status().unwrap();
        assert!(copied.success());
        bench.write("prompts.csv", &table.replace("golden cat", &format!("{colour} cat")).replace("null", "none"));
        let run = ["run", "prompts.csv", "-o", to, "--base-url", bench.simulator.url(), "--progress", "none"];
        expect_code(&bench.output(&[&run[..], &["--verbatim"]].concat()), 0);
    }
    for Cut { args, before, killed, then } in CUTS {
        let export = |out: &'static str, dir: &'static str| [&["export", out, "-o", dir, "--to"][..], args].concat();
        let _ = fs::remove_dir_all(bench.path("whole"));
        expect_code(&bench.output(&export(then, "whole")), 0);
        let whole = dataset(&bench.path("whole"));
        let mut n_kills = 0;
        for nth in 1..=KILLS_MAX {
            let _ = fs::remove_dir_all(bench.path("cut"));
            if let Some(before) = before {
                expect_code(&bench.output(&export(before, "cut")), 0);
            }
            if !is_killed(&bench, &export(killed, "cut"), nth) {
                break;
            }
            n_kills += 1;
            expect_code(&bench.output(&export(then, "cut")), 0);
            assert!(dataset(&bench.path("cut")) == whole, "{args:?}, killed at call {nth}");
            assert!(!bench.path("cut/.partial").exists(), "{args:?}, killed at call {nth}");
        }
        let is_skipped = n_kills == 0 && std::env::var_os(STRACE_REQUIRED).is_none();
        assert!(is_skipped || (20..KILLS_MAX).contains(&n_kills), "{args:?}: {n_kills} kills");
    }
}

/// Runs the program, and kills it at the `nth` call that changes the disk. Returns `false` if the program ended before.
pub fn is_killed(bench: &Bench, args: &[&str], nth: usize) -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}")]);
    strace.args(["-e", &format!("inject={CALLS}:signal=KILL:when={nth}")]);
    let command = bench.command(args);
    strace.arg(command.get_program()).args(command.get_args()).current_dir(bench.folder.path());
    match strace.output() {
        Ok(output) if output.status.success() => false,
        Ok(output) if output.status.code().is_none() => true,
        failed if std::env::var_os(STRACE_REQUIRED).is_some() => panic!("strace is required here: {failed:?}"),
        failed => {
            eprintln!("SKIPPED: no process can be traced here, install strace: {failed:?}");
            false
        }
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_export_works_beside_a_live_run_and_adds_the_rest_later() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_millis(200), ..quick() });
    bench.csv(30);
    let mut run = bench.spawn("prompts.csv", &["--rate", "10/s", "--progress", "none"]);
    wait_until("some images are there", || {
        bench.path("out/images").exists() && files(&bench.path("out/images")).len() > 4
    });
    let export = || bench.output(&["export", "out", "--to", "webdataset"]);
    let first = export();
    expect_code(&first, 0);
    assert!(stderr(&first).contains(" no image yet and w"), "{}", stderr(&first));
    let before = dataset(&bench.path("out/export/webdataset"));
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let second = export();
    expect_code(&second, 0);
    assert_eq!(stdout(&second), "out/export/webdataset\n");
    assert!(stderr(&second).starts_with("30 images, "), "{}", stderr(&second));
    let after = dataset(&bench.path("out/export/webdataset"));
    assert!(after.len() > before.len());
    let is_kept = |(name, bytes): (&String, &Vec<u8>)| after[name] == *bytes || name == "README.md";
    assert!(before.iter().all(is_kept));
    expect_code(&bench.output(&["verify", "out"]), 0);
    bench.check_images(30);
}

#[test]
fn what_is_missing_is_named_and_the_rest_is_exported() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let api = Served::new(&bench, &[]);
    let run = ["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "--progress", "none"];
    expect_code(&bench.output(&run), 0);
    let name = bench.results()[1]["file_name"].clone();
    fs::remove_file(bench.path("out").join(&name)).unwrap();
    let export = || bench.output(&["export", "out", "--to", "captions"]);
    let output = export();
    expect_code(&output, 100);
    insta::assert_snapshot!(stderr(&output), @r"
    2 images, 2 new (2 hard links)
    1 image missing or damaged, and left out:
      000002 images/000002-a-cat-number-2.png: missing
    fetch them again with `promptbatch verify out --repair`, then export again
    ");
    assert_eq!(dataset(&bench.path("out/export/captions")).len(), 4);
    expect_code(&bench.output(&["verify", "out", "--repair", "--progress", "none"]), 0);
    let output = export();
    expect_code(&output, 0);
    assert_eq!(stderr(&output), "3 images, 1 new (1 hard link)\n");
    assert_eq!(stderr(&export()), "3 images, nothing new\n");
}

/// Goal: a caption is one line, as the sidecar has it, and an empty one is not silent. Method: a column that some rows lack, alone and in
/// a template, and a prompt of three lines.
#[test]
fn captions_are_lines_and_an_empty_one_is_counted() {
    let bench = finished();
    let export = |caption: &str, dir: &str, format: &str| {
        let output = bench.output(&["export", "out", "--to", format, "-o", dir, "--caption", caption]);
        expect_code(&output, 0);
        let text = |name: &str| fs::read_to_string(bench.path(dir).join(name)).unwrap_or_default();
        (stderr(&output), text("000004-two-lines-and-three.txt"))
    };
    let empty = |said: &str, kind: &str| {
        format!("10 images, 10 new ({said})\n3 images have an empty caption: the {kind} is empty there\n")
    };
    let (links, shard) = ("10 hard links", "1 shard");
    assert_eq!(export("style", "a", "captions"), (empty(links, "column `style`"), "ink".to_owned()));
    assert_eq!(export("{style}", "b", "captions").0, empty(links, "template `{style}`"));
    assert_eq!(export("style", "c", "webdataset").0, empty(shard, "column `style`"));
    assert_eq!(
        export("style", "c", "webdataset").0,
        empty(shard, "column `style`").replace("10 new (1 shard)", "nothing new")
    );
    let (said, text) = export("{{ohwx}} {prompt}, {style}", "d", "captions");
    assert_eq!(
        (said.as_str(), text.as_str()),
        ("10 images, 10 new (10 hard links)\n", "{ohwx} two lines and three, ink")
    );
    assert_eq!(export("prompt", "e", "captions").1, "two lines and three");
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let bench = finished();
    let mut said = String::new();
    for args in [
        &["--to", "webdataset", "--metadata", "csv"][..],
        &["--to", "captions", "--shard-images", "7"],
        &["--to", "webdataset", "--copy"],
        &["--to", "captions", "--caption", "stile"],
        &["--to", "captions", "--caption", "ohwx, {stile}"],
        &["--to", "captions", "--caption", "ohwx, {style"],
        &["--to", "imagefolder", "--split", "../up"],
        &["--to", "imagefolder", "-o", "out"],
        &["--to", "imagefolder", "-o", "out/images/set"],
    ] {
        let output = bench.output(&[&["export", "out"][..], args].concat());
        expect_code(&output, 2);
        said += &stderr(&output);
    }
    if !cfg!(feature = "parquet") {
        let output = bench.output(&["export", "out", "--to", "parquet"]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("cargo install --locked --path . --features parquet"), "{}", stderr(&output));
    }
    insta::assert_snapshot!(said, @r#"
    error: could not use --metadata with webdataset: only imagefolder has a metadata table
    error: could not use --shard-images or --shard-bytes with captions: it has no shards
    error: could not use --copy with webdataset: its shards hold copies anyway
    error: no column "stile" to take captions from; the columns are id, prompt, negative_prompt, model, size, seed, steps, guidance, provider, task_id, attempts, submitted_at, finished_at, seconds, width, height, bytes, format, sha256, image_url, loras, params, style
    error: no column "stile" to take captions from; the columns are id, prompt, negative_prompt, model, size, seed, steps, guidance, provider, task_id, attempts, submitted_at, finished_at, seconds, width, height, bytes, format, sha256, image_url, loras, params, style
    error: could not read the caption template "ohwx, {style": a `{` has no counterpart; write a column as `{prompt}`, and a brace as `{{`
    error: invalid value '../up' for '--split <NAME|SHARES>': a split is a name of letters, digits and _, such as train, or several of them with shares: train=0.9,test=0.1

    For more information, try '--help'.
    error: could not export to out: it holds other files and no export; choose a new or empty folder with -o
    error: could not export to out/images/set: the run keeps its own images there; choose a folder elsewhere with -o
    "#);
    assert!(!bench.path("out/export").exists());
    expect_code(&bench.output(&["export", "absent", "--to", "captions"]), 2);
}

/// Goal: a shard is never silently stale. Method: another image for one job after an export to shards; export again, then with --fresh.
#[test]
fn a_shard_with_a_replaced_image_is_told_and_made_anew_on_request() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt\na cat\na dog\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let export = |more: &[&str]| {
        let output = bench.output(&[&["export", "out", "--to", "webdataset", "-o", "data"], more].concat());
        expect_code(&output, 0);
        stderr(&output)
    };
    assert!(export(&[]).contains("2 new"));
    expect_code(&bench.output(&["redo", "out", "1", "--new-seed", "-q"]), 0);
    let told = "warning: 1 image changed since the last export, and the shards keep the old versions: --fresh rebuilds all shards";
    assert!(export(&[]).contains(told));
    assert!(export(&[]).contains(told), "as long as it is so");
    export(&["--fresh"]);
    let words = export(&[]);
    assert!(words.contains("nothing new") && !words.contains("changed"), "{words}");
}
