//! Presence check of the recorded images: compares names and sizes with the disk; `verify` reads the bytes.

use crate::images::SavedImages;
use crate::store::RunReader;
use crate::store::error::LedgerError;

/// Jobs whose images are checked, at most. More jobs are sampled evenly, because each check is a system call.
const JOBS_MAX: u64 = 20_000;

/// Result of a presence check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceCheck {
    /// Images that were checked.
    pub n_looked: u64,
    /// Checked images that are missing, or differ from the recorded size.
    pub n_missing: u64,
    /// Says whether all images of the manifest were checked, or else an evenly spaced sample.
    pub is_all: bool,
}

/// Checks the images of the present manifest, or an evenly spaced sample of them.
pub(super) fn look(images: &dyn SavedImages, run: &dyn RunReader) -> Result<PresenceCheck, LedgerError> {
    let mut present = PresenceCheck::default();
    present.is_all = run.visit_images(JOBS_MAX, &mut |artifact| {
        present.n_looked += 1;
        present.n_missing += u64::from(!images.is_there(&artifact));
    })?;
    Ok(present)
}
