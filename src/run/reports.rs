//! Reports of a run for CI, from the ledger.
//!
//! The writers of [`report::ci`](crate::report::ci) produce them, in files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::fsio::atomic_file::AtomicFile;
use crate::model::price::Price;
use crate::report::ci::markdown::MarkdownReport;
use crate::report::ci::{ReportSpec, ReportWriter, RunReport, registry};
use crate::store::error::LedgerError;
use crate::store::settings::ReadSettings;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, stores};

/// Longest page that GitHub accepts for the summary of a step, in bytes.
const SUMMARY_BYTES_MAX: u64 = 1 << 20;

/// Requested report, written as the name of the report, `=` and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    spec: &'static ReportSpec,
    path: PathBuf,
}

/// Reason why a text is not a [`ReportRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a report is {}", registry::usage())]
pub struct ReportRequestError;

impl FromStr for ReportRequest {
    type Err = ReportRequestError;

    fn from_str(text: &str) -> Result<Self, ReportRequestError> {
        let (name, path) = text.split_once('=').ok_or(ReportRequestError)?;
        let spec = registry::find(name.trim()).ok_or(ReportRequestError)?;
        if path.is_empty() { Err(ReportRequestError) } else { Ok(Self::new(spec, path)) }
    }
}

/// Reason why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Ledger that could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// File that could not be written.
    #[error("could not write the report {}: {cause}{}", path.display(), remedy(cause))]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error from the operating system.
        cause: io::Error,
    },
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "; create its folder first",
        io::ErrorKind::IsADirectory => "; name a file in it",
        io::ErrorKind::AlreadyExists => "; name another file",
        _ => "",
    }
}

impl ReportRequest {
    /// Requests a report in this file. The report need not be in the table.
    pub fn new(spec: &'static ReportSpec, path: impl Into<PathBuf>) -> Self {
        Self { spec, path: path.into() }
    }

    /// Checks that the report can be written and does not replace the manifest, before anything is paid for. An existing file
    /// stays as it is.
    pub fn check(&self, manifest: Option<&Path>) -> Result<(), ReportError> {
        let place = |path: &Path| fs::canonicalize(path).ok();
        if manifest.and_then(place).is_some_and(|manifest| Some(manifest) == place(&self.path)) {
            return Err(self.error(io::Error::new(io::ErrorKind::AlreadyExists, "it is the manifest")));
        }
        if self.path.is_dir() {
            return Err(self.error(io::ErrorKind::IsADirectory.into()));
        }
        AtomicFile::create(&self.path).map(drop).map_err(|cause| self.error(cause))
    }

    fn error(&self, cause: io::Error) -> ReportError {
        ReportError::Write { path: self.path.clone(), cause }
    }

    /// Writes the report, with the jobs of this run; `None` if a command failed before it had any.
    fn write(&self, run: Option<&dyn RunReader>, facts: &RunReport) -> Result<(), ReportError> {
        let mut whole = AtomicFile::create(&self.path).map_err(|cause| self.error(cause))?;
        let out = BufWriter::new(&mut whole);
        let report = (self.spec.begin)(Box::new(out), facts).map_err(|cause| self.error(cause))?;
        let path = self.path.clone();
        write_jobs(run, report, move |cause| ReportError::Write { path: path.clone(), cause })?;
        whole.finish().map_err(|cause| self.error(cause))
    }
}

/// Passes every job of the manifest to a report, and finishes it.
fn write_jobs(
    run: Option<&dyn RunReader>,
    mut report: Box<dyn ReportWriter + '_>,
    error: impl Fn(io::Error) -> ReportError,
) -> Result<(), ReportError> {
    if let Some(run) = run {
        run.for_each_job(JobSet::InManifest, |known| report.job(&known).map_err(&error))?;
    }
    report.finish().map_err(error)
}

/// Writes the reports of the run in the folder `out`. Provider and counts are read from one snapshot of the ledger, and so is
/// the cost at this price if the facts have none. Then appends the page to the summary of the step, if that is requested.
///
/// The outer error concerns the reports. The inner error concerns the summary, which a run can do without.
pub fn write(
    out: &Path,
    requests: &[ReportRequest],
    summary: Option<&Path>,
    price: Option<&Price>,
    facts: RunReport,
) -> Result<Result<(), ReportError>, ReportError> {
    if requests.is_empty() && summary.is_none() {
        return Ok(Ok(()));
    }
    let run = stores::open_for_reading(out)?;
    run.in_snapshot(|| {
        let cost = match (facts.cost, price) {
            (None, Some(price)) => run.total_cost(price)?.map(|cost| (cost, price.unit.clone())),
            (cost, _) => cost,
        };
        let facts = RunReport { provider: run.provider()?, counts: run.counts()?, cost, ..facts };
        requests.iter().try_for_each(|requests| requests.write(Some(&*run), &facts))?;
        Ok(summary.map_or(Ok(()), |path| append(path, Some(&*run), facts)))
    })
}

/// Writes the reports of a command that failed before it had any job to report. What an earlier run reported does not stay.
pub fn write_error(requests: &[ReportRequest], summary: Option<&Path>, facts: RunReport) -> Result<(), ReportError> {
    requests.iter().try_for_each(|request| request.write(None, &facts))?;
    summary.map_or(Ok(()), |path| append(path, None, facts))
}

/// Appends the page to the file that GitHub reads after the step. Content from other programs stays.
fn append(path: &Path, run: Option<&dyn RunReader>, facts: RunReport) -> Result<(), ReportError> {
    let error = |cause| ReportError::Write { path: path.to_owned(), cause };
    let mut page = Vec::new();
    write_jobs(run, Box::new(MarkdownReport::new(&mut page, facts)), error)?;
    let append = || {
        let length = fs::metadata(path).map_or(0, |file| file.len());
        if length + page.len() as u64 > SUMMARY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        File::options().append(true).create(true).open(path)?.write_all(&page)
    };
    append().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ci::json;

    #[test]
    fn a_wanted_report_is_a_kind_and_a_file() {
        for (text, name, path) in
            [("junit=a.xml", "junit", "a.xml"), ("json=x/a=b.json", "json", "x/a=b.json"), ("md=é.md", "md", "é.md")]
        {
            assert_eq!(text.parse(), Ok(ReportRequest::new(registry::find(name).unwrap(), path)));
        }
        for text in ["", "junit", "junit=", "=a.xml", "html=a.html"] {
            assert_eq!(text.parse::<ReportRequest>(), Err(ReportRequestError), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_known_before_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let requests = |name: &str| ReportRequest::new(&json::SPEC, folder.path().join(name));
        let words = |name: &str| requests(name).check(None).unwrap_err().to_string();
        assert!(words("absent/a.json").ends_with("; create its folder first"), "{}", words("absent/a.json"));
        assert!(words("").ends_with("; name a file in it"), "{}", words(""));
        fs::write(folder.path().join("a.json"), "before").unwrap();
        requests("a.json").check(None).unwrap();
        let manifest = folder.path().join("./a.json");
        assert!(
            requests("a.json")
                .check(Some(&manifest))
                .unwrap_err()
                .to_string()
                .ends_with("it is the manifest; name another file")
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("a.json")).unwrap(), "before");
    }
}
