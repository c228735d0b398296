//! Image links: interrupted downloads that continue, links that expire, and images that are not wanted.

use std::fs;
use std::io::Write;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, quick, rows, stderr};
use crate::host::{Host, api_with_images_at, json, png, response, run_one};

/// Returns a JPEG of 640 x 400 grey pixels whose blocks take one byte each, whatever their shade. Mixed with another
/// such JPEG, it would still look complete.
fn jpeg(seed: u8) -> Vec<u8> {
    let block = |n: u32| u8::try_from((n * 7 + u32::from(seed) * 3) % 64).unwrap() << 1;
    let data: Vec<u8> = (0..4000).map(block).collect();
    let quantization = [&b"\xff\xdb\0\x43\0"[..], &[1; 64]].concat();
    let frame = b"\xff\xc0\0\x0b\x08\x01\x90\x02\x80\x01\x01\x11\0";
    // Each table has one code of one bit. Six bits follow for the shade, and then the block ends.
    let huffman = |class: u8, symbol: u8| [&[0xff, 0xc4, 0, 0x14, class, 1][..], &[0; 15], &[symbol]].concat();
    let scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0";
    let parts: [&[u8]; 8] =
        [b"\xff\xd8", &quantization, frame, &huffman(0, 6), &huffman(0x10, 0), scan, &data, b"\xff\xd9"];
    parts.concat()
}

/// Header of a host that can continue an image.
const RANGES: &str = "Accept-Ranges: bytes\r\n";

/// Returns an answer whose connection breaks after `n_bytes` bytes of the promised body.
fn cut(status: &str, headers: &str, body: &[u8], n_bytes: usize) -> Vec<u8> {
    let mut answer = response(status, headers, body);
    answer.truncate(answer.len() - body.len() + n_bytes);
    answer
}

/// Returns the start of the requested range. `None` if the client requests the whole image.
fn range_start(head: &str) -> Option<usize> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    Some(range.strip_suffix('-').expect("a range to the end").parse().unwrap())
}

fn rest_headers(image: &[u8], start: usize, etag: &str) -> String {
    format!("Content-Range: bytes {start}-{}/{}\r\nETag: {etag}\r\n", image.len() - 1, image.len())
}

fn n_polls(api: &Host) -> usize {
    api.heads().iter().filter(|head| head.starts_with("get /v1/tasks/")).count()
}

/// Returns the only image of a run, and checks that no other file is next to it.
fn only_image(bench: &Bench) -> Vec<u8> {
    let names: Vec<_> = fs::read_dir(bench.path("out/images")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [name] = names.as_slice() else { panic!("{names:?}") };
    fs::read(name).unwrap()
}

fn never_sees_the_token(host: &Host) {
    assert!(host.heads().iter().all(|head| !head.contains("authorization") && !head.contains("test-token")));
}

/// Goal: no byte is downloaded twice. Method: a host that breaks off every 1,000 bytes, or ends there as if the image
/// were complete.
#[test]
fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let image = jpeg(1);
    let date = "Last-Modified: Tue, 24 Nov 2026 08:00:00 GMT\r\nDate: Tue, 24 Nov 2026 08:00:01 GMT\r\n";
    let etag = "ETag: \"one\"\r\n";
    for (mark, is_broken) in [(etag, true), (date, true), (etag, false)] {
        let whole = image.clone();
        let images = Host::new(move |head| {
            let start = range_start(head);
            let rest = &whole[start.unwrap_or(0)..];
            let some = &rest[..rest.len().min(1000)];
            let Some(start) = start else { return cut("200 OK", &format!("{RANGES}{mark}"), rest, some.len()) };
            let headers = format!("Content-Range: bytes {start}-{}/{}\r\n{mark}", whole.len() - 1, whole.len());
            let body = if is_broken { rest } else { some };
            cut("206 Partial Content", &headers, body, some.len())
        });
        let api = api_with_images_at(format!("{}/x.jpg", images.url));
        let bench = Bench::new(quick());
        expect_code(&run_one(&bench, &api.url, &["--retries", "0"]), 0);
        assert_eq!(only_image(&bench), image);
        let heads = images.heads();
        let starts: Vec<_> = heads.iter().map(|head| range_start(head)).collect();
        assert_eq!(starts, [None, Some(1000), Some(2000), Some(3000), Some(4000)], "{mark}");
        let value = mark.split("\r\n").next().unwrap().split_once(": ").unwrap().1.to_lowercase();
        assert!(heads[1..].iter().all(|head| head.contains(&format!("if-range: {value}"))), "{heads:?}");
        assert_eq!(n_polls(&api), 1, "the link is as good as before");
        never_sees_the_token(&images);
    }
}

#[test]
fn a_download_goes_on_through_the_redirect_that_it_began_with() {
    let image = jpeg(1);
    let last = Host::new(move |head| {
        let start = range_start(head).unwrap_or(0);
        let rest = &image[start..];
        let headers = format!("{RANGES}{}", rest_headers(&image, start, "\"one\""));
        if start == 0 { cut("200 OK", &headers, rest, 1500) } else { response("206 Partial Content", &headers, rest) }
    });
    let target = format!("{}/really.jpg", last.url);
    let first = Host::new(move |_| response("302 Found", &format!("Location: {target}\r\n"), b""));
    let api = api_with_images_at(format!("{}/x.jpg", first.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "0"]), 0);
    assert_eq!(only_image(&bench), jpeg(1));
    for host in [&first, &last] {
        let starts: Vec<_> = host.heads().iter().map(|head| range_start(head)).collect();
        assert_eq!(starts, [None, Some(1500)]);
        never_sees_the_token(host);
    }
}

/// Checks an interrupted download. The first answer breaks off, and `answer` replies to the request for the rest. A
/// fresh start finds the image `found_after`. `is_asked_anew` says whether there is a fresh start. If not, the answer
/// itself is the whole image.
fn goes_on_with(answer: impl Fn(usize) -> Vec<u8> + Send + 'static, found_after: &[u8], is_asked_anew: bool) {
    let (one, found) = (jpeg(1), found_after.to_vec());
    let n_whole = Mutex::new(0);
    let images = Host::new(move |head| {
        if let Some(start) = range_start(head) {
            return answer(start);
        }
        let mut n_whole = n_whole.lock().unwrap();
        *n_whole += 1;
        let headers = format!("{RANGES}ETag: \"one\"\r\n");
        if *n_whole == 1 { cut("200 OK", &headers, &one, 1500) } else { response("200 OK", "", &found) }
    });
    let api = api_with_images_at(format!("{}/x.jpg", images.url));
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &["--retries", "0", "-v"]);
    expect_code(&output, 0);
    assert_eq!(only_image(&bench), found_after);
    let starts: Vec<_> = images.heads().iter().map(|head| range_start(head)).collect();
    let expected = [None, Some(1500), None];
    assert_eq!((starts.as_slice(), n_polls(&api)), (&expected[..if is_asked_anew { 3 } else { 2 }], 1));
    never_sees_the_token(&images);
}

#[test]
fn a_host_that_ignores_the_range_sends_the_whole_image() {
    goes_on_with(|_| response("200 OK", "ETag: \"one\"\r\n", &jpeg(1)), &jpeg(1), false);
}

#[test]
fn an_image_that_changed_meanwhile_is_never_mixed_with_what_it_was() {
    let etag = "\"two\"";
    let marked = format!("ETag: {etag}\r\n");
    goes_on_with(move |_| response("200 OK", &marked, &jpeg(2)), &jpeg(2), false);
    let careless = move |start| {
        let image = jpeg(2);
        response("206 Partial Content", &rest_headers(&image, start, etag), &image[start..])
    };
    goes_on_with(careless, &jpeg(2), true);
}

#[test]
fn a_part_from_the_wrong_place_never_gets_into_an_image() {
    let image = jpeg(1);
    let part = move |from: usize, headers: &str| {
        response("206 Partial Content", &format!("{headers}ETag: \"one\"\r\n"), &jpeg(1)[from..])
    };
    let n_bytes = image.len();
    let at = move |first: usize| format!("Content-Range: bytes {first}-{}/{n_bytes}\r\n", n_bytes - 1);
    goes_on_with(move |start| part(start - 1, &at(start - 1)), &image, true);
    goes_on_with(move |start| part(start + 1, &at(start + 1)), &image, true);
    goes_on_with(move |_| part(0, &at(0)), &image, true);
    goes_on_with(move |start| part(start, ""), &image, true);
    // The header names the right position, and the body has more bytes than the rest.
    goes_on_with(move |start| part(start - 100, &at(start)), &image, true);
    goes_on_with(|_| response("416 Range Not Satisfiable", "", b""), &image, true);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_host_that_cannot_tell_images_apart_is_not_asked_for_ranges() {
    for headers in ["", RANGES, "ETag: \"one\"\r\n", "Accept-Ranges: bytes\r\nETag: W/\"one\"\r\n"] {
        let n_asked = Mutex::new(0);
        let images = Host::new(move |_| {
            let mut n_asked = n_asked.lock().unwrap();
            *n_asked += 1;
            if *n_asked == 1 { cut("200 OK", headers, &jpeg(1), 1500) } else { response("200 OK", headers, &jpeg(1)) }
        });
        let api = api_with_images_at(format!("{}/x.jpg", images.url));
        let bench = Bench::new(quick());
        expect_code(&run_one(&bench, &api.url, &["--retries", "1"]), 0);
        assert_eq!(only_image(&bench), jpeg(1));
        let starts: Vec<_> = images.heads().iter().map(|head| range_start(head)).collect();
        assert_eq!(starts, [None, None], "{headers}");
    }
}

/// Goal: silence is a break too. Method: a host that stops in the middle and keeps the connection open.
#[test]
fn a_host_that_falls_silent_is_asked_for_the_rest() {
    let images = Host::talking(|head, connection| {
        let image = jpeg(1);
        let start = range_start(head).unwrap_or(0);
        let headers = format!("{RANGES}{}", rest_headers(&image, start, "\"one\""));
        let status = if start == 0 { "200 OK" } else { "206 Partial Content" };
        connection.write_all(&cut(status, &headers, &image[start..], 1500.min(image.len() - start))).unwrap();
        let held = connection.try_clone().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(20));
            drop(held);
        });
    });
    let api = api_with_images_at(format!("{}/x.jpg", images.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "0", "--request-timeout", "1s"]), 0);
    assert_eq!(only_image(&bench), jpeg(1));
    let starts: Vec<_> = images.heads().iter().map(|head| range_start(head)).collect();
    assert_eq!(starts, [None, Some(1500), Some(3000)]);
}

/// Goal: links that expire before the queue ends cost only polls. Method: one delayed download at a time, so that the
/// queue takes several lifetimes.
#[test]
fn links_that_expire_in_the_queue_are_replaced_by_fresh_ones() {
    let lifetime = Some(Duration::from_secs(2));
    let bench =
        Bench::new(SimulatorConfig { answer_delay: Duration::from_millis(120), link_lifetime: lifetime, ..quick() });
    bench.csv(40);
    expect_code(&bench.run("prompts.csv", &["-j", "40", "--downloads", "1", "--retries", "2"]), 0);
    bench.check_images(40);
    let stats = bench.stats();
    assert!(stats.n_polls > 40, "the queue must outlive the links: {stats:?}");
    assert_eq!(stats.n_images - stats.n_links_expired, 40, "{stats:?}");
    assert!(stats.n_links_expired < 10, "a link that has expired is not followed: {stats:?}");
    assert_eq!((stats.n_accepted, stats.n_accepted_twice, stats.n_token_leaks), (40, 0, 0));
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn cuts_and_expired_links_cost_no_image() {
    let faults = ["image-cut=0.4", "image-expired=0.2"].map(|text| text.parse().unwrap());
    let bench = Bench::new(SimulatorConfig { faults: faults.into_iter().collect(), ..quick() });
    bench.csv(100);
    expect_code(&bench.run("prompts.csv", &["-j", "100"]), 0);
    bench.check_images(100);
    let stats = bench.stats();
    assert!(stats.n_images_continued > 10 && stats.faults.len() == 2, "the faults must bite: {stats:?}");
    assert_eq!((stats.n_accepted, stats.n_accepted_twice, stats.n_token_leaks), (100, 0, 0));
}

/// Returns a PNG that is correct in every byte and claims this size.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let crc = crc32fast::hash(&[kind, data].concat()).to_be_bytes();
        [length.as_slice(), kind, data, &crc].concat()
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = chunk(b"IHDR", &[size.as_slice(), b"\x08\x02\0\0\0"].concat());
    [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &chunk(b"IDAT", b"x"), &chunk(b"IEND", b"")].concat()
}

/// Returns the error of a run whose image host gives this answer, and the output of the run.
fn refused(answer: Vec<u8>, flags: &[&str]) -> (String, Output) {
    let images = Host::new(move |_| answer.clone());
    let api = api_with_images_at(format!("{}/x.png", images.url));
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &[flags, &["--retries", "0"]].concat());
    expect_code(&output, 100);
    let row = &rows(&bench.path("out/results.csv"))[0];
    assert_eq!((row["status"].as_str(), row["error_code"].as_str()), ("failed", "bad_output"), "{row:?}");
    assert_eq!(fs::read_dir(bench.path("out/images")).unwrap().count(), 0);
    (row["error"].clone(), output)
}

#[test]
fn what_is_no_image_that_is_wanted_is_named() {
    let ok = |body: &[u8]| response("200 OK", "Content-Type: image/png\r\n", body);
    let without_length = |body: &[u8]| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body].concat();
    // The answer promises more than could ever arrive, and the run must not wait for it.
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec();
    let half = &png()[..png().len() / 2];
    let long = format!("the download is {} bytes long, more than the limit of 500 (--image-bytes-max)", png().len());
    let small = ["--image-bytes-max", "500"];
    for (answer, flags, words) in [
        (ok(&png()), &small[..], long.as_str()),
        (without_length(&png()), &small, "larger than the limit of 500 bytes (--image-bytes-max)"),
        (endless, &[], "the download is 99999999999 bytes long, more than the limit of 67108864"),
        (ok(&png()), &["--image-pixels-max", "1023"], "32x32 pixels, more than the limit of 1023 (--image-pixels-max)"),
        (ok(&png_of(100_000, 100_000)), &[], "100000x100000 pixels, more than the limit of 100000000"),
        (ok(&png_of(1 << 31, 1 << 31)), &[], "2147483648x2147483648 pixels"),
        (ok(&png_of(0, 5)), &[], "it has no pixels"),
        (ok(b"<!DOCTYPE html><title>sorry</title>"), &[], "an HTML page, not an image"),
        (ok(b"{\"error\":\"sorry\"}"), &[], "JSON, not an image"),
        (ok(b"GIF89a\x01\0\x01\0"), &[], "a GIF, not a PNG"),
        (ok(half), &[], "the image is cut off after"),
        (without_length(half), &[], "the image is cut off after"),
        (ok(b""), &[], "the download is empty"),
        (without_length(b""), &[], "the download is empty"),
    ] {
        let (error, output) = refused(answer, flags);
        assert!(error.contains(words), "{words} is missing in: {error}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

#[test]
fn the_limits_are_flags_and_variables() {
    for args in [["--image-bytes-max", "0"], ["--image-bytes-max", "64M1B"], ["--image-pixels-max", "64MiB"]] {
        let bench = Bench::new(quick());
        bench.csv(1);
        expect_code(&bench.run("prompts.csv", &args), 2);
    }
    let images = Host::new(|_| response("200 OK", "", &png()));
    let api = api_with_images_at(format!("{}/x.png", images.url));
    for (variable, value, code) in [
        ("PROMPTBATCH_IMAGE_BYTES_MAX", "500", 100),
        ("PROMPTBATCH_IMAGE_BYTES_MAX", "1MB", 0),
        ("PROMPTBATCH_IMAGE_PIXELS_MAX", "1023", 100),
        ("PROMPTBATCH_IMAGE_PIXELS_MAX", "1024", 0),
    ] {
        let bench = Bench::new(quick());
        bench.csv(1);
        let args = ["run", "prompts.csv", "-o", "out", "--base-url", &api.url, "--retries", "0"];
        expect_code(&bench.command(&args).env(variable, value).output().unwrap(), code);
    }
}

/// Goal: a host that asks for a wait is asked again after it, without a poll and without a failed attempt. Method: it refuses two
/// downloads, and no retry is allowed.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_image_host_that_names_a_wait_is_asked_again_after_it() {
    for refusal in ["429 Too Many Requests", "503 Slow Down"] {
        let n_left = Mutex::new(2);
        let host = Host::new(move |_| {
            let mut n_left = n_left.lock().unwrap();
            if *n_left == 0 {
                return response("200 OK", "", &png());
            }
            *n_left -= 1;
            response(refusal, "Retry-After: 1\r\n", b"")
        });
        let api = api_with_images_at(host.url.clone());
        let bench = Bench::new(quick());
        expect_code(&run_one(&bench, &api.url, &["--retries", "0"]), 0);
        assert_eq!((host.heads().len(), n_polls(&api)), (3, 1), "{refusal}");
        assert_eq!(rows(&bench.path("out/results.csv"))[0]["status"], "succeeded");
    }
}

/// Goal: an image host out of reach stops the run with the reason, and the same command fetches the paid image. Method: nothing listens
/// at the first link.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_lost_image_host_stops_the_run_and_the_same_command_fetches_the_image() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = Host::new(|_| response("200 OK", "", &png()));
    let link = Arc::new(Mutex::new(format!("http://{free}/a.png")));
    let now = Arc::clone(&link);
    let api = Host::new(move |head| {
        if head.starts_with("post ") {
            return json(r#"{"task_id":"7"}"#);
        }
        json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{}"]}}"#, now.lock().unwrap()))
    });
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &["--max-outage", "30s"]);
    expect_code(&output, 75);
    let words = "stopped: no image could be downloaded for too long (--max-outage): could not download";
    assert!(stderr(&output).contains(words), "{}", stderr(&output));
    assert_eq!(rows(&bench.path("out/results.csv"))[0]["status"], "running");
    link.lock().unwrap().clone_from(&host.url);
    expect_code(&run_one(&bench, &api.url, &[]), 0);
    let n_posts = api.heads().iter().filter(|head| head.starts_with("post")).count();
    assert_eq!((n_posts, only_image(&bench)), (1, png()));
}
