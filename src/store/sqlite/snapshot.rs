//! Read access to a ledger that leaves no trace.
//!
//! No file is created or changed, neither during a live run nor in a folder without write permission.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::{guard, immutable, open};

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
    let io = |source| LedgerError::Io { path: path.clone(), source };
    if !path.try_exists().map_err(io)? {
        return Err(LedgerError::Missing { path: out.to_owned() });
    }
    let open = |options: &str| open::connect_for_reading(out, path.clone(), Some(&immutable::uri(&path, options)));
    for _ in 0..LOOKS_MAX {
        let before = stamp(&path);
        if !guard::is_log_empty(out).map_err(io)? {
            // Records in the log: a process has the ledger open, or died with it open. The existing files are enough for reading.
            match open("readonly_shm=1") {
                Ok(database) => return read(database),
                // Incomplete files, as in the first moments of a run, are the only ones that must be completed.
                Err(_) => break,
            }
        }
        // No record in a log: all of the ledger is in its file. `SQLite` would create files only to read, or wait ten seconds for the
        // first record of a killed process. The option `immutable` states that nothing will change, and the check afterwards verifies it.
        let looked = open("immutable=1").and_then(&mut read);
        if stamp(&path) == before && guard::is_log_empty(out).map_err(io)? {
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

    /// Goal: a ledger whose process was killed before the first record of its log is read at once, without a trace. Method: the log
    /// and its index as they are at each such moment. Opening for reading would complete them.
    #[test]
    fn a_log_without_a_record_is_not_waited_for() {
        let live = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(live.path(), "simulator").unwrap();
        let log = fs::read(live.path().join("run.db-wal")).unwrap();
        drop(file);
        for (log_bytes, index_bytes) in [(0, 0), (0, 3), (0, 32_768), (16, 32_768), (32, 3), (32, 32_768)] {
            let folder = tempfile::tempdir().unwrap();
            fs::copy(live.path().join("run.db"), folder.path().join("run.db")).unwrap();
            fs::write(folder.path().join("run.db-wal"), &log[..log_bytes]).unwrap();
            fs::write(folder.path().join("run.db-shm"), vec![0; index_bytes]).unwrap();
            let before = files(folder.path());
            assert_eq!(provider(folder.path()).unwrap(), "simulator", "{log_bytes} and {index_bytes} bytes");
            assert_eq!(files(folder.path()), before, "{log_bytes} and {index_bytes} bytes");
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
