//! Immutable ledgers, for example in an archive: read where nothing may be written.
//!
//! `SQLite` normally keeps an index in the folder of a file that it reads.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::error::LedgerError;
use crate::store::sqlite::guard;

/// Returns whether this ledger can be read without an index. It can if no process writes to it and no log is left.
pub(super) fn may_be_read(path: &Path, error: &LedgerError) -> bool {
    let is_refused = match error {
        LedgerError::Database { source, .. } => source
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error_code)
            // A log that ends with its header, and may not be completed, is what the protocol error tells of.
            .is_some_and(|code| matches!(code, ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed)),
        // Covers a folder that accepts no file.
        LedgerError::Io { .. } | LedgerError::Full { .. } => true,
        _ => false,
    };
    is_refused && path.parent().is_some_and(|out| guard::is_log_empty(out).unwrap_or(false))
}

/// Returns a path with options as the URI that `SQLite` reads. `?`, `#` and `%` have a meaning there, so the path is escaped.
pub(super) fn uri(path: &Path, options: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
            _ => uri.extend([String::from("%"), format!("{byte:02X}")]),
        }
    }
    uri + "?" + options
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::{Connection, OpenFlags};

    use super::*;

    #[test]
    fn a_ledger_is_found_whatever_its_folder_is_called() {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let folder = tempfile::tempdir().unwrap();
        for name in ["out", "50% off?", "a#b&c=d", "一只猫", "sp ace"] {
            let path = folder.path().join(name).join("run.db");
            fs::create_dir(path.parent().unwrap()).unwrap();
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
            let still = Connection::open_with_flags(uri(&path, "immutable=1"), flags).unwrap();
            let n: i64 = still.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
            assert_eq!(n, 1, "{name}");
        }
    }
}
