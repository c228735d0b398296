//! Folder: each text file in it is one prompt, and its name without `.txt` is the id.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::value::{UnparsedValue, shown_text};
use crate::manifest::foreign_files;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened, read_as};
use crate::manifest::input::detect;
use crate::manifest::input::encoding::{Encoding, Unreadable};
use crate::manifest::input::folder::{FolderListing, FolderTexts, TEXT_BYTES_MAX, TextFile};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::line_ends::LineEnds;
use crate::manifest::input::path::ending;
use crate::manifest::lists::ListFiles;

/// Lines from which a file is probably a list of prompts.
const LINES_MIN: usize = 10;

/// Names of texts that often lie beside others and are no prompts.
const NO_PROMPTS: [&str; 6] = ["readme", "license", "licence", "requirements", "changelog", "notes"];

/// Endings of the pictures that may lie beside their captions.
const PICTURES: [&str; 8] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"];

/// Folder of text files.
pub(crate) struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn help(&self) -> &'static str {
        "A text file for each prompt"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn instead_of_column(&self, _: Field) -> Option<String> {
        Some("each .txt file is a prompt, and its name is the id".to_owned())
    }

    fn open(
        &self,
        input: FormatInput,
        _: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let listing = FolderListing::read(input.path)?;
        report_others(&listing, findings);
        findings.parts = listing.texts.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        Ok(Opened::entries(FolderEntries {
            texts: FolderTexts::new(input.path, listing.texts),
            encoding: input.encoding,
            is_verbatim: input.is_verbatim,
            n_texts: 0,
            is_told: false,
        }))
    }
}

/// Reports what is in the folder and is not read.
fn report_others(listing: &FolderListing, findings: &mut PassDiagnostics) {
    let FolderListing { texts, others, folders } = listing;
    let is_companion = |name: &OsString| {
        let name = Path::new(name);
        ending(name).is_some_and(|ending| PICTURES.contains(&ending.as_str()))
            && texts.iter().any(|text| Path::new(text).file_stem() == name.file_stem())
    };
    // A folder of a million pictures is compared in part.
    let others: Vec<_> =
        others.iter().enumerate().filter(|(i, name)| *i > 1_000 || !is_companion(name)).map(|(_, name)| name).collect();
    let shown = |name: &OsString| shown_text(&name.to_string_lossy());
    if texts.is_empty() {
        let remedy = match (folders.first(), others.first()) {
            (Some(sub), _) => format!("name one of its subfolders, such as {}", shown(sub)),
            (None, Some(other)) => {
                format!("write one .txt file for each prompt, or name the manifest in it; it has {}", shown(other))
            }
            (None, None) => "write one .txt file for each prompt".to_owned(),
        };
        findings.mistakes.push(Location::File, wrong("the folder has no .txt file", remedy));
        return;
    }
    if let Some(first) = others.first() {
        let what = match others.len() {
            1 => format!("the file {} is not read", shown(first)),
            n => format!("{n} files are not read, such as {}", shown(first)),
        };
        findings.warnings.push(Location::File, wrong(what, "give a file the extension .txt if it holds a prompt"));
    }
    if let Some(first) = folders.first() {
        let what = match folders.len() {
            1 => format!("the subfolder {} has texts, and is not read", shown(first)),
            n => format!("{n} subfolders have texts, and are not read, such as {}", shown(first)),
        };
        findings.warnings.push(Location::File, wrong(what, "run it on its own, or move its texts"));
    }
}

/// Texts of a folder as entries.
struct FolderEntries {
    texts: FolderTexts,
    encoding: Option<Encoding>,
    is_verbatim: bool,
    n_texts: u64,
    /// Records that the warning about an encoding was given.
    is_told: bool,
}

impl FolderEntries {
    fn entry(&mut self, file: TextFile, lists: &ListFiles, findings: &mut PassDiagnostics) -> Result<Entry, Issue> {
        let place = Location::Text(self.n_texts);
        self.n_texts += 1;
        let rename = |what: &str| wrong(what, "rename it");
        let name = file.name.to_str().ok_or_else(|| rename("the name of this file is not UTF-8 text"))?;
        if let Some(issue) = lists.refusal("this file", name) {
            return Err(issue);
        }
        let bytes = file.bytes.map_err(|error| {
            wrong(format!("this file could not be read: {error}"), "make it readable, or remove it")
        })?;
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(wrong("this file is longer than 1 MiB", "write one prompt in it"));
        }
        if let Some(issue) = foreign_files::of_head(&bytes, self.is_verbatim) {
            return Err(issue);
        }
        let text = self.text(&bytes, place, &mut findings.warnings)?;
        if text.trim().is_empty() {
            return Err(wrong("this file is empty", "write a prompt in it, or remove it"));
        }
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        self.warn(&stem, &text, place, &mut findings.warnings);
        let given = [(Field::Id, stem.into_owned()), (Field::Prompt, text)];
        let given = given.into_iter().map(|(field, text)| FieldEntry::one(field, UnparsedValue::Cell(text), place));
        Ok(Entry { given: given.collect(), ..Entry::new(place) })
    }

    /// Decodes a file. Line ends become `\n`, and those at the end are left out.
    fn text(&mut self, bytes: &[u8], place: Location, warnings: &mut DiagnosticList) -> Result<String, Issue> {
        let in_line = |(place, wrong): (Location, Issue)| match place {
            Location::Line(line) | Location::Span(Span { line, .. }) => {
                Issue { what: format!("line {line}: {}", wrong.what), ..wrong }
            }
            Location::File | Location::Entry(_) | Location::Cell { .. } | Location::Text(_) | Location::CommandLine => {
                wrong
            }
        };
        let (text, encoding) = detect::text(bytes, self.encoding).map_err(in_line)?;
        if encoding != Encoding::UTF8 && self.encoding.is_none() && !self.is_told {
            self.is_told = true;
            warnings.push(place, read_as(encoding));
        }
        let mut ends = LineEnds::default();
        if !self.is_verbatim {
            ends.check();
        }
        let mut text = text.into_owned().into_bytes();
        if let Some(line) = ends.unify(&mut text) {
            return Err(in_line(Unreadable::BareReturn { line }.told()));
        }
        let mut text = String::from_utf8(text).map_err(|_| Unreadable::NotUtf8.told().1)?;
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    fn warn(&self, stem: &str, text: &str, place: Location, warnings: &mut DiagnosticList) {
        if self.is_verbatim {
            return;
        }
        if NO_PROMPTS.contains(&stem.to_lowercase().as_str()) {
            warnings.push(place, wrong("this file is a prompt too, whatever its name", "move it away if it is none"));
        }
        let n_lines = text.lines().filter(|line| !line.trim().is_empty()).count();
        if n_lines >= LINES_MIN {
            let what = format!("this file is one prompt of {n_lines} lines");
            warnings.push(place, wrong(what, "if each line is a prompt, run this file alone, as the manifest"));
        }
    }
}

impl EntrySource for FolderEntries {
    fn next_entry(&mut self, lists: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        while let Some(file) = self.texts.next() {
            let place = Location::Text(self.n_texts);
            match self.entry(file, lists, findings) {
                Ok(entry) => return Ok(Some(entry)),
                Err(issue) => findings.mistakes.push(place, issue),
            }
        }
        Ok(None)
    }

    fn bytes(&self) -> &HashingReader {
        self.texts.hashed()
    }
}
