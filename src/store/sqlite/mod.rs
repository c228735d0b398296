//! Ledger of every real run: one `SQLite` file in the output folder, written by its own thread.
//!
//! This file is the whole public face. [`SqliteStore`] is an open run, and [`STORE`] is the row in the table of the stores.
//! Everything else is functions over an open database, one concern per file.

mod adopt;
mod charges;
mod checksum;
mod cost;
mod create;
mod database;
mod diff;
mod discard;
mod event_writer;
mod events;
mod folder;
mod follow;
mod guard;
mod history;
mod immutable;
mod import;
mod integrity;
mod ledger;
mod lock;
mod lookup;
mod merge_cursor;
mod migrate;
mod older_ledger;
mod open;
mod owner;
mod read;
mod record;
mod redo;
mod reopen;
mod row;
mod schema;
mod shuffle;
mod snapshot;
mod task_key;
mod totals;
mod watermark;

use std::ops::ControlFlow;
use std::path::Path;

use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::{Event, EventKind, Redo, Restored};
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::money::Charge;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::model::time::Timestamp;
use crate::store::diff::ManifestDiff;
use crate::store::error::LedgerError;
use crate::store::import::RestoredJobs;
use crate::store::import::{AcceptImport, Imported, JobRows, ManifestFacts, RowsError, SeeRow};
use crate::store::selection::RetrySelection;
use crate::store::setting::Setting;
use crate::store::settings::ReadSettings;
use crate::store::spec::{OpenOptions, StoreSpec};
use crate::store::sqlite::database::Database;
use crate::store::sqlite::ledger::SqliteLedger;
use crate::store::{JobScope, JobSet, LedgerSession, RowProvider, RunReader, RunWriter};

/// Row of this store in the table of the stores.
pub(crate) static STORE: StoreSpec = StoreSpec {
    name: "sqlite",
    help: "One SQLite file, run.db, in the output folder of each run",
    has_run: |out| out.join("run.db").exists(),
    open: |out, options| Ok(Box::new(SqliteStore::open_with(out, options)?)),
    open_for_reading: |out| Ok(Box::new(SqliteStore::open_for_reading(out)?)),
    read_snapshot: |out, read| {
        snapshot::read_snapshot(out, |database| {
            let reader = SqliteStore { database };
            reader.read_in_snapshot(&mut || read(&reader))
        })
    },
    lock_owner: lock::lock_owner,
    find_rollback: open::find_rollback,
    discard: |out, is_unwanted| discard::discard(out, |database| is_unwanted(&SqliteStore { database })),
};

/// Open run in a `SQLite` file.
#[derive(Debug)]
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// Opens the run in the folder `out` for writing, and creates the folder and the ledger if they are missing.
    pub fn open(out: &Path, provider: &str) -> Result<Self, LedgerError> {
        Self::open_with(out, OpenOptions { provider: Some(provider), accepts_older: None })
    }

    /// Opens the existing run in the folder `out` for writing, with the provider that it names.
    pub fn open_existing(out: &Path) -> Result<Self, LedgerError> {
        Self::open_with(out, OpenOptions::default())
    }

    /// Opens the run in the folder `out` for writing, with these options.
    pub fn open_with(out: &Path, options: OpenOptions<'_>) -> Result<Self, LedgerError> {
        let named = match options.provider {
            Some(_) => None,
            None => Some(Self::open_for_reading(out)?.provider()?),
        };
        let provider = options.provider.or(named.as_deref()).unwrap_or_default();
        Ok(Self { database: open::open(out, provider, options.accepts_older)? })
    }

    /// Opens the run in the folder `out` for reading, also while another process writes.
    pub fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        Ok(Self { database: open::open_for_reading(out)? })
    }
}

impl RunReader for SqliteStore {
    fn location(&self) -> &Path {
        self.database.path()
    }

    fn setting(&self, setting: Setting) -> Result<Option<String>, LedgerError> {
        self.database.meta(setting.key())
    }

    fn counts(&self) -> Result<StatusCounts, LedgerError> {
        totals::counts(&self.database)
    }

    fn incidents(&self) -> Result<RunStats, LedgerError> {
        totals::incidents(&self.database)
    }

    fn n_orphaned(&self) -> Result<u64, LedgerError> {
        read::n_orphaned(&self.database)
    }

    fn visit_jobs(&self, jobs: JobSet, show: &mut dyn FnMut(JobRecord) -> ControlFlow<()>) -> Result<(), LedgerError> {
        read::visit_jobs(&self.database, jobs, show)
    }

    fn visit_images(&self, jobs_max: u64, show: &mut dyn FnMut(Artifact)) -> Result<bool, LedgerError> {
        read::visit_images(&self.database, jobs_max, show)
    }

    fn failures(&self, max: usize) -> Result<Vec<JobRecord>, LedgerError> {
        read::failures(&self.database, max)
    }

    fn refetching(&self) -> Result<Vec<JobId>, LedgerError> {
        reopen::refetching(&self.database)
    }

    fn find(&self, name: &str) -> Result<Vec<JobRecord>, LedgerError> {
        lookup::find(&self.database, name)
    }

    fn events(&self, job: JobId) -> Result<Vec<(Timestamp, EventKind)>, LedgerError> {
        read::events(&self.database, job)
    }

    fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, LedgerError> {
        read::artifacts(&self.database, job)
    }

    fn prepare_names(&self) -> Result<(), LedgerError> {
        read::prepare_names(&self.database)
    }

    fn is_recorded(&self, file_name: &str) -> Result<bool, LedgerError> {
        read::is_recorded(&self.database, file_name)
    }

    fn prepare_acceptances(&self) -> Result<(), LedgerError> {
        cost::prepare_acceptances(&self.database)
    }

    fn n_accepted(&self, record: &JobRecord) -> Result<u64, LedgerError> {
        cost::n_accepted(&self.database, record)
    }

    fn charges(&self, record: &JobRecord) -> Result<Vec<Charge>, LedgerError> {
        charges::of_job(&self.database, record)
    }

    fn total_cost(&self, price: &Price) -> Result<Option<Cost>, LedgerError> {
        cost::total_cost(&self.database, price)
    }

    fn first_without_price(&self, price: &Price) -> Result<Option<(String, u64)>, LedgerError> {
        cost::first_without_price(&self.database, price)
    }

    fn row_providers(&self) -> Result<Vec<RowProvider>, LedgerError> {
        read::row_providers(&self.database)
    }

    fn history(&self) -> Result<History, LedgerError> {
        history::history(&self.database)
    }

    fn ended_since(&self, since: Timestamp) -> Result<Option<(u64, Timestamp)>, LedgerError> {
        lookup::ended_since(&self.database, since)
    }

    fn image_bytes_mean(&self) -> Result<Option<u64>, LedgerError> {
        read::image_bytes_mean(&self.database)
    }

    fn revision(&self) -> Result<String, LedgerError> {
        read::revision(&self.database)
    }

    fn origin(&self) -> Result<String, LedgerError> {
        read::origin(&self.database)
    }

    fn diff_rows(
        &self,
        rows: &mut JobRows<'_>,
        shown_max: usize,
        see: &mut SeeRow<'_>,
    ) -> Result<ManifestDiff, RowsError> {
        diff::diff(&self.database, rows, shown_max, see)
    }

    fn check_whole(&self) -> Result<(), LedgerError> {
        integrity::check_whole(&self.database)
    }

    fn check_if_small(&self) -> Result<bool, LedgerError> {
        integrity::check_if_small(&self.database)
    }

    fn read_in_snapshot(&self, read: &mut dyn FnMut()) -> Result<(), LedgerError> {
        let transaction = self.database.connection.unchecked_transaction();
        let transaction = transaction.map_err(|error| self.database.error(error))?;
        read();
        transaction.commit().map_err(|error| self.database.error(error))
    }
}

impl RunWriter for SqliteStore {
    fn set_setting(&mut self, setting: Setting, value: &str) -> Result<(), LedgerError> {
        self.database.set_meta(setting.key(), value)
    }

    fn import_rows(
        &mut self,
        facts: &ManifestFacts<'_>,
        rows: &mut JobRows<'_>,
        accept: &mut AcceptImport<'_>,
    ) -> Result<Imported, RowsError> {
        import::import(&mut self.database, facts, rows, accept)
    }

    fn select(&mut self, selection: &RetrySelection) -> Result<u64, LedgerError> {
        reopen::select(&self.database, selection)
    }

    fn select_if(&mut self, is_wanted: &mut dyn FnMut(&JobRecord) -> bool) -> Result<u64, LedgerError> {
        reopen::select_if(&self.database, is_wanted)
    }

    fn narrow(&mut self, max: u64) -> Result<u64, LedgerError> {
        reopen::narrow(&self.database, max)
    }

    fn reopen_selected(&mut self, at: Timestamp, selection: &RetrySelection) -> Result<(), LedgerError> {
        reopen::reopen_selected(&mut self.database, at, selection)
    }

    fn adopt_events(&mut self, events: &[Event]) -> Result<u64, LedgerError> {
        adopt::adopt(&mut self.database, events)
    }

    fn restore_jobs(&mut self, jobs: &mut RestoredJobs<'_>) -> Result<(), LedgerError> {
        import::restore(&mut self.database, jobs)
    }

    fn follow_events(&mut self, events: &[Event], mark: (Setting, &str)) -> Result<(), LedgerError> {
        follow::follow(&mut self.database, events, mark)
    }

    fn redo(&mut self, at: Timestamp, jobs: &[(JobId, Redo)]) -> Result<u64, LedgerError> {
        redo::redo(&mut self.database, at, jobs)
    }

    fn restore(&mut self, at: Timestamp, jobs: &[(JobId, Restored)]) -> Result<u64, LedgerError> {
        redo::restore(&mut self.database, at, jobs)
    }

    fn check_in_place(&self) -> Result<(), LedgerError> {
        self.database.check_in_place()
    }

    fn start(self: Box<Self>, scope: JobScope) -> Result<Box<dyn LedgerSession>, LedgerError> {
        Ok(Box::new(SqliteLedger::start(self.database, scope)?))
    }
}

impl LedgerSession for SqliteLedger {
    fn close(self: Box<Self>) -> Result<Box<dyn RunWriter>, LedgerError> {
        Ok(Box::new(SqliteStore { database: self.into_database()? }))
    }
}

#[cfg(test)]
mod full;
#[cfg(all(test, unix))]
mod refusals;
#[cfg(test)]
mod tests;
