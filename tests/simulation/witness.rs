//! Order checker between the provider and the ledger: no request is sent before the ledger has recorded it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;

use promptbatch::internals::store::MemoryLedger;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::job::JobId;
use promptbatch::model::outcome::{Acceptance, Fault, Found, Outcome, Status, TaskId, Url};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::request::Request;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::provider::{Download, LostSubmission, Provider, ProviderTraits};
use promptbatch::store::error::LedgerError;
use promptbatch::store::{Ledger, Loaded, TaskOwner};

/// Records what one process has committed and what it has sent.
#[derive(Clone)]
pub struct Witness(Arc<Mutex<Seen>>);

struct Seen {
    /// Content that every job requests.
    contents: BTreeMap<JobId, JobId>,
    /// Number of submissions that are recorded and not yet sent, by content.
    n_announced: BTreeMap<JobId, u64>,
    /// Jobs whose images are recorded as saved.
    saved: BTreeSet<JobId>,
    /// Job of each task.
    owners: BTreeMap<TaskId, JobId>,
    /// Tasks that are recorded as accepted.
    tasks: BTreeSet<TaskId>,
    complaints: Complaints,
}

/// Violations found. A panic during a run would count as a fault of the provider.
pub type Complaints = Arc<Mutex<Vec<String>>>;

/// Returns the content of a request as an id, equal for jobs with equal requests.
fn content(request: &Request) -> JobId {
    JobId::new(&request.content(), 0)
}

impl Witness {
    /// Creates a checker for one process that starts with this ledger.
    pub fn new(ledger: &MemoryLedger, complaints: Complaints) -> Self {
        let known = ledger.known();
        let contents = known.iter().map(|known| (known.job.id, content(&known.job.request))).collect();
        let saved =
            known.iter().filter(|known| known.state.status() == "succeeded").map(|known| known.job.id).collect();
        let owners = known.into_iter().filter_map(|known| Some((known.state.task?, known.job.id)));
        let owners: BTreeMap<TaskId, JobId> = owners.collect();
        let tasks = owners.keys().cloned().collect();
        let n_announced = BTreeMap::new();
        Self(Arc::new(Mutex::new(Seen { contents, n_announced, saved, owners, tasks, complaints })))
    }

    fn recorded(&self, events: &[Event]) {
        let mut seen = self.0.lock().unwrap();
        for event in events {
            if let EventKind::Accepted(task) = &event.kind {
                seen.tasks.insert(task.clone());
                seen.owners.insert(task.clone(), event.job);
            }
            if let EventKind::Finished(Outcome::Succeeded(_)) = &event.kind {
                seen.saved.insert(event.job);
            }
            if event.kind == EventKind::SubmitStarted {
                let content = seen.contents[&event.job];
                *seen.n_announced.entry(content).or_default() += 1;
            }
        }
    }

    fn submits(&self, request: &Request) {
        let mut seen = self.0.lock().unwrap();
        let n_announced = seen.n_announced.entry(content(request)).or_default();
        match n_announced.checked_sub(1) {
            Some(left) => *n_announced = left,
            None => seen.complain(format!("{:?} was submitted before it was recorded", request.prompt)),
        }
    }

    fn releases(&self, tasks: &[TaskId]) {
        let seen = self.0.lock().unwrap();
        for task in tasks.iter().filter(|task| !seen.owners.get(task).is_some_and(|job| seen.saved.contains(job))) {
            seen.complain(format!("the images of task {task} were freed before they were recorded as saved"));
        }
    }

    fn polls(&self, tasks: &[TaskId]) {
        let seen = self.0.lock().unwrap();
        for task in tasks.iter().filter(|task| !seen.tasks.contains(task)) {
            seen.complain(format!("task {task} was polled before it was recorded"));
        }
    }
}

impl Seen {
    fn complain(&self, words: String) {
        self.complaints.lock().unwrap().push(words);
    }
}

/// Wrapper that reports every action to a checker.
pub struct Witnessed<T>(pub T, pub Witness);

impl<P: Provider> Provider for Witnessed<P> {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        async {
            self.1.submits(request);
            self.0.submit(request, id).await
        }
        .boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        async {
            self.1.polls(tasks);
            self.0.poll(tasks).await
        }
        .boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.0.download(url, part)
    }

    fn traits(&self) -> ProviderTraits {
        self.0.traits()
    }

    fn find<'a>(&'a self, lost: &'a [LostSubmission]) -> BoxFuture<'a, Vec<Result<Found, Fault>>> {
        self.0.find(lost)
    }

    fn kept(&self) -> Vec<TaskId> {
        self.0.kept()
    }

    fn release(&self, tasks: &[TaskId]) {
        self.1.releases(tasks);
        self.0.release(tasks);
    }
}

impl<L: Ledger + Sync> Ledger for Witnessed<L> {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        async move {
            self.0.record(events.clone()).await?;
            self.1.recorded(&events);
            Ok(())
        }
        .boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.0.load(max)
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.0.owners(tasks)
    }
}
