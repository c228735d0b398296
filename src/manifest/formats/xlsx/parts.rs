//! Parts of the zip archive that a workbook is: their size, and what the sheet hides.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::formats::xlsx::book::HiddenParts;
use crate::manifest::formats::xlsx::cells::{long_digits, percentage, shows_percentage};

/// Limit on the uncompressed XML of a workbook in bytes. The texts of all its sheets are kept in memory.
pub(super) const XML_BYTES_MAX: u64 = 512 << 20;

/// Limit on the numbers whose texts are kept.
const NUMBERS_MAX: usize = 1_000_000;

pub(super) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Checks that the parts have the size that a sheet may have, by reading them: what an archive says of itself may be wrong.
pub(super) fn check_size(bytes: &[u8], xml_bytes_max: u64) -> Result<(), Issue> {
    let damaged = |error: &dyn std::fmt::Display| {
        wrong(format!("the workbook is damaged: {error}"), "copy it again, or save it again in a spreadsheet program")
    };
    let mut archive = Archive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let mut n_left = xml_bytes_max;
    for i in 0..archive.len() {
        let part = archive.by_index(i).map_err(|error| damaged(&error))?;
        let name = part.name().unwrap_or_default();
        if !(name.ends_with(".xml") || name.ends_with(".rels")) {
            continue;
        }
        let n_read = io::copy(&mut part.take(n_left + 1), &mut io::sink()).map_err(|error| damaged(&error))?;
        if n_read > n_left {
            let what = format!("the workbook has more than {} MiB when it is unpacked", xml_bytes_max >> 20);
            return Err(wrong(what, "save the sheet as \"CSV UTF-8\", which is read piece by piece"));
        }
        n_left -= n_read;
    }
    Ok(())
}

/// What a sheet hides, and the texts of numbers that are not shown as numbers.
#[derive(Debug, Default)]
pub(super) struct SheetFacts {
    pub(super) hidden: HiddenParts,
    /// Digits of long whole numbers, and percentages, by the name of their cell.
    numbers: HashMap<String, String>,
}

impl SheetFacts {
    /// Returns the text of a number: its digits, or a percentage. Row and column count from 0.
    pub(super) fn number(&self, row: u32, column: u32) -> Option<&str> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(&super::cells::name(row, column)).map(String::as_str)
    }
}

/// Reads what a sheet hides. A workbook that is laid out in an unusual way tells nothing.
pub(super) fn facts(bytes: &[u8], sheet: &str) -> SheetFacts {
    let read = || {
        let mut archive = Archive::new(Cursor::new(bytes)).ok()?;
        let path = path_of(&mut archive, sheet)?;
        let percentages = percentages(&mut archive);
        let mut facts = SheetFacts::default();
        facts_of(&mut archive, &path, &percentages, &mut facts);
        Some(facts)
    };
    read().unwrap_or_default()
}

/// Returns the path of a sheet in the archive.
fn path_of(archive: &mut Archive, sheet: &str) -> Option<String> {
    let mut id = None;
    each(archive, "xl/workbook.xml", |event| {
        if let Event::Start(tag) = event
            && tag.local_name().as_ref() == "sheet"
            && attribute(tag, "name").as_deref() == Some(sheet)
        {
            id = attribute(tag, "id");
        }
    });
    let mut target = None;
    each(archive, "xl/_rels/workbook.xml.rels", |event| {
        if let Event::Start(tag) = event
            && attribute(tag, "Id") == id
        {
            target = attribute(tag, "Target");
        }
    });
    let target = target.filter(|_| id.is_some())?;
    Some(target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned))
}

/// Returns the numbers of the cell styles that show a number as a percentage.
fn percentages(archive: &mut Archive) -> HashSet<usize> {
    let (mut formats, mut is_in_cells, mut n, mut found) = (HashSet::new(), false, 0, HashSet::new());
    each(archive, "xl/styles.xml", |event| match event {
        Event::Start(tag) => match tag.local_name().as_ref() {
            "numFmt" => {
                let is_percentage = attribute(tag, "formatCode").is_some_and(|code| shows_percentage(&code));
                formats.extend(attribute(tag, "numFmtId").filter(|_| is_percentage));
            }
            "cellXfs" => is_in_cells = true,
            "xf" if is_in_cells => {
                let format = attribute(tag, "numFmtId").unwrap_or_default();
                if matches!(format.as_str(), "9" | "10") || formats.contains(&format) {
                    found.insert(n);
                }
                n += 1;
            }
            _ => {}
        },
        Event::End(tag) if tag.local_name().as_ref() == "cellXfs" => is_in_cells = false,
        _ => {}
    });
    found
}

fn facts_of(archive: &mut Archive, path: &str, percentages: &HashSet<usize>, facts: &mut SheetFacts) {
    let (mut n_rows, mut cell, mut is_value) = (0, None, false);
    each(archive, path, |event| match event {
        Event::Start(tag) => match tag.local_name().as_ref() {
            "col" if is_hidden(tag) => {
                let number = |name| attribute(tag, name).and_then(|text| text.parse().ok());
                if let (Some(min), Some(max)) = (number("min"), number("max")) {
                    facts.hidden.add_columns(min, max);
                }
            }
            "row" => {
                n_rows = attribute(tag, "r").and_then(|text| text.parse().ok()).unwrap_or(n_rows + 1);
                if is_hidden(tag) {
                    facts.hidden.add_rows(n_rows, 1);
                }
            }
            "c" => {
                let is_number = attribute(tag, "t").is_none_or(|kind| kind == "n");
                let style = attribute(tag, "s").and_then(|text| text.parse().ok());
                let is_percentage = style.is_some_and(|style: usize| percentages.contains(&style));
                cell = attribute(tag, "r").filter(|_| is_number).map(|name| (name, is_percentage));
            }
            "v" => is_value = true,
            _ => {}
        },
        Event::Text(text) if is_value && facts.numbers.len() < NUMBERS_MAX => {
            let Some((name, is_percentage)) = cell.take() else { return };
            let text = text.as_ref().trim();
            let text =
                if is_percentage { text.parse().ok().map(percentage) } else { long_digits(text).map(str::to_owned) };
            facts.numbers.extend(text.map(|text| (name, text)));
        }
        Event::End(_) => is_value = false,
        _ => {}
    });
}

fn is_hidden(tag: &BytesStart) -> bool {
    attribute(tag, "hidden").is_some_and(|value| value == "1" || value == "true")
}

/// Returns an attribute, whatever its namespace.
pub(super) fn attribute(tag: &BytesStart, name: &str) -> Option<String> {
    let mut attributes = tag.attributes().flatten();
    let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    quick_xml::escape::unescape(&found.value).ok().map(Cow::into_owned)
}

/// Calls `see` with each event of a part, up to its end or its first mistake.
fn each(archive: &mut Archive, path: &str, mut see: impl FnMut(&Event)) {
    let Ok(part) = archive.by_name(path) else { return };
    let mut reader = Reader::from_reader(BufReader::new(part.take(XML_BYTES_MAX)));
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    while let Ok(event) = reader.read_event_into(&mut buffer) {
        if matches!(event, Event::Eof) {
            return;
        }
        see(&event);
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// Goal: an archive that unpacks to much more than its size is refused before anything keeps its text, whatever it says of itself.
    /// Method: parts around the limit; a part with another extension, which nothing reads; and the length in the headers set to 1.
    #[test]
    fn the_unpacked_size_is_limited() {
        let archive = |parts: &[(&str, usize)]| {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            for (name, n_bytes) in parts {
                writer.start_file(*name, SimpleFileOptions::default()).expect("memory can be written");
                writer.write_all(&vec![b' '; *n_bytes]).expect("memory can be written");
            }
            writer.finish().expect("memory can be written").into_inner()
        };
        let is_refused =
            |bytes: &[u8]| check_size(bytes, 1 << 20).is_err_and(|issue| issue.what.contains("more than 1 MiB when"));
        assert!(!is_refused(&archive(&[("a.xml", 1 << 19), ("b.xml.rels", 1 << 19)])));
        assert!(is_refused(&archive(&[("a.xml", 1 << 19), ("b.xml.rels", (1 << 19) + 1)])));
        assert!(check_size(&archive(&[("a.xml", 9), ("xl/media/a.png", 2 << 20)]), 1 << 20).is_ok());
        let mut lying = archive(&[("a.xml", 2 << 20)]);
        let length = u32::try_from(2 << 20).expect("it is small").to_le_bytes();
        while let Some(at) = memchr::memmem::find(&lying, &length) {
            lying[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        }
        assert!(check_size(&lying, 1 << 20).is_err());
    }
}
