//! Detection of a ledger that went back in time, and the doubts that arise if a run accepts it.
//!
//! Jobs that are pending in an older ledger may have been submitted since. Jobs are handed out in the order of their positions,
//! and the watermark bounds the last position. Pending jobs up to that bound are therefore in doubt. If the order was different
//! meanwhile, all pending jobs are in doubt. Jobs up to the bound that are new to the ledger become in doubt with the next
//! manifest import. A running job keeps its task. A failed job stays failed.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::event::{Event, EventKind, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::journal::{self, OpenJob};
use crate::store::sqlite::migrate::VERSION;
use crate::store::sqlite::row::{self, COLUMNS};
use crate::store::sqlite::watermark::{self, StoredWatermark, UNBOUNDED, Watermark, WatermarkFile};
use crate::store::sqlite::{SqliteStore, owner};

/// Key in the table `meta` for the bound, which the next import needs.
const DOUBT: &str = "doubt";

/// Key in the table `meta` for the run's random number.
const RUN: &str = "run";

/// Jobs read at once.
const PAGE_ROWS_MAX: i64 = 1000;

impl SqliteStore {
    /// Returns the reason why the ledger in the folder `out` is older than its watermark; `None` if it is not. Works during a
    /// live run.
    pub fn older(out: &Path) -> Result<Option<LedgerError>, LedgerError> {
        // Reads the watermark first: later records only make the ledger newer.
        let found = watermark::find(out)?;
        let file = Self::open_for_reading(out)?;
        Ok(file.lacks(&found)?.map(|what| file.is_older(what)))
    }

    /// Describes the events that the watermark claims and the ledger lacks; `None` if it lacks none.
    pub(super) fn lacks(&self, found: &StoredWatermark) -> Result<Option<String>, LedgerError> {
        let StoredWatermark::Mark(mark @ Watermark { seq: 1.., .. }, _) = *found else { return Ok(None) };
        let words = match self.version {
            0 => format!("it is missing, and {} events had been recorded", mark.seq),
            VERSION if self.meta(RUN)?.as_deref() != Some(&hex(mark.run)) => {
                "it is the ledger of another run".to_owned()
            }
            VERSION => match self.event_sum(mark.seq)? {
                Some(sum) if sum == mark.sum => return Ok(None),
                Some(_) => format!("its event {} differs from the one that had been recorded", mark.seq),
                None => format!("it ends with event {}, and {} had been recorded", self.last_event()?.0, mark.seq),
            },
            version => format!("it is version {version}, and a later version had already continued it"),
        };
        Ok(Some(words))
    }

    pub(super) fn is_older(&self, what: String) -> LedgerError {
        LedgerError::Older { path: self.path().to_owned(), what }
    }

    /// Opens the watermark file of a migrated ledger, and continues from the watermark found there.
    pub(super) fn open_mark(&mut self, out: &Path, found: StoredWatermark) -> Result<(), LedgerError> {
        let run = if let Some(run) = self.meta(RUN)? {
            run
        } else {
            let run = hex(fastrand::u128(..).to_le_bytes());
            self.set_meta(RUN, &run)?;
            run
        };
        let run = from_hex(&run).ok_or_else(|| self.damaged("its own number is unreadable"))?;
        let (seq, sum) = self.last_event()?;
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
        let mark = Watermark { run, seq, sum, n_submits: self.incidents()?.n_submits, handed_out };
        self.mark = Some(WatermarkFile::open(out, mark, found)?);
        Ok(())
    }

    /// Records as in doubt every pending job that a newer ledger may have submitted. Stores the bound, so that the next import
    /// does the same for its new jobs. All or nothing.
    pub(super) fn doubt(&mut self, at: Timestamp, handed_out: u64) -> Result<(), LedgerError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.error(error))?;
        let doubted = self
            .doubt_pending(at, handed_out, 0)
            .and_then(|()| self.set_meta(DOUBT, &format!("{handed_out} {}", at.millis())));
        match doubted {
            Ok(()) => self.written(self.connection.execute_batch("COMMIT")),
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Records the jobs behind this row, which were just imported, as in doubt. Does so only if an older ledger was accepted
    /// since the last manifest, and returns whether one was.
    pub(super) fn doubt_new(&self, last_row: i64) -> Result<bool, LedgerError> {
        let Some(doubt) = self.meta(DOUBT)?.filter(|doubt| !doubt.is_empty()) else { return Ok(false) };
        let parsed = doubt.split_once(' ').and_then(|(bound, at)| Some((bound.parse().ok()?, at.parse().ok()?)));
        let (handed_out, at) = parsed.ok_or_else(|| self.damaged("its entry about lost records is unreadable"))?;
        self.doubt_pending(Timestamp::from_millis(at), handed_out, last_row)?;
        self.set_meta(DOUBT, "")?;
        Ok(true)
    }

    fn doubt_pending(&self, at: Timestamp, handed_out: u64, last_row: i64) -> Result<(), LedgerError> {
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
            self.each(&sql, [after], |row| {
                Ok(row::known(row)?.map(|known| page.push(known)).map_err(|odd| self.damaged(odd)))
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let events: Vec<Event> = page.iter().map(|(_, known)| in_doubt(at, known)).collect();
            let open: BTreeMap<JobId, OpenJob> =
                page.into_iter().map(|(row, JobRecord { job, state })| (job.id, OpenJob { row, state })).collect();
            let written = journal::write_in(&self.connection, &open, &events);
            written.map_err(|error| self.error(error))?;
        }
    }

    /// Advances the watermark to the last event.
    pub(super) fn advance_to_last(&mut self) -> Result<(), LedgerError> {
        let (seq, sum) = self.last_event()?;
        self.mark.as_mut().map_or(Ok(()), |mark| mark.advance(seq, sum, 0))
    }

    /// Returns number and checksum of the last event; zeros if there is none.
    fn last_event(&self) -> Result<(i64, i64), LedgerError> {
        let last = last_seq(&self.connection).map_err(|error| self.error(error))?;
        Ok((last, self.event_sum(last)?.unwrap_or(0)))
    }

    fn event_sum(&self, seq: i64) -> Result<Option<i64>, LedgerError> {
        let mut sum = None;
        let sql = "SELECT seq, job, at, kind, detail, sum FROM events WHERE seq = ?1";
        self.each(sql, params![seq], |row| {
            sum = Some(row.get(5)?);
            Ok(owner::check_event(row).map_err(|odd| self.damaged(odd)))
        })?;
        Ok(sum)
    }
}

/// Returns the number of the last event, 0 for none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT seq FROM events ORDER BY seq DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?.unwrap_or(0))
}

fn in_doubt(at: Timestamp, known: &JobRecord) -> Event {
    let words = "the ledger was replaced by an older copy: this job may have been submitted and accepted since";
    let kind = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, words));
    Event { job: known.job.id, index: known.job.index, at, kind }
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let number = (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())??;
    Some(number.to_be_bytes())
}
