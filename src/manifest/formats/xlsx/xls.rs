//! XLS workbook: a stream of records, as Excel 97 to 2003 and older programs write it.

use calamine::{CellErrorType, DataRef, ExcelDateTime, ExcelDateTimeType};

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::formats::xlsx::book::{
    Book, BookCell, HiddenParts, MergedCells, PEEKED_MAX, SeeCell, SheetName, protected, unreadable,
};
use crate::manifest::formats::xlsx::cells::{self, CellText, percentage};
use crate::manifest::formats::xlsx::compound::{CompoundFile, number16, number32, number64};
use crate::manifest::formats::xlsx::xls_formats::{NumberKind, NumberKinds};
use crate::manifest::formats::xlsx::xls_records::{XlsRecord, records};

/// Kinds of records.
mod kind {
    pub(super) const FORMULA: u16 = 0x0006;
    pub(super) const END: u16 = 0x000a;
    pub(super) const DATE_MODE: u16 = 0x0022;
    pub(super) const PASSWORD: u16 = 0x002f;
    pub(super) const COLUMNS: u16 = 0x007d;
    pub(super) const SHEET: u16 = 0x0085;
    pub(super) const RK_NUMBERS: u16 = 0x00bd;
    pub(super) const RICH_TEXT: u16 = 0x00d6;
    pub(super) const CELL_FORMAT: u16 = 0x00e0;
    pub(super) const MERGED: u16 = 0x00e5;
    pub(super) const TEXTS: u16 = 0x00fc;
    pub(super) const SHARED_TEXT: u16 = 0x00fd;
    pub(super) const NUMBER: u16 = 0x0203;
    pub(super) const TEXT: u16 = 0x0204;
    pub(super) const FLAG_OR_ERROR: u16 = 0x0205;
    pub(super) const FORMULA_TEXT: u16 = 0x0207;
    pub(super) const ROW: u16 = 0x0208;
    pub(super) const RK_NUMBER: u16 = 0x027e;
    pub(super) const NUMBER_FORMAT: u16 = 0x041e;
    pub(super) const BEGIN: u16 = 0x0809;
}

/// Version of the records that is read.
const VERSION: u16 = 0x0600;

/// Limit on merged ranges that are kept.
const MERGED_MAX: usize = 10_000;

/// Workbook in memory.
pub(super) struct XlsBook {
    stream: Vec<u8>,
    /// Sheets with cells, each with its place in the stream.
    sheets: Vec<(SheetName, usize)>,
    texts: Vec<String>,
    kinds: NumberKinds,
    begins_1904: bool,
    hidden: HiddenParts,
    merged: Vec<MergedCells>,
}

impl XlsBook {
    pub(super) fn open(bytes: &[u8]) -> Result<Self, Issue> {
        let stream = CompoundFile::open(bytes).and_then(|file| file.stream(&["Workbook", "Book"]));
        let stream = stream.ok_or_else(|| unreadable(&"it is damaged", "xls"))?;
        let mut book = Self {
            stream: Vec::new(),
            sheets: Vec::new(),
            texts: Vec::new(),
            kinds: NumberKinds::default(),
            begins_1904: false,
            hidden: HiddenParts::default(),
            merged: Vec::new(),
        };
        let mut has_ended = false;
        for record in records(&stream, 0) {
            match record.kind {
                kind::BEGIN if number16(record.data, 0) != Some(VERSION) => {
                    return Err(wrong("the workbook is older than those of Excel 97", "save it as .xlsx"));
                }
                kind::PASSWORD => return Err(protected()),
                kind::END => {
                    has_ended = true;
                    break;
                }
                _ => book.learn(&record).ok_or_else(|| unreadable(&"a record of it is damaged", "xls"))?,
            }
        }
        if !has_ended {
            return Err(unreadable(&"it is cut off", "xls"));
        }
        book.stream = stream;
        Ok(book)
    }

    /// Reads a record about the whole workbook; `None` if it is damaged.
    fn learn(&mut self, record: &XlsRecord) -> Option<()> {
        let data = record.data;
        match record.kind {
            kind::DATE_MODE => self.begins_1904 = number16(data, 0)? == 1,
            kind::NUMBER_FORMAT => self.kinds.add_format(number16(data, 0)?, &record.texts(2).text()?),
            kind::CELL_FORMAT => self.kinds.add_cell_format(number16(data, 2)?),
            kind::SHEET if *data.get(5)? == 0 => {
                let is_visible = matches!(data.get(4)? & 3, 0);
                let name = record.texts(6).short_text()?;
                self.sheets.push((SheetName { name, is_visible }, number32(data, 0)? as usize));
            }
            kind::TEXTS => {
                let mut texts = record.texts(8);
                self.texts.extend(std::iter::from_fn(|| texts.text()));
                if (self.texts.len() as u64) < u64::from(number32(data, 4)?) {
                    return None;
                }
            }
            _ => {}
        }
        Some(())
    }

    /// Returns the texts of the cells that a record has.
    fn cells(&self, record: &XlsRecord) -> Option<Vec<BookCell>> {
        let data = record.data;
        let at = || Some((u32::from(number16(data, 0)?), u32::from(number16(data, 2)?)));
        let cell = |text| {
            let (row, column) = at()?;
            Some(vec![BookCell { row, column, text, is_formula: record.kind == kind::FORMULA }])
        };
        match record.kind {
            kind::NUMBER => cell(self.number(number64(data, 6)?, number16(data, 4)?)),
            kind::RK_NUMBER => cell(self.number(rk(number32(data, 6)?), number16(data, 4)?)),
            kind::RK_NUMBERS => {
                let (row, first) = at()?;
                let numbers = data.get(4..data.len().checked_sub(2)?)?.as_chunks::<6>().0;
                let cell = |(column, number): (u32, &[u8; 6])| {
                    let text = self.number(rk(number32(number, 2)?), number16(number, 0)?);
                    Some(BookCell { row, column, text, is_formula: false })
                };
                (first..).zip(numbers).map(cell).collect()
            }
            kind::SHARED_TEXT => cell(text(self.texts.get(number32(data, 6)? as usize)?)),
            kind::TEXT | kind::RICH_TEXT => cell(text(&record.texts(6).text()?)),
            kind::FLAG_OR_ERROR => cell(flag_or_error(*data.get(6)?, *data.get(7)? == 1)),
            kind::FORMULA => {
                let kind = data.get(6..14).filter(|result| result[6..] == [0xff, 0xff]).map(|result| result[0]);
                match kind {
                    None => cell(self.number(number64(data, 6)?, number16(data, 4)?)),
                    Some(1) => cell(flag_or_error(*data.get(8)?, false)),
                    Some(2) => cell(flag_or_error(*data.get(8)?, true)),
                    // The text is in the next record, or there is none.
                    Some(_) => Some(Vec::new()),
                }
            }
            _ => Some(Vec::new()),
        }
    }

    fn number(&self, number: f64, format: u16) -> CellText {
        let date = |kind| DataRef::DateTime(ExcelDateTime::new(number, kind, self.begins_1904));
        match self.kinds.of(format) {
            NumberKind::Plain => cells::text(&DataRef::Float(number), None),
            NumberKind::Percentage => text(&percentage(number)),
            NumberKind::Date => cells::text(&date(ExcelDateTimeType::DateTime), None),
            NumberKind::Duration => cells::text(&date(ExcelDateTimeType::TimeDelta), None),
        }
    }

    /// Reads a sheet, and returns what it hides and its merged cells.
    fn read_sheet(&self, sheet: &str, see: &mut SeeCell<'_>) -> Result<(HiddenParts, Vec<MergedCells>), Issue> {
        let (mut hidden, mut merged) = (HiddenParts::default(), Vec::new());
        let place = self.sheets.iter().find(|(other, _)| other.name == sheet).map_or(usize::MAX, |(_, place)| *place);
        let damaged = || unreadable(&"a record of the sheet is damaged", "xls");
        let (mut depth, mut formula) = (0_u32, None);
        for record in records(&self.stream, place) {
            match record.kind {
                kind::BEGIN => depth += 1,
                kind::END if depth <= 1 => return Ok((hidden, merged)),
                kind::END => depth -= 1,
                // A chart in the sheet has records of its own.
                _ if depth != 1 => {}
                kind::ROW => hide_row(record.data, &mut hidden).ok_or_else(damaged)?,
                kind::COLUMNS => hide_columns(record.data, &mut hidden).ok_or_else(damaged)?,
                kind::MERGED => merge(record.data, &mut merged).ok_or_else(damaged)?,
                kind::FORMULA_TEXT => {
                    let (Some((row, column)), Some(words)) = (formula.take(), record.texts(0).text()) else {
                        return Err(damaged());
                    };
                    see(BookCell { row, column, text: text(&words), is_formula: true })?;
                }
                _ => {
                    if record.kind == kind::FORMULA {
                        let at = |at| number16(record.data, at).map(u32::from);
                        formula = at(0).zip(at(2));
                    }
                    self.cells(&record).ok_or_else(damaged)?.into_iter().try_for_each(&mut *see)?;
                }
            }
        }
        Err(unreadable(&"the sheet is cut off", "xls"))
    }
}

impl Book for XlsBook {
    fn sheets(&self) -> Vec<SheetName> {
        self.sheets.iter().map(|(name, _)| name.clone()).collect()
    }

    fn read(&mut self, sheet: &str, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        (self.hidden, self.merged) = self.read_sheet(sheet, see)?;
        Ok(())
    }

    fn has_text(&mut self, sheet: &str) -> bool {
        let (mut n_seen, mut has_text) = (0, false);
        // An issue of another sheet is no mistake, and ends the search.
        let _ = self.read_sheet(sheet, &mut |cell| {
            n_seen += 1;
            has_text |= !matches!(cell.text, CellText::Empty | CellText::Blank);
            if has_text || n_seen > PEEKED_MAX { Err(protected()) } else { Ok(()) }
        });
        has_text
    }

    fn hidden(&self) -> HiddenParts {
        self.hidden
    }

    fn merged(&mut self) -> Vec<MergedCells> {
        self.merged.clone()
    }
}

fn text(words: &str) -> CellText {
    cells::text(&DataRef::String(words.to_owned()), None)
}

fn flag_or_error(value: u8, is_error: bool) -> CellText {
    let error = match value {
        _ if !is_error => return cells::text(&DataRef::Bool(value != 0), None),
        0x00 => CellErrorType::Null,
        0x07 => CellErrorType::Div0,
        0x0f => CellErrorType::Value,
        0x17 => CellErrorType::Ref,
        0x1d => CellErrorType::Name,
        0x24 => CellErrorType::Num,
        // Of the others, only this one is in files.
        0x2a.. | 0x01..0x2a => CellErrorType::NA,
    };
    cells::text(&DataRef::Error(error), None)
}

/// Returns a number that is stored in four bytes.
fn rk(bits: u32) -> f64 {
    let number =
        if bits & 2 != 0 { f64::from(bits.cast_signed() >> 2) } else { f64::from_bits(u64::from(bits & !3) << 32) };
    if bits & 1 != 0 { number / 100.0 } else { number }
}

fn hide_row(data: &[u8], hidden: &mut HiddenParts) -> Option<()> {
    if number16(data, 12)? & 0x20 != 0 {
        hidden.add_rows(u64::from(number16(data, 0)?) + 1, 1);
    }
    Some(())
}

fn hide_columns(data: &[u8], hidden: &mut HiddenParts) -> Option<()> {
    if number16(data, 8)? & 1 != 0 {
        hidden.add_columns(u32::from(number16(data, 0)?) + 1, u32::from(number16(data, 2)?) + 1);
    }
    Some(())
}

fn merge(data: &[u8], merged: &mut Vec<MergedCells>) -> Option<()> {
    for n in 0..usize::from(number16(data, 0)?) {
        let at = |part: usize| number16(data, 2 + 8 * n + 2 * part).map(u32::from);
        let (first, last) = ((at(0)?, at(2)?), (at(1)?, at(3)?));
        if merged.len() < MERGED_MAX {
            merged.push(MergedCells { first, last });
        }
    }
    Some(())
}
