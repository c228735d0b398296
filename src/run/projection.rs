//! Projection of the ledger to `results.csv` or `results.jsonl`, rewritten whenever it is out of date, and never read back.

use std::convert::Infallible;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::model::escape::escape;
use crate::model::money::Money;
use crate::model::phase::JobRecord;
use crate::model::progress::{Meter, NoProgress, Operation, Progress};
use crate::report::results::ResultsFileFormat;
use crate::report::results::file::{ResultsError, ResultsWriter};
use crate::report::results::own_columns::foreign_column;
use crate::run::other_sizes::OtherSizes;
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter, stores};

/// Shortest time between two rewrites during a run.
const INTERVAL_MIN: Duration = Duration::from_secs(30);

/// Inverse share of a run's time spent on rewrites. A rewrite that takes twice as long as expected is still a small part.
const SHARE: u32 = 100;

/// Least time per line of a job, over all measurements. With it, the cost of the first rewrite of a large run is foreseen.
const LINE: Duration = Duration::from_micros(5);

/// Suffix of the stored revision if the results are guarded against formulas.
const GUARDED: &str = " guarded";

/// Reason why the results could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// Ledger that could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// File that could not be written.
    #[error(transparent)]
    Write(#[from] ResultsError),
}

/// Jobs that the results contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultRows {
    /// Jobs of the present manifest.
    OfManifest,
    /// Jobs of the present manifest, followed by the jobs that are no longer in it.
    WithDropped,
}

/// Results of one output folder.
#[derive(Clone, Debug)]
pub struct Projection {
    out: PathBuf,
    path: PathBuf,
    format: ResultsFileFormat,
    /// Guards tables against formulas; `None` keeps the setting of the last run.
    formula_guard: Option<bool>,
    /// Starts tables with a byte order mark.
    has_bom: bool,
    /// Lock that allows one rewrite at a time.
    turn: Arc<Mutex<()>>,
}

impl Projection {
    /// Creates the projection to `results.csv` for the run in the folder `out`.
    pub fn new(out: &Path) -> Self {
        Self::written_as(ResultsFileFormat::Csv, out)
    }

    /// Creates the projection in this format for the run in the folder `out`.
    pub fn written_as(format: ResultsFileFormat, out: &Path) -> Self {
        let path = out.join("results").with_extension(format.extension());
        Self { out: out.to_owned(), path, format, formula_guard: None, has_bom: false, turn: Arc::default() }
    }

    /// Sets whether cells are changed so that no spreadsheet reads them as formulas, or all text stays as it is. `None` keeps
    /// the setting of the last run.
    #[must_use]
    pub fn guarding(self, formula_guard: Option<bool>) -> Self {
        Self { formula_guard, ..self }
    }

    /// Sets whether a table starts with a byte order mark, by which Excel recognises UTF-8.
    #[must_use]
    pub fn with_bom(self, has_bom: bool) -> Self {
        Self { has_bom, ..self }
    }

    /// Returns the format in which the results are written.
    fn format(&self, run: &dyn RunReader) -> Result<ResultsFileFormat, LedgerError> {
        let is_guarded = match (self.format, self.formula_guard) {
            (ResultsFileFormat::Jsonl, _) => return Ok(ResultsFileFormat::Jsonl),
            (ResultsFileFormat::GuardedCsv, _) => true,
            (ResultsFileFormat::Csv, Some(is_guarded)) => is_guarded,
            (ResultsFileFormat::Csv, None) => Self::is_guarded(run)?,
        };
        Ok(if is_guarded { ResultsFileFormat::GuardedCsv } else { ResultsFileFormat::Csv })
    }

    /// Stores the formula setting of this run for later retries, repairs and reads.
    pub fn settle(&self, run: &mut dyn RunWriter) -> Result<(), ProjectionError> {
        let is_settled = self.format(run)? == Self { formula_guard: None, ..self.clone() }.format(run)?;
        if is_settled {
            return Ok(());
        }
        let guard = self.guard_suffix(run)?;
        Ok(run.set_results_revision(guard)?)
    }

    /// Returns the suffix of the stored revision.
    fn guard_suffix(&self, run: &dyn RunReader) -> Result<&'static str, LedgerError> {
        Ok(if self.format(run)? == ResultsFileFormat::GuardedCsv { GUARDED } else { "" })
    }

    /// Returns whether the results of a run are guarded against formulas.
    pub fn is_guarded(run: &dyn RunReader) -> Result<bool, LedgerError> {
        Ok(run.results_revision()?.is_some_and(|revision| revision.ends_with(GUARDED)))
    }

    /// Returns the path of the results.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the results if anything has happened since the last write. Also writes them if the file is no longer the one
    /// written then. A run always leaves the jobs of its manifest there, and no others. Returns the images of other sizes that were
    /// asked for; none if nothing was written.
    pub fn refresh(&self, run: &mut dyn RunWriter, progress: &mut dyn Progress) -> Result<OtherSizes, ProjectionError> {
        // Results of another run may be at this path by now.
        run.check_in_place()?;
        let revision = run.revision()?;
        let guard = self.guard_suffix(run)?;
        // Includes the price, because another price changes the column `cost`.
        let price = run.price_used()?.map_or_else(|| "unpriced".to_owned(), |price| price.to_string());
        let of = |stamp: String| format!("{revision} {price} {stamp}{guard}");
        let written = run.results_revision()?;
        if self.stamp().is_some_and(|stamp| written == Some(of(stamp))) {
            return Ok(OtherSizes::default());
        }
        let other_sizes = self.rewrite(run, ResultRows::OfManifest, progress)?;
        run.set_results_revision(&of(self.stamp().unwrap_or_default()))?;
        Ok(other_sizes)
    }

    /// Writes the results, also if they are up to date. Returns the images of other sizes than were asked for.
    pub fn rewrite(
        &self,
        run: &dyn RunReader,
        rows: ResultRows,
        progress: &mut dyn Progress,
    ) -> Result<OtherSizes, ProjectionError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        run.in_snapshot(|| {
            self.check_columns(run)?;
            let provider = run.provider_name()?;
            let format = self.format(run)?;
            let (columns, has_rows) = (run.columns()?, run.has_rows()?);
            let writer = ResultsWriter::create(&self.path, format, self.has_bom, &provider, &columns, has_rows)?;
            let mut writer = writer.placed(run.images()?);
            let mut other_sizes = OtherSizes::default();
            let mut meter = Meter::begin(progress, Operation::Results, Some(run.counts()?.n_jobs()));
            let price = run.price_used()?;
            if price.is_some() {
                run.prepare_acceptances()?;
            }
            let mut write = |record: JobRecord| {
                meter.step();
                other_sizes.add(&record);
                let cost = match &price {
                    Some(price) => price.settled(&record.job.request, run.n_accepted(&record)?, &run.charges(&record)?),
                    None => None,
                };
                let unit = price.as_ref().map(|price| price.unit.clone());
                let cost = cost.zip(unit).map(|(amount, unit)| Money { amount, unit });
                Ok::<_, ProjectionError>(writer.write(&record, cost.as_ref())?)
            };
            run.for_each_job(JobSet::InManifest, &mut write)?;
            match rows {
                ResultRows::OfManifest => (),
                ResultRows::WithDropped => run.for_each_job(JobSet::Dropped, &mut write)?,
            }
            writer.finish()?;
            Ok(other_sizes)
        })
    }

    /// Returns the first column of the table that is there which no run has written; `None` if there is none. A new table would lose it.
    pub(super) fn foreign_column(&self, run: &dyn RunReader) -> Result<Option<String>, LedgerError> {
        let columns = run.results_columns()?;
        let has_columns = matches!(self.format, ResultsFileFormat::Csv | ResultsFileFormat::GuardedCsv);
        // A table that cannot be read is reported when it is replaced.
        Ok(has_columns.then(|| foreign_column(&self.path, &columns).ok().flatten()).flatten())
    }

    fn check_columns(&self, run: &dyn RunReader) -> Result<(), ProjectionError> {
        let Some(column) = self.foreign_column(run)? else { return Ok(()) };
        let what = format!("it has the column {:?}, which no run here has written", escape(&column));
        let cause = io::Error::new(ErrorKind::AlreadyExists, what);
        Err(ResultsError { path: self.path.clone(), cause }.into())
    }

    /// Returns length and modification time, which change if another program writes the file; `None` if the file is missing.
    fn stamp(&self) -> Option<String> {
        let file = fs::metadata(&self.path).ok()?;
        let age = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{}+{}", file.len(), age.as_nanos()))
    }

    /// Rewrites the results now and then during a run of `n_jobs` jobs: they are never long out of date. Never returns.
    pub async fn keep_fresh(&self, n_jobs: u64) -> Infallible {
        let mut last = Duration::ZERO;
        loop {
            tokio::time::sleep(pause(n_jobs, last)).await;
            let (results, (done, cost)) = (self.clone(), oneshot::channel());
            let rewrite = move || {
                let began = Instant::now();
                // Ignores a failure, which repeats at the end of the run and is reported there.
                let _ = stores::open_for_reading(&results.out)
                    .map(|run| results.rewrite(&*run, ResultRows::OfManifest, &mut NoProgress));
                // Ignores a receiver that is gone, because the run has ended meanwhile.
                let _ = done.send(began.elapsed());
            };
            // Uses a separate thread, not one of the many that write images. Each of those would keep the memory that `SQLite`
            // once took there.
            let _ = thread::Builder::new().name("results".into()).spawn(rewrite);
            last = cost.await.unwrap_or_default();
        }
    }
}

/// Returns the pause before a rewrite. It pays for the rewrite in advance, as the run may end right after it. `last` is the
/// duration of the last rewrite.
fn pause(n_jobs: u64, last: Duration) -> Duration {
    let expected = (LINE * u32::try_from(n_jobs).unwrap_or(u32::MAX)).max(last);
    INTERVAL_MIN.max(expected * SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_is_a_small_part_of_the_time_before_it_from_the_first_one_on() {
        let seconds = |n_jobs, last| pause(n_jobs, Duration::from_secs_f64(last)).as_secs_f64();
        assert_eq!((seconds(0, 0.0), seconds(60_000, 0.1)), (30.0, 30.0));
        assert_eq!((seconds(1_000_000, 0.0), seconds(1_000_000, 4.0)), (500.0, 500.0));
        assert_eq!((seconds(10, 0.5), seconds(1_000_000, 8.0)), (50.0, 800.0));
        // Extreme numbers lead to pauses of years, but never to a panic.
        assert!(seconds(u64::MAX, 0.0) > 1e6);
    }
}
