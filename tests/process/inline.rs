//! Providers of every kind under kill -9: images inside answers, lists of requests, and repeated ids.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png};

use crate::bench::{Bench, expect_code, quick, stderr};
use crate::host::read_request;
use crate::served::Served;

/// Provider, and the variable of its token.
type Named = (&'static str, &'static str);

/// Returns the command that runs the prompts at this provider, at an address on this machine.
fn run(bench: &Bench, (provider, token): Named, url: &str, more: &[&str]) -> Command {
    let args = ["run", "prompts.csv", "-o", "out", "--provider", provider, "--base-url", url, "--progress", "none"];
    let mut command = bench.command(&[&args[..], more].concat());
    command.env(token, "test-token").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Kills a run again and again, completes it, and returns the number of doubts and of images that were paid for twice.
fn killed(named: Named, n_jobs: usize, n_kills: usize) -> (u64, u64) {
    let bench = Bench::new(quick());
    bench.csv(n_jobs);
    let api = Served::new(&bench, &["--provider", named.0, "--latency", "300ms"]);
    let flags = ["-j", "8", "--resubmits", "50", "--retries", "50", "--in-doubt", "resubmit"];
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..n_kills {
        let mut child = run(&bench, named, &api.url, &flags).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(rng.u64(100..900)));
        let is_over = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_over, "{}: the run was over before all kills", named.0);
    }
    let output = run(&bench, named, &api.url, &flags).output().unwrap();
    expect_code(&output, 0);
    bench.check_images(n_jobs);
    assert!(!bench.path("out/spool").exists(), "what is saved is freed");
    let n_doubts = bench.results().iter().map(|row| row["submits_in_doubt"].parse::<u64>().unwrap()).sum();
    let n_twice = api.count("accepted") - n_jobs as u64;
    println!("{}: {n_kills} kills, {n_doubts} doubts, {n_twice} paid for twice", named.0);
    assert!(n_twice <= n_doubts, "{}: {n_twice} paid for twice, {n_doubts} told", named.0);
    assert_eq!(api.count("token_leaks"), 0);
    (n_doubts, n_twice)
}

/// Goal: no kill loses an image that came inside an answer, and each payment that it may repeat is told.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn kills_lose_no_image_of_an_answer() {
    let (n_doubts, _) = killed(("openai", "OPENAI_API_KEY"), 60, 12);
    assert!(n_doubts > 0, "the kills must bite");
}

/// Goal: a provider that knows the ids of submissions, or lists them, is asked, and nothing is paid for twice.
#[test]
#[ignore = "waits for lists to settle, minutes"]
fn kills_cost_nothing_where_submissions_can_be_found() {
    for named in [("runware", "RUNWARE_API_KEY"), ("replicate", "REPLICATE_API_TOKEN"), ("fal", "FAL_KEY")] {
        assert_eq!(killed(named, 60, 12).1, 0, "{}", named.0);
    }
}

/// Goal: an answer that is cut anywhere is a doubt that is told, and never an image. Method: cut every second one, at many bytes; then send all whole.
#[test]
fn an_answer_that_is_cut_at_any_byte_is_told() {
    let answer = answer(64, 64);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
    let whole = [head.as_bytes(), &answer].concat();
    let cuts: Vec<usize> = (1..20).map(|n| whole.len() * n / 20).chain([1, head.len(), whole.len() - 1]).collect();
    let bench = Bench::new(quick());
    bench.csv(2 * cuts.len());
    let (n_asked, n_cuts) = (Arc::new(AtomicUsize::new(0)), cuts.len());
    let url = serve(move |stream| {
        let nth = n_asked.fetch_add(1, Ordering::SeqCst);
        let cut = cuts.get(nth / 2).filter(|_| nth % 2 == 1);
        let _ = stream.write_all(&whole[..cut.copied().unwrap_or(whole.len())]);
    });
    let output = run(&bench, ("openai", "OPENAI_API_KEY"), &url, &["-j", "1", "--in-doubt", "hold"]).output().unwrap();
    expect_code(&output, 100);
    let rows = bench.results();
    let n_told = rows.iter().filter(|row| row["status"] == "in_doubt" && row["submits_in_doubt"] == "1").count();
    let n_done = rows.iter().filter(|row| row["status"] == "succeeded").count();
    // The last of them lacks only the final brace: its image is there, and is kept.
    assert_eq!((n_told, n_done), (n_cuts - 1, n_cuts + 1), "{}", stderr(&output));
    let again = ["retry", "out", "--only", "in_doubt", "--base-url", &url, "--progress", "none"];
    expect_code(&bench.command(&again).env("OPENAI_API_KEY", "test-token").output().unwrap(), 0);
    bench.check_images(2 * n_cuts);
}

/// Goal: memory does not grow with the images. Method: 64 answers of 40 MB at a time.
#[test]
#[ignore = "2.6 GB of answers, a minute with an optimized build"]
fn large_answers_at_once_need_little_memory() {
    let answer = Arc::new(answer(3200, 3200));
    assert!(answer.len() > 40_000_000);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
    let url = serve(move |stream| {
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer));
    });
    let bench = Bench::new(quick());
    bench.csv(64);
    let mut child = run(&bench, ("openai", "OPENAI_API_KEY"), &url, &["-j", "64"]).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak_kib(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(50));
    }
    expect_code(&child.wait_with_output().unwrap(), 0);
    bench.check_images(64);
    println!("peak of {} MB", most / 1024);
    assert!(most < 250 * 1024, "{most} KiB");
}

/// Returns the largest memory of a process so far, in KiB; `None` if it has ended.
fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Returns an answer of the shape of `openai` with a picture that hardly compresses.
fn answer(width: u32, height: u32) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take((width * height * 3) as usize).collect();
    let mut picture = Vec::new();
    let encoder =
        png::PngEncoder::new_with_quality(&mut picture, png::CompressionType::Fast, png::FilterType::NoFilter);
    encoder.write_image(&pixels, width, height, ExtendedColorType::Rgb8).unwrap();
    format!(r#"{{"created":1,"data":[{{"b64_json":"{}"}}]}}"#, STANDARD.encode(&picture)).into_bytes()
}

/// Serves every request with this function, and closes the connection. Returns the address.
fn serve(respond: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let respond = Arc::new(respond);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, respond) = (stream.unwrap(), Arc::clone(&respond));
            std::thread::spawn(move || {
                // A client may open a connection that it does not use.
                if !read_request(&mut stream).is_empty() {
                    respond(&mut stream);
                }
            });
        }
    });
    url
}
