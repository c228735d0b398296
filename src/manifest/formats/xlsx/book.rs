//! Workbook in any file format: its sheets, and the texts of one of them.

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, column_name, wrong};
use crate::manifest::formats::xlsx::cells::CellText;
use crate::model::escape::excerpt;

/// Cells that are read to find out whether another sheet has any text.
pub(super) const PEEKED_MAX: usize = 10_000;

/// Workbook of a spreadsheet program.
pub(super) trait Book {
    /// Returns the sheets that have cells, in their order.
    fn sheets(&self) -> Vec<SheetName>;

    /// Passes each cell of a sheet to `see`, in any order. An issue ends the sheet.
    fn read(&mut self, sheet: &str, see: &mut SeeCell<'_>) -> Result<(), Issue>;

    /// Returns whether one of the first cells of a sheet has a text.
    fn has_text(&mut self, sheet: &str) -> bool;

    /// Returns what the sheet that was read hides.
    fn hidden(&self) -> HiddenParts;

    /// Returns the merged cells of the sheet that was read.
    fn merged(&mut self) -> Vec<MergedCells>;
}

/// Visitor of the cells of a sheet.
pub(super) type SeeCell<'a> = dyn FnMut(BookCell) -> Result<(), Issue> + 'a;

/// Name of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SheetName {
    pub(super) name: String,
    pub(super) is_visible: bool,
}

/// Cell of a sheet. Row and column count from 0.
#[derive(Debug, PartialEq)]
pub(super) struct BookCell {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) text: CellText,
    /// Says whether a formula computes the cell.
    pub(super) is_formula: bool,
}

/// Merged cells, from their first row and column to the last ones, which count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MergedCells {
    pub(super) first: (u32, u32),
    pub(super) last: (u32, u32),
}

/// Hidden rows and columns of a sheet. They count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HiddenParts {
    /// First hidden row, and the number of all.
    pub(super) rows: Option<(u64, u64)>,
    /// First and last hidden column.
    pub(super) columns: Option<(u32, u32)>,
}

impl HiddenParts {
    pub(super) fn add_rows(&mut self, row: u64, n: u64) {
        self.rows.get_or_insert((row, 0)).1 += n;
    }

    pub(super) fn add_columns(&mut self, min: u32, max: u32) {
        let (first, last) = self.columns.unwrap_or((min, max));
        self.columns = Some((first.min(min), last.max(max)));
    }

    /// Warns that hidden rows and columns are read.
    pub(super) fn warn(self, warnings: &mut DiagnosticList) {
        let remedy = "show them and check them, or delete those that are not meant";
        if let Some((row, n)) = self.rows {
            let what =
                if n == 1 { "a hidden row is read too".to_owned() } else { format!("{n} hidden rows are read too") };
            warnings.push(Location::Cell { row, column: 0 }, wrong(what, remedy));
        }
        if let Some((first, last)) = self.columns {
            let what = if first == last {
                format!("the hidden column {} is read too", column_name(first))
            } else {
                format!("the hidden columns {} to {} are read too", column_name(first), column_name(last))
            };
            warnings.push(Location::Cell { row: 1, column: first }, wrong(what, remedy));
        }
    }
}

/// Returns the mistake for a workbook that cannot be read. `ending` is that of its file format.
pub(super) fn unreadable(error: &dyn std::fmt::Display, ending: &str) -> Issue {
    let what = format!("the workbook could not be read: {}", excerpt(&error.to_string(), 120));
    wrong(what, format!("open it in a spreadsheet program and save it again as .{ending}"))
}

/// Returns the mistake for a workbook that only a password opens.
pub(super) fn protected() -> Issue {
    wrong("the workbook is protected with a password", "save it without a password")
}
