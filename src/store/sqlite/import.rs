//! Import of a manifest: determines which jobs are new, known or no longer there.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::model::job::{JobId, JobSpec};
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::file::INDEXES;
use crate::store::sqlite::journal::one;
use crate::store::sqlite::merge_cursor::{ExistingRow, MergeCursor, NewRowLocation};
use crate::store::sqlite::totals;
use crate::store::sqlite::watermark::UNBOUNDED;

const WITHOUT_INDEXES: &str =
    "DROP INDEX jobs_by_id; DROP INDEX jobs_by_position; DROP INDEX jobs_unfinished; DROP INDEX jobs_without_image;";

/// Result of a manifest import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Jobs that the ledger did not know before the import.
    pub n_new: u64,
    /// Jobs that the ledger knew, in any phase.
    pub n_kept: u64,
    /// Jobs that the ledger knows and the manifest does not contain. They keep their images and cost nothing.
    pub n_dropped: u64,
}

/// Result of importing the rows, before the commit.
struct RowImport {
    imported: Imported,
    /// Records whether a job changed its position.
    is_moved: bool,
    /// Records whether new jobs are in doubt, because an older ledger was accepted.
    is_doubted: bool,
}

impl SqliteStore {
    /// Imports the rows of a manifest, all or none. Equal rows are distinguished by their occurrence. Moving, inserting or
    /// removing rows therefore does not change the ids of the others.
    pub fn import<E: From<LedgerError>>(
        &mut self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<JobSpec, E>>,
    ) -> Result<Imported, E> {
        let began = self.with_large_cache().and_then(|()| self.connection.execute_batch("BEGIN IMMEDIATE"));
        began.map_err(|error| self.error(error))?;
        let imported =
            self.import_rows(fingerprint, columns, drafts).and_then(|RowImport { imported, is_moved, is_doubted }| {
                // Positions no longer show the order in which jobs were handed out.
                if is_moved {
                    self.reserve(UNBOUNDED)?;
                }
                Ok((imported, is_doubted))
            });
        let ended = match imported {
            Ok((imported, is_doubted)) => {
                let committed = self.written(self.connection.execute_batch("COMMIT"));
                let advanced = committed.and_then(|()| if is_doubted { self.advance_to_last() } else { Ok(()) });
                advanced.map(|()| imported).map_err(E::from)
            }
            Err(error) => {
                // Ignores a failed rollback: a full disk may have caused one already, and the first error is the important one.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        };
        // Failure here only costs memory.
        let _ = self.with_small_cache();
        ended
    }

    fn import_rows<E: From<LedgerError>>(
        &self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<JobSpec, E>>,
    ) -> Result<RowImport, E> {
        let sql = |error| E::from(self.error(error));
        let last = "SELECT coalesce(max(row), 0) FROM jobs";
        let last_row: i64 = self.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
        let (imported, is_moved) =
            if last_row == 0 { (self.import_first(drafts)?, false) } else { self.import_edited(last_row, drafts)? };
        totals::recount(&self.connection).map_err(sql)?;
        let is_doubted = self.doubt_new(last_row)?;
        self.set_meta("columns", &serde_json::json!(columns).to_string())?;
        self.set_meta("manifest", fingerprint)?;
        Ok(RowImport { imported, is_moved, is_doubted })
    }

    /// Imports into a ledger without jobs. Writes the rows in sequence, and sorts them at the end: no row is looked up, however
    /// many there are.
    fn import_first<E: From<LedgerError>>(
        &self,
        drafts: impl Iterator<Item = Result<JobSpec, E>>,
    ) -> Result<Imported, E> {
        let sql = |error| E::from(self.error(error));
        self.connection.execute_batch(WITHOUT_INDEXES).map_err(sql)?;
        let mut n_new = 0;
        for (position, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let id = JobId::new(&draft.request.content(), 0);
            let row = i64::try_from(position).expect("rows of a manifest are counted in 63 bits");
            insert(&self.connection, row, id, Some(position), &draft).map_err(sql)?;
            n_new = position;
        }
        self.index_first()?;
        Ok(Imported { n_new, ..Imported::default() })
    }

    fn index_first(&self) -> Result<(), LedgerError> {
        self.with_small_cache().map_err(|error| self.error(error))?;
        let indexed = match self.connection.execute_batch(INDEXES) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.tell_repeated_apart()?;
                self.connection.execute_batch(INDEXES)
            }
            indexed => indexed,
        };
        indexed.map_err(|error| self.error(error))
    }

    /// Assigns ids by occurrence to jobs that repeat the content of an earlier one.
    fn tell_repeated_apart(&self) -> Result<(), LedgerError> {
        let listed = self.connection.execute_batch(include_str!("repeated.sql"));
        listed.map_err(|error| self.error(error))?;
        let repeated = "SELECT row, occurrence, request FROM repeated JOIN jobs USING (row) ORDER BY row";
        self.each(repeated, (), |row| {
            let (number, occurrence, text): (i64, u32, String) = row.try_into()?;
            let Some(request) = format::request_from(&text) else {
                return Ok(Err(self.damaged("a job cannot be decoded")));
            };
            let id = JobId::new(&request.content(), occurrence);
            let update = "UPDATE jobs SET id = ?2, job_sum = row_sum('job', row, ?2, position, label, request, extras) WHERE row = ?1";
            one(self.connection.prepare_cached(update)?.execute(params![number, id.bytes()])?)?;
            Ok(Ok(()))
        })
    }

    /// Imports into a ledger with jobs: writes only the differences. Returns whether a job changed its position.
    fn import_edited<E: From<LedgerError>>(
        &self,
        mut last_row: i64,
        drafts: impl Iterator<Item = Result<JobSpec, E>>,
    ) -> Result<(Imported, bool), E> {
        let sql = |error| E::from(self.error(error));
        self.connection.execute_batch(include_str!("moves.sql")).map_err(sql)?;
        let last = "SELECT coalesce(max(position), 0) FROM jobs WHERE position IS NOT NULL";
        let last: u64 = self.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
        let mut imported = Imported::default();
        let mut walk = MergeCursor::new(&self.connection);
        for (position, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let had = walk.step(draft.request.content(), |id| {
                // Delays the position of a new job as long as the old positions are occupied.
                let free = (position > last).then_some(position);
                last_row += 1;
                let row = last_row;
                insert(&self.connection, row, id, free, &draft)?;
                if free.is_none() {
                    move_to(&self.connection, row, Some(position))?;
                }
                Ok(Some(NewRowLocation::InLedger(row)))
            });
            match had.map_err(sql)? {
                None => imported.n_new += 1,
                Some(had) => {
                    imported.n_kept += 1;
                    keep(&self.connection, &had, position, &draft).map_err(sql)?;
                }
            }
        }
        let n_known: u64 = self.connection.query_row("SELECT count(*) FROM jobs", (), |row| row.get(0)).map_err(sql)?;
        imported.n_dropped = n_known - imported.n_new - imported.n_kept;
        if imported.n_dropped > 0 {
            self.drop_others(&walk)?;
        }
        let is_moved = self.move_all()?;
        Ok((imported, is_moved))
    }

    /// Removes the position of each job that no row of the manifest has.
    fn drop_others(&self, walk: &MergeCursor<'_>) -> Result<(), LedgerError> {
        self.each("SELECT row, id FROM jobs NOT INDEXED WHERE position IS NOT NULL", (), |row| {
            let (row, id): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            if walk.has_taken(row) {
                return Ok(Ok(()));
            }
            // Refuses a job that its own id does not lead to. Such a job may be in the manifest unnoticed, and would be paid
            // for again.
            let found = "SELECT row FROM jobs INDEXED BY jobs_by_id WHERE id = ?1";
            let found = self.connection.prepare_cached(found)?.query_row([id], |row| row.get(0)).optional()?;
            if found != Some(row) {
                return Ok(Err(self.damaged(format!("the index of ids does not lead to the job in row {row}"))));
            }
            move_to(&self.connection, row, None)?;
            Ok(Ok(()))
        })
    }

    /// Assigns all new positions in one update, without indexes. In any other order, two jobs would share a position for a
    /// while. Returns whether any job moved.
    fn move_all(&self) -> Result<bool, LedgerError> {
        let move_all = || {
            let n_moves = "SELECT count(*) FROM moves";
            let n_moves: usize = self.connection.query_row(n_moves, (), |row| row.get(0))?;
            if n_moves == 0 {
                return Ok(false);
            }
            self.with_small_cache()?;
            self.connection.execute_batch(WITHOUT_INDEXES)?;
            // Damaged rows keep their positions, so the number of changed rows differs.
            let n_updated = self.connection.execute(
                "UPDATE jobs SET position = moves.position, \
                 job_sum = row_sum('job', jobs.row, id, moves.position, label, request, extras) FROM moves \
                 WHERE moves.row = jobs.row AND job_sum IS row_sum('job', jobs.row, id, jobs.position, label, request, extras)",
                (),
            )?;
            if n_updated != n_moves {
                return Err(rusqlite::Error::StatementChangedRows(n_updated));
            }
            self.connection.execute_batch(INDEXES)?;
            Ok(true)
        };
        move_all().map_err(|error| self.error(error))
    }
}

fn insert(
    connection: &Connection,
    row: i64,
    id: JobId,
    position: Option<u64>,
    draft: &JobSpec,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, \
               row_sum('job', ?1, ?2, ?3, ?4, ?5, ?6), row_sum('state', ?1, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0))";
    let (request, extras) = (format::request_text(&draft.request), format::extras_text(&draft.extras));
    connection.prepare_cached(sql)?.execute(params![row, id.bytes(), position, draft.label, request, extras])?;
    Ok(())
}

/// Stores the differences of a known job.
fn keep(connection: &Connection, had: &ExistingRow, position: u64, draft: &JobSpec) -> rusqlite::Result<()> {
    let extras = format::extras_text(&draft.extras);
    if had.label != draft.label || had.extras != extras {
        let sql = "UPDATE jobs SET label = ?2, extras = ?3, job_sum = row_sum('job', row, id, position, ?2, request, ?3) \
                   WHERE row = ?1 AND job_sum IS row_sum('job', row, id, position, label, request, extras)";
        one(connection.prepare_cached(sql)?.execute(params![had.row, draft.label, extras])?)?;
    }
    if had.position == Some(position) { Ok(()) } else { move_to(connection, had.row, Some(position)) }
}

fn move_to(connection: &Connection, row: i64, position: Option<u64>) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO moves VALUES (?1, ?2)")?.execute(params![row, position])?;
    Ok(())
}
