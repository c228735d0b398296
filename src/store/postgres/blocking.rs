//! Access to a shared run from code that is not asynchronous: the way of a run folder to the server, and back.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::model::amount::Amount;
use crate::model::event::Event;
use crate::model::job::{JobId, JobSpec};
use crate::model::outcome::TaskId;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::import::RestoredJob;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::client::{Params, StatementResult};
use crate::store::postgres::encode::events_from;
use crate::store::postgres::run::{PostgresRun, SharedStatus};
use crate::store::shared::backend::{BackendError, SharedBackend, Testimony, WorkerRow};

/// Jobs read at a time.
const JOBS_MAX: i64 = 2000;

/// Commits read at a time.
const COMMITS_MAX: i64 = 500;

/// Shared run with a runtime of its own. None of its methods may be called inside another runtime.
pub(crate) struct BlockingRun {
    pub(super) runtime: Runtime,
    pub(super) run: PostgresRun,
}

/// Page of commits: the number of each, with its events.
pub(crate) type CommitPage = Vec<(i64, Vec<Event>)>;

impl BlockingRun {
    /// Prepares the access to a run. Nothing is sent before the first call.
    pub(crate) fn new(address: SharedAddress) -> Result<Self, LedgerError> {
        let place = address.to_string().into();
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| LedgerError::Io { path: place, source })?;
        Ok(Self { runtime, run: PostgresRun::new(address)? })
    }

    /// Returns the address, which contains no password.
    pub(crate) fn address(&self) -> &SharedAddress {
        self.run.address()
    }

    /// Reads the run as of one moment.
    pub(crate) fn status(&self) -> Result<SharedStatus, LedgerError> {
        self.runtime.block_on(self.run.status())
    }

    /// Records a setting, if no other value is recorded. Returns the value that is recorded.
    pub(crate) fn settle_setting(&self, key: &str, value: &str) -> Result<String, LedgerError> {
        self.runtime.block_on(self.run.settle_setting(key, value))
    }

    /// Returns a warning about the server's replicas; see [`PostgresRun::warning`].
    pub(crate) fn warning(&self) -> Result<Option<String>, LedgerError> {
        self.runtime.block_on(self.run.warning())
    }

    /// Waits, while the connection lives on.
    pub(crate) fn wait(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Returns the live workers with their numbers.
    pub(crate) fn workers(&self) -> Result<Vec<WorkerRow>, LedgerError> {
        self.runtime.block_on(self.run.workers()).map_err(error)
    }

    /// Ends a worker whose numbers are those that were seen, and returns whether that happened. Its blocks are free at once.
    pub(crate) fn take_over(&self, worker: &WorkerRow) -> Result<bool, LedgerError> {
        self.runtime.block_on(self.run.take_over(worker.id, worker.numbers, Duration::ZERO)).map_err(error)
    }

    /// Closes the run for workers, unless one is live. Returns whether it is closed.
    pub(crate) fn close(&self) -> Result<bool, LedgerError> {
        Ok(self.runtime.block_on(self.run.close())?)
    }

    /// Sets the limit on the cost of the run.
    pub(crate) fn limit_cost(&self, max: Amount) -> Result<(), LedgerError> {
        self.runtime.block_on(self.run.settle_cost_max(Some(max))).map(drop)
    }

    fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, LedgerError> {
        Ok(self.runtime.block_on(self.run.client.query(sql, params))?)
    }

    /// Returns the next jobs behind this row, with the number of the last row; `None` after the last job.
    pub(crate) fn jobs_after(&self, row: i64) -> Result<Option<(i64, Vec<RestoredJob>)>, LedgerError> {
        let sql = self.run.in_schema(
            "SELECT row, id, position, label, request, extras FROM {jobs} WHERE row > $1 ORDER BY row LIMIT $2",
        );
        let rows = self.query(&sql, &[(&row, Type::INT8), (&JOBS_MAX, Type::INT8)])?;
        let Some(last) = rows.last() else { return Ok(None) };
        let job = |row: &Row| {
            let (extras, manifest_row) = format::extras_from(row.get(5))?;
            Some(RestoredJob {
                id: JobId::from_bytes(row.get::<_, &[u8]>(1).try_into().ok()?),
                index: row.get::<_, Option<i64>>(2).map(i64::unsigned_abs),
                spec: JobSpec {
                    label: row.get(3),
                    request: format::request_from(row.get(4))?,
                    extras,
                    row: manifest_row,
                },
            })
        };
        let jobs = rows.iter().map(|row| {
            job(row).ok_or_else(|| {
                self.run.client.damaged(format!("the job in row {} cannot be decoded", row.get::<_, i64>(0)))
            })
        });
        Ok(Some((last.get(0), jobs.collect::<Result<_, _>>()?)))
    }

    /// Returns the next commits behind this one, in their order. Empty after the last one.
    pub(crate) fn commits_after(&self, seq: i64) -> Result<CommitPage, LedgerError> {
        let sql = self.run.in_schema("SELECT seq, events FROM {commits} WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = self.query(&sql, &[(&seq, Type::INT8), (&COMMITS_MAX, Type::INT8)])?;
        let commit = |row: &Row| {
            let seq: i64 = row.get(0);
            let events = events_from(row.get(1));
            events
                .map(|events| (seq, events))
                .ok_or_else(|| self.run.client.damaged(format!("commit {seq} cannot be decoded")))
        };
        rows.iter().map(commit).collect()
    }
}

impl BlockingRun {
    /// Returns the testimonies of workers that were shut out, with the job of each.
    pub(crate) fn testimonies(&self) -> Result<Vec<(JobId, Testimony)>, LedgerError> {
        let sql = "SELECT j.id, t.n_submits, t.task FROM {testimonies} t JOIN {jobs} j ON j.row = t.row ORDER BY t.row, t.n_submits, t.key";
        let told = |row: &Row| {
            let id = JobId::from_bytes(row.get::<_, &[u8]>(0).try_into().ok()?);
            Some((id, Testimony { n_submits: row.get::<_, i32>(1).try_into().ok()?, task: TaskId(row.get(2)) }))
        };
        let rows = self.query(&self.run.in_schema(sql), &[])?;
        rows.iter()
            .map(|row| told(row).ok_or_else(|| self.run.client.damaged("a testimony cannot be decoded")))
            .collect()
    }

    /// Returns whether the run is at the server.
    pub(crate) fn is_there(&self) -> Result<bool, LedgerError> {
        let sql = "SELECT to_regclass($1) IS NOT NULL";
        let name = format!("{}.meta", self.run.schema());
        let rows = self.query(sql, &[(&name, Type::TEXT)])?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

impl PostgresRun {
    /// Closes the run for workers, unless one is live. Returns whether it is closed. The lock makes a worker that joins wait, and the second
    /// statement sees the workers that joined before.
    async fn close(&self) -> StatementResult<bool> {
        let client = self.client.connection().await?;
        let time = Duration::from_secs(10);
        let work = async {
            client.batch_execute("BEGIN").await?;
            client.query_typed(&self.in_schema("SELECT status FROM {run} FOR UPDATE"), &[]).await?;
            let sql = "UPDATE {run} SET status = 'merged' WHERE NOT EXISTS (SELECT FROM {workers} WHERE is_live) RETURNING status";
            let rows = client.query_typed(&self.in_schema(sql), &[]).await?;
            client.batch_execute("COMMIT").await?;
            Ok(!rows.is_empty())
        };
        self.client.within(&client, time, work).await
    }
}

fn error(error: BackendError) -> LedgerError {
    match error {
        BackendError::Ledger(error) => error,
        BackendError::Unavailable(what) => LedgerError::NoAnswer { what },
    }
}
