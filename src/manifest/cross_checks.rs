//! Searches across all entries of a manifest: for ids and for requests that several of them have.

use crate::manifest::duplicate_ids::IdCheck;
use crate::manifest::repeats::RepeatCheck;
use crate::manifest::source::Source;

/// Searches across all entries.
#[derive(Debug)]
pub(super) struct CrossChecks {
    pub(super) ids: IdCheck,
    pub(super) repeats: RepeatCheck,
}

impl CrossChecks {
    /// Creates the searches of a first pass.
    pub(super) fn gathered(source: &Source) -> Self {
        Self { ids: IdCheck::gathered(), repeats: RepeatCheck::gathered(source.is_unique) }
    }
}
