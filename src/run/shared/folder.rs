//! Folder in which the workers of a shared run keep its images, marked with the run, so that no other run takes it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::fsio::atomic_file::AtomicFile;
use crate::run::shared::error::SharedRunError;
use crate::store::error::LedgerError;
use crate::store::lent::Lent;
use crate::store::setting::Setting;
use crate::store::stores;

/// File that names the run whose images are in a folder.
const MARK: &str = ".promptbatch-shared";

/// Beginning of the names of the folders of incomplete images, one for each worker.
const PARTIALS: &str = ".partial-";

/// Longest mark that is read, in bytes.
const MARK_BYTES_MAX: usize = 1024;

/// Returns the name of the folder of incomplete images of a worker.
pub(super) fn partials(worker: i64) -> String {
    format!("{PARTIALS}{worker:016x}")
}

/// Returns the run whose images are in a folder; `None` for a folder without a mark.
pub(super) fn marked(out: &Path) -> Result<Option<String>, SharedRunError> {
    let path = out.join(MARK);
    match fs::read_to_string(&path) {
        Ok(id) => Ok(Some(id.trim().chars().take(MARK_BYTES_MAX).collect())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SharedRunError::Io { path, source }),
    }
}

/// Prepares a folder for the images of a run, and marks it. Refuses one with another run.
pub(super) fn prepare(out: &Path, id: &str) -> Result<(), SharedRunError> {
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
        Some(known) if known == id => return Ok(()),
        Some(_) => return refused("it has the images of another shared run"),
        None => (),
    }
    let path = out.join(MARK);
    let write = || {
        fs::create_dir_all(out)?;
        let mut file = AtomicFile::create(&path)?;
        writeln!(file, "{id}")?;
        file.finish()
    };
    write().map_err(|source| SharedRunError::Io { path: path.clone(), source })
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
