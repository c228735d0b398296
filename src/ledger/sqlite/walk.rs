//! Finds the jobs of a manifest in a ledger, row by row: the one rule that decides what is the same job in an edited manifest.
//!
//! A job's id comes from its content, and the `n`-th row of a content is the `n`-th job of that content. Most rows of most edited
//! manifests are where they were, one after the other; so the ledger is read in its own order beside the manifest, and only what is not
//! found there is looked up by its id. What is remembered of a million rows is a bit each, and some contents that repeat.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::job::JobId;
use crate::model::request::Content;

/// Rows that are read ahead. The manifests of tests are small, and must meet the ends of pages too.
const PAGE_ROWS: usize = if cfg!(test) { 3 } else { 256 };

/// Rows that were found one after the other, after which the next ones are expected to follow.
const STREAK: u32 = 2;

/// Contents that repeat and are remembered, 40 bytes each.
const CONTENTS_MAX: usize = if cfg!(test) { 2 } else { 1 << 16 };

/// A job that the ledger knows.
#[derive(Clone, Debug)]
pub struct Had {
    pub row: i64,
    id: JobId,
    /// Its place in the manifest that was taken in last; none if it was not there.
    pub position: Option<u64>,
    pub label: Option<String>,
    pub extras: Option<String>,
    pub phase: i64,
}

/// A walk through a manifest and a ledger side by side.
pub struct Walk<'a> {
    connection: &'a Connection,
    taken: Rows,
    occurrences: Occurrences,
    /// What is expected next, in the order of positions.
    page: VecDeque<Had>,
    /// The position up to which that was read.
    after: u64,
    /// Rows that were found right behind each other.
    streak: u32,
}

impl<'a> Walk<'a> {
    /// A walk from the beginning.
    pub fn new(connection: &'a Connection) -> Self {
        let (taken, occurrences) = (Rows::default(), Occurrences::default());
        Self { connection, taken, occurrences, page: VecDeque::new(), after: 0, streak: STREAK }
    }

    /// The job for the next row of the manifest, if the ledger knows it. If not, `new` is offered ids until it takes one, and says
    /// the row of the job that it made, if it made one where this walk looks.
    pub fn step(
        &mut self,
        content: Content,
        mut new: impl FnMut(JobId) -> rusqlite::Result<Option<New>>,
    ) -> rusqlite::Result<Option<Had>> {
        let mut occurrence = self.occurrences.first(&content);
        loop {
            let id = JobId::new(&content, occurrence);
            match self.find(id)? {
                Some(had) if self.taken.insert(had.row) => return Ok(Some(had)),
                Some(_) => (),
                None => match new(id)? {
                    Some(New::InLedger(row)) => {
                        self.taken.insert(row);
                        return Ok(None);
                    }
                    Some(New::Elsewhere) => return Ok(None),
                    None => (),
                },
            }
            occurrence += 1;
            self.occurrences.repeats(content, occurrence);
        }
    }

    /// Whether a row of the manifest has this job.
    pub fn has_taken(&self, row: i64) -> bool {
        self.taken.contains(row)
    }

    fn find(&mut self, id: JobId) -> rusqlite::Result<Option<Had>> {
        if self.page.is_empty() && self.streak >= STREAK {
            self.read_on()?;
        }
        if let Some(next) = self.page.pop_front_if(|next| next.id == id) {
            return Ok(Some(next));
        }
        let found = self.look_up(id)?;
        // One that is taken already was only asked for because its content repeats, and says nothing of what comes next.
        let free = found.as_ref().filter(|had| !self.taken.contains(had.row));
        if let Some(position) = free.and_then(|had| had.position) {
            self.go_to(position);
        }
        Ok(found)
    }

    /// What comes after a job that was found elsewhere is expected next, if it is on the page or that happens again and again.
    fn go_to(&mut self, position: u64) {
        let is_on_page = |had: &Had| had.position.is_some_and(|other| other > position);
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
        self.page = statement.query_map(params![self.after], had)?.collect::<rusqlite::Result<_>>()?;
        match self.page.back().and_then(|last| last.position) {
            Some(last) => self.after = last,
            // There is nothing more to expect.
            None => self.streak = 0,
        }
        Ok(())
    }

    fn look_up(&self, id: JobId) -> rusqlite::Result<Option<Had>> {
        let sql = "SELECT row, id, position, label, extras, phase FROM jobs WHERE id = ?1";
        self.connection.prepare_cached(sql)?.query_row([id.bytes()], had).optional()
    }
}

/// Where a new job was put.
pub enum New {
    /// Into the ledger, with this row.
    InLedger(i64),
    /// Where this walk does not look.
    Elsewhere,
}

fn had(row: &Row<'_>) -> rusqlite::Result<Had> {
    let (number, id, position, label, extras, phase) = row.try_into()?;
    Ok(Had { row: number, id: JobId::from_bytes(id), position, label, extras, phase })
}

/// A set of rows, a bit each.
#[derive(Default)]
struct Rows(Vec<u64>);

impl Rows {
    fn place(row: i64) -> (usize, u64) {
        let row = usize::try_from(row).expect("rows are counted from 1");
        (row / 64, 1 << (row % 64))
    }

    fn contains(&self, row: i64) -> bool {
        let (word, bit) = Self::place(row);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Says whether it was not there before.
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

/// How often contents that repeat have come: of so many of them, those that repeat most. To forget one costs time and nothing else, as
/// its jobs are found taken one by one.
#[derive(Default)]
struct Occurrences(HashMap<Content, u32>);

impl Occurrences {
    /// The first occurrence that may be free.
    fn first(&self, content: &Content) -> u32 {
        self.0.get(content).copied().unwrap_or(0)
    }

    /// The ones before this occurrence are taken.
    fn repeats(&mut self, content: Content, occurrence: u32) {
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
