//! Interface of a manifest format: how it is named, recognised and read.

use std::fmt;
use std::io;
use std::path::Path;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::options::ExpandOptions;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::input::bytes::DecompressedReader;
use crate::manifest::input::encoding::Encoding;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;
use crate::manifest::settings::Settings;

/// Manifest format. A new format implements this trait, and gets a row in [`FORMATS`](super::FORMATS).
pub trait Format: Sync {
    /// Returns the name of the format, such as `yaml`, as the `--format` option spells it.
    fn name(&self) -> &'static str;

    /// Returns one line for `--help`.
    fn help(&self) -> &'static str;

    /// Returns the file extensions of the format, in lower case and without the dot.
    fn endings(&self) -> &'static [&'static str];

    /// Returns what to do instead of naming a column for this field. `None` if the format has columns or keys with free names.
    fn instead_of_column(&self, _field: Field) -> Option<String> {
        None
    }

    /// Returns whether every line is a prompt, so that no line can be anything else.
    fn is_one_prompt_per_line(&self) -> bool {
        false
    }

    /// Returns whether the format is a workbook of sheets, and no text.
    fn has_sheets(&self) -> bool {
        false
    }

    /// Returns whether the format has a null of its own, so that the text `null` was put in quotes and is meant.
    fn has_null(&self) -> bool {
        false
    }

    /// Returns words without which a manifest in this format names no other file. Empty if the format cannot name one.
    fn words_of_other_files(&self) -> &'static [&'static str] {
        &[]
    }

    /// Opens a manifest and reads what precedes its entries. The format takes the input as text or as bytes. Mistakes go to `findings`.
    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened>;
}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for dyn Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Format {}

/// Entries of a manifest in any format, in file order.
pub trait EntrySource {
    /// Returns the next entry. Problems before that entry go to `findings`. An entry may name list files in the manifest's folder.
    fn next_entry(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>>;

    /// Returns the columns that are used, as pairs of title and field. Empty for a format without columns.
    fn used_columns(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Returns the bytes of the file that have been read, with their number and hash.
    fn bytes(&self) -> &HashingReader;
}

/// Opened manifest.
pub struct Opened {
    /// What the manifest gives for all entries.
    pub head: ManifestHead,
    /// Entries of the manifest.
    pub entries: Box<dyn EntrySource>,
}

impl Opened {
    /// Wraps the entries of a manifest that gives nothing else.
    pub fn entries(entries: impl EntrySource + 'static) -> Self {
        Self { head: ManifestHead::default(), entries: Box::new(entries) }
    }
}

/// What a manifest gives for all its entries, before them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestHead {
    /// Fields of the entries that do not give their own.
    pub defaults: Vec<FieldEntry>,
    /// Passthrough columns of the defaults, as pairs of column and text.
    pub extras: Vec<(String, String)>,
    /// Expansion options for all entries: how lists combine, the vars and the syntax.
    pub(crate) ways: ExpandOptions,
    /// Settings of the whole run.
    pub settings: Settings,
}

/// Input of a manifest that is not opened yet.
#[derive(Clone, Copy, Debug)]
pub struct FormatInput<'a> {
    pub(crate) path: &'a Path,
    /// Encoding that the user named.
    pub(crate) encoding: Option<Encoding>,
    /// Encoding that an earlier pass detected.
    pub(crate) detected: Option<Encoding>,
    /// Records that texts are taken as they are.
    pub(crate) is_verbatim: bool,
    /// Name of the sheet to read. `None` means the first visible one.
    #[cfg_attr(not(feature = "xlsx"), expect(dead_code, reason = "only workbooks have sheets"))]
    pub(crate) sheet: Option<&'a str>,
}

impl FormatInput<'_> {
    /// Opens the input as UTF-8 text. Warns if the file is not UTF-8 and the user did not name an encoding.
    pub fn text(self, findings: &mut PassDiagnostics) -> io::Result<ManifestInput> {
        let mut input = ManifestInput::open(self.path, self.encoding.or(self.detected))?;
        if !self.is_verbatim {
            input.check_line_ends();
        }
        let encoding = input.encoding();
        if encoding != Encoding::UTF8 && self.encoding.is_none() {
            findings.warnings.push(Location::File, read_as(encoding));
        }
        Ok(input)
    }

    /// Opens the input as bytes, decompressed.
    pub fn bytes(self) -> io::Result<DecompressedReader> {
        DecompressedReader::open(self.path)
    }
}

/// Returns the warning about a detected encoding.
pub(crate) fn read_as(encoding: Encoding) -> Issue {
    let what = format!("the file is not UTF-8 and is read as {encoding}");
    wrong(what, format!("check the prompts; confirm with --encoding {encoding}"))
}
