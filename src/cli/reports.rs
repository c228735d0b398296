//! CI output of a run: report files, the GitHub step summary, and an exit code that tolerates some failures.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use promptbatch::model::counts::StatusCounts;
use promptbatch::model::percentage::Percentage;
use promptbatch::model::price::Price;
use promptbatch::model::snapshot::StopCode;
use promptbatch::report::ci::RunReport;
use promptbatch::run::Summary;
use promptbatch::run::reports::{self, ReportRequest};

use crate::cli::exit::Exit;
use crate::cli::summary::stopped;
use crate::cli::{fail, tell};

/// Environment variable with the path of GitHub's step summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write a report at the end, even if the run stops early: junit=FILE, json=FILE or md=FILE; may be repeated, or
    /// comma-separated
    #[arg(long, value_name = "KIND=FILE", value_delimiter = ',', env = "PROMPTBATCH_REPORT")]
    report: Vec<ReportRequest>,

    /// Minimum success rate, for example 98%: a finished run that reaches it exits with 0 even if some jobs failed
    #[arg(long, value_name = "P%", env = "PROMPTBATCH_FAIL_UNDER")]
    pub fail_under: Option<Percentage>,
}

/// Reports whether at least this share of all jobs has succeeded.
pub fn is_reached(share: Percentage, counts: &StatusCounts) -> bool {
    share.is_reached(counts.n_succeeded, counts.n_jobs())
}

/// Formats the share that succeeded, and its comparison with the required share.
pub fn share_words(share: Percentage, counts: &StatusCounts) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no manifest has 2^53 jobs")]
    let percent = 100.0 * counts.n_succeeded as f64 / (counts.n_jobs().max(1)) as f64;
    // The percentage is rounded down, so that 97.99 is not printed as 98.
    let percent = (percent * 10.0).floor() / 10.0;
    if is_reached(share, counts) {
        format!("{percent:.1}% succeeded (required: {share}, --fail-under)")
    } else {
        format!("{percent:.1}% succeeded, below the required {share} (--fail-under)")
    }
}

impl ReportArgs {
    /// Checks that all reports can be written, before anything is sent.
    pub fn check(&self) -> Result<(), Exit> {
        self.report.iter().try_for_each(ReportRequest::check).map_err(|error| fail(Exit::Usage, &error))
    }

    /// Writes the requested reports of a run. A report that cannot be written is an error, an unwritable step summary
    /// is not.
    pub fn write(&self, out: &Path, summary: &Summary, price: Option<&Price>, exit: Exit) -> Exit {
        let step = env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty()).map(PathBuf::from);
        match reports::write(out, &self.report, step.as_deref(), price, self.facts(out, summary, exit)) {
            Ok(Ok(())) => exit,
            Ok(Err(error)) => {
                tell(&format!("warning: {error} ({STEP_SUMMARY})"));
                exit
            }
            Err(error) => match exit {
                Exit::Done => fail(Exit::Error, &error),
                exit => fail(exit, &error),
            },
        }
    }

    fn facts(&self, out: &Path, summary: &Summary, exit: Exit) -> RunReport {
        let n_ended = summary.counts_before.n_unfinished().saturating_sub(summary.counts.n_unfinished());
        let stop = summary.stop.as_ref();
        RunReport {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            out: out.display().to_string(),
            // The provider, the counts and the cost are taken from the ledger, which knows them better.
            provider: String::new(),
            counts: summary.counts,
            cost: None,
            incidents: summary.incidents,
            stop: stop.map(|stop| (StopCode::from(stop).word(), stopped(stop, summary))),
            exit_code: exit.code(),
            ended_at: summary.ended_at,
            elapsed: summary.elapsed,
            n_ended,
            fail_under: self.fail_under.map(|share| share.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(n_succeeded: u64, n_failed: u64) -> StatusCounts {
        StatusCounts { n_succeeded, n_failed, ..StatusCounts::default() }
    }

    #[test]
    fn a_share_is_reached_exactly_or_not() {
        let share: Percentage = "98%".parse().unwrap();
        assert!(is_reached(share, &counts(98, 2)) && !is_reached(share, &counts(97, 2)));
        assert!(is_reached(share, &StatusCounts::default()), "of none, all");
        assert!(!is_reached("100%".parse().unwrap(), &counts(u64::MAX >> 1, 1)));
        assert_eq!(share_words(share, &counts(9799, 201)), "97.9% succeeded, below the required 98% (--fail-under)");
        assert_eq!(share_words(share, &counts(98, 2)), "98.0% succeeded (required: 98%, --fail-under)");
    }
}
