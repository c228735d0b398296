//! Servers with unfriendly behaviour: which hosts receive the token, and how a lost answer is classified.

use std::net::TcpListener;

use crate::bench::{Bench, expect_code, quick, rows, stderr};
use crate::host::{Host, api_with_images_at, json, png, response, run_one};

#[test]
fn the_image_host_never_sees_the_token_not_even_after_a_redirect() {
    let last = Host::new(|_| response("200 OK", "Content-Type: image/jpeg\r\n", &png()));
    let target = format!("{}/really.jpg", last.url);
    let first = Host::new(move |_| response("302 Found", &format!("Location: {target}\r\n"), b""));
    let api = api_with_images_at(format!("{}/image.jpg", first.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &[]), 0);
    assert!(api.heads().iter().all(|head| head.contains("authorization: bearer test-token")));
    for head in first.heads().iter().chain(&last.heads()) {
        assert!(!head.contains("authorization") && !head.contains("test-token"), "{head}");
    }
    assert_eq!((first.heads().len(), last.heads().len()), (1, 1));
    assert_eq!(
        rows(&bench.path("out/results.csv"))[0]["file_name"],
        "images/000001-a-cat.png",
        "the bytes are a PNG, whatever the link says"
    );
}

#[test]
fn the_headers_are_those_that_the_api_asks_for() {
    let images = Host::new(|_| response("200 OK", "", &png()));
    let api = api_with_images_at(format!("{}/x.png", images.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &format!("{}/v1/", api.url), &[]), 0);
    let heads = api.heads();
    assert!(heads[0].starts_with("post /v1/images/generations "), "{}", heads[0]);
    assert!(heads[0].contains("x-modelscope-async-mode: true") && heads[0].contains("content-type: application/json"));
    assert!(heads[1].starts_with("get /v1/tasks/5075521 "), "{}", heads[1]);
    assert!(heads[1].contains("x-modelscope-task-type: image_generation"));
}

#[test]
fn a_redirect_of_the_api_is_not_followed() {
    let other = Host::new(|_| json(r#"{"task_id":"stolen"}"#));
    let target = format!("{}/v1/images/generations", other.url);
    let api = Host::new(move |_| response("307 Temporary Redirect", &format!("Location: {target}\r\n"), b""));
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &[]);
    expect_code(&output, 3);
    assert!(other.heads().is_empty(), "neither the prompt nor the token goes there");
    assert!(stderr(&output).contains("--base-url"), "{}", stderr(&output));
}

#[test]
fn a_refused_connection_is_not_in_doubt() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bench = Bench::new(quick());
    let output = run_one(&bench, &format!("http://{closed}"), &["--retries", "1", "--in-doubt", "fail"]);
    expect_code(&output, 100);
    let row = &rows(&bench.path("out/results.csv"))[0];
    assert_eq!((row["error_code"].as_str(), row["attempts"].as_str()), ("transient", "2"), "{row:?}");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_unknown_host_and_a_failed_handshake_are_not_in_doubt() {
    let plain = Host::new(|_| b"this is no TLS".to_vec());
    for url in ["http://no-such-host.invalid".to_owned(), plain.url.replace("http:", "https:")] {
        let bench = Bench::new(quick());
        let output = run_one(&bench, &url, &["--retries", "0", "--in-doubt", "hold"]);
        expect_code(&output, 100);
        assert_eq!(rows(&bench.path("out/results.csv"))[0]["error_code"], "transient", "{url}: {}", stderr(&output));
    }
}

#[test]
fn a_lost_answer_is_in_doubt() {
    let garbage: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"task_id\":";
    let gateway = response("502 Bad Gateway", "Content-Type: text/html\r\n", b"<html>Bad Gateway</html>");
    for answer in [b"".to_vec(), garbage.to_vec(), gateway, json("{}"), b"nonsense".to_vec()] {
        let told = answer.clone();
        let api = Host::new(move |_| told.clone());
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &["--in-doubt", "hold"]);
        expect_code(&output, 100);
        let row = &rows(&bench.path("out/results.csv"))[0];
        assert_eq!(row["status"], "in_doubt", "{:?}: {}", String::from_utf8_lossy(&answer), stderr(&output));
        assert_eq!(api.heads().len(), 1, "held: not submitted again");
        let output = run_one(&bench, &api.url, &["--in-doubt", "hold"]);
        assert_eq!(api.heads().len(), 1, "not by the next run either: {}", stderr(&output));
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let api = Host::new(|_| response("200 OK", "", &vec![b' '; 3 << 20]));
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &["--in-doubt", "fail"]);
    expect_code(&output, 100);
    assert!(stderr(&output).contains("bytes"), "{}", stderr(&output));
}

#[test]
fn what_is_no_image_is_never_called_done() {
    let half = png()[..png().len() / 2].to_vec();
    for body in [b"<html>not found</html>".to_vec(), vec![], half, b"GIF89a".to_vec()] {
        let images = Host::new(move |_| response("200 OK", "Content-Type: image/png\r\n", &body));
        let api = api_with_images_at(format!("{}/x.png", images.url));
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &["--retries", "1"]);
        expect_code(&output, 100);
        assert_eq!(rows(&bench.path("out/results.csv"))[0]["error_code"], "bad_output", "{}", stderr(&output));
        let left: Vec<_> = std::fs::read_dir(bench.path("out/images")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(
            api.heads().iter().filter(|head| head.starts_with("post")).count(),
            1,
            "a bad image is not paid for again"
        );
    }
}
