//! Results file that is replaced as a whole and never visible in part.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::fsio::atomic_file::{AtomicFile, first};
use crate::model::money::Money;
use crate::model::phase::JobRecord;
use crate::model::storage_url::StorageUrl;
use crate::report::results::{self, BYTE_ORDER_MARK, Results, ResultsFileFormat};

/// Writes the results to a temporary file and renames it at the end. Dropping the writer earlier leaves no file.
pub(crate) struct ResultsWriter {
    results: Results<AtomicFile>,
    path: PathBuf,
}

impl ResultsWriter {
    /// Creates the temporary file for a run with this provider and these further columns of the manifest. A table may start with a
    /// byte order mark. `has_rows` says whether the ledger has the rows of the jobs.
    pub(crate) fn create(
        path: &Path,
        format: ResultsFileFormat,
        has_bom: bool,
        provider: &str,
        columns: &[String],
        has_rows: bool,
    ) -> Result<Self, ResultsError> {
        results::check(path).map_err(error_at(path))?;
        let mut file = AtomicFile::create(path).map_err(error_at(path))?;
        if has_bom {
            file.write_all(BYTE_ORDER_MARK).map_err(error_at(path))?;
        }
        let results = Results::new(file, format, provider, columns, has_rows).map_err(error_at(path))?;
        Ok(Self { results, path: path.to_owned() })
    }

    /// Names the images by their addresses at this place. `None` names them by their paths below the output folder.
    #[must_use]
    pub(crate) fn placed(self, place: Option<StorageUrl>) -> Self {
        Self { results: self.results.placed(place), ..self }
    }

    /// Adds one job. `cost` is `None` if its price is unknown.
    pub(crate) fn write(&mut self, record: &JobRecord, cost: Option<&Money>) -> Result<(), ResultsError> {
        self.results.write(record, cost).map_err(error_at(&self.path))
    }

    /// Syncs the file and renames it into place.
    pub(crate) fn finish(self) -> Result<(), ResultsError> {
        let Self { results, path } = self;
        results.finish().and_then(AtomicFile::finish).map_err(error_at(&path))
    }
}

/// Error while writing the results. The results can be written again from the ledger at any time.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {cause}; nothing is lost, {}write it again with `promptbatch results`", path.display(), first(cause.kind()))]
pub struct ResultsError {
    /// Path of the results.
    pub path: PathBuf,
    /// Error from the operating system.
    pub cause: io::Error,
}

fn error_at(path: &Path) -> impl FnOnce(io::Error) -> ResultsError {
    move |cause| ResultsError { path: path.to_owned(), cause }
}
