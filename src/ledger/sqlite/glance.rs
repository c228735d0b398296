//! Reading a ledger without leaving a trace: no file is made or touched, neither beside a live run nor in a folder that
//! nobody may write to.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{RunFile, still};

/// Looks at a ledger that changes meanwhile. More than one run would have to begin and end during each of them.
const LOOKS_MAX: usize = 3;

impl RunFile {
    /// Shows the ledger in the folder `out` to `read` at one moment of its life, and writes nothing whatever.
    ///
    /// `read` may be called again: what it made of a ledger that changed meanwhile is thrown away.
    pub fn glance<T, E: From<LedgerError>>(out: &Path, mut read: impl FnMut(&Self) -> Result<T, E>) -> Result<T, E> {
        let path = out.join("run.db");
        let is_there =
            |path: &Path| path.try_exists().map_err(|source| LedgerError::Io { path: path.to_owned(), source });
        if !is_there(&path)? {
            return Err(LedgerError::Missing { path: out.to_owned() }.into());
        }
        let wal = out.join("run.db-wal");
        let open = |options: &str| Self::connect_for_reading(out, path.clone(), Some(&still::uri(&path, options)));
        for _ in 0..LOOKS_MAX {
            let before = stamp(&path);
            if is_there(&wal)? {
                // Somebody has it open, or died with it open, and what there is will do to read by.
                match open("readonly_shm=1") {
                    Ok(file) => return file.at_once(|| read(&file)),
                    // Only where it is incomplete, as in the first moments of a run, must it be completed.
                    Err(_) => break,
                }
            }
            // Nobody has it open. `SQLite` would make files only to read, so it is told that nothing will change, and that is
            // checked afterwards.
            let looked = open("immutable=1").map_err(E::from).and_then(|file| file.at_once(|| read(&file)));
            if stamp(&path) == before && !is_there(&wal)? {
                return looked;
            }
        }
        let file = Self::open_for_reading(out)?;
        file.at_once(|| read(&file))
    }
}

/// What changes when anything is written to a file; nothing when that cannot be known.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Every file of a folder and the hash of its bytes.
    fn files(folder: &Path) -> BTreeMap<String, blake3::Hash> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let hash = |path| blake3::hash(&fs::read(path).unwrap());
        entries.map(|file| (file.file_name().into_string().unwrap(), hash(file.path()))).collect()
    }

    fn provider(out: &Path) -> Result<String, LedgerError> {
        RunFile::glance(out, RunFile::provider)
    }

    /// Goal: a glance changes no byte and makes no file. Method: look at a ledger in the states that a run can leave it in, under
    /// a name that a URI has to spell out, and compare the folder before and after. That a live run is not disturbed either is
    /// seen in `tests/process/edited.rs`, as the two would share their memory in one process.
    #[test]
    fn a_glance_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let [closed, killed] = ["50% off? #1 猫", "killed"].map(|name| folder.path().join(name));
        let file = RunFile::open(&closed, "simulator").unwrap();
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
        drop(RunFile::open(folder.path(), "simulator").unwrap());
        let mut n_looks = 0;
        let seen: Result<_, LedgerError> = RunFile::glance(folder.path(), |file| {
            n_looks += 1;
            let seen = file.meta("columns")?;
            if n_looks == 1 {
                RunFile::open(folder.path(), "simulator")?.set_meta("columns", "[]")?;
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

    /// In its first moments a run has said nothing of itself yet, and may have died before it did.
    #[test]
    fn a_ledger_without_a_provider_is_no_run_yet() {
        let folder = tempfile::tempdir().unwrap();
        let file = RunFile::open(folder.path(), "simulator").unwrap();
        file.connection.execute("DELETE FROM meta WHERE key = 'provider'", ()).unwrap();
        drop(file);
        assert!(matches!(provider(folder.path()), Err(LedgerError::Missing { .. })));
        assert!(matches!(RunFile::open_for_reading(folder.path()), Err(LedgerError::Missing { .. })));
        drop(RunFile::open(folder.path(), "simulator").unwrap());
        assert_eq!(provider(folder.path()).unwrap(), "simulator");
    }
}
