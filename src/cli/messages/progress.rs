//! Display of progress: a bar on a terminal, lines elsewhere, JSON, or nothing.

use std::io;

use crate::cli::exit::Exit;
use crate::cli::flags::{Display, ShowArgs};
use crate::cli::output::print_end;
use crate::driver::clock::Clock;
use crate::model::counts::StatusCounts;
use crate::model::price::Price;
use crate::model::progress::{NoProgress, Progress};
use crate::model::snapshot::StopCode;
use crate::report::Reporters;
use crate::report::log_reporter::LogReporter;
use crate::report::operation_reporter::OperationReporter;
use crate::report::progress_totals::ProgressTotals;
use crate::report::stream::{End, JsonLinesReporter, end};
use crate::report::terminal::Terminal;
use crate::report::tty_reporter::{PrintAbove, TtyReporter};
use crate::run::summary::Summary;

/// Creates the reporters of a run that continues from these counts. `jobs_max` limits the jobs to work on. `None` means
/// all.
pub(crate) fn reporters(
    show: &ShowArgs,
    counts: &StatusCounts,
    price: Option<Price>,
    jobs_max: Option<u64>,
    above: &PrintAbove,
) -> Reporters {
    let totals = ProgressTotals::new(counts).with_price(price).with_jobs_max(jobs_max);
    match show.display() {
        Display::Nothing => Reporters::default(),
        Display::Json => Reporters(vec![Box::new(JsonLinesReporter::new(Box::new(io::stderr()), *counts, totals))]),
        Display::Lines => Reporters(vec![Box::new(LogReporter::new(Box::new(io::stderr()), totals, show.verbose))]),
        Display::Bar => {
            Reporters(vec![Box::new(TtyReporter::on(Terminal::stderr(), above.clone(), totals, show.verbose))])
        }
    }
}

/// Writes the last JSON line of a run: its exit code and its summary. `summary` is `None` if the run failed with an
/// error.
pub(crate) fn ended(show: &ShowArgs, exit: Exit, summary: Option<&Summary>) {
    if show.display() != Display::Json {
        return;
    }
    let results = summary.map_or_else(String::new, |summary| summary.results.display().to_string());
    let summary = summary.map(|Summary { stop, elapsed, counts, .. }| End {
        stop: stop.as_ref().map(|stop| StopCode::from(stop).as_str()),
        seconds: elapsed.as_secs_f64(),
        results: &results,
        counts: *counts,
    });
    print_end(&end(Clock::system().now().wall(), exit.code(), summary));
}

/// Creates the display for a long operation that is not a run.
pub(crate) fn operation_progress(display: Display, above: &PrintAbove) -> Box<dyn Progress> {
    let clock = Clock::system();
    let now = move || clock.now();
    match display {
        Display::Nothing | Display::Json => Box::new(NoProgress),
        Display::Lines => Box::new(OperationReporter::lines(Box::new(io::stderr()), now)),
        Display::Bar => Box::new(OperationReporter::bar(Terminal::stderr(), above.clone(), now)),
    }
}
