//! Rows of the ledger and the words of the house, in both directions.

use std::sync::Arc;

use rusqlite::Row;

use crate::ledger::format;
use crate::model::job::{Job, JobId};
use crate::model::outcome::{Artifact, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobState, Known, Phase};
use crate::model::time::Timestamp;

/// The columns that [`known`] reads, in its order.
pub const COLUMNS: &str = "row, id, coalesce(position, 0), label, request, extras, phase, task, \
                           CASE phase WHEN 3 THEN (SELECT urls FROM links WHERE job = row) END, n_submits, n_setbacks, \
                           n_lost, n_in_doubt, submitted_at, finished_at, fault, n_forgiven, n_reopened";

/// How many columns that are.
pub const N_COLUMNS: usize = 18;

/// What a run goes on with: the words of the index of those, without which `SQLite` would not look there.
pub const UNFINISHED: &str = "phase <= 3";

/// What ended without an image, likewise.
pub const WITHOUT_IMAGE: &str = "phase >= 5";

/// A row of `jobs`: its number, the job and its state; the images of a success are still missing.
///
/// The inner `None` means that a column makes no sense.
pub fn known(row: &Row<'_>) -> rusqlite::Result<Option<(i64, Known)>> {
    let id: [u8; 10] = row.get(1)?;
    let request: String = row.get(4)?;
    let extras: Option<String> = row.get(5)?;
    let urls: Option<String> = row.get(8)?;
    let fault: Option<String> = row.get(15)?;
    let phase: i64 = row.get(6)?;
    let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis));
    let mut state = JobState {
        phase: Phase::Pending,
        task: row.get::<_, Option<String>>(7)?.map(TaskId),
        n_submits: row.get(9)?,
        n_setbacks: row.get(10)?,
        n_lost: row.get(11)?,
        n_forgiven: row.get(16)?,
        n_reopened: row.get(17)?,
        n_in_doubt: row.get(12)?,
        submitted_at: at(13)?,
        finished_at: at(14)?,
        last_fault: None,
        kept: Vec::new(),
    };
    let (index, label) = (row.get(2)?, row.get(3)?);
    let read = || {
        state.last_fault = fault.map(|text| format::fault_from(&text).ok_or(())).transpose().ok()?;
        state.phase = match phase {
            format::phase::PENDING => Phase::Pending,
            format::phase::SUBMITTING => Phase::Submitting,
            format::phase::RUNNING => Phase::Running(state.task.clone()?),
            format::phase::DOWNLOADING => Phase::Downloading(format::urls_from(&urls?)?),
            format::phase::SUCCEEDED => Phase::Finished(Outcome::Succeeded(Vec::new())),
            format::phase::MODERATED | format::phase::FAILED => {
                Phase::Finished(Outcome::Failed(state.last_fault.clone()?))
            }
            _ => return None,
        };
        let request = format::request_from(&request)?;
        let job = Job { id: JobId::from_bytes(id), index, label, request, extras: format::extras_from(extras)? };
        Some(Known { job: Arc::new(job), state })
    };
    Ok(read().zip(Some(row.get(0)?)).map(|(known, row)| (row, known)))
}

/// A row of `artifacts`, beginning with the column `file_name` at `first`.
pub fn artifact(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Artifact>> {
    let format: String = row.get(first + 5)?;
    Ok(Some(Artifact {
        file_name: row.get(first)?,
        sha256: row.get(first + 1)?,
        bytes: row.get(first + 2)?,
        width: row.get(first + 3)?,
        height: row.get(first + 4)?,
        format: match ImageFormat::from_extension(&format) {
            Some(format) => format,
            None => return Ok(None),
        },
    }))
}
