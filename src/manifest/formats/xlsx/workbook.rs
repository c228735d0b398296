//! Workbook reader: the texts of one sheet, and warnings about what a reader of the sheet does not see in them.

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, column_name, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::xlsx::book::{Book, BookCell, MergedCells};
use crate::manifest::formats::xlsx::cells::{self, CellText};
use crate::manifest::formats::xlsx::excel::ExcelBook;
use crate::manifest::formats::xlsx::ods::OdsBook;
use crate::manifest::formats::xlsx::xls::XlsBook;

/// Limit on the texts of a sheet.
const CELLS_MAX: usize = 8_000_000;

/// Limit on the columns of a sheet. No manifest may carry more of them through.
const COLUMNS_MAX: u32 = 1_000;

/// Limit on the texts of a sheet together, in bytes.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// Sheets that a message names.
const NAMES_SHOWN_MAX: usize = 6;

/// Cell with a text. Row and column count from 0.
#[derive(Debug)]
pub(crate) struct SheetCell {
    pub(crate) row: u32,
    pub(crate) column: u32,
    pub(crate) text: String,
}

/// Cells of a sheet that have a text, row by row.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) cells: Vec<SheetCell>,
}

/// First bytes of a zip archive, which a newer workbook is.
const ZIP: &[u8] = b"PK";

/// Reads the sheet with this name, or the first visible one.
pub(crate) fn read(bytes: &[u8], wanted: Option<&str>, findings: &mut PassDiagnostics) -> Result<Sheet, Issue> {
    let mut book: Box<dyn Book + '_> = if !bytes.starts_with(ZIP) {
        Box::new(XlsBook::open(bytes)?)
    } else if OdsBook::is_it(bytes) {
        Box::new(OdsBook::open(bytes)?)
    } else {
        Box::new(ExcelBook::open(bytes)?)
    };
    let book = &mut *book;
    let name = sheet_name(book, wanted)?;
    findings.parts = vec![name.clone()];
    let mut sheet = sheet(book, &name, findings)?;
    // A writer may have written the cells in another order.
    sheet.cells.sort_by_key(|cell| (cell.row, cell.column));
    let columns = || sheet.cells.iter().map(|cell| cell.column);
    if let (Some(first), Some(last)) = (columns().min(), columns().max())
        && last - first >= COLUMNS_MAX
    {
        let what = format!("the sheet has texts more than {COLUMNS_MAX} columns apart");
        return Err(wrong(what, format!("clear the cells on the right, up to column {}", column_name(last + 1))));
    }
    book.hidden().warn(&mut findings.warnings);
    warn_of_merged(&book.merged(), &sheet, &mut findings.warnings);
    let others = if wanted.is_none() { other_sheets(book, &name) } else { Vec::new() };
    if sheet.cells.is_empty() && !others.is_empty() {
        let what = format!("the sheet {} is empty", shown_text(&name));
        return Err(wrong(what, format!("name another one with --sheet: {}", others.join(", "))));
    }
    if !others.is_empty() {
        let what = format!("only the sheet {} is read, and not {}", shown_text(&name), others.join(", "));
        let remedy = format!("read another one with --sheet NAME; --sheet {name:?} confirms this one");
        findings.warnings.push(Location::File, wrong(what, remedy));
    }
    Ok(sheet)
}

fn sheet_name(book: &dyn Book, wanted: Option<&str>) -> Result<String, Issue> {
    let sheets = book.sheets();
    let names = || {
        let names: Vec<_> = sheets.iter().take(NAMES_SHOWN_MAX).map(|sheet| shown_text(&sheet.name)).collect();
        names.join(", ")
    };
    let Some(wanted) = wanted else {
        let visible = sheets.iter().find(|sheet| sheet.is_visible);
        return visible.map(|sheet| sheet.name.clone()).ok_or_else(|| {
            wrong("the workbook has no visible sheet", format!("name a hidden one with --sheet: {}", names()))
        });
    };
    let plain = |name: &str| name.trim().to_lowercase();
    let exact = sheets.iter().find(|sheet| sheet.name == wanted);
    let found = exact.or_else(|| sheets.iter().find(|sheet| plain(&sheet.name) == plain(wanted)));
    found.map(|sheet| sheet.name.clone()).ok_or_else(|| {
        let what = format!("no sheet is called {}, which --sheet names", shown_text(wanted));
        wrong(what, format!("the workbook has {}", names()))
    })
}

/// Reads the texts of a sheet. Cells that have no text to read are mistakes.
fn sheet(book: &mut dyn Book, name: &str, findings: &mut PassDiagnostics) -> Result<Sheet, Issue> {
    let mut sheet = Sheet::default();
    let mut n_bytes = 0;
    let mut uncomputed: Option<(Location, u64)> = None;
    book.read(name, &mut |BookCell { row, column, text, is_formula }| {
        let place = Location::Cell { row: u64::from(row) + 1, column: column + 1 };
        let text = match text {
            CellText::Text(text) => text,
            CellText::Rounded(text) => {
                let what = format!("the number {} has more digits than a spreadsheet keeps", shown_text(&text));
                findings.warnings.push(place, wrong(what, "format the cell as text, and write the number again"));
                text
            }
            CellText::Empty if is_formula => {
                uncomputed.get_or_insert((place, 0)).1 += 1;
                return Ok(());
            }
            CellText::Empty | CellText::Blank => return Ok(()),
        };
        n_bytes += text.len();
        if sheet.cells.len() == CELLS_MAX || n_bytes > TEXT_BYTES_MAX {
            let what = format!("the sheet has more than {CELLS_MAX} cells, or {} MiB of text", TEXT_BYTES_MAX >> 20);
            return Err(wrong(what, "save it as \"CSV UTF-8\", which is read piece by piece"));
        }
        sheet.cells.push(SheetCell { row, column, text });
        Ok(())
    })?;
    if let Some((place, n)) = uncomputed {
        let what = match n {
            1 => "this formula has no saved result".to_owned(),
            2 => "this formula, and 1 more, has no saved result".to_owned(),
            n => format!("this formula, like {} others, has no saved result", n - 1),
        };
        let remedy = "open the workbook in a spreadsheet program and save it, which computes all formulas";
        findings.mistakes.push(place, wrong(what, remedy));
    }
    Ok(sheet)
}

/// Returns the names of the other sheets that have a text.
fn other_sheets(book: &mut dyn Book, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    for other in book.sheets().into_iter().filter(|sheet| sheet.name != name) {
        if book.has_text(&other.name) {
            let hidden = if other.is_visible { "" } else { " (hidden)" };
            names.push(shown_text(&other.name) + hidden);
        }
        if names.len() == NAMES_SHOWN_MAX {
            names.push("...".to_owned());
            break;
        }
    }
    names
}

/// Warns about merged cells: all but the first of them are empty.
fn warn_of_merged(merged: &[MergedCells], sheet: &Sheet, warnings: &mut DiagnosticList) {
    let last_row = sheet.cells.last().map_or(0, |cell| cell.row);
    let mut inside = merged.iter().filter(|merged| merged.first.0 <= last_row);
    let Some(first) = inside.next() else { return };
    let ((row, column), end) = (first.first, first.last);
    let range = format!("{}:{}", cells::name(row, column), cells::name(end.0, end.1));
    let more = match inside.count() {
        0 => String::new(),
        1 => ", and 1 other range,".to_owned(),
        n => format!(", and {n} other ranges,"),
    };
    let what = format!("the cells {range}{more} are merged: the first of them has the text, and the others are empty");
    let place = Location::Cell { row: u64::from(row) + 1, column: column + 1 };
    warnings.push(place, wrong(what, "unmerge them, and write the text in each row that it is for"));
}
