//! Statements of a worker: numbered writes that begin with the worker's own row, and reads of its blocks.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::model::event::EventKind;
use crate::model::job::{Job, JobId};
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, JobState};
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::postgres::client::{Params, StatementError};
use crate::store::postgres::encode::{amount_in, cost_text, events_text, state_from, state_text, task_key};
use crate::store::postgres::run::PostgresRun;
use crate::store::shared::backend::{
    BackendError, BackendResult, BlockNumber, Claim, Numbered, SharedCommit, SharedFlags, SharedJob, Testimony,
    WorkerId,
};

/// Timeline of the server, which changes whenever another one takes its place.
pub(super) const TIMELINE: &str = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint";

/// Columns of the flags, for [`flags`]. They also raise the durability of this transaction: a commit is confirmed only when it is on disk, however
/// the server is configured.
pub(super) const FLAGS: &str = "(SELECT extract(epoch FROM greatest(hold_until - now(), interval '0'))::float8 FROM {run}), (SELECT stop FROM {run}), \
     ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint, (SELECT rate FROM {pace}), (SELECT places FROM {pace}), \
     (SELECT cost_max::text FROM {pace}), set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') \
         THEN 'on' ELSE current_setting('synchronous_commit') END, true)";

/// Whether jobs of a block are under way.
pub(super) const BEGUN: &str =
    "EXISTS (SELECT FROM {states} s WHERE s.row BETWEEN first_row AND last_row AND s.phase BETWEEN 1 AND 3)";

/// First part of a numbered write: the worker's own row. $1 is its id, and $2 the number.
const FENCE: &str =
    "fence AS (UPDATE {workers} SET n_writes = $2 WHERE id = $1 AND is_live AND n_writes = $2 - 1 RETURNING id)";

impl From<StatementError> for BackendError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Unavailable(what) => Self::Unavailable(what),
            StatementError::Refused(_, error) => Self::Ledger(error),
        }
    }
}

/// Reads the flags, which begin at this column.
pub(super) fn flags(row: &Row, first: usize) -> SharedFlags {
    let hold: Option<f64> = row.get(first);
    let hold_for = hold.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|hold| !hold.is_zero());
    let generation: i64 = row.get(first + 2);
    let rate = row.get::<_, Option<&str>>(first + 3).and_then(|text| text.parse().ok());
    let places = row.get::<_, Option<i64>>(first + 4).and_then(places);
    let cost_max = row.get::<_, Option<&str>>(first + 5).and_then(amount_in);
    SharedFlags { hold_for, stop: row.get(first + 1), rate, places, cost_max, generation: generation.unsigned_abs() }
}

/// Reads a maximum number of tasks in flight.
pub(super) fn places(value: i64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(value).ok()?)
}

/// Converts a number for a column of 64 bits.
pub(super) fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl PostgresRun {
    /// Runs one statement, in which a table's name means that of this run.
    pub(super) async fn rows(&self, sql: &str, params: Params<'_>) -> BackendResult<Vec<Row>> {
        Ok(self.client.query(&self.in_schema(sql), params).await?)
    }

    pub(super) async fn row(&self, sql: &str, params: Params<'_>) -> BackendResult<Row> {
        Ok(self.client.query_one(&self.in_schema(sql), params).await?)
    }

    /// Explains why a numbered write did not happen. Reads the row again: the snapshot of the write may be older than what stopped it.
    pub(super) async fn unwritten<T>(&self, worker: WorkerId) -> BackendResult<Numbered<T>> {
        let rows =
            self.rows("SELECT is_live, n_writes FROM {workers} WHERE id = $1", &[(&worker.0, Type::INT8)]).await?;
        Ok(match rows.first() {
            None => Numbered::Unknown,
            Some(row) if !row.get::<_, bool>(0) => Numbered::Fenced,
            Some(row) => Numbered::LastIs(row.get::<_, i64>(1).unsigned_abs()),
        })
    }

    pub(super) async fn write_commit(
        &self,
        worker: WorkerId,
        n: u64,
        commit: &SharedCommit,
    ) -> BackendResult<Numbered<()>> {
        let rows: Vec<i64> = commit.jobs.iter().map(|job| job.row).collect();
        let phases: Vec<i16> = commit.jobs.iter().map(|job| phase_of(&job.state)).collect();
        let states: Vec<String> = commit.jobs.iter().map(|job| state_text(&job.state)).collect();
        let row_of: HashMap<JobId, i64> = commit.jobs.iter().map(|job| (job.id, job.row)).collect();
        let (mut keys, mut owners) = (Vec::new(), Vec::new());
        for event in &*commit.events {
            if let EventKind::Accepted(task) = &event.kind
                && let Some(row) = row_of.get(&event.job)
            {
                keys.push(task_key(task));
                owners.push(*row);
            }
        }
        let done: Vec<i64> = commit.blocks_done.iter().map(|block| block.0).collect();
        let totals = commit.totals.0.to_vec();
        let events = (!commit.events.is_empty()).then(|| events_text(&commit.events));
        let sql = format!(
            "WITH fence AS (UPDATE {{workers}} SET n_writes = $2, totals = ARRAY(SELECT a + b FROM unnest(totals, $3) WITH ORDINALITY \
                 AS u (a, b, i) ORDER BY i), cost = ARRAY(SELECT a + b FROM unnest(cost, $11::text::numeric[]) WITH ORDINALITY AS u (a, b, i) ORDER BY i) \
                 WHERE id = $1 AND is_live AND n_writes = $2 - 1 RETURNING id), \
             changed AS (INSERT INTO {{states}} AS old (row, phase, state) SELECT t.row, t.phase, t.state FROM fence, \
                 unnest($4, $5, $6) AS t (row, phase, state) \
                 ON CONFLICT (row) DO UPDATE SET phase = excluded.phase, state = excluded.state), \
             owned AS (INSERT INTO {{tasks}} (key, row) SELECT t.key, t.row FROM fence, unnest($7, $8) AS t (key, row) \
                 ON CONFLICT DO NOTHING), \
             told AS (INSERT INTO {{commits}} (worker, n, events) SELECT id, $2, $9 FROM fence WHERE $9 IS NOT NULL), \
             done AS (UPDATE {{blocks}} AS b SET is_done = true, owner = NULL FROM fence WHERE b.n = ANY($10) AND b.owner = $1) \
             SELECT EXISTS (SELECT FROM fence), {FLAGS}"
        );
        let (id, n, cost) = (worker.0, number(n), cost_text(commit.cost));
        let row = self
            .row(
                &sql,
                &[
                    (&id, Type::INT8),
                    (&n, Type::INT8),
                    (&totals, Type::INT8_ARRAY),
                    (&rows, Type::INT8_ARRAY),
                    (&phases, Type::INT2_ARRAY),
                    (&states, Type::TEXT_ARRAY),
                    (&keys, Type::BYTEA_ARRAY),
                    (&owners, Type::INT8_ARRAY),
                    (&events, Type::TEXT),
                    (&done, Type::INT8_ARRAY),
                    (&cost, Type::TEXT),
                ],
            )
            .await?;
        if row.get(0) { Ok(Numbered::Written((), flags(&row, 1))) } else { self.unwritten(worker).await }
    }

    pub(super) async fn write_claim(
        &self,
        worker: WorkerId,
        n: u64,
        claim: &Claim,
    ) -> BackendResult<Numbered<Vec<BlockNumber>>> {
        let (id, n) = (worker.0, number(n));
        let picked = match claim {
            Claim::Next(_) => {
                "SELECT n FROM {blocks} WHERE owner IS NULL AND NOT is_done AND (rests_until IS NULL OR rests_until <= now()) \
                 AND EXISTS (SELECT FROM fence) ORDER BY has_begun DESC, n LIMIT $3 FOR UPDATE SKIP LOCKED"
            }
            Claim::These(_) => {
                "SELECT n FROM {blocks} WHERE n = ANY($3) AND NOT is_done AND (owner IS NULL OR owner = $1) \
                 AND EXISTS (SELECT FROM fence) FOR UPDATE"
            }
        };
        let sql = format!(
            "WITH {FENCE}, picked AS ({picked}), taken AS (UPDATE {{blocks}} AS b SET owner = $1, rests_until = NULL FROM picked \
                 WHERE b.n = picked.n AND (b.owner IS NULL OR b.owner = $1) AND NOT b.is_done RETURNING b.n) \
             SELECT EXISTS (SELECT FROM fence), ARRAY(SELECT n FROM taken ORDER BY n), {FLAGS}"
        );
        let row = match claim {
            Claim::Next(max) => {
                let max = i64::try_from(*max).unwrap_or(i64::MAX);
                self.row(&sql, &[(&id, Type::INT8), (&n, Type::INT8), (&max, Type::INT8)]).await?
            }
            Claim::These(blocks) => {
                let wanted: Vec<i64> = blocks.iter().map(|block| block.0).collect();
                self.row(&sql, &[(&id, Type::INT8), (&n, Type::INT8), (&wanted, Type::INT8_ARRAY)]).await?
            }
        };
        if row.get(0) {
            let blocks: Vec<i64> = row.get(1);
            Ok(Numbered::Written(blocks.into_iter().map(BlockNumber).collect(), flags(&row, 2)))
        } else {
            self.unwritten(worker).await
        }
    }

    pub(super) async fn read_blocks(&self, blocks: &[BlockNumber]) -> BackendResult<Vec<SharedJob>> {
        let wanted: Vec<i64> = blocks.iter().map(|block| block.0).collect();
        let sql = "SELECT j.row, j.id, j.position, j.label, j.request, j.extras, s.state, \
                 ARRAY(SELECT t.n_submits FROM {testimonies} t WHERE t.row = j.row ORDER BY t.n_submits, t.key), \
                 ARRAY(SELECT t.task FROM {testimonies} t WHERE t.row = j.row ORDER BY t.n_submits, t.key), b.n \
             FROM {blocks} b JOIN {jobs} j ON j.row BETWEEN b.first_row AND b.last_row LEFT JOIN {states} s ON s.row = j.row \
             WHERE b.n = ANY($1) ORDER BY j.row";
        let rows = self.rows(sql, &[(&wanted, Type::INT8_ARRAY)]).await?;
        rows.iter().map(|row| Ok(self.job_in(row)?)).collect()
    }

    fn job_in(&self, row: &Row) -> Result<SharedJob, LedgerError> {
        let number: i64 = row.get(0);
        let read = || {
            let id: [u8; 10] = row.get::<_, &[u8]>(1).try_into().ok()?;
            let (extras, manifest_row) = format::extras_from(row.get(5))?;
            let job = Job {
                id: JobId::from_bytes(id),
                index: row.get::<_, i64>(2).try_into().ok()?,
                label: row.get(3),
                request: format::request_from(row.get(4))?,
                extras,
                row: manifest_row,
            };
            let state = row.get::<_, Option<&str>>(6).map_or_else(|| Some(JobState::default()), state_from)?;
            let (numbers, tasks): (Vec<i32>, Vec<String>) = (row.get(7), row.get(8));
            let testimonies = numbers.into_iter().zip(tasks);
            let testimonies = testimonies
                .map(|(n, task)| Some(Testimony { n_submits: n.try_into().ok()?, task: TaskId(task) }))
                .collect::<Option<_>>()?;
            let record = JobRecord { job: job.into(), state };
            Some(SharedJob { block: BlockNumber(row.get(9)), row: number, record, testimonies })
        };
        read().ok_or_else(|| self.client.damaged(format!("the job in row {number} cannot be decoded")))
    }

    /// Ends a worker at its own wish. Its row and its blocks are two statements in one transaction: a claim may have been under way, whose
    /// blocks only a later snapshot shows. One message carries both, so that poolers in transaction mode work.
    pub(super) async fn end(&self, worker: WorkerId, rest: Duration) -> BackendResult<()> {
        let (id, seconds) = (worker.0, rest.as_secs_f64());
        let sql = format!(
            "UPDATE {{workers}} SET is_live = false, ended_at = now() WHERE id = {id} AND is_live; \
             UPDATE {{blocks}} SET owner = NULL, has_begun = {BEGUN}, rests_until = now() + make_interval(secs => {seconds:.3}) \
             WHERE owner = {id}"
        );
        Ok(self.client.batch(&self.in_schema(&sql)).await?)
    }
}

pub(super) fn phase_of(state: &JobState) -> i16 {
    i16::try_from(format::phase_number(&state.phase)).expect("there are seven phases")
}
