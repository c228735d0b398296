//! Slow and interrupted downloads: an image that progresses arrives, and no byte is downloaded twice, even after a kill.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use promptbatch::internals::simulator::Picture;
use promptbatch::simulator::config::SimulatorConfig;

use crate::bench::{Bench, expect_code, files, quick, rows, stderr, wait_until};
use crate::host::{api_with_images_at, png, run_one};
use crate::wild::Wild;

/// Returns a service that sends pictures of this size, `line` bytes per second in all.
fn slow(line: u64, size: &str) -> SimulatorConfig {
    SimulatorConfig { line: Some(line), image_size: size.parse().ok(), latency_sigma: 0.0, ..quick() }
}

/// Goal: a slow connection is fully used, and nothing is downloaded twice. Method: request timeouts that are far
/// shorter than the download of all images. They are also shorter than the download of one image while all share the
/// connection.
#[test]
fn over_a_slow_line_all_images_arrive_in_its_time() {
    let bench = Bench::new(slow(100_000, "180x180"));
    bench.csv(20);
    let began = Instant::now();
    expect_code(&bench.run("prompts.csv", &["-j", "20", "--request-timeout", "2s", "--retries", "0"]), 0);
    let elapsed = began.elapsed().as_secs_f64();
    bench.check_images(20);
    let stats = bench.stats();
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand bytes")]
    let of_line = stats.n_image_bytes as f64 / 100_000.0;
    assert!(elapsed < 1.5 * of_line + 3.0, "{elapsed} s, of which the line needs {of_line}: {stats:?}");
    assert_eq!((stats.n_images, stats.n_images_continued), (20, 0), "{stats:?}");
    assert!(!bench.path("out/.partial").exists());
}

/// Goal: a kill costs at most the last second of a transfer. Method: one large image over a slow connection, and a
/// repeated kill -9 of the program.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_kill_in_the_middle_of_an_image_costs_little_of_it() {
    let bench = Bench::new(slow(200_000, "2000x2000"));
    bench.csv(1);
    for n_kills in 1..=2 {
        let before = bench.stats().n_image_bytes;
        let mut run = bench.spawn("prompts.csv", &["--metadata", "off"]);
        wait_until("a part of the image is kept", || bench.stats().n_image_bytes > before + 150_000);
        // Waits longer than the second in which bytes may be only in memory.
        thread::sleep(Duration::from_millis(500));
        run.kill().unwrap();
        run.wait().unwrap();
        let left = files(&bench.path("out/.partial"));
        assert_eq!(left.len(), 2, "a file and its journal after {n_kills} kills: {left:?}");
    }
    expect_code(&bench.run("prompts.csv", &["--metadata", "off"]), 0);
    bench.check_images(1);
    let image = fs::metadata(bench.path("out").join(&bench.results()[0]["file_name"])).unwrap().len();
    let stats = bench.stats();
    assert!(image > 600_000, "{image} bytes");
    // Two kills, each of which loses the bytes of the last second.
    assert!(
        stats.n_image_bytes < image + 2 * 250_000,
        "{} bytes for an image of {image}: {stats:?}",
        stats.n_image_bytes
    );
    assert!(stats.n_images_continued >= 1, "{stats:?}");
    assert_eq!((stats.n_accepted, stats.n_images), (1, 3), "{stats:?}");
    assert!(!bench.path("out/.partial").exists());
}

/// Host that gives its answers in turn, the last one forever, and records the `Range` of each request.
struct Ranged {
    host: Wild,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

type Answer = fn(&mut TcpStream, Option<usize>) -> std::io::Result<()>;

impl Ranged {
    fn new(answers: &'static [Answer]) -> Self {
        let ranges = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&ranges);
        let host = Wild::new(move |request, to| {
            let range =
                request.lines().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
            let start = range.map(|range| range.trim_end_matches('-').parse().unwrap());
            let n = {
                let mut kept = kept.lock().unwrap();
                kept.push(start);
                kept.len()
            };
            answers[(n - 1).min(answers.len() - 1)](to, start)
        });
        Self { host, ranges }
    }

    fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn image(seed: u64) -> Vec<u8> {
    Picture::new(seed, "200x200".parse().unwrap()).png()
}

/// Sends `n_bytes` bytes of an image from byte `start`, under these headers, and then breaks the connection.
fn send(to: &mut TcpStream, start: Option<usize>, image: &[u8], headers: &str, n_bytes: usize) -> std::io::Result<()> {
    let (begin, total) = (start.unwrap_or(0), image.len());
    let status = match start {
        None => "200 OK".to_owned(),
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {begin}-{}/{total}", total - 1),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", total - begin);
    to.write_all(head.as_bytes())?;
    to.write_all(&image[begin..total.min(begin.saturating_add(n_bytes))])
}

const STRONG: &str = "Accept-Ranges: bytes\r\nETag: \"one\"\r\n";

fn is_cut(to: &mut TcpStream, start: Option<usize>) -> std::io::Result<()> {
    send(to, start, &image(1), STRONG, 8_000)
}

fn goes_on(to: &mut TcpStream, start: Option<usize>) -> std::io::Result<()> {
    send(to, start, &image(1), STRONG, usize::MAX)
}

fn is_refused(to: &mut TcpStream, _: Option<usize>) -> std::io::Result<()> {
    crate::wild::respond(to, "403 Forbidden", "", b"expired")
}

/// Name of a course, its answers, and the ranges that are requested.
type Course = (&'static str, &'static [Answer], &'static [Option<usize>]);

/// Goal: a partial download continues only if the host confirms that the bytes are the same. Parts that do not fit
/// never form an image. They cost at most one more request, and no job. Method: one image whose first answer breaks
/// off, and many hosts.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_part_is_gone_on_with_only_where_that_is_right() {
    let lies: Answer = |to, start| {
        let other = image(2);
        send(to, start, &[&image(1)[..start.unwrap_or(0)], &other[start.unwrap_or(0)..]].concat(), STRONG, usize::MAX)
    };
    let shifted: Answer = |to, start| {
        let image = image(1);
        let begin = start.map_or(0, |start| start - 7);
        let range = format!("Content-Range: bytes {begin}-{}/{}\r\n", image.len() - 1, image.len());
        crate::wild::respond(to, "206 Partial Content", &format!("{range}{STRONG}"), &image[begin..])
    };
    let changed: Answer =
        |to, start| send(to, start, &image(3), "Accept-Ranges: bytes\r\nETag: \"two\"\r\n", usize::MAX);
    let ignores: Answer = |to, _| send(to, None, &image(1), STRONG, usize::MAX);
    let weak: Answer = |to, start| send(to, start, &image(1), "Accept-Ranges: bytes\r\nETag: W/\"one\"\r\n", 8_000);
    let satisfied: Answer = |to, start| match start {
        Some(_) => crate::wild::respond(to, "416 Range Not Satisfiable", "", b""),
        None => goes_on(to, None),
    };
    let courses: [Course; 8] = [
        ("goes on", &[is_cut, goes_on], &[None, Some(8_000)]),
        (
            "is cut again and again",
            &[is_cut, is_cut, is_cut, goes_on],
            &[None, Some(8_000), Some(16_000), Some(24_000)],
        ),
        ("refuses for a while", &[is_cut, is_refused, goes_on], &[None, Some(8_000), Some(8_000)]),
        ("ignores ranges", Box::leak(Box::new([is_cut as Answer, ignores])), &[None, Some(8_000)]),
        ("has another image", Box::leak(Box::new([is_cut as Answer, changed])), &[None, Some(8_000), None]),
        ("sends another part", Box::leak(Box::new([is_cut as Answer, shifted, goes_on])), &[None, Some(8_000), None]),
        ("sends other bytes", Box::leak(Box::new([is_cut as Answer, lies, goes_on])), &[None, Some(8_000), None]),
        ("says that there is no more", Box::leak(Box::new([is_cut as Answer, satisfied])), &[None, Some(8_000), None]),
    ];
    for (what, answers, ranges) in courses {
        let images = Ranged::new(answers);
        let api = api_with_images_at(format!("{}/x.png", images.host.url));
        let bench = Bench::new(quick());
        let output = run_one(&bench, &api.url, &["--retries", "1"]);
        assert_eq!(output.status.code(), Some(0), "{what}: {}", stderr(&output));
        assert_eq!(images.ranges(), ranges, "{what}");
        let expected = if what == "has another image" { image(3) } else { image(1) };
        let row = &rows(&bench.path("out/results.csv"))[0];
        assert!(fs::read(bench.path("out").join(&row["file_name"])).unwrap() == expected, "{what}: not the image");
        assert!(!bench.path("out/.partial").exists(), "{what}");
    }
    let images = Ranged::new(Box::leak(Box::new([weak, weak, goes_on as Answer])));
    let api = api_with_images_at(format!("{}/x.png", images.host.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "2"]), 0);
    assert_eq!(images.ranges(), [None, None, None], "a weak validator is none");
}

/// Goal: a failed job leaves no partial file. Method: a host that breaks off and then refuses.
#[test]
fn a_part_is_gone_when_its_job_has_failed() {
    let images = Ranged::new(&[is_cut, is_refused]);
    let api = api_with_images_at(format!("{}/x.png", images.host.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "0"]), 100);
    assert_eq!(rows(&bench.path("out/results.csv"))[0]["error_code"], "bad_output");
    assert_eq!(images.ranges(), [None, Some(8_000)]);
    assert!(!bench.path("out/.partial").exists());
}

/// Goal: a slow host that is never silent is waited for, even without another host for comparison. Method: a host that
/// takes longer than ten request timeouts.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_image_that_comes_slowly_is_waited_for() {
    let images = Ranged::new(&[|to, start| {
        let image = png();
        send(to, start, &image, "", 0)?;
        for piece in image.chunks(image.len().div_ceil(50)) {
            to.write_all(piece)?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }]);
    let api = api_with_images_at(format!("{}/x.png", images.host.url));
    let bench = Bench::new(quick());
    expect_code(&run_one(&bench, &api.url, &["--retries", "0", "--request-timeout", "400ms"]), 0);
    assert_eq!(images.ranges(), [None]);
}

/// Goal: a lack of file descriptors costs only time: no job, no doubt, no setback. Method: a process with a low limit
/// on open files.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn few_descriptors_cost_nothing_but_time() {
    for limit in [30, 64] {
        let bench = Bench::new(quick());
        bench.csv(150);
        let args = ["run", "prompts.csv", "-o", "out", "-j", "150", "--retries", "0", "--in-doubt", "fail", "-v"];
        let plain = bench.command(&[]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")]).arg(plain.get_program()).args(args);
        command.args(["--base-url", bench.simulator.url()]).current_dir(bench.folder.path());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        expect_code(&output, 0);
        bench.check_images(150);
        let stats = bench.stats();
        assert_eq!((stats.n_submits, stats.n_accepted, stats.n_accepted_twice), (150, 150, 0), "{limit}: {stats:?}");
        assert!(!stderr(&output).contains("setback"), "{limit}: {}", stderr(&output));
    }
}
