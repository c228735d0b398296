//! Choosing what runs: rows that are left out, jobs that match, samples, and the same prompt again.

use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::FaultSetting;
use serde_json::Value;

use crate::bench::{Bench, Row, expect_code, files, quick, stderr, stdout};

fn column(rows: &[Row], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].clone()).collect()
}

fn plan(bench: &Bench, args: &[&str]) -> Value {
    let output = bench.output(&[&["plan", "p.csv", "-o", "out", "--json"], args].concat());
    expect_code(&output, 0);
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// Goal: a row that is marked is left out, with words, and nothing of it is lost. Method: mark rows before and after they are
/// made, and clear the marks again.
#[test]
fn a_skipped_row_is_left_out_and_what_it_has_stays() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,skip\na heron,\na barge,y\na tug,Yes\n");
    let checked = bench.output(&["validate", "p.csv"]);
    assert_eq!(stdout(&checked), "p.csv: 1 job, no mistakes\nskipped: 2 entries (lines 3, 4)\n");
    let planned = stdout(&bench.output(&["plan", "p.csv", "-o", "out"]));
    assert!(
        planned.contains("p.csv: 1 job, all new") && planned.contains("skipped: 2 entries (lines 3, 4)"),
        "{planned}"
    );
    let ran = bench.run("p.csv", &[]);
    expect_code(&ran, 0);
    assert!(stderr(&ran).contains("skipped: 2 entries (lines 3, 4)"), "{}", stderr(&ran));
    assert_eq!((column(&bench.results(), "prompt"), bench.stats().n_submits), (vec!["a heron".to_owned()], 1));

    bench.write("p.csv", "prompt,skip\na heron,y\na barge,\na tug,x\n");
    let plan = plan(&bench, &[]);
    assert_eq!([&plan["kept"], &plan["back"], &plan["submit"], &plan["skipped"], &plan["dropped"]], [1, 1, 1, 2, 0]);
    expect_code(&bench.run("p.csv", &[]), 0);
    let rows = bench.results();
    assert_eq!(column(&rows, "prompt"), ["a heron", "a barge"], "an image that was paid for stays in the results");
    assert_eq!((column(&rows, "status"), bench.stats().n_submits), (vec!["succeeded".to_owned(); 2], 2));
    assert_eq!(column(&rows, "index"), ["1", "2"], "numbers do not depend on what is skipped");

    bench.write("p.csv", "prompt,skip\na heron,y\na barge,y\na tug,y\n");
    let idle = bench.run("p.csv", &[]);
    expect_code(&idle, 0);
    assert!(stderr(&idle).contains("all entries are skipped, so there is nothing to run"), "{}", stderr(&idle));
    assert_eq!((bench.results().len(), bench.stats().n_submits, files(&bench.path("out/images")).len()), (2, 2, 2));

    bench.write("p.csv", "prompt\na heron\na barge\na tug\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    assert_eq!(
        (column(&bench.results(), "index"), bench.stats().n_submits),
        (vec!["1".into(), "2".into(), "3".into()], 3)
    );
}

/// Goal: the advice about a column that says which rows are wanted does what it says. Method: take each option from the warning, plan with it,
/// and count the rows.
#[test]
fn the_advice_about_a_column_of_states_is_followed() {
    let bench = Bench::new(quick());
    for (title, cells, n_wanted) in [
        ("Status", &["done", "failed", "todo"][..], 2),
        ("status", &["Done", "DONE", " ok ", "todo"], 1),
        ("State", &["succeeded", "failed", ""], 2),
        ("done", &["x", "", ""], 2),
        ("Active", &["yes", "no", "1"], 2),
        ("todo", &["", "y", "y"], 2),
        ("状态", &["已完成", "待办"], 1),
    ] {
        let rows: Vec<_> = cells.iter().enumerate().map(|(i, cell)| format!("a cat {i},{cell}\n")).collect();
        bench.write("p.csv", &format!("prompt,{title}\n{}", rows.concat()));
        let checked = bench.output(&["validate", "p.csv", "--json"]);
        let report: Value = serde_json::from_str(&stdout(&checked)).unwrap();
        let remedy = report["mistakes"][0]["help"].as_str().expect("there is a warning").to_owned();
        let advice = remedy.strip_prefix("add ").unwrap().split(" to ").next().unwrap().replace('\'', "");
        let (flag, value) = advice.split_once(' ').unwrap();
        let plan = plan(&bench, &[flag, value]);
        let n = plan["chosen"].as_u64().or(plan["jobs"].as_u64());
        assert_eq!(n, Some(n_wanted), "{title}: {remedy}");
    }
}

/// Goal: a job whose row is skipped is submitted neither by `run` nor by `retry`, whatever became of it before, and stays in the
/// results. Method: tasks that all fail; rows are marked after that.
#[test]
fn a_skipped_row_that_failed_is_not_tried_again() {
    let faults = [("task-failed=1").parse::<FaultSetting>().unwrap()].into_iter().collect();
    let bench = Bench::new(SimulatorConfig { faults, ..quick() });
    bench.write("p.csv", "prompt,skip\na heron,\na barge,\n");
    expect_code(&bench.run("p.csv", &["--resubmits", "0"]), 100);
    bench.write("p.csv", "prompt,skip\na heron,y\na barge,y\n");
    expect_code(&bench.run("p.csv", &["--resubmits", "0"]), 100);
    let retried = bench.output(&["retry", "out"]);
    assert!(stderr(&retried).contains("nothing to retry"), "{}", stderr(&retried));
    assert_eq!(bench.stats().n_submits, 2);
    assert_eq!(column(&bench.results(), "status"), ["failed", "failed"]);
}

/// Goal: `--where` works on the jobs that match, `run` by `run` in one folder, and drops nothing. Method: one category after the
/// other, then all.
#[test]
fn chosen_jobs_are_run_and_the_others_stay_outstanding() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,category,Modell\na heron,birds,a/b\na barge,boats,a/b\na tug,boats,c/d\na fox,,a/b\n");
    let map = ["--map", "Modell=model"];
    let with = |more: &[&'static str]| [&map[..], more].concat();
    let checked = bench.output(&[&["validate", "p.csv"], &with(&["--where", "category=boats,birds"])[..]].concat());
    assert!(stdout(&checked).ends_with("chosen: 3 jobs (--where)\n"), "{}", stdout(&checked));
    let planned = plan(&bench, &with(&["--where", "Modell=c/d", "--price", "2 magicube"]));
    assert_eq!([&planned["jobs"], &planned["chosen"], &planned["submit"]], [4, 1, 1]);
    assert_eq!((&planned["kinds"][0]["model"], &planned["kinds"][1]), (&"c/d".into(), &Value::Null));

    let birds = bench.run("p.csv", &with(&["--where", "category=birds"]));
    expect_code(&birds, 5);
    assert!(stderr(&birds).contains("p.csv: 4 jobs, 1 chosen (--where) -> out"), "{}", stderr(&birds));
    let done = "this part is done: 1 job done, 3 outstanding; choose others with --where or --sample, or leave these options out";
    assert!(stderr(&birds).contains(done), "{}", stderr(&birds));
    let first = bench.results();
    assert_eq!(column(&first, "status"), ["succeeded", "pending", "pending", "pending"], "nothing is dropped");

    let planned = plan(&bench, &with(&["--where", "category=boats", "--where", "model!=c/d"]));
    assert_eq!([&planned["chosen"], &planned["submit"], &planned["kept"]], [1, 1, 4]);
    expect_code(&bench.run("p.csv", &with(&["--where", "category=boats", "--where", "model!=c/d"])), 5);
    assert_eq!(column(&bench.results(), "status"), ["succeeded", "succeeded", "pending", "pending"]);
    let again = bench.run("p.csv", &with(&["--where", "category=birds"]));
    expect_code(&again, 5);
    assert!(stderr(&again).contains("0 jobs done, 2 outstanding"), "{}", stderr(&again));
    assert_eq!(bench.stats().n_submits, 2);

    expect_code(&bench.run("p.csv", &with(&["--where", "category=", "--limit", "1"])), 5);
    assert_eq!(column(&bench.results(), "status"), ["succeeded", "succeeded", "pending", "succeeded"]);
    expect_code(&bench.run("p.csv", &with(&["--where", "category!="])), 0);
    let rows = bench.results();
    assert_eq!((column(&rows, "status"), bench.stats().n_submits), (vec!["succeeded".to_owned(); 4], 4));
    assert_eq!(column(&rows, "task_id")[0], column(&first, "task_id")[0]);
    expect_code(&bench.run("p.csv", &with(&["--where", "category=birds"])), 0);
}

/// Goal: a choice of nothing is never taken for a batch that is done. Method: misspelt columns and values, before and after a run.
#[test]
fn a_choice_of_nothing_is_a_mistake() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,category,seed\na heron,birds,7\na barge,boats,8\n");
    for is_run in [false, true] {
        for (condition, words) in [
            (
                "categroy=birds",
                "there is no column `categroy`, perhaps `category`; the columns are `category`, `prompt`",
            ),
            ("category=Birds", "no job has category=Birds; the values of `category` are `birds`, `boats`"),
            ("seed=9", "the values of `seed` are `7`, `8`"),
            ("category=birds,boat", "no job has category=boat; the values of `category` are `birds`, `boats`"),
            ("category>birds", "write it as COLUMN=VALUE"),
            ("category==birds", "write it as COLUMN=VALUE"),
            ("=birds", "write it as COLUMN=VALUE"),
        ] {
            let commands = [
                &["validate", "p.csv"][..],
                &["plan", "p.csv", "-o", "out"],
                &["run", "p.csv", "-o", "out", "--base-url", bench.simulator.url()],
            ];
            for command in commands {
                let output = bench.output(&[command, &["--where", condition]].concat());
                expect_code(&output, 2);
                let told = stderr(&output).split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(told.contains(words), "{command:?} {condition}: {told}");
            }
            assert_eq!(bench.path("out").exists(), is_run, "a mistake makes no folder");
        }
        let together = bench.run("p.csv", &["--where", "category=birds", "--where", "seed=8"]);
        expect_code(&together, 2);
        assert!(stderr(&together).contains("no job meets them all"), "{}", stderr(&together));
        if !is_run {
            expect_code(&bench.run("p.csv", &[]), 0);
        }
    }
    assert_eq!(bench.stats().n_submits, 2);
}

/// Goal: a value in another case is not left out in silence. Method: a table with three spellings, in each command.
#[test]
fn values_in_another_case_are_named() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,wanted\na heron,yes\na barge,Yes\na tug,no\n");
    let note = "note: 1 job has `Yes`, which differs in case from --where wanted=yes";
    for (command, code) in [(&["validate", "p.csv"][..], 0), (&["plan", "p.csv", "-o", "out"], 0)] {
        let output = bench.output(&[command, &["--where", "wanted=yes"]].concat());
        expect_code(&output, code);
        assert!(stdout(&output).contains(note), "{}", stdout(&output));
    }
    let ran = bench.run("p.csv", &["--where", "wanted=yes"]);
    expect_code(&ran, 5);
    assert!(stderr(&ran).contains(note), "{}", stderr(&ran));
    expect_code(&bench.run("p.csv", &["--where", "wanted=yes,Yes"]), 5);
    assert_eq!(column(&bench.results(), "status"), ["succeeded", "succeeded", "pending"]);
}

/// Goal: a sample is the same in every run, and grows with its size. Method: samples of a table of 40 rows, from `plan --list` and from
/// runs; rows are moved in between.
#[test]
fn a_sample_stays_the_same_and_grows() {
    let bench = Bench::new(quick());
    let table = |range: std::ops::RangeInclusive<u32>| {
        let rows = range.map(|n| format!("a heron number {n},{}\n", if n % 4 == 0 { "boats" } else { "birds" }));
        std::iter::once("prompt,category\n".to_owned()).chain(rows).collect::<String>()
    };
    bench.write("p.csv", &table(1..=40));
    let listed = |more: &[&str]| -> Vec<String> {
        let output = bench.output(&[&["plan", "p.csv", "--list"], more].concat());
        expect_code(&output, 0);
        stdout(&output).lines().skip(1).map(str::to_owned).collect()
    };
    let (five, ten) = (listed(&["--sample", "5"]), listed(&["--sample", "10"]));
    assert_eq!((five.len(), ten.len(), listed(&["--sample", "50"]).len()), (5, 10, 40));
    assert!(five.iter().all(|row| ten.contains(row)), "{five:?} {ten:?}");
    assert_ne!(listed(&["--sample", "5", "--shuffle", "1"]), five);
    assert!(listed(&["--sample", "5", "--where", "category=boats"]).iter().all(|row| row.ends_with(",boats")));

    let ran = bench.run("p.csv", &["--sample", "5"]);
    expect_code(&ran, 5);
    assert!(stderr(&ran).contains("p.csv: 40 jobs, 5 chosen (--sample) -> out"), "{}", stderr(&ran));
    expect_code(&bench.run("p.csv", &["--sample", "5"]), 5);
    let made = || -> Vec<String> {
        let rows = bench.results().into_iter().filter(|row| row["status"] == "succeeded");
        rows.map(|row| format!("{},Tongyi-MAI/Z-Image-Turbo,{}", row["prompt"], row["category"])).collect()
    };
    assert_eq!((made(), bench.stats().n_submits), (five, 5));
    bench.write("p.csv", &(table(21..=40) + &table(1..=20)[16..]));
    expect_code(&bench.run("p.csv", &["--sample", "10", "--limit", "3"]), 5);
    expect_code(&bench.run("p.csv", &["--sample", "10"]), 5);
    assert_eq!(bench.stats().n_submits, 10);
    let (made, ten): (std::collections::BTreeSet<_>, _) = (made().into_iter().collect(), ten.into_iter().collect());
    assert_eq!(made, ten);
}

/// Goal: a drawn seed is sent, recorded, in the names, and the same after a resume. Method: three images of a prompt, made in two runs,
/// and again elsewhere.
#[test]
fn a_drawn_seed_stays_the_same() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,seed,n\na heron,random,3\na barge,,1\na heron,random,1\n");
    let naming = ["--name", "{slug}-{seed}"];
    expect_code(&bench.run("p.csv", &[&naming[..], &["--limit", "2"]].concat()), 5);
    let first = column(&bench.results(), "seed");
    expect_code(&bench.run("p.csv", &naming), 0);
    let rows = bench.results();
    let seeds = column(&rows, "seed");
    assert_eq!((&seeds, bench.stats().n_submits), (&first, 5));
    let drawn: std::collections::BTreeSet<_> = seeds.iter().filter(|seed| !seed.is_empty()).collect();
    assert_eq!((drawn.len(), seeds[3].as_str()), (4, ""), "{seeds:?}");
    assert_eq!(rows[0]["file_name"], format!("images/a-heron-{}.png", seeds[0]));
    let elsewhere = bench.output(&["plan", "p.csv", "--list"]);
    assert!(seeds.iter().all(|seed| stdout(&elsewhere).contains(seed.as_str())), "{}", stdout(&elsewhere));
}

/// Goal: every line of the results says from which row it came, after a resume and an edit too. Method: rows with several images, one
/// that is skipped, and a row that is inserted; folders by row.
#[test]
fn results_and_names_have_the_row() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,n,skip\na heron,2,\n\na tug,1,y\na barge,2,\n");
    let naming = ["--name", "{row:03}/samples/{n:05}"];
    expect_code(&bench.run("p.csv", &[&naming[..], &["--limit", "1"]].concat()), 5);
    expect_code(&bench.run("p.csv", &naming), 0);
    let rows = bench.results();
    assert_eq!(column(&rows, "row"), ["1", "1", "3", "3"]);
    assert_eq!(column(&rows, "index"), ["1", "2", "4", "5"]);
    let names = ["001/samples/00001", "001/samples/00002", "003/samples/00001", "003/samples/00002"];
    assert_eq!(column(&rows, "file_name"), names.map(|name| format!("images/{name}.png")));
    let header = std::fs::read_to_string(bench.path("out/results.csv")).unwrap();
    assert!(header.lines().next().unwrap().ends_with(",tasks_lost,cost,row,currency"), "{header}");

    bench.write("p.csv", "prompt,n,skip\na fox,1,\na heron,2,\na barge,2,\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    assert_eq!(column(&bench.results(), "row"), ["1", "2", "2", "3", "3"]);
    expect_code(&bench.output(&["results", "out", "--format", "jsonl"]), 0);
    let lines = std::fs::read_to_string(bench.path("out/results.jsonl")).unwrap();
    assert!(lines.lines().next().unwrap().ends_with("\"cost\":null,\"row\":1,\"currency\":null}"), "{lines}");
    let planned = plan(&bench, &["--where", "row=2..3", "--where", "prompt!=a barge"]);
    assert_eq!(planned["chosen"], 2);
}

#[test]
fn a_column_row_of_the_manifest_keeps_its_name() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,row\na heron,B7\n");
    expect_code(&bench.run("p.csv", &["--name", "{row}-{index}"]), 0);
    let rows = bench.results();
    assert_eq!((rows[0]["row"].as_str(), rows[0]["file_name"].as_str()), ("B7", "images/B7-1.png"));
}

/// Goal: prompts that are repeated are named, and `--unique` makes each once, in any command. Method: plan, run, and run without it.
#[test]
fn repeated_prompts_are_named_and_made_once_if_wanted() {
    let bench = Bench::new(quick());
    bench.write("p.txt", "a heron\na barge\na heron\na heron\n");
    let words = "repeated: 1 prompt is repeated 3 times with the same parameters (lines 1, 3, 4)";
    for command in [&["validate", "p.txt"][..], &["plan", "p.txt", "-o", "out"]] {
        let told = stdout(&bench.output(command));
        assert!(told.contains(words) && told.contains("4 jobs"), "{told}");
        let told = stdout(&bench.output(&[command, &["--unique"]].concat()));
        assert!(told.contains("only the first of each is made (--unique)") && told.contains("2 jobs"), "{told}");
    }
    let ran = bench.run("p.txt", &["--unique"]);
    expect_code(&ran, 0);
    assert!(stderr(&ran).contains(words), "{}", stderr(&ran));
    assert_eq!((column(&bench.results(), "index"), bench.stats().n_submits), (vec!["1".to_owned(), "2".to_owned()], 2));
    expect_code(&bench.run("p.txt", &[]), 0);
    assert_eq!((column(&bench.results(), "index").len(), bench.stats().n_submits), (4, 4));
    expect_code(&bench.run("p.txt", &["--unique"]), 0);
    assert_eq!(bench.results().len(), 4, "images that are paid for stay in the results");
}

/// Goal: a column that says which rows are wanted is named with the option that obeys it, and is quiet once that is given.
#[test]
fn columns_that_choose_rows_are_named() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,active,status,exclude\na heron,yes,done,\na barge,no,,x\n");
    let warned = |more: &[&str]| -> Vec<String> {
        let output = bench.output(&[&["validate", "p.csv"], more].concat());
        expect_code(&output, 0);
        let options = ["--where 'active=yes'", "--where 'status!=done'", "--map exclude=skip"];
        options.into_iter().filter(|option| stderr(&output).contains(option)).map(str::to_owned).collect()
    };
    assert_eq!(warned(&[]), ["--where 'active=yes'", "--where 'status!=done'", "--map exclude=skip"]);
    assert_eq!(warned(&["--where", "active=yes", "--map", "exclude=skip"]), ["--where 'status!=done'"]);
    assert_eq!(warned(&["--carry", "active,status,exclude"]), [""; 0]);
}
