//! Every error that a user can meet, as a set in one file: what happened, where, and what to do.
//!
//! The program itself produces the errors of command lines. Errors that need a broken disk or a foreign ledger are
//! constructed by hand. They are compared with the variants in the source, so that a new kind of error is added here too.
//! The mistakes in manifests are those of the corpus.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display, Write as _};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use promptbatch::images::error::StoreError;
use promptbatch::images::validate::verdict::NotAnImage;
use promptbatch::images::verify::Damage;
use promptbatch::model::outcome::ImageFormat;
use promptbatch::provider::spec::ConnectError;
use promptbatch::report::GalleryWriteError;
use promptbatch::report::ResultsError;
use promptbatch::run::export::ExportError;
use promptbatch::store::error::{DatabaseFailure, LedgerError};

use crate::bench::{Bench, quick, stderr, stdout};

fn io_error(kind: ErrorKind) -> io::Error {
    kind.into()
}

fn lines<E: Display>(title: &str, errors: impl IntoIterator<Item = E>) -> String {
    let lines: Vec<_> = errors.into_iter().map(|error| format!("error: {error}\n")).collect();
    format!("# {title}\n\n{}\n", lines.concat())
}

/// Checks that `errors` has every variant of the enum in this file of `src`. The names of the variants are the first words of
/// their lines, four spaces in.
fn check_all(file: &str, errors: &[impl Debug]) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
    let variants = text.split_once("pub enum ").unwrap().1.split_once("\n}").unwrap().0;
    let is_word = |c: char| c.is_alphanumeric();
    let first_word = |text: &str| text.split(|c| !is_word(c)).next().unwrap().to_owned();
    let names = variants.lines().filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(is_word)));
    let names: BTreeSet<String> = names.map(first_word).collect();
    let listed: BTreeSet<String> = errors.iter().map(|error| first_word(&format!("{error:?}"))).collect();
    assert!(names.len() > 2, "{file}: {names:?}");
    assert_eq!(listed, names, "{file}");
}

fn of_ledgers() -> Vec<LedgerError> {
    let path = || Path::new("out/run.db").to_owned();
    let busy = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(5), Some("database is locked".into()));
    let all = vec![
        LedgerError::Locked { path: path(), pid: "4711".into() },
        LedgerError::Missing { path: "out".into() },
        LedgerError::Foreign { path: path() },
        LedgerError::Newer { path: path(), found: 9, known: 2 },
        LedgerError::OtherProvider { path: path(), found: "simulator".into(), wanted: "modelscope https://x/".into() },
        LedgerError::Older { path: path(), what: "it ends with event 12, and 40 had been recorded".into() },
        LedgerError::Link { path: path() },
        LedgerError::Moved { path: path() },
        LedgerError::Full { path: path() },
        LedgerError::Database { path: path(), failure: DatabaseFailure::Busy, source: busy.into() },
        LedgerError::Io { path: path(), source: io_error(ErrorKind::PermissionDenied) },
        LedgerError::Damaged { path: path(), what: "a job cannot be decoded".into() },
        LedgerError::Fenced { path: path() },
        LedgerError::Forgotten { path: path() },
        LedgerError::Unreachable { path: path(), minutes: 60, what: "connection refused".into() },
        LedgerError::Lent { path: "out".into(), place: "postgres://me@db/images?run=cats".into() },
        LedgerError::Server {
            place: "postgres://me@db/images?run=cats".into(),
            what: "its server runs with fsync = off, and may lose what it has confirmed".into(),
            remedy: "switch the setting on, and restart the server",
        },
        LedgerError::NoAnswer { what: "postgres://me@db/images?run=cats: no connection in time".into() },
        LedgerError::WriterStopped,
    ];
    check_all("store/error.rs", &all);
    all
}

fn of_stores() -> Vec<StoreError> {
    let path = || Path::new("out/images").to_owned();
    let refused = |kind| StoreError::Io { doing: "write to", path: path(), cause: io_error(kind) };
    let all = vec![
        refused(ErrorKind::StorageFull),
        refused(ErrorKind::PermissionDenied),
        refused(ErrorKind::TimedOut),
        StoreError::Link { path: path() },
        StoreError::Moved { path: path() },
        StoreError::Storage {
            doing: "write",
            url: "s3://bucket/cats/images/000001-a-cat.png".into(),
            cause: "the answer was 403 AccessDenied".into(),
            remedy: "check the address, the keys and the rights in the environment",
            is_outage: false,
        },
        StoreError::PlainHttp { url: "s3://bucket/cats".into(), variable: "AWS_ALLOW_HTTP" },
        StoreError::NoCloud { url: "s3://bucket/cats".into() },
    ];
    check_all("images/error.rs", &all);
    all
}

fn of_images() -> Vec<NotAnImage> {
    let all = vec![
        NotAnImage::Empty,
        NotAnImage::Text { what: "an HTML page", beginning: "<html><body>Not Found".into() },
        NotAnImage::Other { what: "a GIF" },
        NotAnImage::CutOff { n_bytes: 1000, bytes_min: 5000 },
        NotAnImage::Damaged { format: ImageFormat::Png, near: 812, why: "a chunk's checksum is wrong" },
        NotAnImage::PixelsEnd { format: ImageFormat::Png, n_rows: 17, n_rows_max: 512 },
        NotAnImage::TooLong { bytes_max: 64 << 20 },
        NotAnImage::TooLarge { width: 20_000, height: 20_000, pixels_max: 100_000_000 },
    ];
    check_all("images/validate/verdict.rs", &all);
    all
}

fn of_exports() -> Vec<ExportError> {
    let dir = || Path::new("out/export/webdataset").to_owned();
    let damaged = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(11), Some("malformed".into()));
    vec![
        ExportError::Foreign { dir: dir() },
        ExportError::AmongImages { dir: "out/images".into() },
        ExportError::Other { dir: dir(), was: "--to captions".into(), wanted: "--to webdataset".into() },
        ExportError::OtherRun { dir: dir() },
        ExportError::Held { dir: dir() },
        ExportError::Shard { path: dir().join("train-000000.tar"), damage: Damage::Missing },
        ExportError::Taken { url: "s3://bucket/cats/train-000000.tar".into() },
        ExportError::StoredShard { url: "s3://bucket/cats/train-000000.tar".into(), damage: Damage::Missing },
        ExportError::ForeignObject { place: "s3://bucket/cats".into(), url: "s3://bucket/cats/README.md".into() },
        ExportError::Changed { file_name: "images/000001-a-cat.png".into(), damage: Damage::Content },
        ExportError::State { path: dir().join("export.db"), source: damaged.into() },
        ExportError::Io { path: dir(), cause: io_error(ErrorKind::StorageFull) },
        ExportError::NoParquet,
    ]
}

/// Command lines that can only be mistakes. `URL` is replaced by the address of the bench's API.
const CANNOT_BE_MEANT: &[&[&str]] = &[
    &[],
    &["rnu"],
    &["run"],
    &["run", "absent.yaml"],
    &["run", "folder"],
    &["run", "prompts.doc"],
    &["run", "empty.csv"],
    &["run", "-"],
    &["run", "prompts.csv", "--rate", "fast"],
    &["run", "prompts.csv", "--burst", "0"],
    &["run", "prompts.csv", "-j", "0"],
    &["run", "prompts.csv", "--downloads", "0"],
    &["run", "prompts.csv", "--task-timeout", "soon"],
    &["run", "prompts.csv", "--image-bytes-max", "large"],
    &["run", "prompts.csv", "--image-pixels-max", "large"],
    &["run", "prompts.csv", "--encoding", "klingon"],
    &["run", "prompts.csv", "--format", "doc"],
    &["run", "prompts.csv", "--prompt-col", "text"],
    &["run", "prompts.csv", "--set", "size"],
    &["run", "prompts.csv", "--set", "sise=1x1"],
    &["run", "prompts.csv", "--set", "seed=many"],
    &["run", "prompts.csv", "--base-url", "ftp://x"],
    &["run", "prompts.csv", "--token-file", "absent"],
    &["run", "prompts.csv", "--token-file", "token"],
    &["run", "prompts.csv", "--provider", "dalle"],
    &["run", "prompts.csv", "--name", "{index}.png"],
    &["run", "prompts.csv", "--name", "{index"],
    &["run", "prompts.csv", "--name", "{index:x}"],
    &["run", "prompts.csv", "--name", "a b"],
    &["run", "prompts.csv", "--name", "/{index}"],
    &["run", "prompts.csv", "--name", "{colour}"],
    &["run", "prompts.csv", "-o", "out", "--base-url", "URL", "--name", "{id}"],
    &["run", "prompts.csv", "--image-format", "gif"],
    &["run", "prompts.csv", "--image-quality", "0"],
    &["run", "prompts.csv", "--report", "xml=x"],
    &["run", "prompts.csv", "--report", "junit=absent/x.xml"],
    &["run", "prompts.csv", "--fail-under", "lots"],
    &["plan", "prompts.csv", "--price", "cheap"],
    &["status", "absent"],
    &["retry", "out", "--only", "bad_luck"],
    &["log", "out", "99"],
    &["redo", "out", "99"],
    &["results", "absent"],
    &["results", "out", "--format", "xml"],
    &["verify", "absent"],
    &["gallery", "absent"],
    &["gallery", "out", "--jobs", "nine"],
    &["export", "out", "--to", "zip"],
    &["export", "out", "--to", "captions", "--caption", "colour"],
    &["export", "out", "--to", "captions", "--caption", "{prompt"],
    &["export", "out", "--to", "captions", "-o", "out/images"],
    &["export", "out", "--to", "captions", "-o", "folder", "--split", "a=b"],
    &["init", "prompts.txt"],
    &["init", "prompts.csv"],
    &["completions", "csh"],
    &["man", "rnu"],
    &["simulate", "--fault", "gremlins=0.5"],
    &["simulate", "--provider", "dalle"],
    &["simulate", "--provider", "absent.yaml"],
    &["simulate", "--provider", "prompts.csv"],
];

/// Returns the messages of the program for command lines that can only be mistakes.
fn of_command_lines() -> String {
    let bench = Bench::new(quick());
    bench.csv(2);
    bench.write("empty.csv", "");
    bench.write("token", "two words");
    fs::create_dir(bench.path("folder")).unwrap();
    assert_eq!(bench.run("prompts.csv", &["--name", "{index}"]).status.code(), Some(0));
    let mut text = "# Command lines\n\n".to_owned();
    for args in CANNOT_BE_MEANT {
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "URL" { bench.simulator.url() } else { arg }).collect();
        // If one of the command lines is valid after all, it contacts only the bench's API.
        let output = bench.command(&args).env("PROMPTBATCH_BASE_URL", bench.simulator.url()).output().unwrap();
        let code = output.status.code().unwrap();
        assert!([2, 3].contains(&code), "{args:?} ends with {code}: {}{}", stdout(&output), stderr(&output));
        let words = stderr(&output).replace(bench.simulator.url(), "URL");
        let shown = args.join(" ").replace(bench.simulator.url(), "URL");
        // The usage text of clap repeats the help, which has its own snapshots.
        let said: Vec<_> = words.lines().take_while(|line| !line.starts_with("Usage:")).collect();
        let _ = writeln!(text, "$ promptbatch {shown}\n{}\n", said.join("\n").trim_end());
    }
    text
}

fn is_headed(line: &str) -> bool {
    ["error: ", "warning: "].iter().any(|head| line.starts_with(head))
}

/// Returns the first mistake in each manifest of the corpus.
fn of_manifests() -> String {
    let bench = Bench::new(quick());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/bad");
    let mut paths: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    assert!(paths.len() > 40);
    let mut text = "# Mistakes in manifests, the first of each file\n\n".to_owned();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = stderr(&bench.output(&["validate", path.to_str().unwrap()]));
        let mut said = said.lines().filter(|line| is_headed(line) || line.trim_start().starts_with("= help: "));
        let (what, help) = (said.next().unwrap_or_default(), said.next().unwrap_or_default());
        assert!(is_headed(what), "{name}");
        let help = if is_headed(help) { String::new() } else { format!("\n{}", help.trim_start()) };
        let _ = writeln!(text, "{name}: {what}{help}");
    }
    text + "\n"
}

#[test]
fn every_error_that_a_user_can_meet() {
    let full = || io_error(ErrorKind::StorageFull);
    let connect = [
        ConnectError::Unknown("midjourney".into()),
        ConnectError::UntrustedBaseUrl { place: "https://example.org/".into() },
        ConnectError::Start { what: "the simulated API", source: io_error(ErrorKind::AddrInUse) },
    ];
    let text = [
        of_command_lines(),
        lines("Providers", connect),
        lines("Ledgers", of_ledgers()),
        lines("Our own disk", of_stores()),
        lines("Downloads that are no image: faults of a job", of_images()),
        lines(
            "Results and galleries",
            [
                ResultsError { path: "out/results.csv".into(), cause: full() }.to_string(),
                GalleryWriteError { path: "out/gallery.html".into(), cause: full() }.to_string(),
            ],
        ),
        lines("Exports", of_exports()),
        of_manifests(),
    ];
    let text = text.concat();
    for line in text.lines().filter(|line| line.starts_with("error: could not")) {
        assert!(line.contains(';') || line.contains(':'), "an error says what to do, or what the system said: {line}");
    }
    insta::assert_snapshot!("every-error", text);
}
