//! Check of the files that a run replaces: each is missing, or a run in this folder wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::escape::escape;
use crate::report::{gallery, results};
use crate::run::projection::Projection;
use crate::store::stores;

/// File in the output folder that a run would replace, although no run wrote it. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not use {} as the output folder: the run would replace {}, {what}; {remedy}", out.display(), path.display())]
pub struct OutputConflict {
    /// Output folder.
    pub out: PathBuf,
    /// File that would be replaced.
    pub path: PathBuf,
    what: String,
    remedy: &'static str,
}

/// Checks that the results of the first run in a folder replace no file of the user's.
pub(super) fn check_first(out: &Path, manifest: Option<&Path>) -> Result<(), OutputConflict> {
    check_results(out, manifest, |path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// Checks that the results of a further run replace no file of the user's.
pub(super) fn check_further(out: &Path, manifest: Option<&Path>) -> Result<(), OutputConflict> {
    check_results(out, manifest, |path| results::check(path).is_err())?;
    // A ledger that cannot be read is reported when it is opened.
    let projection = Projection::new(out);
    let foreign = stores::read_snapshot(out, |run| projection.foreign_column(run)).ok().flatten();
    foreign.map_or(Ok(()), |column| {
        Err(OutputConflict {
            out: out.to_owned(),
            path: projection.path().to_owned(),
            what: format!("with the column {:?}, which no run here has written", escape(&column)),
            remedy: "move or rename that file",
        })
    })
}

fn check_results(
    out: &Path,
    manifest: Option<&Path>,
    is_foreign: impl Fn(&Path) -> bool,
) -> Result<(), OutputConflict> {
    let path = Projection::new(out).path().to_owned();
    let conflict = |what: &str, remedy| {
        Err(OutputConflict { out: out.to_owned(), path: path.clone(), what: what.to_owned(), remedy })
    };
    let place = |path: &Path| fs::canonicalize(path).ok();
    if manifest.and_then(place).is_some_and(|manifest| Some(manifest) == place(&path)) {
        return conflict("which is the manifest itself", "choose another folder with -o");
    }
    if is_foreign(&path) {
        return conflict("which no run here has written", "move or rename that file, or choose another folder with -o");
    }
    Ok(())
}

/// Checks that a gallery of the run in this folder replaces no page of the user's.
pub fn check_gallery(out: &Path) -> Result<(), OutputConflict> {
    let path = out.join("gallery.html");
    gallery::check(&path).map_err(|_| OutputConflict {
        out: out.to_owned(),
        path,
        what: "which no run here has written".to_owned(),
        remedy: "move or rename that file, or omit --gallery",
    })
}
