//! Progress block on a terminal: redrawn in place, with important events printed above it as lines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};

use crate::model::escape::escape;
use crate::model::event::Event;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;
use crate::report::layout::{Area, block};
use crate::report::outage_notice::OutageNotice;
use crate::report::progress_totals::ProgressTotals;
use crate::report::terminal::Terminal;
use crate::report::{Reporter, format};

/// Interval between two redraws: a reader cannot follow numbers that change faster.
const INTERVAL: Duration = Duration::from_millis(100);

/// Maximum width of the block in columns, on a terminal of any width. A bar across a very wide screen is hard to read.
const WIDTH_MAX: usize = 100;

/// Draws the progress of a run on a terminal.
pub(crate) struct TtyReporter {
    terminal: Terminal,
    bar: ProgressBar,
    above: PrintAbove,
    totals: ProgressTotals,
    notice: OutageNotice,
    is_verbose: bool,
    next_at: Option<Moment>,
}

impl TtyReporter {
    /// Creates the block of a run that continues from `totals`. If `is_verbose`, every acceptance and every setback also
    /// gets a line.
    pub(crate) fn on(terminal: Terminal, above: PrintAbove, totals: ProgressTotals, is_verbose: bool) -> Self {
        let bar = bar(&terminal);
        above.follow(&terminal, &bar);
        Self { terminal, bar, above, totals, notice: OutageNotice::default(), is_verbose, next_at: None }
    }
}

/// Creates a bar on which a [`Block`](crate::report::layout::Block) is drawn.
pub(super) fn bar(terminal: &Terminal) -> ProgressBar {
    ProgressBar::with_draw_target(None, terminal.target())
}

/// Returns the present size and colour setting for a block on this terminal.
pub(super) fn area(terminal: &Terminal) -> Area {
    let width = usize::from(terminal.width()).min(WIDTH_MAX);
    let height = terminal.height().into();
    Area { width, height, is_coloured: terminal.is_coloured() }
}

/// Reports whether a bar can be drawn on standard error. Drawing is impossible in a pipe, or on a terminal that cannot
/// move its cursor.
pub(crate) fn can_be_drawn() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// Prints lines above the current bar, from any thread, without breaking the bar.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrintAbove(Arc<Mutex<Option<(Terminal, ProgressBar)>>>);

impl PrintAbove {
    /// Prints a line above the bar. Returns `false`, and prints nothing, if no bar is drawn.
    #[must_use]
    pub(crate) fn line(&self, line: &str) -> bool {
        let block = self.block();
        block.iter().for_each(|(_, bar)| bar.println(line));
        block.is_some()
    }

    /// Removes the bar, if there is one, because the process is about to end.
    pub(crate) fn clear(&self) {
        self.block().iter().for_each(|(_, bar)| bar.finish_and_clear());
    }

    /// Restarts the block below text that another process wrote on the terminal.
    pub(crate) fn begin_anew(&self) {
        self.block().iter().for_each(|(terminal, _)| terminal.forget());
    }

    pub(super) fn follow(&self, terminal: &Terminal, bar: &ProgressBar) {
        *self.block() = Some((terminal.clone(), bar.clone()));
    }

    pub(super) fn leave(&self) {
        *self.block() = None;
    }

    fn block(&self) -> MutexGuard<'_, Option<(Terminal, ProgressBar)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for TtyReporter {
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot) {
        self.totals.add(now, events);
        self.totals.see(pace);
        let mut lines: Vec<_> = events.iter().filter_map(|event| format::event(event, self.is_verbose)).collect();
        lines.extend(self.notice.line(events, pace));
        if !lines.is_empty() {
            self.bar.println(lines.join("\n"));
        }
        if self.next_at.is_none_or(|next_at| now >= next_at) {
            self.next_at = Some(now + INTERVAL);
            block(&self.totals, now, pace, area(&self.terminal)).draw(&self.bar);
        }
    }

    fn note(&mut self, _now: Moment, text: &str) {
        self.bar.println(escape(text));
    }

    /// Removes the block, because its numbers become stale. The lines printed above it stay.
    fn end(&mut self) {
        self.above.leave();
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;
