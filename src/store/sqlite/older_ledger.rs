//! Detection of a ledger that went back in time, and the doubts that arise if a run accepts it.
//!
//! Jobs that are pending in an older ledger may have been submitted since. Jobs are handed out in the order of their positions,
//! and the watermark bounds the last position. Pending jobs up to that bound are therefore in doubt. If the order was different
//! meanwhile, all pending jobs are in doubt. Jobs up to the bound that are new to the ledger become in doubt with the next
//! manifest import. A running job keeps its task. A failed job stays failed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::event::{Event, EventKind, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::events::{event_sum, last_event};
use crate::store::sqlite::record::{self, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS};
use crate::store::sqlite::schema::VERSION;
use crate::store::sqlite::totals;
use crate::store::sqlite::watermark::{StoredWatermark, UNBOUNDED, Watermark, WatermarkFile};

/// Key in the table `meta` for the bound, which the next import needs.
const DOUBT: &str = "doubt";

/// Key in the table `meta` for the run's random number.
const RUN: &str = "run";

/// Jobs read at once.
const PAGE_ROWS_MAX: i64 = 1000;

/// Describes the events that the watermark claims and the ledger lacks; `None` if it lacks none.
pub(super) fn find_missing(database: &Database, found: &StoredWatermark) -> Result<Option<String>, LedgerError> {
    let StoredWatermark::Mark(mark @ Watermark { seq: 1.., .. }, _) = *found else { return Ok(None) };
    let words = match database.version {
        0 => format!("it is missing, and {} events had been recorded", mark.seq),
        VERSION if database.meta(RUN)?.as_deref() != Some(&hex(mark.run)) => {
            "it is the ledger of another run".to_owned()
        }
        VERSION => match event_sum(database, mark.seq)? {
            Some(sum) if sum == mark.sum => return Ok(None),
            Some(_) => format!("its event {} differs from the one that had been recorded", mark.seq),
            None => format!("it ends with event {}, and {} had been recorded", last_event(database)?.0, mark.seq),
        },
        version => format!("it is version {version}, and a later version had already continued it"),
    };
    Ok(Some(words))
}

/// Returns the error for a ledger that lacks these events.
pub(super) fn error(database: &Database, what: String) -> LedgerError {
    LedgerError::Older { path: database.path().to_owned(), what }
}

/// Opens the watermark file of a migrated ledger, and continues from the watermark found there.
pub(super) fn open_mark(database: &mut Database, out: &Path, found: StoredWatermark) -> Result<(), LedgerError> {
    let run = if let Some(run) = database.meta(RUN)? {
        run
    } else {
        let run = hex(fastrand::u128(..).to_le_bytes());
        database.set_meta(RUN, &run)?;
        run
    };
    let run = from_hex(&run).ok_or_else(|| database.damaged("its own number is unreadable"))?;
    let (seq, sum) = last_event(database)?;
    let handed_out = match found {
        StoredWatermark::Mark(mark, _) if mark.seq > 0 || mark.run == run => mark.handed_out,
        // Jobs handed out before the first watermark are unknown.
        StoredWatermark::Mark(..) | StoredWatermark::None => {
            if seq > 0 {
                UNBOUNDED
            } else {
                0
            }
        }
    };
    let mark = Watermark { run, seq, sum, n_submits: totals::incidents(database)?.n_submits, handed_out };
    database.mark = Some(WatermarkFile::open(out, mark, found)?);
    Ok(())
}

/// Records as in doubt every pending job that a newer ledger may have submitted. Stores the bound, so that the next import
/// does the same for its new jobs. All or nothing.
pub(super) fn doubt(database: &mut Database, at: Timestamp, handed_out: u64) -> Result<(), LedgerError> {
    database.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| database.error(error))?;
    let doubted = doubt_pending(database, at, handed_out, 0)
        .and_then(|()| database.set_meta(DOUBT, &format!("{handed_out} {}", at.millis())));
    match doubted {
        Ok(()) => database.written(database.connection.execute_batch("COMMIT")),
        Err(error) => {
            let _ = database.connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Records the jobs behind this row, which were just imported, as in doubt. Does so only if an older ledger was accepted
/// since the last manifest, and returns whether one was.
pub(super) fn doubt_new(database: &Database, last_row: i64) -> Result<bool, LedgerError> {
    let Some(doubt) = database.meta(DOUBT)?.filter(|doubt| !doubt.is_empty()) else { return Ok(false) };
    let parsed = doubt.split_once(' ').and_then(|(bound, at)| Some((bound.parse().ok()?, at.parse().ok()?)));
    let (handed_out, at) = parsed.ok_or_else(|| database.damaged("its entry about lost records is unreadable"))?;
    doubt_pending(database, Timestamp::from_millis(at), handed_out, last_row)?;
    database.set_meta(DOUBT, "")?;
    Ok(true)
}

fn doubt_pending(database: &Database, at: Timestamp, handed_out: u64, last_row: i64) -> Result<(), LedgerError> {
    let which = match i64::try_from(handed_out) {
        Ok(bound) => format!("AND position <= {bound}"),
        Err(_) => String::new(),
    };
    let mut after = last_row;
    loop {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs WHERE phase = 0 AND row > ?1 {which} ORDER BY row LIMIT {PAGE_ROWS_MAX}"
        );
        let mut page = vec![];
        database.each(&sql, [after], |row| {
            Ok(row::known(row)?.map(|known| page.push(known)).map_err(|odd| database.damaged(odd)))
        })?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let events: Vec<Event> = page.iter().flat_map(|(_, known)| in_doubt(at, known)).collect();
        let open: BTreeMap<JobId, OpenJob> =
            page.into_iter().map(|(row, JobRecord { job, state })| (job.id, OpenJob { row, state })).collect();
        let written = record::write_in(&database.connection, &open, &events);
        written.map_err(|error| database.error(error))?;
    }
}

/// Advances the watermark to the last event.
pub(super) fn advance_to_last(database: &mut Database) -> Result<(), LedgerError> {
    let (seq, sum) = last_event(database)?;
    let n_submits = totals::incidents(database)?.n_submits;
    database.mark.as_mut().map_or(Ok(()), |mark| mark.advance_to(seq, sum, n_submits))
}

/// Returns the events of a submission that may have happened. It counts as one, like any other in doubt: in all totals, and against
/// the limit on the cost.
fn in_doubt(at: Timestamp, known: &JobRecord) -> [Event; 2] {
    let words = "the ledger was replaced by an older copy: this job may have been submitted and accepted since";
    let doubt = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, words));
    [EventKind::SubmitStarted, doubt].map(|kind| Event { job: known.job.id, index: known.job.index, at, kind })
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())??;
    Some(number.to_be_bytes())
}
