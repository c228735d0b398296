//! Differences between an edited manifest and the last imported one, by the same rule as the import.
//!
//! Rows that differ go into temporary tables, which `SQLite` keeps in a separate file. A million of them cost little memory.
//! The ledger itself is only read.

use rusqlite::{Row, params};

use crate::model::job::{JobId, JobSpec};
use crate::store::diff::{DiffEntry, ManifestDiff};
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::import::{JobRows, RowsError};
use crate::store::sqlite::database::Database;
use crate::store::sqlite::merge_cursor::{ExistingRow, MergeCursor, NewRowLocation};
use crate::store::sqlite::{read, totals};

/// Compares the rows of a manifest with the jobs of this ledger. Lists the first `shown_max` jobs of each kind.
pub(super) fn diff(database: &Database, rows: &mut JobRows<'_>, shown_max: usize) -> Result<ManifestDiff, RowsError> {
    let began = database.with_large_cache().and_then(|()| database.connection.execute_batch(include_str!("diff.sql")));
    began.map_err(|error| database.error(error))?;
    let mut diff = ManifestDiff::default();
    let mut cursor = MergeCursor::new(&database.connection);
    for (index, draft) in (1..).zip(rows) {
        let draft = draft?;
        let existing = cursor.step(draft.request.content(), |id| is_unknown(database, id, index, &draft));
        let Some(ExistingRow { position, label, extras, phase, .. }) =
            existing.map_err(|error| database.error(error))?
        else {
            continue;
        };
        read::count(database, &mut diff.standing, phase, 1)?;
        if let Some(position) = position {
            diff.n_kept += 1;
            diff.n_moved += u64::from(position != index);
            let is_same = label == draft.label && extras == format::extras_text(&draft.extras);
            diff.n_relabelled += u64::from(!is_same);
        } else {
            diff.n_back += 1;
            if diff.back.len() < shown_max {
                diff.back.push(DiffEntry::new(index, draft));
            }
        }
    }
    find_gone(database, &cursor, &mut diff)?;
    let paired = database.connection.execute_batch(include_str!("pair.sql"));
    paired.map_err(|error| database.error(error))?;
    count_others(database, &mut diff)?;
    show_others(database, &mut diff, shown_max)?;
    Ok(diff)
}

/// Records a row that the ledger does not know; returns `None` if an earlier row has this id.
fn is_unknown(database: &Database, id: JobId, index: u64, draft: &JobSpec) -> rusqlite::Result<Option<NewRowLocation>> {
    let insert = "INSERT INTO temp.unknown VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
    let row = params![index, id.bytes(), draft.label, format::request_text(&draft.request)];
    Ok((database.connection.prepare_cached(insert)?.execute(row)? > 0).then_some(NewRowLocation::UntrustedBaseUrl))
}

/// Records the jobs that have a position in the ledger and none in the manifest.
fn find_gone(database: &Database, cursor: &MergeCursor<'_>, diff: &mut ManifestDiff) -> Result<(), LedgerError> {
    if diff.n_kept == totals::counts(database)?.n_jobs() {
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
