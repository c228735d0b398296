//! Manifest formats: one file or folder for each, and one row in [`FORMATS`].

mod a1111;
mod blocks;
pub(crate) mod cells;
pub mod columns;
mod csv;
pub(crate) mod csv_rows;
mod folder;
pub mod format;
mod json;
mod json_entry;
mod json_items;
mod json_object;
mod json_shapes;
mod jsonl;
mod nested;
mod row_lints;
mod sides;
mod table;
mod text_lines;
mod tsv;
mod txt;
mod unclear;
#[cfg(feature = "xlsx")]
mod xlsx;
pub(crate) mod yaml;

use std::path::Path;

use crate::manifest::formats::a1111::A1111;
use crate::manifest::formats::blocks::Blocks;
use crate::manifest::formats::csv::Csv;
use crate::manifest::formats::folder::Folder;
use crate::manifest::formats::format::Format;
use crate::manifest::formats::json::JsonFormat;
use crate::manifest::formats::jsonl::Jsonl;
use crate::manifest::formats::tsv::Tsv;
use crate::manifest::formats::txt::Txt;
#[cfg(feature = "xlsx")]
use crate::manifest::formats::xlsx::Xlsx;
use crate::manifest::formats::yaml::Yaml;
use crate::manifest::input::path::{STANDARD_INPUT, ending, is_nameless, uncompressed};

/// All formats, in the order in which a message lists them.
#[cfg(feature = "xlsx")]
pub const FORMATS: [&dyn Format; 9] = [&Yaml, &Csv, &Tsv, &Jsonl, &JsonFormat, &Xlsx, &Txt, &A1111, &Blocks];

/// All formats, in the order in which a message lists them.
#[cfg(not(feature = "xlsx"))]
pub const FORMATS: [&dyn Format; 8] = [&Yaml, &Csv, &Tsv, &Jsonl, &JsonFormat, &Txt, &A1111, &Blocks];

/// Returns the format with this name.
pub fn named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}

/// Returns the format that the file extension names; a final `.gz` is ignored. A folder has a format of its own, whatever its name.
/// `None` for an unknown extension.
pub fn of_path(path: &Path) -> Option<&'static dyn Format> {
    if path.is_dir() {
        return Some(&Folder);
    }
    let ending = ending(uncompressed(path))?;
    FORMATS.into_iter().find(|format| format.endings().contains(&ending.as_str()))
}

/// Explains how to specify the format of a file.
pub(crate) fn unknown(path: &Path) -> String {
    let names = FORMATS.map(Format::name).join("|");
    if path == Path::new(STANDARD_INPUT) {
        return format!("standard input has no file name; add --format {names}");
    }
    if is_nameless(path) {
        return format!("a pipe has no file name; add --format {names}");
    }
    let endings: Vec<_> = FORMATS.iter().flat_map(|format| format.endings()).copied().collect();
    format!(
        "its name does not end in any of .{}, or in one of these followed by .gz; rename it, or add --format {names}",
        endings.join(", .")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Goal: a name or an extension means one format. Method: all of them, in lower case.
    #[test]
    fn no_two_formats_share_a_name_or_an_ending() {
        let all = || FORMATS.into_iter().flat_map(|format| format.endings().iter().copied());
        let different: BTreeSet<_> = all().collect();
        assert_eq!(different.len(), all().count());
        for format in FORMATS {
            assert_eq!(named(format.name()), Some(format));
            assert!(format.endings().iter().all(|ending| *ending == ending.to_lowercase() && !ending.contains('.')));
            assert!(!format.help().is_empty() && !format.help().ends_with('.'));
        }
    }

    #[test]
    fn the_ending_of_a_name_tells_the_format() {
        for (name, format) in [
            ("a.yaml", Some("yaml")),
            ("a/b.YML", Some("yaml")),
            ("a.csv", Some("csv")),
            ("a.tar.csv", Some("csv")),
            ("a.tsv", Some("tsv")),
            ("a.tab", Some("tsv")),
            ("a.jsonl", Some("jsonl")),
            ("a.ndjson.gz", Some("jsonl")),
            ("a/b.TXT.GZ", Some("txt")),
            ("a.json", Some("json")),
            ("a.gz", None),
            ("a.csv.gz.gz", None),
            (".csv", None),
            ("csv", None),
            ("a.yaml.bak", None),
            ("-", None),
        ] {
            assert_eq!(of_path(Path::new(name)).map(Format::name), format, "{name}");
        }
    }

    #[test]
    fn what_is_unknown_is_told_with_a_way_out() {
        assert_eq!(
            unknown(Path::new("a.doc")),
            "its name does not end in any of .yaml, .yml, .csv, .tsv, .tab, .jsonl, .ndjson, .json, .xlsx, .xlsm, .ods, .xls, .txt, or in one of these followed by .gz; \
             rename it, or add --format yaml|csv|tsv|jsonl|json|xlsx|txt|a1111|blocks"
        );
        assert!(unknown(Path::new("-")).ends_with("; add --format yaml|csv|tsv|jsonl|json|xlsx|txt|a1111|blocks"));
        assert_eq!(
            unknown(Path::new("/dev/fd/63")),
            "a pipe has no file name; add --format yaml|csv|tsv|jsonl|json|xlsx|txt|a1111|blocks"
        );
    }
}
