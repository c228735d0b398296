//! Batch API for Rust programs: built from a manifest, observed as a stream of updates, and stopped at any moment.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::driver::stop::{StopHandle, stopper};
use crate::engine::turn::{Signal, StopReason};
use crate::manifest::input::path::stem;
use crate::manifest::source::Source;
use crate::model::choice::JobChoice;
use crate::model::counts::StatusCounts;
use crate::model::event::Event;
use crate::model::job::JobSpec;
use crate::model::limits::Limits;
use crate::model::output_options::OutputOverrides;
use crate::model::progress::NoProgress;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;
use crate::plan::job_list::JobList;
use crate::provider::config::ProviderConfig;
use crate::provider::http::token::Token;
use crate::provider::spec::TokenSource;
use crate::report::{Reporter, Reporters};
use crate::run::error::RunError;
use crate::run::options::Options;
use crate::run::run;
use crate::run::source::JobSource;
use crate::run::summary::{RunStart, Summary};

/// Updates buffered for a reader that is slower than the run.
const UPDATES_MAX: usize = 16_384;

/// Shortest time between two [`Update::Pace`].
const PACE_INTERVAL: Duration = Duration::from_secs(1);

/// Batch that has not begun. Options that are not set are those of the program `promptbatch run`.
///
/// ```
/// use futures::StreamExt;
/// use promptbatch::provider::{config::ProviderConfig, simulator};
/// use promptbatch::run::batch::{Batch, Update};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let manifest = folder.path().join("cats.txt");
/// std::fs::write(&manifest, "a golden cat\na grey cat\n")?;
///
/// let batch = Batch::new(&manifest).provider(ProviderConfig::new(&simulator::SPEC)).out(folder.path().join("cats"));
/// let mut running = batch.start()?;
/// while let Some(update) = running.next().await {
///     if let Update::Happened(event) = update {
///         println!("{:06} {:?}", event.index, event.kind);
///     }
/// }
/// let summary = running.summary().await?;
/// assert_eq!(summary.counts.n_succeeded, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    options: Options,
    token: Option<Token>,
}

impl Batch {
    /// Creates a batch of the prompts in this manifest, for the default provider, into `out/<name of the manifest>`.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        let path = manifest.into();
        let out = Path::new("out").join(stem(&path).unwrap_or("run".into()));
        Self { options: Options::new(Source { path, ..Source::default() }, out), token: None }
    }

    /// Creates a batch of these jobs, for the default provider, into the folder `out`. No manifest is read or written.
    ///
    /// The folder and the requests identify the batch: [`JobList`] says what a resume does with jobs that are new, gone, or in
    /// another order. A job that cannot be run ends the batch with [`RunError::Jobs`] before anything is sent. A request without
    /// a model gets the default model of the provider.
    ///
    /// ```
    /// use promptbatch::model::job::JobSpec;
    /// use promptbatch::model::request::Request;
    /// use promptbatch::provider::{config::ProviderConfig, simulator};
    /// use promptbatch::run::batch::Batch;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let jobs = ["cat", "dog"].map(|animal| {
    ///     let request = Request { prompt: format!("a golden {animal}"), ..Request::default() };
    ///     JobSpec { label: Some(animal.into()), ..JobSpec::from(request) }
    /// });
    /// let batch = Batch::from_jobs(jobs, folder.path().join("animals")).provider(ProviderConfig::new(&simulator::SPEC));
    /// assert_eq!(batch.start()?.summary().await?.counts.n_succeeded, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_jobs(jobs: impl IntoIterator<Item = JobSpec>, out: impl Into<PathBuf>) -> Self {
        Self { options: Options::new(jobs.into_iter().collect::<JobList>(), out), token: None }
    }

    /// Sets the output folder for images, results and ledger.
    #[must_use]
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.out = folder.into();
        self
    }

    /// Sets the provider of the images: a built-in or described one, or [the caller's own](ProviderConfig::with_client).
    #[must_use]
    pub fn provider(mut self, provider: ProviderConfig) -> Self {
        self.options.provider = provider;
        self
    }

    /// Sets the token of the provider's account, in place of the environment and of any file. A provider without an account
    /// ignores it.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Changes the limits of the engine: rates, tasks in flight, waiting times and all others.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.options.limits);
        self
    }

    /// Sets the output style: names of the images, their conversion, their metadata and their sidecars.
    #[must_use]
    pub fn style(mut self, style: OutputOverrides) -> Self {
        self.options.style = style;
        self
    }

    /// Changes how the manifest is read: its format, its encoding, its columns. Does nothing for jobs without a manifest.
    #[must_use]
    pub fn manifest(mut self, change: impl FnOnce(&mut Source)) -> Self {
        if let JobSource::Manifest(source) = &mut self.options.source {
            change(source);
        }
        self
    }

    /// Sets the jobs to work on. All others stay outstanding.
    #[must_use]
    pub fn choice(mut self, choice: JobChoice) -> Self {
        self.options.choice = choice;
        self
    }

    /// Changes any other option, such as the largest image that is accepted.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Returns the options for [`run()`], which runs on the caller's runtime, with the caller's reporters.
    pub fn into_options(self) -> Options {
        let Self { mut options, token } = self;
        if let Some(token) = token {
            options.provider = options.provider.with(|settings| settings.token = TokenSource::Given(token));
        }
        let spec = options.provider.spec();
        let default_model = (!spec.default_model.is_empty()).then(|| spec.default_model.to_owned());
        match &mut options.source {
            JobSource::Manifest(source) => {
                source.default_model = source.default_model.take().or(default_model);
                source.limits.get_or_insert(&spec.limits);
            }
            JobSource::Jobs(jobs) => jobs.default_model = jobs.default_model.take().or(default_model),
        }
        options
    }

    /// Starts or resumes the batch on its own thread, so that the caller cannot delay it. Fails if the system provides no
    /// thread.
    pub fn start(self) -> io::Result<RunningBatch> {
        let options = self.into_options();
        let (sender, updates) = mpsc::channel(UPDATES_MAX);
        let (ended, summary) = oneshot::channel();
        let (stopper, mut stops) = stopper();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            let make_reporters = |start: &RunStart<'_>| {
                let feed = UpdateReporter { sender, n_missed: 0, next_pace_at: None };
                Reporters(vec![Box::new(feed.begun(start.counts))])
            };
            let result = runtime.block_on(run(options, make_reporters, &mut NoProgress, &mut stops));
            // Ignores a receiver that is gone; the ledger has the result.
            drop(ended.send(result));
            runtime.shutdown_background();
        };
        thread::Builder::new().name("batch".into()).spawn(work)?;
        Ok(RunningBatch { updates, stopper, summary })
    }
}

/// Update about a running batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// Start of the run: the jobs by status. Nothing is sent yet.
    Begun(StatusCounts),
    /// Event of a job, already recorded.
    Happened(Event),
    /// Pace of the run, about once a second while events occur.
    Pace(Box<RunSnapshot>),
    /// Number of updates dropped before the next one, because too many waited to be read. The ledger has all of them.
    Missed(u64),
}

/// Running batch: a stream of [`Update`]s that ends with the run. Dropping it stops the run, as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct RunningBatch {
    updates: mpsc::Receiver<Update>,
    stopper: StopHandle,
    summary: oneshot::Receiver<Result<Summary, RunError>>,
}

impl RunningBatch {
    /// Stops the run: nothing more is submitted, tasks in flight are recorded, results are written. The same batch can resume
    /// later, and pays for nothing twice.
    pub fn stop(&self) {
        self.stopper.stop(StopReason::Interrupted(Signal::Interrupt));
    }

    /// Returns a handle that stops the run from elsewhere, also after this value has been moved.
    pub fn stopper(&self) -> StopHandle {
        self.stopper.clone()
    }

    /// Waits for the end of the run, and returns its summary.
    pub async fn summary(mut self) -> Result<Summary, RunError> {
        (&mut self.summary).await.expect("the thread of the batch tells how it ended")
    }
}

impl Stream for RunningBatch {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.updates.poll_recv(context)
    }
}

impl Drop for RunningBatch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reporter that sends updates to the stream, and never waits for the reader.
struct UpdateReporter {
    sender: mpsc::Sender<Update>,
    n_missed: u64,
    next_pace_at: Option<Moment>,
}

impl UpdateReporter {
    fn begun(mut self, counts: StatusCounts) -> Self {
        self.send(Update::Begun(counts));
        self
    }

    fn send(&mut self, update: Update) {
        if self.n_missed > 0 {
            let Ok(permit) = self.sender.try_reserve() else {
                self.n_missed += 1;
                return;
            };
            permit.send(Update::Missed(std::mem::take(&mut self.n_missed)));
        }
        if self.sender.try_send(update).is_err() {
            self.n_missed += 1;
        }
    }
}

impl Reporter for UpdateReporter {
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot) {
        for event in events {
            self.send(Update::Happened(event.clone()));
        }
        if self.next_pace_at.is_none_or(|at| now >= at) {
            self.next_pace_at = Some(now + PACE_INTERVAL);
            self.send(Update::Pace(Box::new(*pace)));
        }
    }

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::EventKind;
    use crate::model::job::JobId;
    use crate::model::time::Timestamp;

    /// Goal: a reader that sleeps costs the run only bounded memory, and learns how much was missed.
    #[test]
    fn what_is_not_read_is_counted() {
        let (sender, mut updates) = mpsc::channel(2);
        let mut feed = UpdateReporter { sender, n_missed: 0, next_pace_at: None };
        let event = |index| {
            let (job, at) = (JobId::from_bytes([0; 10]), Timestamp::default());
            Update::Happened(Event { job, index, at, kind: EventKind::SubmitStarted })
        };
        (1..=5).for_each(|n| feed.send(event(n)));
        assert_eq!([updates.try_recv().unwrap(), updates.try_recv().unwrap()], [event(1), event(2)]);
        feed.send(event(6));
        assert_eq!([updates.try_recv().unwrap(), updates.try_recv().unwrap()], [Update::Missed(3), event(6)]);
        drop(updates);
        feed.send(event(7));
    }
}
