//! Place of an export record: beside the dataset's folder, which people upload whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::run::export::error::{ExportError, at};
use crate::run::export::temp_file::{remove, sync_names};

/// End of the file's name: `cats` is recorded in `.cats.promptbatch-export.db`. Loaders skip names that begin with a dot.
const SUFFIX: &str = ".promptbatch-export.db";

/// File name of earlier versions, in the dataset's folder.
const FORMER_NAME: &str = SUFFIX;

/// End of the rollback journal that `SQLite` keeps beside the file while it writes.
const JOURNAL: &str = "-journal";

/// Bytes of a folder's name in the name of its record, at most. A longer one is cut, and followed by its hash.
const NAME_BYTES_MAX: usize = 180;

/// Returns whether a name in the dataset's folder is that of an export record of earlier versions.
pub(super) fn is_former_name(name: &str) -> bool {
    name.strip_suffix(JOURNAL).unwrap_or(name) == FORMER_NAME
}

/// Returns the path of the record of this folder, which exists. A record of earlier versions is moved there.
pub(super) fn find(dir: &Path) -> Result<PathBuf, ExportError> {
    let path = path_of(dir)?;
    let former = dir.join(FORMER_NAME);
    for path in [&path, &journal(&path), &former, &journal(&former)] {
        if kind_of(path)?.is_some_and(|is_file| !is_file) {
            return Err(ExportError::Foreign { dir: dir.to_owned() });
        }
    }
    if kind_of(&former)?.is_some() {
        // The journal goes first: without it, the record of an interrupted write is damaged. A crash in between leaves the
        // record to be moved next time.
        if kind_of(&journal(&former))?.is_some() {
            fs::rename(journal(&former), journal(&path)).map_err(at(&path))?;
        } else if kind_of(&path)?.is_some() {
            remove(&journal(&path))?;
        }
        fs::rename(&former, &path).map_err(at(&path))?;
        sync_names(dir)?;
        path.parent().map_or(Ok(()), sync_names)?;
    }
    Ok(path)
}

/// Returns whether this folder has a record.
pub(super) fn exists(dir: &Path) -> Result<bool, ExportError> {
    Ok(kind_of(&path_of(dir)?)?.is_some() || kind_of(&dir.join(FORMER_NAME))?.is_some())
}

/// Creates the record file if it is missing: unlike the error of `SQLite`, this one says why it cannot.
pub(super) fn make_ready(path: &Path) -> Result<(), ExportError> {
    match File::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Resolves links and `..`, so that each folder has one record, whatever it is called.
fn path_of(dir: &Path) -> Result<PathBuf, ExportError> {
    let whole = fs::canonicalize(dir).map_err(at(dir))?;
    let Some(name) = whole.file_name() else { return Err(ExportError::Foreign { dir: dir.to_owned() }) };
    let mut own = OsString::from(".");
    let text = name.to_string_lossy();
    if text.len() <= NAME_BYTES_MAX {
        own.push(name);
    } else {
        let hash = blake3::hash(name.as_encoded_bytes()).to_hex();
        own.push(format!("{}-{}", &text[..text.floor_char_boundary(NAME_BYTES_MAX)], &hash[..16]));
    }
    own.push(SUFFIX);
    Ok(whole.with_file_name(own))
}

fn journal(path: &Path) -> PathBuf {
    let mut journal = path.as_os_str().to_owned();
    journal.push(JOURNAL);
    journal.into()
}

/// Returns whether the object at this path is a file; `None` if there is nothing.
fn kind_of(path: &Path) -> Result<Option<bool>, ExportError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.is_file())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a folder has one record, and no other has the same. Method: the paths of several folders, and of one by several names.
    #[test]
    fn each_folder_has_its_own_record_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        let of = |name: &str| {
            fs::create_dir_all(root.join(name)).unwrap();
            find(&root.join(name)).unwrap()
        };
        assert_eq!(of("cats"), root.join(".cats.promptbatch-export.db"));
        assert_eq!(of("cats/x/.."), of("cats"));
        assert_eq!(of("cats/."), of("cats"));
        assert_eq!(of("猫.v2"), root.join(".猫.v2.promptbatch-export.db"));
        let long = ["a", "b"].map(|end| of(&("猫".repeat(80) + end)));
        assert_ne!(long[0], long[1]);
        for path in long {
            assert!(journal(&path).file_name().unwrap().len() <= 255, "{}", path.display());
        }
    }

    #[test]
    fn a_record_of_an_earlier_version_is_moved_with_its_journal() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("cats");
        fs::create_dir(&dir).unwrap();
        for with_journal in [true, false] {
            let former = dir.join(FORMER_NAME);
            fs::write(&former, "record").unwrap();
            if with_journal {
                fs::write(journal(&former), "journal").unwrap();
            }
            assert!(exists(&dir).unwrap());
            let path = find(&dir).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "record");
            assert_eq!(journal(&path).exists(), with_journal, "an old journal belongs to an old record");
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        }
    }
}
