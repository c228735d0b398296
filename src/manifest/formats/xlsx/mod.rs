//! Workbooks (XLSX, ODS, XLS): the first visible sheet, or the one that the user names. Its rows are read as those of a CSV table are.

mod book;
mod cells;
mod compound;
mod excel;
mod ods;
mod ods_text;
mod parts;
mod workbook;
mod xls;
mod xls_formats;
mod xls_records;

use std::io::{self, Read};
use std::vec;

use crate::manifest::diagnostics::{DiagnosticList, Location, PassDiagnostics, Span, wrong};
use crate::manifest::foreign_files;
use crate::manifest::formats::cells::{BadRow, Cell, Row};
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::table::{Table, TableRows};
use crate::manifest::formats::xlsx::workbook::{Sheet, SheetCell};
use crate::manifest::input::bytes::DecompressedReader;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::lists::ListFiles;

/// Limit on a workbook in bytes. It is read as a whole.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// Workbook of a spreadsheet program.
pub(crate) struct Xlsx;

impl Format for Xlsx {
    fn name(&self) -> &'static str {
        "xlsx"
    }

    fn help(&self) -> &'static str {
        "A sheet of a workbook, with a header"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["xlsx", "xlsm", "ods", "xls"]
    }

    fn has_sheets(&self) -> bool {
        true
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let mut file = input.bytes()?;
        let mut bytes = Vec::new();
        file.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        let sheet = if bytes.len() as u64 > FILE_BYTES_MAX {
            let what = format!("the workbook is larger than {} MiB", FILE_BYTES_MAX >> 20);
            Err(wrong(what, "save the sheet as \"CSV UTF-8\""))
        } else if let Some(issue) = foreign_files::no_workbook(&bytes) {
            Err(issue)
        } else {
            workbook::read(&bytes, input.sheet, findings)
        };
        let sheet = sheet.map_err(|issue| findings.mistakes.push(Location::File, issue));
        let is_read = sheet.is_ok();
        let rows = Box::new(SheetRows::new(file, sheet.unwrap_or_default()));
        // After a mistake, the empty table is no further one.
        let mut ignored = PassDiagnostics::default();
        Ok(Opened::entries(Table::open(rows, &columns, if is_read { findings } else { &mut ignored })?))
    }
}

/// Rows of a sheet, each as long as the longest one. The texts begin in the first column and row that have any.
struct SheetRows {
    file: DecompressedReader,
    cells: std::iter::Peekable<vec::IntoIter<SheetCell>>,
    columns: (u32, u32),
}

impl SheetRows {
    fn new(file: DecompressedReader, sheet: Sheet) -> Self {
        let columns = || sheet.cells.iter().filter(|cell| !cell.text.trim().is_empty()).map(|cell| cell.column);
        let columns = (columns().min().unwrap_or(0), columns().max().map_or(0, |last| last + 1));
        Self { file, cells: sheet.cells.into_iter().peekable(), columns }
    }
}

impl TableRows for SheetRows {
    fn next_row(&mut self, _: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
        let Some(number) = self.cells.peek().map(|cell| cell.row) else { return Ok(None) };
        let line = u64::from(number) + 1;
        let (first, end) = self.columns;
        // The place of a cell is that of a span whose bytes are columns.
        let cell = |column| Cell { text: String::new(), place: Span { line, begin: column, end: column + 1 } };
        let mut cells: Vec<_> = (first..end).map(cell).collect();
        while let Some(SheetCell { column, text, .. }) = self.cells.next_if(|cell| cell.row == number) {
            if let Some(cell) = column.checked_sub(first).and_then(|i| cells.get_mut(i as usize)) {
                cell.text = text;
            }
        }
        Ok(Some(Ok(Row { line, cells })))
    }

    fn delimiter(&self) -> u8 {
        b','
    }

    fn place_of(&self, Span { line, begin, end }: Span) -> Location {
        Location::Cell { row: line, column: if begin < end { begin + 1 } else { 0 } }
    }

    fn bytes(&self) -> &HashingReader {
        self.file.hashed()
    }
}
