//! Workbook reader: the texts of one sheet, and warnings about what a reader of the sheet does not see in them.

use std::io::Cursor;

use calamine::{Dimensions, Reader, SheetType, SheetVisible, Xlsx, XlsxError};

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, column_name, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::xlsx::cells::{self, CellText};
use crate::manifest::formats::xlsx::parts::{self, SheetFacts};
use crate::model::escape::excerpt;

/// Limit on the texts of a sheet.
const CELLS_MAX: usize = 8_000_000;

/// Limit on the columns of a sheet. No manifest may carry more of them through.
const COLUMNS_MAX: u32 = 1_000;

/// Limit on the texts of a sheet together, in bytes.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// Cells that are read to find out whether another sheet has any text.
const PEEKED_MAX: usize = 10_000;

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

type Workbook<'a> = Xlsx<Cursor<&'a [u8]>>;

/// Reads the sheet with this name, or the first visible one.
pub(crate) fn read(bytes: &[u8], wanted: Option<&str>, findings: &mut PassDiagnostics) -> Result<Sheet, Issue> {
    parts::check_size(bytes, parts::XML_BYTES_MAX)?;
    let mut workbook = Workbook::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
    let name = sheet_name(&workbook, wanted)?;
    let facts = parts::facts(bytes, &name);
    findings.parts = vec![name.clone()];
    let mut sheet = sheet(&mut workbook, &name, &facts, findings)?;
    // A writer may have written the cells in another order.
    sheet.cells.sort_by_key(|cell| (cell.row, cell.column));
    let columns = || sheet.cells.iter().map(|cell| cell.column);
    if let (Some(first), Some(last)) = (columns().min(), columns().max())
        && last - first >= COLUMNS_MAX
    {
        let what = format!("the sheet has texts more than {COLUMNS_MAX} columns apart");
        return Err(wrong(what, format!("clear the cells on the right, up to column {}", column_name(last + 1))));
    }
    facts.warn(&mut findings.warnings);
    warn_of_merged(&workbook.merge_cells_by_sheet_name(&name).unwrap_or_default(), &sheet, &mut findings.warnings);
    let others = if wanted.is_none() { other_sheets(&mut workbook, &name) } else { Vec::new() };
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

fn sheet_name(workbook: &Workbook, wanted: Option<&str>) -> Result<String, Issue> {
    let sheets = || workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names = || {
        let names: Vec<_> = sheets().take(NAMES_SHOWN_MAX).map(|sheet| shown_text(&sheet.name)).collect();
        names.join(", ")
    };
    let Some(wanted) = wanted else {
        let visible = sheets().find(|sheet| sheet.visible == SheetVisible::Visible);
        return visible.map(|sheet| sheet.name.clone()).ok_or_else(|| {
            wrong("the workbook has no visible sheet", format!("name a hidden one with --sheet: {}", names()))
        });
    };
    let plain = |name: &str| name.trim().to_lowercase();
    let exact = sheets().find(|sheet| sheet.name == wanted);
    let found = exact.or_else(|| sheets().find(|sheet| plain(&sheet.name) == plain(wanted)));
    found.map(|sheet| sheet.name.clone()).ok_or_else(|| {
        let what = format!("no sheet is called {}, which --sheet names", shown_text(wanted));
        wrong(what, format!("the workbook has {}", names()))
    })
}

/// Reads the texts of a sheet. Cells that have no text to read are mistakes.
fn sheet(
    workbook: &mut Workbook,
    name: &str,
    facts: &SheetFacts,
    findings: &mut PassDiagnostics,
) -> Result<Sheet, Issue> {
    let mut reader = workbook.worksheet_cells_reader(name).map_err(|error| unreadable(&error))?;
    let mut sheet = Sheet::default();
    let mut n_bytes = 0;
    let mut uncomputed: Option<(Location, u64)> = None;
    while let Some(cell) = reader.next_cell_with_formula_metadata().map_err(|error| unreadable(&error))? {
        let (row, column) = cell.pos;
        let place = Location::Cell { row: u64::from(row) + 1, column: column + 1 };
        let text = match cells::text(&cell.value, facts.number(row, column)) {
            CellText::Text(text) => text,
            CellText::Rounded(text) => {
                let what = format!("the number {} has more digits than a spreadsheet keeps", shown_text(&text));
                findings.warnings.push(place, wrong(what, "format the cell as text, and write the number again"));
                text
            }
            CellText::Empty if cell.formula.is_some() => {
                uncomputed.get_or_insert((place, 0)).1 += 1;
                continue;
            }
            CellText::Empty | CellText::Blank => continue,
        };
        n_bytes += text.len();
        if sheet.cells.len() == CELLS_MAX || n_bytes > TEXT_BYTES_MAX {
            let what = format!("the sheet has more than {CELLS_MAX} cells, or {} MiB of text", TEXT_BYTES_MAX >> 20);
            return Err(wrong(what, "save it as \"CSV UTF-8\", which is read piece by piece"));
        }
        sheet.cells.push(SheetCell { row, column, text });
    }
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
fn other_sheets(workbook: &mut Workbook, name: &str) -> Vec<String> {
    let sheets = workbook.sheets_metadata().to_vec();
    let others = sheets.into_iter().filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.name != name);
    let mut names = Vec::new();
    for other in others {
        let Ok(mut reader) = workbook.worksheet_cells_reader(&other.name) else { continue };
        let mut cells = std::iter::from_fn(|| reader.next_cell().ok().flatten()).take(PEEKED_MAX);
        if cells.any(|cell| !matches!(cells::text(cell.get_value(), None), CellText::Empty | CellText::Blank)) {
            let hidden = if other.visible == SheetVisible::Visible { "" } else { " (hidden)" };
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
fn warn_of_merged(merged: &[Dimensions], sheet: &Sheet, warnings: &mut DiagnosticList) {
    let last_row = sheet.cells.last().map_or(0, |cell| cell.row);
    let mut inside = merged.iter().filter(|merged| merged.start.0 <= last_row);
    let Some(first) = inside.next() else { return };
    let ((row, column), end) = (first.start, first.end);
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

fn unreadable(error: &XlsxError) -> Issue {
    let what = format!("the workbook could not be read: {}", excerpt(&error.to_string(), 120));
    wrong(what, "open it in a spreadsheet program and save it again as .xlsx")
}
