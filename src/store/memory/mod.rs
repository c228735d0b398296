//! Ledger in memory, for tests and simulations: the same promises without a disk.
//!
//! A folder gets a ledger in memory by [`create`]. From then on every function that takes an output folder uses it, until the
//! returned guard is dropped.

mod content;
mod diff;
mod ledger;
mod queries;
mod session;
mod shared;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::{ControlFlow, Deref};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::store::memory::ledger::MemoryLedger;

use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::{Event, EventKind, Redo, Restored};
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::money::Charge;
use crate::model::outcome::{Artifact, Outcome};
use crate::model::phase::{JobRecord, Phase};
use crate::model::price::Price;
use crate::model::time::Timestamp;
use crate::store::diff::ManifestDiff;
use crate::store::error::LedgerError;
use crate::store::import::RestoredJobs;
use crate::store::import::{AcceptImport, Imported, JobRows, ManifestFacts, RowsError, SeeRow};
use crate::store::memory::content::{Content, without_images};
use crate::store::memory::queries::Payments;
use crate::store::memory::session::MemorySession;
use crate::store::memory::shared::{SharedContent, WriterLock};
use crate::store::selection::RetrySelection;
use crate::store::setting::Setting;
use crate::store::spec::{OpenOptions, StoreSpec};
use crate::store::{JobScope, JobSet, LedgerSession, RowProvider, RunReader, RunWriter};

/// Row of this store in the table of the stores.
pub(crate) static STORE: StoreSpec = StoreSpec {
    name: "memory",
    help: "The memory of this process, for tests",
    has_run: |out| content_of(out).is_some(),
    open: |out, options| Ok(Box::new(MemoryStore::open(out, options)?)),
    open_for_reading: |out| Ok(Box::new(MemoryStore::open_for_reading(out)?)),
    read_snapshot: |out, read| {
        let reader = MemoryStore::open_for_reading(out)?;
        reader.read_in_snapshot(&mut || read(&reader))
    },
    lock_owner: |out| content_of(out).filter(SharedContent::is_locked).map(|_| process::id().to_string()),
    find_rollback: |out| MemoryStore::open_for_reading(out).map(|_| None),
    discard: |out, is_unwanted| Ok(is_unwanted(&MemoryStore::open_for_reading(out)?)? && runs().remove(out).is_some()),
};

/// Ledgers in memory, by output folder.
static RUNS: Mutex<BTreeMap<PathBuf, SharedContent>> = Mutex::new(BTreeMap::new());

fn runs() -> MutexGuard<'static, BTreeMap<PathBuf, SharedContent>> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn content_of(out: &Path) -> Option<SharedContent> {
    runs().get(out).cloned()
}

/// Puts an empty ledger for the folder `out` into memory, as an empty folder would be on a disk.
pub fn create(out: &Path) -> MemoryRun {
    runs().insert(out.to_owned(), SharedContent::default());
    MemoryRun { out: out.to_owned() }
}

/// Ledger in memory, which is forgotten when this is dropped.
#[derive(Debug)]
pub struct MemoryRun {
    out: PathBuf,
}

impl Drop for MemoryRun {
    fn drop(&mut self) {
        runs().remove(&self.out);
    }
}

/// Open run in memory.
#[derive(Debug)]
struct MemoryStore {
    out: PathBuf,
    shared: SharedContent,
    /// State that all reads see within a snapshot; `None` outside one.
    snapshot: RefCell<Option<Arc<Content>>>,
    /// Accepted submissions of each job and their charges, as of the last preparation.
    payments: RefCell<Payments>,
    /// Names of all images, as of the last preparation.
    names: RefCell<BTreeSet<String>>,
    selected: BTreeSet<JobId>,
    /// Lock of a writer; `None` for a reader.
    _lock: Option<WriterLock>,
}

/// Content to read: that of the snapshot, or the present one.
enum Reading<'a> {
    Snapshot(Arc<Content>),
    Present(MutexGuard<'a, Content>),
}

impl Deref for Reading<'_> {
    type Target = Content;

    fn deref(&self) -> &Content {
        match self {
            Self::Snapshot(content) => content,
            Self::Present(content) => content,
        }
    }
}

impl MemoryStore {
    fn new(out: &Path, shared: SharedContent, lock: Option<WriterLock>) -> Self {
        let (snapshot, payments, names) = <_>::default();
        Self { out: out.to_owned(), shared, snapshot, payments, names, selected: BTreeSet::new(), _lock: lock }
    }

    fn open(out: &Path, options: OpenOptions<'_>) -> Result<Self, LedgerError> {
        let missing = || LedgerError::Missing { path: out.to_owned() };
        let shared = content_of(out).ok_or_else(missing)?;
        let locked = || LedgerError::Locked { path: out.to_owned(), pid: process::id().to_string() };
        let lock = shared.lock().ok_or_else(locked)?;
        let found = shared.content().settings.get(&Setting::Provider).cloned();
        match (found, options.provider) {
            (None, None) => return Err(missing()),
            (Some(found), Some(wanted)) if found != wanted => {
                return Err(LedgerError::OtherProvider { path: out.to_owned(), found, wanted: wanted.to_owned() });
            }
            (None, Some(provider)) => {
                fs::create_dir_all(out).map_err(|source| LedgerError::Io { path: out.to_owned(), source })?;
                shared.content().settings.insert(Setting::Provider, provider.to_owned());
            }
            (Some(_), _) => (),
        }
        Ok(Self::new(out, shared, Some(lock)))
    }

    fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        let shared = content_of(out).filter(|shared| shared.content().settings.contains_key(&Setting::Provider));
        let shared = shared.ok_or_else(|| LedgerError::Missing { path: out.to_owned() })?;
        Ok(Self::new(out, shared, None))
    }

    fn content(&self) -> Reading<'_> {
        match &*self.snapshot.borrow() {
            Some(content) => Reading::Snapshot(content.clone()),
            None => Reading::Present(self.shared.content()),
        }
    }
}

impl RunReader for MemoryStore {
    fn location(&self) -> &Path {
        &self.out
    }

    fn setting(&self, setting: Setting) -> Result<Option<String>, LedgerError> {
        Ok(self.content().settings.get(&setting).cloned())
    }

    fn counts(&self) -> Result<StatusCounts, LedgerError> {
        let content = self.content();
        Ok(queries::counts(content.jobs_of(JobSet::InManifest).into_iter().map(|record| &record.state)))
    }

    fn incidents(&self) -> Result<RunStats, LedgerError> {
        Ok(queries::incidents(&self.content()))
    }

    fn n_orphaned(&self) -> Result<u64, LedgerError> {
        let content = self.content();
        let is_under_way = |record: &&&JobRecord| {
            matches!(record.state.phase, Phase::Submitting | Phase::Running(_) | Phase::Downloading(_))
        };
        Ok(content.jobs_of(JobSet::Dropped).iter().filter(is_under_way).count() as u64)
    }

    fn visit_jobs(&self, jobs: JobSet, show: &mut dyn FnMut(JobRecord) -> ControlFlow<()>) -> Result<(), LedgerError> {
        // The content is free again before `show` reads more of it.
        let jobs: Vec<_> = self.content().jobs_of(jobs).into_iter().cloned().collect();
        let _ = jobs.into_iter().try_for_each(show);
        Ok(())
    }

    fn visit_images(&self, _jobs_max: u64, show: &mut dyn FnMut(Artifact)) -> Result<bool, LedgerError> {
        self.visit_jobs(JobSet::InManifest, &mut |record| {
            if let Phase::Finished(Outcome::Succeeded(artifacts)) = record.state.phase {
                artifacts.into_iter().for_each(&mut *show);
            }
            ControlFlow::Continue(())
        })?;
        Ok(true)
    }

    fn failures(&self, max: usize) -> Result<Vec<JobRecord>, LedgerError> {
        let content = self.content();
        let jobs = content.jobs_of(JobSet::InManifest).into_iter();
        let failed = jobs.filter(|record| matches!(record.state.phase, Phase::Finished(Outcome::Failed(_))));
        Ok(failed.take(max).map(without_images).collect())
    }

    fn refetching(&self) -> Result<Vec<JobId>, LedgerError> {
        Ok(queries::refetching(&self.content()))
    }

    fn find(&self, name: &str) -> Result<Vec<JobRecord>, LedgerError> {
        Ok(queries::find(&self.content(), name))
    }

    fn events(&self, job: JobId) -> Result<Vec<(Timestamp, EventKind)>, LedgerError> {
        Ok(queries::events(&self.content(), job))
    }

    fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, LedgerError> {
        let content = self.content();
        Ok(content.job(job).map_or_else(Vec::new, |record| queries::artifacts(&record.state).to_vec()))
    }

    fn prepare_names(&self) -> Result<(), LedgerError> {
        let content = self.content();
        let images = content.jobs.iter().flat_map(|record| queries::artifacts(&record.state));
        self.names.replace(images.map(|artifact| artifact.file_name.clone()).collect());
        Ok(())
    }

    fn is_recorded(&self, file_name: &str) -> Result<bool, LedgerError> {
        Ok(self.names.borrow().contains(file_name))
    }

    fn prepare_acceptances(&self) -> Result<(), LedgerError> {
        self.payments.replace(Payments::of(&self.content()));
        Ok(())
    }

    fn n_accepted(&self, record: &JobRecord) -> Result<u64, LedgerError> {
        Ok(self.payments.borrow().n_accepted.get(&record.job.id).copied().unwrap_or(0))
    }

    fn charges(&self, record: &JobRecord) -> Result<Vec<Charge>, LedgerError> {
        Ok(self.payments.borrow().charges.get(&record.job.id).cloned().unwrap_or_default())
    }

    fn total_cost(&self, price: &Price) -> Result<Option<Cost>, LedgerError> {
        Ok(queries::total_cost(&self.content(), price))
    }

    fn first_without_price(&self, price: &Price) -> Result<Option<(String, u64)>, LedgerError> {
        Ok(queries::first_without_price(&self.content(), price))
    }

    fn row_providers(&self) -> Result<Vec<RowProvider>, LedgerError> {
        Ok(queries::row_providers(&self.content()))
    }

    fn history(&self) -> Result<History, LedgerError> {
        Ok(queries::history(&self.content()))
    }

    fn ended_since(&self, since: Timestamp) -> Result<Option<(u64, Timestamp)>, LedgerError> {
        Ok(queries::ended_since(&self.content(), since))
    }

    fn image_bytes_mean(&self) -> Result<Option<u64>, LedgerError> {
        Ok(queries::image_bytes_mean(&self.content()))
    }

    fn revision(&self) -> Result<String, LedgerError> {
        Ok(queries::revision(&self.content()))
    }

    fn origin(&self) -> Result<String, LedgerError> {
        Ok(queries::origin(&self.content()))
    }

    fn diff_rows(
        &self,
        rows: &mut JobRows<'_>,
        shown_max: usize,
        see: &mut SeeRow<'_>,
    ) -> Result<ManifestDiff, RowsError> {
        let rows = rows.collect::<Result<_, _>>()?;
        Ok(diff::diff(&self.content(), rows, shown_max, see))
    }

    fn check_whole(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn check_if_small(&self) -> Result<bool, LedgerError> {
        Ok(true)
    }

    fn read_in_snapshot(&self, read: &mut dyn FnMut()) -> Result<(), LedgerError> {
        let content = Arc::new(self.content().clone());
        let before = self.snapshot.replace(Some(content));
        read();
        self.snapshot.replace(before);
        Ok(())
    }
}

impl RunWriter for MemoryStore {
    fn set_setting(&mut self, setting: Setting, value: &str) -> Result<(), LedgerError> {
        self.shared.content().settings.insert(setting, value.to_owned());
        Ok(())
    }

    fn import_rows(
        &mut self,
        facts: &ManifestFacts<'_>,
        rows: &mut JobRows<'_>,
        accept: &mut AcceptImport<'_>,
    ) -> Result<Imported, RowsError> {
        let rows = rows.collect::<Result<_, _>>()?;
        let mut content = self.shared.content();
        let mut edited = content.clone();
        let imported = edited.import(facts, rows);
        accept(&imported)?;
        *content = edited;
        Ok(imported)
    }

    fn select(&mut self, selection: &RetrySelection) -> Result<u64, LedgerError> {
        let content = self.shared.content();
        let selected = content.jobs.iter().filter(|record| selection.includes(record));
        self.selected = selected.map(|record| record.job.id).collect();
        Ok(self.selected.len() as u64)
    }

    fn select_if(&mut self, is_wanted: &mut dyn FnMut(&JobRecord) -> bool) -> Result<u64, LedgerError> {
        let content = self.shared.content();
        let wanted =
            content.jobs_of(JobSet::InManifest).into_iter().filter(|record| is_wanted(&without_images(record)));
        self.selected = wanted.map(|record| record.job.id).collect();
        Ok(self.selected.len() as u64)
    }

    fn narrow(&mut self, max: u64) -> Result<u64, LedgerError> {
        let content = self.shared.content();
        let jobs = content.jobs_of(JobSet::InManifest).into_iter();
        let mut kept: Vec<_> = jobs.filter(|record| self.selected.contains(&record.job.id)).collect();
        kept.sort_by_key(|record| (matches!(record.state.phase, Phase::Finished(_)), record.state.finished_at));
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        self.selected = kept.into_iter().take(max).map(|record| record.job.id).collect();
        Ok(self.selected.len() as u64)
    }

    fn reopen_selected(&mut self, at: Timestamp, selection: &RetrySelection) -> Result<(), LedgerError> {
        self.shared.content().reopen(at, &self.selected, selection);
        Ok(())
    }

    fn adopt_events(&mut self, events: &[Event]) -> Result<u64, LedgerError> {
        Ok(self.shared.content().adopt(events))
    }

    fn restore_jobs(&mut self, jobs: &mut RestoredJobs<'_>) -> Result<(), LedgerError> {
        let jobs = jobs.collect::<Result<_, _>>()?;
        self.shared.content().restore_jobs(jobs);
        Ok(())
    }

    fn follow_events(&mut self, events: &[Event], (setting, value): (Setting, &str)) -> Result<(), LedgerError> {
        let followed = self.shared.content().follow(events, (setting, value));
        followed.map_err(|what| LedgerError::Damaged { path: self.location().to_owned(), what })
    }

    fn redo(&mut self, at: Timestamp, jobs: &[(JobId, Redo)]) -> Result<u64, LedgerError> {
        Ok(self.shared.content().redo(at, jobs))
    }

    fn restore(&mut self, at: Timestamp, jobs: &[(JobId, Restored)]) -> Result<u64, LedgerError> {
        Ok(self.shared.content().restore(at, jobs))
    }

    fn check_in_place(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn start(self: Box<Self>, scope: JobScope) -> Result<Box<dyn LedgerSession>, LedgerError> {
        let selected = match scope {
            JobScope::Unfinished => None,
            JobScope::Selected => Some(self.selected.clone()),
        };
        let ledger = MemoryLedger::at(self.shared.clone(), selected);
        Ok(Box::new(MemorySession { ledger, run: self }))
    }
}
