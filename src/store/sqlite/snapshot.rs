//! Read access to a ledger that leaves no trace.
//!
//! No file is created or changed, neither during a live run nor in a folder without write permission.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::{immutable, open};

/// Attempts to read a ledger that changes meanwhile. During each attempt, more than one run would have to begin and end.
const LOOKS_MAX: usize = 3;

/// Passes a snapshot of the ledger in the folder `out` to `read`, and writes nothing.
///
/// `read` may be called again: its result for a ledger that changed meanwhile is discarded.
pub(super) fn read_snapshot(
    out: &Path,
    mut read: impl FnMut(Database) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let path = out.join("run.db");
    let is_there = |path: &Path| path.try_exists().map_err(|source| LedgerError::Io { path: path.to_owned(), source });
    if !is_there(&path)? {
        return Err(LedgerError::Missing { path: out.to_owned() });
    }
    let wal = out.join("run.db-wal");
    let open = |options: &str| open::connect_for_reading(out, path.clone(), Some(&immutable::uri(&path, options)));
    for _ in 0..LOOKS_MAX {
        let before = stamp(&path);
        if is_there(&wal)? {
            // Log present: a process has the ledger open, or died with it open. The existing files are enough for reading.
            match open("readonly_shm=1") {
                Ok(database) => return read(database),
                // Incomplete files, as in the first moments of a run, are the only ones that must be completed.
                Err(_) => break,
            }
        }
        // Log absent: no process has the ledger open. `SQLite` would create files only to read. The option `immutable`
        // therefore states that nothing will change, and the check afterwards verifies that.
        let looked = open("immutable=1").and_then(&mut read);
        if stamp(&path) == before && !is_there(&wal)? {
            return looked;
        }
    }
    read(open::open_for_reading(out)?)
}

/// Returns length and modification time, which change with every write; `None` if they cannot be read.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::RunWriter;
    use crate::store::setting::Setting;
    use crate::store::settings::ReadSettings;
    use crate::store::sqlite::SqliteStore;
    use crate::store::stores;

    /// Returns every file of a folder, with the hash of its bytes.
    fn files(folder: &Path) -> BTreeMap<String, blake3::Hash> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let hash = |path| blake3::hash(&fs::read(path).unwrap());
        entries.map(|file| (file.file_name().into_string().unwrap(), hash(file.path()))).collect()
    }

    fn provider(out: &Path) -> Result<String, LedgerError> {
        stores::read_snapshot(out, |run| run.provider())
    }

    /// Goal: a snapshot read changes no byte and creates no file. Method: read a ledger in each state that a run can leave it
    /// in. The folder has a name that a URI must escape; compare the folder before and after. The test in
    /// `tests/process/edited.rs` covers a live run, because within one process both would share memory.
    #[test]
    fn a_glance_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let [closed, killed] = ["50% off? #1 猫", "killed"].map(|name| folder.path().join(name));
        let file = SqliteStore::open(&closed, "simulator").unwrap();
        fs::create_dir(&killed).unwrap();
        for name in ["run.db", "run.db-wal", "run.db-shm"] {
            fs::copy(closed.join(name), killed.join(name)).unwrap();
        }
        drop(file);
        for (out, n_files) in [(closed, 3), (killed, 3)] {
            let before = files(&out);
            assert_eq!(before.len(), n_files, "{before:?}");
            assert_eq!(provider(&out).unwrap(), "simulator");
            assert_eq!(files(&out), before);
        }
    }

    #[test]
    fn what_changes_under_a_glance_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(folder.path(), "simulator").unwrap());
        let mut n_looks = 0;
        let seen: Result<_, LedgerError> = stores::read_snapshot(folder.path(), |run| {
            n_looks += 1;
            let seen = run.setting(Setting::Columns)?;
            if n_looks == 1 {
                SqliteStore::open(folder.path(), "simulator")?.set_setting(Setting::Columns, "[]")?;
            }
            Ok(seen)
        });
        assert_eq!((seen.unwrap().as_deref(), n_looks), (Some("[]"), 2));
    }

    #[test]
    fn where_there_is_no_ledger_a_glance_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(provider(&folder.path().join("absent")), Err(LedgerError::Missing { .. })));
        assert!(matches!(provider(folder.path()), Err(LedgerError::Missing { .. })));
        assert!(files(folder.path()).is_empty());
        fs::write(folder.path().join("run.db"), "").unwrap();
        assert!(matches!(provider(folder.path()), Err(LedgerError::Missing { .. })));
        assert_eq!(files(folder.path()).len(), 1);
    }

    /// Runs in their first moments have recorded nothing about themselves, and may have died at that point.
    #[test]
    fn a_ledger_without_a_provider_is_no_run_yet() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(folder.path(), "simulator").unwrap();
        file.database.connection.execute("DELETE FROM meta WHERE key = 'provider'", ()).unwrap();
        drop(file);
        assert!(matches!(provider(folder.path()), Err(LedgerError::Missing { .. })));
        assert!(matches!(SqliteStore::open_for_reading(folder.path()), Err(LedgerError::Missing { .. })));
        drop(SqliteStore::open(folder.path(), "simulator").unwrap());
        assert_eq!(provider(folder.path()).unwrap(), "simulator");
    }
}
