//! Rate of all workers together: one row, from which each worker reserves times for its submissions.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::model::shared_rate::SharedRate;
use crate::store::error::LedgerError;
use crate::store::postgres::client::{Params, StatementResult};
use crate::store::postgres::run::PostgresRun;
use crate::store::postgres::statements::{FLAGS, TIMELINE, flags, number};
use crate::store::shared::backend::{BackendResult, RESERVED_AHEAD, ReservedTimes, WorkerId};

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

    /// Reserves times. The row is its own lock: a statement that waited for another one sees what that one has reserved.
    pub(super) async fn write_reservation(&self, worker: WorkerId, max: u32) -> BackendResult<ReservedTimes> {
        let (id, max) = (worker.0, i64::from(max));
        let ahead = micros(RESERVED_AHEAD);
        // A clock that was set back, or a slower rate before, must not keep all times from being reserved.
        let sql = format!(
            "WITH clock AS (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now, {TIMELINE} AS timeline), \
             taken AS (UPDATE {{pace}} SET (first_time, n_reserved, next_time, generation) = ( \
                 SELECT f.first, n.n, f.first + n.n * interval_micros, c.timeline FROM clock c, \
                 LATERAL (SELECT greatest(least(next_time, c.now + {ahead} + interval_micros), \
                     CASE WHEN rate IS NULL THEN c.now WHEN generation IN (0, c.timeline) THEN c.now - reach_back_micros \
                         ELSE c.now + {ahead} END) AS first) f, \
                 LATERAL (SELECT CASE WHEN rate IS NULL THEN $2 WHEN f.first > c.now + {ahead} THEN 0 \
                     ELSE least($2, (c.now + {ahead} - f.first) / greatest(interval_micros, 1) + 1) END AS n) n) \
                 WHERE EXISTS (SELECT FROM {{workers}} WHERE id = $1 AND is_live) \
                 RETURNING first_time, n_reserved, next_time, interval_micros) \
             SELECT (SELECT first_time FROM taken), (SELECT n_reserved FROM taken), (SELECT next_time FROM taken), \
                 (SELECT interval_micros FROM taken), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, {FLAGS}"
        );
        let row = self.row(&sql, &[(&id, Type::INT8), (&max, Type::INT8)]).await?;
        let now: i64 = row.get(4);
        let count = u32::try_from(row.get::<_, Option<i64>>(1).unwrap_or(0)).unwrap_or(0);
        let interval = row.get::<_, Option<i64>>(3).unwrap_or(0).unsigned_abs();
        let at = |column: usize| row.get::<_, Option<i64>>(column).unwrap_or(now);
        Ok(ReservedTimes { first: at(0), interval, count, next: at(2), now, flags: flags(&row, 5) })
    }
}

/// Reads the rate in the first column.
fn rate_in(row: &Row) -> Option<SharedRate> {
    row.get::<_, Option<&str>>(0).and_then(|text| text.parse().ok())
}

fn micros(span: Duration) -> i64 {
    number(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}
