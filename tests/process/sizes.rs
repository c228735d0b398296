//! Images of another size than was asked for, and results for spreadsheets.

use std::fs;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, quick, stderr};

/// Goal: images of another size are counted and shown, and images as asked for are not. Method: an API that makes all images
/// of one size, and a manifest that asks for it, for others, and for none; then the same folder again.
#[test]
fn images_of_another_size_are_counted() {
    let bench = Bench::new(SimulatorConfig { image_size: "512x768".parse().ok(), ..quick() });
    bench.write("p.csv", "prompt,size\na,512x768\nb,768x512\nc,\nd,1024x1024\n");
    let words = stderr(&bench.run("p.csv", &[]));
    let note = "note: 2 images have another size than was asked for, such as 000002: 512x768 instead of 768x512\n";
    assert!(words.contains(note), "{words}");
    let words = stderr(&bench.run("p.csv", &[]));
    assert!(words.contains("nothing to do") && !words.contains("another size"), "{words}");

    let bench = Bench::new(SimulatorConfig { image_size: "512x768".parse().ok(), ..quick() });
    bench.write("p.csv", "prompt,size\na,512x768\nc,\n");
    let words = stderr(&bench.run("p.csv", &[]));
    assert!(words.contains("2 of 2 succeeded") && !words.contains("another size"), "{words}");
}

/// Goal: Excel recognises the encoding on request, and scripts get no mark unasked. Method: read the first bytes after each
/// command.
#[test]
fn a_byte_order_mark_comes_on_request() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt\n一只苍鹭\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let has_mark = || fs::read(bench.path("out/results.csv")).unwrap().starts_with("\u{feff}index,id".as_bytes());
    assert!(!has_mark());
    expect_code(&bench.output(&["results", "out", "--bom"]), 0);
    assert!(has_mark());
    expect_code(&bench.output(&["results", "out", "--bom", "--formula-guard"]), 0);
    assert!(has_mark());
    expect_code(&bench.run("p.csv", &[]), 0);
    assert!(!has_mark(), "a run writes the results as scripts expect them");
    expect_code(&bench.output(&["results", "out", "--bom", "--format", "jsonl"]), 0);
    assert!(fs::read_to_string(bench.path("out/results.jsonl")).unwrap().starts_with('{'));
}
