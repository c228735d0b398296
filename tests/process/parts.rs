//! Tasks of several images: available images are kept, and missing ones are reported.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bench::{Bench, expect_code, files, quick, rows, stderr, stdout};
use crate::host::{Host, json, png, response, run_one};

/// Starts an API whose only task has these images.
fn api_of(links: &[String]) -> Host {
    let links = serde_json::json!(links).to_string();
    Host::new(move |head| {
        let is_submission = head.starts_with("post");
        json(&if is_submission {
            r#"{"task_id":"7"}"#.to_owned()
        } else {
            format!(r#"{{"task_status":"SUCCEED","output_images":{links}}}"#)
        })
    })
}

/// Goal: the available images of a task are kept, and the others are reported and downloaded later. Method: two images,
/// of which the second is missing until the third request for it.
#[test]
fn a_task_of_which_one_image_is_missing_keeps_the_other() {
    let n_asked = AtomicUsize::new(0);
    let host = Host::new(move |head| {
        let is_gone = head.contains("/two") && n_asked.fetch_add(1, Ordering::SeqCst) < 2;
        if is_gone { response("404 Not Found", "", b"") } else { response("200 OK", "", &png()) }
    });
    let api = api_of(&[format!("{}/one", host.url), format!("{}/two", host.url)]);
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "1"]), 100);
    let kept = rows(&bench.path("out/results.csv"));
    let n_asked = |name: &str| host.heads().iter().filter(|head| head.contains(name)).count();
    assert_eq!((kept.len(), n_asked("/one"), n_asked("/two")), (1, 1, 2), "{kept:?}");
    assert_eq!((kept[0]["status"].as_str(), kept[0]["error_code"].as_str()), ("failed", "bad_output"));
    assert!(kept[0]["error"].starts_with("image 2 of 2: could not download"), "{}", kept[0]["error"]);
    assert_eq!(files(&bench.path("out/images")), [kept[0]["file_name"].clone()]);
    let verified = bench.output(&["verify", "out"]);
    expect_code(&verified, 0);
    assert!(!stdout(&verified).contains("belong"), "no stray: {}", stdout(&verified));
    expect_code(&bench.output(&["gallery", "out"]), 0);
    assert!(fs::read_to_string(bench.path("out/gallery.html")).unwrap().contains(&kept[0]["sha256"]));
    expect_code(&bench.output(&["export", "out", "--to", "captions", "-o", "data"]), 0);
    expect_code(&bench.output(&["retry", "out", "--retries", "0"]), 0);
    let whole = rows(&bench.path("out/results.csv"));
    assert_eq!(whole.iter().map(|row| row["status"].as_str()).collect::<Vec<_>>(), ["succeeded"; 2]);
    assert_eq!(whole[0]["sha256"], kept[0]["sha256"]);
    assert_eq!((n_asked("/one"), n_asked("/two")), (1, 3), "only what is missing is fetched");
    let n_posts = api.heads().iter().filter(|head| head.starts_with("post")).count();
    assert_eq!(n_posts, 1, "nothing is paid for again");
    assert_eq!(files(&bench.path("out/images")).len(), 2);
}

#[test]
fn a_kept_image_that_is_damaged_is_fetched_again() {
    let host =
        Host::new(
            |head| if head.contains("/two") { response("404 Gone", "", b"") } else { response("200 OK", "", &png()) },
        );
    let api = api_of(&[format!("{}/one", host.url), format!("{}/two", host.url)]);
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "0"]), 100);
    let row = &rows(&bench.path("out/results.csv"))[0];
    fs::remove_file(bench.path("out").join(&row["file_name"])).unwrap();
    expect_code(&bench.output(&["verify", "out"]), 100);
    expect_code(&bench.output(&["retry", "out", "--retries", "0"]), 100);
    expect_code(&bench.output(&["verify", "out"]), 0);
    assert_eq!(files(&bench.path("out/images")), [row["file_name"].clone()]);
}

#[test]
fn images_beyond_the_limit_are_told() {
    let host = Host::new(|_| response("200 OK", "", &png()));
    for (n, code) in [(16, 0), (17, 100)] {
        let api = api_of(&(1..=n).map(|n| format!("{}/{n}", host.url)).collect::<Vec<_>>());
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &[]);
        expect_code(&output, code);
        let rows = rows(&bench.path("out/results.csv"));
        assert_eq!(rows.len(), 16);
        assert!(rows.iter().all(|row| !row["file_name"].is_empty()));
        if n == 17 {
            assert!(
                rows[0]["error"].starts_with("the task has 17 images, and at most 16 per task are fetched"),
                "{}",
                rows[0]["error"]
            );
            assert!(stderr(&output).contains("the task has 17 images"), "{}", stderr(&output));
        }
    }
    assert_eq!(host.heads().len(), 32, "nothing is fetched twice");
}
