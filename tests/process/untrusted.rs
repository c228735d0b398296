//! Untrusted inputs (manifests, outside text, every answer): no access to the memory, the terminal or the secret.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::bench::{Bench, expect_code, quick, rows, stderr, stdout};
use crate::wild::{Wild, caged, respond};

/// Maximum number of bytes that an endless manifest writes.
const ENDLESS_BYTES: usize = 1 << 30;

/// Control sequences, invisible characters and changes of direction, as a JSON string contains them.
const NASTY: &str = r"\u001b]0;owned\u0007\u001b[2J\u0000\u007f\u0085\u009b31m\u202egnp.tac\u2066\u061c\r\n\tend";

/// Writes a manifest while it is read: `begin`, and then `again` up to a gigabyte, or until the reader closes the pipe.
fn endless(bench: &Bench, name: &str, begin: &'static [u8], again: &'static [u8]) {
    let path = bench.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    thread::spawn(move || {
        let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
        let piece = again.repeat(1 + 65_536 / again.len());
        let mut n_left = ENDLESS_BYTES;
        let mut is_read = pipe.write_all(begin).is_ok();
        while is_read && n_left > 0 {
            is_read = pipe.write_all(&piece).is_ok();
            n_left = n_left.saturating_sub(piece.len());
        }
    });
}

/// Name of a file, its beginning, the repeated part, and the words of the expected error.
type Endless = (&'static str, &'static [u8], &'static [u8], &'static [&'static str]);

/// Goal: a gigabyte ends in a message with a line and a limit. Method: the program has less memory than that, and the
/// pipe has no end.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_manifest_without_end_ends_in_an_error() {
    const BYTES_MAX: &str = "longer than 33554432 bytes";
    let table: [Endless; 10] = [
        (
            "line.csv",
            b"prompt\na cat\n",
            b"and so on ",
            &["line.csv:3\n", "the row that begins here", BYTES_MAX, "split it"],
        ),
        (
            "quote.csv",
            b"prompt\n\"a cat\n",
            b"and\nso\non\n",
            &["quote.csv:2\n", BYTES_MAX, "close the quote", "on line 2"],
        ),
        ("header.csv", b"prompt,", b"x", &["header.csv:1\n", BYTES_MAX]),
        ("columns.csv", b"prompt", b",", &["columns.csv:1\n", "more than 10000 cells"]),
        ("cells.csv", b"prompt\n", b",", &["cells.csv:2\n", "more than 10000 cells"]),
        ("names.csv", b"prompt,", b"cccccccccc,", &["names.csv:1\n", "more than 10000 cells"]),
        ("list.yaml", b"", b"- a cat\n", &["one document has more than 4000000 lines", "line of `---`"]),
        ("line.tsv", b"prompt\n", b"and so on ", &["line.tsv:2\n", "the row that begins here", BYTES_MAX]),
        ("line.jsonl", b"{\"prompt\": \"a", b" cat", &["line.jsonl:1\n", "this line is longer than 32 MiB"]),
        ("line.txt", b"a cat\n", b"and so on ", &["line.txt:2\n", "this line is longer than 32 MiB"]),
    ];
    let bench = Bench::new(quick());
    for (name, begin, again, words) in table {
        endless(&bench, name, begin, again);
        let output = caged(&bench, &["run", name, "-o", "out", "--base-url", bench.simulator.url()]).output().unwrap();
        expect_code(&output, 2);
        assert!(words.iter().all(|part| stderr(&output).contains(part)), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).len() < 2000, "{} bytes of words", stderr(&output).len());
    }
    assert!(!bench.path("out").exists());
}

/// Checks that the output contains no character that a terminal obeys.
#[track_caller]
fn assert_safe(output: &Output) {
    for text in [stdout(output), stderr(output)] {
        let is_turning =
            |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || is_turning(c))), "{text:?}");
    }
}

#[test]
fn nothing_that_an_api_says_reaches_the_terminal_raw() {
    let api = Wild::new(|request, to| {
        let body = match request {
            request if request.starts_with("POST") && request.contains("refused") => {
                return respond(to, "400 Bad", "", format!("{{\"errors\":{{\"message\":\"{NASTY}\"}}}}").as_bytes());
            }
            request if request.starts_with("POST") && request.contains("garbled") => NASTY.to_owned(),
            request if request.starts_with("POST") => r#"{"task_id":"5\u202e5\u2066"}"#.to_owned(),
            request if request.contains("tasks/5") => {
                format!("{{\"task_status\":\"SUCCEED\",\"output_images\":[\"http://127.0.0.1:1/{NASTY}\"]}}")
            }
            _ => String::new(),
        };
        respond(to, "200 OK", "", body.as_bytes())
    });
    let bench = Bench::new(quick());
    bench.write(
        "p.csv",
        "prompt,\u{202e}note,id\n\"refused\n\u{202e}\",\"a\u{1b}[2J\r\n\u{0}\",1\ngarbled \u{9f},b,2\nlinked,c,3\n",
    );
    fs::write(bench.path("p.csv"), fs::read_to_string(bench.path("p.csv")).unwrap().replace('\u{9f}', "\t")).unwrap();
    let mut args =
        vec!["run", "p.csv", "-o", "out", "-v", "--retries", "0", "--in-doubt", "fail", "--base-url", &api.url];
    args.extend(["--max-outage", "20s"]);
    let output = bench.output(&args);
    expect_code(&output, 75);
    assert_safe(&output);
    assert!(stderr(&output).contains("\\u{1b}]0;owned"), "said, and escaped: {}", stderr(&output));
    assert_safe(&bench.output(&["status", "out"]));
    let rows = rows(&bench.path("out/results.csv"));
    assert_eq!(
        rows.iter().map(|row| row["status"].as_str()).collect::<Vec<_>>(),
        ["failed", "failed", "running"],
        "one CSV of three rows"
    );
    assert_eq!(rows[0]["\u{202e}note"], "a\u{1b}[2J\n\u{0}", "as it was given, but for the kind of its line end");
}

#[test]
fn nothing_that_was_typed_reaches_the_terminal_raw() {
    let bench = Bench::new(quick());
    let nasty = "a\u{1b}[31m\u{7}\u{9b}2J\u{202e}b";
    let nasty_csv = &format!("{nasty}.csv");
    bench.write(nasty_csv, &format!("prompt,{nasty},{nasty}\n"));
    bench.write("p.csv", "prompt\na cat\n");
    bench.write("p.yaml", &format!("- a\n- prompt: b\n  \"\\e]0;x\\a\\u202e{}\": c\n", "d".repeat(5000)));
    fs::create_dir(bench.path(nasty)).unwrap();
    fs::write(bench.path(nasty).join("run.db"), "not a ledger of ours, but long enough to be taken for one").unwrap();
    let cases: [&[&str]; 13] = [
        &[nasty],
        &["run", nasty],
        &["run", nasty_csv],
        &["validate", nasty_csv],
        &["validate", "p.yaml"],
        &["run", "p.csv", "--rate", nasty],
        &["run", "p.csv", &format!("--{nasty}")],
        &["run", "p.csv", "--base-url", nasty],
        &["run", "p.csv", "--prompt-col", nasty],
        &["run", "p.csv", "--set", &format!("{nasty}=1")],
        &["run", "p.csv", "--token-file", nasty, "-o", "other"],
        &["run", "p.csv", "--provider", "simulator", "-o", nasty],
        &["status", nasty],
    ];
    for args in cases {
        let output = bench.output(args);
        assert!(!output.status.success(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
        assert_safe(&output);
    }
    for args in [&["run", "p.csv"][..], &["run", "--help"]] {
        assert_safe(&bench.command(args).env("PROMPTBATCH_RATE", nasty).output().unwrap());
    }
}

/// Reports whether these bytes are in any file of a folder, or of its subfolders.
fn is_in(folder: &Path, secret: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        let has = |path: &Path| fs::read(path).unwrap().windows(secret.len()).any(|window| window == secret);
        if path.is_dir() { is_in(&path, secret) } else { has(&path) }
    })
}

/// Goal: the token is in no message, file or command line, whatever the API repeats of it.
///
/// Method: an API that repeats the token, in every part of an answer that is read. Each part is tested separately.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_token_that_the_api_repeats_is_nowhere() {
    let secret = "geheim-4711-0815";
    let escaped = secret.replace('g', "\\u0067");
    let ways: [(&str, String); 8] = [
        ("401 Unauthorized", format!(r#"{{"errors":{{"code":401,"message":"no such token: Bearer {secret}"}}}}"#)),
        ("500 Broken", format!(r#"{{"errors":{{"code":500,"message":"{escaped}"}}}}"#)),
        ("500 Broken", format!("<html>Authorization: Bearer {secret}</html>")),
        ("400 Bad", format!(r#"{{"error":"{secret}{secret}"}}"#)),
        ("429 Slow", format!(r#"{{"errors":{{"message":"quota of {secret}"}}}}"#)),
        (
            "200 OK",
            format!(
                r#"{{"task_id":"{escaped}","task_status":"SUCCEED","output_images":["http://127.0.0.1:1/{secret}"]}}"#
            ),
        ),
        ("200 OK", format!(r#"{{"task_status":"FAILED","errors":{{"code":422,"message":"{secret}"}}}}"#)),
        ("200 OK", format!("{}{secret}", " ".repeat(70))),
    ];
    for (status, body) in ways {
        let told = body.clone();
        let api = Wild::new(move |request, to| {
            let is_accepted = request.starts_with("POST") && told.contains("FAILED");
            let body = if is_accepted { r#"{"task_id":"7"}"# } else { &told };
            respond(to, status, "Retry-After: geheim-4711-0815\r\n", body.as_bytes())
        });
        let bench = Bench::new(quick());
        bench.write("p.csv", "prompt\na cat\n");
        let args = [
            "run",
            "p.csv",
            "-o",
            "out",
            "-v",
            "--retries",
            "1",
            "--in-doubt",
            "fail",
            "--resubmits",
            "0",
            "--task-timeout",
            "2s",
            "--max-outage",
            "20s",
            "--base-url",
            &api.url,
        ];
        let mut command = bench.command(&args);
        command.env("MODELSCOPE_API_KEY", secret).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let line = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success() && api.n_requests("POST") > 0, "{body}: {}", stderr(&output));
        let status = bench.output(&["status", "out"]);
        for text in [stdout(&output), stderr(&output), stdout(&status), String::from_utf8_lossy(&line).into_owned()] {
            assert!(!text.contains(secret), "{body}: {text}");
        }
        assert!(stderr(&output).contains("(the token)"), "{body}: what hides it is seen: {}", stderr(&output));
        assert!(!is_in(&bench.path("out"), secret.as_bytes()), "{body}");
    }
}
