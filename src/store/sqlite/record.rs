//! Records of events and of the states that follow from them, in one transaction.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::model::event::{Event, EventKind, Redo, ReopenTarget, Restored};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Fault, Outcome};
use crate::model::phase::{JobState, Phase};
use crate::model::request::Request;
use crate::model::time::Timestamp;
use crate::store::format;
use crate::store::sqlite::database::expect_one;
use crate::store::sqlite::events::last_seq;
use crate::store::sqlite::task_key::task_key;
use crate::store::sqlite::totals;
use crate::store::sqlite::{charges, checksum};
use crate::store::totals::Totals;

/// Job under way: its row number, and the state stored in that row.
#[derive(Debug)]
pub(super) struct OpenJob {
    pub row: i64,
    pub state: JobState,
}

/// Result of one commit.
#[derive(Debug)]
pub(super) struct CommitResult {
    /// States after the events.
    pub states: BTreeMap<JobId, JobState>,
    /// Number and checksum of the last event; `None` if no event was written.
    pub last: Option<(i64, i64)>,
    /// Submissions that the events started.
    pub n_submits: u64,
}

/// Records events and the resulting states in a new transaction.
pub(super) fn write(
    connection: &mut Connection,
    open: &BTreeMap<JobId, OpenJob>,
    events: &[Event],
) -> rusqlite::Result<CommitResult> {
    let transaction = connection.transaction()?;
    let written = write_in(&transaction, open, events)?;
    transaction.commit()?;
    Ok(written)
}

/// Records events and the resulting states in the transaction that is already open.
pub(super) fn write_in(
    connection: &Connection,
    open: &BTreeMap<JobId, OpenJob>,
    events: &[Event],
) -> rusqlite::Result<CommitResult> {
    let mut written = CommitResult { states: BTreeMap::new(), last: None, n_submits: 0 };
    let sql = "INSERT INTO events (seq, job, at, kind, detail, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = connection.prepare_cached(sql)?;
    let mut own = connection.prepare_cached("INSERT INTO tasks (key, event) VALUES (?1, ?2)")?;
    for (seq, event) in (last_seq(connection)? + 1..).zip(events.iter().filter(|event| open.contains_key(&event.job))) {
        let OpenJob { row, state } = &open[&event.job];
        written.states.entry(event.job).or_insert_with(|| state.clone()).apply(event.at, &event.kind);
        let (kind, detail) = format::event_columns(&event.kind);
        let text = detail.as_deref().map_or(ValueRef::Null, ValueRef::from);
        let (job, at) = (ValueRef::Integer(*row), ValueRef::Integer(event.at.millis()));
        let sum = checksum::of_row("event", [ValueRef::Integer(seq), job, at, kind.into(), text]);
        insert.execute(params![seq, *row, event.at.millis(), kind, detail, sum])?;
        written.last = Some((seq, sum));
        match &event.kind {
            EventKind::SubmitStarted => written.n_submits += 1,
            EventKind::Accepted(task) => drop(own.execute(params![task_key(&task.0), seq])?),
            EventKind::Charged(_) => charges::note(connection)?,
            EventKind::Redone(Redo { seed: seed @ Some(_), .. }) | EventKind::Restored(Restored { seed, .. }) => {
                write_seed(connection, *row, *seed)?;
            }
            EventKind::Redone(_)
            | EventKind::Finished(_)
            | EventKind::Reopened(_)
            | EventKind::Ready(_)
            | EventKind::Setback(..) => (),
        }
        write_images_of(connection, *row, state, &event.kind)?;
    }
    let mut change = Totals::default();
    for (id, state) in &written.states {
        let OpenJob { row, state: before } = &open[id];
        write_state(connection, *row, state)?;
        write_links(connection, *row, &before.phase, &state.phase)?;
        change += Totals::of(state) - Totals::of(before);
    }
    totals::write(change, connection)?;
    Ok(written)
}

/// Writes or deletes the recorded images of a job, as an event requires. `before` is the job's state before the commit.
fn write_images_of(connection: &Connection, row: i64, before: &JobState, kind: &EventKind) -> rusqlite::Result<()> {
    let was_reopened = before.n_reopened > 0;
    match kind {
        EventKind::Finished(Outcome::Succeeded(artifacts) | Outcome::Failed(Fault { kept: artifacts, .. })) => {
            if was_reopened {
                delete_artifacts(connection, row)?;
            }
            write_artifacts(connection, row, artifacts)
        }
        // Images of an incomplete task stay until the task is complete.
        EventKind::Reopened(ReopenTarget::Fetch) if matches!(before.phase, Phase::Finished(Outcome::Failed(_))) => {
            Ok(())
        }
        EventKind::Reopened(_) | EventKind::Redone(_) => delete_artifacts(connection, row),
        EventKind::Restored(restored) => {
            delete_artifacts(connection, row)?;
            let images: Vec<_> = restored.images.iter().map(|image| image.artifact.clone()).collect();
            write_artifacts(connection, row, &images)
        }
        // Images of an earlier task do not belong to the next one.
        EventKind::SubmitStarted if was_reopened => delete_artifacts(connection, row),
        EventKind::SubmitStarted
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Setback(..) => Ok(()),
    }
}

/// Replaces the seed of a job's request. The id stays, as it is that of the manifest's row.
fn write_seed(connection: &Connection, row: i64, seed: Option<u64>) -> rusqlite::Result<()> {
    let text: String =
        connection.prepare_cached("SELECT request FROM jobs WHERE row = ?1")?.query_row([row], |row| row.get(0))?;
    // A request that cannot be decoded is refused, as is one that does not match its checksum.
    let request = format::request_from(&text).ok_or(rusqlite::Error::InvalidQuery)?;
    if request.seed == seed {
        return Ok(());
    }
    let sql = "UPDATE jobs SET request = ?2, job_sum = row_sum('job', row, id, position, label, ?2, extras) \
               WHERE row = ?1 AND job_sum IS row_sum('job', row, id, position, label, request, extras)";
    let changed = format::request_text(&Request { seed, ..request });
    expect_one(connection.prepare_cached(sql)?.execute(params![row, changed])?)
}

fn write_state(connection: &Connection, row: i64, state: &JobState) -> rusqlite::Result<()> {
    let sql = "UPDATE jobs SET phase = ?2, task = ?3, n_submits = ?4, n_setbacks = ?5, n_lost = ?6, n_in_doubt = ?7, \
               submitted_at = ?8, finished_at = ?9, fault = ?10, n_forgiven = ?11, n_reopened = ?12, \
               state_sum = row_sum('state', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) WHERE row = ?1";
    let n_changed = connection.prepare_cached(sql)?.execute(params![
        row,
        format::phase_number(&state.phase),
        state.task.as_ref().map(|task| &task.0),
        state.n_submits,
        state.n_setbacks,
        state.n_lost,
        state.n_in_doubt,
        state.submitted_at.map(Timestamp::millis),
        state.finished_at.map(Timestamp::millis),
        state.last_fault.as_ref().map(format::fault_text),
        state.n_lost_before_reopen,
        state.n_reopened,
    ])?;
    expect_one(n_changed)
}

/// Stores the image links only while the images are being downloaded.
fn write_links(connection: &Connection, row: i64, before: &Phase, after: &Phase) -> rusqlite::Result<()> {
    match (before, after) {
        (_, Phase::Downloading(urls)) => {
            let sql = "INSERT OR REPLACE INTO links (job, urls, sum) VALUES (?1, ?2, row_sum('links', ?1, ?2))";
            connection.prepare_cached(sql)?.execute(params![row, format::urls_text(urls)])?;
        }
        (Phase::Downloading(_), _) => {
            connection.prepare_cached("DELETE FROM links WHERE job = ?1")?.execute([row])?;
        }
        (Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Finished(_), _) => (),
    }
    Ok(())
}

fn delete_artifacts(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM artifacts WHERE job = ?1")?.execute([row]).map(drop)
}

fn write_artifacts(connection: &Connection, row: i64, artifacts: &[Artifact]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO artifacts (job, n, file_name, sha256, bytes, width, height, format, sum) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, row_sum('artifact', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8))";
    let mut insert = connection.prepare_cached(sql)?;
    for (n, artifact) in (0_i64..).zip(artifacts) {
        let Artifact { file_name, sha256, bytes, width, height, format } = artifact;
        insert.execute(params![row, n, file_name, sha256, bytes, width, height, format.extension()])?;
    }
    Ok(())
}
