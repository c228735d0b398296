//! Cost of all submissions so far, and the number of acceptances of a job.

use std::collections::BTreeMap;

use crate::model::cost::Cost;
use crate::model::money::Money;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::format::phase::SUBMITTING;
use crate::store::sqlite::charges;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::UNFINISHED;
use crate::store::sqlite::totals;

/// Accepted submissions, by model and size.
const ACCEPTED: &str = "SELECT request ->> 'model', request ->> 'size', count(*) FROM events JOIN jobs ON row = job \
     WHERE kind = 'accepted' GROUP BY 1, 2";

/// Accepted submissions if all images have one price: takes a third of the time, as no job is read.
const ACCEPTED_OF_ALL: &str = "SELECT '', NULL, count(*) FROM events WHERE kind = 'accepted'";

/// Submissions in doubt, by model and size: submissions whose answer was lost, and submissions without an answer on record. A submission
/// is accepted at most once. A submission in doubt that turned out to be accepted is therefore no longer in doubt.
const DOUBTS: &str = "WITH doubtful AS MATERIALIZED ( \
         SELECT row, request ->> 'model' AS model, request ->> 'size' AS size, n_submits, \
                n_in_doubt + (phase = 1 AND coalesce(fault ->> 0, '') NOT IN ('in_doubt', 'rejected')) AS n_doubts \
         FROM jobs WHERE n_in_doubt > 0 OR phase = 1), \
     taken AS MATERIALIZED ( \
         SELECT job, count(*) AS n_accepted FROM events \
         WHERE kind = 'accepted' AND job IN (SELECT row FROM doubtful) GROUP BY job) \
     SELECT model, size, sum(max(0, min(n_doubts, n_submits - coalesce(n_accepted, 0)))) \
     FROM doubtful LEFT JOIN taken ON job = row GROUP BY 1, 2";

/// Sums the cost of all submissions, including those of dropped jobs. Accepted submissions are the certain part.
/// Submissions in doubt are the possible part. Returns `None` if a price is unknown. Reads every event.
pub(super) fn total_cost(database: &Database, price: &Price) -> Result<Option<Cost>, LedgerError> {
    // Charged submissions do not count at the price.
    let mut n_charged: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    let mut cost = Cost::default();
    let accepted = if price.is_one() { ACCEPTED_OF_ALL } else { ACCEPTED };
    if charges::are_there(database)? {
        // One row for each amount: most images of a model cost the same.
        let (model, size) = if price.is_one() { ("''", "NULL") } else { ("request ->> 'model'", "request ->> 'size'") };
        let sql = format!(
            "SELECT {model}, {size}, unit, amount, count(*) FROM ({}) JOIN jobs ON row = job GROUP BY 1, 2, 3, 4",
            charges::LAST
        );
        database.each(&sql, (), |row| {
            let (unit, amount): (String, String) = (row.get(2)?, row.get(3)?);
            let n: u64 = row.get(4)?;
            let Ok(amount) = amount.parse() else {
                return Ok(Err(database.damaged(format!("{amount:?} is no amount"))));
            };
            if let Some(amount) = (Money { amount, unit }).amount_in(&price.unit) {
                cost.sure += amount.times(n);
                *n_charged.entry((row.get(0)?, row.get(1)?)).or_default() += n;
            }
            Ok(Ok(()))
        })?;
    }
    let mut is_known = true;
    let price_of = |model: &str, size: Option<&str>| price.amount_of(model, size.and_then(|size| size.parse().ok()));
    database.each(accepted, (), |row| {
        let key: (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let n = row.get::<_, u64>(2)?.saturating_sub(n_charged.get(&key).copied().unwrap_or(0));
        match price_of(&key.0, key.1.as_deref()) {
            Some(price) => cost.sure += price.times(n),
            None => is_known &= n == 0,
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    if may_have_doubts(database)? {
        database.each(DOUBTS, (), |row| {
            let n: u64 = row.get(2)?;
            match price_of(&row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?.as_deref()) {
                Some(price) => {
                    cost.in_doubt += price.times(n);
                    cost.n_in_doubt += n;
                }
                None => is_known &= n == 0,
            }
            Ok(Ok::<_, LedgerError>(()))
        })?;
    }
    Ok(is_known.then_some(cost))
}

/// Returns whether there may be doubts, so that reading every job is worth the time.
fn may_have_doubts(database: &Database) -> Result<bool, LedgerError> {
    let mut is_submitting = false;
    let sql = format!("SELECT EXISTS (SELECT 1 FROM jobs WHERE {UNFINISHED} AND phase = {SUBMITTING})");
    database.each(&sql, (), |row| {
        is_submitting = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(is_submitting || totals::incidents(database)?.n_in_doubt > 0)
}

/// Finds the first model without a price, among all jobs that have cost something or may. Also returns the index of its
/// first job. The index is 0 for a job that has left the manifest. Returns `None` if every price is known.
pub(super) fn first_without_price(database: &Database, price: &Price) -> Result<Option<(String, u64)>, LedgerError> {
    if price.per_image.is_some() {
        return Ok(None);
    }
    let mut first = None;
    let sql = "SELECT request ->> 'model', request ->> 'size', coalesce(min(position), 0) FROM jobs \
               WHERE position IS NOT NULL OR n_submits > 0 GROUP BY 1, 2 ORDER BY 3";
    database.each(sql, (), |row| {
        let (model, size): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        let size = size.and_then(|size| size.parse().ok());
        if first.is_none() && price.of(&model, size).is_none() {
            first = Some((price.name_of(&model, size), row.get(2)?));
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(first)
}

/// Prepares [the number of accepted submissions of a job](n_accepted) and its charges, as of this moment. Uses a temporary table,
/// which `SQLite` keeps in a separate file. Reads every event.
pub(super) fn prepare_acceptances(database: &Database) -> Result<(), LedgerError> {
    let gathered = database.connection.execute_batch(
        "DROP TABLE IF EXISTS temp.accepted; CREATE TEMP TABLE accepted (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; \
         INSERT INTO temp.accepted SELECT id, count(*) FROM events JOIN jobs ON row = job \
         WHERE kind = 'accepted' AND n_submits > 1 GROUP BY job",
    );
    gathered.map_err(|error| database.error(error))?;
    charges::prepare(database)
}

/// Counts the accepted submissions of this job. Needs the [table](prepare_acceptances) of the jobs with several
/// submissions.
pub(super) fn n_accepted(database: &Database, known: &JobRecord) -> Result<u64, LedgerError> {
    // Job with a single submission: accepted if the job has a task.
    if known.state.n_submits <= 1 {
        return Ok(known.state.task.is_some().into());
    }
    let mut n = 0;
    database.each("SELECT n FROM temp.accepted WHERE id = ?1", [known.job.id.bytes()], |row| {
        n = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(n)
}
