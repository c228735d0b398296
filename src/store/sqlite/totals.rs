//! Totals that every commit maintains, so that `status` counts a million jobs without reading each.

use std::ops::{AddAssign, Sub};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::model::counts::{RunStats, StatusCounts};
use crate::model::phase::JobState;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::checksum;
use crate::store::sqlite::database::{Database, expect_one};
use crate::store::sqlite::schema::INSERT_RECOUNTED;

/// Names of the totals in the ledger: the phases in their order, then the incidents.
const NAMES: [&str; 13] = [
    "pending",
    "submitting",
    "running",
    "downloading",
    "succeeded",
    "moderated",
    "failed",
    "submits",
    "submits_in_doubt",
    "doubts_held",
    "doubts_failed",
    "tasks_lost",
    "reopened",
];

/// Totals, or changes of totals, in the order of [`NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals([i64; NAMES.len()]);

impl Totals {
    /// Returns the contribution of one job of the present manifest.
    pub(super) fn of(state: &JobState) -> Self {
        let phase = format::phase_number(&state.phase);
        let is_doubtful = state.last_fault.as_ref().is_some_and(|fault| fault.kind.leaves_doubt());
        let is = |number| i64::from(phase == number);
        Self([
            is(format::phase::PENDING),
            is(format::phase::SUBMITTING),
            is(format::phase::RUNNING),
            is(format::phase::DOWNLOADING),
            is(format::phase::SUCCEEDED),
            is(format::phase::MODERATED),
            is(format::phase::FAILED),
            state.n_submits.into(),
            state.n_in_doubt.into(),
            i64::from(is_doubtful) * is(format::phase::SUBMITTING),
            i64::from(is_doubtful) * is(format::phase::FAILED),
            state.n_lost.into(),
            state.n_reopened.into(),
        ])
    }

    /// Adds this change to the totals of a ledger.
    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        // Total that does not match its checksum is not updated, so the commit fails.
        let sql = "UPDATE totals SET n = n + ?2, sum = row_sum('total', name, n + ?2) \
                   WHERE name = ?1 AND sum IS row_sum('total', name, n)";
        let mut update = connection.prepare_cached(sql)?;
        for (name, n) in NAMES.iter().zip(self.0).filter(|(_, n)| *n != 0) {
            expect_one(update.execute(params![name, n])?)?;
        }
        Ok(())
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(n, other)| *n += other);
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

/// Recounts the totals and stores them.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("DELETE FROM totals; {INSERT_RECOUNTED}"))
}

/// Returns the number of jobs of the present manifest by status.
pub(super) fn counts(database: &Database) -> Result<StatusCounts, LedgerError> {
    let totals = stored(database)?;
    Ok(StatusCounts {
        n_pending: totals[0],
        n_in_doubt: totals[1],
        n_running: totals[2] + totals[3],
        n_succeeded: totals[4],
        n_moderated: totals[5],
        n_failed: totals[6],
    })
}

/// Returns the incidents of all runs of this ledger. Dropped jobs are included, because they were paid for too.
pub(super) fn incidents(database: &Database) -> Result<RunStats, LedgerError> {
    let totals = stored(database)?;
    Ok(RunStats {
        n_submits: totals[7],
        n_in_doubt: totals[8],
        n_doubts_held: totals[9],
        n_doubts_failed: totals[10],
        n_lost: totals[11],
        n_reopened: totals[12],
    })
}

/// Returns the stored totals, in the order of [`NAMES`].
fn stored(database: &Database) -> Result<[u64; NAMES.len()], LedgerError> {
    let mut totals = [None; NAMES.len()];
    database.each("SELECT name, n, sum FROM totals", (), |row| {
        if row.get_ref(2)? != ValueRef::Integer(checksum::of_row("total", [row.get_ref(0)?, row.get_ref(1)?])) {
            let name = row.get_ref(0)?.as_str().unwrap_or("?");
            return Ok(Err(database.damaged(format!("its total of {name} does not match its checksum"))));
        }
        let (name, n): (String, u64) = (row.get(0)?, row.get(1)?);
        if let Some(i) = NAMES.iter().position(|known| *known == name) {
            totals[i] = Some(n);
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    let mut whole = [0; NAMES.len()];
    for ((total, name), n) in whole.iter_mut().zip(NAMES).zip(totals) {
        *total = n.ok_or_else(|| database.damaged(format!("its total of {name} is missing")))?;
    }
    Ok(whole)
}
