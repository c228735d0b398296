//! Objects of an export in object storage: which of those that are there the export has written.

use rusqlite::{Row, params};

use crate::images::StoredObject;
use crate::run::export::error::ExportError;
use crate::run::export::record::ExportRecord;

/// Object on record: an export has written it, or was about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnObject {
    /// Content of the object.
    pub sha256: [u8; 32],
    /// Content of the object that it replaces; `None` if it replaces none, or has replaced it.
    pub before: Option<[u8; 32]>,
    /// Tag of the object; `None` if it is not known to be written.
    pub tag: Option<String>,
}

impl OwnObject {
    /// Returns whether the export has written this content, or was about to.
    pub(super) fn is(&self, sha256: &[u8; 32]) -> bool {
        self.sha256 == *sha256 || self.before.as_ref() == Some(sha256)
    }

    /// Returns whether the object is there as it was written, without a look at its bytes.
    pub(super) fn is_as_written(&self, there: &StoredObject) -> bool {
        !there.tag.is_empty() && self.tag.as_ref() == Some(&there.tag)
    }
}

impl ExportRecord {
    /// Returns the object on record with this name.
    pub(super) fn own_object(&self, name: &str) -> Result<Option<OwnObject>, ExportError> {
        self.get("SELECT sha256, before, tag FROM objects WHERE name = ?1", [name], |row| {
            Ok(OwnObject { sha256: row.get(0)?, before: row.get(1)?, tag: row.get(2)? })
        })
    }

    /// Records an object before it is written, and the content that it replaces.
    pub(super) fn plan_object(
        &self,
        name: &str,
        sha256: &[u8; 32],
        before: Option<&[u8; 32]>,
    ) -> Result<(), ExportError> {
        self.change(
            "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, NULL)",
            params![name, &sha256[..], before.map(|before| &before[..])],
        )
    }

    /// Records that a planned object is written.
    pub(super) fn confirm_object(&self, name: &str, object: &StoredObject) -> Result<(), ExportError> {
        self.change("UPDATE objects SET tag = ?2, before = NULL WHERE name = ?1", params![name, object.tag])?;
        self.add_found(name, object)
    }

    /// Removes an object from the record, and from those that are there.
    pub(super) fn forget_object(&self, name: &str) -> Result<(), ExportError> {
        self.change("DELETE FROM objects WHERE name = ?1", [name])?;
        self.change("DELETE FROM found WHERE name = ?1", [name])
    }

    /// Returns at most `max` names on record behind this one, in their order.
    pub(super) fn own_names_after(&self, name: &str, max: usize) -> Result<Vec<String>, ExportError> {
        let sql = "SELECT name FROM objects WHERE name > ?1 ORDER BY name LIMIT ?2";
        self.all(sql, params![name, max], |row| row.get(0))
    }

    pub(super) fn has_own_objects(&self) -> Result<bool, ExportError> {
        Ok(self.get("SELECT 1 FROM objects LIMIT 1", (), |_| Ok(()))?.is_some())
    }

    /// Notes an object that is there.
    pub(super) fn add_found(&self, name: &str, object: &StoredObject) -> Result<(), ExportError> {
        self.change("INSERT OR REPLACE INTO found VALUES (?1, ?2, ?3)", params![name, object.bytes, object.tag])
    }

    /// Returns the object of this name that is there.
    pub(super) fn found(&self, name: &str) -> Result<Option<StoredObject>, ExportError> {
        self.get("SELECT bytes, tag FROM found WHERE name = ?1", [name], found)
    }

    /// Returns the name of an object that is there; `is_own` of one that is also on record.
    pub(super) fn any_found(&self, is_own: bool) -> Result<Option<String>, ExportError> {
        let sql = if is_own {
            "SELECT name FROM found JOIN objects USING (name) LIMIT 1"
        } else {
            "SELECT name FROM found LIMIT 1"
        };
        self.get(sql, (), |row| row.get(0))
    }
}

fn found(row: &Row<'_>) -> rusqlite::Result<StoredObject> {
    Ok(StoredObject { bytes: row.get(0)?, tag: row.get(1)? })
}
