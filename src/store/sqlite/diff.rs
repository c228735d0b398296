//! Differences between an edited manifest and the last imported one, by the same rule as the import.
//!
//! Rows that differ go into temporary tables, which `SQLite` keeps in a separate file. A million of them cost little memory.
//! The ledger itself is only read.

use rusqlite::{Row, params};

use crate::model::counts::StatusCounts;
use crate::model::job::{JobId, JobSpec};
use crate::model::request::Request;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::merge_cursor::{ExistingRow, MergeCursor, NewRowLocation};

/// Differences between a manifest and the jobs of a ledger. Every row of the manifest is new, changed, kept or back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestDiff {
    /// Jobs that the ledger does not know and that replace no other job.
    pub n_new: u64,
    /// New jobs that replace a removed job: one with the same label, or else at the same position.
    pub n_changed: u64,
    /// Jobs that have a position in the ledger and keep one.
    pub n_kept: u64,
    /// Kept jobs whose position changes.
    pub n_moved: u64,
    /// Kept jobs whose label or carried-through columns change.
    pub n_relabelled: u64,
    /// Jobs that had been dropped and return, with all their images.
    pub n_back: u64,
    /// Jobs that lose their position without a replacement.
    pub n_dropped: u64,
    /// Kept and returning jobs, by status.
    pub standing: StatusCounts,
    /// Jobs that lose their position, by status, including those that a changed job replaces.
    pub leaving: StatusCounts,
    /// First new jobs, by position; the other lists are sorted by position too.
    pub new: Vec<DiffEntry>,
    /// First changed jobs: the old job and the new one.
    pub changed: Vec<(DiffEntry, DiffEntry)>,
    /// First jobs that return.
    pub back: Vec<DiffEntry>,
    /// First dropped jobs, by their former position.
    pub dropped: Vec<DiffEntry>,
}

/// Job in a list of differences.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffEntry {
    /// Index in the manifest that has, or had, the job.
    pub index: u64,
    /// User's own name for the job (the manifest's `id`); `None` if there is none.
    pub label: Option<String>,
    /// Request to the provider.
    pub request: Request,
}

impl DiffEntry {
    /// Creates the entry for the draft at this index.
    pub fn new(index: u64, draft: JobSpec) -> Self {
        Self { index, label: draft.label, request: draft.request }
    }
}

impl SqliteStore {
    /// Compares the rows of a manifest with the jobs of this ledger. Lists the first `shown_max` jobs of each kind.
    pub fn diff<E: From<LedgerError>>(
        &self,
        drafts: impl Iterator<Item = Result<JobSpec, E>>,
        shown_max: usize,
    ) -> Result<ManifestDiff, E> {
        let began = self.with_large_cache().and_then(|()| self.connection.execute_batch(include_str!("diff.sql")));
        began.map_err(|error| self.error(error))?;
        let mut diff = ManifestDiff::default();
        let mut walk = MergeCursor::new(&self.connection);
        for (index, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let had = walk.step(draft.request.content(), |id| self.is_unknown(id, index, &draft));
            let Some(ExistingRow { position, label, extras, phase, .. }) = had.map_err(|error| self.error(error))?
            else {
                continue;
            };
            self.count(&mut diff.standing, phase, 1)?;
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
        self.find_gone(&walk, &mut diff)?;
        let paired = self.connection.execute_batch(include_str!("pair.sql"));
        paired.map_err(|error| self.error(error))?;
        self.count_others(&mut diff)?;
        self.show_others(&mut diff, shown_max)?;
        Ok(diff)
    }

    /// Records a row that the ledger does not know; returns `None` if an earlier row has this id.
    fn is_unknown(&self, id: JobId, index: u64, draft: &JobSpec) -> rusqlite::Result<Option<NewRowLocation>> {
        let insert = "INSERT INTO temp.unknown VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
        let row = params![index, id.bytes(), draft.label, format::request_text(&draft.request)];
        Ok((self.connection.prepare_cached(insert)?.execute(row)? > 0).then_some(NewRowLocation::Elsewhere))
    }

    /// Records the jobs that have a position in the ledger and none in the manifest.
    fn find_gone(&self, walk: &MergeCursor<'_>, diff: &mut ManifestDiff) -> Result<(), LedgerError> {
        if diff.n_kept == self.counts()?.n_jobs() {
            return Ok(());
        }
        let insert = "INSERT INTO temp.gone SELECT row, position, label FROM jobs WHERE row = ?1";
        self.each("SELECT row, phase FROM jobs WHERE position IS NOT NULL", (), |job| {
            let (row, phase): (i64, i64) = job.try_into()?;
            if walk.has_taken(row) {
                return Ok(Ok(()));
            }
            self.connection.prepare_cached(insert)?.execute([row])?;
            Ok(self.count(&mut diff.leaving, phase, 1))
        })
    }

    fn count_others(&self, diff: &mut ManifestDiff) -> Result<(), LedgerError> {
        let sql = "SELECT (SELECT count(*) FROM unknown), (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)";
        self.each(sql, (), |row| {
            let (n_unknown, n_changed, n_gone): (u64, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            (diff.n_new, diff.n_changed, diff.n_dropped) = (n_unknown - n_changed, n_changed, n_gone - n_changed);
            Ok(Ok::<_, LedgerError>(()))
        })
    }

    fn show_others(&self, diff: &mut ManifestDiff, shown_max: usize) -> Result<(), LedgerError> {
        let max = [i64::try_from(shown_max).unwrap_or(i64::MAX)];
        let new = "SELECT position, label, request FROM unknown \
                   WHERE position NOT IN (SELECT position FROM changed) ORDER BY position LIMIT ?1";
        self.each(new, max, |row| Ok(self.shown(row, 0)?.map(|shown| diff.new.push(shown))))?;
        let dropped = "SELECT jobs.position, jobs.label, request FROM gone JOIN jobs USING (row) \
                       WHERE row NOT IN (SELECT row FROM changed) ORDER BY gone.position LIMIT ?1";
        self.each(dropped, max, |row| Ok(self.shown(row, 0)?.map(|shown| diff.dropped.push(shown))))?;
        let changed = "SELECT jobs.position, jobs.label, jobs.request, unknown.position, unknown.label, unknown.request \
                       FROM changed JOIN unknown USING (position) JOIN jobs USING (row) ORDER BY changed.position LIMIT ?1";
        self.each(changed, max, |row| {
            let (was, is) = (self.shown(row, 0)?, self.shown(row, 3)?);
            Ok(was.and_then(|was| is.map(|is| diff.changed.push((was, is)))))
        })
    }

    /// Reads a job from the columns that begin at `first`. The inner error is an invalid request.
    fn shown(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<Result<DiffEntry, LedgerError>> {
        let (index, label, request): (_, _, String) = (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
        let request = format::request_from(&request).ok_or_else(|| self.damaged("a job cannot be decoded"));
        Ok(request.map(|request| DiffEntry { index, label, request }))
    }
}

#[cfg(test)]
mod tests;
