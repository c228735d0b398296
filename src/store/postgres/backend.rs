//! Port of a shared run over PostgreSQL: each method is one statement.

use std::num::NonZeroU32;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::model::amount::Amount;
use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::TaskOwner;
use crate::store::postgres::encode::task_key;
use crate::store::postgres::run::PostgresRun;
use crate::store::postgres::statements::{BEGUN, FLAGS, flags, number};
use crate::store::shared::backend::{
    BackendResult, BlockNumber, Claim, Numbered, Outlook, Renewal, ReservedTimes, SharedBackend, SharedCommit,
    SharedFlags, SharedJob, Testimony, WorkerId, WorkerNumbers, WorkerProfile, WorkerRow,
};
use crate::store::totals::{TOTAL_NAMES, Totals};

impl SharedBackend for PostgresRun {
    fn join<'a>(&'a self, worker: WorkerId, profile: &'a WorkerProfile) -> BoxFuture<'a, BackendResult<()>> {
        async move {
            let (pid, totals) = (i64::from(profile.pid), vec![0_i64; TOTAL_NAMES.len()]);
            // The lock on the run's row keeps a merge from beginning in between.
            let sql = "WITH open AS (UPDATE {run} SET stop = CASE WHEN EXISTS (SELECT FROM {workers} WHERE is_live OR id = $1) \
                     THEN stop END WHERE status = 'open' RETURNING status), \
                 joined AS (INSERT INTO {workers} (id, host, pid, version, totals) SELECT $1, $2, $3, $4, $5 FROM open \
                     ON CONFLICT DO NOTHING) \
                 SELECT EXISTS (SELECT FROM open)";
            let row = self
                .row(
                    sql,
                    &[
                        (&worker.0, Type::INT8),
                        (&profile.host, Type::TEXT),
                        (&pid, Type::INT8),
                        (&profile.version, Type::TEXT),
                        (&totals, Type::INT8_ARRAY),
                    ],
                )
                .await?;
            if row.get(0) { Ok(()) } else { Err(self.merged().into()) }
        }
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        commit: &'a SharedCommit,
    ) -> BoxFuture<'a, BackendResult<Numbered<()>>> {
        self.write_commit(worker, n, commit).boxed()
    }

    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        claim: &'a Claim,
    ) -> BoxFuture<'a, BackendResult<Numbered<Vec<BlockNumber>>>> {
        self.write_claim(worker, n, claim).boxed()
    }

    fn owned(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Vec<BlockNumber>>> {
        async move {
            let rows =
                self.rows("SELECT n FROM {blocks} WHERE owner = $1 ORDER BY n", &[(&worker.0, Type::INT8)]).await?;
            Ok(rows.iter().map(|row| BlockNumber(row.get(0))).collect())
        }
        .boxed()
    }

    fn load<'a>(&'a self, blocks: &'a [BlockNumber]) -> BoxFuture<'a, BackendResult<Vec<SharedJob>>> {
        self.read_blocks(blocks).boxed()
    }

    fn renew(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Renewal>> {
        async move {
            let sql = format!(
                "WITH renewed AS (UPDATE {{workers}} SET n_renewals = n_renewals + 1 WHERE id = $1 AND is_live RETURNING n_writes) \
                 SELECT (SELECT n_writes FROM renewed), {FLAGS}"
            );
            let row = self.row(&sql, &[(&worker.0, Type::INT8)]).await?;
            if let Some(n) = row.get::<_, Option<i64>>(0) {
                return Ok(Renewal::Renewed { n_writes: n.unsigned_abs(), flags: flags(&row, 1) });
            }
            Ok(match self.unwritten::<()>(worker).await? {
                Numbered::Unknown => Renewal::Unknown,
                Numbered::Fenced | Numbered::LastIs(_) | Numbered::Written(..) => Renewal::Fenced,
            })
        }
        .boxed()
    }

    fn workers(&self) -> BoxFuture<'_, BackendResult<Vec<WorkerRow>>> {
        async move {
            let sql = "SELECT id, n_writes, n_renewals, totals FROM {workers} WHERE is_live ORDER BY id";
            let rows = self.rows(sql, &[]).await?;
            let worker = |row: &Row| WorkerRow {
                id: WorkerId(row.get(0)),
                is_live: true,
                numbers: WorkerNumbers {
                    n_writes: row.get::<_, i64>(1).unsigned_abs(),
                    n_renewals: row.get::<_, i64>(2).unsigned_abs(),
                },
                totals: totals_in(&row.get::<_, Vec<i64>>(3)),
            };
            Ok(rows.iter().map(worker).collect())
        }
        .boxed()
    }

    fn take_over(&self, worker: WorkerId, seen: WorkerNumbers, rest: Duration) -> BoxFuture<'_, BackendResult<bool>> {
        async move {
            // A claim under way moves the numbers or waits, so that the blocks of one snapshot are all.
            let sql = format!(
                "WITH ended AS (UPDATE {{workers}} SET is_live = false, ended_at = now() \
                     WHERE id = $1 AND is_live AND n_writes = $2 AND n_renewals = $3 RETURNING id), \
                 freed AS (UPDATE {{blocks}} AS b SET owner = NULL, has_begun = {BEGUN}, \
                     rests_until = now() + make_interval(secs => $4) FROM ended WHERE b.owner = ended.id) \
                 SELECT EXISTS (SELECT FROM ended)"
            );
            let (n_writes, n_renewals) = (number(seen.n_writes), number(seen.n_renewals));
            let seconds = rest.as_secs_f64();
            let row = self
                .row(
                    &sql,
                    &[
                        (&worker.0, Type::INT8),
                        (&n_writes, Type::INT8),
                        (&n_renewals, Type::INT8),
                        (&seconds, Type::FLOAT8),
                    ],
                )
                .await?;
            Ok(row.get(0))
        }
        .boxed()
    }

    fn leave(&self, worker: WorkerId, rest: Duration) -> BoxFuture<'_, BackendResult<()>> {
        self.end(worker, rest).boxed()
    }

    fn testify<'a>(
        &'a self,
        worker: WorkerId,
        testimonies: &'a [(i64, Testimony)],
    ) -> BoxFuture<'a, BackendResult<()>> {
        async move {
            let rows: Vec<i64> = testimonies.iter().map(|(row, _)| *row).collect();
            let numbers: Vec<i32> =
                testimonies.iter().map(|(_, told)| i32::try_from(told.n_submits).unwrap_or(i32::MAX)).collect();
            let keys: Vec<Vec<u8>> = testimonies.iter().map(|(_, told)| task_key(&told.task)).collect();
            let tasks: Vec<&str> = testimonies.iter().map(|(_, told)| told.task.0.as_str()).collect();
            let sql = "INSERT INTO {testimonies} (row, n_submits, key, task, worker) \
                 SELECT t.row, t.n, t.key, t.task, $5 FROM unnest($1, $2, $3, $4) AS t (row, n, key, task) ON CONFLICT DO NOTHING";
            self.rows(
                sql,
                &[
                    (&rows, Type::INT8_ARRAY),
                    (&numbers, Type::INT4_ARRAY),
                    (&keys, Type::BYTEA_ARRAY),
                    (&tasks, Type::TEXT_ARRAY),
                    (&worker.0, Type::INT8),
                ],
            )
            .await?;
            Ok(())
        }
        .boxed()
    }

    fn owners<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, BackendResult<Vec<Option<TaskOwner>>>> {
        async move {
            let keys: Vec<Vec<u8>> = tasks.iter().map(task_key).collect();
            let sql = "SELECT k.i, j.id, j.position FROM unnest($1) WITH ORDINALITY AS k (key, i) \
                 JOIN {tasks} t ON t.key = k.key JOIN {jobs} j ON j.row = t.row";
            let mut owners = vec![None; tasks.len()];
            for row in self.rows(sql, &[(&keys, Type::BYTEA_ARRAY)]).await? {
                let id: Option<[u8; 10]> = row.get::<_, &[u8]>(1).try_into().ok();
                let id = id.ok_or_else(|| self.client.damaged("the id of a job has another length"))?;
                let index = row.get::<_, Option<i64>>(2).map(i64::unsigned_abs);
                let place = usize::try_from(row.get::<_, i64>(0) - 1).ok().and_then(|place| owners.get_mut(place));
                if let Some(place) = place {
                    *place = Some(TaskOwner { job: JobId::from_bytes(id), index });
                }
            }
            Ok(owners)
        }
        .boxed()
    }

    fn outlook(&self) -> BoxFuture<'_, BackendResult<Outlook>> {
        async move {
            let sql = "SELECT EXISTS (SELECT FROM {blocks} WHERE NOT is_done), \
                 EXISTS (SELECT FROM {blocks} WHERE NOT is_done AND owner IS NULL AND (rests_until IS NULL OR rests_until <= now())), \
                 (SELECT extract(epoch FROM min(rests_until) - now())::float8 FROM {blocks} WHERE NOT is_done AND owner IS NULL)";
            let row = self.row(sql, &[]).await?;
            Ok(match (row.get(0), row.get(1), row.get::<_, Option<f64>>(2)) {
                (false, _, _) => Outlook::Done,
                (true, true, _) => Outlook::Free,
                (true, false, Some(seconds)) => {
                    Outlook::Resting(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO))
                }
                (true, false, None) => Outlook::Owned,
            })
        }
        .boxed()
    }

    fn raise<'a>(&'a self, flags: &'a SharedFlags) -> BoxFuture<'a, BackendResult<()>> {
        async move {
            let hold = flags.hold_for.map(|hold| hold.as_secs_f64());
            let sql = "UPDATE {run} SET stop = coalesce(stop, $2), \
                 hold_until = greatest(hold_until, now() + make_interval(secs => $1))";
            self.rows(sql, &[(&hold, Type::FLOAT8), (&flags.stop, Type::TEXT)]).await?;
            Ok(())
        }
        .boxed()
    }

    fn share_rate(&self, rate: SharedRate) -> BoxFuture<'_, BackendResult<Option<SharedRate>>> {
        async move { Ok(self.write_rate(rate).await?) }.boxed()
    }

    fn share_places(&self, max: NonZeroU32) -> BoxFuture<'_, BackendResult<Option<NonZeroU32>>> {
        async move { Ok(self.write_places(Some(max)).await?) }.boxed()
    }

    fn share_cost_max(&self, max: Amount) -> BoxFuture<'_, BackendResult<Option<Amount>>> {
        async move { Ok(self.write_cost_max(Some(max)).await?) }.boxed()
    }

    fn reserve(
        &self,
        worker: WorkerId,
        n: u64,
        request: ReserveRequest,
    ) -> BoxFuture<'_, BackendResult<ReservedTimes>> {
        self.write_reservation(worker, n, request).boxed()
    }
}

/// Reads totals; those that an older version did not have are 0.
pub(super) fn totals_in(values: &[i64]) -> Totals {
    Totals(std::array::from_fn(|i| values.get(i).copied().unwrap_or(0)))
}
