//! Mistakes in a description, each with its line and a remedy.

use std::fmt;

use crate::model::escape::escape;

/// Mistakes in a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DescriptionError {
    /// File, as it is shown.
    pub file: String,
    /// Mistakes, never empty.
    pub mistakes: Vec<DescriptionMistake>,
}

/// Mistake in a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptionMistake {
    /// Line, from 1; `None` if the mistake is about the whole file.
    pub line: Option<u64>,
    /// Description of the mistake and the remedy.
    pub what: String,
}

impl DescriptionMistake {
    /// Creates a mistake at a line.
    pub(crate) fn new(line: Option<u64>, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl DescriptionError {
    /// Creates the error for one mistake in `file`.
    pub(crate) fn one(file: &str, line: Option<u64>, what: impl Into<String>) -> Self {
        Self { file: escape(file), mistakes: vec![DescriptionMistake::new(line, what)] }
    }
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, mistakes } = self;
        let n = mistakes.len();
        write!(f, "could not use the description {file}: {n} mistake{}", if n == 1 { "" } else { "s" })?;
        for DescriptionMistake { line, what } in mistakes {
            match line {
                Some(line) => write!(f, "\n  {file}:{line}: {what}")?,
                None => write!(f, "\n  {file}: {what}")?,
            }
        }
        Ok(())
    }
}
