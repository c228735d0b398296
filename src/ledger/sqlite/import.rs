//! Taking a manifest in: who is new, who is known already, and who is no longer there.

use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

use crate::ledger::error::LedgerError;
use crate::ledger::format;
use crate::ledger::sqlite::RunFile;
use crate::model::job::{Draft, JobId};
use crate::model::request::Content;

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

impl RunFile {
    /// Takes the rows of a manifest in, all or none. Equal rows are told apart by their occurrence, so the ids of the
    /// others do not change when rows are moved, inserted or removed.
    pub fn import<E: From<LedgerError>>(
        &mut self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<Draft, E>>,
    ) -> Result<Imported, E> {
        let began = self
            .connection
            .execute_batch("BEGIN IMMEDIATE; UPDATE jobs SET position = NULL WHERE position IS NOT NULL;");
        began.map_err(|error| self.error(error))?;
        match self.import_rows(fingerprint, columns, drafts) {
            Ok(imported) => {
                self.written(self.connection.execute_batch("COMMIT"))?;
                Ok(imported)
            }
            Err(error) => {
                // A full disk may have rolled it back already, and the first error is the one to tell.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    fn import_rows<E: From<LedgerError>>(
        &self,
        fingerprint: &str,
        columns: &[String],
        drafts: impl Iterator<Item = Result<Draft, E>>,
    ) -> Result<Imported, E> {
        let mut imported = Imported::default();
        let mut occurrences = Occurrences::default();
        for (index, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let taken = occurrences.place(draft.request.content(), |id| take(&self.connection, id, index, &draft));
            match taken.map_err(|error| self.error(error))? {
                Place::New => imported.n_new += 1,
                Place::Kept => imported.n_kept += 1,
            }
        }
        let count = "SELECT count(*) FROM jobs WHERE position IS NULL";
        let n_dropped = self.connection.query_row(count, (), |row| row.get(0));
        imported.n_dropped = n_dropped.map_err(|error| self.error(error))?;
        self.set_meta("columns", &serde_json::json!(columns).to_string())?;
        self.set_meta("manifest", fingerprint)?;
        Ok(imported)
    }
}

enum Place {
    New,
    Kept,
}

/// Gives the job with this id its place, unless an earlier row of this manifest has taken it.
fn take(connection: &Connection, id: JobId, index: u64, draft: &Draft) -> rusqlite::Result<Option<Place>> {
    let find = "SELECT row, position FROM jobs WHERE id = ?1";
    let found = connection
        .prepare_cached(find)?
        .query_row([id.bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<u64>>(1)?)))
        .optional()?;
    let extras = format::extras_text(&draft.extras);
    match found {
        None => {
            let insert = "INSERT INTO jobs (id, position, label, request, extras) VALUES (?1, ?2, ?3, ?4, ?5)";
            let request = format::request_text(&draft.request);
            connection.prepare_cached(insert)?.execute(params![id.bytes(), index, draft.label, request, extras])?;
            Ok(Some(Place::New))
        }
        Some((row, None)) => {
            let update = "UPDATE jobs SET position = ?2, label = ?3, extras = ?4 WHERE row = ?1";
            connection.prepare_cached(update)?.execute(params![row, index, draft.label, extras])?;
            Ok(Some(Place::Kept))
        }
        Some((_, Some(_))) => Ok(None),
    }
}

/// Finds out which occurrence of its content a row is: the one rule that decides what is the same job in an edited manifest.
///
/// The ids that were taken are remembered by whoever takes them; only contents that do repeat are kept in memory.
#[derive(Default)]
pub(super) struct Occurrences(HashMap<Content, u32>);

impl Occurrences {
    /// Offers the ids of this content one after the other, until `take` takes one that no earlier row has.
    pub(super) fn place<T>(
        &mut self,
        content: Content,
        mut take: impl FnMut(JobId) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<T> {
        let mut occurrence = self.0.get(&content).copied().unwrap_or(0);
        loop {
            if let Some(taken) = take(JobId::new(&content, occurrence))? {
                return Ok(taken);
            }
            occurrence += 1;
            self.0.insert(content, occurrence);
        }
    }
}
