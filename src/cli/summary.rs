//! The last words of a run: what there is, where it is, what failed and why, and what to do next.

use std::path::Path;

use promptbatch::engine::spending::Capped;
use promptbatch::engine::turn::Stop;
use promptbatch::model::counts::{Counts, Incidents};
use promptbatch::model::event::Stage;
use promptbatch::model::outcome::FaultKind;
use promptbatch::model::phase::Known;
use promptbatch::model::share::Share;
use promptbatch::model::text::{escape, excerpt};
use promptbatch::report::results::rfc3339;
use promptbatch::report::words::span;
use promptbatch::run::Summary;

use crate::cli::exit::Exit;
use crate::cli::reports::share_words;

/// Characters of a prompt in a list.
pub const PROMPT_CHARS_MAX: usize = 48;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 400;

/// The summary, line by line.
pub fn words(summary: &Summary, out: &Path, exit: Exit, fail_under: Option<Share>) -> Vec<String> {
    let Summary { counts, counts_before, incidents, cost, stop, failures, results, elapsed, .. } = summary;
    let out = escape(&out.display().to_string());
    if counts_before.n_unfinished() == 0 && stop.is_none() {
        let mut lines = vec![format!("nothing to do: {} in {out}", standing(counts))];
        lines.extend(failed(failures, counts));
        lines.extend(fail_under.map(|share| share_words(share, counts)));
        return lines;
    }
    let mut lines = vec![format!("{} in {}, in {out}", standing(counts), span(*elapsed))];
    lines.extend(noted(incidents));
    lines.extend(cost.as_ref().map(|(cost, unit)| format!("cost so far: {}", escape(&cost.words(unit)))));
    lines.extend(failed(failures, counts));
    lines.extend(fail_under.map(|share| share_words(share, counts)));
    lines.extend(stop.as_ref().map(|stop| stopped(stop, summary)));
    lines.push(format!("results: {}", escape(&results.display().to_string())));
    let n = counts.n_unfinished();
    if let Some(Stop::Cost(_)) = stop {
        lines.push(format!("run the same command again with a higher --max-cost to go on: {} unfinished", jobs(n)));
    } else if matches!(exit, Exit::Stopped | Exit::Refused | Exit::Interrupted(_)) {
        lines.push(format!("run the same command again to go on: {} unfinished", jobs(n)));
    } else if counts.n_in_doubt > 0 {
        lines.push(format!("submit those in doubt again: promptbatch retry {out} --only in_doubt"));
    }
    lines
}

/// So many jobs.
pub fn jobs(n: u64) -> String {
    if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") }
}

/// How the jobs stand, such as `12 of 12 succeeded`.
pub fn standing(counts: &Counts) -> String {
    let Counts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = *counts;
    let mut words = vec![format!("{n_succeeded} of {} succeeded", counts.n_jobs())];
    let others = [
        (n_failed, "failed"),
        (n_moderated, "moderated"),
        (n_in_doubt, "in doubt"),
        (n_running, "running at the provider"),
        (n_pending, "pending"),
    ];
    words.extend(others.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")));
    words.join(", ")
}

/// What cost something, or may have.
pub fn noted(incidents: &Incidents) -> Option<String> {
    let mut words = Vec::new();
    if incidents.n_in_doubt > 0 {
        let fates = [
            (incidents.n_doubts_resubmitted(), "submitted again"),
            (incidents.n_doubts_held, "held for you"),
            (incidents.n_doubts_failed, "failed"),
        ];
        let fates: Vec<_> = fates.into_iter().filter(|(n, _)| *n > 0).map(|(n, fate)| format!("{n} {fate}")).collect();
        let (n, were) =
            (incidents.n_in_doubt, if incidents.n_in_doubt == 1 { "submission was" } else { "submissions were" });
        words.push(format!("{n} {were} in doubt, as the answer was lost: {}", fates.join(", ")));
    }
    if incidents.n_lost > 0 {
        let (n, were) = (incidents.n_lost, if incidents.n_lost == 1 { "task was" } else { "tasks were" });
        words.push(format!("{n} {were} lost or failed at the provider"));
    }
    (!words.is_empty()).then(|| format!("note: {}", words.join("; ")))
}

/// The failed jobs, as many as are told, and how many more there are.
pub fn failed(failures: &[Known], counts: &Counts) -> Vec<String> {
    let mut lines: Vec<String> = failures
        .iter()
        .map(|known| {
            let prompt = excerpt(&known.job.request.prompt, PROMPT_CHARS_MAX);
            let reason = known.state.last_fault.as_ref().map_or_else(String::new, ToString::to_string);
            format!("  {:06} {prompt}: {}", known.job.index, excerpt(&reason, REASON_CHARS_MAX))
        })
        .collect();
    let n_more = counts.n_without_image().saturating_sub(failures.len() as u64);
    if n_more > 0 {
        lines.push(format!("  and {n_more} more: see the column error in results.csv"));
    }
    lines
}

/// Why a run stopped before its end, and when to come back where that is known.
pub fn stopped(stop: &Stop, summary: &Summary) -> String {
    let Summary { ended_at, counts, counts_before, n_outstanding, .. } = summary;
    match stop {
        Stop::Interrupted(_) => "stopped: interrupted".to_owned(),
        Stop::Unauthorized(fault) => format!("stopped: {}", escape(&fault.message)),
        Stop::Quota(fault) => {
            let resets_at = if let FaultKind::QuotaExhausted { resets_at } = fault.kind { resets_at } else { None };
            let when = resets_at.map_or_else(String::new, |resets_at| {
                format!("; come back at {}, in {}", rfc3339(resets_at), span(resets_at.since(*ended_at)))
            });
            format!("stopped: {}{when}", escape(&fault.message))
        }
        Stop::Unreachable(stage, fault) => {
            let doing = match stage {
                Stage::Submit => "no submission got through",
                Stage::Poll | Stage::Download | Stage::Task => "no poll was answered",
            };
            format!("stopped: {doing} for too long (--max-outage): {}", escape(&fault.message))
        }
        Stop::Disk => "stopped: the images could not be written".to_owned(),
        Stop::Failures(n) => format!("stopped: {n} jobs have failed (--max-failures)"),
        Stop::Cost(capped) => capped_words(capped),
        Stop::Duration(max) => format!("stopped: the time is up (--max-duration {})", span(*max)),
        Stop::Limit(_) => {
            let n_done = counts_before.n_unfinished().saturating_sub(counts.n_unfinished());
            format!(
                "this part is done: {} done, {n_outstanding} outstanding; run the same command for more",
                jobs(n_done)
            )
        }
    }
}

/// Where the limit on the cost has stopped a run.
fn capped_words(capped: &Capped) -> String {
    let Capped { cost, next, max, unit } = capped;
    let limit = format!("--max-cost {}", max.with_unit(unit));
    let (Some(cost), Some(next)) = (cost, next) else {
        return escape(&format!("stopped at {limit}: a price is not known, so nothing more is submitted"));
    };
    let doubts = match cost.n_in_doubt {
        0 => String::new(),
        1 => " (1 submission in doubt counts in full)".to_owned(),
        n => format!(" ({n} submissions in doubt count in full)"),
    };
    // The cost has the unit of the limit.
    let at = cost.short_words("");
    escape(&format!(
        "stopped at {at} of {limit}{doubts}; run again with a higher limit, as the next image costs {next}"
    ))
}
