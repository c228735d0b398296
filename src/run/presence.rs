//! Presence check of the recorded images: compares names and sizes with the disk; `verify` reads the bytes.

use crate::images::SavedImages;
use crate::model::outcome::Artifact;
use crate::store::RunReader;
use crate::store::error::LedgerError;

/// Images that are checked at a time.
const BATCH: usize = 500;

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
    let (mut present, mut batch, mut is_reachable) = (PresenceCheck::default(), Vec::with_capacity(BATCH), true);
    let mut check = |batch: &mut Vec<Artifact>| {
        let artifacts = std::mem::take(batch);
        let n_looked = artifacts.len() as u64;
        // Storage that cannot be reached has not lost anything.
        let n_there = if is_reachable { images.count_there(&artifacts) } else { None };
        is_reachable = n_there.is_some();
        if let Some(n_there) = n_there {
            present.n_looked += n_looked;
            present.n_missing += n_looked - n_there;
        }
    };
    // More jobs are sampled evenly, because each check is a system call or a request.
    let is_all = run.visit_images(images.presence_max(), &mut |artifact| {
        batch.push(artifact);
        if batch.len() == BATCH {
            check(&mut batch);
        }
    })?;
    check(&mut batch);
    present.is_all = is_all && is_reachable;
    Ok(present)
}
