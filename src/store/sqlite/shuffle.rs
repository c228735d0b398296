//! Shuffled order of pending jobs: around the ring of all ids, from a start that a seed selects.
//!
//! Ids are hashes, so this order is random and needs no storage. The jobs done when a run stops are a fair sample of the
//! manifest. The order is the same on every machine. A resume continues with the remaining jobs in the same order.

use rusqlite::{Row, params};

use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::setting::Setting;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::{COLUMNS, UNFINISHED};

/// Index created only for shuffled runs: in other runs it would cost one more write per submission.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS jobs_pending_by_id ON jobs (id) WHERE phase = 0";

/// Cursor in the ring: how far the jobs were handed out.
#[derive(Clone, Debug)]
pub struct ShuffledCursor {
    start: [u8; 10],
    /// Id after which the next page begins; empty for the first of all ids.
    after: Vec<u8>,
    /// Records whether the cursor has passed the end of all ids.
    is_around: bool,
}

/// Returns the shuffled order and creates the index that makes it fast; `None` for manifest order.
pub fn cursor(database: &Database) -> Result<Option<ShuffledCursor>, LedgerError> {
    let seed = database.meta(Setting::ShuffleSeed.key())?.filter(|seed| !seed.is_empty());
    let index = if seed.is_some() { INDEX } else { "DROP INDEX IF EXISTS jobs_pending_by_id" };
    database.connection.execute_batch(index).map_err(|error| database.error(error))?;
    Ok(seed.map(|seed| ShuffledCursor::new(&seed)))
}

impl ShuffledCursor {
    fn new(seed: &str) -> Self {
        let mut start = [0; 10];
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"promptbatch shuffle 1").update(seed.as_bytes());
        start.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
        Self { start, after: start.to_vec(), is_around: false }
    }

    /// Returns at most `max` pending jobs that come next, and none when the ring is closed.
    pub fn page<T>(
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
    pub fn go_to(&mut self, id: &[u8; 10]) {
        self.after = id.to_vec();
    }

    /// Moves the cursor from the end of the ids to the beginning. Returns `false` if it had passed the end before.
    pub fn wrap_around(&mut self) -> bool {
        if self.is_around {
            return false;
        }
        self.is_around = true;
        self.after = Vec::new();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::EventKind;
    use crate::store::settings::WriteSettings;
    use crate::store::sqlite::SqliteStore;
    use crate::store::sqlite::event_writer::EventWriter;
    use crate::store::sqlite::tests::{draft, event, store, writer};
    use crate::store::typed::Typed;

    /// Returns the order in which forty jobs are handed out, three at a time.
    fn order(seed: Option<u64>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
        let drafts = (0..40).map(|n| Ok::<_, LedgerError>(draft(&n.to_string())));
        file.import("1", &[], drafts).unwrap();
        file.shuffle(seed).unwrap();
        handed_out(&mut writer(file).unwrap())
    }

    fn handed_out(journal: &mut EventWriter) -> Vec<String> {
        let mut prompts = vec![];
        loop {
            let loaded = journal.load(3).unwrap();
            prompts.extend(loaded.jobs.into_iter().map(|known| known.job.request.prompt.clone()));
            if !loaded.more {
                return prompts;
            }
        }
    }

    #[test]
    fn every_job_is_handed_out_once_in_an_order_that_the_seed_draws() {
        let in_order: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        assert_eq!(order(None), in_order);
        let (one, two) = (order(Some(1)), order(Some(2)));
        assert_eq!(one, order(Some(1)), "the same seed is the same order");
        assert_ne!(one, in_order);
        assert_ne!(one[0], two[0]);
        for order in [one, two] {
            let mut sorted = order.clone();
            sorted.sort_by_key(|prompt| prompt.parse::<u32>().unwrap());
            assert_eq!(sorted, in_order, "{order:?}");
        }
    }

    /// Goal: a resume continues in the same order, with submitted jobs first. Method: finish none of the first five, and open
    /// it again.
    #[test]
    fn a_resume_goes_on_where_the_order_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
        file.import("1", &[], (0..20).map(|n| Ok::<_, LedgerError>(draft(&n.to_string())))).unwrap();
        file.shuffle(Some(9)).unwrap();
        let mut journal = writer(file).unwrap();
        let first = journal.load(5).unwrap().jobs;
        let sent: Vec<_> = first.iter().map(|known| event(known, 1, EventKind::SubmitStarted)).collect();
        journal.commit(&sent).unwrap();
        let rest = handed_out(&mut journal);
        let mut again = writer(store(journal)).unwrap();
        let all = handed_out(&mut again);
        assert_eq!(all[5..], rest, "pending ones in the order of before");
        let mut file = store(again);
        file.shuffle(None).unwrap();
        assert!(cursor(&store(writer(file).unwrap()).database).unwrap().is_none());
    }
}
