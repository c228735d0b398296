//! Pictures on this disk as source images: sent as data URIs, kept as names, and never another one than the run began with.

use std::fs;

use crate::bench::{Bench, expect_code, quick, stderr, stdout};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n, a picture as far as a service can see";

/// Goal: a picture beside the manifest is sent, and the ledger does not grow by it. A resume sends nothing, and another picture under the
/// name is refused. Method: the simulator refuses paths and data URIs without a picture.
#[test]
fn a_picture_beside_the_manifest_is_sent() {
    let bench = Bench::new(quick());
    fs::create_dir_all(bench.path("in/ref")).unwrap();
    fs::write(bench.path("in/ref/kettle.png"), [PNG, &vec![7; 300_000]].concat()).unwrap();
    bench.write("in/edits.csv", "prompt,image_url\nmake it blue,ref/kettle.png\nmake it red,file:ref/kettle.png\n");
    let plan = bench.output(&["plan", "in/edits.csv", "-o", "out"]);
    assert!(stdout(&plan).contains("upload: 600 kB of pictures, in all requests together"), "{}", stdout(&plan));
    expect_code(&bench.run("in/edits.csv", &[]), 0);
    bench.check_images(2);
    assert!(fs::metadata(bench.path("out/run.db")).unwrap().len() < 200_000, "the picture is not in the ledger");
    let again = bench.run("in/edits.csv", &[]);
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));

    // Wherever the manifest and its pictures are, they are the same ones.
    fs::rename(bench.path("in"), bench.path("moved")).unwrap();
    bench.write(
        "moved/edits.csv",
        "prompt,image_url\nmake it blue,ref/kettle.png\nmake it red,file:ref/kettle.png\nand green,ref/kettle.png\n",
    );
    expect_code(&bench.run("moved/edits.csv", &[]), 0);
    assert_eq!(bench.stats().n_submits, 3);

    fs::write(bench.path("moved/ref/kettle.png"), PNG).unwrap();
    for command in ["run", "plan"] {
        let url = bench.simulator.url();
        let args =
            [&[command, "moved/edits.csv", "-o", "out"][..], if command == "run" { &["--base-url", url] } else { &[] }];
        let refused = bench.output(&args.concat());
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains("ref/kettle.png has changed since the run began"), "{}", stderr(&refused));
    }
    fs::remove_file(bench.path("moved/ref/kettle.png")).unwrap();
    let missing = bench.output(&["validate", "moved/edits.csv"]);
    expect_code(&missing, 2);
    assert!(
        stderr(&missing).contains("picture not found: `ref/kettle.png`") && stderr(&missing).contains("edits.csv:2"),
        "{}",
        stderr(&missing)
    );
    assert_eq!(bench.stats().n_submits, 3);
}

/// Goal: a missing file is called missing, also in the working directory, whose name is empty in a bare path. Method: a manifest beside which a
/// picture, a list and a folder are missing.
#[test]
fn what_is_missing_beside_a_bare_manifest_is_not_outside() {
    let bench = Bench::new(quick());
    bench.write("edits.csv", "prompt,image_url\nmake it blue,kettle.png\nmake it red,ref/kettle.png\n");
    bench.write("lists.yaml", "vars: {animal: {from: animals.txt}}\nprompts: ['a {animal}']\n");
    for (manifest, missing) in
        [("edits.csv", "`kettle.png`"), ("edits.csv", "`ref/kettle.png`"), ("lists.yaml", "animals.txt")]
    {
        let refused = bench.output(&["validate", manifest]);
        expect_code(&refused, 2);
        let said = stderr(&refused);
        assert!(said.contains(missing) && said.contains("not found") && !said.contains("outside"), "{said}");
    }
}
