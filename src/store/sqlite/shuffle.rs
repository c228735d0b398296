//! Shuffled order of pending jobs: around the ring of all ids, from a start that a seed selects.
//!
//! Ids are hashes, so this order is random and needs no storage. The jobs done when a run stops are a fair sample of the
//! manifest. The order is the same on every machine. A resume continues with the remaining jobs in the same order.

use rusqlite::{Row, params};

use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::setting::Setting;
use crate::store::shuffle::ring_start;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::{COLUMNS, UNFINISHED};

/// Index created only for shuffled runs: in other runs it would cost one more write per submission.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS jobs_pending_by_id ON jobs (id) WHERE phase = 0";

/// Cursor in the ring: how far the jobs were handed out.
#[derive(Clone, Debug)]
pub(super) struct ShuffledCursor {
    start: [u8; 10],
    /// Id after which the next page begins; empty for the first of all ids.
    after: Vec<u8>,
    /// Records whether the cursor has passed the end of all ids.
    is_around: bool,
}

/// Returns the shuffled order and creates the index that makes it fast; `None` for manifest order.
pub(super) fn cursor(database: &Database) -> Result<Option<ShuffledCursor>, LedgerError> {
    let seed = database.meta(Setting::ShuffleSeed.key())?.filter(|seed| !seed.is_empty());
    let index = if seed.is_some() { INDEX } else { "DROP INDEX IF EXISTS jobs_pending_by_id" };
    database.connection.execute_batch(index).map_err(|error| database.error(error))?;
    Ok(seed.map(|seed| ShuffledCursor::new(&seed)))
}

impl ShuffledCursor {
    fn new(seed: &str) -> Self {
        let start = ring_start(seed);
        Self { start, after: start.to_vec(), is_around: false }
    }

    /// Returns at most `max` pending jobs that come next, and none when the ring is closed.
    pub(super) fn page<T>(
        &self,
        database: &Database,
        selected: &str,
        max: usize,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let until = if self.is_around { "AND id <= ?2" } else { "AND ?2 IS NOT NULL" };
        let pending = format::phase::PENDING;
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs INDEXED BY jobs_pending_by_id WHERE {UNFINISHED} AND phase = {pending} \
             AND position IS NOT NULL AND id > ?1 {until} {selected} ORDER BY id LIMIT ?3"
        );
        let mut statement = database.connection.prepare_cached(&sql)?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        statement.query_map(params![self.after, self.start, max], read)?.collect()
    }

    /// Moves the cursor behind this id.
    pub(super) fn go_to(&mut self, id: &[u8; 10]) {
        self.after = id.to_vec();
    }

    /// Moves the cursor from the end of the ids to the beginning. Returns `false` if it had passed the end before.
    pub(super) fn wrap_around(&mut self) -> bool {
        if self.is_around {
            return false;
        }
        self.is_around = true;
        self.after = Vec::new();
        true
    }
}
