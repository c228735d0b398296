//! Edited manifests: `plan` announces what will happen, `run` does exactly that, and no dropped job is lost.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{Bench, Row, expect_code, files, quick, stderr, stdout, wait_until};

/// Runs `plan MANIFEST -o out`, and returns its JSON.
fn plan(bench: &Bench, manifest: &str) -> Value {
    let output = bench.output(&["plan", manifest, "-o", "out", "--json"]);
    expect_code(&output, 0);
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Returns the counts of a plan that are not 0, in alphabetical order.
fn counts(plan: &Value) -> String {
    let kinds = ["back", "changed", "dropped", "kept", "moved", "new", "relabelled", "submit"];
    let counts = kinds.map(|kind| (kind, plan[kind].as_u64().unwrap()));
    let words: Vec<_> = counts.iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{n} {kind}")).collect();
    words.join(", ")
}

/// Returns the bytes of every file in a folder, by name: the images, or all files of a run.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|name| (name.clone(), fs::read(folder.with_file_name(name)).unwrap())).collect()
}

fn column(rows: &[Row], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone()).collect()
}

/// Edits the manifest, plans it and runs it. Checks that the plan was right, and that every existing file is still
/// there, unchanged.
///
/// Returns the results.
fn edit(bench: &Bench, manifest: &str, expected: &str) -> Vec<Row> {
    bench.write("p.csv", manifest);
    let (images, n_before) = (bytes(&bench.path("out/images")), bench.stats().n_submits);
    let plan = plan(bench, "p.csv");
    assert_eq!(counts(&plan), expected);
    assert_eq!(bench.stats().n_submits, n_before, "a plan sends nothing");
    expect_code(&bench.run("p.csv", &[]), 0);
    assert_eq!(
        bench.stats().n_submits - n_before,
        plan["submit"].as_u64().unwrap(),
        "what was planned is what is sent"
    );
    let now = bytes(&bench.path("out/images"));
    for (name, image) in images {
        assert!(now.get(&name) == Some(&image), "{name} is gone, or another image");
    }
    let rows = bench.results();
    let n_lines = manifest.lines().count() - 1;
    assert_eq!(column(&rows, "index"), (1..=n_lines).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(column(&rows, "status"), vec!["succeeded"; n_lines]);
    rows
}

/// Returns the path and the hash of each image, by prompt.
fn images(rows: &[Row]) -> BTreeMap<String, String> {
    rows.iter().map(|row| (row["prompt"].clone(), format!("{} {}", row["file_name"], row["sha256"]))).collect()
}

/// Goal: after any edit of the rows, no unnecessary request is sent, and the results follow. Method: one edit after the
/// other on one run. Each edit is planned, run, and compared with what the simulator has received.
#[test]
fn every_edit_does_the_least() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,note\na cat,1\na dog,2\na cow,3\na hen,4\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let first = images(&bench.results());

    let rows = edit(&bench, "prompt,note\na hen,4\na cat,1\na cow,3\na dog,2\n", "4 kept, 3 moved");
    assert_eq!(column(&rows, "prompt"), ["a hen", "a cat", "a cow", "a dog"], "the order is the manifest's");
    assert_eq!(images(&rows), first, "the images and their names stay");

    let inserted = "prompt,note\na hen,4\na fox,5\na cat,1\na cow,3\na dog,2\n";
    edit(&bench, inserted, "4 kept, 3 moved, 1 new, 1 submit");
    let removed = edit(&bench, "prompt,note\na hen,4\na fox,5\na cow,3\na dog,2\n", "1 dropped, 4 kept, 2 moved");
    assert!(!column(&removed, "prompt").contains(&"a cat".to_owned()));

    edit(&bench, "prompt,note\na hen,4\na red fox,5\na cow,3\na dog,2\n", "1 changed, 3 kept, 1 submit");
    let noted = edit(&bench, "prompt,note\na hen,4\na red fox,5\na cow,III\na dog,2\n", "4 kept, 1 relabelled");
    assert_eq!(column(&noted, "note"), ["4", "5", "III", "2"]);

    let doubled = "prompt,note\na hen,4\na red fox,5\na cow,III\na dog,2\na dog,again\n";
    let rows = edit(&bench, doubled, "4 kept, 1 new, 1 submit");
    assert_ne!(rows[3]["file_name"], rows[4]["file_name"], "equal rows have an image each");
    edit(&bench, "prompt,note\na hen,4\na red fox,5\na cow,III\na dog,2\n", "1 dropped, 4 kept");
    edit(&bench, doubled, "1 back, 4 kept");

    let rows =
        edit(&bench, "prompt,note\na hen,4\na cat,1\na cow,3\na dog,2\n", "1 back, 2 dropped, 3 kept, 1 relabelled");
    assert_eq!(images(&rows), first, "what comes back has its image still");
    assert_eq!(bench.stats().n_submits, 7);
    assert_eq!(bench.stats().n_accepted_twice, 1, "only the dog that was wanted twice");
}

#[test]
fn a_row_is_known_again_by_its_id() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "id,prompt\ncat,a cat\ndog,a dog\ncow,a cow\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    edit(
        &bench,
        "id,prompt\nfox,a fox\ncow,a red cow\ncat,a cat\n",
        "1 changed, 1 dropped, 1 kept, 1 moved, 1 new, 2 submit",
    );
    let plan = plan(&bench, "p.csv");
    assert_eq!(counts(&plan), "3 kept", "what was taken in is no difference any more");
}

/// Goal: an image never overwrites another job's image, although their names begin identically after a reorder. Method:
/// a new row with the same words takes the position, and so the index, of an old one.
#[test]
fn a_new_job_does_not_take_the_file_of_an_old_one() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,seed\na cat,1\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let old = bench.results().remove(0);
    let rows = edit(&bench, "prompt,seed\na cat,2\na cat,1\n", "1 kept, 1 moved, 1 new, 1 submit");
    assert_eq!(rows[1]["file_name"], old["file_name"]);
    assert_ne!(rows[0]["file_name"], old["file_name"]);
    assert_ne!(rows[0]["sha256"], old["sha256"]);
    bench.check_images(2);
}

#[test]
fn dropped_jobs_are_in_the_results_only_when_they_are_asked_for() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,note\na cat,1\na dog,2\na cow,3\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let dog = bench.results().remove(1);
    bench.write("p.csv", "prompt,note\na cow,3\na cat,1\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    let plain = fs::read(bench.path("out/results.csv")).unwrap();
    assert_eq!(column(&bench.results(), "prompt"), ["a cow", "a cat"]);

    let output = bench.output(&["results", "out", "--include-dropped"]);
    expect_code(&output, 0);
    assert_eq!(stdout(&output), "out/results.csv\n");
    let rows = bench.results();
    assert_eq!(column(&rows, "prompt"), ["a cow", "a cat", "a dog"], "after all others");
    let places = ["index", "row"].map(|column| (column.to_owned(), String::new()));
    assert_eq!(rows[2], dog.into_iter().chain(places).collect());
    let image = fs::read(bench.path("out").join(&rows[2]["file_name"])).unwrap();
    assert_eq!(image.len().to_string(), rows[2]["bytes"]);

    expect_code(&bench.run("p.csv", &[]), 0);
    assert_eq!(fs::read(bench.path("out/results.csv")).unwrap(), plain, "a run leaves the results of its manifest");
    expect_code(&bench.output(&["results", "out", "--include-dropped"]), 0);
    expect_code(&bench.output(&["results", "out"]), 0);
    assert_eq!(fs::read(bench.path("out/results.csv")).unwrap(), plain);
}

#[test]
fn a_plan_without_a_run_creates_nothing() {
    let bench = Bench::new(quick());
    bench.csv(7);
    let plan = plan(&bench, "prompts.csv");
    assert_eq!((counts(&plan).as_str(), &plan["provider"]), ("7 new, 7 submit", &Value::Null));
    assert_eq!(plan["first"]["new"].as_array().unwrap().len(), 5);
    assert!(!bench.path("out").exists());
    fs::create_dir(bench.path("out")).unwrap();
    expect_code(&bench.output(&["plan", "prompts.csv", "-o", "out"]), 0);
    assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), 0);
}

/// Plans an edited manifest, and checks that no file of the run has changed and no file was added.
#[track_caller]
fn expect_no_trace(bench: &Bench, expected: &str) {
    bench.write("edited.csv", "prompt,category\n\"a cat, number 1\",x\na dog,y\n");
    let before = bytes(&bench.path("out"));
    assert_eq!(counts(&plan(bench, "edited.csv")), expected);
    let after = bytes(&bench.path("out"));
    assert!(before == after, "{:?} became {:?}", before.keys(), after.keys());
}

/// Goal: a plan writes nothing in any state of a run, and needs no permission to write. Method: compare all files
/// before and after the plan. Do so during a live run, after a kill, and when the run is done and its folder is locked.
#[test]
fn a_plan_writes_nothing() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(600), ..quick() });
    bench.csv(3);
    let mut child = bench.spawn("prompts.csv", &["-j", "3"]);
    wait_until("all is accepted and recorded", || plan(&bench, "prompts.csv")["fetch"] == 3);
    let expected = "1 changed, 1 dropped, 1 kept, 1 relabelled, 1 submit";
    expect_no_trace(&bench, expected);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bench.path("out/run.db-wal").exists(), "the log of a killed process stays");
    expect_no_trace(&bench, expected);

    let bench = Bench::new(quick());
    bench.csv(3);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    assert!(!bench.path("out/run.db-wal").exists(), "a closed ledger is one file");
    let allow = |mode| fs::set_permissions(bench.path("out"), Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    expect_no_trace(&bench, expected);
    allow(0o755);
}

#[test]
fn what_cannot_be_planned_is_told() {
    let bench = Bench::new(quick());
    bench.csv(1);
    bench.write("bad.csv", "prompt,size\na cat,big\n");
    expect_code(&bench.output(&["plan", "bad.csv"]), 2);
    expect_code(&bench.output(&["plan", "absent.csv"]), 2);
    fs::create_dir(bench.path("out")).unwrap();
    bench.write("out/run.db", "this is the text of somebody else and no ledger of ours");
    let output = bench.output(&["plan", "prompts.csv", "-o", "out"]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("not a promptbatch ledger"), "{}", stderr(&output));
}

/// Returns the text of a plan, without the parts that differ from run to run.
fn words(bench: &Bench, manifest: &str) -> String {
    let output = bench.output(&["plan", manifest, "-o", "out"]);
    expect_code(&output, 0);
    let words = format!("{}{}", stdout(&output), stderr(&output)).replace(bench.simulator.url(), "URL");
    // The duration of earlier tasks was measured by a clock.
    let is_measured = |line: &&str| line.starts_with("time: about ") && line.contains("(measured ");
    match words.lines().find(is_measured) {
        Some(line) => words.replace(line, "time: as measured"),
        None => words,
    }
}

#[test]
fn a_plan_in_words() {
    let bench = Bench::new(quick());
    let cats = |numbers: &[u32]| numbers.iter().map(|n| format!("a cat number {n},,\n")).collect::<Vec<_>>().concat();
    let write = |rows: &[&str]| bench.write("p.csv", &("prompt,size,id\n".to_owned() + &rows.concat()));
    let run = || expect_code(&bench.run("p.csv", &[]), 0);
    write(&[&cats(&[1, 2, 3, 4, 5, 6, 7])]);
    insta::assert_snapshot!("plan-all-new", words(&bench, "p.csv"));
    run();
    insta::assert_snapshot!("plan-nothing-to-do", words(&bench, "p.csv"));
    write(&[&cats(&[2, 3, 4, 5, 6, 7, 8])]);
    run();
    let long = "a cat on a windowsill in the morning light of a late and very long summer";
    write(&[&cats(&[3]), "a cat number 1,,one\n", long, " in Rome,512x512,\n", "a \u{202e}red cat,,red\n"]);
    insta::assert_snapshot!("plan-edited", words(&bench, "p.csv"));
    run();
    let many = cats(&[11, 12, 13, 14, 15, 16]);
    write(&[&cats(&[3]), "a cat number 1,,one\n", long, " in Oslo,,\n", "a blue cat,,red\n", &many]);
    insta::assert_snapshot!("plan-many", words(&bench, "p.csv"));
    let mut object = plan(&bench, "p.csv");
    for name in ["seconds", "latency_seconds"] {
        let measured = object["estimate"][name].take();
        assert!(measured.as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)), "{name}: {measured}");
    }
    insta::assert_snapshot!("plan-object", format!("{object:#}").replace(bench.simulator.url(), "URL"));
}

#[test]
fn a_plan_beside_tasks_under_way_in_words() {
    let bench = Bench::new(SimulatorConfig { latency: Duration::from_secs(600), ..quick() });
    bench.csv(4);
    let mut child = bench.spawn("prompts.csv", &["-j", "2"]);
    wait_until("two are accepted and recorded", || plan(&bench, "prompts.csv")["fetch"] == 2);
    insta::assert_snapshot!("plan-live", words(&bench, "prompts.csv"));
    bench.write("prompts.csv", "prompt,category\n\"a cat, number 1\",kind 1\n\"a cat, number 3\",kind 3\n");
    insta::assert_snapshot!("plan-leaving", words(&bench, "prompts.csv"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Goal: a folder of texts is edited like a file. Method: add, edit, rename and remove texts of a run, and pictures, which do not count.
#[test]
fn a_folder_of_texts_is_edited_like_a_file() {
    let bench = Bench::new(quick());
    fs::create_dir(bench.path("in")).unwrap();
    let write = |name: &str, text: &str| bench.write(&format!("in/{name}"), text);
    for (name, text) in [("1.txt", "a cat"), ("2.txt", "a dog\n"), ("10.txt", "a cow\nin a field\n")] {
        write(name, text);
    }
    expect_code(&bench.run("in", &[]), 0);
    let rows = bench.results();
    assert_eq!(column(&rows, "id"), ["1", "2", "10"]);
    assert_eq!(column(&rows, "prompt"), ["a cat", "a dog", "a cow\nin a field"]);
    write("1.png", "a picture");
    assert!(stderr(&bench.run("in", &[])).contains("nothing to do"));
    write("3.txt", "a hen");
    write("2.txt", "a red dog");
    assert_eq!(counts(&plan(&bench, "in")), "1 changed, 2 kept, 1 moved, 1 new, 2 submit");
    expect_code(&bench.run("in/", &[]), 0);
    assert_eq!(column(&bench.results(), "prompt"), ["a cat", "a red dog", "a hen", "a cow\nin a field"]);
    fs::rename(bench.path("in/10.txt"), bench.path("in/cow.txt")).unwrap();
    fs::remove_file(bench.path("in/1.txt")).unwrap();
    assert_eq!(counts(&plan(&bench, "in")), "1 dropped, 3 kept, 3 moved, 1 relabelled");
    expect_code(&bench.run("in", &[]), 0);
    assert_eq!((bench.stats().n_submits, column(&bench.results(), "id").join(" ")), (5, "2 3 cow".to_owned()));
}

/// Goal: a flag that is left out pays for no second batch in silence. Method: the same manifest with `--set`, without it, and with it again.
#[test]
fn images_that_leave_the_results_are_told() {
    let bench = Bench::new(quick());
    bench.csv(3);
    let run = |more: &[&str]| {
        let output = bench.run("prompts.csv", &[&["--progress", "none"], more].concat());
        expect_code(&output, 0);
        stderr(&output)
    };
    let told = "warning: the images of 3 jobs are no longer in the results";
    assert!(!run(&["--set", "size=512x512"]).contains(told));
    let without = run(&[]);
    assert!(without.contains(told) && without.contains("a folder of their own with -o"), "{without}");
    assert_eq!(bench.stats().n_submits, 6);
    let back = run(&["--set", "size=512x512"]);
    assert!(!back.contains(told), "as many come back: {back}");
    assert_eq!(bench.stats().n_submits, 6);
    bench.csv(2);
    let fewer = run(&["--set", "size=512x512"]);
    assert!(fewer.contains("the images of 1 job are no longer in the results") && !fewer.contains("-o"), "{fewer}");
    bench.csv(3);
    assert!(!run(&["--set", "size=512x512"]).contains("no longer in the results"), "an added row is no loss");
}
