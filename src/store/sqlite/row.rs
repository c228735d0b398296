//! Conversion of ledger rows into domain types, with a check of their checksums.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::model::job::{Job, JobId};
use crate::model::outcome::{Artifact, ImageFormat, Outcome, TaskId};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::time::Timestamp;
use crate::store::format;
use crate::store::sqlite::checksum;

/// Columns that [`known`] reads, in its order.
pub(super) const COLUMNS: &str = "row, id, coalesce(position, 0), label, request, extras, phase, task, \
                           CASE phase WHEN 3 THEN (SELECT urls FROM links WHERE job = row) END, n_submits, n_setbacks, \
                           n_lost, n_in_doubt, submitted_at, finished_at, fault, n_forgiven, n_reopened, job_sum, state_sum, \
                           CASE phase WHEN 3 THEN (SELECT sum FROM links WHERE job = row) END";

pub(super) const N_COLUMNS: usize = 21;

/// Columns that [`artifact`] reads, in its order.
pub(super) const ARTIFACT_COLUMNS: &str = "file_name, sha256, bytes, width, height, artifacts.format, job, n, sum";

/// Description of a row that is not what was recorded.
pub(super) type RowDamage = String;

/// Condition for unfinished jobs. `SQLite` uses their index only if the query repeats the index's own words.
pub(super) const UNFINISHED: &str = "phase <= 3";

/// Condition for jobs that ended without an image, in the words of their index.
pub(super) const WITHOUT_IMAGE: &str = "phase >= 5";

/// Reads a row of `jobs`: its number, the job and its state. Images of a success are not included.
///
/// The inner error is a row that is not what was recorded, or is invalid.
pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Result<(i64, JobRecord), RowDamage>> {
    if let Err(odd) = check(row)? {
        return Ok(Err(odd));
    }
    read(row).map(|known| known.ok_or_else(|| format!("{} cannot be decoded", name(row))))
}

/// Names the job of a row for a message, as far as the row is readable.
fn name(row: &Row<'_>) -> String {
    let number = |column| row.get::<_, i64>(column).unwrap_or(0);
    match number(2) {
        0 => format!("a job that has left the manifest (row {})", number(0)),
        position => format!("job {position} (row {})", number(0)),
    }
}

/// Compares the columns of a row with their checksums.
fn check(row: &Row<'_>) -> rusqlite::Result<Result<(), RowDamage>> {
    let value = |column: usize| row.get_ref(column);
    // Jobs that have left the manifest have no position, which is read as 0.
    let position = match value(2)? {
        ValueRef::Integer(0) => ValueRef::Null,
        position => position,
    };
    let job = checksum::of_row("job", [value(0)?, value(1)?, position, value(3)?, value(4)?, value(5)?]);
    let mut state = [ValueRef::Null; 12];
    for (place, column) in state.iter_mut().zip([0, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17]) {
        *place = value(column)?;
    }
    let state = checksum::of_row("state", state);
    let are_links_whole = match value(8)? {
        ValueRef::Null => true,
        links => value(20)? == ValueRef::Integer(checksum::of_row("links", [value(0)?, links])),
    };
    let odd = if value(18)? != ValueRef::Integer(job) {
        "its request (id, position, label, parameters or other columns)"
    } else if value(19)? != ValueRef::Integer(state) {
        "its state (phase, task, counters, times or fault)"
    } else if !are_links_whole {
        "its list of links"
    } else {
        return Ok(Ok(()));
    };
    Ok(Err(format!("{}: {odd} does not match its checksum", name(row))))
}

/// Reads a row whose checksums are correct; `None` if a column is invalid.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<(i64, JobRecord)>> {
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
        n_lost_before_reopen: row.get(16)?,
        n_reopened: row.get(17)?,
        n_in_doubt: row.get(12)?,
        submitted_at: at(13)?,
        finished_at: at(14)?,
        last_fault: None,
        kept: Vec::new(),
        charge: None,
    };
    let (index, label) = (row.get(2)?, row.get(3)?);
    let rest = || {
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
        let (extras, row) = format::extras_from(extras.as_deref())?;
        let job = Job { id: JobId::from_bytes(id), index, label, request, extras, row };
        Some(JobRecord { job: Arc::new(job), state })
    };
    Ok(rest().zip(Some(row.get(0)?)).map(|(known, row)| (row, known)))
}

/// Reads a row of `artifacts`, whose [columns](ARTIFACT_COLUMNS) begin at `first`.
pub(super) fn artifact(row: &Row<'_>, first: usize) -> rusqlite::Result<Result<Artifact, RowDamage>> {
    let mut values = [ValueRef::Null; 8];
    for (place, column) in values.iter_mut().zip([6, 7, 0, 1, 2, 3, 4, 5]) {
        *place = row.get_ref(first + column)?;
    }
    let odd = |what| {
        let number = |column| row.get::<_, i64>(first + column).unwrap_or(0);
        Ok(Err(format!("image {} of the job in row {} {what}", number(7) + 1, number(6))))
    };
    if row.get_ref(first + 8)? != ValueRef::Integer(checksum::of_row("artifact", values)) {
        return odd("does not match its checksum");
    }
    let format: String = row.get(first + 5)?;
    Ok(Ok(Artifact {
        file_name: row.get(first)?,
        sha256: row.get(first + 1)?,
        bytes: row.get(first + 2)?,
        width: row.get(first + 3)?,
        height: row.get(first + 4)?,
        format: match ImageFormat::from_extension(&format) {
            Some(format) => format,
            None => return odd("cannot be decoded"),
        },
    }))
}
