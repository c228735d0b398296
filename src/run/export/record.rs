//! Record of an export in a small `SQLite` file: images are looked up there and not kept in memory.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::model::job::JobId;
use crate::run::export::error::ExportError;
use crate::run::export::record_place;

/// Rows that are read together.
pub(super) const PAGE: usize = 1000;

/// Marks the file as an export record, in `PRAGMA application_id`: "pbex".
const APPLICATION_ID: i64 = 0x7062_6578;

/// Schema version, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// Record of one export, held by one process at a time; the lock dies with the process.
#[derive(Debug)]
pub(super) struct ExportRecord {
    connection: Connection,
    path: PathBuf,
}

/// Image that is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExportedImage {
    /// Row number in the export record.
    pub row: i64,
    /// Hash of the image and its metadata at the time of its export.
    pub mark: u64,
    /// Stem and extension of the image's own file; `None` if it is in a shard.
    pub place: Option<(String, String)>,
}

impl ExportRecord {
    /// Opens the export record of this folder, or creates it.
    pub(super) fn open(dir: &Path) -> Result<Self, ExportError> {
        let path = record_place::find(dir)?;
        record_place::make_ready(&path)?;
        let opened = Connection::open(&path)
            .map_err(|source| ExportError::State { path: path.clone(), source: source.into() })?;
        let state = Self { connection: opened, path };
        match state.prepare() {
            Ok(true) => Ok(state),
            Ok(false) => Err(ExportError::Foreign { dir: dir.to_owned() }),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                Err(ExportError::Held { dir: dir.to_owned() })
            }
            Err(error) => Err(state.error(error)),
        }
    }

    /// Locks the file and creates its tables if it is new. Returns whether it is an export record.
    fn prepare(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(std::time::Duration::ZERO)?;
        self.connection.pragma_update(None, "synchronous", "full")?;
        self.connection.pragma_update(None, "locking_mode", "exclusive")?;
        // Exclusive mode keeps the lock of the first write.
        self.connection.execute_batch("BEGIN EXCLUSIVE")?;
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let is_known = match (pragma("application_id")?, pragma("user_version")?) {
            (APPLICATION_ID, VERSION) => true,
            (0, 0) => {
                let schema = include_str!("state.sql");
                let marks = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
                self.connection.execute_batch(&format!("{schema} {marks}"))?;
                true
            }
            _ => false,
        };
        if is_known {
            self.connection.execute_batch(include_str!("objects.sql"))?;
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(is_known)
    }

    /// Makes several changes in one transaction, all or none.
    pub(super) fn at_once<T>(&self, work: impl FnOnce() -> Result<T, ExportError>) -> Result<T, ExportError> {
        let transaction = self.connection.unchecked_transaction().map_err(|error| self.error(error))?;
        let done = work()?;
        transaction.commit().map_err(|error| self.error(error))?;
        Ok(done)
    }

    /// Begins a transaction, which lasts until the changes are [committed](Self::commit).
    pub(super) fn begin(&self) -> Result<(), ExportError> {
        self.batch("BEGIN")
    }

    /// Makes the changes of the transaction durable.
    pub(super) fn commit(&self) -> Result<(), ExportError> {
        self.batch("COMMIT")
    }

    fn batch(&self, sql: &str) -> Result<(), ExportError> {
        self.connection.execute_batch(sql).map_err(|error| self.error(error))
    }

    pub(super) fn setting(&self, key: &str) -> Result<Option<String>, ExportError> {
        self.get("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get(0))
    }

    pub(super) fn set(&self, key: &str, value: &str) -> Result<(), ExportError> {
        self.change("INSERT OR REPLACE INTO settings VALUES (?1, ?2)", params![key, value])
    }

    /// Removes a setting.
    #[cfg(all(test, unix, feature = "cloud"))]
    pub(super) fn unset(&self, key: &str) -> Result<(), ExportError> {
        self.change("DELETE FROM settings WHERE key = ?1", [key])
    }

    /// Finds an image of a job; `None` if it is not exported.
    pub(super) fn find(&self, job: JobId, nth: usize) -> Result<Option<ExportedImage>, ExportError> {
        let sql = "SELECT row, mark, stem, extension FROM images WHERE job = ?1 AND n = ?2";
        self.get(sql, params![job.bytes(), nth], exported)
    }

    /// Returns whether an image already has this stem, ignoring case.
    pub(super) fn is_taken(&self, stem: &str) -> Result<bool, ExportError> {
        let found = self.get("SELECT 1 FROM images WHERE folded = ?1", [fold(stem)], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Adds an image, and returns its row number.
    pub(super) fn add(
        &self,
        (job, nth): (JobId, usize),
        mark: u64,
        place: Option<(&str, &str)>,
    ) -> Result<i64, ExportError> {
        let sql = "INSERT INTO images (job, n, mark, stem, extension, folded) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (stem, extension) = place.unzip();
        self.change(sql, params![job.bytes(), nth, mark.cast_signed(), stem, extension, stem.map(fold)])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Records that an image has changed.
    pub(super) fn renew(&self, row: i64, mark: u64, extension: &str) -> Result<(), ExportError> {
        self.change(
            "UPDATE images SET mark = ?2, extension = ?3 WHERE row = ?1",
            params![row, mark.cast_signed(), extension],
        )
    }

    pub(super) fn forget(&self, row: i64) -> Result<(), ExportError> {
        self.change("DELETE FROM images WHERE row = ?1", [row])
    }

    /// Returns at most `max` images behind this row, in the order of rows.
    pub(super) fn images_after(&self, row: i64, max: usize) -> Result<Vec<ExportedImage>, ExportError> {
        let sql = "SELECT row, mark, stem, extension FROM images WHERE row > ?1 ORDER BY row LIMIT ?2";
        self.all(sql, params![row, max], exported)
    }

    /// Counts one more file in this split, and returns the number of files that the split ever had before.
    pub(super) fn place_one(&self, split: &str) -> Result<u64, ExportError> {
        let before = self.get("SELECT n FROM placed WHERE split = ?1", [split], |row| row.get(0))?.unwrap_or(0);
        self.change("INSERT OR REPLACE INTO placed VALUES (?1, ?2)", params![split, before + 1])?;
        Ok(before)
    }

    pub(super) fn n_shards(&self, split: &str) -> Result<u64, ExportError> {
        let counted = self.get("SELECT count(*) FROM shards WHERE split = ?1", [split], |row| row.get(0))?;
        Ok(counted.unwrap_or(0))
    }

    /// Records a shard with its length in bytes, which is 0 until the shard is in place.
    pub(super) fn set_shard(&self, name: &str, split: &str, bytes: u64) -> Result<(), ExportError> {
        self.change("INSERT OR REPLACE INTO shards VALUES (?1, ?2, ?3)", params![name, split, bytes])
    }

    pub(super) fn forget_shard(&self, name: &str) -> Result<(), ExportError> {
        self.change("DELETE FROM shards WHERE name = ?1", [name])
    }

    /// Returns the names of the shards and their lengths in bytes.
    pub(super) fn shards(&self) -> Result<Vec<(String, u64)>, ExportError> {
        self.all("SELECT name, bytes FROM shards ORDER BY name", (), |row| Ok((row.get(0)?, row.get(1)?)))
    }

    pub(super) fn n_images(&self) -> Result<u64, ExportError> {
        Ok(self.get("SELECT count(*) FROM images", (), |row| row.get(0))?.unwrap_or(0))
    }

    /// Reports whether an image is as wanted.
    pub(super) fn any_image(&self, mut is_wanted: impl FnMut(&ExportedImage) -> bool) -> Result<bool, ExportError> {
        let mut last = 0;
        loop {
            let page = self.images_after(last, PAGE)?;
            let Some(end) = page.last() else { return Ok(false) };
            last = end.row;
            if page.iter().any(&mut is_wanted) {
                return Ok(true);
            }
        }
    }

    /// Returns the splits whose table was recorded.
    pub(super) fn splits_with_table(&self) -> Result<Vec<String>, ExportError> {
        self.all("SELECT substr(key, 7) FROM settings WHERE key LIKE 'table %'", (), |row| row.get(0))
    }

    /// Passes the job of each exported image to `show`.
    pub(super) fn for_each_job(&self, mut show: impl FnMut(JobId)) -> Result<(), ExportError> {
        let mut read = || {
            let mut statement = self.connection.prepare("SELECT job FROM images")?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                show(JobId::from_bytes(row.get(0)?));
            }
            Ok(())
        };
        read().map_err(|error| self.error(error))
    }

    pub(super) fn clear(&self) -> Result<(), ExportError> {
        self.batch(
            "DELETE FROM images; DELETE FROM shards; DELETE FROM placed; DELETE FROM settings; DELETE FROM objects",
        )
    }

    /// Reads the first row, if there is one.
    pub(super) fn get<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ExportError> {
        let found = || self.connection.prepare_cached(sql)?.query_row(params, read).optional();
        found().map_err(|error| self.error(error))
    }

    /// Reads all rows.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ExportError> {
        let found = || self.connection.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>();
        found().map_err(|error| self.error(error))
    }

    /// Changes rows.
    pub(super) fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), ExportError> {
        let changed = || self.connection.prepare_cached(sql)?.execute(params);
        changed().map(drop).map_err(|error| self.error(error))
    }

    fn error(&self, source: rusqlite::Error) -> ExportError {
        ExportError::State { path: self.path.clone(), source: source.into() }
    }
}

fn exported(row: &rusqlite::Row<'_>) -> rusqlite::Result<ExportedImage> {
    let stem: Option<String> = row.get(2)?;
    let place = stem.zip(row.get(3)?);
    Ok(ExportedImage { row: row.get(0)?, mark: row.get::<_, i64>(1)?.cast_unsigned(), place })
}

/// Returns a stem as file systems that ignore case compare it.
fn fold(stem: &str) -> String {
    stem.to_lowercase()
}
