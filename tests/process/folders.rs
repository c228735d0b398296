//! Output folders: a run takes over no folder of another manifest, and replaces no file that it did not write.

use std::fs;
use std::process::{Output, Stdio};

use crate::bench::{Bench, quick, stderr};

/// Runs a manifest into the default folder.
fn run(bench: &Bench, manifest: &str, more: &[&str]) -> Output {
    bench.output(&[&["run", manifest, "--base-url", bench.simulator.url()], more].concat())
}

/// Goal: manifests of one name in two folders do not share an output folder in silence. Method: run both, then the second one
/// with each of the two remedies that the error names.
#[test]
fn another_manifest_of_the_same_name_is_refused() {
    let bench = Bench::new(quick());
    fs::create_dir(bench.path("birds")).unwrap();
    fs::create_dir(bench.path("boats")).unwrap();
    bench.write("birds/prompts.csv", "prompt\na heron\na wren\n");
    bench.write("boats/prompts.csv", "prompt\na barge\n");
    assert_eq!(run(&bench, "birds/prompts.csv", &[]).status.code(), Some(0));
    let before = fs::read(bench.path("out/prompts/results.csv")).unwrap();

    let planned = bench.output(&["plan", "boats/prompts.csv"]);
    let planned = String::from_utf8(planned.stdout).unwrap();
    assert!(planned.contains("warning: `run` would stop here: could not run boats/prompts.csv"), "{planned}");
    let refused = run(&bench, "boats/prompts.csv", &["--price", "2 USD"]);
    let words = stderr(&refused);
    assert_eq!((refused.status.code(), bench.stats().n_accepted), (Some(2), 2), "{words}");
    assert!(words.contains("birds/prompts.csv, and 2 of its 2 jobs are not in this manifest"), "{words}");
    assert!(words.contains("-o") && words.contains("--replace-manifest"), "{words}");
    assert_eq!(fs::read(bench.path("out/prompts/results.csv")).unwrap(), before);
    let again = run(&bench, "birds/prompts.csv", &[]);
    assert!(stderr(&again).contains("nothing to do") && again.status.success(), "{}", stderr(&again));

    assert!(run(&bench, "boats/prompts.csv", &["-o", "out/boats"]).status.success());
    let replaced = run(&bench, "boats/prompts.csv", &["--replace-manifest"]);
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    assert_eq!(bench.stats().n_accepted, 4);
    let images = fs::read_dir(bench.path("out/prompts/images")).unwrap().count();
    assert_eq!(images, 3, "the images of the birds stay");
}

/// Goal: what is refused is the loss of jobs, not an edit. Method: edited, extended, halved and cut manifests, other endings,
/// a moved file, and standard input.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn edits_of_a_manifest_are_accepted_and_losses_are_not() {
    let bench = Bench::new(quick());
    let run_text = |name: &str, text: &str| {
        bench.write(name, text);
        run(&bench, name, &[])
    };
    assert!(run_text("prompts.txt", "one\ntwo\nthree\nfour\n").status.success());
    assert!(run_text("prompts.txt", "ONE\nTWO\nTHREE\nFOUR\n").status.success(), "edited rows are no loss");
    assert!(run_text("prompts.txt", "ONE\nTWO\n").status.success(), "half of the rows may go");
    assert_eq!(run_text("prompts.txt", "").status.code(), Some(2), "an empty manifest is a mistake");
    assert!(run_text("prompts.txt", "ONE\nTWO\nfive\nsix\n").status.success());
    let cut = run_text("prompts.txt", "ONE\n");
    assert_eq!(cut.status.code(), Some(2));
    assert!(stderr(&cut).contains("3 of the 4 jobs of the run are no longer in it"), "{}", stderr(&cut));

    let other_ending = run_text("prompts.csv", "prompt\nseven\neight\n");
    assert_eq!(other_ending.status.code(), Some(2), "{}", stderr(&other_ending));
    assert!(
        run_text("prompts.csv", "prompt\nONE\nTWO\nfive\nsix\n").status.success(),
        "the same jobs in another format"
    );
    fs::create_dir(bench.path("moved")).unwrap();
    fs::rename(bench.path("prompts.csv"), bench.path("moved/prompts.csv")).unwrap();
    assert!(run(&bench, "moved/prompts.csv", &[]).status.success(), "a moved manifest is the same");

    let typed = |text: &'static str| {
        let mut command = bench.run_command("-", &["--format", "txt"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(typed("a\nb\n").status.success());
    let other = typed("c\nd\n");
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("made in code, and 2 of its 2 jobs"), "{}", stderr(&other));
    assert!(typed("a\nb\nc\n").status.success());
}

/// Goal: files that no run wrote are not replaced. Method: results and a gallery of somebody else, a manifest that is called
/// results.csv, and a report over the manifest. Nothing may be sent, and every file stays as it is.
#[test]
fn files_of_the_user_are_never_replaced() {
    let bench = Bench::new(quick());
    let text = "prompt\na heron\n";
    for (name, more) in [
        ("results.csv", &["-o", "."] as &[&str]),
        ("prompts.csv", &["-o", "mine"]),
        ("prompts.csv", &["-o", "pages", "--gallery"]),
        ("prompts.csv", &["--report", "md=prompts.csv"]),
    ] {
        for folder in ["mine", "pages"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
        }
        bench.write("mine/results.csv", "my own table\n");
        bench.write("pages/gallery.html", "<title>my page</title>");
        bench.write(name, text);
        let refused = run(&bench, name, more);
        let words = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {words}");
        assert!(words.contains("move or rename") || words.contains("choose another") || words.contains("name another"));
        assert_eq!(fs::read_to_string(bench.path(name)).unwrap(), text);
        assert!(!bench.path("run.db").exists() && !bench.path("mine/run.db").exists(), "{more:?}");
    }
    assert_eq!(fs::read_to_string(bench.path("mine/results.csv")).unwrap(), "my own table\n");
    assert_eq!(bench.stats().n_accepted, 0);
}

/// Goal: a file that takes the place of the results after a run is kept too, and our own results are replaced as ever. Method:
/// replace results.csv, results.jsonl and gallery.html between two commands.
#[test]
fn files_that_appear_later_are_kept_too() {
    let bench = Bench::new(quick());
    bench.write("prompts.csv", "prompt\na heron\n");
    let out = "out/prompts";
    assert!(run(&bench, "prompts.csv", &["--gallery"]).status.success());
    assert!(bench.output(&["results", out, "--format", "jsonl"]).status.success());
    assert!(bench.output(&["results", out, "--format", "jsonl"]).status.success(), "our own file is replaced");
    assert!(bench.output(&["gallery", out]).status.success(), "our own page is replaced");
    for (name, command) in [
        ("results.csv", &["results", out] as &[&str]),
        ("results.jsonl", &["results", out, "--format", "jsonl"]),
        ("gallery.html", &["gallery", out]),
        ("results.csv", &["retry", out]),
    ] {
        let path = format!("{out}/{name}");
        let ours = fs::read(bench.path(&path)).unwrap();
        bench.write(&path, "notes of mine\n");
        let refused = bench.output(command);
        let words = stderr(&refused);
        assert!(!refused.status.success() && words.contains("move or rename that file"), "{command:?}: {words}");
        assert_eq!(fs::read_to_string(bench.path(&path)).unwrap(), "notes of mine\n");
        fs::write(bench.path(&path), ours).unwrap();
    }
    bench.write("out/prompts/results.csv", "notes of mine\n");
    bench.write("prompts.csv", "prompt\na heron\na wren\n");
    let refused = run(&bench, "prompts.csv", &[]);
    assert_eq!((refused.status.code(), bench.stats().n_accepted), (Some(2), 1), "{}", stderr(&refused));
}

/// Goal: a folder of texts has an output folder of its own name, and nothing is written among the texts. Method: each way to name the
/// folder; the folder itself as the output folder; and what a shell makes of a pattern, with and without matches.
#[test]
fn a_folder_of_texts_is_named_as_a_folder() {
    let bench = Bench::new(quick());
    fs::create_dir(bench.path("birds.v1")).unwrap();
    bench.write("birds.v1/heron.txt", "a heron");
    bench.write("birds.v1/wren.txt", "a wren");
    for name in ["birds.v1", "birds.v1/", "./birds.v1/."] {
        assert!(run(&bench, name, &[]).status.success(), "{name}");
    }
    assert!(bench.path("out/birds.v1/run.db").exists() && bench.stats().n_accepted == 2);
    let within = run(&bench, "birds.v1", &["-o", "birds.v1/."]);
    assert_eq!(within.status.code(), Some(2));
    assert!(stderr(&within).contains("choose another output folder"), "{}", stderr(&within));
    for (args, words) in [
        (&["validate", "birds.v1/heron.txt", "birds.v1/wren.txt"][..], "name the folder: birds.v1\n"),
        (&["run", "birds.v1/*.txt"], "name one file, or the folder of the files"),
        (&["validate", "out"], "the folder has no .txt file"),
        (&["run", "out/birds.v1"], "it is the output folder of a run"),
    ] {
        let output = bench.output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(bench.path("birds.v1")).unwrap().count(), 2);
}

/// Goal: a column that the user added to the results is not lost, and a column of an earlier manifest is no such column. Method: add one and
/// use each command that writes the table; then take the column of the manifest away, with tables that other commands have written.
#[test]
fn a_column_of_the_users_own_in_the_results_is_kept() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,kind\na heron,bird\n");
    let run = |more: &[&str]| bench.run("p.csv", more);
    assert!(run(&[]).status.success());
    let path = bench.path("out/results.csv");
    let ours = fs::read_to_string(&path).unwrap();
    let rated = ours.replacen(",currency\n", ",currency,rating\n", 1).replacen(",1,\n", ",1,,five stars\n", 1);
    assert_ne!(rated, ours);
    fs::write(&path, &rated).unwrap();
    bench.write("p.csv", "prompt,kind\na heron,bird\na carp,fish\n");
    let url = bench.simulator.url();
    for (code, command) in [
        (2, &["run", "p.csv", "-o", "out", "--base-url", url][..]),
        (2, &["retry", "out"]),
        (2, &["redo", "out", "1"]),
        (1, &["results", "out"]),
        (1, &["results", "out", "--bom", "--include-dropped"]),
    ] {
        let refused = bench.output(command);
        let words = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{command:?}: {words}");
        assert!(words.contains("the column \"rating\", which no run here has written"), "{command:?}: {words}");
        assert!(words.contains("move or rename that file"), "{command:?}: {words}");
        assert_eq!(fs::read_to_string(&path).unwrap(), rated, "{command:?}");
    }
    assert_eq!(bench.stats().n_accepted, 1, "nothing was sent");
    assert!(bench.output(&["results", "out", "--format", "jsonl"]).status.success(), "another file");
    fs::rename(&path, bench.path("out/rated.csv")).unwrap();
    assert!(run(&[]).status.success());
    for (manifest, more) in [
        ("prompt\na heron\na carp\n", &["--formula-guard"][..]),
        ("prompt,=kind,row\na heron,1,7\na carp,2,8\n", &[]),
        ("prompt,seed_note\na heron,\na carp,\n", &["--formula-guard=off"]),
    ] {
        assert!(bench.output(&["results", "out", "--bom"]).status.success());
        bench.write("p.csv", manifest);
        let output = run(more);
        assert!(output.status.success(), "{manifest}: {}", stderr(&output));
    }
}
