//! Reopening of finished jobs: selects them, and records that before any action follows.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::model::event::{Event, EventKind, ReopenTarget, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::format::phase::{DOWNLOADING, FAILED, MODERATED, RUNNING, SUBMITTING, SUCCEEDED};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::journal::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS, UNFINISHED};

/// Reopened job whose task turned out to be lost: `run` makes its next submission.
const IS_LEFT: &str = "phase = 0 AND n_lost + n_in_doubt > n_forgiven";

/// Job held in doubt.
const IS_HELD: &str = "phase = 1 AND fault IS NOT NULL AND fault ->> 0 IN ('in_doubt', 'rejected')";

/// Job held with a task that seems lost; another payment for it needs the user's request.
const IS_HELD_LOST: &str = "phase = 2 AND fault IS NOT NULL AND fault ->> 0 = 'task_lost'";

/// Jobs reopened in one transaction.
const PAGE_ROWS_MAX: usize = 1000;

/// Selection of the jobs to reopen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetrySelection {
    /// Jobs of the present manifest that failed for one of these reasons (codes of [`FaultKind::code`]). Includes jobs that an
    /// earlier call reopened and that are not finished. With the code `in_doubt`, includes jobs held in doubt.
    Failed {
        /// Codes of the reasons.
        codes: Vec<String>,
        /// Forces a new submission even if a task may still give the image that is paid for.
        is_anew: bool,
    },
    /// Jobs with these ids.
    Jobs(Vec<JobId>),
}

impl SqliteStore {
    /// Selects jobs for [a journal of only these](super::SqliteLedger::start_chosen), and returns their number.
    pub fn choose(&self, wanted: &RetrySelection) -> Result<u64, LedgerError> {
        let chosen = || {
            self.choose_rows(wanted)?;
            self.connection.query_row("SELECT count(*) FROM chosen", (), |row| row.get(0))
        };
        chosen().map_err(|error| self.error(error))
    }

    /// Selects jobs, reopens those that have ended, and returns the number of selected jobs.
    pub fn reopen(&mut self, at: Timestamp, wanted: &RetrySelection) -> Result<u64, LedgerError> {
        let n_chosen = self.choose(wanted)?;
        self.reopen_chosen(at, wanted)?;
        Ok(n_chosen)
    }

    /// Keeps only the first `max` of the selected jobs: jobs under way first, then the others, both in manifest order. Returns
    /// the number of jobs kept.
    pub fn narrow(&self, max: u64) -> Result<u64, LedgerError> {
        let narrow = || {
            let sql = format!(
                "DELETE FROM chosen WHERE row NOT IN (SELECT jobs.row FROM jobs JOIN chosen ON jobs.row = chosen.row \
                 ORDER BY NOT ({UNFINISHED}), position LIMIT ?1)"
            );
            self.connection.execute(&sql, [i64::try_from(max).unwrap_or(i64::MAX)])?;
            self.connection.query_row("SELECT count(*) FROM chosen", (), |row| row.get(0))
        };
        narrow().map_err(|error| self.error(error))
    }

    /// Reopens the selected jobs that have ended.
    pub fn reopen_chosen(&mut self, at: Timestamp, wanted: &RetrySelection) -> Result<(), LedgerError> {
        let is_doubt_wanted = matches!(wanted, RetrySelection::Failed { codes, .. } if codes.iter().any(|code| code == FaultKind::InDoubt.code()));
        let is_anew = matches!(wanted, RetrySelection::Failed { is_anew: true, .. });
        let mut after = 0;
        loop {
            let page = self.ended(after, is_doubt_wanted)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let events: Vec<Event> = page.iter().flat_map(|(_, known)| reopening(at, known, is_anew)).collect();
            let open: BTreeMap<JobId, OpenJob> =
                page.into_iter().map(|(row, JobRecord { job, state })| (job.id, OpenJob { row, state })).collect();
            let written = journal::write(&mut self.connection, &open, &events);
            let CommitResult { last, n_submits, states: _ } = self.written(written)?;
            if let Some((seq, sum)) = last {
                self.advance(seq, sum, n_submits)?;
            }
        }
        Ok(())
    }

    /// Returns the jobs whose images are to be fetched again and are not complete yet.
    pub fn being_fetched_again(&self) -> Result<Vec<JobId>, LedgerError> {
        let sql = format!(
            "SELECT id FROM jobs WHERE {UNFINISHED} AND phase IN ({RUNNING}, {DOWNLOADING}) AND n_reopened > 0 AND position IS NOT NULL \
             ORDER BY position"
        );
        let read = || {
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map((), |row| row.get(0).map(JobId::from_bytes))?.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| self.error(error))
    }

    fn choose_rows(&self, wanted: &RetrySelection) -> rusqlite::Result<()> {
        self.connection
            .execute_batch("CREATE TEMP TABLE IF NOT EXISTS chosen (row INTEGER PRIMARY KEY); DELETE FROM chosen;")?;
        match wanted {
            RetrySelection::Failed { codes, .. } => {
                let codes = serde_json::json!(codes).to_string();
                let sql = format!(
                    "INSERT INTO chosen SELECT row FROM jobs WHERE position IS NOT NULL AND ( \
                     (phase IN ({MODERATED}, {FAILED}) AND fault ->> 0 IN (SELECT value FROM json_each(?1))) \
                     OR (phase = {SUBMITTING} AND 'in_doubt' IN (SELECT value FROM json_each(?1))) \
                     OR ({IS_HELD_LOST} AND 'task_lost' IN (SELECT value FROM json_each(?1))) \
                     OR (phase <= {DOWNLOADING} AND n_reopened > 0 AND NOT ({IS_LEFT}) AND NOT ({IS_HELD})))"
                );
                self.connection.execute(&sql, [codes])?;
            }
            RetrySelection::Jobs(ids) => {
                let mut insert = self.connection.prepare(
                    "INSERT OR IGNORE INTO chosen SELECT row FROM jobs WHERE id = ?1 AND position IS NOT NULL",
                )?;
                for id in ids {
                    insert.execute([id.bytes()])?;
                }
            }
        }
        Ok(())
    }

    /// Returns the next selected jobs that have ended, or that are held in doubt if `is_doubt_wanted` is set.
    fn ended(&self, after: i64, is_doubt_wanted: bool) -> Result<Vec<(i64, JobRecord)>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE row > ?1 AND row IN (SELECT row FROM chosen) \
             AND (phase IN ({SUCCEEDED}, {MODERATED}, {FAILED}) OR (?2 AND phase = {SUBMITTING}) OR ({IS_HELD_LOST})) ORDER BY row LIMIT ?3"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![after, is_doubt_wanted, PAGE_ROWS_MAX], row::known)?;
            rows.collect::<rusqlite::Result<Result<Vec<_>, _>>>()
        };
        read().map_err(|error| self.error(error))?.map_err(|odd| self.damaged(odd))
    }
}

/// Returns the events that reopen a job. A doubt that is not counted yet is counted first.
fn reopening(at: Timestamp, known: &JobRecord, is_anew: bool) -> Vec<Event> {
    let JobRecord { job, state } = known;
    let event = |kind| Event { job: job.id, index: job.index, at, kind };
    let mut events = Vec::new();
    if state.phase == Phase::Submitting && !state.is_doubt_counted() {
        events.push(event(EventKind::Setback(Stage::Submit, Fault::unanswered())));
    }
    let again = match (&state.phase, is_anew) {
        (Phase::Running(_), true) => {
            let lost =
                state.last_fault.clone().unwrap_or_else(|| Fault::new(FaultKind::TaskLost, "given up by the user"));
            events.push(event(EventKind::Setback(Stage::Task, lost)));
            ReopenTarget::Submit
        }
        // Polls a task that seems lost once more, before another one is paid for.
        (Phase::Running(_), false) => ReopenTarget::Fetch,
        (_, true) => ReopenTarget::Submit,
        (_, false) => state.way_back(),
    };
    events.push(event(EventKind::Reopened(again)));
    events
}
