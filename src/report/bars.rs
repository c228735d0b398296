//! Progress on a terminal: one calm block that is drawn over itself, with what is worth a line printed above it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::model::event::Event;
use crate::model::pace::Pace;
use crate::model::time::Moment;
use crate::report::layout::{Area, block};
use crate::report::silence::Silence;
use crate::report::tally::Tally;
use crate::report::terminal::Terminal;
use crate::report::{Reporter, words};

/// The time between two looks: numbers that change faster cannot be read.
const INTERVAL: Duration = Duration::from_millis(100);

/// Columns of a block on however wide a terminal: a bar across a whole room is hard to read.
const WIDTH_MAX: usize = 100;

/// Draws on a terminal.
pub struct Bars {
    terminal: Terminal,
    bar: ProgressBar,
    above: Above,
    tally: Tally,
    silence: Silence,
    is_verbose: bool,
    next_at: Option<Moment>,
}

impl Bars {
    /// A block for a run that goes on from this tally. If verbose, every acceptance and setback gets a line too.
    pub fn on(terminal: Terminal, above: Above, tally: Tally, is_verbose: bool) -> Self {
        let bar = bar(&terminal);
        above.follow(&terminal, &bar);
        Self { terminal, bar, above, tally, silence: Silence::default(), is_verbose, next_at: None }
    }
}

/// A bar of indicatif whose message is the whole block.
pub(super) fn bar(terminal: &Terminal) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is well formed");
    let bar = ProgressBar::with_draw_target(None, terminal.target());
    bar.set_style(style);
    bar
}

/// Where a block goes on this terminal, at this moment.
pub(super) fn area(terminal: &Terminal) -> Area {
    let width = usize::from(terminal.width()).min(WIDTH_MAX);
    let height = terminal.height().into();
    Area { width, height, is_coloured: terminal.is_coloured() }
}

/// Whether a bar can be drawn on standard error. It cannot in a pipe, nor on a terminal that cannot move its cursor.
pub fn can_be_drawn() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// Prints lines above the bar of this moment, from anywhere, without breaking it.
#[derive(Clone, Debug, Default)]
pub struct Above(Arc<Mutex<Option<(Terminal, ProgressBar)>>>);

impl Above {
    /// Prints a line, if there is a bar.
    #[must_use]
    pub fn line(&self, line: &str) -> bool {
        let block = self.block();
        block.iter().for_each(|(_, bar)| bar.println(line));
        block.is_some()
    }

    /// Takes the bar away, if there is one: the process is about to end.
    pub fn clear(&self) {
        self.block().iter().for_each(|(_, bar)| bar.finish_and_clear());
    }

    /// Begins the block anew below what somebody else has written on the terminal.
    pub fn begin_anew(&self) {
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

impl Reporter for Bars {
    fn show(&mut self, now: Moment, events: &[Event], pace: &Pace) {
        self.tally.add(now, events);
        self.tally.see(pace);
        let mut lines: Vec<_> = events.iter().filter_map(|event| words::event(event, self.is_verbose)).collect();
        lines.extend(self.silence.line(events, pace));
        if !lines.is_empty() {
            self.bar.println(lines.join("\n"));
        }
        if self.next_at.is_none_or(|next_at| now >= next_at) {
            self.next_at = Some(now + INTERVAL);
            self.bar.set_message(block(&self.tally, now, pace, area(&self.terminal)).join("\n"));
        }
    }

    /// The block goes, as its numbers are stale from now on; the lines printed above it stay.
    fn end(&mut self) {
        self.above.leave();
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;
