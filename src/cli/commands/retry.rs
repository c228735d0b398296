//! Command `retry`: runs failed jobs again.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::folders::run_folder;
use crate::cli::flags::reports::ReportArgs;
use crate::cli::flags::{ImageArgs, LedgerAccessArgs, PaceArgs, ShowArgs};
use crate::cli::messages::progress::{ended, reporters};
use crate::cli::messages::start;
use crate::cli::messages::summary;
use crate::cli::output::print_message;
use crate::cli::runtime::drive;
use crate::model::counts::StatusCounts;
use crate::model::escape::escape;
use crate::model::outcome::FaultKind;
use crate::run::retry::{RetryOptions, retry as run_retry};
use crate::run::summary::SessionStart;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch retry out/cats                            all failures except moderated and in doubt
  promptbatch retry out/cats --only moderated           the same prompts, which are paid for again
  promptbatch retry out/cats --only in_doubt,timeout    held jobs, and lost tasks
Jobs that were `rejected` by a proxy or a firewall are among them; they may have been paid for.
If a job's task may still give the image that is paid for, that task is asked first, before the job
is submitted again. Jobs that are only pending are left to `run`.";

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Only failures of these kinds, as named in the column `error_code`; also `timeout` (for `task_lost`) and `in_doubt`
    /// [default: every kind except `moderated` and `in_doubt`]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = failure_kind, env = "PROMPTBATCH_ONLY")]
    pub only: Vec<String>,

    /// Submit them again even if the existing task might still deliver the paid image
    #[arg(long)]
    pub anew: bool,

    #[command(flatten)]
    pub ledger: LedgerAccessArgs,

    #[command(flatten)]
    pub pace: PaceArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

/// Retries failed jobs.
pub(crate) fn retry(args: &RetryArgs) -> Exit {
    if let Err(exit) = args.reports.check(None) {
        return exit;
    }
    let codes = if args.only.is_empty() { failure_kinds_by_default() } else { args.only.clone() };
    let options = RetryOptions {
        out: args.out.clone(),
        codes,
        force_resubmit: args.anew,
        access: args.ledger.access(Some(&args.pace)),
        limits: args.pace.limits(args.ledger.own_name()),
        image_limits: args.images.limits(),
    };
    let retried = drive(&args.show, async |above, progress, stops| {
        let make_reporters = |start: &SessionStart| {
            start::warn(start.is_other_account, &start.counts, &start.changed_fields);
            if !args.show.quiet {
                let out = escape(&args.out.display().to_string());
                print_message(&format!("{out}: retrying {}", summary::jobs(start.n_to_do)));
                if start.n_doubtful > 0 {
                    let n = start.n_doubtful.min(start.n_to_do);
                    print_message(&format!(
                        "warning: {} may have been accepted before (`rejected`, `in_doubt`): to submit again may be to pay twice",
                        summary::jobs(n)
                    ));
                }
            }
            reporters(&args.show, &start.counts, start.price.clone(), args.pace.limit.map(u64::from), above)
        };
        run_retry(options, make_reporters, progress, stops).await
    });
    let (n_tried, summary) = match retried {
        Ok(retried) => retried,
        Err(failure) => {
            let exit = args.reports.write_error(&args.out, "", &failure);
            ended(&args.show, exit, None);
            return exit;
        }
    };
    let exit = Exit::of_summary(&summary, args.reports.fail_under);
    if n_tried == 0 {
        print_message(&nothing_words(&summary.counts, !args.only.is_empty()));
    } else if args.show.is_for_people() {
        for line in summary::words(&summary, &args.out, exit, args.reports.fail_under) {
            print_message(&line);
        }
        if let Some(line) = summary::gallery(&summary, &args.out) {
            print_message(&line);
        }
    } else if args.show.quiet
        && let Some(line) = summary::quiet_words(&summary, &args.out, exit)
    {
        print_message(&line);
    }
    let exit = args.reports.write(&args.out, &summary, exit);
    ended(&args.show, exit, Some(&summary));
    exit
}

/// Formats why there is nothing to retry: the jobs that are left out, and what selects them.
fn nothing_words(counts: &StatusCounts, has_only: bool) -> String {
    let failed = if has_only { "failed of another kind (without --only)" } else { "failed in doubt (--only in_doubt)" };
    let left_out = [
        (counts.n_failed, failed),
        (counts.n_moderated, "moderated (--only moderated)"),
        (counts.n_in_doubt, "in doubt (--only in_doubt)"),
        (counts.n_running, "running at the provider (run)"),
        (counts.n_pending, "pending (run)"),
    ];
    let words = left_out.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect::<Vec<_>>();
    match words.join(", ").as_str() {
        "" => format!("nothing to retry: {}", summary::standing(counts)),
        words => format!("nothing to retry; left out: {words}"),
    }
}

fn failure_kind(text: &str) -> Result<String, String> {
    let text = if text.trim() == "timeout" { "task_lost" } else { text.trim() };
    let is_known = FaultKind::CODES.contains(&text);
    is_known.then(|| text.to_owned()).ok_or_else(|| format!("the kinds are timeout, {}", FaultKind::CODES.join(", ")))
}

/// Returns the failure kinds that `retry` retries by default: all except content refusals and submissions that may have
/// been paid for.
pub(crate) fn failure_kinds_by_default() -> Vec<String> {
    let is_default = |kind: &&str| !matches!(*kind, "moderated" | "in_doubt");
    FaultKind::CODES.into_iter().filter(is_default).map(str::to_owned).collect()
}
