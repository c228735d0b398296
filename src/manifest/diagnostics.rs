//! Diagnostics of a manifest: the location of a problem, its description and a remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::model::escape::escape;

/// Number of mistakes that [`DiagnosticReport`] prints; it only counts the rest.
const MISTAKES_SHOWN_MAX: usize = 20;

/// Limit on the mistakes whose text is kept. Further mistakes are only counted, so that a file of random data needs little memory.
pub(super) const MISTAKES_KEPT_MAX: usize = 1_000;

/// Diagnostic of a manifest: one mistake or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Location of the problem.
    pub place: Location,
    /// Name of the sheet, or of the file in the folder, that the location is in. `None` for a manifest that is one text.
    pub part: Option<String>,
    /// Description of the problem, such as "unknown field `promt`".
    pub what: String,
    /// Remedy, such as "did you mean `prompt`?".
    pub remedy: String,
}

impl Diagnostic {
    /// Returns the line of the manifest, from 1. `None` if the line is unknown.
    pub const fn line(&self) -> Option<u64> {
        self.place.line()
    }

    /// Formats the diagnostic for the manifest at `path`: `prompts.yaml:12: what is wrong; what to do`.
    pub fn at(&self, path: &Path) -> String {
        let Self { place, what, remedy, .. } = self;
        let path = self.file(path);
        match place {
            Location::File | Location::Text(_) => format!("{path}: {what}; {remedy}"),
            Location::Line(line) | Location::Span(Span { line, .. }) => format!("{path}:{line}: {what}; {remedy}"),
            Location::Entry(entry) => format!("{path}: entry {entry}: {what}; {remedy}"),
            Location::Cell { .. } => format!("{path}, {}: {what}; {remedy}", self.cell()),
            Location::CommandLine => format!("command line: {what}; {remedy}"),
        }
    }

    /// Returns the file that the diagnostic is about, for a message: the manifest at `path`, or a file in that folder.
    pub(crate) fn file(&self, path: &Path) -> String {
        match (&self.part, self.place) {
            (Some(name), Location::Text(_)) => shown_path(&path.join(name)),
            _ => shown_path(path),
        }
    }

    /// Returns the sheet and the cell of the location, such as `Sheet1, cell B7`. Empty for a location in a text.
    pub(crate) fn cell(&self) -> String {
        let Location::Cell { row, column } = self.place else { return String::new() };
        let sheet = self.part.as_ref().map_or_else(String::new, |sheet| escape(sheet) + ", ");
        match column {
            0 => format!("{sheet}row {row}"),
            column => format!("{sheet}cell {}{row}", column_name(column)),
        }
    }
}

/// Location of a problem. A line is never guessed: if the line is unknown, the location is the number of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Options that were given with the manifest.
    CommandLine,
    /// File as a whole.
    File,
    /// Line, from 1.
    Line(u64),
    /// Range of characters within a line.
    Span(Span),
    /// Entry, from 1, whose line is unknown.
    Entry(u64),
    /// Cell of a sheet: its row and its column, from 1. Column 0 means the row.
    Cell {
        /// Row, from 1.
        row: u64,
        /// Column, from 1; 0 means the whole row.
        column: u32,
    },
    /// File in a folder of texts, from 0, in the order of the entries.
    Text(u64),
}

impl Location {
    /// Returns the line, from 1. `None` if the line is unknown.
    pub const fn line(self) -> Option<u64> {
        match self {
            Self::Line(line) | Self::Span(Span { line, .. }) => Some(line),
            Self::File | Self::Entry(_) | Self::Cell { .. } | Self::Text(_) | Self::CommandLine => None,
        }
    }

    /// Returns the location of a byte range of a text at this location. If the text is not on one line as written, returns the location of
    /// the whole text.
    pub(crate) fn within(self, text: &str, begin: usize, end: usize) -> Self {
        let Self::Span(Span { line, begin: first, end: last }) = self else { return self };
        let n_quotes = match (last - first) as usize {
            width if width == text.len() => 0,
            width if width == text.len() + 2 => 1,
            // Rejects texts with escapes or line breaks, in which the origin of each byte is unknown.
            _ => return self,
        };
        let at = |offset: usize| u32::try_from(offset).ok().and_then(|offset| first.checked_add(offset));
        match (at(begin + n_quotes), at(end + n_quotes)) {
            (Some(begin), Some(end)) => Self::Span(Span { line, begin, end }),
            _ => self,
        }
    }

    /// Returns the sort key of a location, for the order of the file.
    const fn order(self) -> (u8, u64, u32) {
        match self {
            Self::CommandLine => (0, 0, 0),
            Self::File => (1, 0, 0),
            Self::Line(line) => (2, line, 0),
            Self::Cell { row, column } => (2, row, column),
            Self::Span(Span { line, begin, .. }) => (2, line, begin),
            Self::Entry(entry) | Self::Text(entry) => (3, entry, 0),
        }
    }
}

/// Range of characters within one line. Offsets are bytes of the line in UTF-8, also for a file in another encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Line, from 1.
    pub line: u64,
    /// Byte offset of the beginning, from 0.
    pub begin: u32,
    /// Byte offset of the end, exclusive.
    pub end: u32,
}

/// List of the mistakes in one manifest. Prints the first twenty, and the number of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticReport {
    /// Path of the manifest.
    pub(super) path: PathBuf,
    found: DiagnosticList,
    warnings: DiagnosticList,
}

impl DiagnosticReport {
    /// Creates the list of the mistakes and warnings in the manifest at `path`, sorted by location.
    pub(super) fn new(path: PathBuf, PassDiagnostics { mistakes, warnings, parts }: PassDiagnostics) -> Self {
        Self { path, found: mistakes.sorted(&parts), warnings: warnings.sorted(&parts) }
    }

    /// Returns the warnings: input that is allowed and probably not intended. At most the first thousand, sorted by line.
    pub fn warnings(&self) -> &[Diagnostic] {
        self.warnings.list()
    }

    /// Returns the number of warnings, those beyond the thousandth included.
    pub const fn n_warnings(&self) -> u64 {
        self.warnings.n
    }

    /// Returns the mistakes: at most the first thousand, sorted by line.
    pub fn list(&self) -> &[Diagnostic] {
        self.found.list()
    }

    /// Returns the number of mistakes, those beyond the thousandth included.
    pub const fn n(&self) -> u64 {
        self.found.n
    }
}

impl fmt::Display for DiagnosticReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.n();
        write!(f, "{n} mistake{}", if n == 1 { "" } else { "s" })?;
        for mistake in self.list().iter().take(MISTAKES_SHOWN_MAX) {
            write!(f, "\n  {}", mistake.at(&self.path))?;
        }
        match n.saturating_sub(MISTAKES_SHOWN_MAX as u64) {
            0 => Ok(()),
            n_more => write!(f, "\n  and {n_more} more"),
        }
    }
}

/// Collector of mistakes or warnings. The first ones are kept with their text, and all are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagnosticList {
    kept: Vec<Diagnostic>,
    n: u64,
}

impl DiagnosticList {
    /// Adds a mistake, but no duplicate: an alias repeats the mistakes of its anchor.
    pub fn push(&mut self, place: Location, wrong: Issue) {
        let Issue { what, remedy } = wrong;
        let mistake = Diagnostic { place, part: None, what, remedy };
        if self.kept.len() == MISTAKES_KEPT_MAX {
            self.n += 1;
        } else if !self.kept.contains(&mistake) {
            self.n += 1;
            self.kept.push(mistake);
        }
    }

    pub(super) const fn n(&self) -> u64 {
        self.n
    }

    pub(super) fn list(&self) -> &[Diagnostic] {
        &self.kept
    }

    /// Sorts the kept mistakes by location. `parts` are the names of the sheet, or of the files in a folder.
    pub(super) fn sorted(mut self, parts: &[String]) -> Self {
        self.kept.sort_by_key(|mistake| mistake.place.order());
        for mistake in &mut self.kept {
            mistake.part = match mistake.place {
                Location::Text(i) => usize::try_from(i).ok().and_then(|i| parts.get(i)).cloned(),
                Location::Cell { .. } => parts.first().cloned(),
                _ => None,
            };
        }
        self
    }
}

/// Diagnostics of one pass over a manifest.
#[derive(Debug, Default)]
pub struct PassDiagnostics {
    /// Mistakes, which must be fixed before any submission.
    pub mistakes: DiagnosticList,
    /// Warnings: input that is allowed and probably not intended.
    pub warnings: DiagnosticList,
    /// Names of the files in a folder, which [`Location::Text`] counts, or of the sheet. Empty for a manifest that is one text.
    pub(crate) parts: Vec<String>,
}

/// Problem without a location: its description and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Description of the problem.
    pub what: String,
    /// Remedy.
    pub remedy: String,
}

/// Creates an [`Issue`].
pub fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Issue {
    Issue { what: what.into(), remedy: remedy.into() }
}

/// Returns the letters of a column, from 1, as spreadsheets name it.
pub(crate) fn column_name(column: u32) -> String {
    let mut letters = String::new();
    let mut rest = column;
    while rest > 0 {
        rest -= 1;
        letters.insert(0, char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    letters
}

/// Formats a path for a message.
pub(super) fn shown_path(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (column, name) in [(1, "A"), (26, "Z"), (27, "AA"), (52, "AZ"), (702, "ZZ"), (703, "AAA"), (16_384, "XFD")]
        {
            assert_eq!(column_name(column), name);
        }
    }

    #[test]
    fn a_mistake_says_where_what_and_what_to_do() {
        let at = |place| {
            let mistake = Diagnostic { place, part: None, what: "no prompts".into(), remedy: "write one".into() };
            mistake.at(Path::new("a\x1bb.csv"))
        };
        assert_eq!(at(Location::Line(12)), "a\\u{1b}b.csv:12: no prompts; write one");
        assert_eq!(at(Location::Entry(3)), "a\\u{1b}b.csv: entry 3: no prompts; write one");
        assert_eq!(at(Location::File), "a\\u{1b}b.csv: no prompts; write one");
        assert_eq!(at(Location::CommandLine), "command line: no prompts; write one");
    }
}
