//! A batch as a Rust program runs it: built up from a manifest, watched as a stream of what happens, and stopped at any moment.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::driver::images::check::CheckLimits;
use crate::driver::{Stopper, stopper};
use crate::engine::turn::{Signal, Stop};
use crate::manifest::{self, Source};
use crate::model::counts::Counts;
use crate::model::event::Event;
use crate::model::limits::Limits;
use crate::model::pace::Pace;
use crate::model::progress::Unseen;
use crate::model::style::StyleWish;
use crate::model::time::Moment;
use crate::provider::registry::Choice;
use crate::report::{Reporter, Reporters};
use crate::run::consent::Consent;
use crate::run::{Options, RunError, Summary, run};

/// Updates that wait for a reader who is slower than the run.
const UPDATES_MAX: usize = 16_384;

/// The shortest time between two [`Update::Pace`].
const PACE_INTERVAL: Duration = Duration::from_secs(1);

/// A batch that is not begun yet. What is not said is as in the program `promptbatch run`.
///
/// ```
/// use futures::StreamExt;
/// use promptbatch::provider::registry::Choice;
/// use promptbatch::run::batch::{Batch, Update};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let manifest = folder.path().join("cats.txt");
/// std::fs::write(&manifest, "a golden cat\na grey cat\n")?;
///
/// let batch = Batch::new(&manifest).provider(Choice::Simulator(Box::default())).out(folder.path().join("cats"));
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
pub struct Batch(Options);

impl Batch {
    /// The prompts of this manifest, to ModelScope, into `out/<name of the manifest>`.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        let path = manifest.into();
        let out = Path::new("out").join(manifest::stem(&path).unwrap_or("run".as_ref()));
        Self(Options {
            source: Source { path, ..Source::default() },
            out,
            provider: Choice::modelscope(),
            limits: Limits { seed: fastrand::u64(..), ..Limits::default() },
            image_limits: CheckLimits::default(),
            style: StyleWish::default(),
            formula_guard: None,
            consent: Consent::default(),
        })
    }

    /// Where images, results and ledger go.
    #[must_use]
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.out = folder.into();
        self
    }

    /// Who makes the images.
    #[must_use]
    pub fn provider(mut self, provider: Choice) -> Self {
        self.0.provider = provider;
        self
    }

    /// Rates, tasks in flight, patience: every limit of the engine.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.0.limits);
        self
    }

    /// What images are called, what they are made into, and what is written into and beside them.
    #[must_use]
    pub fn style(mut self, style: StyleWish) -> Self {
        self.0.style = style;
        self
    }

    /// Everything else: how the manifest is read, and the largest image that is taken.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.0);
        self
    }

    /// Begins the batch, or goes on with it, on a thread of its own, so that nothing that the caller does holds it up.
    /// The error is that the system gives no thread.
    pub fn start(self) -> io::Result<Running> {
        let Self(mut options) = self;
        options.source.default_model.get_or_insert_with(|| options.provider.default_model().to_owned());
        let (sender, updates) = mpsc::channel(UPDATES_MAX);
        let (ended, summary) = oneshot::channel();
        let (stopper, mut stops) = stopper();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            let face = |start: &super::Start<'_>| {
                let feed = Feed { sender, n_missed: 0, next_pace_at: None };
                Reporters(vec![Box::new(feed.begun(start.counts))])
            };
            let came = runtime.block_on(run(options, face, &mut Unseen, &mut stops));
            // Nobody may be left to hear it. The ledger knows.
            drop(ended.send(came));
            runtime.shutdown_background();
        };
        thread::Builder::new().name("batch".into()).spawn(work)?;
        Ok(Running { updates, stopper, summary })
    }
}

/// Something to know about a running batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// It is known what there is to do; nothing is sent yet.
    Begun(Counts),
    /// Something happened to a job, and is recorded.
    Happened(Event),
    /// What is under way, about once a second while anything happens.
    Pace(Box<Pace>),
    /// So many updates before the next one came when too many waited to be read. The ledger has them all.
    Missed(u64),
}

/// A batch under way: a stream of [`Update`]s, which ends with the run. Dropped, it stops the run as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Running {
    updates: mpsc::Receiver<Update>,
    stopper: Stopper,
    summary: oneshot::Receiver<Result<Summary, RunError>>,
}

impl Running {
    /// Asks the run to stop: nothing more is submitted, what is in flight is recorded, results are written. The same batch goes on
    /// later, and pays for nothing twice.
    pub fn stop(&self) {
        self.stopper.stop(Stop::Interrupted(Signal::Interrupt));
    }

    /// Something that stops the run from elsewhere, also when this value is away.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the end, and says what the run came to.
    pub async fn summary(mut self) -> Result<Summary, RunError> {
        (&mut self.summary).await.expect("the thread of the batch tells how it ended")
    }
}

impl Stream for Running {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.updates.poll_recv(context)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes updates where they are read, and never waits for the reader.
struct Feed {
    sender: mpsc::Sender<Update>,
    n_missed: u64,
    next_pace_at: Option<Moment>,
}

impl Feed {
    fn begun(mut self, counts: Counts) -> Self {
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

impl Reporter for Feed {
    fn show(&mut self, now: Moment, events: &[Event], pace: &Pace) {
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

    /// Goal: a reader who sleeps costs the run nothing but a bounded memory, and hears how much was missed.
    #[test]
    fn what_is_not_read_is_counted() {
        let (sender, mut updates) = mpsc::channel(2);
        let mut feed = Feed { sender, n_missed: 0, next_pace_at: None };
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
