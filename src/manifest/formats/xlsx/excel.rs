//! XLSX workbook: an archive of XML parts, as newer versions of Excel write it.

use std::io::Cursor;

use calamine::{Reader, SheetType, SheetVisible, Xlsx};

use crate::manifest::diagnostics::Issue;
use crate::manifest::formats::xlsx::book::{
    Book, BookCell, HiddenParts, MergedCells, PEEKED_MAX, SeeCell, SheetName, unreadable,
};
use crate::manifest::formats::xlsx::cells::{self, CellText};
use crate::manifest::formats::xlsx::parts::{self, SheetFacts};

/// Workbook in an archive.
pub(super) struct ExcelBook<'a> {
    bytes: &'a [u8],
    workbook: Xlsx<Cursor<&'a [u8]>>,
    /// Sheet that was read, and what it hides.
    read: (String, SheetFacts),
}

impl<'a> ExcelBook<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Issue> {
        parts::check_size(bytes, parts::XML_BYTES_MAX)?;
        let workbook = Xlsx::new(Cursor::new(bytes)).map_err(|error| unreadable(&error, "xlsx"))?;
        Ok(Self { bytes, workbook, read: Default::default() })
    }
}

impl Book for ExcelBook<'_> {
    fn sheets(&self) -> Vec<SheetName> {
        let sheets = self.workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        let name = |sheet: &calamine::Sheet| SheetName {
            name: sheet.name.clone(),
            is_visible: sheet.visible == SheetVisible::Visible,
        };
        sheets.map(name).collect()
    }

    fn read(&mut self, sheet: &str, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        let facts = parts::facts(self.bytes, sheet);
        let mut reader = self.workbook.worksheet_cells_reader(sheet).map_err(|error| unreadable(&error, "xlsx"))?;
        while let Some(cell) = reader.next_cell_with_formula_metadata().map_err(|error| unreadable(&error, "xlsx"))? {
            let (row, column) = cell.pos;
            let text = cells::text(&cell.value, facts.number(row, column));
            see(BookCell { row, column, text, is_formula: cell.formula.is_some() })?;
        }
        self.read = (sheet.to_owned(), facts);
        Ok(())
    }

    fn has_text(&mut self, sheet: &str) -> bool {
        let Ok(mut reader) = self.workbook.worksheet_cells_reader(sheet) else { return false };
        let mut cells = std::iter::from_fn(|| reader.next_cell().ok().flatten()).take(PEEKED_MAX);
        cells.any(|cell| !matches!(cells::text(cell.get_value(), None), CellText::Empty | CellText::Blank))
    }

    fn hidden(&self) -> HiddenParts {
        self.read.1.hidden
    }

    fn merged(&mut self) -> Vec<MergedCells> {
        let merged = self.workbook.merge_cells_by_sheet_name(&self.read.0).unwrap_or_default();
        merged.into_iter().map(|merged| MergedCells { first: merged.start, last: merged.end }).collect()
    }
}
