//! Rows of a manifest on their way into a ledger, and the result of an import.

use crate::model::job::JobSpec;
use crate::store::error::LedgerError;

/// Rows of a manifest, in its order. The manifest's own error stays with the caller.
pub type JobRows<'a> = dyn Iterator<Item = Result<JobSpec, RowsError>> + 'a;

/// Reason why the rows of a manifest were not imported or compared.
#[derive(Debug)]
pub enum RowsError {
    /// Rows that ended with an error, which the caller has kept.
    BrokenOff,
    /// Ledger that cannot be used.
    Ledger(LedgerError),
}

impl From<LedgerError> for RowsError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// Result of a manifest import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Jobs that the ledger did not know before the import.
    pub n_new: u64,
    /// Jobs that the ledger knew, in any phase.
    pub n_kept: u64,
    /// Jobs that the ledger knows and the manifest does not contain. They keep their images and cost nothing.
    pub n_dropped: u64,
}
