//! Command `redo`: makes new images for jobs that succeeded.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::cli::exit::Exit;
use crate::cli::flags::folders::run_folder;
use crate::cli::flags::reports::ReportArgs;
use crate::cli::flags::{ImageArgs, LedgerAccessArgs, PaceArgs, ShowArgs};
use crate::cli::messages::progress::{ended, reporters};
use crate::cli::messages::start;
use crate::cli::messages::summary::{self, PROMPT_CHARS_MAX};
use crate::cli::output::{fail, print, print_message};
use crate::cli::runtime::drive;
use crate::model::escape::{escape, excerpt};
use crate::model::phase::JobRecord;
use crate::run::redo::{self as redoing, RedoOptions, RedoPlan};
use crate::run::summary::SessionStart;

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch redo out/cats 17 --dry-run                what it would cost; sends and writes nothing
  promptbatch redo out/cats 17 cat-blue --new-seed      two jobs, each with a seed that is drawn
Each job is submitted again, which is paid for again. The image so far is kept in OUT/replaced (or
in replaced/ of the place that --images named) and in the job's history (`log`); results, gallery
and datasets have the new one. If the new one is refused or fails, the image so far is current
again, and the exit code is 100. After an interruption, run the same command again: it continues,
and makes no job a second time.";

#[derive(Debug, Args)]
pub(crate) struct RedoArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Which jobs: the id of each as in results.csv, or else its index, the beginning of its 20-digit id, or the id of its task
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Draw a new seed for each job, in place of the one that it has; it is sent and recorded
    #[arg(long, env = "PROMPTBATCH_NEW_SEED", action = ArgAction::SetTrue)]
    pub new_seed: bool,

    /// Show which jobs would be made again, and the cost; send and write nothing
    #[arg(long, env = "PROMPTBATCH_DRY_RUN", action = ArgAction::SetTrue)]
    pub dry_run: bool,

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

/// Maximum number of jobs that are listed.
const JOBS_MAX: usize = 20;

/// Makes jobs again that succeeded.
pub(crate) fn redo(args: &RedoArgs) -> Exit {
    if args.dry_run {
        return match redoing::plan(&args.out, &args.jobs, args.pace.price.as_ref()) {
            Ok(plan) => print(&(opening(args, &plan).join("\n") + "\n")),
            Err(error) => fail(Exit::of_error(&error), &error),
        };
    }
    if let Err(exit) = args.reports.check(None) {
        return exit;
    }
    let options = RedoOptions {
        out: args.out.clone(),
        jobs: args.jobs.clone(),
        is_seed_new: args.new_seed,
        access: args.ledger.access(Some(&args.pace)),
        limits: args.pace.limits(args.ledger.own_name()),
        image_limits: args.images.limits(),
    };
    let redone = drive(&args.show, async |above, progress, stops| {
        let make_reporters = |plan: &RedoPlan, start: &SessionStart| {
            start::warn(start.is_other_account, &start.counts, &start.changed_fields);
            if !args.show.quiet {
                print_message(&opening(args, plan).join("\n"));
            }
            reporters(&args.show, &start.counts, start.price.clone(), Some(start.n_to_do), above)
        };
        redoing::redo(options, make_reporters, progress, stops).await
    });
    let summary = match redone {
        Ok(summary) => summary,
        Err(failure) => {
            let exit = args.reports.write_error(&args.out, "", &failure);
            ended(&args.show, exit, None);
            return exit;
        }
    };
    let exit = Exit::of_summary(&summary, args.reports.fail_under);
    if args.show.is_for_people() {
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

/// Formats what is made again, its cost, and what becomes of the images so far, line by line.
fn opening(args: &RedoArgs, plan: &RedoPlan) -> Vec<String> {
    let out = escape(&args.out.display().to_string());
    let doing = if args.dry_run { "would make" } else { "making" };
    let mut lines = Vec::new();
    if !plan.jobs.is_empty() {
        let cost = match (plan.cost(), &plan.price) {
            (Some(cost), Some(price)) => escape(&cost.with_unit(&price.unit)),
            (None, _) | (_, None) => {
                "cost unknown; give the price of an image, for example --price '2 magicube'".to_owned()
            }
        };
        let n = summary::jobs(plan.jobs.len() as u64);
        lines.push(format!("{out}: {doing} {n} again, which is paid for again: {cost}"));
        lines.extend(plan.jobs.iter().take(JOBS_MAX).map(line));
        let n_more = plan.jobs.len().saturating_sub(JOBS_MAX);
        lines.extend((n_more > 0).then(|| format!("  and {n_more} more")));
        let place = plan.images.as_ref().map_or_else(|| out.clone(), |place| escape(&place.to_string()));
        lines.push(format!("the images so far are kept in {place}/replaced"));
    }
    let left = [
        (&plan.continued, "continued, from an interrupted redo"),
        (&plan.done, "ended already, in an interrupted redo"),
    ];
    for (jobs, what) in left.into_iter().filter(|(jobs, _)| !jobs.is_empty()) {
        lines.push(format!("{out}: {} {what}", summary::jobs(jobs.len() as u64)));
    }
    let n_seeded = plan.seeded().count();
    if n_seeded > 0 && !args.new_seed {
        let (jobs, has) = (summary::jobs(n_seeded as u64), if n_seeded == 1 { "has" } else { "have" });
        lines.push(format!(
            "warning: {jobs} {has} a fixed seed, which mostly gives the same image again; --new-seed draws another one"
        ));
    }
    lines
}

fn line(JobRecord { job, .. }: &JobRecord) -> String {
    let label = job.label.as_ref().map_or_else(String::new, |label| format!("[{}] ", excerpt(label, PROMPT_CHARS_MAX)));
    let seed = job.request.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    format!("  {:06} {label}{}{seed}", job.index, excerpt(&job.request.prompt, PROMPT_CHARS_MAX))
}
