//! Reopening of finished jobs: selects them, and records that before any action follows.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::outcome::FaultKind;
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::format::phase::{DOWNLOADING, FAILED, MODERATED, RUNNING, SUBMITTING, SUCCEEDED};
use crate::store::selection::RetrySelection;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::record::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS, UNFINISHED};

/// Reopened job whose task turned out to be lost: `run` makes its next submission.
const IS_LEFT: &str = "phase = 0 AND n_lost + n_in_doubt > n_forgiven";

/// Job held in doubt.
const IS_HELD: &str = "phase = 1 AND fault IS NOT NULL AND fault ->> 0 IN ('in_doubt', 'rejected')";

/// Job held with a task that seems lost; another payment for it needs the user's request.
const IS_HELD_LOST: &str = "phase = 2 AND fault IS NOT NULL AND fault ->> 0 = 'task_lost'";

/// Job under way whose images could not be fetched so far, as they are no images.
const IS_BADLY_FETCHED: &str = "phase IN (2, 3) AND fault IS NOT NULL AND fault ->> 0 = 'bad_output'";

/// Job of a row that is to be left out.
const IS_SKIPPED: &str = "coalesce(extras ->> '$[#-1].skip', 0)";

const NONE_SELECTED: &str = "CREATE TEMP TABLE IF NOT EXISTS selected (row INTEGER PRIMARY KEY); DELETE FROM selected;";

/// Jobs reopened in one transaction.
const PAGE_ROWS_MAX: usize = 1000;

/// Selects jobs for a session of only these, and returns their number.
pub(super) fn select(database: &Database, selection: &RetrySelection) -> Result<u64, LedgerError> {
    let selected = || {
        select_rows(database, selection)?;
        database.connection.query_row("SELECT count(*) FROM selected", (), |row| row.get(0))
    };
    selected().map_err(|error| database.error(error))
}

/// Keeps only the first `max` of the selected jobs: jobs under way first, then the others, both in manifest order. Returns
/// the number of jobs kept.
pub(super) fn narrow(database: &Database, max: u64) -> Result<u64, LedgerError> {
    let narrow = || {
        let sql = format!(
            "DELETE FROM selected WHERE row NOT IN (SELECT jobs.row FROM jobs JOIN selected ON jobs.row = selected.row \
             ORDER BY NOT ({UNFINISHED}), finished_at, position LIMIT ?1)"
        );
        database.connection.execute(&sql, [i64::try_from(max).unwrap_or(i64::MAX)])?;
        database.connection.query_row("SELECT count(*) FROM selected", (), |row| row.get(0))
    };
    narrow().map_err(|error| database.error(error))
}

/// Reopens the selected jobs that have ended.
pub(super) fn reopen_selected(
    database: &mut Database,
    at: Timestamp,
    selection: &RetrySelection,
) -> Result<(), LedgerError> {
    let is_doubt_wanted = selection.is_of(FaultKind::InDoubt);
    let is_bad_wanted = selection.gives_up_tasks();
    let mut after = 0;
    loop {
        let page = ended(database, after, is_doubt_wanted, is_bad_wanted)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let events: Vec<Event> = page.iter().flat_map(|(_, known)| selection.reopening(at, known)).collect();
        let open: BTreeMap<JobId, OpenJob> =
            page.into_iter().map(|(row, JobRecord { job, state })| (job.id, OpenJob { row, state })).collect();
        let written = record::write(&mut database.connection, &open, &events);
        let CommitResult { last, n_submits, states: _ } = database.written(written)?;
        if let Some((seq, sum)) = last {
            database.advance(seq, sum, n_submits)?;
        }
    }
    Ok(())
}

/// Returns the jobs whose images are to be fetched again and are not complete yet.
pub(super) fn refetching(database: &Database) -> Result<Vec<JobId>, LedgerError> {
    let sql = format!(
        "SELECT id FROM jobs WHERE {UNFINISHED} AND phase IN ({RUNNING}, {DOWNLOADING}) AND n_reopened > 0 AND position IS NOT NULL \
         ORDER BY position"
    );
    let read = || {
        let mut statement = database.connection.prepare(&sql)?;
        statement.query_map((), |row| row.get(0).map(JobId::from_bytes))?.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error| database.error(error))
}

/// Selects the jobs of the present manifest that `is_wanted` accepts, and returns their number.
pub(super) fn select_if(
    database: &Database,
    is_wanted: &mut dyn FnMut(&JobRecord) -> bool,
) -> Result<u64, LedgerError> {
    let sql = |error| database.error(error);
    database.connection.execute_batch(NONE_SELECTED).map_err(sql)?;
    let mut insert = database.connection.prepare("INSERT INTO selected VALUES (?1)").map_err(sql)?;
    let mut n = 0;
    database.each(&format!("SELECT {COLUMNS} FROM jobs WHERE position IS NOT NULL"), (), |job| {
        let (row, record) = match row::known(job)? {
            Ok(known) => known,
            Err(odd) => return Ok(Err(database.damaged(odd))),
        };
        if is_wanted(&record) {
            n += 1;
            insert.execute([row])?;
        }
        Ok(Ok(()))
    })?;
    Ok(n)
}

fn select_rows(database: &Database, selection: &RetrySelection) -> rusqlite::Result<()> {
    database.connection.execute_batch(NONE_SELECTED)?;
    match selection {
        RetrySelection::Failed { codes, force_resubmit } => {
            let codes = serde_json::json!(codes).to_string();
            let sql = format!(
                "INSERT INTO selected SELECT row FROM jobs WHERE position IS NOT NULL AND NOT {IS_SKIPPED} AND ( \
                 (phase IN ({MODERATED}, {FAILED}) AND fault ->> 0 IN (SELECT value FROM json_each(?1))) \
                 OR (phase = {SUBMITTING} AND 'in_doubt' IN (SELECT value FROM json_each(?1))) \
                 OR ({IS_HELD_LOST} AND 'task_lost' IN (SELECT value FROM json_each(?1))) \
                 OR (?2 AND {IS_BADLY_FETCHED} AND 'bad_output' IN (SELECT value FROM json_each(?1))) \
                 OR (phase <= {DOWNLOADING} AND n_reopened > 0 AND NOT ({IS_LEFT}) AND NOT ({IS_HELD}) AND NOT ({IS_HELD_LOST})))"
            );
            database.connection.execute(&sql, params![codes, force_resubmit])?;
        }
        RetrySelection::Jobs(ids) => {
            let mut insert = database.connection.prepare(
                "INSERT OR IGNORE INTO selected SELECT row FROM jobs WHERE id = ?1 AND position IS NOT NULL",
            )?;
            for id in ids {
                insert.execute([id.bytes()])?;
            }
        }
    }
    Ok(())
}

/// Returns the next selected jobs that have ended. Includes those that are held in doubt if `is_doubt_wanted` is set, and those whose
/// images could not be fetched if `is_bad_wanted` is.
fn ended(
    database: &Database,
    after: i64,
    is_doubt_wanted: bool,
    is_bad_wanted: bool,
) -> Result<Vec<(i64, JobRecord)>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE row > ?1 AND row IN (SELECT row FROM selected) \
         AND (phase IN ({SUCCEEDED}, {MODERATED}, {FAILED}) OR (?2 AND phase = {SUBMITTING}) OR ({IS_HELD_LOST}) \
         OR (?4 AND {IS_BADLY_FETCHED})) ORDER BY row LIMIT ?3"
    );
    let read = || {
        let mut statement = database.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![after, is_doubt_wanted, PAGE_ROWS_MAX, is_bad_wanted], row::known)?;
        rows.collect::<rusqlite::Result<Result<Vec<_>, _>>>()
    };
    read().map_err(|error| database.error(error))?.map_err(|odd| database.damaged(odd))
}
