//! Matching of manifest rows to ledger jobs: the one rule that decides which job is the same after an edit.
//!
//! A job's id comes from its content. The `n`-th row of a content is the `n`-th job of that content. Most rows of most edited
//! manifests keep their order. The ledger is therefore read in its own order, in parallel with the manifest, as in a merge
//! join. Only a job not found there is looked up by its id. A million rows need one bit each in memory, and some space for
//! repeated contents.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::job::JobId;
use crate::model::request::ContentHash;

/// Rows read ahead. Tests have small manifests and must also meet the ends of pages.
const PAGE_ROWS: usize = if cfg!(test) { 3 } else { 256 };

/// Rows found directly one after the other, after which the next rows are expected to follow.
const STREAK: u32 = 2;

/// Repeated contents kept in memory, at 40 bytes each.
const CONTENTS_MAX: usize = if cfg!(test) { 2 } else { 1 << 16 };

/// Job that the ledger knows.
#[derive(Clone, Debug)]
pub(super) struct ExistingRow {
    pub row: i64,
    pub id: JobId,
    /// Position in the last imported manifest; `None` if the job was not in it.
    pub position: Option<u64>,
    pub label: Option<String>,
    pub extras: Option<String>,
    pub phase: i64,
}

/// Parallel cursor over a manifest and a ledger.
pub(super) struct MergeCursor<'a> {
    connection: &'a Connection,
    taken: RowBitSet,
    occurrences: Occurrences,
    /// Jobs expected next, in the order of positions.
    page: VecDeque<ExistingRow>,
    /// Position up to which the page was read.
    after: u64,
    /// Rows found directly one after the other.
    streak: u32,
}

impl<'a> MergeCursor<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        let (taken, occurrences) = (RowBitSet::default(), Occurrences::default());
        Self { connection, taken, occurrences, page: VecDeque::new(), after: 0, streak: STREAK }
    }

    /// Finds the job for the next row of the manifest; `None` if the ledger does not know it. In that case `new` is offered ids
    /// until it accepts one. `new` returns the row of the job that it created, if it created one in the ledger.
    pub(super) fn step(
        &mut self,
        content: ContentHash,
        mut new: impl FnMut(JobId) -> rusqlite::Result<Option<NewRowLocation>>,
    ) -> rusqlite::Result<Option<ExistingRow>> {
        let mut occurrence = self.occurrences.first(&content);
        loop {
            let id = JobId::new(&content, occurrence);
            match self.find(id)? {
                Some(existing) if self.taken.insert(existing.row) => return Ok(Some(existing)),
                Some(_) => (),
                None => match new(id)? {
                    Some(NewRowLocation::InLedger(row)) => {
                        self.taken.insert(row);
                        return Ok(None);
                    }
                    Some(NewRowLocation::UntrustedBaseUrl) => return Ok(None),
                    None => (),
                },
            }
            occurrence += 1;
            self.occurrences.repeats(content, occurrence);
        }
    }

    /// Returns whether a row of the manifest has this job.
    pub(super) fn has_taken(&self, row: i64) -> bool {
        self.taken.contains(row)
    }

    fn find(&mut self, id: JobId) -> rusqlite::Result<Option<ExistingRow>> {
        if self.page.is_empty() && self.streak >= STREAK {
            self.read_on()?;
        }
        if let Some(next) = self.page.pop_front_if(|next| next.id == id) {
            return Ok(Some(next));
        }
        let found = self.look_up(id)?;
        // Matched jobs were looked up only because their content repeats, and do not predict the next row.
        let free = found.as_ref().filter(|existing| !self.taken.contains(existing.row));
        if let Some(position) = free.and_then(|existing| existing.position) {
            self.go_to(position);
        }
        Ok(found)
    }

    /// Expects the jobs behind this position next, if they are on the page or if this happens repeatedly.
    fn go_to(&mut self, position: u64) {
        let is_on_page = |existing: &ExistingRow| existing.position.is_some_and(|other| other > position);
        let is_ahead = self.page.front().is_some_and(|next| next.position < Some(position));
        if is_ahead && self.page.back().is_some_and(is_on_page) {
            while self.page.pop_front_if(|next| next.position <= Some(position)).is_some() {}
            return;
        }
        self.page.clear();
        self.streak = if position == self.after + 1 { self.streak.saturating_add(1) } else { 0 };
        self.after = position;
    }

    fn read_on(&mut self) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT row, id, position, label, extras, phase FROM jobs WHERE position > ?1 ORDER BY position LIMIT {PAGE_ROWS}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        self.page = statement.query_map(params![self.after], existing)?.collect::<rusqlite::Result<_>>()?;
        match self.page.back().and_then(|last| last.position) {
            Some(last) => self.after = last,
            // End of the ledger: no further job is expected.
            None => self.streak = 0,
        }
        Ok(())
    }

    fn look_up(&self, id: JobId) -> rusqlite::Result<Option<ExistingRow>> {
        let sql = "SELECT row, id, position, label, extras, phase FROM jobs WHERE id = ?1";
        self.connection.prepare_cached(sql)?.query_row([id.bytes()], existing).optional()
    }
}

/// Location of a new job.
pub(super) enum NewRowLocation {
    /// Row of the ledger.
    InLedger(i64),
    /// Location that the cursor does not read.
    UntrustedBaseUrl,
}

fn existing(row: &Row<'_>) -> rusqlite::Result<ExistingRow> {
    let (number, id, position, label, extras, phase) = row.try_into()?;
    Ok(ExistingRow { row: number, id: JobId::from_bytes(id), position, label, extras, phase })
}

/// Set of rows, with one bit per row.
#[derive(Default)]
struct RowBitSet(Vec<u64>);

impl RowBitSet {
    fn place(row: i64) -> (usize, u64) {
        let row = usize::try_from(row).expect("rows are counted from 1");
        (row / 64, 1 << (row % 64))
    }

    fn contains(&self, row: i64) -> bool {
        let (word, bit) = Self::place(row);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Adds a row, and returns whether it was absent before.
    fn insert(&mut self, row: i64) -> bool {
        let is_new = !self.contains(row);
        let (word, bit) = Self::place(row);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
        is_new
    }
}

/// Occurrence counts of the contents that repeat most. Forgetting one costs only time, as its jobs are then found matched one
/// by one.
#[derive(Default)]
struct Occurrences(HashMap<ContentHash, u32>);

impl Occurrences {
    /// Returns the first occurrence that may be unmatched.
    fn first(&self, content: &ContentHash) -> u32 {
        self.0.get(content).copied().unwrap_or(0)
    }

    /// Records that all occurrences before this one are matched.
    fn repeats(&mut self, content: ContentHash, occurrence: u32) {
        if self.0.len() >= CONTENTS_MAX {
            let mut least = 2;
            while self.0.len() > CONTENTS_MAX / 2 {
                self.0.retain(|_, n| *n > least);
                least *= 2;
            }
        }
        self.0.insert(content, occurrence);
    }
}
