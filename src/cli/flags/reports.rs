//! CI output of a run: report files, the GitHub step summary, and an exit code that tolerates some failures.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::messages::summary::stopped;
use crate::cli::output::{fail, print_message};
use crate::driver::clock::Clock;
use crate::model::percentage::Percentage;
use crate::model::snapshot::StopCode;
use crate::report::ci::{RunReport, registry};
use crate::run::reports;
use crate::run::reports::ReportRequest;
use crate::run::summary::Summary;

/// Environment variable with the path of GitHub's step summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[arg(long, value_name = "KIND=FILE", value_delimiter = ',', env = "PROMPTBATCH_REPORT", help = report_help())]
    report: Vec<ReportRequest>,

    /// Minimum success rate, for example 98%: a finished run that reaches it exits with 0 even if some jobs failed
    #[arg(long, value_name = "P%", env = "PROMPTBATCH_FAIL_UNDER")]
    pub fail_under: Option<Percentage>,
}

/// Error of a command that has no jobs to report: its exit code and its words, which are printed already.
#[derive(Debug)]
pub(crate) struct PrintedError {
    pub exit: Exit,
    pub error: String,
}

impl PrintedError {
    /// Prints an error.
    pub(crate) fn print(exit: Exit, error: &dyn Error) -> Self {
        Self { exit: fail(exit, error), error: format!("error: {error}") }
    }
}

/// Returns the path of GitHub's step summary; `None` elsewhere.
fn step_summary() -> Option<PathBuf> {
    env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Describes the flag, with the names of all reports.
fn report_help() -> String {
    let usage = registry::usage();
    format!("Write a report at the end, even if the run stops early: {usage}; may be repeated, or comma-separated")
}

impl ReportArgs {
    /// Checks that all reports can be written, before anything is sent.
    pub(crate) fn check(&self, manifest: Option<&Path>) -> Result<(), Exit> {
        self.report.iter().try_for_each(|report| report.check(manifest)).map_err(|error| fail(Exit::Usage, &error))
    }

    /// Returns whether the user asks for any report, or for a share that is enough.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.report.is_empty() || self.fail_under.is_some()
    }

    /// Writes the requested reports of a run. A report that cannot be written is an error, an unwritable step summary
    /// is not.
    pub(crate) fn write(&self, out: &Path, summary: &Summary, exit: Exit) -> Exit {
        match reports::write(
            out,
            &self.report,
            step_summary().as_deref(),
            summary.price.as_ref(),
            self.facts(out, summary, exit),
        ) {
            Ok(Ok(())) => exit,
            Ok(Err(error)) => {
                print_message(&format!("warning: {error} ({STEP_SUMMARY})"));
                exit
            }
            Err(error) => match exit {
                Exit::Done => fail(Exit::Error, &error),
                exit => fail(exit, &error),
            },
        }
    }

    /// Writes the requested reports of a command that failed with this error: what an earlier run reported does not stay. Returns the exit
    /// code of the error.
    pub(crate) fn write_error(&self, out: &Path, provider: &str, failure: &PrintedError) -> Exit {
        let at = Clock::system().now().wall();
        let facts = RunReport::of_error(out, provider, failure.error.clone(), failure.exit.code(), at);
        match reports::write_error(&self.report, step_summary().as_deref(), facts) {
            Ok(()) => failure.exit,
            Err(error) => fail(failure.exit, &error),
        }
    }

    fn facts(&self, out: &Path, summary: &Summary, exit: Exit) -> RunReport {
        let stop = summary.stop.as_ref();
        RunReport {
            stop: stop.map(|stop| (StopCode::from(stop).as_str(), stopped(stop, summary))),
            exit_code: exit.code(),
            fail_under: self.fail_under.map(|share| share.to_string()),
            ..summary.report(out)
        }
    }
}
