//! Rows of a manifest on their way into a ledger, and the result of an import.

use crate::model::job::JobSpec;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::price::price_text;
use crate::store::setting::Setting;

/// Facts about a manifest that are recorded together with its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ManifestFacts<'a> {
    /// Fingerprint of the file and of the options that change its meaning.
    pub fingerprint: &'a str,
    /// Further columns, in the order of the manifest.
    pub columns: &'a [String],
    /// Path as in [`Setting::ManifestPath`].
    pub path: &'a str,
    /// Price that the manifest names; `None` for none.
    pub price: Option<&'a Price>,
    /// Seed of the order in which pending jobs are handed out; `None` for manifest order.
    pub shuffle: Option<u64>,
}

impl ManifestFacts<'_> {
    /// Returns the settings that record these facts.
    pub(super) fn settings(&self) -> [(Setting, String); 5] {
        [
            (Setting::Columns, serde_json::json!(self.columns).to_string()),
            (Setting::ManifestFingerprint, self.fingerprint.to_owned()),
            (Setting::ManifestPath, self.path.to_owned()),
            (Setting::ManifestPrice, self.price.map(price_text).unwrap_or_default()),
            (Setting::ShuffleSeed, self.shuffle.map(|seed| seed.to_string()).unwrap_or_default()),
        ]
    }
}

/// Decision about an import, made after the last row and before anything is durable. An error undoes the import.
pub type AcceptImport<'a> = dyn FnMut(&Imported) -> Result<(), RowsError> + 'a;

/// Rows of a manifest, in its order. The manifest's own error stays with the caller.
pub type JobRows<'a> = dyn Iterator<Item = Result<JobSpec, RowsError>> + 'a;

/// Reason why the rows of a manifest were not imported or compared.
#[derive(Debug)]
pub enum RowsError {
    /// Rows that ended with an error, or an import that was not accepted. The caller has kept the reason.
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
    /// Jobs of the manifest before.
    pub n_before: u64,
    /// Jobs of the manifest before that this one does not contain.
    pub n_left: u64,
}
