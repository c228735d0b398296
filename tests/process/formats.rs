//! Manifests as users have them: from standard input, compressed, and in the shapes of public prompt benchmarks.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bench::{Bench, expect_code, quick, rows, stderr, stdout};

/// Runs a manifest from standard input, without a given output folder.
fn piped(bench: &Bench, text: &str, more: &[&str]) -> Output {
    bench.write("piped", text);
    let mut args = vec!["run", "-", "--base-url", bench.simulator.url()];
    args.extend(more);
    bench.command(&args).stdin(File::open(bench.path("piped")).unwrap()).output().unwrap()
}

/// Goal: standard input, which can be read only once, is checked, imported and recognized again. Method: the same input
/// twice, then more.
#[test]
fn standard_input_is_a_manifest() {
    let bench = Bench::new(quick());
    let lines = "{\"prompt\": \"a cat\", \"tag\": \"x\"}\n{\"prompt\": \"a dog\", \"tag\": \"y\"}\n";
    expect_code(&piped(&bench, lines, &["--format", "jsonl"]), 0);
    let tags = || rows(&bench.path("out/stdin/results.csv")).iter().map(|row| row["tag"].clone()).collect::<Vec<_>>();
    assert_eq!(tags(), ["x", "y"]);
    let again = piped(&bench, lines, &["--format", "jsonl"]);
    expect_code(&again, 0);
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));
    expect_code(&piped(&bench, &format!("{lines}\"a cow\"\n"), &["--format", "jsonl"]), 0);
    assert_eq!(tags(), ["x", "y", ""]);
    assert_eq!(bench.stats().n_submits, 3);
}

#[test]
fn standard_input_needs_a_format() {
    let bench = Bench::new(quick());
    let output = piped(&bench, "a cat\n", &[]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("--format yaml|csv|tsv|jsonl|txt"), "{}", stderr(&output));
    expect_code(&piped(&bench, "a cat\n", &["--format", "doc"]), 2);
    let output = piped(&bench, "a cat\n", &["--format", "txt", "--encoding", "cat"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("gb18030"), "{}", stderr(&output));
}

/// Goal: public prompt sets for the evaluation of models run without a flag, and their columns appear in the results.
#[test]
fn public_benchmarks_run_as_they_are() {
    let bench = Bench::new(quick());
    bench.write(
        "parti.tsv",
        "Prompt\tCategory\tChallenge\tNote\nbond\tAbstract\tBasic\t\n\"Fear\" in fog\tArts\tWriting & Symbols\t\"why\" not\n",
    );
    bench.write(
        "geneval.jsonl",
        "{\"tag\": \"two_object\", \"include\": [{\"class\": \"bench\", \"count\": 1}], \"prompt\": \"a photo of a bench\"}\n",
    );
    bench.write("lines.txt", "a cat\na \"dog\", 5\" tall\n");
    let gzip = || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"prompt,style\na cow,ink\n").unwrap();
        encoder.finish().unwrap()
    };
    fs::write(bench.path("table.csv.gz"), gzip()).unwrap();
    for (name, folder, column, told) in [
        ("parti.tsv", "out/parti", "Note", &[("bond", ""), ("\"Fear\" in fog", "\"why\" not")][..]),
        ("geneval.jsonl", "out/geneval", "include", &[("a photo of a bench", "[{\"class\":\"bench\",\"count\":1}]")]),
        ("lines.txt", "out/lines", "error", &[("a cat", ""), ("a \"dog\", 5\" tall", "")]),
        ("table.csv.gz", "out/table", "style", &[("a cow", "ink")]),
    ] {
        expect_code(&bench.output(&["run", name, "--base-url", bench.simulator.url()]), 0);
        let results = rows(&bench.path(folder).join("results.csv"));
        let read: Vec<_> = results.iter().map(|row| (row["prompt"].as_str(), row[column].as_str())).collect();
        assert_eq!(read, told, "{name}");
        assert!(results.iter().all(|row| row["status"] == "succeeded"), "{name}");
        expect_code(&bench.output(&["plan", name]), 0);
    }
}

/// Goal: a guessed encoding is reported before anything is sent. An encoding that is not recognized ends in a command
/// that works.
#[test]
fn other_encodings_are_told() {
    let bench = Bench::new(quick());
    let (gbk, _, _) = encoding_rs::GBK.encode("prompt\r\n一只金色的猫\r\n");
    fs::write(bench.path("p.csv"), gbk).unwrap();
    let output = bench.output(&["validate", "p.csv"]);
    expect_code(&output, 0);
    assert!(stderr(&output).contains("is read as gb18030"), "{}{}", stdout(&output), stderr(&output));
    fs::write(bench.path("p.csv"), b"prompt\nun caf\xe9 au lait\n").unwrap();
    let output = bench.output(&["validate", "p.csv"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("p.csv:2\n") && stderr(&output).contains("iconv -f "), "{}", stderr(&output));
    let output = bench.output(&["validate", "p.csv", "--encoding", "windows-1252"]);
    expect_code(&output, 0);
}
