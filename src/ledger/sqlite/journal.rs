//! The writing side of a run: events in, jobs out.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::ledger::sqlite::circle::Circle;
use crate::ledger::sqlite::row::{self, COLUMNS, UNFINISHED};
use crate::ledger::sqlite::totals::Totals;
use crate::ledger::{Loaded, format};
use crate::model::event::{Again, Event, EventKind};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Fault, Outcome};
use crate::model::phase::{JobState, Known, Phase};
use crate::model::time::Timestamp;

/// The order in which jobs are handed out: what is under way first, then what is pending.
const PHASES: [i64; 4] =
    [format::phase::SUBMITTING, format::phase::RUNNING, format::phase::DOWNLOADING, format::phase::PENDING];

/// How long a full disk is waited for, ten times over. An image that does not fit gives back what it took when it is given up, and
/// what the provider has answered meanwhile must not be lost over it.
const FULL_WAIT: Duration = Duration::from_millis(100);

/// How often.
const FULL_RETRIES_MAX: u32 = 10;

/// A run's file and the jobs of it that are in the driver's hands.
#[derive(Debug)]
pub struct Journal {
    file: RunFile,
    /// The jobs that were handed out and are not finished.
    open: BTreeMap<JobId, Open>,
    /// The phase (by its place in `PHASES`) and the position up to which jobs were handed out.
    cursor: (usize, i64),
    /// The order of pending jobs, where it is not the manifest's.
    circle: Option<Circle>,
    /// Whether only those jobs are handed out that were [chosen](RunFile::choose).
    is_chosen_only: bool,
}

/// A job that is under way: its row, and the state that its row holds.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) row: i64,
    pub(super) state: JobState,
}

impl Journal {
    /// A journal that has handed out nothing yet.
    pub fn new(file: RunFile) -> Result<Self, LedgerError> {
        let circle = file.circle()?;
        Ok(Self { file, open: BTreeMap::new(), cursor: (0, 0), circle, is_chosen_only: false })
    }

    /// A journal that hands out only the jobs that were [chosen](RunFile::choose).
    pub fn of_chosen(file: RunFile) -> Result<Self, LedgerError> {
        Ok(Self { is_chosen_only: true, ..Self::new(file)? })
    }

    /// The file.
    pub fn into_file(self) -> RunFile {
        self.file
    }

    /// Records these events and the states they lead to in one transaction.
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
        for (id, state) in self.file.written(result)? {
            if matches!(state.phase, Phase::Finished(_)) {
                self.open.remove(&id);
            } else if let Some(open) = self.open.get_mut(&id) {
                open.state = state;
            }
        }
        Ok(())
    }

    /// The next `max` jobs that were not handed out before.
    pub fn load(&mut self, max: usize) -> Result<Loaded, LedgerError> {
        let mut jobs = Vec::new();
        while jobs.len() < max && self.cursor.0 < PHASES.len() {
            let page = self.page(max - jobs.len())?;
            if page.is_empty() && !self.circle_now().is_some_and(Circle::go_around) {
                self.cursor = (self.cursor.0 + 1, 0);
            }
            for (row, mut known) in page {
                match self.circle_now() {
                    Some(circle) => circle.go_to(known.job.id.bytes()),
                    None => self.cursor.1 = i64::try_from(known.job.index).unwrap_or(i64::MAX),
                }
                // A job that was handed out has meanwhile come to this phase.
                if self.open.contains_key(&known.job.id) {
                    continue;
                }
                if known.state.n_reopened > 0 {
                    known.state.kept = self.file.artifacts(known.job.id)?;
                }
                self.open.insert(known.job.id, Open { row, state: known.state.clone() });
                jobs.push(known);
            }
        }
        Ok(Loaded { jobs, more: self.cursor.0 < PHASES.len() })
    }

    /// The circle, while it is pending jobs that are handed out.
    fn circle_now(&mut self) -> Option<&mut Circle> {
        let is_pending = PHASES.get(self.cursor.0) == Some(&format::phase::PENDING);
        self.circle.as_mut().filter(|_| is_pending)
    }

    fn page(&self, max: usize) -> Result<Vec<(i64, Known)>, LedgerError> {
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
        let rows: Option<Vec<_>> = rows.into_iter().collect();
        rows.ok_or_else(|| self.file.damaged("a job makes no sense"))
    }
}

fn is_full<T>(result: &rusqlite::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DiskFull))
}

/// The states that the events lead to, recorded with them.
pub(super) fn write(
    connection: &mut Connection,
    open: &BTreeMap<JobId, Open>,
    events: &[Event],
) -> rusqlite::Result<BTreeMap<JobId, JobState>> {
    let transaction = connection.transaction()?;
    let mut states = BTreeMap::new();
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO events (job, at, kind, detail) VALUES (?1, ?2, ?3, ?4)")?;
        for event in events {
            let Some(Open { row, state }) = open.get(&event.job) else { continue };
            states.entry(event.job).or_insert_with(|| state.clone()).apply(event.at, &event.kind);
            let (kind, detail) = format::event_columns(&event.kind);
            insert.execute(params![*row, event.at.millis(), kind, detail])?;
            let was_reopened = state.n_reopened > 0;
            match &event.kind {
                EventKind::Finished(Outcome::Succeeded(artifacts) | Outcome::Failed(Fault { kept: artifacts, .. })) => {
                    if was_reopened {
                        delete_artifacts(&transaction, *row)?;
                    }
                    write_artifacts(&transaction, *row, artifacts)?;
                }
                // What there is of a task stays until that is whole.
                EventKind::Reopened(Again::Fetch) if matches!(state.phase, Phase::Finished(Outcome::Failed(_))) => (),
                EventKind::Reopened(_) => delete_artifacts(&transaction, *row)?,
                // The images of another task are none of this one.
                EventKind::SubmitStarted if was_reopened => delete_artifacts(&transaction, *row)?,
                EventKind::SubmitStarted | EventKind::Accepted(_) | EventKind::Ready(_) | EventKind::Setback(..) => (),
            }
        }
        let mut change = Totals::default();
        for (id, state) in &states {
            let Open { row, state: before } = &open[id];
            write_state(&transaction, *row, state)?;
            write_links(&transaction, *row, &before.phase, &state.phase)?;
            change += Totals::of(state) - Totals::of(before);
        }
        change.write(&transaction)?;
    }
    transaction.commit()?;
    Ok(states)
}

fn write_state(connection: &Connection, row: i64, state: &JobState) -> rusqlite::Result<()> {
    let sql = "UPDATE jobs SET phase = ?2, task = ?3, n_submits = ?4, n_setbacks = ?5, n_lost = ?6, n_in_doubt = ?7, \
               submitted_at = ?8, finished_at = ?9, fault = ?10, n_forgiven = ?11, n_reopened = ?12 \
               WHERE row = ?1";
    connection.prepare_cached(sql)?.execute(params![
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
    Ok(())
}

/// Where the images are is kept as long as they are on their way.
fn write_links(connection: &Connection, row: i64, before: &Phase, after: &Phase) -> rusqlite::Result<()> {
    match (before, after) {
        (_, Phase::Downloading(urls)) => {
            let sql = "INSERT OR REPLACE INTO links (job, urls) VALUES (?1, ?2)";
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
    let sql = "INSERT OR REPLACE INTO artifacts (job, n, file_name, sha256, bytes, width, height, format) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut insert = connection.prepare_cached(sql)?;
    for (n, artifact) in (0_i64..).zip(artifacts) {
        let Artifact { file_name, sha256, bytes, width, height, format } = artifact;
        insert.execute(params![row, n, file_name, sha256, bytes, width, height, format.extension()])?;
    }
    Ok(())
}
