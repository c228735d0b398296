//! How an edited manifest differs from the one that was taken in last: told beforehand, by the rule that taking it in goes by.
//!
//! The rows that differ go into temporary tables, which `SQLite` keeps in a file of its own: a million of them cost little
//! memory. The ledger itself is only read.

use rusqlite::{Row, params};

use crate::ledger::error::LedgerError;
use crate::ledger::format;
use crate::ledger::sqlite::RunFile;
use crate::ledger::sqlite::walk::{Had, New, Walk};
use crate::model::counts::Counts;
use crate::model::job::{Draft, JobId};
use crate::model::request::Request;

/// How a manifest differs from the jobs that a ledger has. Every row of the manifest is either new, changed, kept or back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// Jobs that the ledger does not know and that take nobody's place.
    pub n_new: u64,
    /// New jobs in the place of one that has gone: the same label, or else the same position.
    pub n_changed: u64,
    /// Jobs that have a place in the ledger and keep one.
    pub n_kept: u64,
    /// Kept ones whose place is another.
    pub n_moved: u64,
    /// Kept ones whose label or carried-through columns are others.
    pub n_relabelled: u64,
    /// Jobs that had been dropped and return, with whatever images they have.
    pub n_back: u64,
    /// Jobs that lose their place to nobody.
    pub n_dropped: u64,
    /// Where those stand that are kept or back.
    pub standing: Counts,
    /// Where those stand that lose their place, be it to a changed one.
    pub leaving: Counts,
    /// The first new ones, by position; so are the other lists.
    pub new: Vec<Shown>,
    /// The first changed ones: what was, and what is now.
    pub changed: Vec<(Shown, Shown)>,
    /// The first of those that are back.
    pub back: Vec<Shown>,
    /// The first dropped ones, by the position they had.
    pub dropped: Vec<Shown>,
}

/// A job as a list of differences shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its place in the manifest that it is, or was, a part of.
    pub index: u64,
    /// The user's own name for it, if any.
    pub label: Option<String>,
    /// What is asked of the provider.
    pub request: Request,
}

impl Shown {
    /// The draft at this place.
    pub fn new(index: u64, draft: Draft) -> Self {
        Self { index, label: draft.label, request: draft.request }
    }
}

impl RunFile {
    /// Compares the rows of a manifest with the jobs of this ledger, and lists the first `shown_max` of each kind.
    pub fn diff<E: From<LedgerError>>(
        &self,
        drafts: impl Iterator<Item = Result<Draft, E>>,
        shown_max: usize,
    ) -> Result<Diff, E> {
        let began = self.with_large_cache().and_then(|()| self.connection.execute_batch(include_str!("diff.sql")));
        began.map_err(|error| self.error(error))?;
        let mut diff = Diff::default();
        let mut walk = Walk::new(&self.connection);
        for (index, draft) in (1..).zip(drafts) {
            let draft = draft?;
            let had = walk.step(draft.request.content(), |id| self.is_unknown(id, index, &draft));
            let Some(Had { position, label, extras, phase, .. }) = had.map_err(|error| self.error(error))? else {
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
                    diff.back.push(Shown::new(index, draft));
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

    /// Takes note of a row that the ledger does not know, unless an earlier one has this id.
    fn is_unknown(&self, id: JobId, index: u64, draft: &Draft) -> rusqlite::Result<Option<New>> {
        let insert = "INSERT INTO temp.unknown VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
        let row = params![index, id.bytes(), draft.label, format::request_text(&draft.request)];
        Ok((self.connection.prepare_cached(insert)?.execute(row)? > 0).then_some(New::Elsewhere))
    }

    /// Takes note of the jobs that have a place in the ledger and none in the manifest.
    fn find_gone(&self, walk: &Walk<'_>, diff: &mut Diff) -> Result<(), LedgerError> {
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

    fn count_others(&self, diff: &mut Diff) -> Result<(), LedgerError> {
        let sql = "SELECT (SELECT count(*) FROM unknown), (SELECT count(*) FROM changed), (SELECT count(*) FROM gone)";
        self.each(sql, (), |row| {
            let (n_unknown, n_changed, n_gone): (u64, u64, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            (diff.n_new, diff.n_changed, diff.n_dropped) = (n_unknown - n_changed, n_changed, n_gone - n_changed);
            Ok(Ok::<_, LedgerError>(()))
        })
    }

    fn show_others(&self, diff: &mut Diff, shown_max: usize) -> Result<(), LedgerError> {
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

    /// The inner error is a request that makes no sense.
    fn shown(&self, row: &Row<'_>, first: usize) -> rusqlite::Result<Result<Shown, LedgerError>> {
        let (index, label, request): (_, _, String) = (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
        let request = format::request_from(&request).ok_or_else(|| self.damaged("a job makes no sense"));
        Ok(request.map(|request| Shown { index, label, request }))
    }
}

#[cfg(test)]
mod tests;
