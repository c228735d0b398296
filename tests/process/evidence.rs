//! Evidence in answers, over real connections: ids in damaged answers, gateways in place of the API, answers of other tasks.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bench::{Bench, expect_code, quick, rows, stderr};
use crate::host::{Host, json, png, response, run_one};

/// Starts an API that answers submissions with `answer`, and whose tasks are done.
fn api_that_accepts_with(answer: Vec<u8>) -> (Host, Host) {
    let images = Host::new(|_| response("200 OK", "", &png()));
    let link = format!("{}/x.png", images.url);
    let done = json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{link}"]}}"#));
    let api = Host::new(move |head| if head.starts_with("post") { answer.clone() } else { done.clone() });
    (api, images)
}

fn n_posts(api: &Host) -> usize {
    api.heads().iter().filter(|head| head.starts_with("post")).count()
}

/// Goal: a task whose id can be read is polled, and not paid for again. Method: the id in answers that no strict parser
/// accepts.
#[test]
fn an_id_that_can_be_read_is_a_task() {
    let body = r#"{"task_id":"5075521","errors":{"code":500,"message":"busy"},"request_id":"r"}"#;
    let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = |headers: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n\r\n").into_bytes();
    let ways = [
        ("500", response("500 Broken", "", body.as_bytes())),
        ("503", response("503 Busy", "Retry-After: 1\r\n", body.as_bytes())),
        ("429", response("429 Slow", "", body.as_bytes())),
        ("400", response("400 Bad", "", body.as_bytes())),
        ("200 with errors", response("200 OK", "", body.as_bytes())),
        ("byte order mark", response("200 OK", "", format!("\u{feff}{body}").as_bytes())),
        ("UTF-16", response("200 OK", "", &utf16)),
        ("invalid UTF-8", response("200 OK", "", b"{\"note\":\"\xff\",\"task_id\":\"5075521\"}")),
        ("cut", [cut("Content-Length: 500"), br#"{"task_id":"5075521","reque"#.to_vec()].concat()),
        (
            "cut chunks",
            [cut("Transfer-Encoding: chunked"), b"16\r\n{\"task_id\":\"5075521\",\"\r\n50\r\nx".to_vec()].concat(),
        ),
        ("cut gzip", [cut("Content-Encoding: gzip\r\nContent-Length: 500"), gzip[..gzip.len() - 30].to_vec()].concat()),
        ("float", response("200 OK", "", br#"{"task_id":5075521.0}"#)),
    ];
    for (way, answer) in ways {
        let (api, _images) = api_that_accepts_with(answer);
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &["--in-doubt", "hold"]);
        assert!(output.status.success(), "{way}: {}", stderr(&output));
        let row = &rows(&bench.path("out/results.csv"))[0];
        let told = ["task_id", "attempts", "submits_in_doubt"].map(|column| row[column].as_str());
        assert_eq!((told, n_posts(&api)), (["5075521", "1", "0"], 1), "{way}");
    }
}

/// Goal: an answer that does not prove a refusal is counted. Method: answers that were treated as clear refusals
/// before, each once.
#[test]
fn an_answer_that_is_not_the_apis_own_refusal_is_counted() {
    let busy = r#"{"errors":{"code":503,"message":"Server is busy, please try again later"},"request_id":"r"}"#;
    for (status, body) in [
        ("503 Busy", busy),
        ("500 Broken", "try again later"),
        ("429 Slow", "<html>Too Many Requests</html>"),
        ("403 Forbidden", "<html>blocked by the firewall</html>"),
        ("404 Not Found", r#"{"message":"no Route matched with those values"}"#),
        ("400 Bad", r#"{"error":{"message":"model is loading","type":"upstream_error"}}"#),
        ("200 OK", "<html>sign in</html>"),
    ] {
        let answer = response(status, "", body.as_bytes());
        let api = Host::new(move |_| answer.clone());
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &["--in-doubt", "hold"]);
        assert!(!output.status.success(), "{status}: {}", stderr(&output));
        let row = &rows(&bench.path("out/results.csv"))[0];
        assert_eq!((row["submits_in_doubt"].as_str(), n_posts(&api)), ("1", 1), "{status} {body}: {row:?}");
    }
}

/// Goal: no page and no answer about another task ends a task, or gives it a wrong image. Method: such answers to the
/// first polls.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn polls_that_others_answer_are_silence() {
    let images = Host::new(|_| response("200 OK", "", &png()));
    let done = |id: &str, path: &str| {
        let link = format!("{}/{path}", images.url);
        json(&format!(r#"{{"task_id":"{id}","task_status":"SUCCEED","output_images":["{link}"]}}"#))
    };
    let answers = [
        response("404 Not Found", "", br#"{"status":404,"error":"Not Found"}"#),
        response("404 Not Found", "", br#"{"errors":{"message":"no Route matched"}}"#),
        done("another", "wrong.png"),
        response("401 Unauthorized", "", b"<html>"),
        done("5075521", "right.png"),
    ];
    let n_polls = AtomicUsize::new(0);
    let api = Host::new(move |head| {
        if head.starts_with("post") {
            return json(r#"{"task_id":"5075521"}"#);
        }
        answers[n_polls.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)].clone()
    });
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &[]);
    expect_code(&output, 0);
    assert_eq!(n_posts(&api), 1);
    assert!(images.heads().iter().all(|head| head.starts_with("get /right.png ")), "{:?}", images.heads());
}
