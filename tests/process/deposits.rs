//! Datasets of single objects in a bucket: loaded, killed, added to, and beside the objects of others.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::bench::{Bench, expect_code, files, hex, quick, stderr, stdout};
use crate::bucket::{Bucket, URL};
use crate::exports::python;

/// Address of the datasets.
const PLACE: &str = "s3://bucket/sets/cats";

fn output(bench: &Bench, bucket: &Bucket, args: &[&str]) -> Output {
    bucket.reach(&mut bench.command(args)).output().unwrap()
}

/// Returns the SHA-256 of every object of the dataset, as often as it was written, by its name.
fn objects(bucket: &Bucket) -> BTreeMap<String, Vec<String>> {
    let listed: BTreeMap<String, Vec<String>> = serde_json::from_value(bucket.ask("list")).unwrap();
    let name = |key: String| key.strip_prefix("sets/cats/").map(str::to_owned);
    listed.into_iter().filter_map(|(key, written)| Some((name(key)?, written))).collect()
}

/// Returns the SHA-256 of every file of a local dataset, written once.
fn folder(bench: &Bench, dir: &str) -> BTreeMap<String, Vec<String>> {
    let hash = |name: &str| hex(&Sha256::digest(fs::read(bench.path(name)).unwrap()));
    let names = files(&bench.path(dir)).into_iter();
    names.map(|name| (name.split_once('/').unwrap().1.to_owned(), vec![hash(&name)])).collect()
}

/// Goal: an image folder in a bucket is loaded as one on the disk, also after images were added. Method: `datasets` loads a copy of the bucket.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_image_folder_in_a_bucket_is_loaded_and_added_to() {
    let (Some(bucket), Some(python)) = (Bucket::start(), python("datasets, webdataset, pyarrow, pandas, PIL")) else {
        return;
    };
    let bench = Bench::new(quick());
    for (n, table) in [(12, false), (20, false), (20, true)] {
        bench.csv(n);
        expect_code(&bench.run("prompts.csv", &["-j", "8"]), 0);
        expect_code(&bench.output(&["results", "out", "--format", "jsonl"]), 0);
        let more: &[&str] = if table { &["--metadata", "csv", "--fresh"] } else { &[] };
        let before = objects(&bucket);
        let exported =
            output(&bench, &bucket, &[&["export", "out", "--to", "imagefolder", "-o", PLACE], more].concat());
        expect_code(&exported, 0);
        assert_eq!(stdout(&exported), format!("{PLACE}\n"));
        expect_code(&bench.output(&[&["export", "out", "--to", "imagefolder", "-o", "folder"], more].concat()), 0);
        let after = objects(&bucket);
        assert_eq!(after.keys().collect::<Vec<_>>(), folder(&bench, "folder").keys().collect::<Vec<_>>());
        for (name, hash) in folder(&bench, "folder") {
            assert_eq!(after[&name].last(), hash.last(), "{name}");
        }
        let is_own = |name: &str| name == "README.md" || name.starts_with("train/metadata");
        assert!(table || before.iter().all(|(name, written)| is_own(name) || after[name] == *written), "only new ones");
        let copy = format!("copy-{n}-{table}");
        bucket.ask(&format!("save sets/cats/ {}", bench.path(&copy).display()));
        let mut load = Command::new(&python);
        load.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/load_exports.py"));
        load.args(["out/results.jsonl", "imagefolder", &copy]).current_dir(bench.folder.path());
        let loaded = load.output().unwrap();
        assert!(loaded.status.success(), "{}{}", stdout(&loaded), stderr(&loaded));
    }
    let n_writes = bucket.n_writes();
    let again = output(&bench, &bucket, &["export", "out", "--to", "imagefolder", "--metadata", "csv", "-o", PLACE]);
    assert_eq!(stderr(&again), "20 images, nothing new\n");
    assert_eq!(bucket.n_writes(), n_writes);
}

/// Goal: an export that is killed goes on by the same command, and writes each object once. Method: a fifth of all requests fails, answers come
/// late, and kill -9 comes again and again.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_export_of_many_objects_is_resumed() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(60);
    expect_code(&bench.run("prompts.csv", &["-j", "8"]), 0);
    let mut rng = fastrand::Rng::with_seed(4713);
    for format in ["imagefolder", "captions"] {
        expect_code(&bench.output(&["export", "out", "--to", format, "-o", format]), 0);
        let wanted = folder(&bench, format);
        bucket.ask("delay 0.05");
        bucket.ask("fail 0.2");
        let args = ["export", "out", "--to", format, "-o", PLACE];
        let mut n_partly = 0;
        for _ in 0..12 {
            let n_writes = bucket.n_writes() + rng.u64(1..9);
            let mut command = bench.command(&args);
            let mut child = bucket.reach(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while bucket.n_writes() < n_writes && child.try_wait().unwrap().is_none() {}
            std::thread::sleep(Duration::from_millis(rng.u64(0..60)));
            child.kill().unwrap();
            child.wait().unwrap();
            let there = objects(&bucket);
            assert!(there.iter().all(|(name, written)| wanted[name] == *written), "whole, and once: {there:?}");
            n_partly += u32::from((1..wanted.len()).contains(&there.len()));
        }
        let exported = output(&bench, &bucket, &args);
        expect_code(&exported, 0);
        assert!(stderr(&exported).contains("60 images"), "{}", stderr(&exported));
        bucket.ask("fail 0");
        bucket.ask("delay 0");
        assert_eq!(objects(&bucket), wanted);
        assert!(n_partly > 0, "the kills must bite");
        let n_writes = bucket.n_writes();
        assert_eq!(stderr(&output(&bench, &bucket, &args)), "60 images, nothing new\n");
        assert_eq!(bucket.n_writes(), n_writes);
        for name in wanted.keys() {
            bucket.ask(&format!("delete sets/cats/{name}"));
        }
    }
}

/// Goal: another program's object stays, is named, and the rest goes on once it is away. Method: an object of the name of an image, put there
/// after the first export; and an address that holds other things.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_object_of_another_program_stays_and_is_named() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(4);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let export = || output(&bench, &bucket, &["export", "out", "--to", "imagefolder", "-o", PLACE]);
    bucket.ask("put sets/cats/notes.txt mine");
    let refused = export();
    expect_code(&refused, 2);
    assert!(
        stderr(&refused).contains(&format!("{PLACE}/notes.txt is there, and no export of this run")),
        "{}",
        stderr(&refused)
    );
    bucket.ask("delete sets/cats/notes.txt");
    expect_code(&export(), 0);

    bench.csv(8);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let file = bench.results()[5]["file_name"].replace("images/", "train/");
    bucket.ask(&format!("put sets/cats/{file} another"));
    let other = objects(&bucket)[&file].clone();
    for _ in 0..2 {
        let refused = export();
        expect_code(&refused, 2);
        assert!(
            stderr(&refused).contains(&format!("could not export to {PLACE}/{file}: another object")),
            "{}",
            stderr(&refused)
        );
        assert_eq!(objects(&bucket)[&file], other);
    }
    bucket.ask(&format!("delete sets/cats/{file}"));
    let exported = export();
    expect_code(&exported, 0);
    assert!(stderr(&exported).contains("8 images"), "{}", stderr(&exported));
    expect_code(&bench.output(&["export", "out", "--to", "imagefolder", "-o", "folder"]), 0);
    let last = |written: BTreeMap<String, Vec<String>>| -> BTreeMap<String, String> {
        written.into_iter().map(|(name, mut written)| (name, written.pop().unwrap())).collect()
    };
    assert_eq!(last(objects(&bucket)), last(folder(&bench, "folder")));
}

/// Goal: images that are in the bucket are copied inside it, verified as ever. Method: a run with its images there, one of them damaged; a
/// place among its images is refused.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn images_in_the_bucket_are_copied_inside_it() {
    let Some(bucket) = Bucket::start() else { return };
    let bench = Bench::new(quick());
    bench.csv(20);
    let args = ["--images", URL, "-j", "8"];
    expect_code(&bucket.reach(&mut bench.run_command("prompts.csv", &args)).output().unwrap(), 0);
    let name = bench.results()[3]["file_name"].strip_prefix(&format!("{URL}/")).unwrap().to_owned();
    bucket.ask(&format!("delete cats/all/{name}"));
    bucket.ask(&format!("put cats/all/{name} damaged"));
    bucket.ask("fail 0.2");
    let exported = output(&bench, &bucket, &["export", "out", "--to", "captions", "-o", PLACE]);
    expect_code(&exported, 100);
    bucket.ask("fail 0");
    assert!(stderr(&exported).contains("19 images, 19 new (19 copies inside the storage)"), "{}", stderr(&exported));
    assert!(stderr(&exported).contains("7 bytes long instead of"), "{}", stderr(&exported));
    expect_code(&output(&bench, &bucket, &["export", "out", "--to", "captions", "-o", "folder"]), 100);
    assert_eq!(objects(&bucket), folder(&bench, "folder"));
    let refused = output(&bench, &bucket, &["export", "out", "--to", "captions", "-o", &format!("{URL}/images/set")]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("the run keeps its own images there"), "{}", stderr(&refused));
}
