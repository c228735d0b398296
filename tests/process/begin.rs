//! First steps of a new user: a starter and its schema, and mistakes that are shown at their location.

use std::fs;

use promptbatch::simulator::config::SimulatorConfig;
use serde_json::Value;

use crate::bench::{Bench, quick, stderr, stdout};

fn read(bench: &Bench, name: &str) -> String {
    fs::read_to_string(bench.path(name)).expect("it is there")
}

/// Goal: a new user learns what to do next, and no existing file is lost. Method: init and plan, then init over
/// existing files.
#[test]
fn a_starter_is_written_once_and_can_be_planned() {
    let bench = Bench::new(SimulatorConfig::default());
    let told = stdout(&bench.output(&["init"]));
    assert!(told.starts_with("wrote prompts.yaml, and prompts.schema.json beside it"), "{told}");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  promptbatch ")).collect();
    assert_eq!(commands, ["plan prompts.yaml", "run prompts.yaml --provider simulator"]);
    let plan = bench.output(&["plan", "prompts.yaml"]);
    assert_eq!((plan.status.code(), stderr(&plan)), (Some(0), String::new()));
    let first = read(&bench, "prompts.yaml");
    assert!(first.starts_with("# yaml-language-server: $schema=prompts.schema.json\n"));
    assert_eq!(read(&bench, "prompts.schema.json"), stdout(&bench.output(&["schema"])));

    let again = bench.output(&["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("could not write prompts.yaml: it already exists"), "{}", stderr(&again));
    assert_eq!(read(&bench, "prompts.yaml"), first);
    let other = bench.output(&["init", "other.yml"]);
    assert_eq!(other.status.code(), Some(0), "{}", stderr(&other));
    bench.write("prompts.schema.json", "mine");
    let third = bench.output(&["init", "third.yaml"]);
    assert_eq!((third.status.code(), read(&bench, "prompts.schema.json").as_str()), (Some(2), "mine"));
    let bare = stdout(&bench.output(&["init", "-"]));
    assert_eq!(first, format!("# yaml-language-server: $schema=prompts.schema.json\n{bare}"));
    assert_eq!(bench.output(&["init", "prompts.csv"]).status.code(), Some(2));
    assert_eq!(bench.output(&["init", "fourth.yaml", "--no-schema"]).status.code(), Some(0));
    assert_eq!(read(&bench, "fourth.yaml"), bare);
}

const BAD: &str = "defaults: {size: 1024}\nprompts:\n- 一只猫\n- {prompt: 猫, sede: 5}\n- cat #1\n";

#[test]
fn mistakes_are_shown_where_they_are() {
    let bench = Bench::new(quick());
    bench.write("p.yaml", BAD);
    for verb in ["validate", "plan", "run"] {
        let output = bench.output(&[verb, "p.yaml"]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{verb}");
        insta::assert_snapshot!("begin-mistakes", stderr(&output));
    }
    let many = (2..=24).map(|i| format!("- {{prompt: x, seed: -{i}}}")).collect::<Vec<_>>().join("\n");
    bench.write("many.yaml", &many);
    let told = stderr(&bench.output(&["validate", "many.yaml"]));
    assert_eq!(told.matches("error: `seed`").count(), 20);
    assert!(told.ends_with("error: could not use many.yaml: 23 mistakes, the first 20 above\n"), "{told}");
    let doubtful = (1..=23).map(|i| format!("- cat #{i}")).collect::<Vec<_>>().join("\n");
    bench.write("doubtful.yaml", &doubtful);
    let told = stderr(&bench.output(&["validate", "doubtful.yaml"]));
    assert_eq!(told.matches("warning: the prompt ends").count(), 20);
    assert!(told.ends_with("warning: doubtful.yaml: 23 warnings, the first 20 above\n"), "{told}");
}

#[test]
fn mistakes_are_told_to_editors() {
    let bench = Bench::new(quick());
    bench.write("p.yaml", BAD);
    let told = bench.output(&["validate", "p.yaml", "--json", "--set", "steps=x"]);
    assert_eq!((told.status.code(), stderr(&told)), (Some(2), String::new()));
    insta::assert_snapshot!("begin-json", stdout(&told));
    bench.write("good.yaml", "- a\n- b #1\n");
    let told = bench.output(&["validate", "good.yaml", "--json"]);
    let object: Value = serde_json::from_str(&stdout(&told)).expect("it is JSON");
    assert_eq!((told.status.code(), &object["jobs"], &object["n_warnings"]), (Some(0), &2.into(), &1.into()));
    assert_eq!(object["mistakes"][0]["severity"], "warning");
    let told = bench.output(&["validate", "absent.yaml", "--json"]);
    let object: Value = serde_json::from_str(&stdout(&told)).expect("it is JSON");
    assert_eq!((told.status.code(), &object["jobs"], &object["n_mistakes"]), (Some(2), &Value::Null, &1.into()));
}

/// Goal: a build without object storage does not put the images elsewhere in silence, and the next run can do without.
#[cfg(not(feature = "cloud"))]
#[test]
fn a_build_without_object_storage_says_so() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let refused = bench.run("prompts.csv", &["--images", "s3://bucket/cats"]);
    crate::bench::expect_code(&refused, 2);
    assert!(stderr(&refused).contains("this build has no object storage"), "{}", stderr(&refused));
    assert_eq!(bench.stats().n_submits, 0);
    crate::bench::expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(2);
}
