//! Cost of all submissions so far, and the number of acceptances of a job.

use crate::model::cost::Cost;
use crate::model::phase::JobRecord;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::format::phase::SUBMITTING;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::UNFINISHED;
use crate::store::sqlite::totals;

/// Accepted submissions, by model.
const ACCEPTED: &str =
    "SELECT request ->> 'model', count(*) FROM events JOIN jobs ON row = job WHERE kind = 'accepted' GROUP BY 1";

/// Accepted submissions if all models have one price: takes a third of the time, as no job is read.
const ACCEPTED_OF_ALL: &str = "SELECT '', count(*) FROM events WHERE kind = 'accepted'";

/// Submissions in doubt, by model: submissions whose answer was lost, and submissions without an answer on record. A submission
/// is accepted at most once. A submission in doubt that turned out to be accepted is therefore no longer in doubt.
const DOUBTS: &str = "WITH doubtful AS MATERIALIZED ( \
         SELECT row, request ->> 'model' AS model, n_submits, \
                n_in_doubt + (phase = 1 AND coalesce(fault ->> 0, '') NOT IN ('in_doubt', 'rejected')) AS n_doubts \
         FROM jobs WHERE n_in_doubt > 0 OR phase = 1), \
     taken AS MATERIALIZED ( \
         SELECT job, count(*) AS n_accepted FROM events \
         WHERE kind = 'accepted' AND job IN (SELECT row FROM doubtful) GROUP BY job) \
     SELECT model, sum(max(0, min(n_doubts, n_submits - coalesce(n_accepted, 0)))) \
     FROM doubtful LEFT JOIN taken ON job = row GROUP BY model";

/// Sums the cost of all submissions, including those of dropped jobs. Accepted submissions are the certain part.
/// Submissions in doubt are the possible part. Returns `None` if a price is unknown. Reads every event.
pub(super) fn total_cost(database: &Database, price: &Price) -> Result<Option<Cost>, LedgerError> {
    let mut cost = Some(Cost::default());
    let add = |cost: &mut Option<Cost>, model: &str, n: u64, is_sure: bool| match price.amount_of(model) {
        Some(price) if is_sure => cost.iter_mut().for_each(|cost| cost.sure += price.times(n)),
        Some(price) => cost.iter_mut().for_each(|cost| {
            cost.in_doubt += price.times(n);
            cost.n_in_doubt += n;
        }),
        None if n > 0 => *cost = None,
        None => (),
    };
    let accepted = if price.by_model.is_empty() { ACCEPTED_OF_ALL } else { ACCEPTED };
    database.each(accepted, (), |row| {
        add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, true);
        Ok(Ok::<_, LedgerError>(()))
    })?;
    if may_have_doubts(database)? {
        database.each(DOUBTS, (), |row| {
            add(&mut cost, &row.get::<_, String>(0)?, row.get(1)?, false);
            Ok(Ok::<_, LedgerError>(()))
        })?;
    }
    Ok(cost)
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
    let sql = "SELECT request ->> 'model', coalesce(min(position), 0) FROM jobs \
               WHERE position IS NOT NULL OR n_submits > 0 GROUP BY 1 ORDER BY 2";
    database.each(sql, (), |row| {
        let model: String = row.get(0)?;
        if first.is_none() && price.of(&model).is_none() {
            first = Some((model, row.get(1)?));
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(first)
}

/// Prepares [the number of accepted submissions of a job](n_accepted), as of this moment. Uses a temporary table,
/// which `SQLite` keeps in a separate file. Reads every event.
pub(super) fn prepare_acceptances(database: &Database) -> Result<(), LedgerError> {
    let gathered = database.connection.execute_batch(
        "DROP TABLE IF EXISTS temp.accepted; CREATE TEMP TABLE accepted (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID; \
         INSERT INTO temp.accepted SELECT id, count(*) FROM events JOIN jobs ON row = job \
         WHERE kind = 'accepted' AND n_submits > 1 GROUP BY job",
    );
    gathered.map_err(|error| database.error(error))
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
