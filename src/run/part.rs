//! Check that a run folder holds the part of the manifest that is to be run.

use std::fs;
use std::path::Path;

use crate::model::partition::{Partition, SHARDS};
use crate::run::error::RunError;
use crate::store::error::LedgerError;
use crate::store::settings::ReadSettings;
use crate::store::{RunReader, stores};

/// Refuses a folder whose jobs would be paid for again: one without a run whose parts have been run; and a part whose jobs are in the run of the
/// whole above it, or in parts of another division beside it.
pub(super) fn check_first(out: &Path, wanted: Option<Partition>) -> Result<(), RunError> {
    if let Some(wanted) = wanted {
        return check_beside(out, wanted);
    }
    let shards = fs::read_dir(out.join(SHARDS)).into_iter().flatten().flatten().map(|entry| entry.path());
    // A merge that was killed at its very beginning leaves a ledger with nothing in it.
    let is_begun =
        |run: &dyn RunReader| Ok::<_, LedgerError>(run.part()?.is_some() || run.manifest_fingerprint()?.is_some());
    let has_run =
        |path: &Path| !matches!(stores::read_snapshot(path, is_begun), Ok(false) | Err(LedgerError::Missing { .. }));
    if has_run(out) || !shards.into_iter().any(|shard| has_run(&shard)) {
        return Ok(());
    }
    let remedy = "make one run of them with `promptbatch merge`, or choose another output folder with -o";
    let (out, was) = (out.to_owned(), "parts of a manifest".to_owned());
    Err(RunError::OtherPart { out, was, wanted: "the whole manifest".to_owned(), remedy })
}

/// Refuses a part in `OUT/shards` if OUT has the run of the whole, or if the parts beside it divide the manifest in another way.
fn check_beside(out: &Path, wanted: Partition) -> Result<(), RunError> {
    let Some(shards) = out.parent().filter(|folder| folder.file_name().is_some_and(|name| name == SHARDS)) else {
        return Ok(());
    };
    let refused = |out: &Path, was: String, remedy| {
        Err(RunError::OtherPart { out: out.to_owned(), was, wanted: words(Some(wanted)), remedy })
    };
    let whole = shards.parent().unwrap_or(shards);
    let is_whole =
        |run: &dyn RunReader| Ok::<_, LedgerError>(run.part()?.is_none() && run.manifest_fingerprint()?.is_some());
    let has_whole = match stores::read_snapshot(whole, is_whole) {
        Err(LedgerError::Missing { .. }) => false,
        found => found?,
    };
    if has_whole {
        let remedy = "go on without --partition, or choose another output folder with -o";
        return refused(whole, words(None), remedy);
    }
    let part_of = |path: &Path| stores::read_snapshot(path, |run| run.part()).ok().flatten().map(|(part, _)| part);
    if part_of(out).is_some() {
        return Ok(());
    }
    let beside = fs::read_dir(shards).into_iter().flatten().flatten().map(|entry| entry.path());
    let (same, other): (Vec<_>, Vec<_>) = beside.filter(|path| path != out).partition(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&format!("-of-{}", wanted.count)))
    });
    // Of the parts whose number fits, one tells how all of them divide the manifest.
    let known = other.iter().find_map(|path| part_of(path)).or_else(|| same.iter().find_map(|path| part_of(path)));
    match known {
        Some(known) if (known.kind, known.count) != (wanted.kind, wanted.count) => {
            let remedy = "divide the manifest as before, or choose another output folder with -o";
            refused(shards, words(Some(known)), remedy)
        }
        Some(_) | None => Ok(()),
    }
}

fn words(part: Option<Partition>) -> String {
    part.map_or("the whole manifest".to_owned(), |part| format!("part {part}"))
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
    let (was, remedy) = if is_incomplete {
        ("a merge that was interrupted".to_owned(), "run `promptbatch merge` with the same parts again")
    } else {
        (words(was_part), "give the same --partition as before, or choose another output folder with -o")
    };
    Err(RunError::OtherPart { out: out.to_owned(), was, wanted: words(wanted), remedy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::import::ManifestFacts;
    use crate::store::sqlite::SqliteStore;
    use crate::store::typed::Typed;

    fn make(out: &Path, part: Option<&str>) {
        let mut run = SqliteStore::open(out, "simulator").unwrap();
        let part = part.map(|part| (part.parse().unwrap(), "whole"));
        let facts = ManifestFacts { fingerprint: "f", part, ..ManifestFacts::default() };
        run.import(&facts, std::iter::empty::<Result<_, LedgerError>>()).unwrap();
    }

    /// Goal: no job is paid for again by a part beside others, or below the run of the whole.
    #[test]
    fn a_part_is_refused_where_its_jobs_are_already() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let check = |part: &str| {
            let part: Partition = part.parse().unwrap();
            check_first(&out.join(part.folder()), Some(part)).map_err(|error| error.to_string())
        };
        check("hash:1/2").unwrap();
        make(&out.join("shards/1-of-2"), Some("hash:1/2"));
        check("hash:1/2").unwrap();
        check("hash:2/2").unwrap();
        for other in ["hash:1/3", "slice:2/2", "hash:1/1"] {
            let error = check(other).unwrap_err();
            assert!(error.contains("has part hash:1/2; divide the manifest as before"), "{error}");
        }
        make(out, None);
        for part in ["hash:1/2", "hash:2/2"] {
            let error = check(part).unwrap_err();
            assert!(error.contains("has the whole manifest; go on without --partition"), "{error}");
        }
    }
}
