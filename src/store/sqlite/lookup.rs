//! Lookup of one job by any of its names, and the number of recently finished jobs.

use rusqlite::{Connection, params};

use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::row::{self, COLUMNS};

/// Jobs returned for one name, at most.
const FOUND_MAX: usize = 10;

/// Events read for a completion rate, at most.
const EVENTS_MAX: usize = 20_000;

/// Minimum digits of a job id prefix.
const ID_DIGITS_MIN: usize = 4;

/// Finds the jobs with this name. Tries the manifest's own id, the index, a prefix of the job's id and the task ids. The
/// first of these that matches decides. Images of one entry share its id, and ids may share a prefix, so several jobs may
/// match. Returns at most ten jobs.
pub(super) fn find(database: &Database, name: &str) -> Result<Vec<JobRecord>, LedgerError> {
    let ways = ["label = ?1", "position = ?1", "lower(hex(id)) LIKE ?1 || '%'"];
    for (way, condition) in ways.into_iter().enumerate() {
        let is_fit = match way {
            1 => name.parse::<u32>().is_ok(),
            2 => name.len() >= ID_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
            _ => true,
        };
        let found = if is_fit { matching(database, condition, name)? } else { vec![] };
        if !found.is_empty() {
            return Ok(found);
        }
    }
    matching(database, "row IN (SELECT job FROM events WHERE kind = 'accepted' AND detail = ?1)", name)
}

fn matching(database: &Database, condition: &str, name: &str) -> Result<Vec<JobRecord>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE {condition} ORDER BY position LIMIT {FOUND_MAX}");
    let read = || {
        let mut statement = database.connection.prepare(&sql)?;
        statement.query_map([name], row::known)?.collect::<rusqlite::Result<Result<Vec<_>, _>>>()
    };
    let rows = read().map_err(|error| database.error(error))?.map_err(|odd| database.damaged(odd))?;
    Ok(rows.into_iter().map(|(_, known)| known).collect())
}

/// Counts the jobs that ended since `since`, and returns the time of the first of these endings. Returns `None` if no job
/// ended. Reads only the last events if there are many.
pub(super) fn ended_since(database: &Database, since: Timestamp) -> Result<Option<(u64, Timestamp)>, LedgerError> {
    ended(&database.connection, since).map_err(|error| database.error(error))
}

/// Reads the newest events first, until one is too old. Events are in the order of their times, except for steps of the wall
/// clock.
fn ended(connection: &Connection, since: Timestamp) -> rusqlite::Result<Option<(u64, Timestamp)>> {
    let mut statement =
        connection.prepare(&format!("SELECT at, kind FROM events ORDER BY seq DESC LIMIT {EVENTS_MAX}"))?;
    let mut rows = statement.query(params![])?;
    let mut found: Option<(u64, Timestamp)> = None;
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_millis(row.get(0)?);
        if at < since {
            break;
        }
        if matches!(row.get_ref(1)?.as_str()?, "succeeded" | "failed") {
            found = Some((found.map_or(0, |(n, _)| n) + 1, at));
        }
    }
    Ok(found)
}
