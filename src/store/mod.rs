//! Ledger: the durable state of a run.
//!
//! An event that is not recorded here has not happened.
//!
//! Only [`record`] creates a [`Recorded`], and the driver performs nothing else. Acting before recording therefore does not
//! compile.
//!
//! # Three traits
//!
//! A store keeps the ledgers of runs. It implements [`Ledger`] for the driver, [`RunReader`] for everything that looks at a
//! run, and [`RunWriter`] for everything that changes one. The table [`stores::STORES`] lists the stores: `sqlite` for every
//! run, and `memory` for tests. Each passes the same conformance suite. The extension traits [`settings::ReadSettings`],
//! [`settings::WriteSettings`] and [`typed::Typed`] add what all stores have in common.

#[cfg(test)]
mod conformance;
pub mod diff;
pub mod error;
mod format;
pub mod import;
pub mod lease;
pub mod lent;
pub(crate) mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod price;
pub mod selection;
pub mod setting;
pub mod settings;
pub(crate) mod shared;
mod shuffle;
pub mod spec;
pub(crate) mod sqlite;
pub mod stores;
pub(crate) mod style;
pub(crate) mod totals;
pub mod typed;

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::{Event, EventKind, Redo, Restored};
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::money::Charge;
use crate::model::more::More;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::model::shared_rate::{Reservation, ReserveRequest, SharedRate};
use crate::model::time::{Moment, Timestamp};
use crate::store::diff::ManifestDiff;
use crate::store::error::LedgerError;
use crate::store::import::{AcceptImport, Imported, JobRows, ManifestFacts, RestoredJobs, RowsError, SeeRow};
use crate::store::lease::Lease;
use crate::store::selection::RetrySelection;
use crate::store::setting::Setting;

/// Operations that the driver needs from a ledger.
pub trait Ledger: Send {
    /// Records all of these events or none, and returns when they are durable. The state of a job is the fold of its events.
    ///
    /// Every event must be of a job that was handed out and has not ended.
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Hands out at most `max` jobs that were not handed out before, each with its current state. Unfinished jobs come first,
    /// then pending jobs in manifest order, or in the [shuffled order](Setting::ShuffleSeed).
    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>>;

    /// Finds the job that owns each task, in the order of `tasks`. `None` means that no recorded submission became the task.
    /// Every submission that was ever accepted counts, including lost tasks and jobs that left the manifest.
    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>>;

    /// Returns the lease under which submissions that were decided at this moment may leave. It always holds for a ledger with one process.
    fn lease(&self, decided_at: Moment) -> Lease {
        let _ = decided_at;
        Lease::always()
    }

    /// Reserves times for submissions, under the rate and the number of tasks in flight of all processes of the run. `None` if it is not
    /// known whether any were reserved. Times that are reserved by a future which is dropped are lost.
    fn reserve(&self, request: ReserveRequest) -> BoxFuture<'static, Option<Reservation>> {
        let _ = request;
        ready(None).boxed()
    }

    /// Takes note that no job that was handed out is worked on any more. Those that have not ended are left to the user.
    fn set_aside(&mut self) -> BoxFuture<'_, Result<(), LedgerError>> {
        ready(Ok(())).boxed()
    }

    /// Returns what other processes of the run ask of this one, and has not been returned before. Waits for nothing.
    ///
    /// The error [`LedgerError::Fenced`] says that other processes have the jobs of this one.
    fn take_requests(&mut self) -> Result<Vec<RunRequest>, LedgerError> {
        Ok(Vec::new())
    }

    /// Asks the other processes of the run for something.
    fn request(&mut self, request: RunRequest) -> BoxFuture<'_, Result<(), LedgerError>> {
        let _ = request;
        ready(Ok(())).boxed()
    }

    /// Keeps the tasks of submissions that were accepted and cannot be recorded here, for the processes that have their jobs now. An empty
    /// list keeps what the last records said, in case that the server has forgotten them.
    fn testify(&mut self, accepted: Vec<(JobId, TaskId)>) -> BoxFuture<'_, Result<(), LedgerError>> {
        let _ = accepted;
        ready(Ok(())).boxed()
    }
}

/// Request of one process of a run to all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunRequest {
    /// Submit nothing for this time.
    Hold(Duration),
    /// Keep this rate together, from now on.
    Rate(SharedRate),
    /// Have at most so many tasks in flight together, from now on.
    Places(NonZeroU32),
    /// Spend at most so much together, from now on.
    CostMax(Amount),
    /// Give up what was reserved: the server of the processes may have forgotten it.
    Forgotten,
    /// Stop, for this reason in words.
    Stop(String),
}

/// Ledger of a run that is being driven.
pub trait LedgerSession: Ledger {
    /// Ends the session, and returns the run with everything that was recorded.
    fn close(self: Box<Self>) -> Result<Box<dyn RunWriter>, LedgerError>;
}

/// Provider that rows of a manifest name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProvider {
    /// Name, or path of a description, as it is written.
    pub text: String,
    /// Index of the first unfinished job that names it.
    pub first: u64,
    /// Says whether a submission of any of these jobs has left.
    pub has_begun: bool,
}

/// Read access to a run, also while another process writes to it.
///
/// Each method reads one consistent state. [`Typed::in_snapshot`](typed::Typed::in_snapshot) extends that to several calls.
pub trait RunReader {
    /// Returns the path that messages give as the place of the ledger.
    fn location(&self) -> &Path;

    /// Returns a setting of the run; `None` if it was never set.
    fn setting(&self, setting: Setting) -> Result<Option<String>, LedgerError>;

    /// Counts the jobs of the present manifest by status. Costs the same for any number of jobs.
    fn counts(&self) -> Result<StatusCounts, LedgerError>;

    /// Returns the incidents of all sessions of the run. Dropped jobs are included, because they were paid for too. Costs the
    /// same for any number of jobs.
    fn incidents(&self) -> Result<RunStats, LedgerError>;

    /// Counts the jobs that were submitted, have not ended and are no longer in the manifest.
    fn n_orphaned(&self) -> Result<u64, LedgerError>;

    /// Passes every job of a set to `show`, one at a time, with its images. A break ends the visit, which is no error.
    fn visit_jobs(&self, jobs: JobSet, show: &mut dyn FnMut(JobRecord) -> ControlFlow<()>) -> Result<(), LedgerError>;

    /// Passes images of succeeded jobs of the present manifest to `show`: all, or those of an evenly spaced sample of about
    /// `jobs_max` jobs. Returns whether it was all.
    fn visit_images(&self, jobs_max: u64, show: &mut dyn FnMut(Artifact)) -> Result<bool, LedgerError>;

    /// Returns the first `max` jobs that ended without an image, in manifest order.
    fn failures(&self, max: usize) -> Result<Vec<JobRecord>, LedgerError>;

    /// Returns the jobs whose images are to be fetched again and are not complete yet, in manifest order.
    fn refetching(&self) -> Result<Vec<JobId>, LedgerError>;

    /// Finds the jobs with this name. Tries the manifest's own id, the index, a prefix of the job's id and the task ids. The
    /// first of these that matches decides. Images of one entry share its id, and ids may share a prefix, so several jobs may
    /// match. Returns at most ten jobs.
    fn find(&self, name: &str) -> Result<Vec<JobRecord>, LedgerError>;

    /// Returns the events of a job, in the order of recording. The images of a success are not repeated here.
    fn events(&self, job: JobId) -> Result<Vec<(Timestamp, EventKind)>, LedgerError>;

    /// Returns the images of a job, in order.
    fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, LedgerError>;

    /// Prepares [the lookup of image names](Self::is_recorded), as of this moment.
    fn prepare_names(&self) -> Result<(), LedgerError>;

    /// Returns whether an image of any job has this name, including jobs that left the manifest. Needs
    /// [the preparation](Self::prepare_names).
    fn is_recorded(&self, file_name: &str) -> Result<bool, LedgerError>;

    /// Prepares [the number of acceptances of a job](Self::n_accepted) and [its charges](Self::charges), as of this moment. Reads every
    /// event.
    fn prepare_acceptances(&self) -> Result<(), LedgerError>;

    /// Counts the accepted submissions of this job. Needs [the preparation](Self::prepare_acceptances).
    fn n_accepted(&self, record: &JobRecord) -> Result<u64, LedgerError>;

    /// Returns what the provider says that submissions of this job cost, one charge for each of those submissions. Needs
    /// [the preparation](Self::prepare_acceptances).
    fn charges(&self, record: &JobRecord) -> Result<Vec<Charge>, LedgerError>;

    /// Sums the cost of all submissions, including those of dropped jobs. Accepted submissions are the certain part, at what the provider
    /// says of them in the unit of the price, or else at the price.
    /// Submissions in doubt are the possible part. Returns `None` if a price is unknown. Reads every event.
    fn total_cost(&self, price: &Price) -> Result<Option<Cost>, LedgerError>;

    /// Finds the first model without a price, among all jobs that have cost something or may. Also returns the index of its
    /// first job. The index is 0 for a job that has left the manifest. Returns `None` if every price is known.
    fn first_without_price(&self, price: &Price) -> Result<Option<(String, u64)>, LedgerError>;

    /// Returns the providers that rows of unfinished jobs name, in the order of their first jobs.
    fn row_providers(&self) -> Result<Vec<RowProvider>, LedgerError>;

    /// Returns the recent past of the run: when submissions left, and how long tasks took.
    fn history(&self) -> Result<History, LedgerError>;

    /// Counts the jobs that ended since `since`, and returns the time of the first of these endings. Returns `None` if no job
    /// ended. Reads only the last events if there are many.
    fn ended_since(&self, since: Timestamp) -> Result<Option<(u64, Timestamp)>, LedgerError>;

    /// Returns the mean size of the last thousand images, in bytes; `None` without images.
    fn image_bytes_mean(&self) -> Result<Option<u64>, LedgerError>;

    /// Returns a revision that changes whenever anything happens to the run: its last event and its manifest.
    fn revision(&self) -> Result<String, LedgerError>;

    /// Returns an identity of this run that is independent of its place: its first event. Empty before that event.
    fn origin(&self) -> Result<String, LedgerError>;

    /// Compares the rows of a manifest with the jobs of this ledger, by the rule of [`RunWriter::import_rows`]. Lists the first
    /// `max` jobs of each kind, and passes all of them to `see`. Changes nothing.
    ///
    /// [`Typed::diff`](typed::Typed::diff) takes rows with any error.
    fn diff_rows(&self, rows: &mut JobRows<'_>, max: usize, see: &mut SeeRow<'_>) -> Result<ManifestDiff, RowsError>;

    /// Checks the whole ledger. The error names the first records that are not what was recorded.
    fn check_whole(&self) -> Result<(), LedgerError>;

    /// Checks the whole ledger if that takes a moment only. Returns whether it did.
    fn check_if_small(&self) -> Result<bool, LedgerError>;

    /// Calls `read` once. All reads in it see one state of the run, whatever another process records meanwhile.
    ///
    /// [`Typed::in_snapshot`](typed::Typed::in_snapshot) passes a result through.
    fn read_in_snapshot(&self, read: &mut dyn FnMut()) -> Result<(), LedgerError>;
}

/// Write access to a run. One writer exists at a time, in all processes; a second one is refused with
/// [`LedgerError::Locked`]. The lock ends with its holder, whatever ends that.
///
/// Each method changes all or nothing, and what it changed is durable when it returns.
pub trait RunWriter: RunReader + Send {
    /// Sets a setting of the run.
    fn set_setting(&mut self, setting: Setting, value: &str) -> Result<(), LedgerError>;

    /// Selects jobs, in place of those selected before, and returns their number. This writer keeps the selection, and the
    /// ledger does not.
    fn select(&mut self, selection: &RetrySelection) -> Result<u64, LedgerError>;

    /// Selects the jobs of the present manifest that `is_wanted` accepts, in place of those selected before, and returns their number.
    /// The jobs are passed without their images.
    fn select_if(&mut self, is_wanted: &mut dyn FnMut(&JobRecord) -> bool) -> Result<u64, LedgerError>;

    /// Records that these jobs are made again although they succeeded, all or none of them, and returns the number of those that were
    /// recorded. A job that has not succeeded, or is not in the present manifest, is left as it is.
    ///
    /// The images so far leave the record of the job, and stay in its [events](RunReader::events). A seed that was drawn replaces
    /// that of the job's request for good: also if the manifest is imported again. The id of the job stays.
    fn redo(&mut self, at: Timestamp, jobs: &[(JobId, Redo)]) -> Result<u64, LedgerError>;

    /// Records that these jobs return to the images that they had before they were [made again](Self::redo), all or none of them, and
    /// returns the number of those that were recorded. A job that has not failed is left as it is. Its faults stay in its events.
    fn restore(&mut self, at: Timestamp, jobs: &[(JobId, Restored)]) -> Result<u64, LedgerError>;

    /// Adds jobs of another ledger with their ids, all or none, to a ledger that has no jobs. They have no events.
    fn restore_jobs(&mut self, jobs: &mut RestoredJobs<'_>) -> Result<(), LedgerError>;

    /// Records further events of jobs that another ledger had in the meantime, in their order, together with a setting, all or none. Every
    /// job must be in this ledger, in whatever phase.
    fn follow_events(&mut self, events: &[Event], mark: (Setting, &str)) -> Result<(), LedgerError>;

    /// Imports the rows of a manifest and its facts, all or none: also if the rows end with an error, or `accept` returns one.
    /// Jobs that the manifest no longer has keep their records, and come back with the same row.
    ///
    /// The `n`-th row of a content is the `n`-th job of that content. Moving, inserting or removing rows therefore does not
    /// change the ids of the others.
    ///
    /// [`Typed::import`](typed::Typed::import) takes rows with any error.
    fn import_rows(
        &mut self,
        facts: &ManifestFacts<'_>,
        rows: &mut JobRows<'_>,
        accept: &mut AcceptImport<'_>,
    ) -> Result<Imported, RowsError>;

    /// Keeps only the first `max` of the selected jobs: jobs under way first, then those that ended first, both in manifest order. A job
    /// that was just retried without success therefore comes last the next time. Returns the number of jobs kept.
    fn narrow(&mut self, max: u64) -> Result<u64, LedgerError>;

    /// Reopens the selected jobs that have ended, and those that are held for the user and meant by `selection`. A job is
    /// reopened as a whole or not at all. Calling it again reopens nothing twice.
    fn reopen_selected(&mut self, at: Timestamp, selection: &RetrySelection) -> Result<(), LedgerError>;

    /// Records events of another ledger, in their order, all or none. Only jobs that are in this ledger and have no events of their own
    /// get them. Returns the number of such jobs.
    fn adopt_events(&mut self, events: &[Event]) -> Result<u64, LedgerError>;

    /// Checks that everything that was written is where the next run will look for it.
    fn check_in_place(&self) -> Result<(), LedgerError>;

    /// Starts to drive the run: no job is handed out yet. The scope limits the jobs that are.
    fn start(self: Box<Self>, scope: JobScope) -> Result<Box<dyn LedgerSession>, LedgerError>;
}

/// Set of jobs, with the order in which they are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobSet {
    /// Jobs of the present manifest, in manifest order.
    InManifest,
    /// Jobs that are no longer in the manifest, in the order of their first import, with index 0.
    Dropped,
}

/// Jobs that a session drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobScope {
    /// Jobs of the present manifest that are not finished.
    Unfinished,
    /// Those of them that were [selected](RunWriter::select).
    Selected,
}

/// Owner of a task: the job whose submission became the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOwner {
    /// Id of the job.
    pub job: JobId,
    /// Index of the job in the manifest, from 1; `None` if the job is no longer in the manifest.
    pub index: Option<u64>,
}

/// Page of jobs, returned by one load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Jobs of the page, each with its current state.
    pub jobs: Vec<JobRecord>,
    /// Says whether more jobs may follow.
    pub more: More,
}

/// Action that is allowed, because its cause is recorded.
#[derive(Debug)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// Returns the allowed action.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Records the events of a turn, and then releases the action that follows from them.
pub async fn record<T>(ledger: &mut dyn Ledger, events: &Arc<[Event]>, then: T) -> Result<Recorded<T>, LedgerError> {
    if !events.is_empty() {
        ledger.record(events.clone()).await?;
    }
    Ok(Recorded(then))
}
