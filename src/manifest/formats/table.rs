//! Table reader: the header row names the fields, and the other columns are passed through to the results unchanged.

use std::collections::HashMap;
use std::io::{self, BufRead, Chain, Cursor, Read};

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::{Field, META};
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::parse;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::formats::columns::{Column, ColumnOptions, Sides};
use crate::manifest::formats::format::EntrySource;
use crate::manifest::formats::tokenizer::{BadRow, Cell, CsvTokenizer, ROW_BYTES_MAX, Row};
use crate::manifest::formats::tsv_rows::TsvTokenizer;
use crate::manifest::formats::{columns, json_object, row_lints};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;

/// Entries of a table.
pub(crate) struct Table {
    rows: AnyRows,
    /// Meaning of each column. Empty if the header is not usable; the mistakes say why.
    columns: Vec<Column>,
    /// Titles of the columns, for rows that repeat the header.
    titles: Vec<String>,
    n_rows: u64,
}

/// Rows of a CSV or TSV table.
enum AnyRows {
    /// CSV rows. The beginning of the file was read in advance to detect the delimiter.
    Csv(CsvTokenizer<Chain<Cursor<Vec<u8>>, ManifestInput>>),
    Tsv(TsvTokenizer<ManifestInput>),
}

impl AnyRows {
    fn next_row(&mut self, warnings: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
        match self {
            Self::Csv(rows) => rows.next_row(),
            Self::Tsv(tabs) => tabs.next_row(warnings),
        }
    }
}

impl Table {
    /// Reads the header of a CSV table. Cells are separated by commas, or by the delimiter that the beginning of the table shows.
    pub(crate) fn open_csv(
        mut input: ManifestInput,
        names: &ColumnOptions,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut line = 1;
        let mut delimiter = None;
        if let Some(sep) = take_sep_line(&mut input, &mut head)? {
            (line, delimiter) = (2, Some(sep));
        }
        let delimiter = match delimiter {
            Some(delimiter) => delimiter,
            None => delimiter_of(&head, names),
        };
        let rows = CsvTokenizer::new(Cursor::new(head).chain(input), delimiter, line);
        Self::open(AnyRows::Csv(rows), names, findings)
    }

    /// Reads the header of a TSV table, like `open_csv`.
    pub(crate) fn open_tsv(
        input: ManifestInput,
        names: &ColumnOptions,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Self> {
        Self::open(AnyRows::Tsv(TsvTokenizer::new(input)), names, findings)
    }

    fn open(mut rows: AnyRows, names: &ColumnOptions, findings: &mut PassDiagnostics) -> io::Result<Self> {
        let mut titles = Vec::new();
        let columns = match rows.next_row(&mut findings.warnings)? {
            Some(Ok(header)) => {
                titles = titles_of(&header);
                columns_of(&header, names, findings)
            }
            Some(Err(bad)) => {
                findings.mistakes.push(Location::Line(bad.line), bad.wrong);
                None
            }
            None => {
                let remedy = "write a header row with a column `prompt`, then one row for each image";
                findings.mistakes.push(Location::File, wrong("the table is empty", remedy));
                None
            }
        };
        Ok(Self { rows, columns: columns.unwrap_or_default(), titles, n_rows: 0 })
    }

    /// Reads a row. Returns `None` after a mistake.
    fn entry(&self, row: Row, findings: &mut PassDiagnostics) -> Option<Entry> {
        let place = Location::Line(row.line);
        let mut entry = Entry::new(place);
        let mut sides = Sides::default();
        for (column, Cell { text, place }) in self.columns.iter().zip(row.cells) {
            match column {
                Column::Extra(name) if name == META => match json_object::parts(&text) {
                    Some(parts) => entry.extras.extend(parts),
                    None if text.is_empty() => {}
                    None => entry.extras.push((name.clone(), text)),
                },
                Column::Extra(name) => entry.extras.push((name.clone(), text)),
                Column::Side(side) => sides.add(*side, &text, place_of(place)),
                Column::Known(_) if text.is_empty() => {}
                Column::Known(field) => {
                    entry.given.push(FieldEntry::one(*field, UnparsedValue::Cell(text), place_of(place)));
                }
            }
        }
        match sides.size(&entry.given) {
            Ok(size) => entry.given.extend(size),
            Err((place, wrong)) => {
                findings.mistakes.push(place, wrong);
                return None;
            }
        }
        Some(entry)
    }

    fn wrong_count(&self, n_cells: usize) -> Issue {
        let n_columns = self.columns.len();
        let cells = if n_cells == 1 { "cell" } else { "cells" };
        let remedy = match &self.rows {
            _ if n_cells < n_columns => "add the missing cells, even if they are empty".to_owned(),
            AnyRows::Csv(rows) => format!("put a cell that holds a {} in quotes", delimiter_name(rows.delimiter())),
            AnyRows::Tsv(_) => "put a cell that holds a tab in quotes".to_owned(),
        };
        wrong(format!("this row has {n_cells} {cells} and the header {n_columns}"), remedy)
    }
}

impl EntrySource for Table {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        while let Some(row) = self.rows.next_row(&mut findings.warnings)? {
            if row.as_ref().is_ok_and(|row| row_lints::is_blank(&row.cells)) {
                continue;
            }
            self.n_rows += 1;
            match row {
                Ok(row) if row_lints::is_header(&row.cells, &self.titles) => {
                    findings.mistakes.push(Location::Line(row.line), row_lints::repeated_header());
                }
                Ok(row) if row.cells.len() == self.columns.len() => {
                    if let Some(entry) = self.entry(row, findings) {
                        return Ok(Some(entry));
                    }
                }
                Ok(row) => findings.mistakes.push(Location::Line(row.line), self.wrong_count(row.cells.len())),
                Err(BadRow { line, wrong, .. }) => findings.mistakes.push(Location::Line(line), wrong),
            }
        }
        if self.n_rows == 0 {
            let remedy = "write one row for each image below the header";
            findings.mistakes.push(Location::File, wrong("the table has a header and no rows", remedy));
        }
        Ok(None)
    }

    fn used_columns(&self) -> Vec<(String, String)> {
        let used = self.titles.iter().zip(&self.columns);
        used.filter_map(|(title, column)| Some((title.clone(), column.field_name()?.to_owned()))).collect()
    }

    fn bytes(&self) -> &HashingReader {
        match &self.rows {
            AnyRows::Csv(rows) => rows.input().get_ref().1.hashed(),
            AnyRows::Tsv(tabs) => tabs.input().hashed(),
        }
    }
}

/// Returns the location of a cell. An empty cell has the location of its line.
fn place_of(span: Span) -> Location {
    if span.begin < span.end { Location::Span(span) } else { Location::Line(span.line) }
}

/// Delimiters between cells, in the order in which they are tried.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", char::from(other).escape_default()),
    }
}

/// Reads the beginning of a table into `head`, up to the end of the first line that is not blank.
/// If that line is Excel's `sep=;`, the delimiter is returned and the line is removed from `head`.
fn take_sep_line(input: &mut ManifestInput, head: &mut Vec<u8>) -> io::Result<Option<u8>> {
    while head.len() <= ROW_BYTES_MAX {
        let piece = input.fill_buf()?;
        let n_blank = piece.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let is_blank = head.iter().all(|byte| matches!(byte, b'\n' | b'\r'));
        let begin = if is_blank { n_blank } else { 0 };
        let end = piece[begin..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let n_bytes = end.map_or(piece.len(), |end| begin + end + 1);
        head.extend_from_slice(&piece[..n_bytes]);
        input.consume(n_bytes);
        if end.is_some() || n_bytes == 0 {
            break;
        }
    }
    let line = head.trim_ascii_end();
    let said = line.strip_prefix(b"sep=").or_else(|| line.strip_prefix(b"SEP="));
    // Looks at the untrimmed bytes: a tab after `sep=` is a delimiter, not white space.
    let sep = match said {
        Some([sep]) => Some(*sep).filter(|sep| sep.is_ascii_punctuation() && *sep != b'"'),
        Some([]) => head.get(b"sep=".len()).copied().filter(|byte| *byte == b'\t'),
        Some(_) | None => None,
    };
    if sep.is_some() {
        // Skips the second character of a two-character line end. It is still unread and does not start a new line.
        if head.ends_with(b"\r") && input.fill_buf()?.first() == Some(&b'\n') {
            input.consume(1);
        }
        head.clear();
    }
    Ok(sep)
}

/// Detects the delimiter of a header: the first one that yields a prompt column, or else that separates cells.
fn delimiter_of(head: &[u8], names: &ColumnOptions) -> u8 {
    let titles = |delimiter: u8| match CsvTokenizer::new(head, delimiter, 1).next_row() {
        Ok(Some(Ok(header))) => titles_of(&header),
        Ok(Some(Err(_)) | None) | Err(_) => Vec::new(),
    };
    let has_prompt = |titles: &[String]| match names.prompt_name() {
        Some(name) => columns::has(titles, name),
        None => titles.iter().any(|title| Field::titled(title) == Some(Field::Prompt)),
    };
    let found = DELIMITERS.into_iter().find(|delimiter| has_prompt(&titles(*delimiter)));
    let parts = || DELIMITERS.into_iter().find(|delimiter| titles(*delimiter).len() > 1);
    found.or_else(parts).unwrap_or(b',')
}

/// Reads the columns of the header. Returns `None` if the header has a mistake.
fn columns_of(header: &Row, names: &ColumnOptions, findings: &mut PassDiagnostics) -> Option<Vec<Column>> {
    let place = |i: usize| place_of(header.cells[i].place);
    let n_mistakes = findings.mistakes.n();
    let titles = titles_of(header);
    for (option, name) in names.named() {
        if !columns::has(&titles, name) {
            findings.mistakes.push(Location::Line(header.line), columns::no_such_column(option, name, &titles));
        }
    }
    let columns: Vec<Column> =
        titles.iter().map(|title| Column::of(title, names, &titles.iter().map(String::as_str))).collect();
    let mut first = HashMap::new();
    for (i, column) in columns.iter().enumerate() {
        if let Some(before) = first.insert(column, i) {
            let what = format!("columns {} and {} are both {}", before + 1, i + 1, shown_text(column.name()));
            findings.mistakes.push(place(i), wrong(what, "rename or remove one of them"));
        }
        if let Column::Extra(title) = column {
            // Reported here, once, because every row carries the name along.
            parse::column(title).unwrap_or_else(|wrong| findings.mistakes.push(place(i), wrong));
            columns::lint("column", (title, place(i)), names, |column| columns.contains(column), findings);
        }
    }
    if names.prompt_name().is_none() && !columns.contains(&Column::Known(Field::Prompt)) {
        findings.mistakes.push(Location::Line(header.line), columns::no_prompt_column(&titles));
    }
    (findings.mistakes.n() == n_mistakes).then_some(columns)
}

fn titles_of(header: &Row) -> Vec<String> {
    header.cells.iter().enumerate().map(|(i, cell)| columns::title(i, &cell.text)).collect()
}
