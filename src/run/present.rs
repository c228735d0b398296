//! Whether the images on record are on the disk, by a look at their names and sizes; `verify` reads their bytes.

use std::path::Path;

use crate::driver::images::verify::is_there;
use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;

/// Jobs whose images are looked at. Of more jobs an even part is: each look is a call of the system.
const JOBS_MAX: u64 = 20_000;

/// What a look at the images came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Images that were looked at.
    pub n_looked: u64,
    /// Those that are missing, or of another size than recorded.
    pub n_missing: u64,
    /// Whether that were all images of the manifest. If not, they were an even part.
    pub is_all: bool,
}

/// Looks at the images of the present manifest, or at an even part of them.
pub(super) fn look(out: &Path, file: &RunFile) -> Result<Present, LedgerError> {
    let mut present = Present::default();
    present.is_all = file.each_image(JOBS_MAX, |artifact| {
        present.n_looked += 1;
        present.n_missing += u64::from(!is_there(out, &artifact));
    })?;
    Ok(present)
}
