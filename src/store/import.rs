//! Rows of a manifest on their way into a ledger, and the result of an import.

use crate::model::counts::StatusCounts;
use crate::model::job::{JobId, JobSpec};
use crate::model::partition::Partition;
use crate::model::price::Price;
use crate::store::error::LedgerError;
use crate::store::format::phase;
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
    /// Part of a manifest that these jobs are, and the fingerprint of the whole; `None` for a whole.
    pub part: Option<(Partition, &'a str)>,
    /// Seed of the order in which pending jobs are handed out; `None` for manifest order.
    pub shuffle: Option<u64>,
}

impl ManifestFacts<'_> {
    /// Returns the settings that record these facts.
    pub(super) fn settings(&self) -> [(Setting, String); 7] {
        [
            (Setting::Columns, serde_json::json!(self.columns).to_string()),
            (Setting::ManifestFingerprint, self.fingerprint.to_owned()),
            (Setting::Rows, "1".to_owned()),
            (Setting::ManifestPath, self.path.to_owned()),
            (Setting::Part, self.part.map(|(partition, whole)| format!("{partition} {whole}")).unwrap_or_default()),
            (Setting::ManifestPrice, self.price.map(price_text).unwrap_or_default()),
            (Setting::ShuffleSeed, self.shuffle.map(|seed| seed.to_string()).unwrap_or_default()),
        ]
    }
}

/// Returns whether a job of a skipped row stays in the run: it was accepted or has ended. All others would be submitted.
pub(super) const fn stays_if_skipped(phase: i64) -> bool {
    phase >= phase::RUNNING
}

/// Decision about an import, made after the last row and before anything is durable. An error undoes the import.
pub type AcceptImport<'a> = dyn FnMut(&Imported) -> Result<(), RowsError> + 'a;

/// Visitor of the rows of a comparison: each row that is not left out, with its index, the id of its job, and the status of that job as a
/// count. A row that the ledger does not know is pending.
pub type SeeRow<'a> = dyn FnMut(&JobSpec, u64, JobId, StatusCounts) + 'a;

/// Rows of a manifest, in its order. The manifest's own error stays with the caller.
pub type JobRows<'a> = dyn Iterator<Item = Result<JobSpec, RowsError>> + 'a;

/// Job of another ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoredJob {
    /// Id of the job, which need not follow from its request: a seed may have been drawn for it.
    pub id: JobId,
    /// Index in the manifest, from 1; `None` if the job is no longer in the manifest.
    pub index: Option<u64>,
    /// Job without its id.
    pub spec: JobSpec,
}

/// Jobs on their way into a ledger: those of the manifest in its order, then the others.
pub type RestoredJobs<'a> = dyn Iterator<Item = Result<RestoredJob, LedgerError>> + 'a;

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
    /// Jobs of rows that are to be left out, and that were neither accepted nor finished before. They count in no other number.
    pub n_skipped: u64,
}
