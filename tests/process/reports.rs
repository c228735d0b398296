//! Reports of a run for CI: readable by other programs, whatever the prompts contain, and an exit code.

use std::collections::BTreeMap;
use std::fs;

use promptbatch::simulator::config::SimulatorConfig;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use crate::bench::{Bench, expect_code, quick, stderr};

const ALL: [&str; 6] = ["--report", "junit=r.xml", "--report", "json=r.json", "--report", "md=r.md"];

/// Element of a report, with its attributes and its children.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(Result::unwrap);
    let attributes = attributes.map(|attribute| {
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).unwrap().into_owned();
        (attribute.key.as_ref().to_owned(), value)
    });
    Element { name: start.name().as_ref().to_owned(), attributes: attributes.collect(), children: vec![] }
}

fn parse(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(element(&start)),
            Event::Empty(start) => open.last_mut().unwrap().children.push(element(&start)),
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            _ => (),
        }
    }
}

impl Element {
    fn all(&self, name: &str) -> Vec<&Self> {
        self.children.iter().filter(|child| child.name == name).collect()
    }

    fn number(&self, name: &str) -> u64 {
        self.attributes[name].parse().unwrap()
    }

    /// Checks the elements, their places and their attributes against Jenkins' schema (junit-10.xsd) and the stricter
    /// one of Ant.
    fn check(&self) {
        let (attributes, children): (&[&str], &[&str]) = match self.name.as_str() {
            "testsuites" => (&["errors", "failures", "name", "tests", "time"], &["testsuite"]),
            "testsuite" => (
                &["errors", "failures", "hostname", "name", "skipped", "tests", "time", "timestamp"],
                &["properties", "testcase"],
            ),
            "properties" => (&[], &["property"]),
            "property" => (&["name", "value"], &[]),
            "testcase" => (&["classname", "name", "time"], &["failure", "error", "skipped"]),
            "failure" | "error" => (&["message", "type"], &[]),
            "skipped" => (&["message"], &[]),
            other => panic!("no schema knows {other}"),
        };
        assert_eq!(self.attributes.keys().map(String::as_str).collect::<Vec<_>>(), attributes, "of {}", self.name);
        for name in ["time", "tests", "failures", "errors", "skipped"] {
            assert!(self.attributes.get(name).is_none_or(|value| value.parse::<f64>().is_ok()), "{self:?}");
        }
        for child in &self.children {
            assert!(children.contains(&child.name.as_str()), "{} in {}", child.name, self.name);
            child.check();
        }
    }
}

/// Parses the report, and checks that its totals are those of its cases.
fn junit(bench: &Bench) -> Element {
    let suites = parse(&fs::read_to_string(bench.path("r.xml")).unwrap());
    suites.check();
    let suite = &suites.children[0];
    assert_eq!(suite.children[0].name, "properties", "they come first");
    let cases = suite.all("testcase");
    let n_with = |verdict| cases.iter().filter(|case| !case.all(verdict).is_empty()).count() as u64;
    assert_eq!(suite.number("tests"), cases.len() as u64);
    for (total, verdict) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
        assert_eq!(suite.number(total), n_with(verdict), "{total}");
    }
    suites
}

fn json(bench: &Bench) -> Value {
    serde_json::from_slice(&fs::read(bench.path("r.json")).unwrap()).unwrap()
}

/// Goal: every report agrees with the results for every job, even if a prompt contains XML, Markdown or a control
/// sequence.
#[test]
fn reports_say_what_the_results_say() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.4, ..quick() });
    let hostile = ["a ]]> <b>&amp;\" 'x", "| *a* | `b` @you #1\\", "猫", "a\u{202e}b"];
    let rows = hostile
        .iter()
        .cycle()
        .take(16)
        .enumerate()
        .map(|(n, prompt)| serde_json::json!({ "prompt": format!("{n} {prompt}") }));
    bench.write("p.jsonl", &rows.map(|row| row.to_string()).collect::<Vec<_>>().join("\n"));
    let mut args = ALL.to_vec();
    args.extend(["--price", "2 magicube"]);
    expect_code(&bench.run("p.jsonl", &args), 100);
    let results = bench.results();
    let n_failed = results.iter().filter(|row| row["status"] == "moderated").count();
    assert!(n_failed > 0 && n_failed < 16);
    let suites = junit(&bench);
    assert_eq!((suites.number("tests"), suites.number("failures")), (16, n_failed as u64));
    for (case, row) in suites.children[0].all("testcase").iter().zip(&results) {
        assert!(case.attributes["name"].starts_with(&format!("{:0>6} ", row["index"])), "{case:?}");
        assert_eq!(case.all("failure").len(), usize::from(row["status"] == "moderated"));
        assert_eq!(case.attributes["time"], row["seconds"]);
    }
    let told = json(&bench);
    assert_eq!((told["v"].as_u64(), told["exit_code"].as_u64(), told["stop"].is_null()), (Some(1), Some(100), true));
    assert_eq!(told["counts"]["moderated"].as_u64(), Some(n_failed as u64));
    assert_eq!((told["cost"]["amount"].as_f64(), told["cost"]["unit"].as_str()), (Some(32.0), Some("magicube")));
    let failures = told["failures"].as_array().unwrap();
    let expected = results.iter().filter(|row| row["status"] == "moderated");
    for (failure, row) in failures.iter().zip(expected) {
        assert_eq!(
            (failure["prompt"].as_str(), failure["task_id"].as_str()),
            (Some(&*row["prompt"]), Some(&*row["task_id"]))
        );
    }
    let page = fs::read_to_string(bench.path("r.md")).unwrap();
    assert_eq!(
        page.lines().filter(|line| line.contains("moderated&#58;") || line.contains("moderated: ")).count(),
        n_failed,
        "{page}"
    );
    assert!(!page.contains(['@', '`', '\u{1b}', '\u{202e}']) && !page.contains("<b>"), "{page}");
}

/// Goal: a run that stops early writes its reports too, and the next run replaces them.
#[test]
fn a_run_that_stops_leaves_reports_and_the_next_one_replaces_them() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.3, ..quick() });
    bench.csv(20);
    let mut args = ALL.to_vec();
    args.extend(["-j", "1", "--max-failures", "1"]);
    expect_code(&bench.run("prompts.csv", &args), 75);
    let n_pending = bench.results().iter().filter(|row| row["status"] == "pending").count() as u64;
    assert_eq!((junit(&bench).number("tests"), junit(&bench).children[0].number("skipped")), (20, n_pending));
    let told = json(&bench);
    assert_eq!((told["stop"].as_str(), told["counts"]["pending"].as_u64()), (Some("failures"), Some(n_pending)));
    let page = fs::read_to_string(bench.path("r.md")).unwrap();
    assert!(page.contains(&format!("Run the same command again to resume: {n_pending} left to do.")), "{page}");
    expect_code(&bench.run("prompts.csv", &ALL), 100);
    assert_eq!((junit(&bench).children[0].number("skipped"), json(&bench)["exit_code"].as_u64()), (0, Some(100)));
    // A run with nothing to do ends like any other.
    fs::remove_file(bench.path("r.xml")).unwrap();
    expect_code(&bench.run("prompts.csv", &ALL), 100);
    assert_eq!(junit(&bench).number("tests"), 20);
}

/// Goal: a command that fails before it begins leaves no report of an earlier run, and its own says the error. Method: a run without a token, one
/// with a mistake in its manifest, a retry of no run; and the summary of a step.
#[test]
fn a_command_that_fails_leaves_its_error_in_place_of_old_reports() {
    let bench = Bench::new(quick());
    bench.write("good.csv", "prompt\na heron\n");
    bench.write("bad.csv", "prompt,seed\na heron,many\n");
    for (args, has_token, code, words) in [
        (&["run", "good.csv", "-o", "out"][..], false, 3, "could not find a token"),
        (&["run", "bad.csv", "-o", "out"], true, 2, "bad.csv:2"),
        (&["retry", "none"], true, 2, "could not find a run in none"),
        (&["redo", "none", "1"], true, 2, "could not find a run in none"),
    ] {
        for name in ["r.xml", "r.json", "r.md"] {
            bench.write(name, "yesterday");
        }
        bench.write("step.md", "before\n");
        let mut command = bench.command(&[args, &ALL].concat());
        if !has_token {
            command.env_remove("MODELSCOPE_API_KEY");
        }
        let failed = command.env("GITHUB_STEP_SUMMARY", bench.path("step.md")).output().unwrap();
        expect_code(&failed, code);
        let suites = junit(&bench);
        suites.check();
        assert_eq!((suites.number("tests"), suites.number("errors"), suites.number("failures")), (1, 1, 0));
        let case = suites.children[0].all("testcase")[0];
        assert!(case.all("error")[0].attributes["message"].contains(words), "{case:?}");
        let told = json(&bench);
        assert_eq!((told["stop"].as_str(), told["exit_code"].as_i64()), (Some("error"), Some(code.into())));
        assert!(told["stop_reason"].as_str().unwrap().contains(words), "{told}");
        for name in ["r.md", "step.md"] {
            let page = fs::read_to_string(bench.path(name)).unwrap();
            assert!(page.contains("❌") && page.contains("**error: could not"), "{args:?}: {page}");
            assert_eq!(page.contains("before"), name == "step.md");
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_anything_is_sent() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let output = bench.run("prompts.csv", &["--report", "junit=absent/r.xml"]);
    expect_code(&output, 2);
    assert!(
        stderr(&output).contains("absent/r.xml") && stderr(&output).contains("create its folder first"),
        "{}",
        stderr(&output)
    );
    expect_code(&bench.run("prompts.csv", &["--report", "html=r.html"]), 2);
    assert_eq!(bench.stats().n_submits, 0);
}

#[test]
fn the_summary_of_a_step_is_appended_to() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let step = bench.write("step.md", "# before\n");
    let run = |path: &std::path::Path| {
        bench.run_command("prompts.csv", &[]).env("GITHUB_STEP_SUMMARY", path).output().unwrap()
    };
    expect_code(&run(&step), 0);
    let page = fs::read_to_string(&step).unwrap();
    assert!(page.starts_with("# before\n### ✅ out: 2 of 2 images\n"), "{page}");
    fs::write(&step, "x".repeat(1 << 20)).unwrap();
    for path in [step, bench.path("absent/step.md")] {
        let output = run(&path);
        expect_code(&output, 0);
        assert!(stderr(&output).contains("warning: could not write the report"), "{}", stderr(&output));
    }
}

#[test]
fn some_failures_may_be_few_enough() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.3, ..quick() });
    bench.csv(20);
    let output = bench.run("prompts.csv", &["--fail-under", "10%"]);
    expect_code(&output, 0);
    assert!(stderr(&output).contains("% succeeded (required: 10%, --fail-under)"), "{}", stderr(&output));
    let output = bench.run("prompts.csv", &["--fail-under", "99.5%"]);
    expect_code(&output, 100);
    assert!(stderr(&output).contains("% succeeded, below the required 99.5% (--fail-under)"), "{}", stderr(&output));
    expect_code(&bench.run("prompts.csv", &["--fail-under", "0.98"]), 2);
}
