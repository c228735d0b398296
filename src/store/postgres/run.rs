//! Shared run that exists at a server: its settings, its numbers, and its way back into a run folder.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::postgres::address::SharedAddress;
use crate::store::postgres::client::{PostgresClient, StatementResult};
use crate::store::postgres::encode::amount_in;
use crate::store::price::{price_from, price_text};
use crate::store::setting::Setting;
use crate::store::shared::cost::CostTotals;
use crate::store::totals::{TOTAL_NAMES, Totals};

/// Version of the tables.
pub(super) const VERSION: i64 = 3;

/// Keys of the table `meta` that are no settings.
pub(super) const VERSION_KEY: &str = "shared_version";
pub(super) const BASE_KEY: &str = "shared_base";
pub(super) const ID_KEY: &str = "shared_id";
pub(super) const PUSHED_KEY: &str = "shared_pushed";

/// Shared run at a server.
pub(crate) struct PostgresRun {
    pub(super) client: PostgresClient,
    schema: String,
}

/// What a shared run is, and how far it has come.
#[derive(Clone, Debug)]
pub(crate) struct SharedStatus {
    /// Settings of the run, by their keys.
    pub settings: BTreeMap<String, String>,
    /// Identity of the run: its number, as in the run folder.
    pub id: String,
    /// Whether it has gone back to a run folder, or is on its way there.
    pub is_merged: bool,
    /// Jobs by status.
    pub counts: StatusCounts,
    /// Incidents of all sessions.
    pub incidents: RunStats,
    /// Live workers, in the order in which they joined.
    pub workers: Vec<LiveWorker>,
    /// Number of the last commit that came from the run folder.
    pub pushed: i64,
    /// Whether its tables are those of an earlier version, which have fewer limits of all workers together.
    pub is_older: bool,
    /// Price at which the cost is counted; `None` if none is known.
    pub price: Option<Price>,
    /// Cost of the run; `None` if a price is unknown.
    pub cost: Option<Cost>,
    /// Limit on the cost of the run; `None` for no limit.
    pub cost_max: Option<Amount>,
}

/// Worker that has not ended, as far as the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveWorker {
    /// Name of its machine.
    pub host: String,
    /// Id of its process there.
    pub pid: u64,
    /// Time since it joined, by the server's clock.
    pub since: Duration,
    /// Jobs that it has ended.
    pub n_ended: u64,
    /// Blocks that it owns.
    pub n_blocks: u64,
}

impl PostgresRun {
    /// Prepares the access to a run. Nothing is sent before the first call.
    pub(crate) fn new(address: SharedAddress) -> Result<Self, LedgerError> {
        let schema = address.schema();
        Ok(Self { client: PostgresClient::new(address)?, schema })
    }

    /// Returns the address, which contains no password.
    pub(crate) fn address(&self) -> &SharedAddress {
        self.client.address()
    }

    /// Replaces `{table}` by the name of that table of this run.
    pub(super) fn in_schema(&self, sql: &str) -> String {
        sql.replace('{', &format!("{}.", self.schema)).replace('}', "")
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the error for a run that has gone back to a run folder.
    pub(crate) fn merged(&self) -> LedgerError {
        self.client.refusal(
            "the run was merged back into a run folder",
            "continue in that folder with `promptbatch run`, or share it again",
        )
    }

    /// Returns the error for a run that an earlier version has shared.
    pub(crate) fn older(&self) -> LedgerError {
        self.client.refusal(
            "an earlier version of promptbatch has shared the run, whose workers keep fewer limits together",
            "end its workers, bring it back with `promptbatch merge`, and share it again",
        )
    }

    /// Reads the run as of one moment.
    pub(crate) async fn status(&self) -> Result<SharedStatus, LedgerError> {
        let settings = self.settings().await?;
        let version = settings.get(VERSION_KEY).and_then(|version| version.parse().ok()).unwrap_or(0);
        if version > VERSION {
            return Err(LedgerError::Newer { path: self.client.path(), found: version, known: VERSION });
        }
        let sql = "SELECT (SELECT status FROM {run}), \
             ARRAY(SELECT coalesce(sum(t.v), 0)::bigint FROM {workers} w CROSS JOIN LATERAL unnest(w.totals) \
                 WITH ORDINALITY AS t (v, i) GROUP BY t.i ORDER BY t.i)";
        let row = self.client.query_one(&self.in_schema(sql), &[]).await?;
        let (status, sums): (String, Vec<i64>) = (row.get(0), row.get(1));
        let base: Vec<i64> = settings
            .get(BASE_KEY)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| self.client.damaged("its totals are missing"))?;
        let at = |values: &[i64], i: usize| values.get(i).copied().unwrap_or(0);
        let totals = Totals(std::array::from_fn::<_, { TOTAL_NAMES.len() }, _>(|i| at(&base, i) + at(&sums, i)));
        let is_older = version < VERSION;
        let (cost, cost_max) = if is_older { (None, None) } else { self.cost().await? };
        let price = settings.get(Setting::PriceUsed.key()).and_then(|text| price_from(text));
        let id = settings.get(ID_KEY).cloned().unwrap_or_default();
        let pushed = settings.get(PUSHED_KEY).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(SharedStatus {
            settings: settings.into_iter().filter(|(key, _)| !key.starts_with("shared_")).collect(),
            id,
            is_merged: status != "open",
            counts: totals.counts(),
            incidents: totals.incidents(),
            workers: self.live_workers().await?,
            pushed,
            is_older,
            cost,
            price,
            cost_max,
        })
    }

    /// Reads the cost of the run, `None` if a price is unknown, and the limit on it.
    async fn cost(&self) -> StatementResult<(Option<Cost>, Option<Amount>)> {
        let sql = "SELECT cost_max::text, ARRAY(SELECT (b + coalesce((SELECT sum(cost[i]) FROM {workers}), 0))::text \
             FROM unnest(base_cost) WITH ORDINALITY AS c (b, i) ORDER BY i) FROM {pace}";
        let row = self.client.query_one(&self.in_schema(sql), &[]).await?;
        let numbers: Vec<&str> = row.get(1);
        let number = |i: usize| numbers.get(i).and_then(|text| text.parse().ok()).unwrap_or_default();
        let cost = CostTotals::from_numbers(std::array::from_fn(number)).cost();
        Ok((cost, row.get::<_, Option<&str>>(0).and_then(amount_in)))
    }

    /// Records the price at which the cost is counted, if none is known. Returns the price that is recorded.
    pub(crate) async fn settle_price(&self, price: Option<&Price>) -> Result<Option<Price>, LedgerError> {
        let text = price.map(price_text).unwrap_or_default();
        let sql = "INSERT INTO {meta} AS m (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = CASE WHEN m.value = '' THEN excluded.value ELSE m.value END RETURNING value";
        let key = Setting::PriceUsed.key();
        let row = self.client.query_one(&self.in_schema(sql), &[(&key, Type::TEXT), (&text, Type::TEXT)]).await?;
        Ok(price_from(row.get(0)))
    }

    /// Reads the table `meta`.
    pub(super) async fn settings(&self) -> StatementResult<BTreeMap<String, String>> {
        let rows = self.client.query(&self.in_schema("SELECT key, value FROM {meta}"), &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn live_workers(&self) -> StatementResult<Vec<LiveWorker>> {
        let sql = "SELECT host, pid, extract(epoch FROM now() - joined_at)::float8, totals[5] + totals[6] + totals[7], \
             (SELECT count(*) FROM {blocks} WHERE owner = w.id) FROM {workers} w WHERE is_live ORDER BY joined_at, id";
        let rows = self.client.query(&self.in_schema(sql), &[]).await?;
        let worker = |row: &tokio_postgres::Row| LiveWorker {
            host: row.get(0),
            pid: row.get::<_, i64>(1).unsigned_abs(),
            since: Duration::try_from_secs_f64(row.get(2)).unwrap_or_default(),
            n_ended: row.get::<_, i64>(3).unsigned_abs(),
            n_blocks: row.get::<_, i64>(4).unsigned_abs(),
        };
        Ok(rows.iter().map(worker).collect())
    }

    /// Returns a warning about the server's replicas, if it has any that may forget what was confirmed.
    pub(crate) async fn warning(&self) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT (SELECT count(*) FROM pg_stat_replication), current_setting('synchronous_standby_names')";
        let row = self.client.query_one(sql, &[]).await?;
        let (n_replicas, names): (i64, String) = (row.get(0), row.get(1));
        Ok((n_replicas > 0 && names.is_empty()).then(|| {
            "the server has replicas, and none is synchronous: after a failover it may have forgotten the last moments, and jobs of \
             a worker that died with it may be paid for again; set synchronous_standby_names to rule that out"
                .to_owned()
        }))
    }

    /// Records a setting, if no worker has recorded another value before. Returns the value that is recorded.
    pub(crate) async fn settle_setting(&self, key: &str, value: &str) -> Result<String, LedgerError> {
        let sql = "INSERT INTO {meta} AS m (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = m.value RETURNING value";
        let row = self.client.query_one(&self.in_schema(sql), &[(&key, Type::TEXT), (&value, Type::TEXT)]).await?;
        Ok(row.get(0))
    }
}
