//! Limits of all workers together: one row, from which each worker reserves times for its submissions.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Row, SimpleQueryRow};

use crate::model::amount::Amount;
use crate::model::shared_cost::CostReached;
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::error::LedgerError;
use crate::store::postgres::client::{Params, StatementResult};
use crate::store::postgres::encode::amount_in;
use crate::store::postgres::run::PostgresRun;
use crate::store::postgres::statements::{FLAGS, TIMELINE, number, places};
use crate::store::shared::backend::{
    AMOUNTS_REST, BackendResult, RESERVED_AHEAD, ReservedTimes, SharedFlags, WorkerId,
};
use crate::store::shared::cost::CostTotals;

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

    /// Sets the limit on the cost, if there is one, and returns the one before.
    pub(crate) async fn settle_cost_max(&self, max: Option<Amount>) -> Result<Option<Amount>, LedgerError> {
        Ok(self.write_cost_max(max).await?)
    }

    /// Sets the limit on the cost, if there is one, and returns the one before.
    pub(super) async fn write_cost_max(&self, max: Option<Amount>) -> StatementResult<Option<Amount>> {
        let sql = "WITH before AS (SELECT cost_max FROM {pace} FOR UPDATE), \
             set AS (UPDATE {pace} SET cost_max = coalesce($1::text::numeric, before.cost_max) FROM before) \
             SELECT cost_max::text FROM before";
        let max = max.map(|max| max.billionths().to_string());
        let row = self.client.query_one(&self.in_schema(sql), &[(&max, Type::TEXT)]).await?;
        Ok(row.get::<_, Option<&str>>(0).and_then(amount_in))
    }

    /// Reserves times, places and amounts. The first statement locks the row of the limits. The second one sees what a transaction that had the
    /// lock before has reserved, and what was recorded meanwhile. Its time is that after the wait for the lock: with the earlier one of its
    /// transaction, it would take the next time for one of a clock that was set back, and move it back to times that are reserved.
    pub(super) async fn write_reservation(
        &self,
        worker: WorkerId,
        n: u64,
        request: ReserveRequest,
    ) -> BackendResult<ReservedTimes> {
        let row = self.client.batch_row(&self.in_schema(&reservation(worker, n, request))).await?;
        let at = |column: usize| row.get(column).and_then(|text| text.parse::<i64>().ok());
        let now = at(4).unwrap_or_default();
        let flags = flags_in_text(&row, 11);
        // Nothing that could be sent or has no answer is left, so that no further answer makes room.
        let is_last = request.max > 0 && at(5) == Some(0) && at(6) == Some(0);
        let number = |i| row.get(7 + i).and_then(|text| text.parse().ok()).unwrap_or_default();
        let cost = CostTotals::from_numbers(std::array::from_fn(number));
        Ok(ReservedTimes {
            first: at(0).unwrap_or(now),
            interval: at(3).unwrap_or(0).unsigned_abs(),
            count: at(1).and_then(|count| count.try_into().ok()).unwrap_or(0),
            next: at(2).unwrap_or(now),
            now,
            is_short: at(5).is_some_and(|n| n < request.max.into()),
            reached: flags.cost_max.filter(|_| is_last).map(|max| CostReached { cost: cost.cost(), max }),
            flags,
        })
    }
}

/// Returns the statements that reserve times.
fn reservation(worker: WorkerId, n: u64, request: ReserveRequest) -> String {
    let (id, n, ReserveRequest { max, held, cost }) = (worker.0, number(n), request);
    let (ahead, rest) = (micros(RESERVED_AHEAD), micros(AMOUNTS_REST));
    let each = cost.each.map_or_else(|| "NULL::numeric".to_owned(), |each| each.billionths().to_string());
    let amount = cost.held.billionths();
    // A clock that was set back, or a slower rate before, must not keep all times from being reserved, nor all amounts. Compiling such a
    // statement, as servers do when they expect many rows, takes far longer than running it.
    format!(
        "SELECT set_config('jit', 'off', true) FROM {{pace}} FOR UPDATE; \
         WITH own AS (SELECT id FROM {{workers}} WHERE id = {id} AND is_live AND n_requests < {n}), \
         clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now, {TIMELINE} AS timeline), \
         sums AS (SELECT coalesce(sum(totals[3]), 0)::bigint AS running, \
             (coalesce(sum(n_held) FILTER (WHERE is_live AND id <> {id}), 0) + {held})::bigint AS held, \
             coalesce(sum(held_amount) FILTER (WHERE is_live AND id <> {id}), 0) + {amount} AS amounts, \
             coalesce(sum(cost[1]), 0) AS sure, coalesce(sum(cost[2]), 0) AS possible, \
             coalesce(sum(cost[3]), 0) AS n_possible, coalesce(sum(cost[4]), 0) AS n_unknown FROM {{workers}}), \
         all_sums AS (SELECT c.now, c.timeline, s.held, s.running + s.held + p.base_running AS used, p.cost_max, s.amounts, \
             p.base_cost[1] + s.sure AS sure, p.base_cost[2] + s.possible AS possible, \
             p.base_cost[3] + s.n_possible AS n_possible, p.base_cost[4] + s.n_unknown AS n_unknown, \
             CASE WHEN p.generation IN (0, c.timeline) THEN least(p.amounts_rest_until, c.now + {rest}) ELSE c.now + {rest} END AS rests_until \
             FROM (SELECT * FROM {{pace}} LIMIT 1) p, clock c, sums s), \
         state AS (SELECT s.*, CASE WHEN cost_max IS NULL THEN {max} \
             WHEN rests_until > now OR n_unknown > 0 OR {each} IS NULL OR sure + possible + amounts > cost_max THEN 0 \
             WHEN {each} = 0 THEN {max} \
             ELSE least({max}, floor((cost_max - sure - possible - amounts) / nullif({each}, 0))) END::bigint AS fits FROM all_sums s), \
         taken AS (UPDATE {{pace}} SET (first_time, n_reserved, next_time, generation, amounts_rest_until) = ( \
             SELECT f.first, n.n, f.first + n.n * interval_micros, s.timeline, s.rests_until FROM state s, \
             LATERAL (SELECT greatest(least(next_time, s.now + {ahead} + interval_micros), \
                 CASE WHEN rate IS NULL THEN s.now WHEN generation IN (0, s.timeline) THEN s.now - reach_back_micros \
                     ELSE s.now + {ahead} END) AS first) f, \
             LATERAL (SELECT least({max}, s.fits, \
                 CASE WHEN places IS NULL THEN {max} ELSE greatest(places - s.used, 0) END, \
                 CASE WHEN rate IS NULL THEN {max} \
                 WHEN f.first > s.now + {ahead} THEN 0 \
                 ELSE (s.now + {ahead} - f.first) / greatest(interval_micros, 1) + 1 END) AS n) n) \
             WHERE EXISTS (SELECT FROM own) RETURNING first_time, n_reserved, next_time, interval_micros), \
         told AS (UPDATE {{workers}} AS w SET n_requests = {n}, n_held = {held} + n_reserved, \
             held_amount = {amount} + n_reserved * coalesce({each}, 0) FROM own, taken WHERE w.id = own.id) \
         SELECT t.first_time, t.n_reserved, t.next_time, t.interval_micros, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
             s.fits, CASE WHEN s.rests_until <= s.now AND t.n_reserved IS NOT NULL THEN s.held END, \
             s.sure, s.possible, s.n_possible, s.n_unknown, {FLAGS} \
         FROM state s LEFT JOIN taken t ON true"
    )
}

/// Reads the flags of a row in text, which begin at this column.
fn flags_in_text(row: &SimpleQueryRow, first: usize) -> SharedFlags {
    let hold = row.get(first).and_then(|text| text.parse().ok());
    SharedFlags {
        hold_for: hold.and_then(|hold| Duration::try_from_secs_f64(hold).ok()).filter(|hold| !hold.is_zero()),
        stop: row.get(first + 1).map(str::to_owned),
        rate: row.get(first + 3).and_then(|text| text.parse().ok()),
        places: row.get(first + 4).and_then(|text| places(text.parse().ok()?)),
        cost_max: row.get(first + 5).and_then(amount_in),
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
