//! The results as a file that is replaced as a whole: whoever opens it sees all of the old one or all of the new one.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::model::phase::Known;
use crate::report::replaced::Replaced;
use crate::report::results::Results;

/// Writes `results.csv` beside itself and puts it in its place at the end. Dropped before that, it leaves nothing.
pub struct ResultsWriter {
    results: Results<File>,
    replaced: Replaced,
}

impl ResultsWriter {
    /// Begins the results of a run with this provider and these further columns of the manifest.
    pub fn create(path: &Path, provider: &str, columns: &[String]) -> Result<Self, ResultsError> {
        let (replaced, file) = Replaced::create(path).map_err(error_at(path))?;
        let results = Results::new(file, provider, columns).map_err(error_at(path))?;
        Ok(Self { results, replaced })
    }

    /// Adds one job.
    pub fn write(&mut self, known: &Known) -> Result<(), ResultsError> {
        self.results.write(known).map_err(error_at(self.replaced.path()))
    }

    /// Makes the file last and puts it in its place.
    pub fn finish(self) -> Result<(), ResultsError> {
        let Self { results, replaced } = self;
        let path = replaced.path().to_owned();
        results.finish().and_then(|file| replaced.place(&file)).map_err(error_at(&path))
    }
}

/// The results could not be written. They can be made again from the ledger at any time.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {cause}; nothing is lost, {}write it again with `promptbatch results`", path.display(), first(cause.kind()))]
pub struct ResultsError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub cause: io::Error,
}

/// What has to come before another try.
fn first(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and ",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "allow writing there and ",
        _ => "",
    }
}

fn error_at(path: &Path) -> impl FnOnce(io::Error) -> ResultsError {
    move |cause| ResultsError { path: path.to_owned(), cause }
}
