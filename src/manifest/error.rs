//! Errors of a manifest: its mistakes, or the reason why it cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::diagnostics::{Diagnostic, DiagnosticReport, shown_path};
use crate::manifest::formats::unknown;
use crate::manifest::input::encoding::Unreadable;
use crate::model::escape::escape;

/// Reason why a manifest cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Mistakes in a file that was read.
    #[error("could not use {}: {mistakes}", shown_path(&mistakes.path))]
    Mistakes {
        /// List of all mistakes, not only the first one.
        mistakes: DiagnosticReport,
    },
    /// Read error of the operating system.
    #[error("could not read {}: {source}; {}", shown_path(path), unread(path, source.kind()))]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// File extension that names no known format.
    #[error("could not detect the format of {}: {}", shown_path(path), unknown(path))]
    UnknownFormat {
        /// Path of the file.
        path: PathBuf,
    },
    /// Picture that is another one than when the run began. Its finished jobs were made from the old one.
    #[error(
        "could not continue with {}: the picture {} has changed since the run began; put the old file back, give the new one another name, or choose another output folder with -o",
        shown_path(path),
        escape(picture)
    )]
    PictureChanged {
        /// Path of the manifest.
        path: PathBuf,
        /// Name of the picture as written.
        picture: String,
    },
    /// File that changed after it was checked.
    #[error("could not continue with {}: it was changed while it was being read; start again", shown_path(path))]
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
            Self::Mistakes { .. } | Self::UnknownFormat { .. } | Self::PictureChanged { .. } | Self::Changed { .. } => {
                Err(self)
            }
        }
    }

    /// Returns the mistakes in the file: at most the first thousand, sorted by line. Empty for any other error.
    pub fn mistakes(&self) -> &[Diagnostic] {
        match self {
            Self::Mistakes { mistakes } => mistakes.list(),
            Self::Read { .. } | Self::UnknownFormat { .. } | Self::PictureChanged { .. } | Self::Changed { .. } => &[],
        }
    }
}

/// Returns the remedy for a file that cannot be read.
fn unread(path: &Path, kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound if path.as_os_str().as_encoded_bytes().contains(&b'*') => {
            "name one file, or the folder of the files"
        }
        io::ErrorKind::NotFound => "check the path, or create one with `promptbatch init`",
        io::ErrorKind::PermissionDenied => "make it readable",
        io::ErrorKind::IsADirectory => "name the manifest in it",
        _ => "fix that and run the same command again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::diagnostics::{DiagnosticList, Location, MISTAKES_KEPT_MAX, PassDiagnostics, wrong};

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
                PassDiagnostics { mistakes: found(n), ..PassDiagnostics::default() },
            ),
        }
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
                 .ndjson, .json, .xlsx, .xlsm, .ods, .xls, .txt, or in one of these followed by .gz; rename it, or add --format yaml|csv|tsv|jsonl|json|xlsx|txt|a1111|blocks",
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
