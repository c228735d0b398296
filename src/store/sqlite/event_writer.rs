//! Write path of a session: records events and hands out jobs.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::Duration;

use rusqlite::{ErrorCode, params};

use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::money::Money;
use crate::model::more::More;
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, Phase};
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::record::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS, UNFINISHED};
use crate::store::sqlite::shuffle::{self, ShuffledCursor};
use crate::store::sqlite::watermark::UNBOUNDED;
use crate::store::sqlite::{charges, owner, read, totals};
use crate::store::{JobScope, Loaded, TaskOwner, format};

/// Order in which jobs are handed out: jobs under way first, then pending jobs.
const PHASES: [i64; 4] =
    [format::phase::SUBMITTING, format::phase::RUNNING, format::phase::DOWNLOADING, format::phase::PENDING];

/// Pause between two attempts to commit to a full disk. An image that does not fit releases its space when it is given up.
/// Answers that the provider has sent meanwhile must not be lost.
const FULL_WAIT: Duration = Duration::from_millis(100);

const FULL_RETRIES_MAX: u32 = 10;

/// Database of a run, together with the jobs that the driver holds.
#[derive(Debug)]
pub(super) struct EventWriter {
    database: Database,
    /// Jobs that were handed out and are not finished.
    open: BTreeMap<JobId, OpenJob>,
    /// Phase (as an index into `PHASES`) and position up to which jobs were handed out.
    cursor: (usize, i64),
    /// Shuffled order of pending jobs; `None` for manifest order.
    shuffled: Option<ShuffledCursor>,
    scope: JobScope,
    /// Unfinished jobs of the manifest that are not handed out yet, by the totals. `None` if only selected jobs are handed out.
    n_left: Option<u64>,
    /// What the last submissions of jobs with a task cost, for jobs that are not handed out yet.
    charges: HashMap<i64, Money>,
}

impl EventWriter {
    /// Creates a writer that has handed out no job yet.
    pub(super) fn new(database: Database, scope: JobScope) -> Result<Self, LedgerError> {
        let shuffled = shuffle::cursor(&database)?;
        let n_left = match scope {
            JobScope::Unfinished => Some(totals::counts(&database)?.n_unfinished()),
            JobScope::Selected => None,
        };
        let charges = charges::of_tasks(&database)?;
        Ok(Self { database, open: BTreeMap::new(), cursor: (0, 0), shuffled, scope, n_left, charges })
    }

    pub(super) fn into_database(self) -> Database {
        self.database
    }

    /// Records these events and the resulting states in one transaction.
    pub(super) fn commit(&mut self, events: &[Event]) -> Result<(), LedgerError> {
        let unknown = events.iter().find(|event| !self.open.contains_key(&event.job));
        if let Some(event) = unknown {
            return Err(self.database.damaged(format!("job {} is not under way", event.job)));
        }
        let mut result = record::write(&mut self.database.connection, &self.open, events);
        for _ in 0..FULL_RETRIES_MAX {
            if !is_full(&result) {
                break;
            }
            thread::sleep(FULL_WAIT);
            result = record::write(&mut self.database.connection, &self.open, events);
        }
        let CommitResult { states, last, n_submits } = self.database.written(result)?;
        if let Some((seq, sum)) = last {
            self.database.advance(seq, sum, n_submits)?;
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
    pub(super) fn load(&mut self, max: usize) -> Result<Loaded, LedgerError> {
        let mut jobs = Vec::new();
        let mut reserved = 0;
        while jobs.len() < max && self.cursor.0 < PHASES.len() {
            let page = self.page(max - jobs.len())?;
            if page.is_empty() && !self.shuffled_now().is_some_and(ShuffledCursor::wrap_around) {
                self.cursor = (self.cursor.0 + 1, 0);
            }
            for (row, mut known) in page {
                known.state.charge = self.charges.remove(&row);
                match self.shuffled_now() {
                    Some(shuffled) => shuffled.go_to(known.job.id.bytes()),
                    None => self.cursor.1 = i64::try_from(known.job.index).unwrap_or(i64::MAX),
                }
                // Skips a job that was handed out earlier and has reached this phase meanwhile.
                if self.open.contains_key(&known.job.id) {
                    continue;
                }
                if known.state.phase == Phase::Pending {
                    reserved = reserved.max(if self.shuffled.is_some() { UNBOUNDED } else { known.job.index });
                }
                if known.state.n_reopened > 0 {
                    known.state.kept = read::artifacts(&self.database, known.job.id)?;
                }
                self.open.insert(known.job.id, OpenJob { row, state: known.state.clone() });
                self.n_left = self.n_left.map(|n| n.saturating_sub(1));
                jobs.push(known);
            }
        }
        let has_more = self.cursor.0 < PHASES.len();
        if let (false, Some(n @ 1..)) = (has_more, self.n_left) {
            let what =
                format!("its totals count {n} more unfinished jobs than it holds; `promptbatch verify` shows where");
            return Err(self.database.damaged(what));
        }
        // Raises the watermark before a job can be submitted.
        self.database.reserve(reserved)?;
        Ok(Loaded { jobs, more: More::now_if(has_more) })
    }

    pub(super) fn owner(&self, task: &TaskId) -> Result<Option<TaskOwner>, LedgerError> {
        owner::owner(&self.database, task)
    }

    /// Returns the shuffled order while pending jobs are handed out.
    fn shuffled_now(&mut self) -> Option<&mut ShuffledCursor> {
        let is_pending = PHASES.get(self.cursor.0) == Some(&format::phase::PENDING);
        self.shuffled.as_mut().filter(|_| is_pending)
    }

    fn page(&self, max: usize) -> Result<Vec<(i64, JobRecord)>, LedgerError> {
        let (phase, position) = (PHASES[self.cursor.0], self.cursor.1);
        let selected = match self.scope {
            JobScope::Unfinished => "",
            JobScope::Selected => "AND row IN (SELECT row FROM selected)",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE {UNFINISHED} AND phase = {phase} AND position > ?1 {selected} ORDER BY position LIMIT ?2"
        );
        let shuffled = self.shuffled.as_ref().filter(|_| phase == format::phase::PENDING);
        let read = || {
            if let Some(shuffled) = shuffled {
                return shuffled.page(&self.database, selected, max, row::known);
            }
            let mut statement = self.database.connection.prepare_cached(&sql)?;
            let max = i64::try_from(max).unwrap_or(i64::MAX);
            statement.query_map(params![position, max], row::known)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|error| self.database.error(error))?;
        rows.into_iter().collect::<Result<_, _>>().map_err(|odd| self.database.damaged(odd))
    }
}

fn is_full<T>(result: &rusqlite::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DiskFull))
}
