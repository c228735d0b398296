//! Extensions from outside: a provider, a manifest format, a report and a reporter that are written here, with the public
//! traits and tables alone.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use futures::{StreamExt, stream};

use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use promptbatch::manifest::entry::Entry;
use promptbatch::manifest::fields::field::Field;
use promptbatch::manifest::fields::field_entry::FieldEntry;
use promptbatch::manifest::fields::value::UnparsedValue;
use promptbatch::manifest::formats::columns::ColumnOptions;
use promptbatch::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use promptbatch::manifest::input::hashing_reader::HashingReader;
use promptbatch::manifest::input::text::ManifestInput;
use promptbatch::manifest::lists::ListFiles;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::job::JobSpec;
use promptbatch::model::limits::Limits;
use promptbatch::model::outcome::{Acceptance, Fault, FaultKind, Outcome, Status, TaskId, Url};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::phase::JobRecord;
use promptbatch::model::progress::NoProgress;
use promptbatch::model::request::Request;
use promptbatch::model::snapshot::RunSnapshot;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::model::time::Moment;
use promptbatch::provider::config::ProviderConfig;
use promptbatch::provider::http::token::Token;
use promptbatch::provider::spec::{ConnectError, ProviderSpec, TokenSource};
use promptbatch::provider::{Download, Provider};
use promptbatch::report::ci::{ReportSpec, ReportWriter};
use promptbatch::report::{Reporter, Reporters};
use promptbatch::run::batch::Batch;
use promptbatch::run::consent::Consent;
use promptbatch::run::credentials::Credentials;
use promptbatch::run::error::RunError;
use promptbatch::run::reports::{self, ReportRequest};
use promptbatch::run::retry::{RetryOptions, retry};
use promptbatch::run::summary::Summary;
use promptbatch::run::verify::{RepairOptions, repair, verify};
use promptbatch::run::{run, stopper};

/// Description of the provider below.
static PAINTER: ProviderSpec = ProviderSpec {
    help: "Paints one colour, in memory",
    default_model: "painter/one-colour",
    poll_batch_max: 2,
    ..ProviderSpec::new("painter")
};

/// Provider in memory: each task is done at its first poll. It refuses prompts with the word `forbidden` for their content.
#[derive(Default)]
struct Painter {
    n_submits: AtomicU64,
    tasks: Mutex<HashMap<String, String>>,
}

impl Painter {
    fn n_submits(&self) -> u64 {
        self.n_submits.load(Ordering::Relaxed)
    }
}

impl Provider for Painter {
    fn submit<'a>(&'a self, request: &'a Request, _id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        let task = format!("painting-{}", self.n_submits.fetch_add(1, Ordering::Relaxed));
        self.tasks.lock().unwrap().insert(task.clone(), request.prompt.clone());
        Box::pin(ready(Ok(TaskId(task).into())))
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        assert!(tasks.len() <= PAINTER.poll_batch_max);
        let known = self.tasks.lock().unwrap();
        let status = |task: &TaskId| match known.get(&task.0) {
            Some(prompt) if prompt.contains("forbidden") => {
                Ok(Status::Failed(Fault::new(FaultKind::Moderated, "this cannot be painted")))
            }
            Some(_) => Ok(Status::Done(vec![Url(format!("memory:{task}"))])),
            None => Err(Fault::new(FaultKind::TaskLost, "no such painting")),
        };
        Box::pin(ready(tasks.iter().map(status).collect()))
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        _: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        // Every painting has its own colour, so that no two files are equal.
        let n: u8 = url.0.rsplit('-').next().unwrap().parse().unwrap();
        let image = Bytes::from(png(n));
        Box::pin(ready(Ok(Download::whole(stream::iter([Ok(image)]).boxed()))))
    }
}

/// Returns a grey image of 64 by 64 pixels.
fn png(grey: u8) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, 64, 64);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[grey; 64 * 64]).unwrap();
    bytes
}

/// Manifest format: prompts of several lines, with an empty line between them.
struct Stanzas;

impl Format for Stanzas {
    fn name(&self) -> &'static str {
        "stanzas"
    }

    fn help(&self) -> &'static str {
        "Prompts of several lines, with an empty line between them"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["stanzas"]
    }

    fn open(
        &self,
        input: FormatInput<'_>,
        _: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(StanzaReader { input: input.text(findings)?, line: 0, n_stanzas: 0 }))
    }
}

struct StanzaReader {
    input: ManifestInput,
    line: u64,
    n_stanzas: u64,
}

impl EntrySource for StanzaReader {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        let (mut stanza, mut first) = (String::new(), 0);
        loop {
            let mut line = String::new();
            let n_bytes = self.input.read_line(&mut line)?;
            self.line += 1;
            match (line.trim(), stanza.is_empty()) {
                ("", true) if n_bytes == 0 => {
                    if self.n_stanzas == 0 {
                        findings.mistakes.push(Location::File, wrong("there is no stanza", "write one"));
                    }
                    return Ok(None);
                }
                ("", true) => {}
                ("", false) => break,
                (text, true) => (stanza, first) = (text.to_owned(), self.line),
                (text, false) => stanza = format!("{stanza}\n{text}"),
            }
        }
        self.n_stanzas += 1;
        let place = Location::Line(first);
        let mut entry = Entry::new(place);
        entry.given = vec![FieldEntry::one(Field::Prompt, UnparsedValue::Cell(stanza), place)];
        Ok(Some(entry))
    }

    fn bytes(&self) -> &HashingReader {
        self.input.hashed()
    }
}

/// Report: a line for each job, and the number of jobs that ended.
static TALLY: ReportSpec = ReportSpec {
    name: "tally",
    help: "A line for each job",
    begin: |out, facts| Ok(Box::new(Tally { out, provider: facts.provider.clone(), n_ended: facts.n_ended })),
};

struct Tally<'a> {
    out: Box<dyn Write + 'a>,
    provider: String,
    n_ended: u64,
}

impl ReportWriter for Tally<'_> {
    fn job(&mut self, record: &JobRecord) -> io::Result<()> {
        let first_line = record.job.request.prompt.lines().next().unwrap_or_default();
        writeln!(self.out, "{} {first_line}: {}", record.job.index, record.state.status())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        writeln!(self.out, "{} ended, by {}", self.n_ended, self.provider)?;
        self.out.flush()
    }
}

/// Reporter: counts the images, and whether the end was shown.
#[derive(Clone, Default)]
struct ImageCounter(Arc<Mutex<(u64, bool)>>);

impl Reporter for ImageCounter {
    fn show(&mut self, _: Moment, events: &[Event], _: &RunSnapshot) {
        let is_image = |event: &&Event| matches!(event.kind, EventKind::Finished(Outcome::Succeeded(_)));
        self.0.lock().unwrap().0 += events.iter().filter(is_image).count() as u64;
    }

    fn end(&mut self) {
        self.0.lock().unwrap().1 = true;
    }
}

/// Folder of a test, with a provider.
struct Studio {
    folder: tempfile::TempDir,
    painter: Arc<Painter>,
}

impl Studio {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), painter: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn provider(&self) -> ProviderConfig {
        ProviderConfig::with_client(&PAINTER, self.painter.clone())
    }

    /// Runs these jobs to their end, and returns the summary.
    async fn run_jobs(&self, jobs: impl IntoIterator<Item = JobSpec>) -> Result<Summary, RunError> {
        let batch = Batch::from_jobs(jobs, self.path("out")).provider(self.provider());
        batch.start().unwrap().summary().await
    }

    /// Returns a column of the results, row by row.
    fn results(&self, column: &str) -> Vec<String> {
        let mut rows = csv::Reader::from_path(self.path("out/results.csv")).unwrap();
        let at = rows.headers().unwrap().iter().position(|header| header == column).unwrap();
        rows.records().map(|row| row.unwrap()[at].to_owned()).collect()
    }
}

fn job(prompt: &str) -> JobSpec {
    Request { prompt: prompt.into(), ..Request::default() }.into()
}

/// Goal: a new provider, format, report and reporter need no change of the crate. Method: a run from a manifest
/// in this file's format to the results, once more without work, then a retry and a repair.
#[tokio::test]
async fn a_run_uses_ports_that_the_crate_does_not_know() {
    let studio = Studio::new();
    let (manifest, out) = (studio.path("poems.stanzas"), studio.path("out"));
    fs::write(&manifest, "an old pond\na frog jumps in\n\n\na forbidden city\n\nthe sound of water\n").unwrap();
    let options = || {
        let batch = Batch::new(&manifest).manifest(|source| source.format = Some(&Stanzas));
        batch.out(&out).provider(studio.provider()).into_options()
    };
    let (_stopper, mut stops) = stopper();
    let counter = ImageCounter::default();
    let reporters = Reporters(vec![Box::new(counter.clone())]);
    let summary = run(options(), |_| reporters, &mut NoProgress, &mut stops).await.unwrap();
    assert_eq!((summary.counts.n_succeeded, summary.counts.n_moderated, summary.stop.is_none()), (2, 1, true));
    assert_eq!(*counter.0.lock().unwrap(), (2, true));
    assert_eq!(studio.results("status"), ["succeeded", "moderated", "succeeded"]);
    assert_eq!(studio.results("provider"), ["painter"; 3]);
    assert_eq!(studio.results("model"), ["painter/one-colour"; 3]);
    assert_eq!(studio.results("prompt")[0], "an old pond\na frog jumps in");

    let request = ReportRequest::new(&TALLY, studio.path("tally.txt"));
    request.check(None).unwrap();
    reports::write(&out, &[request], None, None, summary.report(&out)).unwrap().unwrap();
    let tally = fs::read_to_string(studio.path("tally.txt")).unwrap();
    let expected = "1 an old pond: succeeded\n2 a forbidden city: moderated\n3 the sound of water: succeeded\n3 ended, by painter\n";
    assert_eq!(tally, expected);

    run(options(), |_| Reporters::default(), &mut NoProgress, &mut stops).await.unwrap();
    assert_eq!(studio.painter.n_submits(), 3, "a finished run pays for nothing");

    let access = Credentials { provider: Some(studio.provider()), ..Credentials::default() };
    let (limits, image_limits) = (Limits::default(), CheckLimits::default());
    let codes = vec!["moderated".to_owned()];
    let retrying =
        RetryOptions { out: out.clone(), codes, force_resubmit: false, access: access.clone(), limits, image_limits };
    let (n_retried, _) = retry(retrying, |_| Reporters::default(), &mut NoProgress, &mut stops).await.unwrap();
    assert_eq!((n_retried, studio.painter.n_submits()), (1, 4));

    fs::remove_file(out.join(&studio.results("file_name")[0])).unwrap();
    let verified = verify(&out, Consent::default(), &mut NoProgress).unwrap();
    let repairing = RepairOptions { out: out.clone(), access, limits: Limits::default(), image_limits };
    repair(repairing, &verified, |_| Reporters::default(), &mut NoProgress, &mut stops).await.unwrap();
    assert!(verify(&out, Consent::default(), &mut NoProgress).unwrap().damaged.is_empty());
    assert_eq!(studio.painter.n_submits(), 4, "a repair pays for nothing");
}

#[tokio::test]
async fn a_mistake_that_a_format_finds_is_reported_with_its_place() {
    let studio = Studio::new();
    let manifest = studio.path("poems.stanzas");
    fs::write(&manifest, "\n\n").unwrap();
    let batch = Batch::new(&manifest).manifest(|source| source.format = Some(&Stanzas)).out(studio.path("out"));
    let error = batch.provider(studio.provider()).start().unwrap().summary().await.unwrap_err();
    assert!(error.to_string().ends_with("poems.stanzas: there is no stanza; write one"), "{error}");
    assert!(!studio.path("out").exists());
}

/// Goal: jobs without a manifest resume by their content. Method: the same list again, in another order with a new job, then a
/// part of it; the submissions of all are counted.
#[tokio::test]
async fn jobs_made_in_code_are_known_by_their_requests() {
    let studio = Studio::new();
    let labelled = |prompt: &str, label: &str| JobSpec { label: Some(label.into()), ..job(prompt) };
    let carrying = JobSpec { extras: vec![("style".into(), "ink".into())], ..labelled("a cat", "first") };
    let first = studio.run_jobs([carrying.clone(), job("a dog"), job("a dog")]).await.unwrap();
    assert_eq!(
        (first.counts.n_succeeded, studio.painter.n_submits()),
        (3, 3),
        "equal requests are images of their own"
    );
    assert_eq!(studio.results("style"), ["ink", "", ""]);
    assert_eq!(studio.results("id")[0], "first");
    let files = studio.results("file_name");

    let same = studio.run_jobs([carrying.clone(), job("a dog"), job("a dog")]).await.unwrap();
    assert_eq!((same.counts.n_succeeded, studio.painter.n_submits()), (3, 3));

    let more = studio.run_jobs([job("an owl"), job("a dog"), carrying.clone(), job("a dog")]).await.unwrap();
    assert_eq!((more.counts.n_succeeded, studio.painter.n_submits()), (4, 4), "only the new one is paid for");
    assert_eq!(studio.results("file_name")[2], files[0]);

    let fewer = studio.run_jobs([carrying.clone(), job("a dog")]).await.unwrap();
    assert_eq!((fewer.counts.n_jobs(), studio.painter.n_submits()), (2, 4));
    let error = studio.run_jobs([job("a wren")]).await.unwrap_err();
    assert!(matches!(&error, RunError::Replacement(other) if other.n_left == 2), "{error}");
    assert!(files.iter().all(|file| studio.path("out").join(file).exists()), "images of jobs that left are kept");
}

#[tokio::test]
async fn a_job_that_cannot_be_run_is_refused_before_anything_is_written() {
    let studio = Studio::new();
    let error = studio.run_jobs([job("a cat"), job("  ")]).await.unwrap_err();
    assert!(matches!(&error, RunError::Jobs(error) if error.position == 2), "{error}");
    assert!(!studio.path("out").exists());
    assert_eq!(studio.painter.n_submits(), 0);
}

/// Goal: a description can make the client itself, and gets the token that the program gives. Method: one that refuses all else.
#[tokio::test]
async fn a_description_connects_with_the_token_of_the_batch() {
    static GATED: ProviderSpec = ProviderSpec {
        connect: |settings, _| match &settings.token {
            TokenSource::Given(_) => Ok(Arc::new(Painter::default())),
            _ => Err(ConnectError::NoClient),
        },
        default_model: "painter/one-colour",
        ..ProviderSpec::new("gated")
    };
    let studio = Studio::new();
    let batch = Batch::from_jobs([job("a cat")], studio.path("out")).provider(ProviderConfig::new(&GATED));
    let refused = batch.clone().start().unwrap().summary().await.unwrap_err();
    assert!(matches!(refused, RunError::Connect(ConnectError::NoClient)), "{refused}");
    let token = Token::new("open-sesame").unwrap();
    assert_eq!(batch.token(token).start().unwrap().summary().await.unwrap().counts.n_succeeded, 1);
}

/// Goal: tasks of one provider are never polled at another. Method: the same folder with two names.
#[tokio::test]
async fn a_run_stays_with_its_provider() {
    static SCULPTOR: ProviderSpec = ProviderSpec { default_model: "sculptor/clay", ..ProviderSpec::new("sculptor") };
    let studio = Studio::new();
    studio.run_jobs([job("a cat")]).await.unwrap();
    let other = ProviderConfig::with_client(&SCULPTOR, studio.painter.clone());
    let batch = Batch::from_jobs([job("a dog")], studio.path("out")).provider(other.clone());
    let error = batch.start().unwrap().summary().await.unwrap_err();
    assert!(matches!(error, RunError::Ledger(_)), "{error}");
    let (_stopper, mut stops) = stopper();
    for provider in [Some(other), None] {
        let access = Credentials { provider, ..Credentials::default() };
        let (limits, image_limits) = (Limits::default(), CheckLimits::default());
        let options = RetryOptions {
            out: studio.path("out"),
            codes: vec![],
            force_resubmit: false,
            access,
            limits,
            image_limits,
        };
        let error = retry(options, |_| Reporters::default(), &mut NoProgress, &mut stops).await.unwrap_err();
        assert!(matches!(error, RunError::Connect(ConnectError::Unknown(_))), "{error}");
    }
}
