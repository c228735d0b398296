//! Reads a ledger where nothing may be written, such as in an archive: `SQLite` keeps an index beside a file that it reads.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Whether this ledger could be read without an index: nobody writes to it, and no log of it is left.
pub fn may_be_read(path: &Path, error: &rusqlite::Error) -> bool {
    let is_refused = matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly));
    is_refused && fs::metadata(path.with_file_name("run.db-wal")).map_or(0, |log| log.len()) == 0
}

/// Opens a ledger that does not change.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri(path), flags)
}

/// A path as a URI, in which `?`, `#` and `%` have a meaning.
fn uri(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let escaped = bytes.map(|byte| match byte {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("file:{}?immutable=1", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_found_whatever_its_folder_is_called() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["out", "50% off?", "a#b&c=d", "一只猫", "sp ace"] {
            let path = folder.path().join(name).join("run.db");
            fs::create_dir(path.parent().unwrap()).unwrap();
            Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
            let n: i64 =
                connect(&path).unwrap().query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
            assert_eq!(n, 1, "{name}");
        }
    }
}
