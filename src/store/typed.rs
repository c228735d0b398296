//! Closures and rows with any error and any result, on top of the traits, which can have neither.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use crate::model::counts::StatusCounts;
use crate::model::event::{EventKind, Redo};
use crate::model::job::{JobId, JobSpec};
use crate::model::outcome::Outcome;
use crate::model::phase::{JobRecord, JobState};
use crate::model::time::Timestamp;
use crate::store::diff::ManifestDiff;
use crate::store::error::LedgerError;
use crate::store::import::{Imported, JobRows, ManifestFacts, RowsError};
use crate::store::selection::RetrySelection;
use crate::store::spec::StoreSpec;
use crate::store::{JobSet, RunReader, RunWriter};

/// Methods of every [`RunReader`] and [`RunWriter`].
pub trait Typed: RunReader {
    /// Passes every job of a set to `show`, one at a time, with its images. The first error ends the visit.
    fn for_each_job<E: From<LedgerError>>(
        &self,
        jobs: JobSet,
        mut show: impl FnMut(JobRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut shown = Ok(());
        self.visit_jobs(jobs, &mut |record| {
            shown = show(record);
            if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        shown
    }

    /// Runs several related reads on one snapshot, whatever another process records meanwhile.
    fn in_snapshot<T, E: From<LedgerError>>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let (mut read, mut result) = (Some(read), None);
        let ended = self.read_in_snapshot(&mut || result = read.take().map(|read| read()));
        settled(ended, result)
    }

    /// Returns the events of a job with the images that belong to them, as far as the ledger still has them. Their fold is the job's state.
    fn whole_events(&self, job: JobId, state: &JobState) -> Result<Vec<(Timestamp, EventKind)>, LedgerError> {
        let mut told = self.events(job)?;
        let is_end = |kind: &EventKind| matches!(kind, EventKind::Finished(_));
        let Some(last) = told.iter().rposition(|(_, kind)| is_end(kind)) else { return Ok(told) };
        let recorded = match state.artifacts() {
            [] => self.artifacts(job)?,
            images => images.to_vec(),
        };
        // The images of a job that returned to them are not those of its last end.
        let has_returned = told[last..].iter().any(|(_, kind)| matches!(kind, EventKind::Restored(_)));
        for i in 0..=last {
            // Images that a repetition replaced are in its own record.
            let replaced = told[i..].iter().find_map(|(_, later)| match later {
                EventKind::Redone(Redo { replaced, .. }) => Some(replaced.iter().map(|image| image.artifact.clone())),
                _ => None,
            });
            let replaced: Option<Vec<_>> = replaced.map(Iterator::collect);
            match &mut told[i].1 {
                EventKind::Finished(Outcome::Succeeded(images)) => {
                    *images = replaced.unwrap_or_else(|| recorded.clone());
                }
                EventKind::Finished(Outcome::Failed(fault)) if i == last && replaced.is_none() && !has_returned => {
                    fault.kept.clone_from(&recorded);
                }
                _ => (),
            }
        }
        Ok(told)
    }

    /// Compares the rows of a manifest with the jobs of this ledger. Lists the first `shown_max` jobs of each kind, and passes all of them
    /// to `see`.
    fn diff<E: From<LedgerError>>(
        &self,
        rows: impl Iterator<Item = Result<JobSpec, E>>,
        shown_max: usize,
        mut see: impl FnMut(&JobSpec, u64, JobId, StatusCounts),
    ) -> Result<ManifestDiff, E> {
        with_rows(rows, |rows, _| self.diff_rows(rows, shown_max, &mut see))
    }

    /// Imports the rows of a manifest, all or none.
    fn import<E: From<LedgerError>>(
        &mut self,
        facts: &ManifestFacts<'_>,
        rows: impl Iterator<Item = Result<JobSpec, E>>,
    ) -> Result<Imported, E>
    where
        Self: RunWriter,
    {
        self.import_if(facts, rows, |_| Ok(()))
    }

    /// Imports the rows of a manifest if `accept` agrees to what that changes. Its error undoes the import.
    fn import_if<E: From<LedgerError>>(
        &mut self,
        facts: &ManifestFacts<'_>,
        rows: impl Iterator<Item = Result<JobSpec, E>>,
        accept: impl Fn(&Imported) -> Result<(), E>,
    ) -> Result<Imported, E>
    where
        Self: RunWriter,
    {
        with_rows(rows, |rows, keep| self.import_rows(facts, rows, &mut |imported| accept(imported).map_err(keep)))
    }

    /// Selects jobs, reopens them as [`RunWriter::reopen_selected`] does, and returns the number of selected jobs.
    fn reopen(&mut self, at: Timestamp, selection: &RetrySelection) -> Result<u64, LedgerError>
    where
        Self: RunWriter,
    {
        let n_selected = self.select(selection)?;
        self.reopen_selected(at, selection)?;
        Ok(n_selected)
    }
}

impl<R: RunReader + ?Sized> Typed for R {}

/// Passes a snapshot of the run in the folder `out` to `read`, and writes nothing.
///
/// `read` may be called again: its result for a ledger that changed meanwhile is discarded.
pub(crate) fn read_snapshot<T, E: From<LedgerError>>(
    store: &StoreSpec,
    out: &Path,
    mut read: impl FnMut(&dyn RunReader) -> Result<T, E>,
) -> Result<T, E> {
    let mut result = None;
    let ended = (store.read_snapshot)(out, &mut |reader| result = Some(read(reader)));
    settled(ended, result)
}

/// Joins the result of a closure with that of the store which called it. The closure's error is reported first.
fn settled<T, E: From<LedgerError>>(ended: Result<(), LedgerError>, result: Option<Result<T, E>>) -> Result<T, E> {
    match (ended, result) {
        (_, Some(Err(error))) => Err(error),
        (Err(error), _) => Err(error.into()),
        (Ok(()), Some(Ok(result))) => Ok(result),
        (Ok(()), None) => unreachable!("a store calls the closure before it returns without an error"),
    }
}

/// Passes the rows on, with a function that keeps an error for the caller. Returns the error that ended the work.
fn with_rows<T, E: From<LedgerError>>(
    rows: impl Iterator<Item = Result<JobSpec, E>>,
    take: impl FnOnce(&mut JobRows<'_>, &dyn Fn(E) -> RowsError) -> Result<T, RowsError>,
) -> Result<T, E> {
    let kept = RefCell::new(None);
    let keep = |error| {
        kept.replace(Some(error));
        RowsError::BrokenOff
    };
    let taken = take(&mut rows.map(|row| row.map_err(keep)), &keep);
    match (taken, kept.take()) {
        (Ok(taken), _) => Ok(taken),
        (Err(RowsError::Ledger(error)), _) => Err(error.into()),
        (Err(RowsError::BrokenOff), Some(error)) => Err(error),
        (Err(RowsError::BrokenOff), None) => unreachable!("what broke off the work was kept"),
    }
}
