//! Check of the files that a run replaces: each is missing, or a run in this folder wrote it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::escape::escape;
use crate::model::outcome::ImageFormat;
use crate::report::{gallery, results};
use crate::run::projection::Projection;
use crate::store::stores;

/// Content of the output folder that a run must not take over: a file that no run wrote, or a run without its ledger. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not use {} as the output folder: {what}; {remedy}", out.display())]
pub struct OutputConflict {
    /// Output folder.
    pub out: PathBuf,
    /// File that would be replaced, or the missing ledger of what is there.
    pub path: PathBuf,
    what: String,
    remedy: &'static str,
}

/// Checks that the first run in a folder replaces no file of the user's, and that it is the first one. Where a ledger is lost, everything would
/// be paid for again. A user who accepts an older ledger accepts none too, if the mark beside it says which jobs are in doubt.
pub(super) fn check_first(out: &Path, manifest: Option<&Path>, is_older_accepted: bool) -> Result<(), OutputConflict> {
    let is_none_accepted = is_older_accepted && out.join("run.mark").exists();
    if let Some(what) = run_without_ledger(out).filter(|_| !is_none_accepted) {
        let path = out.join("run.db");
        let ledger = if path.exists() { "the ledger run.db holds no run" } else { "the ledger run.db is missing" };
        return Err(OutputConflict {
            out: out.to_owned(),
            path,
            what: format!("it has {what} of a run, but {ledger}, and everything would be paid for again"),
            remedy: "put run.db back (a cache must keep the whole folder), or choose another folder with -o to begin anew",
        });
    }
    check_results(out, manifest, |path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// Checks that a merge into a folder without a ledger replaces no file of the user's. The folder may have the images of the run already.
pub(super) fn check_merged(out: &Path) -> Result<(), OutputConflict> {
    check_results(out, None, |path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// Returns what a run has left in a folder that has no ledger; `None` if no run was there.
fn run_without_ledger(out: &Path) -> Option<&'static str> {
    let results = Projection::new(out).path().to_owned();
    let has_results = fs::metadata(&results).is_ok_and(|file| file.len() > 0) && results::check(&results).is_ok();
    match (has_images(out), has_results) {
        (true, true) => Some("the images and the results"),
        (true, false) => Some("the images"),
        (false, true) => Some("the results"),
        (false, false) => None,
    }
}

/// Returns whether the folder has images by the default name of a run. A folder `images` of the user's has other names.
fn has_images(out: &Path) -> bool {
    let Ok(entries) = fs::read_dir(out.join("images")) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = Path::new(&name);
        let extension = name.extension().and_then(OsStr::to_str).unwrap_or_default();
        let stem = name.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let is_numbered = stem
            .split_once('-')
            .is_some_and(|(number, _)| number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit()));
        is_numbered && ImageFormat::from_extension(extension).is_some()
    })
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
            what: replaced(
                projection.path(),
                &format!("with the column {:?}, which no run here has written", escape(&column)),
            ),
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
        Err(OutputConflict { out: out.to_owned(), path: path.clone(), what: replaced(&path, what), remedy })
    };
    let place = |path: &Path| fs::canonicalize(path).ok();
    if manifest.and_then(place).is_some_and(|manifest| Some(manifest) == place(&path)) {
        return conflict("which is the manifest itself", "choose another folder with -o");
    }
    if is_foreign(&path) {
        let what =
            if results::check(&path).is_ok() { "whose ledger is missing" } else { "which no run here has written" };
        return conflict(what, "move or rename that file, or choose another folder with -o");
    }
    Ok(())
}

/// Formats that a run would replace this file.
fn replaced(path: &Path, what: &str) -> String {
    format!("the run would replace {}, {what}", path.display())
}

/// Checks that a gallery of the run in this folder replaces no page of the user's.
pub fn check_gallery(out: &Path) -> Result<(), OutputConflict> {
    let path = out.join("gallery.html");
    gallery::check(&path).map_err(|_| OutputConflict {
        out: out.to_owned(),
        what: replaced(&path, "which no run here has written"),
        path,
        remedy: "move or rename that file, or omit --gallery",
    })
}
