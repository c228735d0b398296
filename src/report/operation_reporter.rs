//! Progress of long operations before and after a run, on a terminal or in a log: amount, rate and time left.
//!
//! Short operations are not shown.

use std::io::Write;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::model::progress::{Operation, Progress};
use crate::model::time::Moment;
use crate::report::terminal::Terminal;
use crate::report::tty_reporter::{self, PrintAbove};
use crate::report::{format, layout, log_reporter};

/// Time after which an operation is shown. Shorter operations are not mentioned.
const PATIENCE: Duration = Duration::from_millis(700);

/// Interval between two redraws of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// Shows one operation after the other.
pub(crate) struct OperationReporter {
    clock: Box<dyn Fn() -> Moment + Send>,
    face: Face,
    under_way: Option<UnderWay>,
    /// Earliest moment of the next output. `None` means at once.
    next_at: Option<Moment>,
}

enum Face {
    Lines(Box<dyn Write + Send>),
    Bar { terminal: Terminal, above: PrintAbove, bar: Option<ProgressBar> },
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    operation: Operation,
    n_total: Option<u64>,
    began: Moment,
}

impl OperationReporter {
    /// Creates a reporter that writes a line at intervals.
    pub(crate) fn lines(out: Box<dyn Write + Send>, clock: impl Fn() -> Moment + Send + 'static) -> Self {
        Self::new(Face::Lines(out), clock)
    }

    /// Creates a reporter that draws a bar on this terminal for each operation.
    pub(crate) fn bar(terminal: Terminal, above: PrintAbove, clock: impl Fn() -> Moment + Send + 'static) -> Self {
        Self::new(Face::Bar { terminal, above, bar: None }, clock)
    }

    fn new(face: Face, clock: impl Fn() -> Moment + Send + 'static) -> Self {
        Self { clock: Box::new(clock), face, under_way: None, next_at: None }
    }
}

impl Progress for OperationReporter {
    fn begin(&mut self, operation: Operation, n_total: Option<u64>) {
        let began = (self.clock)();
        let before = self.under_way.replace(UnderWay { operation, n_total, began });
        // An operation that follows a shown one is shown at once, because it may have nothing to count.
        if before.is_some_and(|before| before.began + PATIENCE <= began) {
            self.face.clear();
            self.next_at = Some(began + self.face.show(&UnderWay { operation, n_total, began }, began, 0));
        }
    }

    fn at(&mut self, n_done: u64) {
        let Some(under_way) = self.under_way else { return };
        let now = (self.clock)();
        let is_soon = now < under_way.began + PATIENCE || self.next_at.is_some_and(|next_at| now < next_at);
        if !is_soon {
            self.next_at = Some(now + self.face.show(&under_way, now, n_done));
        }
    }

    fn end(&mut self) {
        self.under_way = None;
        self.face.clear();
    }
}

impl Face {
    /// Shows the progress. Returns the time until the next output.
    fn show(&mut self, under_way: &UnderWay, now: Moment, n_done: u64) -> Duration {
        let UnderWay { operation, n_total, began } = *under_way;
        let progress_text = format::progress_text(operation, n_done, n_total);
        let mut speed = format::operation_speed(operation, n_done, n_total, now - began);
        match self {
            Self::Lines(out) => {
                let progress_text = if progress_text.is_empty() { progress_text } else { format!(": {progress_text}") };
                speed.insert(0, format!("{}{progress_text}", format::operation(operation)));
                // Write errors are ignored, as for every log: a broken log must not stop the operation.
                let _ = writeln!(out, "{}", speed.join(", "));
                log_reporter::INTERVAL
            }
            Self::Bar { terminal, above, bar } => {
                let bar = bar.get_or_insert_with(|| {
                    let bar = tty_reporter::bar(terminal);
                    above.follow(terminal, &bar);
                    bar
                });
                // A narrow terminal cuts off the end, and the time left matters more than the rate.
                speed.push(format::operation(operation).to_owned());
                speed.reverse();
                layout::operation(n_done, n_total, &progress_text, &speed, tty_reporter::area(terminal)).draw(bar);
                BAR_INTERVAL
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Lines(_) => (),
            Self::Bar { bar, above, .. } => {
                if let Some(bar) = bar.take() {
                    above.leave();
                    bar.finish_and_clear();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::fixtures::{Log, Screen, at};

    /// Clock that a test sets.
    #[derive(Clone)]
    struct Hand(Arc<Mutex<Moment>>);

    impl Hand {
        fn new() -> Self {
            Self(Arc::new(Mutex::new(at(0.0))))
        }

        fn set(&self, secs: f64) {
            *self.0.lock().unwrap() = at(secs);
        }

        fn clock(&self) -> impl Fn() -> Moment + Send + 'static {
            let hand = self.clone();
            move || *hand.0.lock().unwrap()
        }
    }

    #[test]
    fn a_log_gets_a_line_for_what_takes_long_and_no_more_than_one_every_ten_seconds() {
        let (log, hand) = (Log::default(), Hand::new());
        let mut chores = OperationReporter::lines(Box::new(log.clone()), hand.clock());
        let mut operation = |operation, n_total, from: f64, secs: u32, per_second: u64| {
            hand.set(from);
            chores.begin(operation, n_total);
            for tick in 1..=10 * secs {
                hand.set(from + f64::from(tick) / 10.0);
                chores.at(u64::from(tick) * per_second / 10);
            }
            chores.end();
        };
        operation(Operation::Check, Some(112_000_000), 0.0, 2, 56_000_000);
        operation(Operation::Import, Some(1_000_000), 2.0, 25, 40_000);
        operation(Operation::Results, Some(1_000_000), 27.0, 3, 333_333);
        operation(Operation::Verify, Some(900), 40.0, 20, 45);
        operation(Operation::Check, None, 70.0, 1, 400_000);
        insta::assert_snapshot!(log.text(), @r"
        checking the manifest: 39/112 MB, 56 MB/s, about 2 s left
        importing the manifest: 348000/1000000, 40000/s, about 17 s left
        importing the manifest: 748000/1000000, 40000/s, about 7 s left
        checking images: 31/900, 44/s, about 20 s left
        checking images: 481/900, 45/s, about 10 s left
        checking the manifest: 280 kB, 400 kB/s
        ");
    }

    #[test]
    fn what_is_soon_over_is_not_mentioned() {
        let (log, screen, hand) = (Log::default(), Screen::new(80), Hand::new());
        let bar = OperationReporter::bar(screen.terminal(), PrintAbove::default(), hand.clock());
        for mut chores in [OperationReporter::lines(Box::new(log.clone()), hand.clock()), bar] {
            for from in [0.0, 0.7, 1.4, 2.1] {
                hand.set(from);
                chores.begin(Operation::Compare, Some(9));
                hand.set(from + 0.69);
                chores.at(9);
                chores.end();
            }
        }
        assert_eq!((log.text(), screen.text()), (String::new(), String::new()));
    }

    /// Simulates an import that takes `secs` seconds, followed by a sort.
    fn import_and_sort(chores: &mut OperationReporter, hand: &Hand, secs: f64) {
        hand.set(0.0);
        chores.begin(Operation::Import, Some(900_000));
        hand.set(secs);
        chores.at(900_000);
        chores.begin(Operation::Sort, None);
    }

    #[test]
    fn what_follows_from_a_chore_that_was_mentioned_is_mentioned_at_once() {
        let (log, hand) = (Log::default(), Hand::new());
        let mut chores = OperationReporter::lines(Box::new(log.clone()), hand.clock());
        import_and_sort(&mut chores, &hand, 0.69);
        chores.end();
        assert_eq!(log.text(), "");
        import_and_sort(&mut chores, &hand, 3.0);
        insta::assert_snapshot!(log.text(), @r"
        importing the manifest: 900000/900000, 300000/s
        sorting the jobs
        ");
    }

    #[test]
    fn a_bar_says_what_goes_on_where_nothing_is_counted() {
        let (screen, hand) = (Screen::new(60), Hand::new());
        let mut chores = OperationReporter::bar(screen.terminal(), PrintAbove::default(), hand.clock());
        import_and_sort(&mut chores, &hand, 3.0);
        insta::assert_snapshot!(screen.text(), @r"
        ────────────────────────────────────────────────────────────
        sorting the jobs
        ");
        chores.end();
        assert_eq!(screen.text(), "");
    }

    fn seconds_into(screen: &Screen, secs: f64, n_done: u64) -> OperationReporter {
        let hand = Hand::new();
        let mut chores = OperationReporter::bar(screen.terminal(), PrintAbove::default(), hand.clock());
        chores.begin(Operation::Results, Some(1_000_000));
        hand.set(secs);
        chores.at(n_done);
        chores
    }

    #[test]
    fn a_terminal_shows_a_bar_that_leaves_nothing_behind() {
        let screen = Screen::new(80);
        let mut chores = seconds_into(&screen, 4.0, 400_000);
        insta::assert_snapshot!(screen.text(), @r"
        ━━━━━━━━━━━━━━━━━━━━━━━━━━╸────────────────────────────────────── 400000/1000000
        writing results.csv · about 6 s left · 100000/s
        ");
        chores.end();
        assert_eq!(screen.text(), "");
    }

    #[test]
    fn a_narrow_terminal_shows_what_fits() {
        let screen = Screen::new(40);
        let _steps = seconds_into(&screen, 400.0, 400_000);
        insta::assert_snapshot!(screen.text(), @r"
        ━━━━━━━━━━╸────────────── 400000/1000000
        writing results.csv · about 10 min left
        1000/s
        ");
    }

    /// Goal: a redraw overwrites every wrapped row. Method: look for leftovers at every width.
    #[test]
    fn nothing_is_left_behind_at_any_width() {
        for width in 12..=120 {
            let screen = Screen::new(width);
            seconds_into(&screen, 4.0, 400_000).end();
            assert_eq!(screen.text(), "", "at {width} columns");
        }
    }
}
