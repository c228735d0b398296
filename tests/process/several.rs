//! Several providers in one run: rows name them, each has its own lane, and one that is out holds back its own jobs only.

use std::process::Output;

use promptbatch::internals::simulator::{Simulator, SimulatorThread};
use promptbatch::provider::registry;
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, stderr, stdout};

/// Returns a simulated service that plays this provider.
fn playing(name: &str, more: impl FnOnce(SimulatorConfig) -> SimulatorConfig) -> SimulatorThread {
    let api = registry::find(name).unwrap().description.unwrap().clone();
    Simulator::spawn_thread(more(SimulatorConfig { api: Some(std::sync::Arc::new(api)), ..quick() })).unwrap()
}

/// Runs a manifest against ModelScope at the bench, and against others at these addresses.
fn run(bench: &Bench, manifest: &str, others: &[(&str, &SimulatorThread)], more: &[&str]) -> Output {
    let mut command = bench.run_command(manifest, more);
    for (name, simulator) in others {
        command.args(["--base-url", &format!("{name}={}", simulator.url())]);
        command.env(&registry::find(name).unwrap().description.unwrap().token.env[0], "other-token");
    }
    command.output().unwrap()
}

fn accepted(simulator: &SimulatorThread) -> u64 {
    simulator.stats().n_accepted
}

const ROWS: &str = "prompt,provider,model\na cat,,a/b\na dog,fal,fal-ai/flux/schnell\na fox,openai,gpt-image-1-mini\n\
                    a heron,,a/b\na carp,fal,fal-ai/flux/schnell\n";

/// Goal: rows of three providers are one run with one ledger, and each job is sent to its own provider with its own token.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn rows_of_three_providers_are_one_run() {
    let bench = Bench::new(quick());
    let (fal, openai) = (playing("fal", |config| config), playing("openai", |config| config));
    let others = [("fal", &fal), ("openai", &openai)];
    bench.write("p.csv", ROWS);
    let output = run(&bench, "p.csv", &others, &["--limit", "2"]);
    expect_code(&output, 5);
    assert_eq!(files(&bench.path("out/images")).len(), 2, "the limit is one for all of them");
    expect_code(&run(&bench, "p.csv", &others, &["-j", "4", "-j", "fal=1", "--rate", "openai=50/s"]), 0);
    bench.check_images(5);
    assert_eq!([bench.stats().n_accepted, accepted(&fal), accepted(&openai)], [2, 2, 1]);
    assert_eq!(fal.stats().n_unfinished_max, 1, "its own limit");
    let providers: Vec<_> = bench.results().into_iter().map(|row| row["provider"].clone()).collect();
    assert_eq!(providers, ["modelscope", "fal", "openai", "modelscope", "fal"]);
    // A later command finds the addresses in the ledger.
    let again = run(&bench, "p.csv", &[], &[]);
    expect_code(&again, 0);
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));
}

/// Goal: everything that shows a job, or counts jobs, tells the providers apart. Method: one model at two providers, one of which refuses a
/// prompt; plan, status, log, summary, reports and gallery, as text and as JSON.
#[test]
fn everything_that_shows_jobs_tells_the_providers_apart() {
    let bench = Bench::new(quick());
    let fal = playing("fal", |config| SimulatorConfig { fail_rate: 1.0, ..config });
    let openai = playing("openai", |config| config);
    bench.write("p.csv", "prompt,provider,model\na cat,,a/b\na cat,fal,a/b\na cat,openai,a/b\na dog,fal,a/b\n");
    let kinds = |args: &[&str]| stdout(&bench.output(&[&["plan", "p.csv"], args].concat()));
    let told =
        "providers, models and sizes:\n  1  the run's provider: a/b, the model's default size\n  2  fal: a/b, the";
    assert!(kinds(&[]).contains(told), "{}", kinds(&[]));
    let plan: serde_json::Value = serde_json::from_str(&kinds(&["--json"])).unwrap();
    let kind = |n: usize| (plan["kinds"][n]["provider"].as_str(), plan["kinds"][n]["jobs"].as_u64());
    assert_eq!([kind(0), kind(1), kind(2)], [(None, Some(1)), (Some("fal"), Some(2)), (Some("openai"), Some(1))]);
    let reports = ["--report", "junit=j.xml", "--report", "json=r.json", "--report", "md=r.md"];
    let output = run(&bench, "p.csv", &[("fal", &fal), ("openai", &openai)], &reports);
    expect_code(&output, 100);
    assert!(stderr(&output).contains("  000002 a cat (fal): "), "{}", stderr(&output));
    for report in ["j.xml", "r.json", "r.md"] {
        let text = std::fs::read_to_string(bench.path(report)).unwrap();
        assert!(text.contains("(provider: fal)") || text.contains("\"provider\": \"fal\""), "{report}: {text}");
    }
    let status = stdout(&bench.output(&["status", "out"]));
    let line = format!("; rows name fal {}, openai {}", fal.url(), openai.url());
    assert!(status.contains("provider: modelscope http://") && status.contains(&line), "{status}");
    assert!(kinds(&["-o", "out"]).contains(&line), "{}", kinds(&["-o", "out"]));
    let status: serde_json::Value = serde_json::from_str(&stdout(&bench.output(&["status", "out", "--json"]))).unwrap();
    assert_eq!(status["row_providers"][1], format!("openai {}", openai.url()));
    assert_eq!(status["failures"][0]["provider"], "fal");
    assert!(stdout(&bench.output(&["log", "out", "3"])).contains("\nprovider: openai\n"));
    expect_code(&bench.output(&["gallery", "out"]), 0);
    let page = std::fs::read_to_string(bench.path("out/gallery.html")).unwrap();
    assert_eq!(page.matches("\"provider\":\"fal\"").count(), 2);
}

/// Goal: the ranges of numbers are those of the provider that gets them. Method: sizes, steps and guidances beyond the usual ones, for the
/// run's own provider, for one of a row, of the defaults and of a list, and beyond what a description says.
#[test]
fn a_described_provider_takes_what_its_description_says() {
    let bench = Bench::new(quick());
    let checked = |name: &str, text: &str, more: &[&str]| {
        bench.write(name, text);
        let output = bench.output(&[&["validate", name], more].concat());
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let row = "prompt,provider,model,size,steps,guidance\na cat,fal,x/y,4096x4096,150,0.5\n";
    assert_eq!(checked("p.csv", row, &[]).0, Some(0));
    let plain = row.replace("fal", "");
    let (code, words) = checked("p.csv", &plain, &[]);
    assert_eq!(code, Some(2));
    for told in
        ["`size` is 4096x4096, and a side is outside 64 to 2048", "`steps` is 150, outside", "`guidance` is 0.5"]
    {
        assert!(words.contains(told), "{words}");
    }
    assert_eq!(checked("p.csv", &plain, &["--provider", "fal"]).0, Some(0));
    assert_eq!(checked("p.csv", &plain, &["--set", "provider=fal"]).0, Some(0));
    let (code, words) = checked("p.csv", &row.replace("fal", "modelscope"), &["--provider", "fal"]);
    assert!(code == Some(2) && words.contains("a side is outside 64 to 2048"), "{words}");
    let shared = "defaults: {provider: fal, model: x/y, size: 4096x2048}\nprompts: [a cat, a dog]\n";
    assert_eq!(checked("p.yaml", shared, &[]).0, Some(0));
    let (code, words) = checked("p.yaml", &shared.replace("provider: fal", "provider: [fal, modelscope]"), &[]);
    assert!(code == Some(2) && words.contains("`size` is 4096x2048, and this provider takes 64 to 2048"), "{words}");
    let (code, words) = checked("p.csv", &row.replace("4096x4096", "20000x64"), &[]);
    assert!(code == Some(2) && words.contains("a side is outside 1 to 16384"), "{words}");
    let wide = "prompt,provider,model,size\na cat,openai,gpt-image-2,4096x1536\n";
    let (code, words) = checked("p.csv", wide, &[]);
    assert!(code == Some(0) && words.contains("a side is documented to have at most 3840 pixels"), "{words}");
}

/// Goal: each provider can have its token in a file of its own. Method: no variable for the row's provider; its file by name, the run's own
/// beside it, a file with a wrong token, two files for one provider, and a retry.
#[test]
fn each_provider_may_have_a_file_with_its_token() {
    let bench = Bench::new(quick());
    let fal = playing("fal", |config| SimulatorConfig { token: Some("right".into()), ..config });
    bench.write("p.csv", "prompt,provider,model\na cat,,a/b\na dog,fal,x/y\n");
    bench.write("own.key", "test-token\n");
    bench.write("fal.key", "right\n");
    bench.write("wrong.key", "wrong\n");
    let url = format!("fal={}", fal.url());
    let run = |files: &[&str]| {
        let mut command = bench.run_command("p.csv", &["--base-url", &url]);
        let files = files.iter().flat_map(|file| ["--token-file", file]);
        command.args(files).env_remove("FAL_KEY").output().unwrap()
    };
    let missing = run(&["own.key"]);
    expect_code(&missing, 3);
    assert!(stderr(&missing).contains("FAL_KEY"), "the file of the run is not sent to another: {}", stderr(&missing));
    expect_code(&run(&["own.key", "fal=absent.key"]), 3);
    let twice = run(&["fal=fal.key", "fal=wrong.key"]);
    expect_code(&twice, 2);
    assert!(stderr(&twice).contains("'--token-file' is given more than once for `fal`"), "{}", stderr(&twice));
    expect_code(&run(&["own.key", "fal=wrong.key"]), 3);
    expect_code(&run(&["modelscope=own.key", "fal=fal.key"]), 0);
    bench.check_images(2);
    let mut redo = bench.command(&["redo", "out", "1", "2", "--progress", "none", "--token-file", "fal=fal.key"]);
    let redone = redo.args(["--token-file", "modelscope=own.key"]).env_remove("MODELSCOPE_API_KEY").output().unwrap();
    expect_code(&redone, 0);
    assert_eq!(accepted(&fal), 2);
}

/// Goal: the provider is an axis like the model, and a part of the identity of a job only where the row names it.
#[test]
fn the_provider_is_an_axis_and_a_part_of_the_identity_only_in_the_row() {
    let bench = Bench::new(quick());
    let fal = playing("fal", |config| config);
    let ids = |text: &str, more: &[&str]| -> Vec<String> {
        bench.write("p.yaml", text);
        let args = [&["plan", "p.yaml", "--list=jsonl"], more].concat();
        let listed = bench.output(&args);
        assert!(listed.status.success(), "{}", stderr(&listed));
        stdout(&listed).lines().map(str::to_owned).collect()
    };
    let plain = ids("- {prompt: a cat, model: a/b}\n", &[]);
    assert_eq!(plain, ids("- {prompt: a cat, model: a/b}\n", &["--provider", "fal"]), "the run's provider is no part");
    let text = "defaults: {provider: [modelscope, fal], model: fal-ai/flux/schnell}\nprompts: [a cat, a dog]\n";
    assert_eq!(ids(text, &[]).len(), 4);
    expect_code(&run(&bench, "p.yaml", &[("fal", &fal)], &[]), 0);
    bench.check_images(4);
    assert_eq!((bench.stats().n_accepted, accepted(&fal)), (2, 2));
    let distinct: std::collections::BTreeSet<_> = bench.results().into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(distinct.len(), 4);
}

/// Goal: a provider whose token is refused, or that cannot be reached, holds back its own jobs only, and is named.
#[test]
fn a_provider_that_is_out_holds_back_its_own_jobs_only() {
    let bench = Bench::new(quick());
    let fal = playing("fal", |config| SimulatorConfig { token: Some("another".into()), ..config });
    let rows = (0..12).map(|n| format!("picture {n},{}\n", if n % 2 == 0 { "" } else { "fal" }));
    bench.write("p.csv", &["prompt,provider\n".to_owned()].into_iter().chain(rows).collect::<String>());
    let output = run(&bench, "p.csv", &[("fal", &fal)], &["--set", "model=a/b"]);
    expect_code(&output, 3);
    assert!(stderr(&output).contains("fal: "), "{}", stderr(&output));
    assert_eq!((bench.stats().n_accepted, accepted(&fal)), (6, 0));
    assert_eq!(files(&bench.path("out/images")).len(), 6, "the others are complete");
    // The same command with the right token does the rest, and nothing twice.
    let url = format!("fal={}", fal.url());
    let mut command = bench.run_command("p.csv", &["--base-url", &url, "--set", "model=a/b"]);
    expect_code(&command.env("FAL_KEY", "another").output().unwrap(), 0);
    assert_eq!((bench.stats().n_accepted, accepted(&fal)), (6, 6));
    bench.check_images(12);
}

/// Goal: an outage of one provider lasts as long as the user allows, while the jobs of the other one are done.
#[test]
fn an_outage_of_one_provider_stops_nothing_else() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,provider,model\na cat,,a/b\na dog,fal,x/y\na fox,,a/b\na carp,fal,x/y\n");
    let gone = playing("fal", |config| config);
    let url = format!("fal={}", gone.url());
    drop(gone);
    let mut command = bench.run_command("p.csv", &["--base-url", &url, "--max-outage", "2s"]);
    let output = command.env("FAL_KEY", "k").output().unwrap();
    expect_code(&output, 75);
    assert!(stderr(&output).contains("fal: "), "{}", stderr(&output));
    assert_eq!((bench.stats().n_accepted, files(&bench.path("out/images")).len()), (2, 2));
}

/// Goal: what cannot work is told before anything is sent, with the place. Method: unknown names, missing tokens, files elsewhere, and
/// fields that the row's own provider does not have.
#[test]
fn what_cannot_work_is_told_before_anything_is_sent() {
    let bench = Bench::new(quick());
    for (text, code, words) in [
        ("prompt,provider,model\na cat,,a/b\na dog,midjourney,x\n", 2, "p.csv:3:7"),
        ("prompt,provider,model\na cat,,a/b\na dog,fal,x\n", 3, "job 2"),
        ("prompt,provider,model\na cat,../relay.yaml,x\n", 2, "is not below the folder of the manifest"),
        ("prompt,provider,model\na cat,missing.yaml,x\n", 2, "could not read it"),
        (
            "prompt,provider,model,seed\na cat,openai,x,\na dog,openai,x,7\n",
            2,
            "`seed` is given, and the API of openai",
        ),
    ] {
        bench.write("p.csv", text);
        let output = bench.run("p.csv", &["--dry-run"]);
        let output = if output.status.success() { bench.run("p.csv", &[]) } else { output };
        assert_eq!(output.status.code(), Some(code), "{text}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{text}: {}", stderr(&output));
        let _ = std::fs::remove_dir_all(bench.path("out"));
    }
    bench.write("p.csv", "prompt,model\na cat,a/b\n");
    let output = bench.run("p.csv", &["--rate", "fla=5/s"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("there is no such provider"), "{}", stderr(&output));
    assert_eq!(bench.stats().n_submits, 0);
    // A column of the user's own stays one.
    bench.write("p.csv", "prompt,provider\na cat,midjourney\n");
    expect_code(&bench.run("p.csv", &["--carry", "provider"]), 0);
}

/// Goal: a description beside the manifest is a provider, and a row without a model gets the model of its provider.
#[test]
fn a_description_beside_the_manifest_is_a_provider() {
    let bench = Bench::new(quick());
    let relay = playing("openai", |config| config);
    bench.write(
        "relay.yaml",
        &format!(
            "name: my-relay\nhelp: A relay\nextends: openai\nbase_url: {}\ntoken: {{env: [RELAY_KEY], page: 'https://a.example'}}\n\
             default_model: relay-1\n",
            relay.url()
        ),
    );
    bench.write("p.csv", "prompt,provider\na cat,\na dog,relay.yaml\n");
    let run = || bench.run_command("p.csv", &[]).env("RELAY_KEY", "k").output().unwrap();
    expect_code(&run(), 0);
    assert_eq!((bench.stats().n_accepted, accepted(&relay)), (1, 1));
    // A manifest from elsewhere does not decide where a token goes.
    let text = std::fs::read_to_string(bench.path("relay.yaml")).unwrap();
    bench.write("evil.yaml", &text.replace(relay.url(), "https://evil.example").replace("my-relay", "evil"));
    bench.write("q.csv", "prompt,provider\na cat,\na dog,evil.yaml\n");
    let args = ["run", "q.csv", "-o", "other", "--base-url", bench.simulator.url()];
    let refused = bench.command(&args).env("RELAY_KEY", "k").output().unwrap();
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("add --base-url evil=https://evil.example"), "{}", stderr(&refused));
    std::os::unix::fs::symlink("/etc/hostname", bench.path("out.yaml")).unwrap();
    bench.write("q.csv", "prompt,provider\na dog,out.yaml\n");
    let refused = bench.run("q.csv", &[]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("is not below the folder of the manifest"), "{}", stderr(&refused));
    assert_eq!(bench.stats().n_accepted, 1, "nothing more was sent");
    let models: Vec<_> = bench.results().into_iter().map(|row| row["model"].clone()).collect();
    assert_eq!(models[1], "relay-1");
}

/// Goal: of two values for one provider, none is dropped in silence. Method: every flag that may be repeated, for all and for one provider.
#[test]
fn a_flag_is_given_once_for_each_provider() {
    let bench = Bench::new(quick());
    bench.csv(2);
    for (flag, values, of) in [
        ("-j", ["4", "8"], ""),
        ("--rate", ["1/s", "2/s"], ""),
        ("--rate", ["fal=1/s", "fal=2/s"], " for `fal`"),
        ("--base-url", ["http://127.0.0.1:1", "http://127.0.0.1:2"], ""),
    ] {
        let output = bench.output(&["run", "prompts.csv", flag, values[0], flag, values[1]]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(&format!("is given more than once{of}")), "{}", stderr(&output));
    }
    assert_eq!(bench.stats().n_submits, 0);
    // One for all and one for a provider are two settings.
    let run = bench.run("prompts.csv", &["-j", "4", "-j", "modelscope=2", "--rate", "50/s"]);
    expect_code(&run, 0);
}

/// Goal: a job of another provider is made again only if that provider takes it: otherwise its image would be gone. Method: a new seed, which its
/// API has no field for, and a missing token.
#[test]
fn a_redo_asks_the_provider_of_the_row_first() {
    let bench = Bench::new(quick());
    let openai = playing("openai", |config| config);
    bench.write("p.csv", "prompt,provider,model\na cat,,a/b\na fox,openai,gpt-image-1-mini\n");
    expect_code(&run(&bench, "p.csv", &[("openai", &openai)], &[]), 0);
    let before = files(&bench.path("out/images"));
    let redo = |token: bool, more: &[&str]| {
        let mut command = bench.command(&["redo", "out", "2", "--progress", "none"]);
        command.args(more);
        if token {
            command.env("OPENAI_API_KEY", "other-token");
        }
        command.output().unwrap()
    };
    let refused = redo(true, &["--new-seed"]);
    expect_code(&refused, 2);
    assert!(stderr(&refused).contains("or leave out --new-seed"), "{}", stderr(&refused));
    let refused = redo(false, &[]);
    assert!(refused.status.code() == Some(3) && stderr(&refused).contains("OPENAI_API_KEY"), "{}", stderr(&refused));
    assert_eq!((files(&bench.path("out/images")), accepted(&openai)), (before, 1), "nothing has changed");
    assert!(!bench.path("out/replaced").exists());
    expect_code(&redo(true, &[]), 0);
    assert_eq!(accepted(&openai), 2);
}

/// Goal: without the token of the row's provider, no job is reopened and no image moves: a later `run` would submit the one, and fetch the
/// other. Method: a damaged image for `verify --repair`, and a failed job for `retry`.
#[test]
fn a_retry_and_a_repair_need_the_token_of_the_row_first() {
    let bench = Bench::new(quick());
    let openai = playing("openai", |config| config);
    let manifest = "prompt,provider,model\na cat,,a/b\na fox,openai,gpt-image-1-mini\n";
    bench.write("p.csv", manifest);
    expect_code(&run(&bench, "p.csv", &[("openai", &openai)], &[]), 0);
    let image = &bench.results()[1]["file_name"];
    bench.write(&format!("out/{image}"), "damaged");
    let before = files(&bench.path("out/images"));
    let output = bench.output(&["verify", "out", "--repair", "--base-url", bench.simulator.url()]);
    expect_code(&output, 3);
    assert!(stderr(&output).contains("set OPENAI_API_KEY"), "{}", stderr(&output));
    assert_eq!(files(&bench.path("out/images")), before, "nothing has moved");
    assert!(!bench.path("out/damaged").exists());

    let bench = Bench::new(quick());
    let fal = playing("fal", |config| SimulatorConfig { fail_rate: 1.0, ..config });
    bench.write("q.csv", "prompt,provider,model\na dog,fal,fal-ai/flux/schnell\n");
    expect_code(&run(&bench, "q.csv", &[("fal", &fal)], &[]), 100);
    let output = bench.output(&["retry", "out", "--only", "moderated", "--base-url", bench.simulator.url()]);
    expect_code(&output, 3);
    assert!(stderr(&output).contains("set FAL_KEY"), "{}", stderr(&output));
    let status = bench.output(&["status", "out", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!(
        (&status["moderated"], &status["pending"]),
        (&1.into(), &0.into()),
        "no later run pays for it: {status}"
    );
}
