//! Write path of a run: records events and hands out jobs.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, params};

use crate::model::event::{Event, EventKind, ReopenTarget};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Fault, Outcome, TaskId};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::older_ledger::last_seq;
use crate::store::sqlite::row::{self, COLUMNS, UNFINISHED};
use crate::store::sqlite::shuffle::ShuffledCursor;
use crate::store::sqlite::totals::Totals;
use crate::store::sqlite::watermark::UNBOUNDED;
use crate::store::sqlite::{SqliteStore, checksum, owner};
use crate::store::{Loaded, TaskOwner, format};

/// Order in which jobs are handed out: jobs under way first, then pending jobs.
const PHASES: [i64; 4] =
    [format::phase::SUBMITTING, format::phase::RUNNING, format::phase::DOWNLOADING, format::phase::PENDING];

/// Pause between two attempts to commit to a full disk. An image that does not fit releases its space when it is given up.
/// Answers that the provider has sent meanwhile must not be lost.
const FULL_WAIT: Duration = Duration::from_millis(100);

const FULL_RETRIES_MAX: u32 = 10;

/// Run file, together with the jobs that the driver holds.
#[derive(Debug)]
pub struct EventWriter {
    file: SqliteStore,
    /// Jobs that were handed out and are not finished.
    open: BTreeMap<JobId, OpenJob>,
    /// Phase (as an index into `PHASES`) and position up to which jobs were handed out.
    cursor: (usize, i64),
    /// Shuffled order of pending jobs; `None` for manifest order.
    circle: Option<ShuffledCursor>,
    /// Restricts the journal to the jobs that were [selected](SqliteStore::choose).
    is_chosen_only: bool,
    /// Unfinished jobs of the manifest that are not handed out yet, by the totals. `None` for a journal of selected jobs.
    n_left: Option<u64>,
}

/// Job under way: its row number, and the state stored in that row.
#[derive(Debug)]
pub(super) struct OpenJob {
    pub(super) row: i64,
    pub(super) state: JobState,
}

impl EventWriter {
    /// Creates a journal that has handed out no job yet.
    pub fn new(file: SqliteStore) -> Result<Self, LedgerError> {
        let circle = file.circle()?;
        let n_left = Some(file.counts()?.n_unfinished());
        Ok(Self { file, open: BTreeMap::new(), cursor: (0, 0), circle, is_chosen_only: false, n_left })
    }

    /// Creates a journal that hands out only the jobs that were [selected](SqliteStore::choose).
    pub fn of_chosen(file: SqliteStore) -> Result<Self, LedgerError> {
        Ok(Self { is_chosen_only: true, n_left: None, ..Self::new(file)? })
    }

    pub fn into_file(self) -> SqliteStore {
        self.file
    }

    /// Records these events and the resulting states in one transaction.
    pub fn commit(&mut self, events: &[Event]) -> Result<(), LedgerError> {
        let unknown = events.iter().find(|event| !self.open.contains_key(&event.job));
        if let Some(event) = unknown {
            return Err(self.file.damaged(format!("job {} is not under way", event.job)));
        }
        let mut result = write(&mut self.file.connection, &self.open, events);
        for _ in 0..FULL_RETRIES_MAX {
            if !is_full(&result) {
                break;
            }
            thread::sleep(FULL_WAIT);
            result = write(&mut self.file.connection, &self.open, events);
        }
        let CommitResult { states, last, n_submits } = self.file.written(result)?;
        if let Some((seq, sum)) = last {
            self.file.advance(seq, sum, n_submits)?;
        }
        for (id, state) in states {
            if matches!(state.phase, Phase::Finished(_)) {
                self.open.remove(&id);
            } else if let Some(open) = self.open.get_mut(&id) {
                open.state = state;
            }
        }
        Ok(())
    }

    /// Returns the next `max` jobs that were not handed out before.
    pub fn load(&mut self, max: usize) -> Result<Loaded, LedgerError> {
        let mut jobs = Vec::new();
        let mut reserved = 0;
        while jobs.len() < max && self.cursor.0 < PHASES.len() {
            let page = self.page(max - jobs.len())?;
            if page.is_empty() && !self.circle_now().is_some_and(ShuffledCursor::go_around) {
                self.cursor = (self.cursor.0 + 1, 0);
            }
            for (row, mut known) in page {
                match self.circle_now() {
                    Some(circle) => circle.go_to(known.job.id.bytes()),
                    None => self.cursor.1 = i64::try_from(known.job.index).unwrap_or(i64::MAX),
                }
                // Skips a job that was handed out earlier and has reached this phase meanwhile.
                if self.open.contains_key(&known.job.id) {
                    continue;
                }
                if known.state.phase == Phase::Pending {
                    reserved = reserved.max(if self.circle.is_some() { UNBOUNDED } else { known.job.index });
                }
                if known.state.n_reopened > 0 {
                    known.state.kept = self.file.artifacts(known.job.id)?;
                }
                self.open.insert(known.job.id, OpenJob { row, state: known.state.clone() });
                self.n_left = self.n_left.map(|n| n.saturating_sub(1));
                jobs.push(known);
            }
        }
        let more = self.cursor.0 < PHASES.len();
        if let (false, Some(n @ 1..)) = (more, self.n_left) {
            let what =
                format!("its totals count {n} more unfinished jobs than it holds; `promptbatch verify` shows where");
            return Err(self.file.damaged(what));
        }
        // Raises the watermark before a job can be submitted.
        self.file.reserve(reserved)?;
        Ok(Loaded { jobs, more })
    }

    pub fn owner(&self, task: &TaskId) -> Result<Option<TaskOwner>, LedgerError> {
        self.file.owner(task)
    }

    /// Returns the shuffled order while pending jobs are handed out.
    fn circle_now(&mut self) -> Option<&mut ShuffledCursor> {
        let is_pending = PHASES.get(self.cursor.0) == Some(&format::phase::PENDING);
        self.circle.as_mut().filter(|_| is_pending)
    }

    fn page(&self, max: usize) -> Result<Vec<(i64, JobRecord)>, LedgerError> {
        let (phase, position) = (PHASES[self.cursor.0], self.cursor.1);
        let chosen = if self.is_chosen_only { "AND row IN (SELECT row FROM chosen)" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE {UNFINISHED} AND phase = {phase} AND position > ?1 {chosen} ORDER BY position LIMIT ?2"
        );
        let circle = self.circle.as_ref().filter(|_| phase == format::phase::PENDING);
        let read = || {
            if let Some(circle) = circle {
                return circle.page(&self.file, chosen, max, row::known);
            }
            let mut statement = self.file.connection.prepare_cached(&sql)?;
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            statement.query_map(params![position, max], row::known)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| self.file.error(error))?;
        rows.into_iter().collect::<Result<_, _>>().map_err(|odd| self.file.damaged(odd))
    }
}

fn is_full<T>(result: &rusqlite::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DiskFull))
}

/// Result of one commit.
#[derive(Debug)]
pub(super) struct CommitResult {
    /// States after the events.
    pub(super) states: BTreeMap<JobId, JobState>,
    /// Number and checksum of the last event; `None` if no event was written.
    pub(super) last: Option<(i64, i64)>,
    /// Submissions that the events started.
    pub(super) n_submits: u64,
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
            EventKind::Accepted(task) => drop(own.execute(params![owner::key(&task.0), seq])?),
            EventKind::Finished(_) | EventKind::Reopened(_) | EventKind::Ready(_) | EventKind::Setback(..) => (),
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
    change.write(connection)?;
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
        EventKind::Reopened(_) => delete_artifacts(connection, row),
        // Images of an earlier task do not belong to the next one.
        EventKind::SubmitStarted if was_reopened => delete_artifacts(connection, row),
        EventKind::SubmitStarted | EventKind::Accepted(_) | EventKind::Ready(_) | EventKind::Setback(..) => Ok(()),
    }
}

/// Fails unless exactly one row was changed. Any other number means that an index or a key is damaged.
pub(super) fn one(n_changed: usize) -> rusqlite::Result<()> {
    if n_changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(n_changed)) }
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
        state.n_forgiven,
        state.n_reopened,
    ])?;
    one(n_changed)
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
