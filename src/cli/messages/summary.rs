//! Summary at the end of a run: counts, location, failures with reasons, and the next steps.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::messages::local_time::beside;
use crate::cli::messages::start;
use crate::engine::spending::CostLimitReached;
use crate::engine::turn::StopReason;
use crate::model::choice::{Chosen, JobChoice};
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::escape::{escape, excerpt};
use crate::model::event::Stage;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::percentage::Percentage;
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::report::format::span;
use crate::report::value::rfc3339;
use crate::run::other_sizes::{OtherSize, OtherSizes};
use crate::run::presence::PresenceCheck;
use crate::run::summary::Summary;

/// Formats the share that succeeded, and its comparison with the required share.
pub(crate) fn share_words(share: Percentage, counts: &StatusCounts) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no manifest has 2^53 jobs")]
    let percent = 100.0 * counts.n_succeeded as f64 / (counts.n_jobs().max(1)) as f64;
    // The percentage is rounded down, so that 97.99 is not printed as 98.
    let percent = (percent * 10.0).floor() / 10.0;
    if share.is_reached(counts.n_succeeded, counts.n_jobs()) {
        format!("{percent:.1}% succeeded (required: {share}, --fail-under)")
    } else {
        format!("{percent:.1}% succeeded, below the required {share} (--fail-under)")
    }
}

/// Maximum length of a prompt in a list, in characters.
pub(crate) const PROMPT_CHARS_MAX: usize = 48;

/// Maximum length of a reason, in characters.
const REASON_CHARS_MAX: usize = 400;

/// Formats the summary, line by line.
pub(crate) fn words(summary: &Summary, out: &Path, exit: Exit, fail_under: Option<Percentage>) -> Vec<String> {
    let Summary {
        counts,
        counts_before,
        incidents,
        price,
        cost,
        excess,
        stop,
        failures,
        present,
        results,
        elapsed,
        other_sizes,
        ..
    } = summary;
    let out = escape(&out.display().to_string());
    if counts_before.n_unfinished() == 0 && stop.is_none() {
        let mut lines = vec![format!("nothing to do: {} in {out}", standing(counts))];
        lines.extend(missing(present, &out));
        lines.extend(failed(failures, counts));
        lines.extend(not_remade(summary));
        lines.extend(fail_under.map(|share| share_words(share, counts)));
        lines.extend(next_steps(counts, &out));
        return lines;
    }
    let mut lines = vec![format!("{} in {}, in {out}", standing(counts), span(*elapsed))];
    lines.extend(noted(incidents));
    lines.extend(other_sizes_words(other_sizes));
    lines.extend(
        cost.zip(price.as_ref()).map(|(cost, price)| format!("cost so far: {}", escape(&cost.words(&price.unit)))),
    );
    lines.extend(excess.zip(price.as_ref()).map(|(excess, price)| start::excess_words(excess, &price.unit)));
    lines.extend(failed(failures, counts));
    lines.extend(not_remade(summary));
    lines.extend(fail_under.map(|share| share_words(share, counts)));
    lines.extend(stop.as_ref().map(|stop| stopped(stop, summary)));
    lines.extend(missing(present, &out));
    lines.push(format!("results: {}", escape(&results.display().to_string())));
    let n = counts.n_unfinished();
    if let Some(StopReason::Cost(_)) = stop {
        lines.push(format!("run the same command again with a higher --max-cost to resume: {} unfinished", jobs(n)));
    } else if n > 0 && matches!(stop, Some(StopReason::Refused(fault, _)) if is_about_request(fault)) {
        lines.push(format!("{} unfinished", jobs(n)));
    } else if n > 0 && matches!(exit, Exit::Stopped | Exit::Refused | Exit::Interrupted(_)) {
        lines.push(format!("run the same command again to resume: {} unfinished", jobs(n)));
    } else if exit != Exit::Part {
        lines.extend(next_steps(counts, &out));
    }
    lines
}

/// Names the commands that continue a run whose last command may have been interrupted. Empty if every job has its image.
pub(crate) fn next_steps_after_any_end(counts: &StatusCounts, out: &str) -> Vec<String> {
    let mut lines = vec![];
    if counts.n_running > 0 {
        let n = jobs(counts.n_running);
        lines.push(format!(
            "the tasks of {n} are paid for, and no process fetches their images now: run the same command again"
        ));
    }
    lines.extend(next_steps(&StatusCounts { n_running: 0, ..*counts }, out));
    lines
}

/// Formats the only line of a quiet run that stopped early, or whose jobs have not all their images. `None` if there is nothing to say.
pub(crate) fn quiet_words(summary: &Summary, out: &Path, exit: Exit) -> Option<String> {
    match &summary.stop {
        Some(stop) => Some(stopped(stop, summary)),
        None => (exit == Exit::Failures).then(|| failed_quietly(summary, out)),
    }
}

/// Names the commands that continue a run that has come to its end. Empty if every job has its image.
fn next_steps(counts: &StatusCounts, out: &str) -> Vec<String> {
    let mut lines = vec![];
    if counts.n_running > 0 {
        let n = jobs(counts.n_running);
        lines.push(format!(
            "the tasks of {n} are paid for, and not fetched yet: they run, or seem lost; run the same command to ask for them again, \
             or submit and pay for those that seem lost again: promptbatch retry {out} --only task_lost"
        ));
    }
    if counts.n_in_doubt > 0 {
        lines.push(format!("to submit those in doubt again: promptbatch retry {out} --only in_doubt"));
    }
    if counts.n_failed > 0 {
        lines.push(format!("to try the failed jobs again: promptbatch retry {out}"));
    }
    if counts.n_moderated > 0 {
        lines.push(format!(
            "change the moderated prompts and run the same command, or submit them again as they are: promptbatch retry {out} \
             --only moderated"
        ));
    }
    lines
}

/// Names the command that shows the images. `None` if the run made none, or stopped before its end.
pub(crate) fn gallery(summary: &Summary, out: &Path) -> Option<String> {
    let n_made = summary.counts.n_succeeded.saturating_sub(summary.counts_before.n_succeeded);
    (n_made > 0 && summary.stop.is_none())
        .then(|| format!("to look at the images: promptbatch gallery {}", escape(&out.display().to_string())))
}

/// Formats the jobs whose repetition failed, with the reasons.
fn not_remade(summary: &Summary) -> Vec<String> {
    const SHOWN_MAX: usize = 10;
    let restored = &summary.restored;
    let mut lines: Vec<String> = not_remade_words(restored.len() as u64).map(|words| words + ":").into_iter().collect();
    lines.extend(restored.iter().take(SHOWN_MAX).map(failure));
    let n_more = restored.len().saturating_sub(SHOWN_MAX);
    lines.extend((n_more > 0).then(|| format!("  and {n_more} more: see promptbatch log")));
    lines
}

/// Formats the only line of a quiet run whose jobs have not all their images.
fn failed_quietly(summary: &Summary, out: &Path) -> String {
    let Summary { counts, present, restored, .. } = summary;
    let n = counts.n_jobs() - counts.n_succeeded + present.n_missing;
    let out = escape(&out.display().to_string());
    match not_remade_words(restored.len() as u64) {
        Some(words) if n == 0 => format!("error: {words}; for the reasons: promptbatch log {out} JOB"),
        Some(_) | None => {
            format!("error: {n} of {} have no image; for the reasons: promptbatch status {out}", jobs(counts.n_jobs()))
        }
    }
}

/// Says how many jobs have no other image although they were made again. `None` for none.
fn not_remade_words(n: u64) -> Option<String> {
    let (have, keep) = if n == 1 { ("has", "its image before is") } else { ("have", "their images before are") };
    (n > 0).then(|| format!("{} made again {have} no other image; {keep} current again", jobs(n)))
}

/// Warns about recorded images that are not on the disk, and names the command that fixes it. `None` if no image is
/// missing.
fn missing(present: &PresenceCheck, out: &str) -> Option<String> {
    let PresenceCheck { n_looked, n_missing, is_all } = *present;
    let of = if is_all { format!("{n_looked} images") } else { format!("{n_looked} images checked (a sample)") };
    let are = if n_missing == 1 { "is missing or has" } else { "are missing or have" };
    let words = || format!("{n_missing} of {of} {are} the wrong size: promptbatch verify {out} --repair");
    (n_missing > 0).then(words)
}

/// Warns about images of another size than was asked for. `None` if there are none.
fn other_sizes_words(sizes: &OtherSizes) -> Option<String> {
    let OtherSize { index, asked, received } = sizes.first?;
    let have = if sizes.n == 1 { "1 image has".to_owned() } else { format!("{} images have", sizes.n) };
    Some(format!("note: {have} another size than was asked for, such as {index:06}: {received} instead of {asked}"))
}

/// Names the options that choose jobs, such as `--where and --sample`. Empty if all are chosen.
pub(crate) fn choosing(choice: &JobChoice) -> String {
    let options = [(!choice.conditions.is_empty(), "--where"), (choice.sample.is_some(), "--sample")];
    options.into_iter().filter(|(is_given, _)| *is_given).map(|(_, option)| option).collect::<Vec<_>>().join(" and ")
}

/// Formats the values that are probably meant by a choice too, each on a line of its own.
pub(crate) fn near(chosen: &Chosen) -> String {
    chosen.near.iter().fold(String::new(), |text, near| text + &format!("\nnote: {near}"))
}

/// Formats a number of jobs: `1 job`, `12 jobs`.
pub(crate) fn jobs(n: u64) -> String {
    if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") }
}

/// Formats the numbers of jobs by status, such as `12 of 12 succeeded`.
pub(crate) fn standing(counts: &StatusCounts) -> String {
    let StatusCounts { n_pending, n_in_doubt, n_running, n_succeeded, n_moderated, n_failed } = *counts;
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

/// Lists incidents that cost something, or may have. `None` if there are none.
pub(crate) fn noted(incidents: &RunStats) -> Option<String> {
    let mut words = Vec::new();
    if incidents.n_in_doubt > 0 {
        let fates = [
            (incidents.n_doubts_resubmitted(), "submitted again"),
            (incidents.n_doubts_held, "not settled"),
            (incidents.n_doubts_failed, "failed"),
        ];
        let fates: Vec<_> = fates.into_iter().filter(|(n, _)| *n > 0).map(|(n, fate)| format!("{n} {fate}")).collect();
        let (n, were) =
            (incidents.n_in_doubt, if incidents.n_in_doubt == 1 { "submission was" } else { "submissions were" });
        words.push(format!("{n} {were} in doubt, as the response was lost: {}", fates.join(", ")));
    }
    if incidents.n_lost > 0 {
        let (n, were) = (incidents.n_lost, if incidents.n_lost == 1 { "task was" } else { "tasks were" });
        words.push(format!("{n} {were} lost or failed at the provider"));
    }
    (!words.is_empty()).then(|| format!("note: {}", words.join("; ")))
}

/// Formats a failed job with its reason.
fn failure(record: &JobRecord) -> String {
    let prompt = excerpt(&record.job.request.prompt, PROMPT_CHARS_MAX);
    let reason = record.state.last_fault.as_ref().map_or_else(String::new, ToString::to_string);
    let provider = record.job.request.provider.as_ref();
    let provider = provider.map_or_else(String::new, |name| format!(" ({})", excerpt(name, PROMPT_CHARS_MAX)));
    format!("  {:06} {prompt}{provider}: {}", record.job.index, excerpt(&reason, REASON_CHARS_MAX))
}

/// Formats the listed failed jobs, and the number of further ones.
pub(crate) fn failed(failures: &[JobRecord], counts: &StatusCounts) -> Vec<String> {
    let mut lines: Vec<String> = failures.iter().map(failure).collect();
    let n_more = counts.n_without_image().saturating_sub(failures.len() as u64);
    if n_more > 0 {
        lines.push(format!("  and {n_more} more: see the column `error` in results.csv"));
    }
    lines
}

/// Longest plausible wait for a daily quota, which resets within a day. A longer wait means that one of the two clocks
/// is wrong.
const RESET_MAX: Duration = Duration::from_secs(25 * 3600);

/// Formats when to run again, according to the provider. A time that is implausible on this machine's clock is left
/// out.
fn come_back(resets_at: Timestamp, ended_at: Timestamp) -> String {
    let wait = resets_at.since(ended_at);
    if wait.is_zero() || wait > RESET_MAX {
        return "; come back tomorrow (the clocks of the provider and of this machine disagree)".to_owned();
    }
    format!("; come back at {}{}, in {}", rfc3339(resets_at), beside(resets_at), span(wait))
}

/// Formats why a run stopped before its end, and when to run again, if known.
pub(crate) fn stopped(stop: &StopReason, summary: &Summary) -> String {
    let Summary { ended_at, counts, counts_before, n_outstanding, .. } = summary;
    match stop {
        StopReason::Interrupted(_) => "stopped: interrupted".to_owned(),
        StopReason::Unauthorized(fault) => format!("stopped: {}", escape(&fault.message)),
        StopReason::Refused(fault, jobs) => refused_words(fault, jobs, counts),
        StopReason::Quota(fault) => {
            let when = fault.kind.resets_at().map_or_else(String::new, |resets_at| come_back(resets_at, *ended_at));
            format!("stopped: {}{when}", escape(&fault.message))
        }
        StopReason::Unreachable(stage, fault) => {
            let doing = match stage {
                Stage::Submit => "no submission got through",
                Stage::Poll | Stage::Task => "no poll was answered",
                Stage::Download => "no image could be downloaded",
            };
            format!("stopped: {doing} for too long (--max-outage): {}", escape(&fault.message))
        }
        StopReason::Disk => "stopped: the images could not be written".to_owned(),
        StopReason::Failures(n) => format!("stopped: {} failed (--max-failures)", jobs(*n)),
        StopReason::Cost(capped) => capped_words(capped),
        StopReason::Duration(max) => format!("stopped: the time is up (--max-duration {})", span(*max)),
        StopReason::Elsewhere(why) => format!("stopped: another worker of this run stopped it: {}", escape(why)),
        StopReason::Limit(_) => {
            let n_done = counts_before.n_unfinished().saturating_sub(counts.n_unfinished());
            // Nothing is left of a choice that is done.
            let next = if summary.n_not_chosen < *n_outstanding {
                "run the same command for more"
            } else {
                "choose others with --where or --sample, or leave these options out for all"
            };
            format!("this part is done: {} done, {n_outstanding} outstanding; {next}", jobs(n_done))
        }
    }
}

/// Returns whether an API has read the request and refuses what it says. The address and the token are then right.
fn is_about_request(fault: &Fault) -> bool {
    fault.kind == FaultKind::InvalidRequest
        && [400, 422].iter().any(|status| {
            fault.message.contains(&format!("({status})")) || fault.message.contains(&format!("({status}, "))
        })
}

/// Formats the refusal of every submission: by whom it was met, and what to do.
fn refused_words(fault: &Fault, jobs: &[u64], counts: &StatusCounts) -> String {
    const NAMED_MAX: usize = 5;
    let named: Vec<String> = jobs.iter().take(NAMED_MAX).map(u64::to_string).collect();
    let more = if jobs.len() > NAMED_MAX { ", ..." } else { "" };
    let which = match jobs.len() {
        0 => String::new(),
        1 => format!(" (job {})", named.join("")),
        _ => format!(" (jobs {}{more})", named.join(", ")),
    };
    let words = escape(&fault.message);
    let check = if words.contains("--base-url") {
        ""
    } else if is_about_request(fault) && counts.n_succeeded > 0 {
        "; others were accepted: correct what the API names in these jobs, or give them `skip`, and run again"
    } else if is_about_request(fault) {
        "; correct what the API names, and run again"
    } else {
        "; check the address (--base-url), the model and the token"
    };
    format!("stopped: every submission is refused{which}: {words}{check}")
}

/// Formats where the limit on the cost stopped a run.
fn capped_words(capped: &CostLimitReached) -> String {
    let CostLimitReached { cost, next, max, unit } = capped;
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
