//! Table reader: the header row names the fields, and the other columns are passed through to the results unchanged.

use std::collections::HashMap;
use std::{io, mem};

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::{Field, META};
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::option_titles::as_option;
use crate::manifest::fields::parse;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::formats::cells::{BadRow, Cell, Row};
use crate::manifest::formats::columns::{Column, ColumnOptions};
use crate::manifest::formats::format::EntrySource;
use crate::manifest::formats::sides::Sides;
use crate::manifest::formats::unclear::UnclearColumns;
use crate::manifest::formats::{columns, json_object, row_lints};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::lists::ListFiles;

/// Rows in which a header is looked for, below the first one.
const ROWS_ABOVE_MAX: usize = 10;

/// Rows of a table in one format.
pub(crate) trait TableRows {
    /// Returns the next row that is not blank.
    fn next_row(&mut self, warnings: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>>;

    /// Returns the delimiter between cells.
    fn delimiter(&self) -> u8;

    /// Returns the location of a cell. An empty cell has the location of its line, and so has an empty span.
    fn place_of(&self, span: Span) -> Location {
        if span.begin < span.end { Location::Span(span) } else { Location::Line(span.line) }
    }

    /// Returns the bytes of the file that have been read.
    fn bytes(&self) -> &HashingReader;
}

/// Entries of a table.
pub(crate) struct Table {
    rows: Box<dyn TableRows>,
    /// Meaning of each column. Empty if the header is not usable; the mistakes say why.
    columns: Vec<Column>,
    /// Titles of the columns, for rows that repeat the header.
    titles: Vec<String>,
    unclear: UnclearColumns,
    n_rows: u64,
}

impl Table {
    /// Reads the header.
    pub(crate) fn open(
        mut rows: Box<dyn TableRows>,
        names: &ColumnOptions,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Self> {
        let (mut titles, mut unclear) = (Vec::new(), UnclearColumns::default());
        let columns = match rows.next_row(&mut findings.warnings)? {
            Some(Ok(header)) => {
                titles = titles_of(&header);
                let below = if has_prompt(&titles, names) { None } else { header_below(&mut *rows, names)? };
                columns_of((&header, below), names, &*rows, &mut unclear, findings)
            }
            Some(Err(bad)) => {
                findings.mistakes.push(rows.place_of(whole_row(bad.line)), bad.wrong);
                None
            }
            None => {
                let remedy = "write a header row with a column `prompt`, then one row for each image";
                findings.mistakes.push(Location::File, wrong("the table is empty", remedy));
                None
            }
        };
        Ok(Self { rows, columns: columns.unwrap_or_default(), titles, unclear, n_rows: 0 })
    }

    /// Reads a row. Returns `None` after a mistake.
    fn entry(&mut self, row: Row, findings: &mut PassDiagnostics) -> Option<Entry> {
        let place = self.rows.place_of(whole_row(row.line));
        let mut entry = Entry::new(place);
        let mut sides = Sides::default();
        let index = |title: &str| self.titles.iter().position(|other| other == title);
        self.unclear.see(|title| index(title).map_or("", |i| &row.cells[i].text));
        for (column, Cell { text, place }) in self.columns.iter().zip(row.cells) {
            match column {
                Column::Extra(name) if name == META => match json_object::parts(&text) {
                    Some(parts) => entry.extras.extend(parts),
                    None if text.is_empty() => {}
                    None => entry.extras.push((name.clone(), text)),
                },
                Column::Extra(name) => entry.extras.push((name.clone(), text)),
                Column::Side(side) => sides.add(*side, &text, self.rows.place_of(place)),
                Column::Known(_) if text.is_empty() => {}
                Column::Known(field) => {
                    entry.given.push(FieldEntry::one(*field, UnparsedValue::Cell(text), self.rows.place_of(place)));
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
        let remedy = if n_cells < n_columns {
            "add the missing cells, even if they are empty".to_owned()
        } else {
            format!("put a cell that holds a {} in quotes", delimiter_name(self.rows.delimiter()))
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
                    let place = self.rows.place_of(whole_row(row.line));
                    findings.mistakes.push(place, row_lints::repeated_header());
                }
                Ok(row) if row.cells.len() == self.columns.len() => {
                    if let Some(entry) = self.entry(row, findings) {
                        return Ok(Some(entry));
                    }
                }
                Ok(row) => {
                    let place = self.rows.place_of(whole_row(row.line));
                    findings.mistakes.push(place, self.wrong_count(row.cells.len()));
                }
                Err(BadRow { line, wrong, .. }) => findings.mistakes.push(self.rows.place_of(whole_row(line)), wrong),
            }
        }
        mem::take(&mut self.unclear).finish("column", findings);
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
        self.rows.bytes()
    }
}

fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b',' => "comma".to_owned(),
        b';' => "semicolon".to_owned(),
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", char::from(other).escape_default()),
    }
}

/// Returns an empty span, whose location is that of its row.
const fn whole_row(line: u64) -> Span {
    Span { line, begin: 0, end: 0 }
}

/// Returns whether one of these titles is that of the prompt.
fn has_prompt(titles: &[String], names: &ColumnOptions) -> bool {
    let column = |title: &String| Column::of(title, names, &titles.iter().map(String::as_str));
    titles.iter().any(|title| column(title) == Column::Known(Field::Prompt))
}

/// Looks for the header in the next rows, below a title of the whole table. Returns where it is.
fn header_below(rows: &mut dyn TableRows, names: &ColumnOptions) -> io::Result<Option<Location>> {
    let mut ignored = DiagnosticList::default();
    for _ in 0..ROWS_ABOVE_MAX {
        match rows.next_row(&mut ignored)? {
            Some(Ok(row)) if has_prompt(&titles_of(&row), names) => {
                return Ok(Some(rows.place_of(whole_row(row.line))));
            }
            Some(Ok(_) | Err(_)) => {}
            None => break,
        }
    }
    Ok(None)
}

/// Reads the columns of the header. Returns `None` if the header has a mistake. `below` is the place of a row that looks like a header.
fn columns_of(
    (header, below): (&Row, Option<Location>),
    names: &ColumnOptions,
    rows: &dyn TableRows,
    unclear: &mut UnclearColumns,
    findings: &mut PassDiagnostics,
) -> Option<Vec<Column>> {
    let place = |i: usize| rows.place_of(header.cells[i].place);
    let row = rows.place_of(whole_row(header.line));
    let n_mistakes = findings.mistakes.n();
    let titles = titles_of(header);
    for (option, name) in names.named() {
        if !columns::has(&titles, name) {
            let issue = columns::no_such_column(option, name, &titles);
            findings.mistakes.push(row, below.map_or(issue.clone(), |below| wrong(issue.what, remove_above(below))));
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
        }
    }
    if names.prompt_name().is_none() && !columns.contains(&Column::Known(Field::Prompt)) {
        let issue = columns::no_prompt_column(&titles);
        findings.mistakes.push(row, below.map_or(issue.clone(), |below| wrong(issue.what, remove_above(below))));
    }
    let is_usable = findings.mistakes.n() == n_mistakes;
    // Rows are read in spite of these, so that the mistakes of both are reported at once.
    for (i, column) in columns.iter().enumerate() {
        if let Column::Extra(title) = column {
            let is_given = |column: &Column| columns.contains(column);
            if let Some(undecided) = columns::lint("column", (title, place(i)), names, is_given, findings) {
                unclear.add(undecided, title, as_option(title), place(i));
            }
        }
    }
    is_usable.then_some(columns)
}

fn remove_above(header: Location) -> String {
    let (name, number) = match header {
        Location::Cell { row, .. } => ("row", row),
        Location::Line(line) | Location::Span(Span { line, .. }) => ("line", line),
        Location::CommandLine | Location::File | Location::Entry(_) | Location::Text(_) => return String::new(),
    };
    format!("{name} {number} looks like the header: remove what is above it")
}

/// Returns the name of each column.
pub(crate) fn titles_of(header: &Row) -> Vec<String> {
    header.cells.iter().enumerate().map(|(i, cell)| columns::title(i, &cell.text)).collect()
}
