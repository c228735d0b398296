//! What can be wrong with a manifest: where it is, what it is and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::encoding::Unreadable;
use crate::manifest::format;
use crate::model::text::escape;

/// Mistakes that [`ManifestError`] prints before it counts the rest.
const MISTAKES_SHOWN_MAX: usize = 20;

/// Mistakes that are kept with their words; further ones are only counted, so that a file of rubbish stays cheap.
const MISTAKES_KEPT_MAX: usize = 1_000;

/// Why there is no manifest to run.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file was read, and what it says cannot be run.
    #[error("could not use {}: {mistakes}", shown(&mistakes.path))]
    Mistakes {
        /// All of them, not only the first.
        mistakes: Mistakes,
    },
    /// The operating system did not let us read the file.
    #[error("could not read {}: {source}; {}", shown(path), unread(source.kind()))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ending of the file's name says nothing that we know.
    #[error("could not tell the format of {}: {}", shown(path), format::unknown(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what it was when it was checked.
    #[error("could not go on with {}: it was changed while it was being read; start again", shown(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl ManifestError {
    /// Why a file gives no text, where that is a mistake in the file and not one of the system.
    pub(super) fn into_unreadable(self) -> Result<Unreadable, Self> {
        match &self {
            Self::Read { source, .. } => Unreadable::of(source).cloned().ok_or(self),
            Self::Mistakes { .. } | Self::UnknownFormat { .. } | Self::Changed { .. } => Err(self),
        }
    }

    /// The mistakes in the file, if that is what is wrong: the first thousand, by line.
    pub fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Mistakes { mistakes } => mistakes.list(),
            Self::Read { .. } | Self::UnknownFormat { .. } | Self::Changed { .. } => &[],
        }
    }
}

/// What to do where a file cannot be read.
fn unread(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "see how it is spelt, or begin one with `promptbatch init`",
        io::ErrorKind::PermissionDenied => "allow reading it",
        io::ErrorKind::IsADirectory => "name the manifest in it",
        _ => "mend that and run the same command again",
    }
}

/// One thing that is wrong, or doubtful, in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong, such as "unknown field `promt`".
    pub what: String,
    /// What to do about it, such as "did you mean `prompt`?".
    pub remedy: String,
}

impl Mistake {
    /// The line of the manifest, from 1, if it is known.
    pub const fn line(&self) -> Option<u64> {
        self.place.line()
    }

    /// The whole sentence about the manifest at `path`: `prompts.yaml:12: what is wrong; what to do`.
    pub fn at(&self, path: &Path) -> String {
        let Self { place, what, remedy } = self;
        let path = shown(path);
        match place {
            Place::File => format!("{path}: {what}; {remedy}"),
            Place::Line(line) | Place::Span(Span { line, .. }) => format!("{path}:{line}: {what}; {remedy}"),
            Place::Entry(entry) => format!("{path}: entry {entry}: {what}; {remedy}"),
            Place::CommandLine => format!("command line: {what}; {remedy}"),
        }
    }
}

/// Where a mistake is. A line is never guessed: where it is not known, the entry is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the options that were given with the manifest.
    CommandLine,
    /// In the file as a whole.
    File,
    /// On this line, from 1.
    Line(u64),
    /// In these characters of a line.
    Span(Span),
    /// In this entry, from 1, on a line that could not be told.
    Entry(u64),
}

impl Place {
    /// The line, from 1, if it is known.
    pub const fn line(self) -> Option<u64> {
        match self {
            Self::Line(line) | Self::Span(Span { line, .. }) => Some(line),
            Self::File | Self::Entry(_) | Self::CommandLine => None,
        }
    }

    /// What places are told by, in the order of the file.
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

/// Some characters of one line, counted in bytes of the line as UTF-8 from 0, whatever the file's own encoding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The line, from 1.
    pub line: u64,
    /// Where they begin.
    pub begin: u32,
    /// Where they end.
    pub end: u32,
}

/// All mistakes of one manifest; prints the first twenty, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    path: PathBuf,
    found: Found,
    warnings: Found,
}

impl Mistakes {
    /// What was found in the manifest at `path`.
    pub(super) fn new(path: PathBuf, Findings { mistakes, warnings }: Findings) -> Self {
        Self { path, found: mistakes.sorted(), warnings: warnings.sorted() }
    }

    /// What is allowed and probably not meant: the first thousand, by line.
    pub fn warnings(&self) -> &[Mistake] {
        self.warnings.list()
    }

    /// How many warnings there are, those beyond the thousandth included.
    pub const fn n_warnings(&self) -> u64 {
        self.warnings.n
    }

    /// The first thousand of them, by line.
    pub fn list(&self) -> &[Mistake] {
        self.found.list()
    }

    /// How many there are, those beyond the thousandth included.
    pub const fn n(&self) -> u64 {
        self.found.n
    }
}

impl fmt::Display for Mistakes {
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

/// Mistakes or warnings as they are found: the first ones in words, all of them counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    kept: Vec<Mistake>,
    n: u64,
}

impl Found {
    /// Adds a mistake, but not twice the same: an alias repeats the mistakes of its anchor.
    pub(super) fn push(&mut self, place: Place, wrong: Wrong) {
        let Wrong { what, remedy } = wrong;
        let mistake = Mistake { place, what, remedy };
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

    pub(super) fn list(&self) -> &[Mistake] {
        &self.kept
    }

    /// The same in the order of the file.
    pub(super) fn sorted(mut self) -> Self {
        self.kept.sort_by_key(|mistake| mistake.place.order());
        self
    }
}

/// What one pass over a manifest has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What must be put right before anything is sent.
    pub(super) mistakes: Found,
    /// What is allowed, and probably not meant.
    pub(super) warnings: Found,
}

/// A mistake before it is known where: what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) remedy: String,
}

/// Shorthand for a [`Wrong`].
pub(super) fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), remedy: remedy.into() }
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(n: u64) -> Found {
        let mut found = Found::default();
        for line in (1..=n).rev() {
            found.push(Place::Line(line), wrong("unknown field `promt`", "did you mean `prompt`?"));
        }
        found
    }

    fn error(n: u64) -> ManifestError {
        ManifestError::Mistakes {
            mistakes: Mistakes::new("prompts.yaml".into(), Findings { mistakes: found(n), warnings: Found::default() }),
        }
    }

    #[test]
    fn a_mistake_says_where_what_and_what_to_do() {
        let at = |place| {
            let mistake = Mistake { place, what: "no prompts".into(), remedy: "write one".into() };
            mistake.at(Path::new("a\x1bb.csv"))
        };
        assert_eq!(at(Place::Line(12)), "a\\u{1b}b.csv:12: no prompts; write one");
        assert_eq!(at(Place::Entry(3)), "a\\u{1b}b.csv: entry 3: no prompts; write one");
        assert_eq!(at(Place::File), "a\\u{1b}b.csv: no prompts; write one");
        assert_eq!(at(Place::CommandLine), "command line: no prompts; write one");
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
                "could not read prompts.doc: permission denied; allow reading it",
            ),
            (
                ManifestError::UnknownFormat { path: path.clone() },
                "could not tell the format of prompts.doc: its name ends in none of .yaml, .yml, .csv, .tsv, .tab, .jsonl, \
                 .ndjson, .txt, or one of them and .gz; rename it, or add --format yaml|csv|tsv|jsonl|txt",
            ),
            (
                ManifestError::Changed { path },
                "could not go on with prompts.doc: it was changed while it was being read; start again",
            ),
        ];
        for (error, words) in cases {
            assert_eq!(error.to_string(), words);
            assert_eq!(error.mistakes(), []);
        }
    }
}
