//! Differences between an edited manifest and the last imported one, by the same rule as the import.
//!
//! Rows that differ go into temporary tables, which `SQLite` keeps in a separate file. A million of them cost little memory.
//! The ledger itself is only read.

use rusqlite::{Row, params};

use crate::model::counts::StatusCounts;
use crate::model::job::{JobId, JobSpec};
use crate::store::diff::{DiffEntry, ManifestDiff};
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::import::{JobRows, RowsError, SeeRow, stays_if_skipped};
use crate::store::sqlite::database::Database;
use crate::store::sqlite::merge_cursor::{ExistingRow, MergeCursor, NewRowLocation};
use crate::store::sqlite::{read, totals};

/// Compares the rows of a manifest with the jobs of this ledger. Lists the first `shown_max` jobs of each kind, and passes all of them to
/// `see`.
pub(super) fn diff(
    database: &Database,
    rows: &mut JobRows<'_>,
    shown_max: usize,
    see: &mut SeeRow<'_>,
) -> Result<ManifestDiff, RowsError> {
    let began = database.with_large_cache().and_then(|()| database.connection.execute_batch(include_str!("diff.sql")));
    began.map_err(|error| database.error(error))?;
    let mut diff = ManifestDiff::default();
    let mut cursor = MergeCursor::new(&database.connection);
    for (index, draft) in (1..).zip(rows) {
        let draft = draft?;
        let mut new = None;
        let existing = cursor.step(draft.request.content(), |id| {
            new = Some(id);
            is_unknown(database, id, index, &draft)
        });
        let Some(ExistingRow { id, position, label, extras, phase, .. }) =
            existing.map_err(|error| database.error(error))?
        else {
            if let Some(id) = new.filter(|_| !draft.row.is_skipped) {
                see(&draft, index, id, StatusCounts { n_pending: 1, ..StatusCounts::default() });
            }
            continue;
        };
        if draft.row.is_skipped && !stays_if_skipped(phase) {
            if position.is_some() {
                diff.n_skipped += 1;
                read::count(database, &mut diff.leaving, phase, 1)?;
            }
            continue;
        }
        let mut status = StatusCounts::default();
        read::count(database, &mut status, phase, 1)?;
        diff.standing += status;
        see(&draft, index, id, status);
        if let Some(position) = position {
            diff.n_kept += 1;
            diff.n_moved += u64::from(position != index);
            let is_same = label == draft.label && is_carried(extras.as_deref(), &draft);
            diff.n_relabelled += u64::from(!is_same);
        } else {
            diff.n_back += 1;
            if diff.back.len() < shown_max {
                diff.back.push(DiffEntry::new(index, draft));
            }
        }
    }
    let forgotten = database.connection.execute("DELETE FROM unknown WHERE position < 0", ());
    forgotten.map_err(|error| database.error(error))?;
    find_gone(database, &cursor, &mut diff)?;
    let paired = database.connection.execute_batch(include_str!("pair.sql"));
    paired.map_err(|error| database.error(error))?;
    count_others(database, &mut diff)?;
    show_others(database, &mut diff, shown_max)?;
    Ok(diff)
}

/// Returns whether a ledger has these columns of a job. The number of the row does not count.
fn is_carried(extras: Option<&str>, draft: &JobSpec) -> bool {
    format::extras_from(extras).is_some_and(|(extras, _)| extras == draft.extras)
}

/// Records a row that the ledger does not know; returns `None` if an earlier row has this id. A row that is left out has a negative
/// position, until all rows are compared.
fn is_unknown(database: &Database, id: JobId, index: u64, draft: &JobSpec) -> rusqlite::Result<Option<NewRowLocation>> {
    let insert = "INSERT INTO temp.unknown VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    let position = if draft.row.is_skipped { -index } else { index };
    let row = params![position, id.bytes(), draft.label, format::request_text(&draft.request)];
    Ok((database.connection.prepare_cached(insert)?.execute(row)? > 0).then_some(NewRowLocation::UntrustedBaseUrl))
}

/// Records the jobs that have a position in the ledger and none in the manifest.
fn find_gone(database: &Database, cursor: &MergeCursor<'_>, diff: &mut ManifestDiff) -> Result<(), LedgerError> {
    if diff.n_kept + diff.n_skipped == totals::counts(database)?.n_jobs() {
        return Ok(());
    }
    let insert = "INSERT INTO temp.gone SELECT row, position, label FROM jobs WHERE row = ?1";
    database.each("SELECT row, phase FROM jobs WHERE position IS NOT NULL", (), |job| {
        let (row, phase): (i64, i64) = job.try_into()?;
        if cursor.has_taken(row) {
            return Ok(Ok(()));
        }
        database.connection.prepare_cached(insert)?.execute([row])?;
        Ok(read::count(database, &mut diff.leaving, phase, 1))
    })
}

fn count_others(database: &Database, diff: &mut ManifestDiff) -> Result<(), LedgerError> {
    let sql = "SELECT (SELECT count(*) FROM unknown), (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)";
    database.each(sql, (), |row| {
        let (n_unknown, n_changed, n_gone): (u64, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        (diff.n_new, diff.n_changed, diff.n_dropped) = (n_unknown - n_changed, n_changed, n_gone - n_changed);
        Ok(Ok::<_, LedgerError>(()))
    })
}

fn show_others(database: &Database, diff: &mut ManifestDiff, shown_max: usize) -> Result<(), LedgerError> {
    let max = [i64::try_from(shown_max).unwrap_or(i64::MAX)];
    let new = "SELECT position, label, request FROM unknown \
               WHERE position NOT IN (SELECT position FROM changed) ORDER BY position LIMIT ?1";
    database.each(new, max, |row| Ok(shown(database, row, 0)?.map(|shown| diff.new.push(shown))))?;
    let dropped = "SELECT jobs.position, jobs.label, request FROM gone JOIN jobs USING (row) \
                   WHERE row NOT IN (SELECT row FROM changed) ORDER BY gone.position LIMIT ?1";
    database.each(dropped, max, |row| Ok(shown(database, row, 0)?.map(|shown| diff.dropped.push(shown))))?;
    let changed = "SELECT jobs.position, jobs.label, jobs.request, unknown.position, unknown.label, unknown.request \
                   FROM changed JOIN unknown USING (position) JOIN jobs USING (row) ORDER BY changed.position LIMIT ?1";
    database.each(changed, max, |row| {
        let (was, is) = (shown(database, row, 0)?, shown(database, row, 3)?);
        Ok(was.and_then(|was| is.map(|is| diff.changed.push((was, is)))))
    })
}

/// Reads a job from the columns that begin at `first`. The inner error is an invalid request.
fn shown(database: &Database, row: &Row<'_>, first: usize) -> rusqlite::Result<Result<DiffEntry, LedgerError>> {
    let (index, label, request): (_, _, String) = (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
    let request = format::request_from(&request).ok_or_else(|| database.damaged("a job cannot be decoded"));
    Ok(request.map(|request| DiffEntry { index, label, request }))
}
