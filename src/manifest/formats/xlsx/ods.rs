//! ODS workbook: an `OpenDocument` archive, as `LibreOffice` writes it.

use std::collections::HashSet;
use std::io::{BufReader, Cursor, Read};

use calamine::DataRef;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::manifest::diagnostics::Issue;
use crate::manifest::formats::xlsx::book::{
    Book, BookCell, HiddenParts, MergedCells, PEEKED_MAX, SeeCell, SheetName, protected, unreadable,
};
use crate::manifest::formats::xlsx::cells::{self, CellText, long_digits, percentage};
use crate::manifest::formats::xlsx::ods_text::{CellParagraphs, duration};
use crate::manifest::formats::xlsx::parts::{self, Archive, XML_BYTES_MAX, attribute};

/// Media type, which is the first part of the archive, and not compressed.
const MEDIA_TYPE: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";

/// Bytes that hold the first part.
const HEAD_BYTES: usize = 256;

/// Columns that are read. A sheet with texts so far apart is refused.
const COLUMNS_MAX: u32 = 1 << 14;

/// Limit on merged ranges that are kept.
const MERGED_MAX: usize = 10_000;

/// Limit on the spaces that one element stands for.
const SPACES_MAX: usize = 10_000;

/// Workbook in an archive.
pub(super) struct OdsBook<'a> {
    bytes: &'a [u8],
    sheets: Vec<SheetName>,
    hidden: HiddenParts,
    merged: Vec<MergedCells>,
}

impl<'a> OdsBook<'a> {
    /// Returns whether these are the bytes of such a workbook.
    pub(super) fn is_it(bytes: &[u8]) -> bool {
        memchr::memmem::find(&bytes[..bytes.len().min(HEAD_BYTES)], MEDIA_TYPE).is_some()
    }

    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Issue> {
        parts::check_size(bytes, XML_BYTES_MAX)?;
        let mut is_protected = false;
        each(bytes, "META-INF/manifest.xml", &mut |event| {
            is_protected |= is_tag(event, "encryption-data");
            Ok(())
        })?;
        if is_protected {
            return Err(protected());
        }
        let mut book = Self { bytes, sheets: Vec::new(), hidden: HiddenParts::default(), merged: Vec::new() };
        book.find_sheets()?;
        Ok(book)
    }

    fn find_sheets(&mut self) -> Result<(), Issue> {
        let (mut style, mut hidden_styles, mut depth) = (None, HashSet::new(), 0_u32);
        let sheets = &mut self.sheets;
        each(self.bytes, "content.xml", &mut |event| {
            match event {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "style" => style = attribute(tag, "name"),
                    "table-properties" if attribute(tag, "display").is_some_and(|shown| shown == "false") => {
                        hidden_styles.extend(style.clone());
                    }
                    "table" => {
                        depth += 1;
                        if let (1, Some(name)) = (depth, attribute(tag, "name")) {
                            let style = attribute(tag, "style-name").unwrap_or_default();
                            sheets.push(SheetName { name, is_visible: !hidden_styles.contains(&style) });
                        }
                    }
                    _ => {}
                },
                Event::End(tag) if tag.local_name().as_ref() == "table" => depth = depth.saturating_sub(1),
                _ => {}
            }
            Ok(())
        })
    }
}

impl Book for OdsBook<'_> {
    fn sheets(&self) -> Vec<SheetName> {
        self.sheets.clone()
    }

    fn read(&mut self, sheet: &str, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        let mut table = TableReader::new(sheet);
        each(self.bytes, "content.xml", &mut |event| table.hear(event, see))?;
        (self.hidden, self.merged) = (table.hidden, table.merged);
        Ok(())
    }

    fn has_text(&mut self, sheet: &str) -> bool {
        let (mut n_seen, mut has_text) = (0, false);
        // An issue of another sheet is no mistake, and ends the search.
        let _ = TableReader::read(self.bytes, sheet, &mut |cell| {
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

/// Cell that is being read.
struct OpenCell {
    value: Option<(String, String)>,
    paragraphs: CellParagraphs,
    n_repeated: u32,
    is_formula: bool,
    /// Says whether the file has a value of the cell, if only an empty one.
    is_computed: bool,
}

/// Reader of one table of the document.
struct TableReader<'a> {
    sheet: &'a str,
    /// Tables around the present place, and whether the outermost one is wanted.
    depth: u32,
    is_wanted: bool,
    row: u32,
    n_rows_repeated: u32,
    column: u32,
    /// Column of the next description of columns.
    described: u32,
    cell: Option<OpenCell>,
    /// Cells of the present row, with the number of columns that each stands for.
    cells: Vec<BookCell>,
    /// Elements around the present place whose texts are no text of a cell, such as a comment.
    n_ignored: u32,
    hidden: HiddenParts,
    merged: Vec<MergedCells>,
}

impl<'a> TableReader<'a> {
    const fn new(sheet: &'a str) -> Self {
        Self {
            sheet,
            depth: 0,
            is_wanted: false,
            row: 0,
            n_rows_repeated: 1,
            column: 0,
            described: 0,
            cell: None,
            cells: Vec::new(),
            n_ignored: 0,
            hidden: HiddenParts { rows: None, columns: None },
            merged: Vec::new(),
        }
    }

    fn read(bytes: &[u8], sheet: &str, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        let mut table = TableReader::new(sheet);
        each(bytes, "content.xml", &mut |event| table.hear(event, see))
    }

    fn hear(&mut self, event: &Event, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        match event {
            Event::Start(tag) if tag.local_name().as_ref() == "table" => {
                self.depth += 1;
                self.is_wanted |= self.depth == 1 && attribute(tag, "name").as_deref() == Some(self.sheet);
            }
            Event::End(tag) if tag.local_name().as_ref() == "table" => {
                self.depth = self.depth.saturating_sub(1);
                self.is_wanted &= self.depth > 0;
            }
            // A table in a cell is no part of the sheet.
            _ if !self.is_wanted || self.depth != 1 => {}
            Event::Start(tag) => self.begin(tag),
            Event::End(tag) => return self.end(tag.local_name().as_ref(), see),
            Event::Text(text) => self.add(&text.xml10_content()),
            Event::CData(text) => self.add(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let named = quick_xml::escape::resolve_xml_entity(reference.as_ref());
                let c = reference.resolve_char_ref().ok().flatten();
                self.add(&named.map_or_else(|| c.map(String::from).unwrap_or_default(), str::to_owned));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        if let Some(cell) = self.cell.as_mut().filter(|_| self.n_ignored == 0) {
            cell.paragraphs.add(text);
        }
    }

    fn begin(&mut self, tag: &BytesStart) {
        let number = |name| attribute(tag, name).and_then(|text| text.parse::<u32>().ok());
        let is_hidden = || attribute(tag, "visibility").is_some_and(|shown| shown != "visible");
        match tag.local_name().as_ref() {
            "annotation" | "shapes" | "frame" | "custom-shape" => self.n_ignored += 1,
            _ if self.n_ignored > 0 => {}
            "table-column" => {
                let first = self.described;
                self.described = first.saturating_add(number("number-columns-repeated").unwrap_or(1));
                if is_hidden() {
                    self.hidden.add_columns(first.saturating_add(1), self.described);
                }
            }
            "table-row" => {
                self.n_rows_repeated = number("number-rows-repeated").unwrap_or(1);
                self.column = 0;
                if is_hidden() {
                    self.hidden.add_rows(u64::from(self.row) + 1, u64::from(self.n_rows_repeated));
                }
            }
            "table-cell" | "covered-table-cell" => {
                let [columns, rows] =
                    ["number-columns-spanned", "number-rows-spanned"].map(|name| number(name).unwrap_or(1).max(1));
                if columns.max(rows) > 1 && self.merged.len() < MERGED_MAX {
                    let last = (self.row.saturating_add(rows - 1), self.column.saturating_add(columns - 1));
                    self.merged.push(MergedCells { first: (self.row, self.column), last });
                }
                self.cell = Some(open_cell(tag));
            }
            "p" | "h" => self.paragraphs(CellParagraphs::begin),
            "tab" => self.paragraphs(|text| text.add_exactly("\t")),
            "line-break" => self.paragraphs(|text| text.add_exactly("\n")),
            "s" => {
                let n = number("c").map_or(1, |n| (n as usize).min(SPACES_MAX));
                self.paragraphs(|text| text.add_exactly(&" ".repeat(n)));
            }
            _ => {}
        }
    }

    fn paragraphs(&mut self, change: impl FnOnce(&mut CellParagraphs)) {
        if let Some(cell) = &mut self.cell {
            change(&mut cell.paragraphs);
        }
    }

    fn end(&mut self, name: &str, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        match name {
            "annotation" | "shapes" | "frame" | "custom-shape" => self.n_ignored = self.n_ignored.saturating_sub(1),
            "p" | "h" if self.n_ignored == 0 => self.paragraphs(CellParagraphs::end),
            "table-cell" | "covered-table-cell" if self.n_ignored == 0 => self.end_cell(see)?,
            "table-row" if self.n_ignored == 0 => {
                // Rows that are equal stand in the file once.
                let cells = std::mem::take(&mut self.cells);
                for n in 1..if cells.is_empty() { 1 } else { self.n_rows_repeated } {
                    for BookCell { column, text, is_formula, .. } in &cells {
                        let (row, text) = (self.row.saturating_add(n), text.clone());
                        see(BookCell { row, column: *column, text, is_formula: *is_formula })?;
                    }
                }
                self.row = self.row.saturating_add(self.n_rows_repeated);
            }
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self, see: &mut SeeCell<'_>) -> Result<(), Issue> {
        let Some(cell) = self.cell.take() else { return Ok(()) };
        let first = self.column;
        self.column = first.saturating_add(cell.n_repeated);
        let (n_repeated, is_formula) = (cell.n_repeated, cell.is_formula);
        let text = text(cell);
        if text == CellText::Empty && !is_formula {
            return Ok(());
        }
        for n in 0..n_repeated.min(COLUMNS_MAX.saturating_sub(first)) {
            let column = first.saturating_add(n);
            see(BookCell { row: self.row, column, text: text.clone(), is_formula })?;
            if self.n_rows_repeated > 1 {
                self.cells.push(BookCell { row: self.row, column, text: text.clone(), is_formula });
            }
        }
        Ok(())
    }
}

fn open_cell(tag: &BytesStart) -> OpenCell {
    let kind = attribute(tag, "value-type");
    let is_computed = kind.is_some();
    let named = |name: &str| attribute(tag, name);
    let value = kind.and_then(|kind| {
        let value = match kind.as_str() {
            "date" => named("date-value"),
            "time" => named("time-value"),
            "boolean" => named("boolean-value"),
            "string" => named("string-value"),
            _ => named("value"),
        };
        Some((kind, value?))
    });
    let mut attributes = tag.attributes().flatten();
    let is_error = attributes.any(|part| part.key.as_ref() == "calcext:value-type" && &*part.value == "error");
    OpenCell {
        value: value.filter(|_| !is_error),
        paragraphs: CellParagraphs::default(),
        n_repeated: named("number-columns-repeated").and_then(|text| text.parse().ok()).unwrap_or(1),
        is_formula: named("formula").is_some(),
        is_computed,
    }
}

/// Returns the text of a cell: that of its value, and without one the text that is shown.
fn text(cell: OpenCell) -> CellText {
    let OpenCell { value, paragraphs, is_computed, .. } = cell;
    let shown = paragraphs.text();
    let number = |value: &str| value.parse::<f64>().ok().filter(|number| number.is_finite());
    let texts = |text: String| cells::text(&DataRef::String(text), None);
    match value {
        Some((kind, value)) => match (kind.as_str(), number(&value)) {
            ("percentage", Some(number)) => texts(percentage(number)),
            ("float" | "currency", Some(number)) => cells::text(&DataRef::Float(number), long_digits(&value)),
            ("boolean", _) => cells::text(&DataRef::Bool(value == "true"), None),
            ("time", _) => texts(duration(&value).unwrap_or(value)),
            _ => texts(value),
        },
        None if shown.is_empty() && !is_computed => CellText::Empty,
        None => texts(shown),
    }
}

fn is_tag(event: &Event, name: &str) -> bool {
    matches!(event, Event::Start(tag) if tag.local_name().as_ref() == name)
}

/// Calls `hear` with each event of a part. A part that is missing has no events.
fn each(bytes: &[u8], path: &str, hear: &mut dyn FnMut(&Event) -> Result<(), Issue>) -> Result<(), Issue> {
    let mut archive = Archive::new(Cursor::new(bytes)).map_err(|error| unreadable(&error, "ods"))?;
    let Ok(part) = archive.by_name(path) else { return Ok(()) };
    let mut reader = Reader::from_reader(BufReader::new(part.take(XML_BYTES_MAX)));
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer).map_err(|error| unreadable(&error, "ods"))? {
            Event::Eof => return Ok(()),
            event => hear(&event)?,
        }
        buffer.clear();
    }
}
