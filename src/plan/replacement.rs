//! Check that an output folder is not taken over by another manifest: most jobs of its run would leave the results.

use std::path::{Path, PathBuf};

use crate::manifest::input::path::is_nameless;
use crate::store::diff::ManifestDiff;
use crate::store::import::Imported;

/// Path that stands for standard input, pipes and programs, which have other jobs each time.
const NAMELESS: &str = "-";

/// Returns the path of a manifest as a ledger keeps it.
pub(super) fn recorded_path(path: Option<&Path>) -> String {
    let Some(path) = path.filter(|path| !is_nameless(path)) else { return NAMELESS.to_owned() };
    path.canonicalize().as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

/// Manifest that replaces more than half of the jobs of a run. Their images and records stay, but not their results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not run {} in {}: {}", self.what(), out.display(), self.reason())]
pub struct Replacement {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Path of the manifest; `None` for jobs that a program made.
    pub path: Option<PathBuf>,
    /// Path of the manifest of the run so far; `None` if it is the same file.
    pub other: Option<String>,
    /// Jobs of the run so far.
    pub n_before: u64,
    /// Jobs of the run so far that the manifest does not contain.
    pub n_left: u64,
}

impl Replacement {
    /// Checks an import, or the differences that an import would make. `before` is the recorded path of the manifest so far.
    pub(super) fn check(change: Change, before: Option<&str>, path: Option<&Path>, out: &Path) -> Result<(), Self> {
        let Change { before: n_before, after: n_after, left: n_left } = change;
        // Ledgers of earlier releases do not name the file.
        let is_same = before.is_none_or(|before| before != NAMELESS && before == recorded_path(path));
        // Rows of the same file may be edited, each of which is one job less and one job more. Other files have other rows.
        let n_lost = if is_same { n_before.saturating_sub(n_after) } else { n_left };
        if n_lost <= n_before / 2 {
            return Ok(());
        }
        let other = before.filter(|_| !is_same).map(str::to_owned);
        Err(Self { out: out.to_owned(), path: path.map(Path::to_owned), other, n_before, n_left })
    }

    fn what(&self) -> String {
        self.path.as_ref().map_or_else(|| "these jobs".to_owned(), |path| path.display().to_string())
    }

    fn reason(&self) -> String {
        let Self { other, n_before, n_left, .. } = self;
        let what = match other.as_deref() {
            None => format!("{n_left} of the {n_before} jobs of the run are no longer in it"),
            Some(NAMELESS) => format!(
                "the folder holds the run of a manifest that was piped in or made in code, and {n_left} of its {n_before} jobs are not in this one"
            ),
            Some(other) => {
                format!(
                    "the folder holds the run of {other}, and {n_left} of its {n_before} jobs are not in this manifest"
                )
            }
        };
        format!(
            "{what}; choose another output folder with -o, or continue here with --replace-manifest (images stay on disk, and \
             the jobs leave the results)"
        )
    }
}

/// Numbers of jobs that an import changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    before: u64,
    after: u64,
    left: u64,
}

impl From<&Imported> for Change {
    fn from(&Imported { n_new, n_kept, n_before, n_left, n_skipped, .. }: &Imported) -> Self {
        // A row that is left out for now is still in the manifest.
        Self { before: n_before, after: n_new + n_kept + n_skipped, left: n_left }
    }
}

impl From<&ManifestDiff> for Change {
    fn from(diff: &ManifestDiff) -> Self {
        let n_left = diff.leaving.n_jobs() - diff.n_skipped;
        let after = diff.n_new + diff.n_changed + diff.n_kept + diff.n_back + diff.n_skipped;
        Self { before: diff.n_kept + n_left + diff.n_skipped, after, left: n_left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(n_before: u64, n_left: u64, n_after: u64, before: Option<&str>) -> bool {
        let change = Change { before: n_before, after: n_after, left: n_left };
        Replacement::check(change, before, Some(Path::new("/a/p.csv")), Path::new("out")).is_err()
    }

    #[test]
    fn another_file_may_replace_half_of_the_jobs() {
        for (n_before, n_left, is_wrong) in
            [(0, 0, false), (1, 1, true), (2, 1, false), (3, 1, false), (3, 2, true), (10, 5, false), (10, 6, true)]
        {
            for before in ["/b/p.csv", "-"] {
                assert_eq!(is_refused(n_before, n_left, n_before, Some(before)), is_wrong, "{n_left} of {n_before}");
            }
        }
    }

    #[test]
    fn edited_rows_of_the_same_file_are_no_loss_and_removed_ones_are() {
        for before in [None, Some("/a/p.csv")] {
            assert!(!is_refused(3, 3, 3, before), "all rows are edited");
            assert!(!is_refused(10, 5, 5, before) && is_refused(10, 6, 4, before));
            assert!(is_refused(10, 10, 4, before), "four rows instead of ten");
        }
    }

    #[test]
    fn pipes_are_never_the_same_file() {
        for name in [Some("-"), Some("/dev/stdin"), Some("/dev/fd/63"), None] {
            let change = Change { before: 2, after: 2, left: 2 };
            let refused = Replacement::check(change, Some("-"), name.map(Path::new), Path::new("out")).unwrap_err();
            assert!(refused.to_string().contains("made in code, and 2 of its 2 jobs"), "{refused}");
        }
    }
}
