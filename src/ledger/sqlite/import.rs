//! Taking a manifest in: who is new, who is known already, and who is no longer there.

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::ledger::error::LedgerError;
use crate::ledger::format;
use crate::ledger::sqlite::RunFile;
use crate::ledger::sqlite::file::INDEXES;
use crate::ledger::sqlite::journal::one;
use crate::ledger::sqlite::totals;
use crate::ledger::sqlite::walk::{Had, New, Walk};
use crate::ledger::sqlite::watermark::UNBOUNDED;
use crate::model::job::{Draft, JobId};

const WITHOUT_INDEXES: &str =
    "DROP INDEX jobs_by_id; DROP INDEX jobs_by_position; DROP INDEX jobs_unfinished; DROP INDEX jobs_without_image;";

/// What taking a manifest in came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Jobs that the ledger did not know.
    pub n_new: u64,
    /// Jobs that it knew, wherever they stand.
    pub n_kept: u64,
    /// Jobs that it knows and that are not in the manifest. They keep their images and cost nothing.
    pub n_dropped: u64,
}

/// What the rows of a manifest came to.
struct Rows {
    imported: Imported,
    /// Whether a job has another place now.
    is_moved: bool,
    /// Whether new jobs are in doubt, as an older ledger was accepted.
    is_doubted: bool,
}

impl RunFile {
    /// Takes the rows of a manifest in, all or none. Equal rows are told apart by their occurrence, so the ids of the
    /// others do not change when rows are moved, inserted or removed.
    pub fn import<E: From<LedgerError>>(
        &mut self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<Draft, E>>,
    ) -> Result<Imported, E> {
        let began = self.with_large_cache().and_then(|()| self.connection.execute_batch("BEGIN IMMEDIATE"));
        began.map_err(|error| self.error(error))?;
        let imported =
            self.import_rows(fingerprint, columns, drafts).and_then(|Rows { imported, is_moved, is_doubted }| {
                // From now on the order in which jobs were handed out says nothing of their places.
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
                // A full disk may have rolled it back already, and the first error is the one to tell.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        };
        // It only costs memory if that fails.
        let _ = self.with_small_cache();
        ended
    }

    fn import_rows<E: From<LedgerError>>(
        &self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<Draft, E>>,
    ) -> Result<Rows, E> {
        let sql = |error| E::from(self.error(error));
        let last = "SELECT coalesce(max(row), 0) FROM jobs";
        let last_row: i64 = self.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
        let (imported, is_moved) =
            if last_row == 0 { (self.import_first(drafts)?, false) } else { self.import_edited(last_row, drafts)? };
        totals::recount(&self.connection).map_err(sql)?;
        let is_doubted = self.doubt_new(last_row)?;
        self.set_meta("columns", &serde_json::json!(columns).to_string())?;
        self.set_meta("manifest", fingerprint)?;
        Ok(Rows { imported, is_moved, is_doubted })
    }

    /// Into a ledger without jobs they are written one after the other, and sorted when all are there: however many they are, none is
    /// looked for.
    fn import_first<E: From<LedgerError>>(
        &self,
        drafts: impl Iterator<Item = Result<Draft, E>>,
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

    /// Gives the jobs with the content of an earlier one the ids of their occurrences.
    fn tell_repeated_apart(&self) -> Result<(), LedgerError> {
        let listed = self.connection.execute_batch(include_str!("repeated.sql"));
        listed.map_err(|error| self.error(error))?;
        let repeated = "SELECT row, occurrence, request FROM repeated JOIN jobs USING (row) ORDER BY row";
        self.each(repeated, (), |row| {
            let (number, occurrence, text): (i64, u32, String) = row.try_into()?;
            let Some(request) = format::request_from(&text) else {
                return Ok(Err(self.damaged("a job makes no sense")));
            };
            let id = JobId::new(&request.content(), occurrence);
            let update = "UPDATE jobs SET id = ?2, job_sum = row_sum('job', row, ?2, position, label, request, extras) WHERE row = ?1";
            one(self.connection.prepare_cached(update)?.execute(params![number, id.bytes()])?)?;
            Ok(Ok(()))
        })
    }

    /// Into a ledger with jobs only what is different is written. Says whether a job has another place now.
    fn import_edited<E: From<LedgerError>>(
        &self,
        mut last_row: i64,
        drafts: impl Iterator<Item = Result<Draft, E>>,
    ) -> Result<(Imported, bool), E> {
        let sql = |error| E::from(self.error(error));
        self.connection.execute_batch(include_str!("moves.sql")).map_err(sql)?;
        let last = "SELECT coalesce(max(position), 0) FROM jobs WHERE position IS NOT NULL";
        let last: u64 = self.connection.query_row(last, (), |row| row.get(0)).map_err(sql)?;
        let mut imported = Imported::default();
        let mut walk = Walk::new(&self.connection);
        for (position, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let had = walk.step(draft.request.content(), |id| {
                // As long as the old places are taken, a new job waits for its own among them.
                let free = (position > last).then_some(position);
                last_row += 1;
                let row = last_row;
                insert(&self.connection, row, id, free, &draft)?;
                if free.is_none() {
                    move_to(&self.connection, row, Some(position))?;
                }
                Ok(Some(New::InLedger(row)))
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

    /// Those that no row of the manifest has lose their place.
    fn drop_others(&self, walk: &Walk<'_>) -> Result<(), LedgerError> {
        self.each("SELECT row, id FROM jobs NOT INDEXED WHERE position IS NOT NULL", (), |row| {
            let (row, id): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            if walk.has_taken(row) {
                return Ok(Ok(()));
            }
            // One that its own id does not lead to may be in the manifest and not have been found. It would be paid for again.
            let found = "SELECT row FROM jobs INDEXED BY jobs_by_id WHERE id = ?1";
            let found = self.connection.prepare_cached(found)?.query_row([id], |row| row.get(0)).optional()?;
            if found != Some(row) {
                return Ok(Err(self.damaged(format!("the index of ids does not lead to the job in row {row}"))));
            }
            move_to(&self.connection, row, None)?;
            Ok(Ok(()))
        })
    }

    /// Gives everybody the place that was found. In any order but this, two would have the same one for a while.
    /// Says whether there was any need.
    fn move_all(&self) -> Result<bool, LedgerError> {
        let move_all = || {
            let n_moves = "SELECT count(*) FROM moves";
            let n_moves: usize = self.connection.query_row(n_moves, (), |row| row.get(0))?;
            if n_moves == 0 {
                return Ok(false);
            }
            self.with_small_cache()?;
            self.connection.execute_batch(WITHOUT_INDEXES)?;
            // A row that is not what was recorded keeps its place, and so the number of changes is another.
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

fn insert(connection: &Connection, row: i64, id: JobId, position: Option<u64>, draft: &Draft) -> rusqlite::Result<()> {
    let sql = "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0, \
               row_sum('job', ?1, ?2, ?3, ?4, ?5, ?6), row_sum('state', ?1, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, 0))";
    let (request, extras) = (format::request_text(&draft.request), format::extras_text(&draft.extras));
    connection.prepare_cached(sql)?.execute(params![row, id.bytes(), position, draft.label, request, extras])?;
    Ok(())
}

/// Writes down what is different about a known job.
fn keep(connection: &Connection, had: &Had, position: u64, draft: &Draft) -> rusqlite::Result<()> {
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
