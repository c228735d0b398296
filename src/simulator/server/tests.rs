//! Tests of the simulated service with every kind of request, in virtual time.

use serde_json::{Value, json};

use super::*;
use crate::simulator::message::ReplyBody;
use crate::simulator::server::modelscope::{SUBMIT_PATH, TASK_PATH};

const START: i64 = 1_790_000_000_000;
pub(super) const CAT: &str = r#"{"model":"Qwen/Qwen-Image","prompt":"a golden cat"}"#;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// Returns a configuration in which all tasks take one second and no fault occurs.
pub(super) fn calm() -> SimulatorConfig {
    SimulatorConfig { latency: Duration::from_secs(1), latency_sigma: 0.0, ..SimulatorConfig::default() }
}

pub(super) fn faulty(fault: &str) -> Server {
    let plan = [format!("{fault}=1").parse().unwrap()].into_iter().collect();
    Server::new(SimulatorConfig { faults: plan, ..calm() })
}

pub(super) fn submission(body: &str) -> HttpRequest {
    HttpRequest::post(SUBMIT_PATH, body).with("authorization", "Bearer ms-1").with("x-modelscope-async-mode", "true")
}

pub(super) fn poll(id: &str) -> HttpRequest {
    HttpRequest::get(format!("{TASK_PATH}{id}"))
        .with("authorization", "Bearer ms-1")
        .with("x-modelscope-task-type", "image_generation")
        .with("host", "127.0.0.1:9")
}

fn json(reply: &Reply) -> Value {
    let ReplyBody::Bytes(bytes) = &reply.body else { panic!("{reply:?} is a picture") };
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{} is not JSON", String::from_utf8_lossy(bytes)))
}

pub(super) fn submit(server: &mut Server, now: Timestamp, body: &str) -> String {
    let reply = server.handle(now, &submission(body));
    assert_eq!((reply.status, reply.delivery), (200, Delivery::Whole), "{reply:?}");
    json(&reply)["task_id"].as_str().unwrap().to_owned()
}

pub(super) fn status(server: &mut Server, now: Timestamp, id: &str) -> Value {
    let reply = server.handle(now, &poll(id));
    assert_eq!((reply.status, reply.delivery), (200, Delivery::Whole), "{reply:?}");
    json(&reply)
}

/// Returns the path of the image that this task produced.
pub(super) fn image_path(server: &mut Server, id: &str) -> String {
    let link = status(server, at(3_600_000), id)["output_images"][0].as_str().unwrap().to_owned();
    link.strip_prefix("http://127.0.0.1:9").unwrap().to_owned()
}

/// Asserts that the request is refused in the documented envelope, with these words, and that it is counted.
pub(super) fn assert_refused(
    server: &mut Server,
    request: &HttpRequest,
    status: u16,
    words: &str,
    reason: &str,
) -> Reply {
    let n_before = server.stats().n_refused(reason);
    let reply = server.handle(at(0), request);
    let body = json(&reply);
    assert_eq!((reply.status, &body["errors"]["code"]), (status, &json!(status)));
    assert!(body["errors"]["message"].as_str().unwrap().contains(words), "{body}");
    assert_eq!(body["request_id"].as_str().unwrap().len(), 36);
    assert_eq!(server.stats().n_refused(reason), n_before + 1);
    reply
}

pub(super) fn without(mut request: HttpRequest, header: &str) -> HttpRequest {
    request.headers.remove(header).unwrap();
    request
}

#[test]
fn a_task_goes_from_submission_to_picture() {
    let mut server = Server::new(calm());
    let id = submit(&mut server, at(0), CAT);
    assert_eq!(status(&mut server, at(100), &id)["task_status"], "PENDING");
    let running = status(&mut server, at(999), &id);
    assert_eq!((&running["task_status"], &running["outputs"]), (&json!("PROCESSING"), &json!({})));
    let done = status(&mut server, at(1000), &id);
    assert_eq!((&done["task_status"], &done["time_taken"]), (&json!("SUCCEED"), &json!(1000.0)));
    let link = done["output_images"][0].as_str().unwrap();
    let path = link.strip_prefix("http://127.0.0.1:9").unwrap();
    assert!(path.ends_with("a_golden_catYqwen-image.png"), "{path}");

    let reply = server.handle(at(1000), &HttpRequest::get(path));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
    let ReplyBody::Picture(picture) = reply.body else { panic!("{reply:?}") };
    assert_eq!(picture.size(), SIZE);
    assert_eq!(server.handle(at(1000), &HttpRequest::get(path.replace(".png", ".jpg"))).body, reply.body);
    assert_eq!((server.stats().n_submits, server.stats().n_polls, server.stats().n_images), (1, 3, 2));
}

#[test]
fn submissions_are_checked_and_refused_in_the_words_of_the_service() {
    let mut server = Server::new(calm());
    let bound = "Please bind your Alibaba Cloud account before use.";
    for token in ["", "Bearer ", "Bearer    ", "ms-1", "Basic ms-1"] {
        let request = submission(CAT).with("authorization", token);
        assert_refused(&mut server, &request, 401, bound, "unauthorized");
    }
    assert_refused(&mut server, &without(submission(CAT), "authorization"), 401, bound, "unauthorized");
    let synchronous = without(submission(CAT), "x-modelscope-async-mode");
    assert_refused(&mut server, &synchronous, 400, "does not support synchronous calls", "synchronous");
    let off = submission(CAT).with("x-modelscope-async-mode", "false");
    assert_refused(&mut server, &off, 400, "does not support synchronous calls", "synchronous");
    assert_refused(&mut server, &submission("{"), 400, "JSON", "invalid");
    assert_refused(&mut server, &submission(r#"{"model":"a/b"}"#), 400, "prompt is required", "invalid");
    let nobody = submission(r#"{"model":"nobody","prompt":"cat"}"#);
    assert_refused(&mut server, &nobody, 400, "Model id : nobody , has no provider supported", "model");
    let large = submission(&" ".repeat(BODY_BYTES_MAX + 1));
    assert_refused(&mut server, &large, 413, "too large", "too-large");
    assert_eq!((server.stats().n_accepted, server.accepted().len()), (0, 0));
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let mut server = Server::new(calm());
    for path in ["/", "", "/v1", "/v1/images", "/v1/images/generations/", "/v2/tasks/1", "/img", "/v1/chat/completions"]
    {
        assert_refused(&mut server, &HttpRequest::get(path), 404, path, "path");
    }
    for (path, method, allowed) in [
        (SUBMIT_PATH, "GET", "POST"),
        ("/v1/tasks/1", "DELETE", "GET"),
        ("/img/1.png", "HEAD", "GET"),
        (STATS_PATH, "POST", "GET"),
    ] {
        let request = HttpRequest { method: method.into(), ..HttpRequest::get(path) };
        let reply = assert_refused(&mut server, &request, 405, allowed, "method");
        assert_eq!(reply.header("allow"), Some(allowed));
    }
    assert_eq!(server.stats().n_submits, 0, "what is not a submission is not counted as one");
}

#[test]
fn one_token_may_be_asked_for() {
    let mut server = Server::new(SimulatorConfig { token: Some("ms-right".into()), ..calm() });
    assert_refused(&mut server, &submission(CAT), 401, "Alibaba", "unauthorized");
    let request = submission(CAT).with("authorization", "Bearer ms-right");
    assert_eq!(server.handle(at(0), &request).status, 200);
    assert_refused(&mut server, &poll("sim"), 401, "Alibaba", "unauthorized");
}

#[test]
fn a_poll_for_nobodys_task_is_answered_as_the_service_does() {
    let mut server = Server::new(calm());
    let id = submit(&mut server, at(0), CAT);
    let not_found = json!({ "code": 500, "message": "task not found" });
    let mut n_lost = 0;
    for request in [
        poll(""),
        poll("5075521"),
        poll(&id.replace("sim", "SIM")),
        poll(&format!("{id}/")),
        without(poll(&id), "x-modelscope-task-type"),
        poll(&id).with("x-modelscope-task-type", "text_generation"),
    ] {
        let reply = server.handle(at(2000), &request);
        assert_eq!((reply.status, &json(&reply)["task_status"]), (200, &json!("FAILED")), "{request:?}");
        assert_eq!(json(&reply)["errors"], not_found);
        n_lost += 1;
        assert_eq!(server.stats().n_polls_lost, n_lost);
    }
    assert_refused(&mut server, &without(poll(&id), "authorization"), 401, "Alibaba", "unauthorized");
}

#[test]
fn a_restarted_service_knows_its_tasks_and_pictures() {
    let mut first = Server::new(calm());
    let id = submit(&mut first, at(0), CAT);
    let path = image_path(&mut first, &id);
    let mut second = Server::new(SimulatorConfig { seed: 99, ..SimulatorConfig::default() });
    assert_eq!(status(&mut second, at(500), &id)["task_status"], "PROCESSING");
    assert_eq!(image_path(&mut second, &id), path);
    let request = HttpRequest::get(path);
    assert_eq!(second.handle(at(0), &request).body, first.handle(at(0), &request).body);
}

#[test]
fn pictures_are_drawn_at_the_size_that_was_asked_or_set() {
    let size_of = |config, body: &str| {
        let mut server = Server::new(config);
        let id = submit(&mut server, at(0), body);
        let path = image_path(&mut server, &id);
        let ReplyBody::Picture(picture) = server.handle(at(0), &HttpRequest::get(path)).body else {
            panic!("no picture")
        };
        picture.size().to_string()
    };
    let wide = r#"{"model":"Qwen/Qwen-Image","prompt":"a golden cat","size":"1024x768"}"#;
    assert_eq!(size_of(calm(), CAT), "512x512");
    assert_eq!(size_of(calm(), wide), "1024x768");
    let small = SimulatorConfig { image_size: Some(Size { width: 64, height: 48 }), ..calm() };
    assert_eq!(size_of(small, wide), "64x48");
}

#[test]
fn an_image_that_nobody_made_is_missing() {
    let mut server = Server::new(calm());
    for path in ["/img/", "/img/1.png", "/img/0123456789abcdef0123456789abcdef.png"] {
        assert_eq!(server.handle(at(0), &HttpRequest::get(path)).status, 404, "{path}");
    }
    let id = submit(&mut server, at(0), CAT);
    let path = image_path(&mut server, &id);
    assert_eq!(server.handle(at(0), &HttpRequest::get(path.replace(".png", ".gif"))).status, 404);
    assert_eq!(server.handle(at(0), &HttpRequest::get(path.replace(".png", ""))).status, 404);
}

#[test]
fn a_token_sent_to_the_image_host_is_noticed_and_not_needed() {
    let mut server = Server::new(calm());
    let id = submit(&mut server, at(0), CAT);
    let request = HttpRequest::get(image_path(&mut server, &id));
    assert_eq!((server.handle(at(0), &request).status, server.stats().n_token_leaks), (200, 0));
    assert_eq!(server.handle(at(0), &request.with("authorization", "Bearer ms-1")).status, 200);
    assert_eq!(server.stats().n_token_leaks, 1);
}

#[test]
fn contents_that_were_accepted_twice_are_counted() {
    let mut server = Server::new(calm());
    let ids = [CAT, r#"{ "prompt": "a golden cat", "model": "Qwen/Qwen-Image" }"#, CAT]
        .map(|body| submit(&mut server, at(0), body));
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "equal submissions are different tasks");
    submit(&mut server, at(0), r#"{"model":"Qwen/Qwen-Image","prompt":"a dog"}"#);
    let stats = server.stats();
    assert_eq!((stats.n_accepted, stats.n_contents, stats.n_accepted_twice), (4, 2, 2));
    assert_eq!((server.n_accepted(CAT.as_bytes()), server.n_accepted(b"{}"), server.n_accepted(b"{")), (3, 0, 0));
    assert_eq!(server.accepted().values().copied().collect::<std::collections::BTreeSet<_>>(), [1, 3].into());
}

#[test]
fn stats_are_served() {
    let mut server = faulty("poll-500");
    let id = submit(&mut server, at(0), CAT);
    server.handle(at(0), &poll(&id));
    server.handle(at(0), &HttpRequest::get("/nowhere"));
    let stats = json(&server.handle(at(0), &HttpRequest::get("/stats?pretty")));
    let expected = json!({
        "submits": 1, "accepted": 1, "billed": 0.0, "contents": 1, "accepted_twice": 0, "unfinished_max": 1, "polls": 1, "polls_lost": 0,
        "results": 0, "finds": 0, "repeated": 0,
        "images": 0, "images_continued": 0, "image_bytes": 0, "links_expired": 0, "token_leaks": 0, "refused": { "path": 1 }, "faults": { "poll-500": 1 },
    });
    assert_eq!(stats, expected);
}

#[test]
fn half_of_the_tasks_take_no_longer_than_the_median() {
    let config = SimulatorConfig { latency: Duration::from_secs(10), latency_sigma: 0.4, ..SimulatorConfig::default() };
    let mut server = Server::new(config);
    let mut secs: Vec<f64> = (0..2000)
        .map(|i| {
            let id = submit(&mut server, at(0), &format!(r#"{{"model":"a/b","prompt":"cat {i}"}}"#));
            Task::from_id(&id).unwrap().latency().as_secs_f64()
        })
        .collect();
    secs.sort_by(f64::total_cmp);
    assert!((9.5..10.5).contains(&secs[1000]), "the median is {}", secs[1000]);
    // One standard deviation to either side holds 68 % of a normal distribution.
    assert!((6.3..7.1).contains(&secs[317]) && (14.1..15.8).contains(&secs[1683]), "{} {}", secs[317], secs[1683]);
}

/// Goal: concurrent clients do not change the tasks from run to run. Method: submit the same contents in two orders.
#[test]
fn the_order_of_arrival_changes_nothing_about_a_task() {
    let dog = CAT.replace("cat", "dog");
    let config = SimulatorConfig {
        faults: ["task-failed=0.5".parse().unwrap()].into_iter().collect(),
        ..SimulatorConfig::default()
    };
    let lives = |order: [&str; 3]| {
        let mut server = Server::new(config.clone());
        order.map(|body| {
            let task = Task::from_id(&submit(&mut server, at(0), body)).unwrap();
            (task.latency(), task.fate(), task.picture())
        })
    };
    let [cat, again, other] = lives([CAT, CAT, &dog]);
    assert_eq!(lives([&dog, CAT, CAT]), [other, cat, again]);
    assert_ne!(cat.0, again.0, "a second try has its own lots");
}

#[test]
fn too_many_unfinished_tasks_are_refused() {
    let mut server =
        Server::new(SimulatorConfig { concurrency: Some(2), retry_after: Some(Duration::from_millis(1500)), ..calm() });
    submit(&mut server, at(0), CAT);
    submit(&mut server, at(0), CAT);
    let reply = assert_refused(&mut server, &submission(CAT), 429, "Too many requests", "concurrency");
    assert_eq!(reply.header("retry-after"), Some("2"));
    submit(&mut server, at(1000), CAT);
    assert_eq!((server.stats().n_accepted, server.stats().n_unfinished_max), (3, 2));
}

#[test]
fn submissions_that_come_too_fast_are_refused() {
    let mut server = Server::new(SimulatorConfig { rate: Some("2/s".parse().unwrap()), ..calm() });
    submit(&mut server, at(0), CAT);
    submit(&mut server, at(0), CAT);
    let reply = assert_refused(&mut server, &submission(CAT), 429, "limit_burst_rate", "rate");
    assert_eq!(reply.header("retry-after"), None, "the real service sends none");
    submit(&mut server, at(500), CAT);
}

#[test]
fn the_quota_lasts_for_a_day() {
    let mut server = Server::new(SimulatorConfig { quota: Some(1), ..calm() });
    let reply = server.handle(at(0), &submission(CAT));
    assert_eq!(reply.header("modelscope-ratelimit-requests-limit"), Some("1"));
    assert_eq!(reply.header("modelscope-ratelimit-requests-remaining"), Some("0"));
    let words = "You have exceeded today's quota for model Qwen/Qwen-Image, please try again tomorrow";
    assert_refused(&mut server, &submission(CAT), 429, words, "quota");
    submit(&mut server, at(24 * 3600 * 1000), CAT);
}

/// Goal: a prompt that is refused for its content is refused every time. Method: submit each prompt several times, to two servers.
#[test]
fn a_content_keeps_its_moderation() {
    let config = SimulatorConfig { fail_rate: 0.3, latency_sigma: 0.5, ..calm() };
    let (mut one, mut other) = (Server::new(config.clone()), Server::new(config));
    submit(&mut other, at(0), CAT);
    let mut n_moderated = 0;
    for i in 0..200 {
        let body = format!(r#"{{"model":"a/b","prompt":"cat {i}"}}"#);
        let ids = [submit(&mut one, at(0), &body), submit(&mut one, at(9), &body), submit(&mut other, at(0), &body)];
        let ends = ids.map(|id| status(&mut one, at(3_600_000), &id));
        assert!(ends.iter().all(|end| end["errors"] == ends[0]["errors"]), "{body} changed its mind");
        if ends[0]["task_status"] == "FAILED" {
            let expected = json!({ "code": 422, "message": "Output data may contain inappropriate content." });
            assert_eq!(ends[0]["errors"], expected);
            n_moderated += 1;
        }
    }
    assert!((40..80).contains(&n_moderated), "{n_moderated} of 200 at 0.3");
}

#[test]
fn answers_can_be_held_back() {
    let mut server = Server::new(SimulatorConfig { answer_delay: Duration::from_millis(80), ..calm() });
    assert_eq!(server.handle(at(0), &submission(CAT)).delay, Duration::from_millis(80));
    assert_eq!(server.handle(at(0), &HttpRequest::get("/nowhere")).delay, Duration::from_millis(80));
}
