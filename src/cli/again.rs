//! Commands that return to ended jobs: `retry` and `verify`.

use std::path::Path;

use promptbatch::driver::{StopReceiver, stopper};
use promptbatch::model::counts::StatusCounts;
use promptbatch::model::escape::escape;
use promptbatch::model::limits::Limits;
use promptbatch::model::progress::Progress;
use promptbatch::report::tty_reporter::PrintAbove;
use promptbatch::run::retry::{RetryOptions, retry as run_retry};
use promptbatch::run::verify::{DamagedImage, RepairOptions, VerifyReport, repair as run_repair, verify as run_verify};
use promptbatch::run::{RunError, Summary};

use crate::cli::args::{RetryArgs, VerifyArgs, failure_kinds_by_default};
use crate::cli::exit::Exit;
use crate::cli::flags::ShowArgs;
use crate::cli::progress::{chores, ended, reporters};
use crate::cli::run::{OTHER_ACCOUNT, price};
use crate::cli::{fail, print, runtime, signals, summary, tell};

/// Maximum number of damaged images listed.
const DAMAGED_MAX: usize = 50;

/// Retries failed jobs.
pub fn retry(args: &RetryArgs) -> Exit {
    if let Err(exit) = args.reports.check() {
        return exit;
    }
    let codes = if args.only.is_empty() { failure_kinds_by_default() } else { args.only.clone() };
    let options = RetryOptions {
        out: args.out.clone(),
        codes,
        is_anew: args.anew,
        access: args.known.access(),
        limits: args.pace.limits(),
        image_limits: args.images.limits(),
    };
    let came_to = drive(&args.show, async |above, chores, stops| {
        let face = |n_to_do: u64, counts: &StatusCounts, is_other_account: bool| {
            if is_other_account {
                tell(OTHER_ACCOUNT);
            }
            if !args.show.quiet {
                tell(&format!("{}: retrying {}", escape(&args.out.display().to_string()), summary::jobs(n_to_do)));
            }
            reporters(&args.show, counts, price(&args.pace, &args.out), args.pace.limit.map(u64::from), above)
        };
        Box::pin(run_retry(options, face, chores, stops)).await
    });
    let (n_tried, summary) = match came_to {
        Ok(came_to) => came_to,
        Err(exit) => {
            ended(&args.show, exit, None);
            return exit;
        }
    };
    let exit = Exit::of_summary(&summary, args.reports.fail_under);
    if n_tried == 0 {
        tell(&format!(
            "nothing to retry: no failures of the selected kinds (--only): {}",
            summary::standing(&summary.counts)
        ));
    } else if args.show.is_for_people() {
        for line in summary::words(&summary, &args.out, exit, args.reports.fail_under) {
            tell(&line);
        }
    }
    let exit = args.reports.write(&args.out, &summary, price(&args.pace, &args.out).as_ref(), exit);
    ended(&args.show, exit, Some(&summary));
    exit
}

/// Compares every image with its record, and downloads damaged images again if requested.
pub fn verify(args: &VerifyArgs) -> Exit {
    let mut chores = chores(args.show.display(), &PrintAbove::default());
    let verified = match run_verify(&args.out, args.known.consent.consent(), &mut *chores) {
        Ok(verified) => verified,
        Err(error) => return fail(Exit::of_error(&error), &error),
    };
    let printed = print(&found(&verified));
    if printed != Exit::Done {
        return printed;
    }
    if verified.wanted() == 0 {
        return Exit::Done;
    }
    if !args.repair {
        tell("add --repair to fetch them again from the tasks that are already paid for");
        return Exit::Failures;
    }
    repair(args, &verified, &mut *chores)
}

fn repair(args: &VerifyArgs, verified: &VerifyReport, progress: &mut dyn Progress) -> Exit {
    let options = RepairOptions {
        out: args.out.clone(),
        access: args.known.access(),
        limits: Limits { seed: fastrand::u64(..), ..Limits::default() },
        image_limits: args.images.limits(),
    };
    let ended = drive(&args.show, async |above, chores, stops| {
        // A repair submits nothing, so it costs nothing.
        let face = |counts: &StatusCounts, is_other_account: bool| {
            if is_other_account {
                tell(OTHER_ACCOUNT);
            }
            reporters(&args.show, counts, None, None, above)
        };
        run_repair(options, verified, face, chores, stops).await
    });
    let summary = match ended {
        Ok(summary) => summary,
        Err(exit) => return exit,
    };
    let after = match run_verify(&args.out, args.known.consent.consent(), progress) {
        Ok(after) => after,
        Err(error) => return fail(Exit::of_error(&error), &error),
    };
    // A complete repair also means that no further job ended without its image or became pending.
    let is_none_less = summary.counts.n_without_image() == summary.counts_before.n_without_image();
    let is_whole = after.wanted() == 0 && is_none_less && summary.incidents.n_lost == 0;
    if !args.show.quiet {
        for line in repaired(&args.out, verified, &summary, &after, is_whole) {
            tell(&line);
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
    let named = verified.damaged.iter().take(DAMAGED_MAX);
    lines.extend(named.map(|DamagedImage { index, artifact, damage, .. }| {
        format!("  {index:06} {}: {damage}", escape(&artifact.file_name))
    }));
    if n_damaged > DAMAGED_MAX {
        lines.push(format!("  and {} more", n_damaged - DAMAGED_MAX));
    }
    if !verified.being_fetched.is_empty() {
        let n = summary::jobs(verified.being_fetched.len() as u64);
        lines.push(format!("the images of {n} are being fetched again and have not arrived yet"));
    }
    if verified.n_strays > 0 {
        let files = if verified.n_strays == 1 { "file under images/ does" } else { "files under images/ do" };
        lines.push(format!("{} {files} not belong to any job:", verified.n_strays));
        lines.extend(verified.strays.iter().map(|name| format!("  {}", escape(name))));
    }
    lines.join("\n") + "\n"
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
        0 => None,
        n => {
            Some(format!("the images of {} have not arrived yet: run the same command again", summary::jobs(n as u64)))
        }
    });
    lines
}

/// Runs work that signals can stop, and prints its error.
fn drive<T>(
    show: &ShowArgs,
    work: impl AsyncFnOnce(&PrintAbove, &mut dyn Progress, &mut StopReceiver) -> Result<T, RunError>,
) -> Result<T, Exit> {
    let runtime = runtime().map_err(|error| fail(Exit::Error, &error))?;
    let ended = runtime.block_on(async {
        let (stopper, mut stops) = stopper();
        let above = PrintAbove::default();
        let mut chores = chores(show.display(), &above);
        signals::listen(stopper, show.quiet, above.clone()).map_err(|error| fail(Exit::Error, &error))?;
        work(&above, &mut *chores, &mut stops).await.map_err(|error| fail(Exit::of_error(&error), &error))
    });
    runtime.shutdown_background();
    ended
}
