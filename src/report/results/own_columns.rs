//! Columns of an existing results table that no run has written: the user added them, and a new table would not have them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::report::results::guard::guarded;
use crate::report::results::{COLUMNS, LAST_COLUMNS, distinct, headings};

/// Bytes of a header that are read.
const HEADER_BYTES: u64 = 1 << 20;

/// Returns the first column of the table at this path that is neither ours nor one of these columns of a manifest. `None` if there is none,
/// or no table.
pub(crate) fn foreign_column(path: &Path, columns: &[String]) -> io::Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let mut table =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(File::open(path)?.take(HEADER_BYTES));
    let mut header = csv::ByteRecord::new();
    if !table.read_byte_record(&mut header)? {
        return Ok(None);
    }
    let columns = distinct(columns);
    let further = headings(&columns, &[&COLUMNS[..], &LAST_COLUMNS].concat());
    let known = |name: &str| {
        let is_ours = COLUMNS.contains(&name) || LAST_COLUMNS.contains(&name);
        let is_same = |column: &String| column == name || guarded(column.as_str().into()) == name;
        is_ours || columns.iter().chain(&further).any(is_same)
    };
    let names = header.iter().map(|name| String::from_utf8_lossy(name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name)));
    // A spreadsheet may write empty columns behind the others.
    Ok(names.map(std::borrow::Cow::into_owned).find(|name| !name.trim().is_empty() && !known(name)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn columns_of_others_are_found_and_no_column_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        let ours = COLUMNS.join(",");
        let columns = ["kind", "seed", "row", "=sum", "a,b"].map(str::to_owned);
        for (header, expected) in [
            (ours.clone() + ",cost,row,currency", None),
            (format!("\u{feff}{ours},kind,input_seed,row,cost"), None),
            (format!("{ours},'=sum,=sum,\"a,b\",cost,,"), None),
            (format!("{ours},cost,rating"), Some("rating")),
            (format!("{ours},cost,row,Kind"), Some("Kind")),
            (format!("{ours},my note,kind,cost"), Some("my note")),
        ] {
            fs::write(&path, format!("{header}\n1,2\n")).unwrap();
            assert_eq!(foreign_column(&path, &columns).unwrap().as_deref(), expected, "{header}");
        }
        assert_eq!(foreign_column(folder.path(), &columns).unwrap(), None);
    }
}
