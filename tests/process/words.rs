//! Snapshots of the text that users read: help, summaries, and errors.

use std::process::Output;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, quick, stderr, stdout};

/// Returns the text of a run, without the parts that differ from run to run: times, ports, process ids.
fn words(bench: &Bench, output: &Output) -> String {
    let text = format!("{}{}exit {}\n", stdout(output), stderr(output), output.status.code().unwrap());
    let text = text.replace(bench.simulator.url(), "URL");
    // The next midnight in Shanghai depends on the day.
    let text = match (text.find("come back at "), text.find("\nresults:")) {
        (Some(from), Some(to)) => format!("{}come back at TIME, in SPAN{}", &text[..from], &text[to..]),
        _ => text,
    };
    // The number of progress lines depends on the machine.
    let is_progress = |line: &&str| {
        line.split(' ').next().is_some_and(|word| word.contains('/') && word.as_bytes()[0].is_ascii_digit())
    };
    let lines = text.lines().filter(|line| !is_progress(line)).map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_span =
            |i: usize| words[i].parse::<u32>().is_ok() && words.get(i + 1).is_some_and(|unit| unit.starts_with("s,"));
        (0..words.len()).map(|i| if is_span(i) { "N" } else { words[i] }).collect::<Vec<_>>().join(" ") + "\n"
    });
    lines.collect()
}

#[test]
fn the_help_of_every_verb() {
    let bench = Bench::new(quick());
    for verb in [
        "",
        "run",
        "plan",
        "validate",
        "init",
        "schema",
        "status",
        "retry",
        "share",
        "work",
        "merge",
        "redo",
        "verify",
        "log",
        "results",
        "gallery",
        "providers",
        "export",
        "simulate",
        "completions",
        "man",
    ] {
        let mut args = vec![verb, "--help"];
        args.retain(|arg| !arg.is_empty());
        let output = bench.output(&args);
        let has_examples = ["Examples:", "with no account"].iter().any(|word| stdout(&output).contains(word));
        assert!(has_examples, "{verb} --help shows no example");
        insta::assert_snapshot!(format!("help-{}", if verb.is_empty() { "top" } else { verb }), stdout(&output));
    }
}

#[test]
fn a_run_from_its_first_to_its_last_word() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt\na cat\n一只狗\n");
    let first = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-all-well", words(&bench, &first));
    let second = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-nothing-to-do", words(&bench, &second));
    bench.write("p.csv", "prompt\na cat\n一只狗\na cow\n");
    let third = bench.run("p.csv", &[]);
    insta::assert_snapshot!("run-one-new", words(&bench, &third));
    let status = bench.output(&["status", "out"]);
    insta::assert_snapshot!("status", words(&bench, &status));
}

#[test]
fn a_run_in_which_all_is_refused() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(2);
    insta::assert_snapshot!("run-moderated", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
    let bench = Bench::new(SimulatorConfig { token: Some("other".into()), ..quick() });
    bench.csv(2);
    insta::assert_snapshot!("run-unauthorized", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
    let bench = Bench::new(SimulatorConfig { quota: Some(1), ..quick() });
    bench.csv(3);
    insta::assert_snapshot!("run-quota", words(&bench, &bench.run("prompts.csv", &["-j", "1"])));
}

/// Goal: a quiet run is not silent about jobs without an image. Method: refuse every job, run, resume under the other
/// name of the command, retry, and remove an image.
#[test]
fn a_quiet_run_says_that_jobs_have_no_image() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(2);
    let line = "error: 2 of 2 jobs have no image; for the reasons: promptbatch status out\n";
    let url = bench.simulator.url();
    for args in [
        &["run", "prompts.csv", "-o", "out", "--base-url", url, "-q"][..],
        &["resume", "prompts.csv", "-o", "out", "--base-url", url, "-q"],
        &["retry", "out", "--only", "moderated", "--base-url", url, "-q"],
    ] {
        let quiet = bench.output(args);
        assert_eq!((quiet.status.code(), stderr(&quiet).as_str()), (Some(100), line), "{args:?}");
    }
    assert_eq!(
        stderr(&bench.run("prompts.csv", &["-q", "--fail-under", "0%"])),
        "",
        "as many succeeded as were required"
    );
    let bench = Bench::new(quick());
    bench.csv(3);
    assert_eq!(stderr(&bench.run("prompts.csv", &["-q"])), "");
    std::fs::remove_file(bench.path("out").join(&crate::bench::files(&bench.path("out/images"))[0])).unwrap();
    let gone = bench.run("prompts.csv", &["-q"]);
    let line = "error: 1 of 3 jobs have no image; for the reasons: promptbatch status out\n";
    assert_eq!((gone.status.code(), stderr(&gone).as_str()), (Some(100), line));
}

/// Goal: a quiet run that stops early says why, in one line. Method: a limit on the jobs, a retry in vain, and a limit on the failures.
#[test]
fn a_quiet_run_says_why_it_stopped() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.csv(3);
    let url = bench.simulator.url();
    for (args, code, line) in [
        (
            &["run", "prompts.csv", "-o", "out", "--base-url", url, "-q", "--limit", "2"][..],
            5,
            "this part is done: 2 jobs done, 1 outstanding; run the same command for more\n",
        ),
        (
            &["retry", "out", "--only", "moderated", "-q", "--limit", "1"],
            100,
            "error: 3 of 3 jobs have no image; for the reasons: promptbatch status out\n",
        ),
        (
            &["run", "prompts.csv", "-o", "few", "--base-url", url, "-q", "-j", "1", "--max-failures", "1"],
            75,
            "stopped: 1 job failed (--max-failures)\n",
        ),
    ] {
        let quiet = bench.output(args);
        assert_eq!((quiet.status.code(), stderr(&quiet).as_str()), (Some(code), line), "{args:?}");
    }
}

/// Goal: a usage error leads to what was meant, where the nearest spelling is something else. Method: fields given as flags, a manifest without a
/// command, and the name of a trainer as a format.
#[test]
fn usage_errors_lead_to_what_was_meant() {
    let bench = Bench::new(quick());
    bench.csv(1);
    for (args, tip) in [
        (&["run", "prompts.csv", "--size", "512x512"][..], "tip: for all rows: --set size=512x512\n"),
        (&["run", "prompts.csv", "--model=a/b", "-q"], "tip: for all rows: --set model=a/b\n"),
        (&["plan", "prompts.csv", "--negative-prompt", "-q"], "tip: for all rows: --set negative_prompt=VALUE\n"),
        (&["prompts.csv"], "tip: to run this manifest: promptbatch run prompts.csv\n"),
        (&["export", "out", "--to", "kohya"], "tip: kohya reads captions: --to captions\n"),
        (&["run", "prompts.csv", "--limits", "1"], "--limit"),
        (&["run", "prompts.csv", "prompts.csv"], "tip: a command reads one manifest"),
    ] {
        let refused = bench.output(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        let words = stderr(&refused);
        assert!(words.contains(tip) && words.matches("tip:").count() == 1, "{args:?}: {words}");
    }
}

/// Goal: a variable that is set to nothing counts as unset, as pipelines set those of inputs that nobody gave. Method: empty variables of flags with
/// a number, a choice and a list, and one with a mistake.
#[test]
fn an_empty_variable_is_no_flag() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let names =
        ["PROMPTBATCH_LIMIT", "PROMPTBATCH_RATE", "PROMPTBATCH_PROVIDER", "PROMPTBATCH_REPORT", "PROMPTBATCH_DRY_RUN"];
    let empty = bench.run_command("prompts.csv", &[]).envs(names.map(|name| (name, ""))).output().unwrap();
    assert_eq!(empty.status.code(), Some(0), "{}", stderr(&empty));
    bench.check_images(1);
    let wrong = bench.run_command("prompts.csv", &[]).env("PROMPTBATCH_LIMIT", " ").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", stderr(&wrong));
}

/// Goal: a folder of runs is listed. Method: make two runs, one of them incomplete, a damaged one and other folders.
#[test]
fn the_status_of_a_folder_of_runs_lists_them() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let url = bench.simulator.url();
    for (name, more) in [("b", &[][..]), ("a", &["--limit", "1"])] {
        let out = format!("runs/{name}");
        bench.output(&[&["run", "prompts.csv", "-o", &out, "--base-url", url, "-q"], more].concat());
    }
    for folder in ["runs/none", "runs/z"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
    }
    bench.write("runs/z/run.db", "damaged");
    let status = bench.output(&["status", "runs"]);
    let lines = stdout(&status);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(status.status.code(), Some(0), "{}", stderr(&status));
    assert_eq!(lines[..2], ["runs/a: 1 of 2 succeeded, 1 pending", "runs/b: 2 of 2 succeeded"]);
    assert!(lines.len() == 3 && lines[2].starts_with("runs/z: could not open runs/z"), "{lines:?}");
    let objects = bench.output(&["status", "runs", "--json"]);
    assert_eq!(objects.status.code(), Some(0), "{}", stderr(&objects));
    let objects: Vec<serde_json::Value> =
        stdout(&objects).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let number = |n: usize, key: &str| (objects[n]["out"].as_str().unwrap(), objects[n][key].as_u64());
    assert_eq!([number(0, "pending"), number(1, "succeeded")], [("runs/a", Some(1)), ("runs/b", Some(2))]);
    assert!(objects.len() == 3 && objects[2]["error"].as_str().unwrap().starts_with("could not open runs/z"));
    assert_eq!((objects[2]["out"].as_str(), objects[2].get("jobs")), (Some("runs/z"), None));
    for args in [&["status", "runs/none"][..], &["status", "runs/none", "--json"]] {
        let none = bench.output(args);
        assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));
        assert!(stderr(&none).contains("there is no run.db"), "{}", stderr(&none));
    }
}

/// Goal: the usage in an error has only what is required. Method: set flags by the environment, and leave out the
/// arguments.
#[test]
fn the_usage_has_no_flags_of_the_environment() {
    let bench = Bench::new(quick());
    for (args, variable, value, usage) in [
        (&["run"][..], "PROMPTBATCH_BASE_URL", "https://x.example", "run [OPTIONS] <MANIFEST>"),
        (&["plan"], "PROMPTBATCH_RATE", "5/s", "plan [OPTIONS] <MANIFEST>"),
        (&["retry"], "PROMPTBATCH_PRICE", "2 magicube", "retry [OPTIONS] <OUT>"),
        (&["gallery"], "PROMPTBATCH_PROGRESS", "none", "gallery [OPTIONS] <OUT>"),
    ] {
        let output = bench.command(args).env(variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(told.contains(&format!("Usage: promptbatch {usage}\n")), "{told}");
    }
}

#[test]
fn the_errors_of_the_command_line() {
    let bench = Bench::new(quick());
    bench.csv(1);
    let cases: [&[&str]; 10] = [
        &["run", "absent.yaml"],
        &["run", "prompts.doc"],
        &["run", "prompts.csv", "--rate", "fast"],
        &["run", "prompts.csv", "-j", "0"],
        &["run", "prompts.csv", "--base-url", "ftp://x"],
        &["run", "prompts.csv", "--set", "size"],
        &["run", "prompts.csv", "--set", "sise=1x1"],
        &["run", "prompts.csv", "--task-timeout", "soon"],
        &["run", "prompts.csv", "--token-file", "absent"],
        &["status", "absent"],
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|args| format!("$ promptbatch {}\n{}", args.join(" "), words(&bench, &bench.output(args))))
        .collect();
    insta::assert_snapshot!("errors", all.join("\n"));
}

/// Goal: shells complete every command and flag, and every command has a page. Method: let a real shell read its
/// script.
#[test]
fn shells_complete_and_the_manual_has_pages() {
    let bench = Bench::new(quick());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&bench.output(&["completions", shell]));
        for word in ["validate", "image-format", "webdataset"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    bench.write("promptbatch.bash", &stdout(&bench.output(&["completions", "bash"])));
    let ask = "source promptbatch.bash; COMP_WORDS=(promptbatch run --image-f); COMP_CWORD=2; \
               _promptbatch promptbatch --image-f run; echo \"${COMPREPLY[@]}\"";
    let asked = std::process::Command::new("bash").args(["-c", ask]).current_dir(bench.folder.path()).output().unwrap();
    assert_eq!(stdout(&asked).trim(), "--image-format", "{}", stderr(&asked));
    assert!(bench.output(&["man", "--dir", "man"]).status.success());
    let pages = std::fs::read_dir(bench.path("man")).unwrap().map(|page| page.unwrap().file_name());
    // The commands below `providers` have pages of their own.
    let n_pages = pages.filter(|page| !page.to_string_lossy().starts_with("promptbatch-providers-")).count();
    let verbs = stdout(&bench.output(&["--help"]));
    let n_verbs = verbs.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let n_verbs = n_verbs.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).count();
    assert_eq!(n_pages, n_verbs, "one page each, and one of the whole for `help`, which has none");
    let page = stdout(&bench.output(&["man", "run"]));
    assert!(page.contains(".TH promptbatch-run 1") && page.contains("{index:06}"), "{page}");
}
