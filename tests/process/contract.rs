//! Behaviour that scripts rely on: exit codes, files, and which requests are sent.

use std::fs;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, quick, rows, stderr, stdout, wait_until};
use crate::host::{Host, response};

#[test]
fn the_main_job_ends_with_an_image_for_every_prompt() {
    let bench = Bench::new(quick());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/prompts.yaml");
    let output = bench.output(&["run", manifest, "--provider", "simulator", "-o", "out"]);
    expect_code(&output, 0);
    let n_jobs = bench.results().len();
    assert!(n_jobs >= 12, "a dozen prompts: {n_jobs}");
    bench.check_images(n_jobs);
    assert!(bench.results().iter().any(|row| !row["prompt"].is_ascii()), "Chinese prompts among them");
    assert!(stderr(&output).contains("out/results.csv"), "the summary names the results: {}", stderr(&output));
}

#[test]
fn a_finished_run_sends_nothing_and_changes_nothing() {
    let bench = Bench::new(quick());
    bench.csv(20);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(20);
    let (stats, results) = (bench.stats(), fs::read(bench.path("out/results.csv")).unwrap());
    assert_eq!((stats.n_submits, stats.n_accepted, stats.n_token_leaks), (20, 20, 0));
    let again = bench.run("prompts.csv", &[]);
    expect_code(&again, 0);
    assert!(stderr(&again).contains("nothing to do"), "{}", stderr(&again));
    assert_eq!(bench.stats(), stats, "not one request");
    assert_eq!(fs::read(bench.path("out/results.csv")).unwrap(), results);
}

#[test]
fn a_finished_run_needs_no_token() {
    let bench = Bench::new(quick());
    bench.csv(2);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    expect_code(&bench.run_command("prompts.csv", &[]).env_remove("MODELSCOPE_API_KEY").output().unwrap(), 0);
}

#[test]
fn an_edited_manifest_runs_only_what_is_new() {
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt,note\na cat,x\na dog,y\na cat,z\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    bench.write("p.csv", "prompt,note\na cow,new\na cat,changed\na dog,y\na cat,z\n");
    expect_code(&bench.run("p.csv", &[]), 0);
    assert_eq!(bench.stats().n_submits, 4);
    bench.check_images(4);
    let told: Vec<_> =
        bench.results().iter().map(|row| (row["index"].clone(), row["prompt"].clone(), row["note"].clone())).collect();
    let row = |index: &str, prompt: &str, note: &str| (index.to_owned(), prompt.to_owned(), note.to_owned());
    assert_eq!(
        told,
        [row("1", "a cow", "new"), row("2", "a cat", "changed"), row("3", "a dog", "y"), row("4", "a cat", "z")]
    );
}

#[test]
fn results_are_made_again_from_the_ledger() {
    let bench = Bench::new(quick());
    bench.csv(10);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let path = bench.path("out/results.csv");
    let before = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let output = bench.output(&["results", "out"]);
    expect_code(&output, 0);
    assert_eq!(stdout(&output).trim(), "out/results.csv");
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();
    expect_code(&bench.run("prompts.csv", &[]), 0);
    assert_eq!(fs::read(&path).unwrap(), before, "`run` puts them back too");
}

#[test]
fn mistakes_in_the_manifest_send_nothing_and_leave_nothing() {
    let bench = Bench::new(quick());
    bench.write(
        "bad.yaml",
        "prompts:\n  - prompt: a cat\n    sise: 64x64\n  - prompt:\n  - prompt: a dog\n    size: 1024*768\n",
    );
    let output = bench.run("bad.yaml", &[]);
    expect_code(&output, 2);
    let words = stderr(&output);
    for part in ["bad.yaml:3", "`size`", "bad.yaml:4", "bad.yaml:6", "1024x768"] {
        assert!(words.contains(part), "{part} is missing in:\n{words}");
    }
    assert!(!bench.path("out").exists());
    assert_eq!(bench.stats().n_submits, 0);
    expect_code(&bench.output(&["validate", "bad.yaml"]), 2);
}

#[test]
fn usage_mistakes_end_with_2() {
    let bench = Bench::new(quick());
    bench.csv(1);
    for args in [
        &["run"][..],
        &["run", "absent.yaml", "--provider", "simulator"],
        &["run", "prompts.csv", "--rate", "fast"],
        &["run", "prompts.csv", "--concurrency", "0"],
        &["run", "prompts.csv", "--base-url", "nonsense"],
        &["run", "prompts.csv", "--token", "secret"],
        &["run", "prompts.csv", "--set", "sise=1"],
        &["status", "absent"],
        &["dance"],
        &["simulate", "--fault", "rain=0.5"],
    ] {
        expect_code(&bench.output(args), 2);
    }
    expect_code(&bench.output(&["--help"]), 0);
    expect_code(&bench.output(&["--version"]), 0);
}

#[test]
fn a_missing_or_refused_token_ends_with_3_and_the_same_command_goes_on() {
    let bench = Bench::new(SimulatorConfig { token: Some("right".into()), ..quick() });
    bench.csv(3);
    let output = bench.run_command("prompts.csv", &[]).env_remove("MODELSCOPE_API_KEY").output().unwrap();
    expect_code(&output, 3);
    assert!(stderr(&output).contains("MODELSCOPE_API_KEY"), "{}", stderr(&output));
    let output = bench.run("prompts.csv", &[]);
    expect_code(&output, 3);
    for part in ["bind your Alibaba Cloud account", "modelscope.cn/my/myaccesstoken", "run the same command again"] {
        assert!(stderr(&output).contains(part), "{part} is missing in:\n{}", stderr(&output));
    }
    bench.write("token", "right\n");
    expect_code(&bench.run("prompts.csv", &["--token-file", "token"]), 0);
    bench.check_images(3);
}

#[test]
fn the_token_is_in_no_output_and_no_file() {
    let bench = Bench::new(quick());
    bench.csv(5);
    let secret = "geheim-4711";
    let output = bench.run_command("prompts.csv", &["-v"]).env("MODELSCOPE_API_KEY", secret).output().unwrap();
    expect_code(&output, 0);
    assert!(!stderr(&output).contains(secret) && !stdout(&output).contains(secret));
    for entry in
        fs::read_dir(bench.path("out")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = fs::read(&entry).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", entry.display());
    }
}

#[test]
fn jobs_without_an_image_end_with_100_and_say_why() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 0.5, ..quick() });
    bench.csv(20);
    let output = bench.run("prompts.csv", &[]);
    expect_code(&output, 100);
    let moderated: Vec<_> = bench.results().into_iter().filter(|row| row["status"] == "moderated").collect();
    assert!(!moderated.is_empty() && moderated.len() < 20);
    assert!(moderated.iter().all(|row| row["error_code"] == "moderated"
        && row["error"].contains("inappropriate")
        && row["file_name"].is_empty()));
    assert!(stderr(&output).contains("inappropriate content"), "{}", stderr(&output));
    expect_code(&bench.run("prompts.csv", &[]), 100);
    assert_eq!(bench.stats().n_submits, 20, "a failed job is not tried again by itself");
    let status = bench.output(&["status", "out"]);
    expect_code(&status, 0);
    assert!(stdout(&status).contains(&format!("{} moderated", moderated.len())), "{}", stdout(&status));
}

#[test]
fn a_used_up_quota_ends_with_75() {
    let bench = Bench::new(SimulatorConfig { quota: Some(5), ..quick() });
    bench.csv(12);
    let output = bench.run("prompts.csv", &["-j", "2"]);
    expect_code(&output, 75);
    assert!(
        stderr(&output).contains("quota") && stderr(&output).contains("run the same command again"),
        "{}",
        stderr(&output)
    );
    let succeeded = bench.results().iter().filter(|row| row["status"] == "succeeded").count();
    assert_eq!(succeeded, 5, "what was accepted is seen through");
}

#[test]
fn a_folder_stays_with_its_provider() {
    let bench = Bench::new(quick());
    bench.csv(2);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    let output = bench.output(&["run", "prompts.csv", "-o", "out", "--provider", "simulator"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("choose another output folder"), "{}", stderr(&output));
}

/// Goal: an address at which nothing was ever accepted is no tie. Method: a server that knows no path, then the right address
/// for the same folder. A folder with tasks keeps its address.
#[test]
fn a_mistyped_address_can_be_corrected() {
    let wrong = Host::new(|_| response("404 Not Found", "", b"404 page not found"));
    let bench = Bench::new(quick());
    bench.csv(7);
    let refused = bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", &wrong.url]);
    expect_code(&refused, 3);
    expect_code(&bench.run("prompts.csv", &[]), 0);
    bench.check_images(7);
    bench.csv(8);
    let other = bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", &wrong.url]);
    expect_code(&other, 2);
    assert!(stderr(&other).contains("its tasks are at modelscope http://127.0.0.1"), "{}", stderr(&other));
    let remedy = format!("; repeat --base-url {}, or choose another output folder (-o)", bench.simulator.url());
    assert!(stderr(&other).contains(&remedy), "{}", stderr(&other));
}

/// Goal: an API that names a field of the request is not taken for a wrong address or token. Method: one that refuses every size.
#[test]
fn a_refused_field_is_to_be_corrected() {
    let body = br#"{"errors":{"message":"size must be in the range [512x512, 2048x2048]"},"request_id":"r-1"}"#;
    let strict = Host::new(|_| response("400 Bad Request", "Content-Type: application/json\r\n", body));
    let bench = Bench::new(quick());
    bench.csv(6);
    let refused = bench.output(&["run", "prompts.csv", "-o", "out", "--base-url", &strict.url]);
    let words = stderr(&refused);
    expect_code(&refused, 3);
    assert!(words.contains("2048x2048] (400); correct what the API names, and run again\n"), "{words}");
    assert!(!words.contains("token") && !words.contains("same command again"), "{words}");
}

#[test]
fn a_second_process_is_refused_and_readers_are_welcome() {
    let bench = Bench::new(SimulatorConfig { latency: std::time::Duration::from_secs(60), ..quick() });
    bench.csv(3);
    let mut first = bench.spawn("prompts.csv", &[]);
    wait_until("the first process has submitted", || bench.stats().n_accepted == 3);
    let second = bench.run("prompts.csv", &[]);
    expect_code(&second, 4);
    assert!(stderr(&second).contains(&format!("process {}", first.id())), "{}", stderr(&second));
    let status = bench.output(&["status", "out"]);
    expect_code(&status, 0);
    assert!(stdout(&status).contains("running at the provider"), "{}", stdout(&status));
    expect_code(&bench.output(&["results", "out"]), 0);
    assert_eq!(rows(&bench.path("out/results.csv")).len(), 3);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn verbose_tells_the_task_of_every_accepted_job() {
    let bench = Bench::new(quick());
    bench.csv(4);
    let output = bench.run("prompts.csv", &["-v"]);
    expect_code(&output, 0);
    for row in bench.results() {
        assert!(stderr(&output).contains(&row["task_id"]), "{}", stderr(&output));
    }
    assert_eq!(stdout(&output), "", "progress and messages go to stderr");
}

#[test]
fn control_sequences_of_a_prompt_never_reach_the_terminal() {
    let bench = Bench::new(SimulatorConfig { fail_rate: 1.0, ..quick() });
    bench.write("p.csv", "prompt,id\nharmless,\"\u{1b}[31mred\"\n");
    let output = bench.run("p.csv", &["-v"]);
    assert!(!stderr(&output).contains('\u{1b}'), "{:?}", stderr(&output));
}

#[test]
fn flags_can_come_from_the_environment() {
    let bench = Bench::new(quick());
    bench.csv(2);
    let mut command = bench.command(&["run", "prompts.csv"]);
    command.env("PROMPTBATCH_BASE_URL", bench.simulator.url()).env("PROMPTBATCH_OUT", "elsewhere");
    expect_code(&command.output().unwrap(), 0);
    assert!(bench.path("elsewhere/results.csv").exists());
}
