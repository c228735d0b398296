//! Place of a dataset in object storage, object by object: only those that the export has written are replaced or removed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf, absolute};

use sha2::{Digest, Sha256};

use crate::images::verify::Damage;
use crate::images::{Created, NewObject, StoredFiles, StoredObject, adapters};
use crate::model::storage_url::{StorageKind, StorageUrl};
use crate::run::export::error::{ExportError, at};
use crate::run::export::record::{ExportRecord, PAGE};

/// Place in object storage.
pub(super) struct ObjectPlace {
    url: StorageUrl,
    /// Place of the images of the run; `None` if they are in its folder.
    images: Option<StorageUrl>,
    files: Box<dyn StoredFiles>,
}

/// Object at a name of the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundObject {
    Missing,
    /// Object that the export has written, or that is as wanted, with this SHA-256.
    Own([u8; 32]),
    /// Other object, where the export had written one: the user has edited it.
    Edited,
    /// Other object.
    Other,
}

impl ObjectPlace {
    /// Opens the place. Sends nothing.
    pub(super) fn open(url: &StorageUrl, images: Option<&StorageUrl>) -> Result<Self, ExportError> {
        Ok(Self { url: url.clone(), images: images.cloned(), files: adapters::files(url, images)? })
    }

    /// Returns whether the images of the run are in object storage too.
    pub(super) const fn has_images(&self) -> bool {
        self.images.is_some()
    }

    /// Returns the error for an object that another program has written.
    pub(super) fn taken(&self, name: &str) -> ExportError {
        ExportError::Taken { url: self.url.of(name) }
    }

    /// Refuses a place among the images of the run.
    pub(super) fn check(&self, out: &Path) -> Result<(), ExportError> {
        let own = self.images.as_ref().map(|images| images.of("images"));
        let place = self.url.to_string();
        let is_in_bucket = own
            .is_some_and(|own| place.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        let folder = Path::new("/").join(self.url.prefix());
        let is_in_folder = self.url.kind() == StorageKind::Folder
            && absolute(out).is_ok_and(|out| folder.starts_with(out.join("images")));
        if is_in_bucket || is_in_folder {
            return Err(ExportError::AmongImages { dir: PathBuf::from(place) });
        }
        Ok(())
    }

    /// Lists what is there. Refuses a place that has objects, and none of this export.
    pub(super) fn survey(&self, state: &ExportRecord) -> Result<(), ExportError> {
        let foreign = |name: &str| ExportError::ForeignObject { place: self.url.to_string(), url: self.url.of(name) };
        let has_own = state.has_own_objects()?;
        state.at_once(|| {
            for found in self.files.list() {
                let (name, object) = found?;
                if !has_own {
                    return Err(foreign(&name));
                }
                state.add_found(&name, &object)?;
            }
            Ok(())
        })?;
        match state.any_found(false)? {
            // The dataset was deleted, or never got an object. Its record says nothing about a new one.
            None => state.at_once(|| state.clear()),
            Some(name) if state.any_found(true)?.is_none() => Err(foreign(&name)),
            Some(_) => Ok(()),
        }
    }

    /// Compares the object of a name with what the export has written there, and with what it wants there. Its bytes are read only if the
    /// storage has given them another tag since.
    pub(super) fn look(
        &self,
        state: &ExportRecord,
        name: &str,
        wanted: Option<&[u8; 32]>,
    ) -> Result<FoundObject, ExportError> {
        let Some(there) = state.found(name)? else { return Ok(FoundObject::Missing) };
        let own = state.own_object(name)?;
        if let Some(own) = own.as_ref().filter(|own| own.is_as_written(&there)) {
            return Ok(FoundObject::Own(own.sha256));
        }
        let Some(sha256) = self.files.sha256(name)? else { return Ok(FoundObject::Missing) };
        match own {
            own if wanted == Some(&sha256) || own.as_ref().is_some_and(|own| own.is(&sha256)) => {
                state.plan_object(name, &sha256, None)?;
                state.confirm_object(name, &there)?;
                Ok(FoundObject::Own(sha256))
            }
            Some(own) if own.tag.is_some() => Ok(FoundObject::Edited),
            _ => Ok(FoundObject::Other),
        }
    }

    /// Creates objects that are on record.
    pub(super) fn create_all(
        &self,
        objects: &mut dyn Iterator<Item = Result<NewObject, Damage>>,
    ) -> Result<Vec<Created>, ExportError> {
        Ok(self.files.create_all(objects)?)
    }

    /// Puts a file in place of the export's earlier one. Returns whether another object is there, which stays.
    pub(super) fn put(&self, state: &ExportRecord, name: &str, path: &Path) -> Result<bool, ExportError> {
        let sha256 = sha256(path)?;
        let confirm = |there: Option<StoredObject>| match there {
            Some(there) => state.confirm_object(name, &there).map(|()| false),
            None => Ok(true),
        };
        let Some(there) = self.files.find(name)? else {
            state.plan_object(name, &sha256, None)?;
            let there = if self.files.create(name, path)? { self.files.find(name)? } else { None };
            return confirm(there);
        };
        let Some(before) = self.own_content(state, name, &there, Some(&sha256))? else { return Ok(true) };
        if before == sha256 {
            state.plan_object(name, &sha256, None)?;
            return confirm(Some(there));
        }
        // A crash in between leaves one of the two.
        state.plan_object(name, &sha256, Some(&before))?;
        confirm(self.files.replace(name, path, &there.tag)?)
    }

    /// Removes the export's own object, if there is one. Returns whether another object is there, which stays.
    pub(super) fn remove(&self, state: &ExportRecord, name: &str) -> Result<bool, ExportError> {
        if state.own_object(name)?.is_none() {
            return Ok(false);
        }
        let is_other = match self.files.find(name)? {
            None => false,
            Some(there) => self.own_content(state, name, &there, None)?.is_none(),
        };
        if !is_other {
            self.remove_known(state, &[name.to_owned()])?;
        }
        Ok(is_other)
    }

    /// Removes objects that are known to be the export's own.
    pub(super) fn remove_known(&self, state: &ExportRecord, names: &[String]) -> Result<(), ExportError> {
        self.files.remove_all(names.to_vec())?;
        names.iter().try_for_each(|name| state.forget_object(name))
    }

    /// Removes everything that the export has written, also where the user has edited it. `kept` stays if it was edited.
    pub(super) fn remove_all(&self, state: &ExportRecord, kept: &str) -> Result<(), ExportError> {
        self.remove(state, kept)?;
        let mut last = String::new();
        loop {
            let mut names = state.own_names_after(&last, PAGE)?;
            let Some(end) = names.last() else { return Ok(()) };
            last.clone_from(end);
            names.retain(|name| name != kept);
            let mut known = vec![];
            for name in names {
                // Without a confirmation, it may be another program's.
                let is_written = state.own_object(&name)?.is_some_and(|own| own.tag.is_some());
                if is_written {
                    known.push(name);
                } else {
                    self.remove(state, &name)?;
                }
            }
            self.remove_known(state, &known)?;
        }
    }

    /// Returns the SHA-256 of an object if the export has written it, or if it is as wanted.
    fn own_content(
        &self,
        state: &ExportRecord,
        name: &str,
        there: &StoredObject,
        wanted: Option<&[u8; 32]>,
    ) -> Result<Option<[u8; 32]>, ExportError> {
        let own = state.own_object(name)?;
        if let Some(own) = own.as_ref().filter(|own| own.is_as_written(there)) {
            return Ok(Some(own.sha256));
        }
        let Some(found) = self.files.sha256(name)? else { return Ok(None) };
        let is_own = wanted == Some(&found) || own.is_some_and(|own| own.is(&found));
        Ok(is_own.then_some(found))
    }
}

fn sha256(path: &Path) -> Result<[u8; 32], ExportError> {
    let (mut hasher, mut file) = (Sha256::new(), File::open(path).map_err(at(path))?);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(at(path))? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(feature = "cloud")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::StoredObjects;
    use crate::images::error::StoreError;

    /// Files that are replaced, or not, and whose answer is lost.
    struct Unanswered {
        files: Box<dyn StoredFiles>,
        is_replacing: bool,
    }

    impl StoredFiles for Unanswered {
        fn create(&self, name: &str, path: &Path) -> Result<bool, StoreError> {
            self.files.create(name, path)
        }

        fn create_all(
            &self,
            objects: &mut dyn Iterator<Item = Result<NewObject, Damage>>,
        ) -> Result<Vec<Created>, StoreError> {
            self.files.create_all(objects)
        }

        fn replace(&self, name: &str, path: &Path, tag: &str) -> Result<Option<StoredObject>, StoreError> {
            if self.is_replacing {
                self.files.replace(name, path, tag)?;
            }
            Err(StoreError::NoCloud { url: name.to_owned() })
        }

        fn find(&self, name: &str) -> Result<Option<StoredObject>, StoreError> {
            self.files.find(name)
        }

        fn sha256(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
            self.files.sha256(name)
        }

        fn list(&self) -> StoredObjects<'_> {
            self.files.list()
        }

        fn remove_all(&self, names: Vec<String>) -> Result<(), StoreError> {
            self.files.remove_all(names)
        }
    }

    /// Goal: a table is the export's own whenever a replacement was interrupted. Method: the answer is lost, before and after the table was replaced;
    /// then another one is put there.
    #[test]
    fn an_interrupted_replacement_is_the_exports_own() {
        for is_replacing in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (dir, path) = (folder.path().join("dir"), folder.path().join("file"));
            std::fs::create_dir(&dir).unwrap();
            let state = ExportRecord::open(&dir).unwrap();
            let url = format!("file://{}/bucket", folder.path().display()).parse().unwrap();
            let place = ObjectPlace::open(&url, None).unwrap();
            let write = |text: &str| std::fs::write(&path, text).unwrap();
            write("first");
            assert!(!place.put(&state, "table", &path).unwrap());
            write("second");
            let files = Box::new(Unanswered { files: adapters::files(&url, None).unwrap(), is_replacing });
            let cut = ObjectPlace { url: url.clone(), images: None, files };
            assert!(cut.put(&state, "table", &path).is_err());
            write("third");
            assert!(!place.put(&state, "table", &path).unwrap(), "{is_replacing}");
            assert_eq!(std::fs::read_to_string(folder.path().join("bucket/table")).unwrap(), "third");
            std::fs::write(folder.path().join("bucket/table"), "edited").unwrap();
            assert!(place.put(&state, "table", &path).unwrap(), "it is another one now");
        }
    }
}
