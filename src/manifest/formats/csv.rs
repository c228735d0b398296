//! CSV: a table with a header; commas between the cells, or else semicolons or tabs.

use std::io::{self, BufRead, Chain, Cursor, Read};

use crate::manifest::diagnostics::{DiagnosticList, PassDiagnostics};
use crate::manifest::fields::field::Field;
use crate::manifest::formats::cells::{BadRow, ROW_BYTES_MAX, Row};
use crate::manifest::formats::columns::{self, ColumnOptions};
use crate::manifest::formats::csv_rows::CsvRows;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::table::{Table, TableRows, titles_of};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;

/// Table with commas between the cells, or else semicolons or tabs. Cells that need it are quoted.
pub(crate) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn help(&self) -> &'static str {
        "A table with a header"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let mut input = input.text(findings)?.with_quotes();
        let mut head = first_line(&mut input)?;
        let (delimiter, line) = match delimiter_of_sep_line(&head) {
            Some(delimiter) => {
                head.clear();
                (delimiter, 2)
            }
            None => (delimiter_of(&head, &columns), 1),
        };
        let rows = CsvRows::new(Cursor::new(head).chain(input), delimiter, line);
        Ok(Opened::entries(Table::open(Box::new(rows), &columns, findings)?))
    }
}

impl TableRows for CsvRows<Chain<Cursor<Vec<u8>>, ManifestInput>> {
    fn next_row(&mut self, _: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
        self.next_row()
    }

    fn delimiter(&self) -> u8 {
        self.delimiter()
    }

    fn bytes(&self) -> &HashingReader {
        self.input().get_ref().1.hashed()
    }
}

/// Delimiters between cells, in the order in which they are tried.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Reads the beginning of a table, up to the end of the first line that is not blank.
fn first_line(input: &mut ManifestInput) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let n_bytes = input.by_ref().take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut head)?;
        if n_bytes != 1 || head.last() != Some(&b'\n') || head.len() > ROW_BYTES_MAX {
            return Ok(head);
        }
    }
}

/// Returns the delimiter of Excel's line `sep=;`. `None` for any other line.
fn delimiter_of_sep_line(line: &[u8]) -> Option<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    match line.strip_prefix(b"sep=").or_else(|| line.strip_prefix(b"SEP="))?.trim_ascii_end() {
        [sep] => Some(*sep).filter(|sep| sep.is_ascii_punctuation() && *sep != b'"'),
        // A tab after `sep=` is a delimiter, not white space.
        [] => line.get(b"sep=".len()).copied().filter(|byte| *byte == b'\t'),
        _ => None,
    }
}

/// Detects the delimiter of a header: the first one that yields a prompt column, or else that separates cells.
fn delimiter_of(head: &[u8], names: &ColumnOptions) -> u8 {
    let titles = |delimiter: u8| match CsvRows::new(head, delimiter, 1).next_row() {
        Ok(Some(Ok(header))) => titles_of(&header),
        Ok(Some(Err(_)) | None) | Err(_) => Vec::new(),
    };
    let has_prompt = |titles: &[String]| match &names.prompt_name() {
        Some(name) => columns::has(titles, name),
        None => titles.iter().any(|title| Field::titled(title) == Some(Field::Prompt)),
    };
    let found = DELIMITERS.into_iter().find(|delimiter| has_prompt(&titles(*delimiter)));
    let parts = || DELIMITERS.into_iter().find(|delimiter| titles(*delimiter).len() > 1);
    found.or_else(parts).unwrap_or(b',')
}
