//! Every described provider, run by the real program against `promptbatch simulate --provider NAME`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use promptbatch::description::format::Description;
use promptbatch::model::amount::Amount;
use promptbatch::provider::registry;
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, rows, stderr, stdout};
use crate::served::Served;

/// Invented relay: an asynchronous API in the shape of `OpenAI`'s, described in less than 40 lines.
const RELAY: &str = r#"name: relay
help: An invented relay
base_url: https://relay.example/open
token: {env: [RELAY_KEY], page: 'https://relay.example/keys'}
submit:
  path: /v1/images/generations/async
  headers: {Idempotency-Key: $submission_id}
  body: {model: $model, prompt: $prompt, size: "$size:WxH", seed: $seed}
limits: {size: {multiple: 8, side_max: 2048}}
accepted: {id: /task/id}
poll:
  path: /v1/images/tasks/{id}
  id: /task/id
  status: /task/status
  words: {queued: queued, running: running, completed: done, failed: failed, blocked: moderated}
answer: {images: /task/images/*/url}
errors:
  message: /error/message
  code: /error/code
  table:
    - {status: 401, kind: unauthorized, clear: true}
    - {status: 429, code: quota_exceeded, kind: quota_exhausted, clear: true}
    - {status: 429, kind: throttled, clear: true}
    - {stage: poll, status: 404, kind: task_lost}
    - {status: 4xx, kind: invalid_request, clear: true}
keeps: 24h
doubt: guarded
default_model: relay-1
"#;

/// The same API with a list of what it accepted in place of ids that guard a submission.
fn listing() -> String {
    let find = "find: {path: /v1/images/tasks, items: '/tasks/*', id: /id, prompt: /request/prompt, seed: /request/seed, window: 1d}\n";
    let relay = RELAY.replace("  headers: {Idempotency-Key: $submission_id}\n", "").replace("relay", "listing");
    format!("{}settle: 2s\n{find}", relay.replace("doubt: guarded", "doubt: listable"))
}

/// Returns a bench whose simulated service plays this description.
fn playing(api: &Description, more: impl FnOnce(SimulatorConfig) -> SimulatorConfig) -> Bench {
    let config = SimulatorConfig { api: Some(Arc::new(api.clone())), ..quick() };
    Bench::new(more(config))
}

/// Runs a manifest of `n` prompts with this provider, and returns the output of the program.
fn run_jobs(bench: &Bench, provider: &str, api: &Description, n: usize, more: &[&str]) -> Output {
    let jobs = (1..=n).map(|n| format!("{{\"prompt\":\"a cat, number {n}\",\"model\":\"org/model\"}}\n"));
    bench.write("prompts.jsonl", &jobs.collect::<String>());
    let mut command = bench.run_command("prompts.jsonl", &["--provider", provider]);
    for variable in &api.token.env {
        command.env(variable, "any-token");
    }
    command.args(more).output().unwrap()
}

/// Goal: every built-in description works from the manifest to the image. Method: the program runs jobs against the service that plays it.
fn every_third_provider_runs(begin: usize) {
    let described = registry::names().filter_map(|(name, _)| registry::find(name)?.description);
    let mut n_run = 0;
    for api in described.skip(begin).step_by(3) {
        let bench = playing(api, |config| config);
        let output = run_jobs(&bench, &api.name, api, 4, &[]);
        assert!(output.status.success(), "{}: {}{}", api.name, stdout(&output), stderr(&output));
        bench.check_images(4);
        let stats = bench.stats();
        let counts = (stats.n_submits, stats.n_accepted, stats.n_accepted_twice, stats.n_token_leaks);
        assert_eq!(counts, (4, 4, 0, 0), "{}", api.name);
        n_run += 1;
    }
    assert!(n_run >= 8, "only {n_run} descriptions found");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_first_third_of_the_described_providers_runs() {
    every_third_provider_runs(0);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_second_third_of_the_described_providers_runs() {
    every_third_provider_runs(1);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_last_third_of_the_described_providers_runs() {
    every_third_provider_runs(2);
}

/// Goal: what a run says that it cost is what the provider bills, image by image and over two commands.
/// Method: descriptions whose answers say the cost, in every place that there is; no price of the user's.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_cost_of_a_run_is_what_the_answers_say() {
    for (name, model) in [
        ("bfl", "flux-dev"),
        ("runware", "runware:100@1"),
        ("openrouter", "org/model"),
        ("xai", "grok"),
        ("openai", "gpt-image-2"),
    ] {
        let api = registry::find(name).unwrap().description.unwrap();
        let bench = playing(api, |config| config);
        let run = |first: usize, more: &[&str]| {
            let job = |n| {
                format!("{{\"prompt\":\"a cat, number {n}\",\"model\":\"{model}\",\"seed_\":{n}}}\n")
                    .replace(",\"seed_\":", ",\"note\":")
            };
            bench.write("prompts.jsonl", &(1..=first).map(job).collect::<String>());
            let mut command = bench.run_command("prompts.jsonl", &["--provider", name]);
            command.env(&api.token.env[0], "any-token").args(more);
            command.output().unwrap()
        };
        expect_code(&run(3, &["--limit", "2"]), 5);
        let output = run(5, &[]);
        expect_code(&output, 0);
        let billed = bench.stats().billed;
        assert!(billed > Amount::new(0.01), "{name}: {billed}");
        assert!(stderr(&output).contains(&format!("cost so far: {billed} USD")), "{name}: {}", stderr(&output));
        let status: serde_json::Value =
            serde_json::from_str(&stdout(&bench.output(&["status", "out", "--json"]))).unwrap();
        let told = (status["cost"].as_f64(), status["cost_max"].as_f64(), status["currency"].as_str());
        assert_eq!(told, (Some(billed.number()), Some(billed.number()), Some("USD")), "{name}");
        let cells =
            bench.results().into_iter().map(|row| (row["cost"].parse::<Amount>().unwrap(), row["currency"].clone()));
        let (costs, units): (Vec<Amount>, Vec<String>) = cells.unzip();
        assert_eq!((costs.iter().copied().sum::<Amount>(), costs.len()), (billed, 5), "{name}: {costs:?}");
        assert!(units.iter().all(|unit| unit == "USD"), "{name}: {units:?}");
    }
}

/// Goal: the limit on the cost is kept with the listed prices, counts what the answers say, and says by how much they exceed it.
#[test]
fn answers_that_say_more_than_the_price_stop_the_run_and_are_told() {
    let text = format!("{RELAY}prices: {{currency: USD, date: '2026-11-30', rows: [{{price: 0.001}}]}}\n")
        .replace("accepted: {id: /task/id}", "accepted: {id: /task/id, cost: /task/cost}");
    let bench = Bench::new(quick());
    let file = bench.write("api.yaml", &text);
    let api = registry::read_file(&file).unwrap();
    let bench = playing(&api, |config| config);
    let file = bench.write("api.yaml", &text);
    let output = run_jobs(&bench, file.to_str().unwrap(), &api, 20, &["--max-cost", "0.05", "-j", "1"]);
    expect_code(&output, 75);
    let billed = bench.stats().billed;
    // One task in flight, each of at most 0.015: the first one is reserved at 0.001, and every other one at the highest so far.
    assert!(billed > Amount::new(0.03) && billed <= Amount::new(0.05 + 0.015), "{billed}");
    assert!(stderr(&output).contains(&format!("cost so far: {billed} USD")), "{}", stderr(&output));
    let is_beyond = billed > Amount::new(0.05);
    assert_eq!(stderr(&output).contains("the cost exceeds --max-cost by "), is_beyond, "{}", stderr(&output));
    // Many at once are reserved at the listed price, before the first answer.
    let other = playing(&api, |config| config);
    let file = other.write("api.yaml", &text);
    let output = run_jobs(&other, file.to_str().unwrap(), &api, 20, &["--max-cost", "0.005 USD", "-j", "8"]);
    expect_code(&output, 75);
    let billed = other.stats().billed;
    assert!(billed > Amount::new(0.005) && other.stats().n_accepted <= 5, "{billed}");
    let beyond = billed.without(Amount::new(0.005));
    assert!(stderr(&output).contains(&format!("the cost exceeds --max-cost by {beyond} USD")), "{}", stderr(&output));
}

/// Goal: a description that changed between two commands is told, and nothing that was accepted is lost.
#[test]
fn a_changed_description_is_told_by_its_fields() {
    let bench = Bench::new(quick());
    let api = registry::read_file(&bench.write("api.yaml", RELAY)).unwrap();
    let bench = playing(&api, |config| config);
    let file = bench.write("api.yaml", RELAY);
    expect_code(&run_jobs(&bench, file.to_str().unwrap(), &api, 4, &["--limit", "2"]), 5);
    bench.write("api.yaml", &RELAY.replace("keeps: 24h", "keeps: 12h").replace("An invented relay", "Another help"));
    let output = run_jobs(&bench, file.to_str().unwrap(), &api, 4, &[]);
    expect_code(&output, 0);
    let told = "the description of the provider has changed since the last command in this folder (`keeps`)";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));
    assert_eq!((bench.stats().n_accepted, files(&bench.path("out/images")).len()), (4, 4));
}

/// Goal: a lost answer costs nothing where the provider can be asked, or knows the submission. Method: many answers are lost after the
/// submission was accepted.
fn nothing_is_paid_for_twice(text: &str) -> (u64, u64) {
    let folder = Bench::new(quick());
    let file = folder.write("api.yaml", text);
    let api = registry::read_file(&file).unwrap();
    let faults = ["submit-cut-after=0.2", "submit-garbage=0.1"].map(|fault| fault.parse().unwrap());
    let bench = playing(&api, |config| SimulatorConfig { faults: faults.into_iter().collect(), ..config });
    let file = bench.write("api.yaml", text);
    expect_code(&run_jobs(&bench, file.to_str().unwrap(), &api, 20, &[]), 0);
    bench.check_images(20);
    let stats = bench.stats();
    assert_eq!((stats.n_accepted, stats.n_accepted_twice), (20, 0));
    let n_lost: u64 = faults_of(&stats.faults);
    assert!(n_lost > 2, "only {n_lost} answers were lost");
    (stats.n_repeated, stats.n_finds)
}

fn faults_of<K>(faults: &std::collections::BTreeMap<K, u64>) -> u64 {
    faults.values().sum()
}

#[test]
fn a_guarded_provider_is_never_paid_twice() {
    let (n_repeated, _) = nothing_is_paid_for_twice(RELAY);
    assert!(n_repeated > 2, "{n_repeated} submissions were repeated");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_provider_that_lists_its_tasks_is_never_paid_twice() {
    let (_, n_finds) = nothing_is_paid_for_twice(&listing());
    assert!(n_finds > 0);
}

/// Goal: a list that has a host of its own is asked where the submission went. Method: the base URL of the run is another one.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_list_on_another_host_is_asked_at_the_address_of_the_run() {
    let elsewhere =
        listing().replace("find: {", "token_hosts: [lists.example]\nfind: {base_url: 'https://lists.example', ");
    let (_, n_finds) = nothing_is_paid_for_twice(&elsewhere);
    assert!(n_finds > 0);
}

/// Goal: a found id that cannot be polled is no task. Method: tasks that are polled at their addresses, and listed by their ids.
#[test]
fn a_list_of_ids_needs_the_path_of_a_task_that_is_polled_at_its_address() {
    let text = listing().replace("accepted: {id: /task/id}", "accepted: {id: /task/id, status_url: /task/url}");
    let bench = Bench::new(quick());
    bench.write("api.yaml", &text.replace("  path: /v1/images/tasks/{id}\n", ""));
    let output = bench.output(&["providers", "check", "api.yaml"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("say at which path the task of an item is polled"), "{}", stderr(&output));
}

/// Goal: a task that is polled at its address is adopted by its id, with the address that the description says.
#[test]
fn a_task_that_is_found_by_its_id_is_polled_at_its_address() {
    let text = listing().replace("accepted: {id: /task/id}", "accepted: {id: /task/id, status_url: /task/url}");
    let text = text.replace("  path: /v1/images/tasks/{id}\n", "");
    let (_, n_finds) = nothing_is_paid_for_twice(&text.replace("find: {", "find: {task: '/v1/images/tasks/{id}', "));
    assert!(n_finds > 0);
}

/// Returns the status and the body of the answer to a request.
fn ask(url: &str, request: &str, token: &str, body: &str) -> (u16, serde_json::Value) {
    let mut connection = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let n_bytes = body.len();
    let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {n_bytes}\r\n");
    write!(connection, "{head}Authorization: Bearer {token}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// Submission to the invented relay.
const SUBMIT: &str = "POST /open/v1/images/generations/async";

/// Goal: a user's own description is checked, played and run. Method: an invented relay in a file, and plain requests beside the program.
#[test]
fn an_invented_relay_is_described_simulated_and_run() {
    assert!(RELAY.lines().count() < 40);
    let bench = Bench::new(quick());
    bench.write("relay.yaml", RELAY);
    expect_code(&bench.output(&["providers", "check", "relay.yaml"]), 0);
    let served = Served::new(&bench, &["--provider", "relay.yaml"]);
    for (request, token, body, status) in [
        (SUBMIT, "k", "{}", 400),
        (SUBMIT, "k", r#"{"prompt":"a cat","model":"m","size":"30x30"}"#, 400),
        (SUBMIT, "", r#"{"prompt":"a cat","model":"m"}"#, 401),
        ("POST /v1/images/generations", "k", "{}", 404),
        ("GET /v1/images/generations/async", "k", "", 405),
        ("GET /v1/images/tasks/nobody", "k", "", 404),
    ] {
        let (found, answer) = ask(&served.url, request, token, body);
        assert_eq!(found, status, "{request}: {answer}");
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    assert_eq!(served.count("accepted"), 0);
    bench.write("more.csv", "prompt\na cat\na dog\n");
    let args = ["run", "more.csv", "-o", "out", "--provider", "relay.yaml", "--base-url", &*served.url];
    expect_code(&bench.command(&args).env("RELAY_KEY", "k").output().unwrap(), 0);
    assert_eq!((rows(&bench.path("out/results.csv")).len(), files(&bench.path("out/images")).len()), (2, 2));
    assert_eq!((served.count("accepted"), served.count("accepted_twice")), (2, 0));
}
