//! Place of shards in object storage: each is moved there once it is complete and recorded, and replaces no object.

use std::path::Path;

use crate::images::verify::Damage;
use crate::images::{StoredFiles, adapters};
use crate::model::storage_url::StorageUrl;
use crate::run::export::error::ExportError;
use crate::run::export::record::ExportRecord;
use crate::run::export::temp_file::remove;

/// Place in object storage.
pub(super) struct ShardPlace {
    url: StorageUrl,
    files: Box<dyn StoredFiles>,
}

impl ShardPlace {
    /// Opens the place. Sends nothing.
    pub(super) fn open(url: &StorageUrl) -> Result<Self, ExportError> {
        Ok(Self { url: url.clone(), files: adapters::files(url, None)? })
    }

    /// Moves a recorded shard from `dir` to the place. After a crash at any point, it is moved again.
    pub(super) fn take(&self, dir: &Path, state: &ExportRecord, name: &str) -> Result<(), ExportError> {
        let path = dir.join(name);
        if !self.files.create(name, &path)? {
            return Err(ExportError::Taken { url: self.url.of(name) });
        }
        state.set(&moved(name), "yes")?;
        remove(&path)
    }

    /// Checks a recorded shard that was moved before. Returns `false` if it is still in the folder.
    pub(super) fn has(&self, dir: &Path, state: &ExportRecord, name: &str, bytes: u64) -> Result<bool, ExportError> {
        if state.setting(&moved(name))?.is_none() {
            return Ok(false);
        }
        let damage = match self.files.find(name)?.map(|there| there.bytes) {
            Some(there) if there == bytes => {
                // A crash may have left the file.
                remove(&dir.join(name))?;
                return Ok(true);
            }
            Some(there) => Damage::Length { bytes: there, recorded: bytes },
            None => Damage::Missing,
        };
        Err(ExportError::StoredShard { url: self.url.of(name), damage })
    }
}

/// Removes the shards of an earlier export from the place. A shard that is not marked as moved is removed if it is the one in the folder: an
/// interruption may have come before the mark.
pub(super) fn remove_all(url: &StorageUrl, dir: &Path, state: &ExportRecord) -> Result<(), ExportError> {
    let place = ShardPlace::open(url)?;
    for (name, bytes) in state.shards()? {
        let path = dir.join(&name);
        let is_own = if state.setting(&moved(&name))?.is_some() {
            true
        } else {
            let there = place.files.find(&name)?;
            there.is_some_and(|there| there.bytes == bytes) && path.is_file() && place.files.create(&name, &path)?
        };
        if is_own {
            place.files.remove_all(vec![name])?;
        }
    }
    Ok(())
}

/// Returns the setting of the export record which says that a shard was moved.
fn moved(name: &str) -> String {
    format!("moved {name}")
}
