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
    assert!(stderr(&output).contains("--format yaml|csv|tsv|jsonl|json|xlsx|txt|a1111|blocks"), "{}", stderr(&output));
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

/// Goal: a file of another kind is named, with what helps, and nothing is sent for it. Method: such files under names of
/// manifests, plain, compressed and on standard input; and texts that only begin like them.
#[test]
fn files_of_another_kind_are_refused_with_what_helps() {
    let bench = Bench::new(quick());
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:9f2b\nsize 120\n";
    let mut packed = GzEncoder::new(vec![], Compression::default());
    packed.write_all(pointer.as_bytes()).unwrap();
    let files: [(&str, Vec<u8>, &str); 8] = [
        ("a.txt", pointer.into(), "git lfs pull"),
        ("a.csv", pointer.into(), "git lfs pull"),
        ("a.yaml", pointer.into(), "git lfs pull"),
        ("a.jsonl.gz", packed.finish().unwrap(), "git lfs pull"),
        ("b.csv", b"PK\x03\x04....xl/workbook.xml".to_vec(), "an Excel workbook"),
        ("c.txt", b"%PDF-1.7\n".to_vec(), "a PDF document"),
        ("d.tsv", b"\xef\xbb\xbf\n<!DOCTYPE html><html>".to_vec(), "an HTML page"),
        ("e.txt", b"\x89PNG\r\n\x1a\n".to_vec(), "a PNG image"),
    ];
    for (name, bytes, words) in files {
        fs::write(bench.path(name), bytes).unwrap();
        let output = bench.command(&["run", name, "--base-url", bench.simulator.url()]).output().unwrap();
        expect_code(&output, 2);
        assert!(stderr(&output).contains(words), "{name}: {}", stderr(&output));
    }
    let output = piped(&bench, pointer, &["--format", "txt"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("git lfs pull"), "{}", stderr(&output));
    assert_eq!(bench.stats().n_submits, 0);
    bench.write("meant.txt", "version 2 of a cat\na page of <html> code\nPK, a dog\n");
    expect_code(&bench.command(&["run", "meant.txt", "--base-url", bench.simulator.url()]).output().unwrap(), 0);
    assert_eq!(bench.stats().n_submits, 3);
}
