//! Manifest and ledger joined: who is new, who is known already, who has gone.

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{Imported, RunFile};
use crate::manifest::{Manifest, ManifestError};

/// Why a manifest could not be joined with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The manifest is wrong, or has changed while it was read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Takes the manifest into the ledger, all or none. Returns nothing when the ledger knows this very manifest: then no row
/// of it is looked at.
pub fn import(manifest: &Manifest, file: &mut RunFile) -> Result<Option<Imported>, PlanError> {
    let fingerprint: String =
        manifest.fingerprint().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    if file.manifest_fingerprint()?.as_deref() == Some(&fingerprint) {
        return Ok(None);
    }
    let drafts = manifest.drafts()?.map(|draft| draft.map_err(PlanError::from));
    file.import(&fingerprint, manifest.columns(), drafts).map(Some)
}
