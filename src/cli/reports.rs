//! What CI gets of a run: reports in files, the page of the step, and an exit code that a few failures do not turn red.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use promptbatch::model::counts::Counts;
use promptbatch::model::pace::Stopping;
use promptbatch::model::price::Price;
use promptbatch::model::share::Share;
use promptbatch::report::ci::Facts;
use promptbatch::run::Summary;
use promptbatch::run::reports::{self, Wanted};

use crate::cli::exit::Exit;
use crate::cli::summary::stopped;
use crate::cli::{fail, tell};

/// Where GitHub wants a page on a step.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write a report at the end, also of a run that stops early: junit=FILE, json=FILE or md=FILE; may be repeated, or parted by commas
    #[arg(long, value_name = "KIND=FILE", value_delimiter = ',', env = "PROMPTBATCH_REPORT")]
    report: Vec<Wanted>,

    /// The part of the jobs that must succeed, for example 98%: from there on a finished run ends with 0 though some have failed
    #[arg(long, value_name = "P%", env = "PROMPTBATCH_FAIL_UNDER")]
    pub fail_under: Option<Share>,
}

/// Whether at least this part of all jobs has succeeded.
pub fn is_reached(share: Share, counts: &Counts) -> bool {
    share.is_reached(counts.n_succeeded, counts.n_jobs())
}

/// What follows from that for the exit code, in words.
pub fn share_words(share: Share, counts: &Counts) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no manifest has 2^53 jobs")]
    let percent = 100.0 * counts.n_succeeded as f64 / (counts.n_jobs().max(1)) as f64;
    // Rounded down, so that no 97.99 looks like the 98 that it is not.
    let percent = (percent * 10.0).floor() / 10.0;
    let verdict = if is_reached(share, counts) { "as many as" } else { "fewer than" };
    format!("{percent:.1}% succeeded, {verdict} asked for (--fail-under {share})")
}

impl ReportArgs {
    /// Makes sure that all of them can be written, before anything is sent.
    pub fn check(&self) -> Result<(), Exit> {
        self.report.iter().try_for_each(Wanted::check).map_err(|error| fail(Exit::Usage, &error))
    }

    /// Writes what is wanted of a run that ends so. A report that cannot be written is an error, and the page of a step is not.
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

    fn facts(&self, out: &Path, summary: &Summary, exit: Exit) -> Facts {
        let n_ended = summary.counts_before.n_unfinished().saturating_sub(summary.counts.n_unfinished());
        let stop = summary.stop.as_ref();
        Facts {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            out: out.display().to_string(),
            // What the ledger knows better is taken from there.
            provider: String::new(),
            counts: summary.counts,
            cost: None,
            incidents: summary.incidents,
            stop: stop.map(|stop| (Stopping::from(stop).word(), stopped(stop, summary))),
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

    fn counts(n_succeeded: u64, n_failed: u64) -> Counts {
        Counts { n_succeeded, n_failed, ..Counts::default() }
    }

    #[test]
    fn a_share_is_reached_exactly_or_not() {
        let share: Share = "98%".parse().unwrap();
        assert!(is_reached(share, &counts(98, 2)) && !is_reached(share, &counts(97, 2)));
        assert!(is_reached(share, &Counts::default()), "of none, all");
        assert!(!is_reached("100%".parse().unwrap(), &counts(u64::MAX >> 1, 1)));
        assert_eq!(share_words(share, &counts(9799, 201)), "97.9% succeeded, fewer than asked for (--fail-under 98%)");
        assert_eq!(share_words(share, &counts(98, 2)), "98.0% succeeded, as many as asked for (--fail-under 98%)");
    }
}
