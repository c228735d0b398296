//! Tests of the simulated service that plays descriptions, in virtual time: ids, lists, faults of images inside answers, and statistics.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::description::parse::parse;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::message::ContentKey;

/// API whose answers have the image, with an id in a header that guards a submission.
const GUARDED: &str = "name: guarded
help: An invented answer
base_url: https://guarded.example/api
token: {env: [GUARDED_KEY], page: 'https://guarded.example/keys'}
exchange: answer
submit:
  path: /images
  headers: {Idempotency-Key: $submission_id}
  body: {prompt: $prompt, size: '$size:WxH'}
answer: {images: '/data/*/b64', kind: base64}
errors:
  message: /error/message
  table:
    - {status: 409, contains: in use, kind: throttled, clear: true}
    - {status: 429, kind: throttled, clear: true}
    - {status: 4xx, kind: invalid_request, clear: true}
doubt: guarded
";

/// API of tasks that clients name, with a list in pages.
const LISTED: &str = "name: listed
help: An invented list
base_url: https://listed.example
token: {env: [LISTED_KEY], page: 'https://listed.example/keys'}
auth: header X-Key
token_hosts: [lists.example]
submit:
  path: /{model}/jobs
  body: {prompt: $prompt, seed: $seed, job_id: $submission_id}
accepted: {id: /job_id}
poll:
  path: /jobs/{id}
  status: /state
  words: {WAITS: queued, RUNS: running, READY: done, BROKEN: failed}
  result: /result_url
answer: {images: /image}
errors:
  message: /message
  table:
    - {status: 4xx, kind: invalid_request, clear: true}
doubt: lookable
settle: 60s
keeps: 10m
find:
  base_url: https://lists.example/v2
  path: /jobs
  query: {model: $model, id: $submission_id}
  since: {parameter: from}
  items: /page/items/*
  id: /job
  submission_id: /job
  prompt: /request/prompt
  seed: /request/seed
  next: /page/next
  window: 1h
";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_796_061_600_000 + millis)
}

fn server(text: &str, more: impl Fn(SimulatorConfig) -> SimulatorConfig) -> Server {
    let api = parse("test.yaml", text, &|_| None).unwrap_or_else(|error| panic!("{error}"));
    let config = SimulatorConfig {
        api: Some(Arc::new(api)),
        latency: Duration::from_secs(10),
        latency_sigma: 0.0,
        image_size: "16x16".parse().ok(),
        ..SimulatorConfig::default()
    };
    Server::new(more(config))
}

fn with_fault(setting: &str) -> impl Fn(SimulatorConfig) -> SimulatorConfig {
    let faults: crate::simulator::faults::FaultPlan = [setting.parse().unwrap()].into_iter().collect();
    move |config| SimulatorConfig { faults: faults.clone(), ..config }
}

fn image(prompt: &str, id: &str) -> HttpRequest {
    let body = json!({"prompt": prompt}).to_string();
    HttpRequest::post("/api/images", body).with("authorization", "Bearer k").with("idempotency-key", id)
}

fn job(prompt: &str, id: &str) -> HttpRequest {
    let body = json!({"prompt": prompt, "seed": 7, "job_id": id}).to_string();
    HttpRequest::post("/org/m/jobs", body).with("x-key", "k")
}

fn get(path: impl Into<String>) -> HttpRequest {
    HttpRequest::get(path).with("x-key", "k")
}

fn body(reply: Reply) -> Value {
    serde_json::from_slice(&reply.drawn().body.into_bytes()).unwrap()
}

#[test]
fn a_guarded_answer_is_given_again_and_paid_for_once() {
    let mut server = server(GUARDED, |config| config);
    let first = server.handle(at(0), &image("a cat", "s1"));
    assert_eq!(first.delay, Duration::from_secs(10));
    let again = server.handle(at(4000), &image("a cat", "s1"));
    assert_eq!(again.delay, Duration::from_secs(6), "the second answer waits for the same task");
    assert_eq!(body(first), body(again));
    server.handle(at(0), &image("a cat", "s2"));
    let stats = server.stats();
    assert_eq!((stats.n_accepted, stats.n_accepted_twice, stats.n_repeated), (2, 1, 1));
}

#[test]
fn a_conflict_has_the_code_of_the_description() {
    let text = LISTED.replace("accepted: {id: /job_id}", "accepted: {id: /job_id, conflict: idInUse}");
    let text = text.replace("  message: /message\n", "  message: /message\n  code: /code\n");
    let mut server = server(&text, |config| config);
    assert_eq!(server.handle(at(0), &job("a cat", "s1")).status, 200);
    let again = server.handle(at(1), &job("a cat", "s1"));
    assert_eq!((again.status, &body(again)["code"]), (409, &json!("idInUse")));
    assert_eq!((server.stats().n_accepted, server.stats().n_repeated), (1, 1));
}

#[test]
fn a_task_has_the_id_of_its_client_and_its_result_an_address() {
    let mut server = server(LISTED, |config| config);
    let accepted = body(server.handle(at(0), &job("a cat", "s1")));
    assert_eq!(accepted, json!({"job_id": "s1"}));
    let state = |server: &mut Server, millis| body(server.handle(at(millis), &get("/jobs/s1")))["state"].clone();
    assert_eq!([0, 5000, 10_000].map(|millis| state(&mut server, millis)), ["WAITS", "RUNS", "READY"]);
    let polled = body(server.handle(at(10_000), &get("/jobs/s1")));
    let address = polled["result_url"].as_str().unwrap().strip_prefix("http://127.0.0.1").unwrap().to_owned();
    assert_eq!(server.handle(at(9000), &get(&*address)).status, 400, "not finished");
    let result = body(server.handle(at(10_000), &get(&*address)));
    let link = result["image"].as_str().unwrap().strip_prefix("http://127.0.0.1").unwrap().to_owned();
    assert_eq!(server.handle(at(10_000), &HttpRequest::get(&*link)).status, 200);
    assert_eq!(server.handle(at(10_000), &get(&*link)).status, 200);
    assert_eq!(server.stats().n_token_leaks, 1, "the second request had the token");
    assert_eq!(server.handle(at(611_000), &get(&*link)).status, 403, "kept for ten minutes");
    assert_eq!((server.stats().n_results, server.stats().n_polls), (2, 4));
}

/// Goal: a client can tell what was accepted, and only what it asks for. Method: submissions of several models, ids and times.
#[test]
fn a_list_has_what_was_accepted() {
    let mut server = server(LISTED, |config| SimulatorConfig { list_delay: Duration::from_secs(5), ..config });
    server.handle(at(0), &job("a cat", "s1"));
    let other = HttpRequest { path: "/org/other/jobs".into(), ..job("a dog", "s2") };
    server.handle(at(1000), &other);
    let ids = |server: &mut Server, millis: i64, query: &str| -> Vec<String> {
        let listed = body(server.handle(at(millis), &get(format!("/v2/jobs{query}"))));
        listed["page"]["items"].as_array().unwrap().iter().map(|item| item["job"].as_str().unwrap().into()).collect()
    };
    assert_eq!(ids(&mut server, 4999, ""), [""; 0], "nothing is listed yet");
    assert_eq!(ids(&mut server, 5000, ""), ["s1"]);
    assert_eq!(ids(&mut server, 6000, ""), ["s2", "s1"], "the newest first");
    assert_eq!(ids(&mut server, 6000, "?model=org%2Fm"), ["s1"]);
    assert_eq!(ids(&mut server, 6000, "?id=s2&model=org/other"), ["s2"]);
    assert_eq!(ids(&mut server, 6000, "?id=s3"), [""; 0]);
    assert_eq!(ids(&mut server, 6000, "?from=2026-11-30T18:00:01Z"), ["s2"]);
    assert_eq!(ids(&mut server, 3_600_000, ""), ["s2"], "one hour is kept");
    let item = body(server.handle(at(6000), &get("/v2/jobs?id=s1")))["page"]["items"][0].clone();
    assert_eq!(item, json!({"job": "s1", "request": {"prompt": "a cat", "seed": 7}}));
    assert_eq!(server.handle(at(6000), &HttpRequest::get("/v2/jobs")).status, 401);
}

#[test]
fn a_long_list_has_pages_that_hold_everything_once() {
    let mut server = server(LISTED, |config| config);
    for n in 0..250 {
        server.handle(at(n), &job(&format!("a cat {n}"), &format!("s{n}")));
    }
    let (mut path, mut found, mut n_pages) = ("/v2/jobs?model=org/m".to_owned(), vec![], 0);
    loop {
        let page = body(server.handle(at(1000), &get(&*path)))["page"].clone();
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["job"].as_str().unwrap().to_owned()));
        n_pages += 1;
        match page["next"].as_str() {
            Some(next) => path = next.strip_prefix("http://127.0.0.1").unwrap().to_owned(),
            None => break,
        }
    }
    let expected: Vec<_> = (0..250).rev().map(|n| format!("s{n}")).collect();
    assert_eq!((n_pages, found), (3, expected));
}

#[test]
fn an_image_inside_an_answer_has_the_faults_that_it_can_have() {
    let reply = |fault: &str| {
        let mut server = server(GUARDED, with_fault(fault));
        let reply = server.handle(at(0), &image("a cat", "s1"));
        assert_eq!((server.stats().n_accepted, reply.delay), (1, Duration::from_secs(10)), "{fault}: paid for");
        (reply, server.stats().n_faults(fault.split('=').next().unwrap().parse().unwrap()))
    };
    let data = |reply: Reply| body(reply)["data"][0]["b64"].as_str().unwrap().len();
    let (whole, _) = reply("image-500=1");
    let whole = data(whole);
    let (cut, n_cut) = reply("image-cut=1");
    assert_eq!((cut.delivery, n_cut), (Delivery::CutMidway, 1));
    let (short, n_short) = reply("image-short=1");
    assert_eq!((short.delivery, n_short), (Delivery::Whole, 1));
    let short = data(short);
    assert!(short < whole * 2 / 3, "{short} of {whole}");
    assert_eq!(reply("image-hang=1").0.delivery, Delivery::Hang);
    assert_eq!(reply("image-html=1").0.header("content-type"), Some("text/html"));
    assert_eq!(reply("image-404=1").1, 0, "there is no image host");
    assert_eq!(reply("submit-cut-after=1").0.delivery, Delivery::CutAfter);
    let (garbage, _) = reply("submit-garbage=1");
    assert_eq!(garbage.header("content-type"), Some("application/json"));
}

/// Goal: what no route answers is told apart: a path, a method, a token, a body. Method: plain requests.
#[test]
fn requests_are_checked_before_anything_is_accepted() {
    let mut server = server(GUARDED, |config| config);
    let good = image("a cat", "s1");
    let empty = HttpRequest { body: b"{}".to_vec(), ..good.clone() };
    let no_token = HttpRequest { headers: std::collections::BTreeMap::new(), ..good.clone() };
    let long = HttpRequest { body: vec![b' '; 2 << 20], ..good.clone() };
    for (request, status) in [
        (HttpRequest { path: "/api/nothing".into(), ..good.clone() }, 404),
        (HttpRequest { method: "GET".into(), ..good.clone() }, 405),
        (no_token, 401),
        (empty, 400),
        (long, 413),
    ] {
        let reply = server.handle(at(0), &request);
        assert_eq!(reply.status, status, "{}", request.path);
        assert!(body(reply)["error"]["message"].is_string(), "{status} is in the envelope");
    }
    assert_eq!(server.stats().n_accepted, 0);
    let bare = HttpRequest { path: "/images?x=1".into(), ..good };
    assert_eq!(server.handle(at(0), &bare).status, 200, "a path without that of the base URL");
}

/// Goal: the limits of the service hold for answers too: a held connection is an unfinished task.
#[test]
fn an_answer_in_flight_counts_as_unfinished() {
    let mut server = server(GUARDED, |config| SimulatorConfig { concurrency: Some(1), ..config });
    assert_eq!(server.handle(at(0), &image("a cat", "s1")).status, 200);
    assert_eq!(server.handle(at(9999), &image("a dog", "s2")).status, 429);
    assert_eq!(server.handle(at(10_000), &image("a dog", "s2")).status, 200);
    assert_eq!(server.stats().n_refused("concurrency"), 1);
}

#[test]
fn contents_are_counted_whatever_ids_they_have() {
    let mut server = server(LISTED, |config| config);
    for (n, id) in ["s1", "s2", "s3"].into_iter().enumerate() {
        server.handle(at(0), &job("a cat", id));
        assert_eq!(server.stats().n_accepted_twice, n as u64);
    }
    let counts: Vec<_> =
        server.accepted().iter().map(|(key, n): (&ContentKey, &u32)| (key.number() != 0, *n)).collect();
    assert_eq!(counts, [(true, 3)]);
}
