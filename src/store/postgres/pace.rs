//! Limits of all workers together: one row, from which each worker reserves times for its submissions.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Row, SimpleQueryRow};

use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::error::LedgerError;
use crate::store::postgres::client::{Params, StatementResult};
use crate::store::postgres::run::PostgresRun;
use crate::store::postgres::statements::{FLAGS, TIMELINE, number, places};
use crate::store::shared::backend::{BackendResult, RESERVED_AHEAD, ReservedTimes, SharedFlags, WorkerId};

impl PostgresRun {
    /// Sets the rate, if there is one, and returns the one before.
    pub(crate) async fn settle_rate(&self, rate: Option<SharedRate>) -> Result<Option<SharedRate>, LedgerError> {
        let before = match rate {
            Some(rate) => self.write_rate(rate).await?,
            None => rate_in(&self.client.query_one(&self.in_schema("SELECT rate FROM {pace}"), &[]).await?),
        };
        Ok(before)
    }

    /// Sets the rate, and returns the one before.
    pub(super) async fn write_rate(&self, rate: SharedRate) -> StatementResult<Option<SharedRate>> {
        let (text, interval, reach_back) = (rate.to_string(), micros(rate.interval()), micros(rate.reach_back()));
        // The lock keeps two workers from replacing the same rate.
        let sql = "WITH before AS (SELECT rate FROM {pace} FOR UPDATE), \
             set AS (UPDATE {pace} SET rate = $1, interval_micros = $2, reach_back_micros = $3 FROM before) \
             SELECT rate FROM before";
        let values: Params<'_> = &[(&text, Type::TEXT), (&interval, Type::INT8), (&reach_back, Type::INT8)];
        Ok(rate_in(&self.client.query_one(&self.in_schema(sql), values).await?))
    }

    /// Sets the maximum number of tasks in flight, if there is one, and returns the one before.
    pub(crate) async fn settle_places(&self, max: Option<NonZeroU32>) -> Result<Option<NonZeroU32>, LedgerError> {
        Ok(self.write_places(max).await?)
    }

    /// Sets the maximum number of tasks in flight, if there is one, and returns the one before.
    pub(super) async fn write_places(&self, max: Option<NonZeroU32>) -> StatementResult<Option<NonZeroU32>> {
        let sql = "WITH before AS (SELECT places FROM {pace} FOR UPDATE), \
             set AS (UPDATE {pace} SET places = coalesce($1, before.places) FROM before) SELECT places FROM before";
        let max = max.map(|max| i64::from(max.get()));
        let row = self.client.query_one(&self.in_schema(sql), &[(&max, Type::INT8)]).await?;
        Ok(row.get::<_, Option<i64>>(0).and_then(places))
    }

    /// Reserves times. The first statement locks the row of the limits. The second one sees what a transaction that had the lock before has
    /// reserved, and what was recorded meanwhile. Its time is that after the wait for the lock: with the earlier one of its transaction, it would
    /// take the next time for one of a clock that was set back, and move it back to times that are reserved.
    pub(super) async fn write_reservation(
        &self,
        worker: WorkerId,
        n: u64,
        request: ReserveRequest,
    ) -> BackendResult<ReservedTimes> {
        let (id, n, ReserveRequest { max, held }) = (worker.0, number(n), request);
        let ahead = micros(RESERVED_AHEAD);
        // A clock that was set back, or a slower rate before, must not keep all times from being reserved.
        let sql = format!(
            "SELECT FROM {{pace}} FOR UPDATE; \
             WITH own AS (SELECT id FROM {{workers}} WHERE id = {id} AND is_live AND n_requests < {n}), \
             clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, {TIMELINE} AS timeline, \
                 (SELECT coalesce(sum(totals[3]), 0) + {held} + coalesce(sum(n_held) FILTER (WHERE is_live AND id <> {id}), 0) \
                     FROM {{workers}})::bigint AS used), \
             taken AS (UPDATE {{pace}} SET (first_time, n_reserved, next_time, generation) = ( \
                 SELECT f.first, n.n, f.first + n.n * interval_micros, c.timeline FROM clock c, \
                 LATERAL (SELECT greatest(least(next_time, c.now + {ahead} + interval_micros), \
                     CASE WHEN rate IS NULL THEN c.now WHEN generation IN (0, c.timeline) THEN c.now - reach_back_micros \
                         ELSE c.now + {ahead} END) AS first) f, \
                 LATERAL (SELECT least({max}, CASE WHEN places IS NULL THEN {max} ELSE greatest(places - base_running - c.used, 0) END, \
                     CASE WHEN rate IS NULL THEN {max} \
                     WHEN f.first > c.now + {ahead} THEN 0 \
                     ELSE (c.now + {ahead} - f.first) / greatest(interval_micros, 1) + 1 END) AS n) n) \
                 WHERE EXISTS (SELECT FROM own) RETURNING first_time, n_reserved, next_time, interval_micros), \
             told AS (UPDATE {{workers}} AS w SET n_requests = {n}, n_held = {held} + n_reserved FROM own, taken WHERE w.id = own.id) \
             SELECT (SELECT first_time FROM taken), (SELECT n_reserved FROM taken), (SELECT next_time FROM taken), \
                 (SELECT interval_micros FROM taken), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, {FLAGS}"
        );
        let row = self.client.batch_row(&self.in_schema(&sql)).await?;
        let at = |column: usize| row.get(column).and_then(|text| text.parse::<i64>().ok());
        let now = at(4).unwrap_or_default();
        Ok(ReservedTimes {
            first: at(0).unwrap_or(now),
            interval: at(3).unwrap_or(0).unsigned_abs(),
            count: at(1).and_then(|count| count.try_into().ok()).unwrap_or(0),
            next: at(2).unwrap_or(now),
            now,
            flags: flags_in_text(&row, 5),
        })
    }
}

/// Reads the flags of a row in text, which begin at this column.
fn flags_in_text(row: &SimpleQueryRow, first: usize) -> SharedFlags {
    let hold = row.get(first).and_then(|text| text.parse().ok());
    SharedFlags {
        hold_for: hold.and_then(|hold| Duration::try_from_secs_f64(hold).ok()).filter(|hold| !hold.is_zero()),
        stop: row.get(first + 1).map(str::to_owned),
        rate: row.get(first + 3).and_then(|text| text.parse().ok()),
        places: row.get(first + 4).and_then(|text| places(text.parse().ok()?)),
        generation: row.get(first + 2).and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}

/// Reads the rate in the first column.
fn rate_in(row: &Row) -> Option<SharedRate> {
    row.get::<_, Option<&str>>(0).and_then(|text| text.parse().ok())
}

fn micros(span: Duration) -> i64 {
    number(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}
