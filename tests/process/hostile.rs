//! Hostile API and image host: absurd answers cause no hang, no memory growth and no wrong conclusion.

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use promptbatch::internals::simulator::Picture;

use crate::bench::{Bench, expect_code, quick, rows, stderr};
use crate::wild::{Wild, caged, for_ever, respond, slowly};

/// Name of an answer, and the function that writes it.
type Answer = (&'static str, fn(&mut TcpStream) -> io::Result<()>);

/// Absurd answers, given to any request.
const ABSURD: [Answer; 17] = [
    ("a header without end", |to| for_ever(to, b"HTTP/1.1 200 OK\r\nX: ", b"x")),
    ("headers without end", |to| for_ever(to, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")),
    ("a status without end", |to| for_ever(to, b"HTTP/1.1 200 ", b"OK")),
    ("continues without end", |to| slowly(to, b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    ("ten thousand headers", |to| respond(to, "200 OK", &"X: y\r\n".repeat(10_000), b"{}")),
    ("a chunked body without end", |to| slowly(to, CHUNKED, b"1\r\n \r\n")),
    ("a chunk without end", |to| for_ever(to, &[CHUNKED, b"fffffffffffffff\r\n"].concat(), b" ")),
    ("a chunk's length without end", |to| slowly(to, CHUNKED, b"0")),
    ("trailers without end", |to| for_ever(to, &[CHUNKED, b"0\r\n"].concat(), b"X: y\r\n")),
    ("a body over the limit", |to| for_ever(to, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"[")),
    ("a body drop by drop", drip),
    ("deep JSON", |to| respond(to, "200 OK", "", "[".repeat(100_000).as_bytes())),
    ("a deep task", |to| respond(to, "200 OK", "", format!("{{\"task_id\":{}", "{\"a\":".repeat(100_000)).as_bytes())),
    ("a number that is none", |to| respond(to, "200 OK", "", br#"{"task_id":1e999,"task_status":7}"#)),
    ("a task id that no address can hold", |to| respond(to, "200 OK", "", br#"{"task_id":"\u0000\u001b[2J"}"#)),
    ("no UTF-8", |to| respond(to, "200 OK", "", b"{\"task_id\":\"\xff\xfe\",\"task_status\":\"\xff\"}")),
    ("zeros", |to| respond(to, "200 OK", "", &[0; 100_000])),
];

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn drip(to: &mut TcpStream) -> io::Result<()> {
    to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
    loop {
        to.write_all(b" ")?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// Refused redirects of an image, in addition to the absurd answers.
const REDIRECTS: [Answer; 8] = [
    ("a redirect to itself", |to| respond(to, "302 Found", "Location: ?\r\n", b"")),
    ("a redirect to a file", |to| respond(to, "302 Found", "Location: file:///etc/passwd\r\n", b"")),
    ("a redirect to data", |to| respond(to, "301 Moved", "Location: data:image/png;base64,AA\r\n", b"")),
    ("a redirect to FTP", |to| respond(to, "307 Temporary", "Location: ftp://127.0.0.1/x\r\n", b"")),
    ("a redirect to nowhere", |to| respond(to, "302 Found", "", b"")),
    ("a redirect to nothing", |to| respond(to, "302 Found", "Location: http://\r\n", b"")),
    ("a redirect to bytes", |to| {
        to.write_all(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://\x1b\xff/\r\n\r\n")
    }),
    ("a long redirect", |to| respond(to, "302 Found", &format!("Location: /{}\r\n", "x".repeat(300_000)), b"")),
];

/// Links that lead to no image.
const LINKS: [&str; 7] = [
    "file:///etc/passwd",
    "data:image/png;base64,iVBORw0KGgo=",
    "ftp://127.0.0.1/x.png",
    "x.png",
    "http://",
    "javascript:1",
    "\\u0000\\u001b",
];

fn png(to: &mut TcpStream) -> io::Result<()> {
    respond(to, "200 OK", "", &Picture::new(7, "32x32".parse().unwrap()).png())
}

/// Writes a manifest whose prompts are the numbers from 0.
fn numbers(bench: &Bench, n: usize) {
    let numbers: Vec<_> = (0..n).map(|n| n.to_string()).collect();
    bench.write("n.csv", &format!("prompt\n{}\n", numbers.join("\n")));
}

const QUICK: [&str; 6] = ["-v", "-j", "50", "--request-timeout", "2s", "--base-url"];

fn run(bench: &Bench, url: &str, more: &[&str]) -> std::process::Output {
    let args = [&["run", "n.csv", "-o", "out"], &QUICK[..], &[url], more].concat();
    caged(bench, &args).output().unwrap()
}

/// Returns the number in the prompt of a submission.
fn number(request: &str) -> usize {
    request.rsplit_once("\"prompt\":\"").unwrap().1.split('"').next().unwrap().parse().unwrap()
}

/// Returns the number at the end of a path such as `/v1/tasks/7`.
fn last(request: &str) -> usize {
    request.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().parse().unwrap()
}

/// Uses a few answers at a time: eight lost answers in a row look like an outage, for whose end the run waits.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_absurd_answer_to_a_submission_is_in_doubt() {
    for answers in ABSURD.chunks(7) {
        let answers = answers.to_vec();
        let whats: Vec<&str> = answers.iter().map(|(what, _)| *what).collect();
        let api = Wild::new(move |request, to| answers[number(request)].1(to));
        let bench = Bench::new(quick());
        numbers(&bench, whats.len());
        let output = run(&bench, &api.url, &["--in-doubt", "hold"]);
        expect_code(&output, 100);
        for (row, what) in rows(&bench.path("out/results.csv")).iter().zip(&whats) {
            assert_eq!(
                (row["status"].as_str(), row["attempts"].as_str()),
                ("in_doubt", "1"),
                "{what}: {}",
                row["error"]
            );
            assert!(row["error"].len() < 1000, "{what}: {}", row["error"].len());
        }
        assert_eq!(api.n_requests("POST"), whats.len(), "none is submitted again");
    }
}

/// Goal: an absurd answer to a poll or a download costs one more of these, and never one more submission.
///
/// Method: the first answer to each poll and to each image request is absurd, and the second is correct.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn absurd_answers_to_polls_and_downloads_are_asked_for_again() {
    let answers: Vec<Answer> = ABSURD.into_iter().chain(REDIRECTS).collect();
    let n = answers.len();
    let seen = Mutex::new(HashSet::new());
    let absurd_first = move |request: &str, to: &mut TcpStream| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let is_first = seen.lock().unwrap().insert(path);
        is_first.then(|| answers[last(request)].1(to))
    };
    let host = Wild::new(move |request, to| absurd_first(request, to).unwrap_or_else(|| png(to)));
    let images = host.url.clone();
    let seen = Mutex::new(HashSet::new());
    let api = Wild::new(move |request, to| {
        if request.starts_with("POST") {
            return respond(to, "200 OK", "", format!("{{\"task_id\":{}}}", number(request)).as_bytes());
        }
        let task = last(request);
        match ABSURD.get(task) {
            Some((_, answer)) if seen.lock().unwrap().insert(task) => answer(to),
            _ => {
                let body = format!("{{\"task_status\":\"SUCCEED\",\"output_images\":[\"{images}/{task}\"]}}");
                respond(to, "200 OK", "", body.as_bytes())
            }
        }
    });
    let bench = Bench::new(quick());
    numbers(&bench, n);
    expect_code(&run(&bench, &api.url, &[]), 0);
    bench.check_images(n);
    assert_eq!(api.n_requests("POST"), n);
    assert!((0..n).all(|i| host.n_requests(&format!("GET /{i} ")) >= 2), "each was absurd once");
}

#[test]
fn links_that_lead_to_no_image_are_named_and_not_followed() {
    let api = Wild::new(|request, to| {
        if request.starts_with("POST") {
            return respond(to, "200 OK", "", format!("{{\"task_id\":{}}}", number(request)).as_bytes());
        }
        let long = "https://x/".repeat(100_000);
        let links = LINKS.into_iter().chain(["", &long]).nth(last(request)).unwrap();
        respond(to, "200 OK", "", format!("{{\"task_status\":\"SUCCEED\",\"output_images\":[\"{links}\"]}}").as_bytes())
    });
    let bench = Bench::new(quick());
    numbers(&bench, LINKS.len() + 2);
    let output = run(&bench, &api.url, &["--retries", "1"]);
    expect_code(&output, 100);
    for row in rows(&bench.path("out/results.csv")) {
        assert_eq!(row["error_code"], "bad_output", "{row:?}");
        assert!(row["error"].len() < 500 && row["attempts"] == "1", "{row:?}");
    }
    assert!(stderr(&output).contains("the link file:///etc/passwd is not a web address"), "{}", stderr(&output));
}

#[test]
fn a_chain_of_redirects_has_an_end() {
    let host = Wild::new(|request, to| {
        let next = last(request) + 1;
        respond(to, "302 Found", &format!("Location: /{next}\r\n"), b"")
    });
    let link = format!("{}/0", host.url);
    let api = Wild::new(move |request, to| {
        if request.starts_with("POST") {
            return respond(to, "200 OK", "", br#"{"task_id":"1"}"#);
        }
        respond(to, "200 OK", "", format!("{{\"task_status\":\"SUCCEED\",\"output_images\":[\"{link}\"]}}").as_bytes())
    });
    let bench = Bench::new(quick());
    numbers(&bench, 1);
    let output = run(&bench, &api.url, &["--retries", "0"]);
    expect_code(&output, 100);
    assert!(stderr(&output).contains("too many redirects"), "{}", stderr(&output));
    assert_eq!(host.n_requests("GET"), 6);
}
