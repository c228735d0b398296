//! Reasons why parts of a run could not be merged.

use std::io;
use std::path::PathBuf;

use crate::images::error::StoreError;
use crate::model::partition::PartitionKind;
use crate::run::error::RunError;
use crate::run::outputs::OutputConflict;
use crate::run::projection::ProjectionError;
use crate::store::error::LedgerError;

/// Reason why parts could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Folder without any part.
    #[error("could not find parts of a run in {}: give the folders that `run --partition` made, such as {}/1-of-8", .0.display(), .0.display())]
    NoParts(PathBuf),
    /// Run that is no part.
    #[error("could not merge {}: it is a run of its own, and no part of one; parts are made by `run --partition`", .0.display())]
    NoPart(PathBuf),
    /// Parts that belong to different runs.
    #[error("could not merge {} with {}: {what}", one.display(), other.display())]
    Different {
        /// Folder of one part.
        one: PathBuf,
        /// Folder of another part.
        other: PathBuf,
        /// Difference.
        what: &'static str,
    },
    /// Parts that are missing.
    #[error(
        "could not merge: {} of {count} parts {} missing: {}; run {} with --partition {kind}:M/{count}, or as a Slurm array job with \
         --array={} and --partition {kind}:$SLURM_ARRAY_TASK_ID/{count}",
        missing.len(), if missing.len() == 1 { "is" } else { "are" }, ranges(missing), if missing.len() == 1 { "it" } else { "them" },
        ranges(missing)
    )]
    Missing {
        /// Numbers of the missing parts.
        missing: Vec<u32>,
        /// Number of all parts.
        count: u32,
        /// Way to divide the jobs, as `--partition` takes it.
        kind: PartitionKind,
    },
    /// Part whose run is under way.
    #[error("could not merge {}: its run is under way (process {process}); wait until it has ended", shard.display())]
    Running {
        /// Folder of the part.
        shard: PathBuf,
        /// Process of the run.
        process: String,
    },
    /// Part that ended in the middle of submissions.
    #[error(
        "could not merge {}: {n_open} of its submissions have no answer, and only this part can look them up; run it once more", shard.display()
    )]
    Open {
        /// Folder of the part.
        shard: PathBuf,
        /// Submissions without an answer.
        n_open: u64,
    },
    /// File of the user's in the output folder that the merge would replace.
    #[error(transparent)]
    Output(#[from] OutputConflict),
    /// Output folder with a run of its own.
    #[error("could not merge into {}: it has a run already; choose another folder with -o", .0.display())]
    Taken(PathBuf),
    /// Ledger that cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Image that could not be linked or copied.
    #[error("could not put the image {image} into {}: {source}", out.display())]
    Image {
        /// Name of the image.
        image: String,
        /// Output folder.
        out: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Storage of the images that cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Interrupted redo of a part that could not be completed.
    #[error(transparent)]
    Redo(#[from] RunError),
    /// Results that cannot be written.
    #[error(transparent)]
    Results(#[from] ProjectionError),
}

/// Writes numbers as array jobs are written: `3,7-9`.
fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let words =
        ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_named_as_array_jobs_are() {
        assert_eq!(ranges(&[3, 7, 8, 9]), "3,7-9");
        assert_eq!(ranges(&[1]), "1");
        assert_eq!(ranges(&[1, 2, 4, 6, 7]), "1-2,4,6-7");
    }
}
