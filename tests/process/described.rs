//! Tests of the command `providers`, and of runs with providers that files describe.

use crate::bench::{Bench, quick, stderr, stdout};

/// Relay with tasks, whose protocol is that of the simulated API.
const RELAY: &str = "name: relay
help: A relay
base_url: https://relay.example
token: {env: [RELAY_KEY], page: 'https://relay.example/keys'}
default_model: Qwen/Qwen-Image
submit:
  path: /v1/images/generations
  headers: {X-ModelScope-Async-Mode: 'true'}
  body: {model: $model, prompt: $prompt, size: '$size:WxH'}
accepted: {id: /task_id}
poll:
  path: /v1/tasks/{id}
  headers: {X-ModelScope-Task-Type: image_generation}
  status: /task_status
  words: {PENDING: queued, SUCCEED: done, FAILED: failed}
answer: {images: /output_images/*}
errors:
  message: /errors/message
  table: [{status: 4xx, kind: invalid_request, clear: true}]
examples:
  - {name: accepted, body: {task_id: '1'}, expect: accepted}
";

/// Goal: a provider that a file describes makes images, and its run continues only with that file.
#[test]
fn a_described_provider_makes_images() {
    let bench = Bench::new(quick());
    bench.write("relay.yaml", RELAY);
    bench.write("prompts.txt", "a cat\na dog\n");
    bench.write("token", "a-token-of-the-relay");
    let run = ["run", "prompts.txt", "--provider", "relay.yaml", "--token-file", "token", "-o", "out"];
    let run: Vec<&str> = run.into_iter().chain(["--base-url", bench.simulator.url()]).collect();
    let output = bench.output(&run);
    assert!(output.status.success(), "{}", stderr(&output));
    let results = std::fs::read_to_string(bench.path("out/results.csv")).unwrap();
    assert_eq!(results.matches("succeeded").count(), 2, "{results}");
    let again = bench.output(&run);
    assert!(again.status.success() && bench.stats().n_submits == 2, "nothing is paid for twice: {}", stderr(&again));
    let verify = ["verify", "out", "--repair", "--token-file", "token"];
    let verify = |more: &[&str]| bench.output(&[&verify, more].concat());
    std::fs::remove_dir_all(bench.path("out/images")).unwrap();
    let told = stderr(&verify(&[]));
    assert!(told.contains("--provider FILE.yaml"), "{told}");
    let told = stderr(&verify(&["--provider", "openai"]));
    assert!(told.contains("the tasks of this run are at relay"), "{told}");
}

/// Goal: what a provider cannot do is told with the line, before anything is sent.
#[test]
fn what_a_provider_cannot_do_is_a_mistake_with_its_line() {
    let bench = Bench::new(quick());
    bench.write("relay.yaml", RELAY);
    bench.write("prompts.csv", "prompt,seed\na cat,\na dog,7\n");
    for command in ["validate", "plan", "run"] {
        let output = bench.output(&[command, "prompts.csv", "--provider", "relay.yaml"]);
        let told = stderr(&output) + &stdout(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {told}");
        assert!(told.contains("prompts.csv:3") && told.contains("the API of relay has no such field"), "{told}");
    }
    assert_eq!(bench.stats().n_submits, 0);
    assert!(bench.output(&["validate", "prompts.csv"]).status.success(), "the default provider has seeds");
}

#[test]
fn the_command_lists_shows_and_checks() {
    let bench = Bench::new(quick());
    let list = stdout(&bench.output(&["providers"]));
    assert!(list.lines().count() > 20 && list.contains("openai ") && list.contains("modelscope "), "{list}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&bench.output(&["providers", "list", "--json"]))).unwrap();
    let fal = json.as_array().unwrap().iter().find(|object| object["name"] == "fal").unwrap();
    assert_eq!((&fal["exchange"], &fal["doubt"]), (&"task".into(), &"listable".into()));
    let shown = stdout(&bench.output(&["providers", "show", "gemini"]));
    for words in ["x-goog-api-key", "GOOGLE_API_KEY", "not certain:", "unsupported fields", "USD"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let schema: serde_json::Value = serde_json::from_str(&stdout(&bench.output(&["providers", "schema"]))).unwrap();
    assert_eq!(schema["title"], "promptbatch provider");
    bench.write("relay.yaml", RELAY);
    let checked = bench.output(&["providers", "check", "relay.yaml"]);
    assert!(checked.status.success() && stdout(&checked).contains("1 examples are judged"), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("no example shows a finished task"), "{}", stderr(&checked));
    for (old, new, words) in [
        ("expect: accepted", "expect: throttled", "expected the conclusion throttled, but it is accepted"),
        ("$prompt", "$promt", "relay.yaml:9: "),
        ("name: relay", "name: openai", "relay.yaml:1: "),
        ("help: A relay", "helpp: A relay", "relay.yaml:2: "),
    ] {
        bench.write("relay.yaml", &RELAY.replacen(old, new, 1));
        let checked = bench.output(&["providers", "check", "relay.yaml"]);
        assert_eq!(checked.status.code(), Some(2), "{new}");
        assert!(stderr(&checked).contains(words), "{new}: {}", stderr(&checked));
    }
}
