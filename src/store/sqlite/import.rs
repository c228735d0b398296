//! Import of a manifest: determines which jobs are new, known or no longer there.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::model::job::{JobId, JobSpec};
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::import::{AcceptImport, Imported, JobRows, ManifestFacts, RowsError, stays_if_skipped};
use crate::store::import::{RestoredJob, RestoredJobs};
use crate::store::sqlite::database::{Database, expect_one};
use crate::store::sqlite::merge_cursor::{ExistingRow, MergeCursor, NewRowLocation};
use crate::store::sqlite::schema::INDEXES;
use crate::store::sqlite::watermark::UNBOUNDED;
use crate::store::sqlite::{older_ledger, totals};

const WITHOUT_INDEXES: &str =
    "DROP INDEX jobs_by_id; DROP INDEX jobs_by_position; DROP INDEX jobs_unfinished; DROP INDEX jobs_without_image;";

/// Result of importing the rows, before the commit.
struct RowImport {
    imported: Imported,
    /// Records whether a job changed its position.
    is_moved: bool,
    /// Records whether new jobs are in doubt, because an older ledger was accepted.
    is_doubted: bool,
}

/// Imports the rows of a manifest, all or none. Equal rows are distinguished by their occurrence. Moving, inserting or
/// removing rows therefore does not change the ids of the others.
pub(super) fn import(
    database: &mut Database,
    facts: &ManifestFacts<'_>,
    rows: &mut JobRows<'_>,
    accept: &mut AcceptImport<'_>,
) -> Result<Imported, RowsError> {
    let began = database.with_large_cache().and_then(|()| database.connection.execute_batch("BEGIN IMMEDIATE"));
    began.map_err(|error| database.error(error))?;
    let imported = import_rows(database, facts, rows).and_then(|RowImport { imported, is_moved, is_doubted }| {
        accept(&imported)?;
        // Positions no longer show the order in which jobs were handed out.
        if is_moved {
            database.reserve(UNBOUNDED)?;
        }
        Ok((imported, is_doubted))
    });
    let ended = match imported {
        Ok((imported, is_doubted)) => {
            let committed = database.written(database.connection.execute_batch("COMMIT"));
            let advanced =
                committed.and_then(|()| if is_doubted { older_ledger::advance_to_last(database) } else { Ok(()) });
            advanced.map(|()| imported).map_err(RowsError::from)
        }
        Err(error) => {
            // Ignores a failed rollback: a full disk may have caused one already, and the first error is the important one.
            let _ = database.connection.execute_batch("ROLLBACK");
            Err(error)
        }
    };
    // Failure here only costs memory.
    let _ = database.with_small_cache();
    ended
}

fn import_rows(database: &Database, facts: &ManifestFacts<'_>, rows: &mut JobRows<'_>) -> Result<RowImport, RowsError> {
    let sql = |error| RowsError::from(database.error(error));
    let last = "SELECT coalesce(max(row), 0) FROM jobs";
    let last_row: i64 = database.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
    let (imported, is_moved) =
        if last_row == 0 { (import_first(database, rows)?, false) } else { import_edited(database, last_row, rows)? };
    totals::recount(&database.connection).map_err(sql)?;
    let is_doubted = older_ledger::doubt_new(database, last_row)?;
    for (setting, value) in facts.settings() {
        database.set_meta(setting.key(), &value)?;
    }
    Ok(RowImport { imported, is_moved, is_doubted })
}

/// Imports into a ledger without jobs. Writes the rows in sequence, and sorts them at the end: no row is looked up, however
/// many there are.
fn import_first(database: &Database, rows: &mut JobRows<'_>) -> Result<Imported, RowsError> {
    let sql = |error| RowsError::from(database.error(error));
    database.connection.execute_batch(WITHOUT_INDEXES).map_err(sql)?;
    let mut imported = Imported::default();
    for (position, draft) in (1..).zip(rows) {
        let draft = draft?;
        let id = JobId::new(&draft.request.content(), 0);
        let row = i64::try_from(position).expect("rows of a manifest are counted in 63 bits");
        // A skipped row has a job too, so that the ids of equal rows do not depend on it.
        let is_in = !draft.row.is_skipped;
        insert(&database.connection, row, id, (position, is_in.then_some(position)), &draft).map_err(sql)?;
        *if is_in { &mut imported.n_new } else { &mut imported.n_skipped } += 1;
    }
    index_first(database)?;
    Ok(imported)
}

/// Adds jobs of another ledger, with their ids, to a ledger without jobs.
pub(super) fn restore(database: &mut Database, jobs: &mut RestoredJobs<'_>) -> Result<(), LedgerError> {
    database.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| database.error(error))?;
    let restored = restore_rows(database, jobs).and_then(|()| database.reserve(UNBOUNDED));
    match restored {
        Ok(()) => database.written(database.connection.execute_batch("COMMIT")),
        Err(error) => {
            let _ = database.connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

fn restore_rows(database: &Database, jobs: &mut RestoredJobs<'_>) -> Result<(), LedgerError> {
    let sql = |error| database.error(error);
    let n: i64 = database.connection.query_row("SELECT count(*) FROM jobs", (), |row| row.get(0)).map_err(sql)?;
    if n > 0 {
        return Err(database.damaged("it has jobs already"));
    }
    database.connection.execute_batch(WITHOUT_INDEXES).map_err(sql)?;
    for (row, job) in (1..).zip(jobs) {
        let RestoredJob { id, index, spec } = job?;
        insert(&database.connection, row, id, (index.unwrap_or(0), index), &spec).map_err(sql)?;
    }
    database.connection.execute_batch(INDEXES).map_err(sql)?;
    totals::recount(&database.connection).map_err(sql)
}

fn index_first(database: &Database) -> Result<(), LedgerError> {
    database.with_small_cache().map_err(|error| database.error(error))?;
    let indexed = match database.connection.execute_batch(INDEXES) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            number_repeated(database)?;
            database.connection.execute_batch(INDEXES)
        }
        indexed => indexed,
    };
    indexed.map_err(|error| database.error(error))
}

/// Assigns ids by occurrence to jobs that repeat the content of an earlier one.
fn number_repeated(database: &Database) -> Result<(), LedgerError> {
    let listed = database.connection.execute_batch(include_str!("repeated.sql"));
    listed.map_err(|error| database.error(error))?;
    let repeated = "SELECT row, occurrence, request FROM repeated JOIN jobs USING (row) ORDER BY row";
    database.each(repeated, (), |row| {
        let (number, occurrence, text): (i64, u32, String) = row.try_into()?;
        let Some(request) = format::request_from(&text) else {
            return Ok(Err(database.damaged("a job cannot be decoded")));
        };
        let id = JobId::new(&request.content(), occurrence);
        let update = "UPDATE jobs SET id = ?2, job_sum = row_sum('job', row, ?2, position, label, request, extras) WHERE row = ?1";
        expect_one(database.connection.prepare_cached(update)?.execute(params![number, id.bytes()])?)?;
        Ok(Ok(()))
    })
}

/// Imports into a ledger with jobs: writes only the differences. Returns whether a job changed its position.
fn import_edited(
    database: &Database,
    mut last_row: i64,
    rows: &mut JobRows<'_>,
) -> Result<(Imported, bool), RowsError> {
    let sql = |error| RowsError::from(database.error(error));
    database.connection.execute_batch(include_str!("moves.sql")).map_err(sql)?;
    let last = "SELECT coalesce(max(position), 0) FROM jobs WHERE position IS NOT NULL";
    let last: u64 = database.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
    let mut imported = Imported { n_before: totals::counts(database)?.n_jobs(), ..Imported::default() };
    let mut cursor = MergeCursor::new(&database.connection);
    for (position, draft) in (1..).zip(rows) {
        let draft = draft?;
        let existing = cursor.step(draft.request.content(), |id| {
            // Delays the position of a new job as long as the old positions are occupied.
            let is_in = !draft.row.is_skipped;
            let free = (is_in && position > last).then_some(position);
            last_row += 1;
            let row = last_row;
            insert(&database.connection, row, id, (position, free), &draft)?;
            if is_in && free.is_none() {
                move_to(&database.connection, row, Some(position))?;
            }
            Ok(Some(NewRowLocation::InLedger(row)))
        });
        match existing.map_err(sql)? {
            None if draft.row.is_skipped => imported.n_skipped += 1,
            None => imported.n_new += 1,
            Some(existing) if draft.row.is_skipped && !stays_if_skipped(existing.phase) => {
                imported.n_skipped += 1;
                if existing.position.is_some() {
                    move_to(&database.connection, existing.row, None).map_err(sql)?;
                }
            }
            Some(existing) => {
                imported.n_kept += 1;
                keep(&database.connection, &existing, position, &draft).map_err(sql)?;
            }
        }
    }
    let n_known: u64 = database.connection.query_row("SELECT count(*) FROM jobs", (), |row| row.get(0)).map_err(sql)?;
    imported.n_dropped = n_known - imported.n_new - imported.n_kept - imported.n_skipped;
    if imported.n_dropped > 0 {
        imported.n_left = drop_others(database, &cursor)?;
    }
    let is_moved = move_all(database)?;
    Ok((imported, is_moved))
}

/// Removes the position of each job that no row of the manifest has, and returns their number.
fn drop_others(database: &Database, cursor: &MergeCursor<'_>) -> Result<u64, LedgerError> {
    let mut n_left = 0;
    database.each("SELECT row, id FROM jobs NOT INDEXED WHERE position IS NOT NULL", (), |row| {
        let (row, id): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if cursor.has_taken(row) {
            return Ok(Ok(()));
        }
        // Refuses a job that its own id does not lead to. Such a job may be in the manifest unnoticed, and would be paid
        // for again.
        let found = "SELECT row FROM jobs INDEXED BY jobs_by_id WHERE id = ?1";
        let found = database.connection.prepare_cached(found)?.query_row([id], |row| row.get(0)).optional()?;
        if found != Some(row) {
            return Ok(Err(database.damaged(format!("the index of ids does not lead to the job in row {row}"))));
        }
        move_to(&database.connection, row, None)?;
        n_left += 1;
        Ok(Ok(()))
    })?;
    Ok(n_left)
}

/// Assigns all new positions in one update, without indexes. In any other order, two jobs would share a position for a
/// while. Returns whether any job moved.
fn move_all(database: &Database) -> Result<bool, LedgerError> {
    let move_all = || {
        let n_moves = "SELECT count(*) FROM moves";
        let n_moves: usize = database.connection.query_row(n_moves, (), |row| row.get(0))?;
        if n_moves == 0 {
            return Ok(false);
        }
        database.with_small_cache()?;
        database.connection.execute_batch(WITHOUT_INDEXES)?;
        // Damaged rows keep their positions, so the number of changed rows differs.
        let n_updated = database.connection.execute(
            "UPDATE jobs SET position = moves.position, \
             job_sum = row_sum('job', jobs.row, id, moves.position, label, request, extras) FROM moves \
             WHERE moves.row = jobs.row AND job_sum IS row_sum('job', jobs.row, id, jobs.position, label, request, extras)",
            (),
        )?;
        if n_updated != n_moves {
            return Err(rusqlite::Error::StatementChangedRows(n_updated));
        }
        database.connection.execute_batch(INDEXES)?;
        Ok(true)
    };
    move_all().map_err(|error| database.error(error))
}

/// Inserts a new job. Its row of the manifest has this index; the position is `None` until the job moves there, or if it is left out.
fn insert(
    connection: &Connection,
    row: i64,
    id: JobId,
    (index, position): (u64, Option<u64>),
    draft: &JobSpec,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, \
               row_sum('job', ?1, ?2, ?3, ?4, ?5, ?6), row_sum('state', ?1, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0))";
    let (request, extras) =
        (format::request_text(&draft.request), format::extras_text(&draft.extras, draft.row, index));
    connection.prepare_cached(sql)?.execute(params![row, id.bytes(), position, draft.label, request, extras])?;
    Ok(())
}

/// Stores the differences of a known job.
fn keep(connection: &Connection, existing: &ExistingRow, position: u64, draft: &JobSpec) -> rusqlite::Result<()> {
    let extras = format::extras_text(&draft.extras, draft.row, position);
    if existing.label != draft.label || existing.extras != extras {
        let sql = "UPDATE jobs SET label = ?2, extras = ?3, job_sum = row_sum('job', row, id, position, ?2, request, ?3) \
                   WHERE row = ?1 AND job_sum IS row_sum('job', row, id, position, label, request, extras)";
        expect_one(connection.prepare_cached(sql)?.execute(params![existing.row, draft.label, extras])?)?;
    }
    if existing.position == Some(position) { Ok(()) } else { move_to(connection, existing.row, Some(position)) }
}

fn move_to(connection: &Connection, row: i64, position: Option<u64>) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO moves VALUES (?1, ?2)")?.execute(params![row, position])?;
    Ok(())
}
