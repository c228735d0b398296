//! Check that a run folder holds the part of the manifest that is to be run.

use std::fs;
use std::path::Path;

use crate::model::partition::{Partition, SHARDS};
use crate::run::error::RunError;
use crate::store::error::LedgerError;
use crate::store::settings::ReadSettings;
use crate::store::{RunReader, stores};

/// Refuses a folder without a run whose parts have been run: its jobs would be paid for again.
pub(super) fn check_first(out: &Path, wanted: Option<Partition>) -> Result<(), RunError> {
    let shards = fs::read_dir(out.join(SHARDS)).into_iter().flatten().flatten().map(|entry| entry.path());
    // A merge that was killed at its very beginning leaves a ledger with nothing in it.
    let is_begun =
        |run: &dyn RunReader| Ok::<_, LedgerError>(run.part()?.is_some() || run.manifest_fingerprint()?.is_some());
    let has_run =
        |path: &Path| !matches!(stores::read_snapshot(path, is_begun), Ok(false) | Err(LedgerError::Missing { .. }));
    if wanted.is_some() || has_run(out) || !shards.into_iter().any(|shard| has_run(&shard)) {
        return Ok(());
    }
    let remedy = "make one run of them with `promptbatch merge`, or choose another output folder with -o";
    let (out, was) = (out.to_owned(), "parts of a manifest".to_owned());
    Err(RunError::OtherPart { out, was, wanted: "the whole manifest".to_owned(), remedy })
}

/// Refuses a folder with another part, or with a merge that is not complete: its jobs would be paid for again.
pub(super) fn check(out: &Path, wanted: Option<Partition>, run: &dyn RunReader) -> Result<(), RunError> {
    let was = run.part()?;
    let is_new = was.is_none() && run.manifest_fingerprint()?.is_none();
    let was_part = was.as_ref().map(|(partition, _)| *partition);
    let is_incomplete = was.as_ref().is_some_and(|(_, whole)| whole.contains(' '));
    if is_new || (was_part == wanted && !is_incomplete) {
        return Ok(());
    }
    let words = |part: Option<Partition>| part.map_or("the whole manifest".to_owned(), |part| format!("part {part}"));
    let (was, remedy) = if is_incomplete {
        ("a merge that was interrupted".to_owned(), "run `promptbatch merge` with the same parts again")
    } else {
        (words(was_part), "give the same --partition as before, or choose another output folder with -o")
    };
    Err(RunError::OtherPart { out: out.to_owned(), was, wanted: words(wanted), remedy })
}
