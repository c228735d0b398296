//! Folder in which the workers of a shared run keep its images, marked with the run, so that no other run takes it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::fsio;
use crate::fsio::temp_file::TempFile;
use crate::run::shared::error::SharedRunError;
use crate::store::error::LedgerError;
use crate::store::lent::Lent;
use crate::store::setting::Setting;
use crate::store::stores;

/// File that names the run whose images are in a folder.
const MARK: &str = ".promptbatch-shared";

/// Key at the server of the folder with the images.
pub(super) const IMAGES_KEY: &str = "image_folder";

/// Key at the server of the folder into which the run was brought back.
pub(super) const HOME_KEY: &str = "home";

/// Beginning of the names of the folders of incomplete images, one for each worker.
const PARTIALS: &str = ".partial-";

/// Longest mark that is read, in bytes.
const MARK_BYTES_MAX: usize = 1024;

/// Returns the name of the folder of incomplete images of a worker.
pub(super) fn partials(worker: i64) -> String {
    format!("{PARTIALS}{worker:016x}")
}

/// Mark of a folder.
struct Mark {
    /// Run whose images are in the folder.
    run: String,
    /// Id of the folder, which is the same by whatever path a machine reaches it.
    folder: String,
}

/// Returns the mark of a folder; `None` for a folder without one.
fn marked(out: &Path) -> Result<Option<Mark>, SharedRunError> {
    let path = out.join(MARK);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text: String = text.chars().take(MARK_BYTES_MAX).collect();
            let mut lines = text.lines().map(|line| line.trim().to_owned());
            let run = lines.next().unwrap_or_default();
            // Marks of earlier releases have one line.
            let folder = lines.next().unwrap_or_else(|| run.clone());
            Ok(Some(Mark { run, folder }))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SharedRunError::Io { path, source }),
    }
}

/// Returns the name of this machine.
pub(super) fn host() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    host.map_or_else(|| "(unknown)".to_owned(), |host| host.trim().to_owned())
}

/// Returns what the server keeps about a folder: its id, and where it was first seen.
pub(super) fn record(folder: &str, out: &Path) -> String {
    let path = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    format!("{folder} {}:{}", host(), path.display())
}

/// Returns the id of the folder in a record, and where it was first seen.
pub(super) fn read_record(record: &str) -> (&str, &str) {
    record.split_once(' ').unwrap_or((record, "another folder"))
}

/// Returns whether a folder has the images of this run, and is the one of the record; any of them without a record.
pub(super) fn has_images(out: &Path, run: &str, record: Option<&str>) -> Result<bool, SharedRunError> {
    let is_it = |mark: Mark| mark.run == run && record.is_none_or(|record| read_record(record).0 == mark.folder);
    Ok(marked(out)?.is_some_and(is_it))
}

/// Returns the error for a folder that is not the one of the record.
pub(super) fn elsewhere(out: &Path, record: &str) -> SharedRunError {
    SharedRunError::Folder {
        out: out.to_owned(),
        what: format!("they are in {}, which is another folder", read_record(record).1),
        remedy: "name that folder; workers on other machines need it too, on a network file system",
    }
}

/// Prepares a folder for the images of a run, and marks it. Refuses one with another run, and one without a mark if the images are in another
/// folder already, of which `known` is the record. Returns what the server is to keep about the folder.
pub(super) fn prepare(out: &Path, id: &str, known: Option<&str>) -> Result<String, SharedRunError> {
    let refused = |what: &str| {
        let remedy = "name the folder that the other workers use, or an empty one";
        Err(SharedRunError::Folder { out: out.to_owned(), what: what.to_owned(), remedy })
    };
    let own = |run: &dyn crate::store::RunReader| {
        Ok::<_, LedgerError>(Lent::of(run)?.is_some() && run.setting(Setting::AccountSalt)?.as_deref() == Some(id))
    };
    match stores::read_snapshot(out, own) {
        Ok(true) | Err(LedgerError::Missing { .. }) => (),
        Ok(false) => return refused("it has a run of its own"),
        Err(error) => return Err(error.into()),
    }
    match marked(out)? {
        Some(mark) if mark.run == id => return Ok(record(&mark.folder, out)),
        Some(_) => return refused("it has the images of another shared run"),
        None => (),
    }
    if let Some(known) = known {
        return Err(elsewhere(out, known));
    }
    let path = out.join(MARK);
    let folder = format!("{:032x}", fastrand::u128(..));
    let write = || {
        fs::create_dir_all(out)?;
        let mut file = TempFile::create_anew(out.join(format!("{MARK}.{folder}")))?;
        write!(file, "{id}\n{folder}\n")?;
        file.sync()?;
        let is_first = file.rename_new(&path)?;
        fsio::folder::sync(out)?;
        Ok(is_first)
    };
    if write().map_err(|source| SharedRunError::Io { path: path.clone(), source })? {
        return Ok(record(&folder, out));
    }
    // Another worker was quicker.
    match marked(out)? {
        Some(mark) if mark.run == id => Ok(record(&mark.folder, out)),
        Some(_) | None => refused("it has the images of another shared run"),
    }
}

/// Checks that a folder is the one whose record the server has: `own` is its own record. Another one loses its mark.
pub(super) fn check(out: &Path, own: &str, known: &str) -> Result<(), SharedRunError> {
    if read_record(own).0 == read_record(known).0 {
        return Ok(());
    }
    let _ = fs::remove_file(out.join(MARK));
    Err(elsewhere(out, known))
}

/// Removes what the workers left in a folder: the mark, and incomplete images of workers that were killed.
pub(super) fn tidy(out: &Path) {
    // What cannot be removed does no harm.
    let _ = fs::remove_file(out.join(MARK));
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|found| found.is_dir());
        if is_folder && entry.file_name().to_string_lossy().starts_with(PARTIALS) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
