//! One job among all, by whatever a user calls it; and how fast jobs have ended lately.

use rusqlite::{Connection, params};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::ledger::sqlite::row::{self, COLUMNS};
use crate::model::phase::Known;
use crate::model::time::Timestamp;

/// Jobs that one name is taken for at most.
const FOUND_MAX: usize = 10;

/// Digits of a job's id that are enough to be meant as its beginning.
const ID_DIGITS_MIN: usize = 4;

impl RunFile {
    /// The jobs of this name: the manifest's own id or else the index, else the beginning of the job's id, else the id of one of
    /// its tasks. The images of one entry share its id, and ids their
    /// beginnings, so there may be several; at most ten are given.
    pub fn find(&self, name: &str) -> Result<Vec<Known>, LedgerError> {
        let ways = ["label = ?1", "position = ?1", "lower(hex(id)) LIKE ?1 || '%'"];
        for (way, condition) in ways.into_iter().enumerate() {
            let is_fit = match way {
                1 => name.parse::<u32>().is_ok(),
                2 => name.len() >= ID_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
                _ => true,
            };
            let found = if is_fit { self.matching(condition, name)? } else { vec![] };
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.matching("row IN (SELECT job FROM events WHERE kind = 'accepted' AND detail = ?1)", name)
    }

    fn matching(&self, condition: &str, name: &str) -> Result<Vec<Known>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM jobs WHERE {condition} ORDER BY position LIMIT {FOUND_MAX}");
        let read = || {
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map([name], row::known)?.collect::<rusqlite::Result<Option<Vec<_>>>>()
        };
        let rows = read().map_err(|error| self.error(error))?.ok_or_else(|| self.damaged("a job makes no sense"))?;
        Ok(rows.into_iter().map(|(_, known)| known).collect())
    }

    /// How many jobs have ended since `since`.
    pub fn n_ended_since(&self, since: Timestamp) -> Result<u64, LedgerError> {
        count(&self.connection, since).map_err(|error| self.error(error))
    }
}

/// Events are in the order of their times but for the steps of a wall clock, so the newest are looked at first, until they are too old.
fn count(connection: &Connection, since: Timestamp) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare("SELECT at, kind FROM events ORDER BY seq DESC")?;
    let mut rows = statement.query(params![])?;
    let mut n_ended = 0;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? < since.millis() {
            break;
        }
        let kind: String = row.get(1)?;
        n_ended += u64::from(matches!(kind.as_str(), "succeeded" | "failed"));
    }
    Ok(n_ended)
}
