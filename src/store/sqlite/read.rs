//! Read access to a ledger outside a run: jobs in manifest order, failures, and the events of a job.

use std::ops::ControlFlow;

use rusqlite::Row;

use crate::model::counts::StatusCounts;
use crate::model::event::EventKind;
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Outcome};
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::setting::Setting;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::events::check_event;
use crate::store::sqlite::row::{self, ARTIFACT_COLUMNS, COLUMNS, N_COLUMNS, UNFINISHED, WITHOUT_IMAGE};
use crate::store::sqlite::totals;
use crate::store::{JobSet, RowProvider, format};

/// Returns the mean size of the last thousand images, in bytes; `None` without images.
pub(super) fn image_bytes_mean(database: &Database) -> Result<Option<u64>, LedgerError> {
    let mut mean = None;
    let sql = "SELECT CAST(avg(bytes) AS INTEGER) FROM (SELECT bytes FROM artifacts ORDER BY job DESC LIMIT 1000)";
    database.each(sql, (), |row| {
        mean = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(mean)
}

/// Returns a revision that changes whenever anything happens to the run: its last event and its manifest.
pub(super) fn revision(database: &Database) -> Result<String, LedgerError> {
    let mut last: i64 = 0;
    database.each("SELECT coalesce(max(seq), 0) FROM events", (), |row| {
        last = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(format!("{last} {}", database.meta(Setting::ManifestFingerprint.key())?.unwrap_or_default()))
}

/// Returns an identity of this run that is independent of its folder: its first event. Empty before that event.
pub(super) fn origin(database: &Database) -> Result<String, LedgerError> {
    let mut origin = String::new();
    let sql = "SELECT lower(hex(id)), at FROM events JOIN jobs ON jobs.row = job ORDER BY seq LIMIT 1";
    database.each(sql, (), |row| {
        origin = format!("{} {}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?);
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(origin)
}

/// Adds `n` jobs of this phase to the counts.
pub(super) fn count(database: &Database, counts: &mut StatusCounts, phase: i64, n: u64) -> Result<(), LedgerError> {
    let counted = match phase {
        format::phase::PENDING => &mut counts.n_pending,
        format::phase::SUBMITTING => &mut counts.n_in_doubt,
        format::phase::RUNNING | format::phase::DOWNLOADING => &mut counts.n_running,
        format::phase::SUCCEEDED => &mut counts.n_succeeded,
        format::phase::MODERATED => &mut counts.n_moderated,
        format::phase::FAILED => &mut counts.n_failed,
        other => return Err(database.damaged(format!("a job has the unknown phase {other}"))),
    };
    *counted += n;
    Ok(())
}

/// Passes every job of a set to `show`, one at a time, with its images.
pub(super) fn visit_jobs(
    database: &Database,
    jobs: JobSet,
    show: &mut dyn FnMut(JobRecord) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    let which = match jobs {
        JobSet::InManifest => "position IS NOT NULL ORDER BY position, n",
        JobSet::Dropped => "position IS NULL ORDER BY row, n",
    };
    let sql = format!("SELECT {COLUMNS}, {ARTIFACT_COLUMNS} FROM jobs LEFT JOIN artifacts ON job = row WHERE {which}");
    // Images of a job are consecutive rows.
    let mut current: Option<JobRecord> = None;
    let visited = database.each(&sql, (), |row| {
        let mut record = match row::known(row)? {
            Ok((_, record)) => record,
            Err(odd) => return Ok(Err(VisitEnd::Error(database.damaged(odd)))),
        };
        let artifact = match row.get_ref(N_COLUMNS)? {
            rusqlite::types::ValueRef::Null => None,
            _ => match row::artifact(row, N_COLUMNS)? {
                Ok(artifact) => Some(artifact),
                Err(odd) => return Ok(Err(VisitEnd::Error(database.damaged(odd)))),
            },
        };
        if let Some(done) = current.take() {
            if done.job.id == record.job.id {
                record = done;
            } else if show(done).is_break() {
                return Ok(Err(VisitEnd::Break));
            }
        }
        match (&mut record.state.phase, artifact) {
            (Phase::Finished(Outcome::Succeeded(artifacts)), Some(artifact)) => artifacts.push(artifact),
            (Phase::Finished(Outcome::Failed(fault)), Some(artifact)) => fault.kept.push(artifact),
            (Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_), Some(_)) | (_, None) => (),
        }
        current = Some(record);
        Ok(Ok(()))
    });
    match visited {
        Ok(()) => {
            // The last job: whether the visit goes on no longer matters.
            let _ = current.map(show);
            Ok(())
        }
        Err(VisitEnd::Break) => Ok(()),
        Err(VisitEnd::Error(error)) => Err(error),
    }
}

/// Reason why a visit ended early.
enum VisitEnd {
    Break,
    Error(LedgerError),
}

impl From<LedgerError> for VisitEnd {
    fn from(error: LedgerError) -> Self {
        Self::Error(error)
    }
}

/// Passes images of the present manifest to `show`: all, or those of an evenly spaced sample of about `jobs_max` jobs.
/// Returns whether it was all.
pub(super) fn visit_images(
    database: &Database,
    jobs_max: u64,
    show: &mut dyn FnMut(Artifact),
) -> Result<bool, LedgerError> {
    let sql = |which| {
        format!(
            "SELECT {ARTIFACT_COLUMNS} FROM jobs CROSS JOIN artifacts ON job = row \
             WHERE {which} phase = 4 AND position IS NOT NULL"
        )
    };
    let mut shown = |row: &Row<'_>| Ok(row::artifact(row, 0)?.map(&mut *show).map_err(|odd| database.damaged(odd)));
    if totals::counts(database)?.n_succeeded <= jobs_max {
        database.each(&sql(""), (), &mut shown)?;
        return Ok(true);
    }
    let mut last = 0;
    database.each("SELECT coalesce(max(row), 0) FROM jobs", (), |row| {
        last = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    let step = usize::try_from(last / jobs_max.max(1)).unwrap_or(usize::MAX).max(1);
    // Random start, so that each call reads another sample.
    let first = fastrand::usize(0..step) as u64 + 1;
    for row in (first..=last).step_by(step) {
        database.each(&sql("row = ?1 AND"), [row], &mut shown)?;
    }
    Ok(false)
}

/// Counts the jobs that were submitted, have not ended and are no longer in the manifest.
pub(super) fn n_orphaned(database: &Database) -> Result<u64, LedgerError> {
    let pending = format::phase::PENDING;
    let sql = format!("SELECT count(*) FROM jobs WHERE {UNFINISHED} AND phase > {pending} AND position IS NULL");
    let mut n = 0;
    database.each(&sql, (), |row| {
        n = row.get(0)?;
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(n)
}

/// Prepares [the lookup of recorded names](is_recorded), as of this moment. Uses a temporary table, which `SQLite`
/// keeps in a separate file.
pub(super) fn prepare_names(database: &Database) -> Result<(), LedgerError> {
    let gathered = database.connection.execute_batch(include_str!("names.sql"));
    gathered.map_err(|error| database.error(error))
}

/// Returns whether an image of any job has this name, including jobs that left the manifest.
pub(super) fn is_recorded(database: &Database, file_name: &str) -> Result<bool, LedgerError> {
    let read = || {
        let mut statement = database.connection.prepare_cached("SELECT 1 FROM temp.names WHERE file_name = ?1")?;
        statement.exists([file_name])
    };
    read().map_err(|error| database.error(error))
}

/// Returns the first `max` jobs that ended without an image, in manifest order.
pub(super) fn failures(database: &Database, max: usize) -> Result<Vec<JobRecord>, LedgerError> {
    let sql =
        format!("SELECT {COLUMNS} FROM jobs WHERE {WITHOUT_IMAGE} AND position IS NOT NULL ORDER BY position LIMIT ?1");
    let mut failures = Vec::new();
    database.each(&sql, [i64::try_from(max).unwrap_or(i64::MAX)], |row| {
        Ok(row::known(row)?.map(|(_, known)| failures.push(known)).map_err(|odd| database.damaged(odd)))
    })?;
    Ok(failures)
}

/// Returns the events of a job, in order. The images of a success are not repeated here.
pub(super) fn events(database: &Database, job: JobId) -> Result<Vec<(Timestamp, EventKind)>, LedgerError> {
    let sql = "SELECT seq, job, at, kind, detail, sum FROM events WHERE job = (SELECT row FROM jobs WHERE id = ?1) ORDER BY seq";
    let mut events = Vec::new();
    database.each(sql, [job.bytes()], |row| {
        if let Err(odd) = check_event(row) {
            return Ok(Err(database.damaged(odd)));
        }
        let (kind, detail): (String, Option<String>) = (row.get(3)?, row.get(4)?);
        match format::event_from(&kind, detail.as_deref()) {
            None => Ok(Err(database.damaged(format!("an event {kind:?} cannot be decoded")))),
            Some(kind) => {
                events.push((Timestamp::from_millis(row.get(2)?), kind));
                Ok(Ok(()))
            }
        }
    })?;
    Ok(events)
}

/// Returns the images of a job, in order.
pub(super) fn artifacts(database: &Database, job: JobId) -> Result<Vec<Artifact>, LedgerError> {
    let sql =
        format!("SELECT {ARTIFACT_COLUMNS} FROM artifacts WHERE job = (SELECT row FROM jobs WHERE id = ?1) ORDER BY n");
    let mut artifacts = Vec::new();
    database.each(&sql, [job.bytes()], |row| {
        Ok(row::artifact(row, 0)?.map(|artifact| artifacts.push(artifact)).map_err(|odd| database.damaged(odd)))
    })?;
    Ok(artifacts)
}

/// Returns the providers that rows of unfinished jobs name, in the order of their first jobs.
pub(super) fn row_providers(database: &Database) -> Result<Vec<RowProvider>, LedgerError> {
    let mut found = Vec::new();
    let sql = format!(
        "SELECT request ->> 'provider' AS provider, min(position), max(n_submits) FROM jobs \
         WHERE {UNFINISHED} AND position IS NOT NULL AND provider IS NOT NULL GROUP BY 1 ORDER BY 2"
    );
    database.each(&sql, (), |row| {
        found.push(RowProvider { text: row.get(0)?, first: row.get(1)?, has_begun: row.get::<_, u32>(2)? > 0 });
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(found)
}
