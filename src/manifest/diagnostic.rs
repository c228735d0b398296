//! Diagnostics of a manifest: the location of a problem, its description and a remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::encoding::Unreadable;
use crate::manifest::format;
use crate::model::escape::escape;

/// Number of mistakes that [`ManifestError`] prints; it only counts the rest.
const MISTAKES_SHOWN_MAX: usize = 20;

/// Limit on the mistakes whose text is kept. Further mistakes are only counted, so that a file of random data needs little memory.
const MISTAKES_KEPT_MAX: usize = 1_000;

/// Reason why a manifest cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Mistakes in a file that was read.
    #[error("could not use {}: {mistakes}", shown(&mistakes.path))]
    Mistakes {
        /// List of all mistakes, not only the first one.
        mistakes: DiagnosticReport,
    },
    /// Read error of the operating system.
    #[error("could not read {}: {source}; {}", shown(path), unread(source.kind()))]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// File extension that names no known format.
    #[error("could not detect the format of {}: {}", shown(path), format::unknown(path))]
    UnknownFormat {
        /// Path of the file.
        path: PathBuf,
    },
    /// File that changed after it was checked.
    #[error("could not continue with {}: it was changed while it was being read; start again", shown(path))]
    Changed {
        /// Path of the file.
        path: PathBuf,
    },
}

impl ManifestError {
    /// Returns the reason why a file gives no text, if the file is at fault. Returns the error unchanged if the system is at fault.
    pub(super) fn into_unreadable(self) -> Result<Unreadable, Self> {
        match &self {
            Self::Read { source, .. } => Unreadable::of(source).cloned().ok_or(self),
            Self::Mistakes { .. } | Self::UnknownFormat { .. } | Self::Changed { .. } => Err(self),
        }
    }

    /// Returns the mistakes in the file: at most the first thousand, sorted by line. Empty for any other error.
    pub fn mistakes(&self) -> &[Diagnostic] {
        match self {
            Self::Mistakes { mistakes } => mistakes.list(),
            Self::Read { .. } | Self::UnknownFormat { .. } | Self::Changed { .. } => &[],
        }
    }
}

/// Returns the remedy for a file that cannot be read.
fn unread(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "check the path, or create one with `promptbatch init`",
        io::ErrorKind::PermissionDenied => "make it readable",
        io::ErrorKind::IsADirectory => "name the manifest in it",
        _ => "fix that and run the same command again",
    }
}

/// Diagnostic of a manifest: one mistake or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Location of the problem.
    pub place: Location,
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
        let Self { place, what, remedy } = self;
        let path = shown(path);
        match place {
            Location::File => format!("{path}: {what}; {remedy}"),
            Location::Line(line) | Location::Span(Span { line, .. }) => format!("{path}:{line}: {what}; {remedy}"),
            Location::Entry(entry) => format!("{path}: entry {entry}: {what}; {remedy}"),
            Location::CommandLine => format!("command line: {what}; {remedy}"),
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
}

impl Location {
    /// Returns the line, from 1. `None` if the line is unknown.
    pub const fn line(self) -> Option<u64> {
        match self {
            Self::Line(line) | Self::Span(Span { line, .. }) => Some(line),
            Self::File | Self::Entry(_) | Self::CommandLine => None,
        }
    }

    /// Returns the sort key of a location, for the order of the file.
    const fn order(self) -> (u8, u64, u32) {
        match self {
            Self::CommandLine => (0, 0, 0),
            Self::File => (1, 0, 0),
            Self::Line(line) => (2, line, 0),
            Self::Span(Span { line, begin, .. }) => (2, line, begin),
            Self::Entry(entry) => (3, entry, 0),
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
    path: PathBuf,
    found: DiagnosticList,
    warnings: DiagnosticList,
}

impl DiagnosticReport {
    /// Creates the list of the mistakes and warnings in the manifest at `path`, sorted by location.
    pub(super) fn new(path: PathBuf, PassDiagnostics { mistakes, warnings }: PassDiagnostics) -> Self {
        Self { path, found: mistakes.sorted(), warnings: warnings.sorted() }
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
pub(super) struct DiagnosticList {
    kept: Vec<Diagnostic>,
    n: u64,
}

impl DiagnosticList {
    /// Adds a mistake, but no duplicate: an alias repeats the mistakes of its anchor.
    pub(super) fn push(&mut self, place: Location, wrong: Issue) {
        let Issue { what, remedy } = wrong;
        let mistake = Diagnostic { place, what, remedy };
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

    /// Sorts the kept mistakes by location.
    pub(super) fn sorted(mut self) -> Self {
        self.kept.sort_by_key(|mistake| mistake.place.order());
        self
    }
}

/// Diagnostics of one pass over a manifest.
#[derive(Debug, Default)]
pub(super) struct PassDiagnostics {
    /// Mistakes, which must be fixed before any submission.
    pub(super) mistakes: DiagnosticList,
    /// Warnings: input that is allowed and probably not intended.
    pub(super) warnings: DiagnosticList,
}

/// Problem without a location: its description and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) what: String,
    pub(super) remedy: String,
}

/// Creates a [`Issue`].
pub(super) fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Issue {
    Issue { what: what.into(), remedy: remedy.into() }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(n: u64) -> DiagnosticList {
        let mut found = DiagnosticList::default();
        for line in (1..=n).rev() {
            found.push(Location::Line(line), wrong("unknown field `promt`", "did you mean `prompt`?"));
        }
        found
    }

    fn error(n: u64) -> ManifestError {
        ManifestError::Mistakes {
            mistakes: DiagnosticReport::new(
                "prompts.yaml".into(),
                PassDiagnostics { mistakes: found(n), warnings: DiagnosticList::default() },
            ),
        }
    }

    #[test]
    fn a_mistake_says_where_what_and_what_to_do() {
        let at = |place| {
            let mistake = Diagnostic { place, what: "no prompts".into(), remedy: "write one".into() };
            mistake.at(Path::new("a\x1bb.csv"))
        };
        assert_eq!(at(Location::Line(12)), "a\\u{1b}b.csv:12: no prompts; write one");
        assert_eq!(at(Location::Entry(3)), "a\\u{1b}b.csv: entry 3: no prompts; write one");
        assert_eq!(at(Location::File), "a\\u{1b}b.csv: no prompts; write one");
        assert_eq!(at(Location::CommandLine), "command line: no prompts; write one");
    }

    #[test]
    fn one_mistake_is_not_many() {
        assert_eq!(
            error(1).to_string(),
            "could not use prompts.yaml: 1 mistake\n  prompts.yaml:1: unknown field `promt`; did you mean `prompt`?"
        );
    }

    #[test]
    fn twenty_mistakes_are_shown_and_the_rest_counted() {
        let text = error(20).to_string();
        assert_eq!(text.lines().count(), 21, "{text}");
        let text = error(33).to_string();
        assert_eq!(text.lines().count(), 22, "{text}");
        assert!(text.starts_with("could not use prompts.yaml: 33 mistakes\n  prompts.yaml:1: "), "{text}");
        assert!(text.ends_with("\n  and 13 more"), "{text}");
    }

    #[test]
    fn a_file_of_rubbish_is_counted_to_its_end_and_kept_in_part() {
        let error = error(5_000);
        assert_eq!(error.mistakes().len(), MISTAKES_KEPT_MAX);
        assert!(error.to_string().ends_with("and 4980 more"));
    }

    #[test]
    fn other_errors_say_what_could_not_be_done() {
        let path = PathBuf::from("prompts.doc");
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let cases = [
            (
                ManifestError::Read { path: path.clone(), source },
                "could not read prompts.doc: permission denied; make it readable",
            ),
            (
                ManifestError::UnknownFormat { path: path.clone() },
                "could not detect the format of prompts.doc: its name does not end in any of .yaml, .yml, .csv, .tsv, .tab, .jsonl, \
                 .ndjson, .txt, or in one of these followed by .gz; rename it, or add --format yaml|csv|tsv|jsonl|txt",
            ),
            (
                ManifestError::Changed { path },
                "could not continue with prompts.doc: it was changed while it was being read; start again",
            ),
        ];
        for (error, words) in cases {
            assert_eq!(error.to_string(), words);
            assert_eq!(error.mistakes(), []);
        }
    }
}
