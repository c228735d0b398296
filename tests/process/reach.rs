//! Limits on hostile inputs: the files that a manifest names, and the addresses that an API links to.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use crate::bench::{Bench, expect_code, quick, rows, stderr, stdout};
use crate::host::{Host, api_with_images_at, json, png, response, run_one};

/// Creates a manifest in a separate folder, whose prompts are the lines of this file. The secret is in another folder
/// next to it.
fn with_list(name: &str) -> Bench {
    let bench = Bench::new(quick());
    fs::create_dir_all(bench.path("own/wildcards")).unwrap();
    fs::create_dir(bench.path("other")).unwrap();
    bench.write("other/secret.txt", "geheim-4711\n");
    bench.write("own/inside.txt", "an owl\n");
    symlink("../other/secret.txt", bench.path("own/link.txt")).unwrap();
    symlink("../../other", bench.path("own/wildcards/more")).unwrap();
    assert!(Command::new("mkfifo").arg(bench.path("own/pipe.txt")).status().unwrap().success());
    bench.write("own/p.yaml", &format!("prompts:\n  - prompt: '{{s}}'\n    vars: {{s: {{from: '{name}'}}}}\n"));
    bench
}

const VERBS: [&[&str]; 4] =
    [&["validate", "own/p.yaml"], &["plan", "own/p.yaml", "-o", "out"], &["plan", "own/p.yaml", "--list"], RUN];

const RUN: &[&str] = &["run", "own/p.yaml", "-o", "out", "--provider", "simulator"];

/// Goal: nothing outside the manifest's folder is read, and nothing is sent. Method: each path out of the folder, with
/// each command.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_manifest_names_no_file_outside_its_folder() {
    for name in [
        "../other/secret.txt",
        "link.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "..",
        "../other/absent.txt",
        "/absent/absent.txt",
    ] {
        let bench = with_list(name);
        for args in VERBS {
            let output = bench.output(args);
            expect_code(&output, 2);
            let told = stderr(&output);
            assert!(told.contains("p.yaml:3:") || told.contains("p.yaml:3\n"), "{name}: {told}");
            assert!(told.contains("is outside the manifest's folder") && told.contains("--allow-files"), "{told}");
            assert!(!(told + &stdout(&output)).contains("geheim"), "{name}");
        }
        assert!(!bench.path("out").exists(), "{name}");
    }
    let bench = with_list("../other/secret.tx");
    assert!(!stderr(&bench.output(VERBS[0])).contains("secret.txt"), "what lies elsewhere is not suggested");
    let bench = with_list("pipe.txt");
    let output = bench.output(VERBS[0]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("it is a pipe"), "{}", stderr(&output));
    expect_code(&with_list("inside.txt").output(RUN), 0);
}

#[test]
fn wildcards_lead_no_further_either() {
    let bench = with_list("inside.txt");
    bench.write("own/p.yaml", "syntax: dynamic\nprompts:\n  - prompt: a __more/secret__\n");
    let output = bench.output(VERBS[0]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("is outside the manifest's folder"), "{}", stderr(&output));
    let allowed = bench.output(&[VERBS[0], &["--allow-files", "other"]].concat());
    expect_code(&allowed, 0);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn folders_that_the_user_allows_are_read() {
    let allow: [(&[&str], &str, i32); 6] = [
        (&["--allow-files", "other"], "", 0),
        (&["--allow-files", "own", "--allow-files", "other"], "", 0),
        (&["--allow-files", "own"], "", 2),
        (&["--allow-files", "absent"], "", 2),
        (&[], "own:other", 0),
        (&[], "own", 2),
    ];
    for (flags, variable, code) in allow {
        let bench = with_list("../other/secret.txt");
        let mut command = bench.command(&[RUN, flags].concat());
        if !variable.is_empty() {
            command.env("PROMPTBATCH_ALLOW_FILES", variable);
        }
        expect_code(&command.output().unwrap(), code);
        assert_eq!(bench.path("out").exists(), code == 0, "{flags:?} {variable}");
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_manifest_from_standard_input_names_files_of_the_current_folder() {
    for (name, code) in
        [("here.txt", 0), ("../here.txt", 2), ("own/inside.txt", 0), ("own/link.txt", 0), ("/etc/passwd", 2)]
    {
        let bench = with_list("inside.txt");
        bench.write("here.txt", "an owl\n");
        let mut child = bench
            .command(&["run", "-", "--format", "yaml", "-o", "out", "--provider", "simulator"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("prompts:\n  - prompt: '{{s}}'\n    vars: {{s: {{from: '{name}'}}}}\n");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
    }
}

/// Runs one job whose link, or the redirect of whose link, leads to `link`. Returns the error of the job, and the
/// output.
fn linked_to(link: &str, is_redirected: bool, flags: &[&str]) -> (String, Output) {
    let target = link.to_owned();
    let host = Host::new(move |_| response("302 Found", &format!("Location: {target}\r\n"), b""));
    let first = if is_redirected { format!("{}/x.png", host.url) } else { link.to_owned() };
    let api = api_with_images_at(first);
    let bench = Bench::new(quick());
    let output = run_one(&bench, &api.url, &[&["--retries", "1", "--request-timeout", "3s"], flags].concat());
    expect_code(&output, 100);
    let row = &rows(&bench.path("out/results.csv"))[0];
    assert_eq!((row["error_code"].as_str(), row["attempts"].as_str()), ("bad_output", "1"), "{link}: {row:?}");
    (row["error"].clone(), output)
}

/// Goal: an API cannot make this machine request an address that is not public. Method: links and redirects to internal
/// addresses, from an API on loopback. For that API only loopback is allowed, because the API itself is there.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn image_links_lead_to_no_inner_address() {
    let inner = [
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "2852039166",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
    ];
    for (i, host) in inner.into_iter().enumerate() {
        let (error, output) = linked_to(&format!("http://{host}/latest/meta-data?key=geheim-4711"), i % 2 == 0, &[]);
        assert!(error.contains("images are not fetched from"), "{host}: {error}");
        assert!(!(error + &stderr(&output)).contains("geheim"), "{host}: the query of a link is no business of a log");
    }
    let (error, _) = linked_to("http://[::ffff:a9fe:a9fe]/x", true, &[]);
    assert!(error.contains("the metadata service of cloud machines"), "{error}");
}

/// Returns an address by which other machines reach this one. `None` if there is none.
fn own_address() -> Option<IpAddr> {
    let by = |from: &str, to: &str| {
        let socket = UdpSocket::bind(from).ok()?;
        // Nothing is sent: the call only selects the local address.
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|own| !own.is_loopback() && TcpListener::bind((*own, 0)).is_ok())
    };
    by("0.0.0.0:0", "192.0.2.1:9").or_else(|| by("[::]:0", "[2001:db8::1]:9"))
}

/// Goal: an API on another machine cannot make this machine request itself, by any name. Method: an API at the
/// machine's address in its network.
#[test]
fn an_api_elsewhere_leads_to_its_own_network_and_not_to_this_machine() {
    let Some(own) = own_address() else { return };
    let listener = TcpListener::bind((own, 0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let inner = Host::new(|_| response("200 OK", "", &png()));
    let links = [
        format!("{base}/x.png"),
        format!("{}/x", inner.url),
        format!("{}/x", inner.url.replace("127.0.0.1", "localhost")),
    ];
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = [0; 4096];
            let n = connection.read(&mut head).unwrap_or(0);
            let request = String::from_utf8_lossy(&head[..n]).into_owned();
            let task = (0..links.len()).find(|n| {
                request.contains(&format!("\"prompt\":\"{n}\"")) || request.contains(&format!("/tasks/{n} "))
            });
            let answer = match task {
                Some(task) if request.starts_with("POST") => json(&format!(r#"{{"task_id":"{task}"}}"#)),
                Some(task) => json(&format!(r#"{{"task_status":"SUCCEED","output_images":["{}"]}}"#, links[task])),
                None => response("200 OK", "", &png()),
            };
            let _ = connection.write_all(&answer);
        }
    });
    let bench = Bench::new(quick());
    bench.write("p.csv", "prompt\n0\n1\n2\n");
    let output = bench.output(&["run", "p.csv", "-o", "out", "--retries", "1", "--base-url", &base]);
    expect_code(&output, 100);
    let rows = rows(&bench.path("out/results.csv"));
    let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("status"), ["succeeded", "failed", "failed"], "{}", stderr(&output));
    assert_eq!(column("error_code"), ["", "bad_output", "bad_output"], "{rows:?}");
    assert!(
        rows[1]["error"].contains("not fetched from 127.0.0.1, an address of this machine"),
        "{}",
        rows[1]["error"]
    );
    assert!(rows[2]["error"].contains("not fetched from localhost at "), "{}", rows[2]["error"]);
    assert!(inner.heads().is_empty(), "nothing was asked there");
}

/// Goal: the content of a page of an internal host appears nowhere. Method: an API on loopback, which may link there.
#[test]
fn what_an_inner_host_says_is_not_shown() {
    let host = Host::new(|_| response("200 OK", "", b"<html>root:x:0:0 geheim-4711"));
    let api = api_with_images_at(format!("{}/x", host.url));
    let bench = Bench::new(quick());
    let reports = ["--retries", "0", "-v", "--gallery", "--report", "junit=junit.xml", "--report", "md=summary.md"];
    let output = run_one(&bench, &api.url, &reports);
    expect_code(&output, 100);
    let row = &rows(&bench.path("out/results.csv"))[0];
    assert_eq!(row["error"], "the download is an HTML page, not an image: what it says is not shown");
    for path in ["out/results.csv", "out/gallery.html", "out/run.db", "junit.xml", "summary.md"] {
        let bytes = fs::read(bench.path(path)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"geheim"), "{path}");
    }
    assert!(!stderr(&output).contains("geheim"), "{}", stderr(&output));
}
