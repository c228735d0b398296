//! CI reports of a finished run: test results ([`junit`]), one JSON object ([`json`]), and a page ([`markdown`]).
//!
//! Each report is a pure writer with a [description](ReportSpec), which is a row in a [table](registry::REPORTS). It receives the facts of the run, then every job in manifest order, one at a time. It
//! keeps only the jobs that it shows.

pub mod json;
pub mod junit;
pub mod markdown;
pub mod registry;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::model::cost::Cost;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::escape::excerpt;
use crate::model::outcome::Outcome;
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;

/// Facts of a finished run, which every report shows.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Name of the run: the name of its output folder.
    pub name: String,
    /// Output folder, as the user wrote it.
    pub out: String,
    /// Provider that made the images.
    pub provider: String,
    /// Numbers of jobs by status.
    pub counts: StatusCounts,
    /// Incidents of this run: submissions, lost answers, lost tasks.
    pub incidents: RunStats,
    /// Reason why the run stopped before its end, as a word and as a sentence. `None` if it did not.
    pub stop: Option<(&'static str, String)>,
    /// Exit code of the program.
    pub exit_code: u8,
    /// End of the run.
    pub ended_at: Timestamp,
    /// Duration of the run.
    pub elapsed: Duration,
    /// Number of jobs that ended during the run.
    pub n_ended: u64,
    /// Cost of all runs of the folder, and its unit. `None` if the price is unknown.
    pub cost: Option<(Cost, String)>,
    /// Share of the jobs that had to succeed, as the user wrote it. `None` if not set.
    pub fail_under: Option<String>,
}

/// Word of [`RunReport::stop`] for a command that failed before it had any job to report.
const ERROR: &str = "error";

impl RunReport {
    /// Returns the report of a command that failed with this error, and that has no jobs to report.
    pub fn of_error(out: &Path, provider: &str, error: String, exit_code: u8, at: Timestamp) -> Self {
        Self {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            out: out.display().to_string(),
            provider: provider.to_owned(),
            counts: StatusCounts::default(),
            incidents: RunStats::default(),
            stop: Some((ERROR, error)),
            exit_code,
            ended_at: at,
            elapsed: Duration::ZERO,
            n_ended: 0,
            cost: None,
            fail_under: None,
        }
    }

    /// Returns the error of a command that failed before it had any job to report; `None` if it had.
    fn error(&self) -> Option<&str> {
        self.stop.as_ref().filter(|(word, _)| *word == ERROR).map(|(_, error)| error.as_str())
    }

    /// Returns the share of the jobs that have their image, from 0 to 1. Returns 1 for a run without jobs, and 0 for an error.
    pub fn success_share(&self) -> f64 {
        if self.error().is_some() {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "no manifest has 2^53 jobs")]
        let [n, of] = [self.counts.n_succeeded, self.counts.n_jobs()].map(|n| n as f64);
        if of > 0.0 { n / of } else { 1.0 }
    }
}

/// Description of a report: its name, its help, and how it is begun. The table [`REPORTS`](registry::REPORTS) has a row of each.
#[derive(Debug)]
pub struct ReportSpec {
    /// Name, as in `--report NAME=FILE`.
    pub name: &'static str,
    /// Description in one line.
    pub help: &'static str,
    /// Begins a report: writes what comes before the jobs.
    pub begin: BeginReport,
}

/// Begins a report of a run with these facts.
pub type BeginReport = for<'a> fn(Box<dyn Write + 'a>, &RunReport) -> io::Result<Box<dyn ReportWriter + 'a>>;

impl PartialEq for ReportSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ReportSpec {}

/// Report that is being written, job by job.
pub trait ReportWriter {
    /// Adds the next job, in manifest order.
    fn job(&mut self, record: &JobRecord) -> io::Result<()>;

    /// Writes the rest of the report.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Reports whether a job ended without an image.
fn is_failure(record: &JobRecord) -> bool {
    matches!(record.state.phase, Phase::Finished(Outcome::Failed(_)))
}

/// Returns the id that the results show: the user's own id, or else the job id.
fn id(record: &JobRecord) -> String {
    record.job.label.clone().unwrap_or_else(|| record.job.id.to_string())
}

/// Names the provider of a job behind other words; empty unless the row names one.
fn at_provider(record: &JobRecord) -> String {
    let provider = record.job.request.provider.as_deref();
    provider.map_or_else(String::new, |name| format!(" (provider: {})", excerpt(name, 100)))
}

#[cfg(test)]
mod fixtures;
