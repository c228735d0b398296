//! Text for durations, rates, operations and events, identical on a terminal and in a log.

use std::time::Duration;

use crate::model::escape::excerpt;
use crate::model::event::{Event, EventKind};
use crate::model::outcome::{Fault, Outcome};
use crate::model::progress::Operation;
use crate::report::progress_totals::ProgressTotals;

/// Maximum number of characters of a task id that are shown: users copy it.
const TASK_CHARS_MAX: usize = 160;

/// Formats a duration to about two digits: `95 s`, `7 min`, `1 h 20 min`, `2 d 3 h`. A fraction of a second counts as
/// one second.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs().saturating_add((span.subsec_nanos() > 0).into());
    let mins = secs.saturating_add(30) / 60;
    let hours = (mins + 30) / 60;
    match (secs, mins) {
        (..120, _) => format!("{secs} s"),
        (_, ..60) => format!("{mins} min"),
        (_, ..1440) => with_rest(mins / 60, "h", mins % 60, "min"),
        _ => with_rest(hours / 24, "d", hours % 24, "h"),
    }
}

fn with_rest(n: u64, unit: &str, n_rest: u64, unit_rest: &str) -> String {
    match n_rest {
        0 => format!("{n} {unit}"),
        _ => format!("{n} {unit} {n_rest} {unit_rest}"),
    }
}

/// Formats a rate in the unit that reads best: `2.1/s`, `30/min`, `4.0/h`.
pub(crate) fn rate(per_second: f64) -> String {
    let (count, unit) = match per_second {
        1.0.. => (per_second, "s"),
        _ if per_second * 60.0 >= 1.0 => (per_second * 60.0, "min"),
        _ => (per_second * 3600.0, "h"),
    };
    format!("{}/{unit}", short(count))
}

/// Formats a number to at least two digits.
fn short(count: f64) -> String {
    let decimals = usize::from(count < 9.95);
    format!("{count:.decimals$}")
}

/// Returns the text that names an operation.
pub(crate) fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Check => "checking the manifest",
        Operation::Compare => "comparing the manifest",
        Operation::Import => "importing the manifest",
        Operation::Sort => "sorting the jobs",
        Operation::Results => "writing results.csv",
        Operation::Verify => "checking images",
        Operation::Untracked => "looking for stray files",
        Operation::Gallery => "writing gallery.html",
        Operation::Thumbnails => "making thumbnails",
        Operation::Export => "exporting images",
    }
}

/// Formats the progress of an operation, with the total if known: `348000/1000000`, `39/112 MB`. Returns an empty
/// string if nothing is counted.
pub(crate) fn progress_text(operation: Operation, n_done: u64, n_total: Option<u64>) -> String {
    if n_done == 0 && n_total.is_none() {
        return String::new();
    }
    // The file may grow while it is read.
    let n_total = n_total.map(|n_total| n_total.max(n_done));
    let (one, unit) = unit(operation, float(n_total.unwrap_or(n_done)));
    let amount = |n: u64| if one > 1.0 { short(float(n) / one) } else { n.to_string() };
    let of = n_total.map_or_else(String::new, |n_total| format!("/{}", amount(n_total)));
    format!("{}{of}{unit}", amount(n_done))
}

/// Formats the average rate of an operation, and the time left: `56 MB/s`, `about 2 s left`. Empty if no rate is known.
pub(crate) fn operation_speed(
    operation: Operation,
    n_done: u64,
    n_total: Option<u64>,
    elapsed: Duration,
) -> Vec<String> {
    let per_second = float(n_done) / elapsed.as_secs_f64();
    if !per_second.is_normal() {
        return vec![];
    }
    let (one, unit) = unit(operation, per_second);
    let rate = if one > 1.0 { format!("{}{unit}/s", short(per_second / one)) } else { rate(per_second) };
    let n_left = n_total.unwrap_or(0).saturating_sub(n_done);
    let left = Duration::try_from_secs_f64(float(n_left) / per_second).ok().filter(|left| !left.is_zero());
    std::iter::once(rate).chain(left.map(|left| format!("about {} left", span(left)))).collect()
}

/// Returns the unit in which this amount of an operation reads best: its size and its name.
fn unit(operation: Operation, n: f64) -> (f64, &'static str) {
    match operation {
        Operation::Check if n < 1e6 => (1e3, " kB"),
        Operation::Check => (1e6, " MB"),
        Operation::Compare
        | Operation::Import
        | Operation::Sort
        | Operation::Results
        | Operation::Verify
        | Operation::Untracked
        | Operation::Gallery
        | Operation::Thumbnails
        | Operation::Export => (1.0, ""),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no text shows the last digit")]
fn float(n: u64) -> f64 {
    n as f64
}

/// Formats the number of ended jobs: `120/1000 done`.
pub(crate) fn done(totals: &ProgressTotals) -> String {
    format!("{}/{} done", totals.n_done(), totals.n_jobs())
}

/// Formats an event as a line. A failure always gets one, an acceptance or a setback only if `is_verbose`. All other
/// events return `None`.
pub(crate) fn event(event: &Event, is_verbose: bool) -> Option<String> {
    let index = event.index;
    match &event.kind {
        EventKind::Finished(Outcome::Failed(fault)) => Some(format!("failed {index:06} {}", words(fault))),
        EventKind::Setback(stage, fault) if is_verbose => {
            Some(format!("setback {index:06} {} {}", stage.as_str(), words(fault)))
        }
        EventKind::Accepted(task) if is_verbose => {
            Some(format!("accepted {index:06} task {}", excerpt(&task.0, TASK_CHARS_MAX)))
        }
        EventKind::Setback(..)
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::SubmitStarted
        | EventKind::Ready(_)
        | EventKind::Reopened(_)
        | EventKind::Redone(_)
        | EventKind::Restored(_)
        | EventKind::Finished(Outcome::Succeeded(_)) => None,
    }
}

/// Formats the code and the message of a fault, escaped and at most a few lines long.
fn words(fault: &Fault) -> String {
    excerpt(&fault.to_string(), 300)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Stage;
    use crate::model::outcome::FaultKind;
    use crate::report::fixtures::{accepted, failed, succeeded};

    #[test]
    fn spans_read_well() {
        let table = [
            (0.0, "0 s"),
            (0.001, "1 s"),
            (12.0, "12 s"),
            (119.0, "119 s"),
            (119.5, "2 min"),
            (149.0, "2 min"),
            (150.0, "3 min"),
            (420.0, "7 min"),
            (3569.0, "59 min"),
            (3570.0, "1 h"),
            (4800.0, "1 h 20 min"),
            (86_369.0, "23 h 59 min"),
            (86_370.0, "1 d"),
            (183_600.0, "2 d 3 h"),
            (8_640_000.0, "100 d"),
        ];
        for (secs, words) in table {
            assert_eq!(span(Duration::from_secs_f64(secs)), words, "{secs} s");
        }
        assert_eq!(span(Duration::MAX), "213503982334601 d 7 h");
    }

    #[test]
    fn rates_read_well() {
        let table = [
            (2.1, "2.1/s"),
            (1.0, "1.0/s"),
            (9.94, "9.9/s"),
            (9.96, "10/s"),
            (1234.5, "1234/s"),
            (0.999, "60/min"),
            (0.5, "30/min"),
            (1.0 / 60.0, "1.0/min"),
            (0.01, "36/h"),
            (1.0 / 3600.0, "1.0/h"),
        ];
        for (per_second, words) in table {
            assert_eq!(rate(per_second), words, "{per_second} per second");
        }
    }

    #[test]
    fn failures_are_always_worth_a_line_and_the_rest_if_asked_for() {
        let fault = Fault::new(FaultKind::Throttled { retry_after: None }, "slow\ndown");
        let setback = Event { kind: EventKind::Setback(Stage::Submit, fault), ..succeeded(12) };
        let table = [
            (failed(12, FaultKind::Moderated, "no \x1b[31mcats"), true, "failed 000012 moderated: no \\u{1b}[31mcats"),
            (accepted(12, "5075521"), false, "accepted 000012 task 5075521"),
            (setback, false, "setback 000012 submit throttled: slow\\ndown"),
        ];
        for (known, is_always, words) in table {
            assert_eq!(event(&known, true).as_deref(), Some(words));
            assert_eq!(event(&known, false).is_some(), is_always, "{words}");
        }
        assert_eq!(event(&succeeded(1), true), None);
        assert!(event(&failed(1, FaultKind::Transient, &"x".repeat(9999)), false).unwrap().len() < 400);
    }
}
