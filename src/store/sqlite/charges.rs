//! Charges: what answers say that accepted submissions cost. Most ledgers have none, which an entry of the table `meta` says without a search.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::model::money::{Charge, Money};
use crate::model::phase::JobRecord;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::events::check_event;

/// Key in the table `meta`, set with the first charge.
const CHARGES: &str = "charges";

/// Last charge of each submission, by job and submission.
pub(super) const LAST: &str = "SELECT job, detail ->> 0 AS submission, detail ->> 1 AS amount, detail ->> 2 AS unit, max(seq) \
     FROM events WHERE kind = 'charged' GROUP BY 1, 2";

/// Records that the ledger has charges.
pub(super) fn note(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO meta (key, value, sum) VALUES (?1, 'yes', row_sum('meta', ?1, 'yes'))";
    connection.prepare_cached(sql)?.execute([CHARGES]).map(drop)
}

/// Returns whether the ledger has charges.
pub(super) fn are_there(database: &Database) -> Result<bool, LedgerError> {
    Ok(database.meta(CHARGES)?.is_some())
}

/// Returns the charge of the last submission of each job that has a task, by row. Reads every event, if there are charges at all.
pub(super) fn of_tasks(database: &Database) -> Result<HashMap<i64, Money>, LedgerError> {
    let mut charges = HashMap::new();
    if !are_there(database)? {
        return Ok(charges);
    }
    let sql = "SELECT seq, job, at, kind, detail, events.sum, n_submits FROM events JOIN jobs ON row = job \
               WHERE kind = 'charged' AND phase IN (2, 3) ORDER BY seq";
    database.each(sql, (), |row| {
        if let Err(odd) = check_event(row) {
            return Ok(Err(database.damaged(odd)));
        }
        let charge = row.get_ref(4)?.as_str().ok().and_then(format::charge_from);
        let Some(Charge { submission, money }) = charge else {
            return Ok(Err(database.damaged(format!("event {} is no charge", row.get::<_, i64>(0)?))));
        };
        if submission == row.get::<_, u32>(6)? {
            charges.insert(row.get(1)?, money);
        }
        Ok(Ok(()))
    })?;
    Ok(charges)
}

/// Prepares [the charges of a job](of_job), as of this moment, in a temporary table.
pub(super) fn prepare(database: &Database) -> Result<(), LedgerError> {
    let which = if are_there(database)? { "" } else { "WHERE 0" };
    let gathered = database.connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS temp.charges; \
         CREATE TEMP TABLE charges (id BLOB, submission INTEGER, amount TEXT, unit TEXT, PRIMARY KEY (id, submission)) WITHOUT ROWID; \
         INSERT INTO temp.charges SELECT id, submission, amount, unit FROM ({LAST}) JOIN jobs ON row = job {which}"
    ));
    gathered.map_err(|error| database.error(error))
}

/// Returns the charges of a job. Needs the [table](prepare) of all charges.
pub(super) fn of_job(database: &Database, known: &JobRecord) -> Result<Vec<Charge>, LedgerError> {
    let mut charges = Vec::new();
    let sql = "SELECT submission, amount, unit FROM temp.charges WHERE id = ?1 ORDER BY submission";
    database.each(sql, [known.job.id.bytes()], |row| {
        let amount: String = row.get(1)?;
        let Ok(amount) = amount.parse() else { return Ok(Err(database.damaged(format!("{amount:?} is no amount")))) };
        charges.push(Charge { submission: row.get(0)?, money: Money { amount, unit: row.get(2)? } });
        Ok(Ok(()))
    })?;
    Ok(charges)
}
