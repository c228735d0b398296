//! Status of a run in another process, redrawn in place for as long as the user watches.

use indicatif::ProgressBar;

use crate::model::counts::StatusCounts;
use crate::report::terminal::Terminal;
use crate::report::{layout, tty_reporter};

/// Draws the status on a terminal.
pub(crate) struct Watch {
    terminal: Terminal,
    bar: ProgressBar,
}

impl Watch {
    /// Creates an empty block on this terminal.
    pub(crate) fn on(terminal: Terminal) -> Self {
        let bar = tty_reporter::bar(&terminal);
        Self { terminal, bar }
    }

    /// Shows the numbers of jobs by status, and further facts.
    pub(crate) fn show(&self, counts: &StatusCounts, words: &[String]) {
        layout::standing(counts, words, tty_reporter::area(&self.terminal)).draw(&self.bar);
    }

    /// Removes the block.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::Screen;

    #[test]
    fn what_is_watched_is_drawn_over_itself_and_goes() {
        let screen = Screen::new(60);
        let watch = Watch::on(screen.terminal());
        let words =
            |n: u32| [format!("{n} being submitted"), "2.0/s".into(), "about 5 min left".into(), "process 4711".into()];
        let counts =
            |n_succeeded| StatusCounts { n_pending: 1000, n_succeeded, n_failed: 3, ..StatusCounts::default() };
        for (n, n_succeeded) in [(1, 100), (22, 500)] {
            watch.show(&counts(n_succeeded), &words(n));
        }
        insta::assert_snapshot!(screen.text(), @r"
        ━━━━━━━━━━━━━━━╸───────────────────────────── 503/1,503  33%
        500 succeeded · 3 failed
        22 being submitted · 2.0/s · about 5 min left · process 4711
        ");
        watch.end();
        assert_eq!(screen.text(), "");
    }
}
