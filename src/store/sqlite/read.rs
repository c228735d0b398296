//! Read access to a ledger outside a run: jobs in manifest order, failures, and the events of a job.

use rusqlite::Row;

use crate::model::counts::StatusCounts;
use crate::model::event::EventKind;
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Outcome};
use crate::model::output_options::OutputOptions;
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::owner::check_event;
use crate::store::sqlite::row::{self, ARTIFACT_COLUMNS, COLUMNS, N_COLUMNS, UNFINISHED, WITHOUT_IMAGE};
use crate::store::style::{style_from, style_text};

impl SqliteStore {
    /// Returns the provider of the run's tasks, as its name and, if it matters, its address.
    pub fn provider(&self) -> Result<String, LedgerError> {
        self.meta("provider")?.ok_or_else(|| self.damaged("it names no provider"))
    }

    /// Returns the manifest's further columns, in its order.
    pub fn columns(&self) -> Result<Vec<String>, LedgerError> {
        let Some(text) = self.meta("columns")? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|_| self.damaged("its list of columns is not a list"))
    }

    /// Returns the fingerprint of the last imported manifest; `None` before the first import.
    pub fn manifest_fingerprint(&self) -> Result<Option<String>, LedgerError> {
        self.meta("manifest")
    }

    /// Returns the mean size of the last thousand images, in bytes; `None` without images.
    pub fn image_bytes_mean(&self) -> Result<Option<u64>, LedgerError> {
        let mut mean = None;
        let sql = "SELECT CAST(avg(bytes) AS INTEGER) FROM (SELECT bytes FROM artifacts ORDER BY job DESC LIMIT 1000)";
        self.each(sql, (), |row| {
            mean = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(mean)
    }

    /// Returns the output style of the images; `None` if none was recorded.
    pub fn style(&self) -> Result<Option<OutputOptions>, LedgerError> {
        let Some(text) = self.meta("style")? else { return Ok(None) };
        style_from(&text).map(Some).ok_or_else(|| self.damaged("its entry about the images is unreadable"))
    }

    /// Records the output style of the images.
    pub fn set_style(&self, style: &OutputOptions) -> Result<(), LedgerError> {
        self.set_meta("style", &style_text(style))
    }

    /// Returns a revision that changes whenever anything happens to the run: its last event and its manifest.
    pub fn mark(&self) -> Result<String, LedgerError> {
        let mut last: i64 = 0;
        self.each("SELECT coalesce(max(seq), 0) FROM events", (), |row| {
            last = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(format!("{last} {}", self.manifest_fingerprint()?.unwrap_or_default()))
    }

    /// Returns an identity of this run that is independent of its folder: its first event. Empty before that event.
    pub fn origin(&self) -> Result<String, LedgerError> {
        let mut origin = String::new();
        let sql = "SELECT lower(hex(id)), at FROM events JOIN jobs ON jobs.row = job ORDER BY seq LIMIT 1";
        self.each(sql, (), |row| {
            origin = format!("{} {}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?);
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(origin)
    }

    /// Returns the run's revision at the last write of the results; `None` before the first write.
    pub fn results_mark(&self) -> Result<Option<String>, LedgerError> {
        self.meta("results")
    }

    /// Records that the results were written at this revision.
    pub fn set_results_mark(&self, mark: &str) -> Result<(), LedgerError> {
        self.set_meta("results", mark)
    }

    /// Adds `n` jobs of this phase to the counts.
    pub(super) fn count(&self, counts: &mut StatusCounts, phase: i64, n: u64) -> Result<(), LedgerError> {
        let counted = match phase {
            format::phase::PENDING => &mut counts.n_pending,
            format::phase::SUBMITTING => &mut counts.n_in_doubt,
            format::phase::RUNNING | format::phase::DOWNLOADING => &mut counts.n_running,
            format::phase::SUCCEEDED => &mut counts.n_succeeded,
            format::phase::MODERATED => &mut counts.n_moderated,
            format::phase::FAILED => &mut counts.n_failed,
            other => return Err(self.damaged(format!("a job has the unknown phase {other}"))),
        };
        *counted += n;
        Ok(())
    }

    /// Passes every job of the present manifest to `show`, in manifest order, one at a time.
    pub fn each_known<E: From<LedgerError>>(&self, show: impl FnMut(JobRecord) -> Result<(), E>) -> Result<(), E> {
        self.each_with_images("position IS NOT NULL ORDER BY position, n", show)
    }

    /// Passes every job that is no longer in the manifest to `show`, one at a time. They come in the order of their first
    /// import, with index 0.
    pub fn each_dropped<E: From<LedgerError>>(&self, show: impl FnMut(JobRecord) -> Result<(), E>) -> Result<(), E> {
        self.each_with_images("position IS NULL ORDER BY row, n", show)
    }

    fn each_with_images<E: From<LedgerError>>(
        &self,
        which: &str,
        mut show: impl FnMut(JobRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!(
            "SELECT {COLUMNS}, {ARTIFACT_COLUMNS} \
             FROM jobs LEFT JOIN artifacts ON job = row WHERE {which}"
        );
        // Images of a job are consecutive rows.
        let mut current: Option<JobRecord> = None;
        self.each(&sql, (), |row| {
            let mut known = match row::known(row)? {
                Ok((_, known)) => known,
                Err(odd) => return Ok(Err(self.damaged(odd).into())),
            };
            let artifact = match row.get_ref(N_COLUMNS)? {
                rusqlite::types::ValueRef::Null => None,
                _ => match row::artifact(row, N_COLUMNS)? {
                    Ok(artifact) => Some(artifact),
                    Err(odd) => return Ok(Err(self.damaged(odd).into())),
                },
            };
            if let Some(done) = current.take() {
                if done.job.id == known.job.id {
                    known = done;
                } else if let Err(error) = show(done) {
                    return Ok(Err(error));
                }
            }
            match (&mut known.state.phase, artifact) {
                (Phase::Finished(Outcome::Succeeded(artifacts)), Some(artifact)) => artifacts.push(artifact),
                (Phase::Finished(Outcome::Failed(fault)), Some(artifact)) => fault.kept.push(artifact),
                (Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_), Some(_))
                | (_, None) => (),
            }
            current = Some(known);
            Ok(Ok(()))
        })?;
        current.map_or(Ok(()), show)
    }

    /// Passes images of the present manifest to `show`: all, or those of an evenly spaced sample of about `jobs_max` jobs.
    /// Returns whether it was all.
    pub fn each_image(&self, jobs_max: u64, mut show: impl FnMut(Artifact)) -> Result<bool, LedgerError> {
        let sql = |which| {
            format!(
                "SELECT {ARTIFACT_COLUMNS} FROM jobs CROSS JOIN artifacts ON job = row \
                 WHERE {which} phase = 4 AND position IS NOT NULL"
            )
        };
        let mut shown = |row: &Row<'_>| Ok(row::artifact(row, 0)?.map(&mut show).map_err(|odd| self.damaged(odd)));
        if self.counts()?.n_succeeded <= jobs_max {
            self.each(&sql(""), (), shown)?;
            return Ok(true);
        }
        let mut last = 0;
        self.each("SELECT coalesce(max(row), 0) FROM jobs", (), |row| {
            last = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        let step = usize::try_from(last / jobs_max.max(1)).unwrap_or(usize::MAX).max(1);
        // Random start, so that each call reads another sample.
        let first = fastrand::usize(0..step) as u64 + 1;
        for row in (first..=last).step_by(step) {
            self.each(&sql("row = ?1 AND"), [row], &mut shown)?;
        }
        Ok(false)
    }

    /// Counts the jobs that were submitted, have not ended and are no longer in the manifest.
    pub fn n_left_behind(&self) -> Result<u64, LedgerError> {
        let pending = format::phase::PENDING;
        let sql = format!("SELECT count(*) FROM jobs WHERE {UNFINISHED} AND phase > {pending} AND position IS NULL");
        let mut n = 0;
        self.each(&sql, (), |row| {
            n = row.get(0)?;
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(n)
    }

    /// Prepares [the lookup of recorded names](Self::is_recorded), as of this moment. Uses a temporary table, which `SQLite`
    /// keeps in a separate file.
    pub fn gather_names(&self) -> Result<(), LedgerError> {
        let gathered = self.connection.execute_batch(include_str!("names.sql"));
        gathered.map_err(|error| self.error(error))
    }

    /// Returns whether an image of any job has this name, including jobs that left the manifest.
    pub fn is_recorded(&self, file_name: &str) -> Result<bool, LedgerError> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT 1 FROM temp.names WHERE file_name = ?1")?;
            statement.exists([file_name])
        };
        read().map_err(|error| self.error(error))
    }

    /// Returns the first `max` jobs that ended without an image, in manifest order.
    pub fn failures(&self, max: usize) -> Result<Vec<JobRecord>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE {WITHOUT_IMAGE} AND position IS NOT NULL ORDER BY position LIMIT ?1"
        );
        let mut failures = Vec::new();
        self.each(&sql, [i64::try_from(max).unwrap_or(i64::MAX)], |row| {
            Ok(row::known(row)?.map(|(_, known)| failures.push(known)).map_err(|odd| self.damaged(odd)))
        })?;
        Ok(failures)
    }

    /// Returns the events of a job, in order. The images of a success are not repeated here.
    pub fn events(&self, job: JobId) -> Result<Vec<(Timestamp, EventKind)>, LedgerError> {
        let sql = "SELECT seq, job, at, kind, detail, sum FROM events WHERE job = (SELECT row FROM jobs WHERE id = ?1) ORDER BY seq";
        let mut events = Vec::new();
        self.each(sql, [job.bytes()], |row| {
            if let Err(odd) = check_event(row) {
                return Ok(Err(self.damaged(odd)));
            }
            let (kind, detail): (String, Option<String>) = (row.get(3)?, row.get(4)?);
            match format::event_from(&kind, detail.as_deref()) {
                None => Ok(Err(self.damaged(format!("an event {kind:?} cannot be decoded")))),
                Some(kind) => {
                    events.push((Timestamp::from_millis(row.get(2)?), kind));
                    Ok(Ok(()))
                }
            }
        })?;
        Ok(events)
    }

    /// Returns the images of a job, in order.
    pub fn artifacts(&self, job: JobId) -> Result<Vec<Artifact>, LedgerError> {
        let sql = format!(
            "SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE job = (SELECT row FROM jobs WHERE id = ?1) ORDER BY n"
        );
        let mut artifacts = Vec::new();
        self.each(&sql, [job.bytes()], |row| {
            Ok(row::artifact(row, 0)?.map(|artifact| artifacts.push(artifact)).map_err(|odd| self.damaged(odd)))
        })?;
        Ok(artifacts)
    }

    /// Runs several related reads on one snapshot, whatever another process records meanwhile.
    pub fn at_once<T, E: From<LedgerError>>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let moment = self.connection.unchecked_transaction().map_err(|error| self.error(error))?;
        let read = read()?;
        moment.commit().map_err(|error| self.error(error))?;
        Ok(read)
    }

    /// Runs a query and passes each row to `show`; the inner error comes from `show`.
    pub(super) fn each<E: From<LedgerError>>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut show: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), E>>,
    ) -> Result<(), E> {
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if let Err(error) = show(row)? {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        read().map_err(|error| E::from(self.error(error)))?
    }
}
