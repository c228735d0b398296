//! Command `verify`: compares every image with its record, and downloads damaged images again.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::flags::folders::run_folder;
use crate::cli::flags::{ImageArgs, LedgerAccessArgs, ShowArgs};
use crate::cli::messages::progress::{operation_progress, reporters};
use crate::cli::messages::start;
use crate::cli::messages::summary;
use crate::cli::output::{fail, print, print_message};
use crate::cli::runtime::drive;
use crate::model::escape::escape;
use crate::model::limits::Limits;
use crate::model::progress::Progress;
use crate::report::tty_reporter::PrintAbove;
use crate::run::summary::{SessionStart, Summary};
use crate::run::verify::{DamagedImage, RepairOptions, VerifyReport, repair as run_repair, verify as run_verify};

/// Text below the flags in the help: examples, exit codes, and the format of the output.
pub(crate) const HELP: &str = "\
Examples:
  promptbatch verify out/cats                           check every image against its record
  promptbatch verify out/cats --repair                  fetch missing and damaged ones again
Exit code 0: every image matches its record; 100: some do not.
With --repair a missing or damaged image is fetched again from its task, if the provider still has
it. Nothing is submitted: a job whose task is gone becomes pending, and `run` submits it again. A
damaged file is kept in OUT/damaged. Images that `redo` replaced are checked too, but not fetched.";

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The output folder of a run
    #[arg(value_parser = run_folder())]
    pub out: PathBuf,

    /// Fetch missing or damaged images again, from the tasks that are already paid for; nothing is submitted
    #[arg(long)]
    pub repair: bool,

    #[command(flatten)]
    pub ledger: LedgerAccessArgs,

    #[command(flatten)]
    pub images: ImageArgs,

    #[command(flatten)]
    pub show: ShowArgs,
}

/// Maximum number of damaged images listed.
const DAMAGED_MAX: usize = 50;

/// Compares every image with its record, and downloads damaged images again if requested.
pub(crate) fn verify(args: &VerifyArgs) -> Exit {
    let mut progress = operation_progress(args.show.display(), &PrintAbove::default());
    let verified = match run_verify(&args.out, args.ledger.consent.consent(), &mut *progress) {
        Ok(verified) => verified,
        Err(error) => return fail(Exit::of_error(&error), &error),
    };
    let printed = print(&found(&verified));
    if printed != Exit::Done {
        return printed;
    }
    if verified.wanted() == 0 {
        return if verified.replaced.is_empty() { Exit::Done } else { Exit::Failures };
    }
    if !args.repair {
        print_message("add --repair to fetch them again from the tasks that are already paid for");
        return Exit::Failures;
    }
    repair(args, &verified, &mut *progress)
}

fn repair(args: &VerifyArgs, verified: &VerifyReport, progress: &mut dyn Progress) -> Exit {
    let options = RepairOptions {
        out: args.out.clone(),
        access: args.ledger.access(None),
        limits: Limits { seed: fastrand::u64(..), ..Limits::default() },
        image_limits: args.images.limits(),
    };
    let ended = drive(&args.show, async |above, progress, stops| {
        let make_reporters = |start: &SessionStart| {
            start::warn(start.is_other_account, &start.counts, &start.changed_fields);
            reporters(&args.show, &start.counts, start.price.clone(), None, above)
        };
        run_repair(options, verified, make_reporters, progress, stops).await
    });
    let summary = match ended {
        Ok(summary) => summary,
        Err(failure) => return failure.exit,
    };
    let after = match run_verify(&args.out, args.ledger.consent.consent(), progress) {
        Ok(after) => after,
        Err(error) => return fail(Exit::of_error(&error), &error),
    };
    // A complete repair also means that no further job ended without its image or became pending.
    let is_none_less = summary.counts.n_without_image() == summary.counts_before.n_without_image();
    let is_whole = after.wanted() == 0 && after.replaced.is_empty() && is_none_less && summary.incidents.n_lost == 0;
    if !args.show.quiet {
        for line in repaired(&args.out, verified, &summary, &after, is_whole) {
            print_message(&line);
        }
    }
    match Exit::of_summary(&summary, None) {
        // Jobs without an image for other reasons do not concern this command.
        Exit::Done | Exit::Failures if is_whole => Exit::Done,
        Exit::Done => Exit::Failures,
        exit => exit,
    }
}

fn found(verified: &VerifyReport) -> String {
    let n_damaged = verified.damaged.len();
    let images = if verified.n_images == 1 { "image" } else { "images" };
    let mut lines = vec![match n_damaged {
        0 => format!("{} {images}, all as recorded", verified.n_images),
        _ => format!("{} {images}, {n_damaged} of them missing or damaged:", verified.n_images),
    }];
    lines.extend(listed(&verified.damaged));
    let n_replaced = verified.n_replaced;
    let replaced = if n_replaced == 1 { "replaced image" } else { "replaced images" };
    match verified.replaced.len() {
        _ if n_replaced == 0 => (),
        0 => lines.push(format!("{n_replaced} {replaced}, all as recorded")),
        n => lines.push(format!(
            "{n_replaced} {replaced}, {n} of them missing or damaged, which cannot be fetched again; copy them back if you have them:"
        )),
    }
    lines.extend(listed(&verified.replaced));
    if !verified.being_fetched.is_empty() {
        let n = summary::jobs(verified.being_fetched.len() as u64);
        lines.push(format!("the images of {n} are being fetched again and have not arrived yet"));
    }
    if verified.n_untracked > 0 {
        let files = if verified.n_untracked == 1 { "file under images/ does" } else { "files under images/ do" };
        lines.push(format!("{} {files} not belong to any job:", verified.n_untracked));
        lines.extend(verified.untracked.iter().map(|name| format!("  {}", escape(name))));
    }
    lines.join("\n") + "\n"
}

/// Lists damaged images, each with its job.
fn listed(damaged: &[DamagedImage]) -> Vec<String> {
    let line = |DamagedImage { index, artifact, damage, .. }: &DamagedImage| {
        format!("  {index:06} {}: {damage}", escape(&artifact.file_name))
    };
    let mut lines: Vec<_> = damaged.iter().take(DAMAGED_MAX).map(line).collect();
    let n_more = damaged.len().saturating_sub(DAMAGED_MAX);
    lines.extend((n_more > 0).then(|| format!("  and {n_more} more")));
    lines
}

fn repaired(out: &Path, before: &VerifyReport, summary: &Summary, after: &VerifyReport, is_whole: bool) -> Vec<String> {
    let out = escape(&out.display().to_string());
    let n_pending = summary.incidents.n_lost;
    let mut lines = vec![format!("requested the images of {} again", summary::jobs(before.wanted() as u64))];
    if n_pending > 0 {
        lines.push(format!(
            "{} can no longer be fetched and {} pending: `promptbatch run` submits again, which is paid for again",
            summary::jobs(n_pending),
            if n_pending == 1 { "is" } else { "are" }
        ));
    }
    lines.extend(summary.stop.as_ref().map(|stop| summary::stopped(stop, summary)));
    lines.extend(match after.wanted() {
        0 if is_whole => Some(format!("every image in {out} matches its record")),
        0 if !after.replaced.is_empty() => {
            Some(format!("{} replaced images are missing or damaged, as listed above", after.replaced.len()))
        }
        0 => None,
        n => {
            Some(format!("the images of {} have not arrived yet: run the same command again", summary::jobs(n as u64)))
        }
    });
    lines
}
