//! Progress on a terminal: one calm block that is drawn over itself, with what is worth a line printed above it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::counts::{Counts, Pace};
use crate::model::event::Event;
use crate::model::time::Moment;
use crate::report::silence::Silence;
use crate::report::tally::Tally;
use crate::report::{Reporter, words};

/// The bar and its numbers, a line on speed and standing that is cut to the terminal's width, and a line for a hold while there is
/// one. `wide_` is what indicatif fits to the terminal.
const TEMPLATE: &str = "{wide_bar:.green/dim} {pos}/{len}\n{wide_msg}\n{prefix:.yellow}";

/// Draws on a terminal.
pub struct Bars {
    bar: ProgressBar,
    tally: Tally,
    silence: Silence,
    is_verbose: bool,
}

impl Bars {
    /// A bar on standard error for a run that starts with these counts; none where nothing can be drawn, such as in a pipe or on a
    /// terminal that cannot move its cursor. If verbose, every acceptance and setback gets a line too.
    pub fn stderr(start: &Counts, is_verbose: bool) -> Option<Self> {
        let target = ProgressDrawTarget::stderr();
        (!target.is_hidden()).then(|| Self::on(target, start, is_verbose))
    }

    /// The same, drawn wherever one likes.
    pub fn on(target: ProgressDrawTarget, start: &Counts, is_verbose: bool) -> Self {
        let tally = Tally::new(start);
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is well formed").progress_chars("━╸─");
        let bar = ProgressBar::with_draw_target(Some(tally.n_jobs()), target);
        bar.set_style(style);
        Self { bar, tally, silence: Silence::default(), is_verbose }
    }
}

/// Prints lines above a bar, from anywhere, without breaking it.
#[derive(Clone, Debug)]
pub struct Above(ProgressBar);

impl Above {
    /// Prints a line.
    pub fn line(&self, line: &str) {
        self.0.println(line);
    }
}

impl Bars {
    /// A way to print above this bar.
    pub fn above(&self) -> Above {
        Above(self.bar.clone())
    }
}

impl Reporter for Bars {
    fn show(&mut self, now: Moment, events: &[Event], pace: &Pace) {
        self.tally.add(now, events);
        for line in events.iter().filter_map(|event| words::event(event, self.is_verbose)) {
            self.bar.println(line);
        }
        if let Some(line) = self.silence.line(events, pace) {
            self.bar.println(line);
        }
        let mut parts = words::speed(&self.tally, now, pace);
        parts.extend(words::standing(&self.tally, pace));
        self.bar.set_position(self.tally.n_done());
        self.bar.set_prefix(words::hold(now, pace).unwrap_or_default());
        self.bar.set_message(parts.join(", "));
    }

    /// The block goes, as its numbers are stale from now on; the lines printed above it stay.
    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::model::outcome::FaultKind;
    use crate::report::fixtures::{accepted, at, failed, in_flight, pending, succeeded, throttled};

    /// A terminal as far as indicatif needs one: it wraps at its width, and what is written over something replaces it.
    #[derive(Clone, Debug)]
    struct Screen {
        width: u16,
        cells: Arc<Mutex<Cells>>,
    }

    #[derive(Debug, Default)]
    struct Cells {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Cells {
        fn step(&mut self, down: isize, right: isize) {
            self.row = self.row.saturating_add_signed(down);
            self.column = self.column.saturating_add_signed(right);
        }

        /// The row of the cursor, as long as its column needs.
        fn here(&mut self) -> &mut Vec<char> {
            let n_rows = self.rows.len().max(self.row + 1);
            self.rows.resize(n_rows, vec![]);
            let row = &mut self.rows[self.row];
            row.resize(row.len().max(self.column + 1), ' ');
            row
        }

        fn write(&mut self, text: &str, width: usize) {
            for c in text.chars() {
                match c {
                    '\r' => self.column = 0,
                    '\n' => (self.row, self.column) = (self.row + 1, 0),
                    _ => {
                        if self.column == width {
                            (self.row, self.column) = (self.row + 1, 0);
                        }
                        let column = self.column;
                        self.here()[column] = c;
                        self.column += 1;
                    }
                }
            }
        }
    }

    impl Screen {
        fn new(width: u16) -> Self {
            Self { width, cells: Arc::default() }
        }

        /// What can be read on it, line by line.
        fn text(&self) -> String {
            let rows = self.cells.lock().unwrap().rows.clone();
            let lines: Vec<_> = rows.into_iter().map(|row| String::from_iter(row).trim_end().to_owned()).collect();
            lines.join("\n").trim_end().to_owned()
        }

        #[expect(clippy::unnecessary_wraps, reason = "it is what every method of the trait returns")]
        fn change(&self, change: impl FnOnce(&mut Cells)) -> io::Result<()> {
            change(&mut self.cells.lock().unwrap());
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.width
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.change(|cells| cells.step(-n.cast_signed(), 0))
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.change(|cells| cells.step(n.cast_signed(), 0))
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.change(|cells| cells.step(0, n.cast_signed()))
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.change(|cells| cells.step(0, -n.cast_signed()))
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.change(|cells| cells.write(&format!("{text}\n"), self.width.into()))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.change(|cells| cells.write(text, self.width.into()))
        }

        fn clear_line(&self) -> io::Result<()> {
            self.change(|cells| {
                cells.column = 0;
                cells.here().clear();
            })
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A run of 1,000 jobs after a minute at two a second, with one of each kind of trouble, throttled for another 12 s.
    fn minute(width: u16, is_verbose: bool) -> (Bars, Screen) {
        let screen = Screen::new(width);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut bars = Bars::on(target, &pending(1000), is_verbose);
        for sec in 0..59 {
            bars.show(at(f64::from(sec)), &[succeeded(1), succeeded(2)], &in_flight(16));
        }
        let events = [
            accepted(119, "5075521"),
            failed(118, FaultKind::InvalidRequest, "no such model"),
            failed(117, FaultKind::Moderated, "inappropriate content"),
        ];
        bars.show(at(60.0), &events, &Pace { hold: Some(throttled(72.0)), ..in_flight(16) });
        (bars, screen)
    }

    #[test]
    fn a_wide_terminal_shows_it_all() {
        let (mut bars, screen) = minute(80, true);
        insta::assert_snapshot!(screen.text(), @r"
        accepted 000119 task 5075521
        failed 000118 invalid_request: no such model
        failed 000117 moderated: inappropriate content
        ━━━━━━━━╸────────────────────────────────────────────────────────────── 120/1000
        2.0/s, about 7 min left, 1 failed, 1 moderated, 16 in flight
        throttled: next try in 12 s
        ");
        bars.end();
        insta::assert_snapshot!(screen.text(), @r"
        accepted 000119 task 5075521
        failed 000118 invalid_request: no such model
        failed 000117 moderated: inappropriate content
        ");
    }

    #[test]
    fn a_narrow_terminal_shows_what_fits() {
        let (_bars, screen) = minute(40, false);
        insta::assert_snapshot!(screen.text(), @r"
        failed 000118 invalid_request: no such m
        odel
        failed 000117 moderated: inappropriate c
        ontent
        ━━━╸─────────────────────────── 120/1000
        2.0/s, about 7 min left, 1 failed, 1 mod
        throttled: next try in 12 s
        ");
    }

    #[test]
    fn a_hold_disappears_when_it_is_over() {
        let (mut bars, screen) = minute(80, false);
        let n_lines = screen.text().lines().count();
        bars.show(at(72.0), &[], &in_flight(16));
        assert!(!screen.text().contains("throttled"), "{}", screen.text());
        assert_eq!(screen.text().lines().count(), n_lines - 1);
    }

    /// Goal: whatever wraps is overwritten as a whole. Method: look for leftovers at every width.
    #[test]
    fn nothing_is_left_behind_at_any_width() {
        for width in 12..=120 {
            let (mut bars, screen) = minute(width, true);
            bars.end();
            let text: String = screen.text().split_whitespace().collect();
            for once in ["accepted000119", "failed000118"] {
                assert_eq!(text.matches(once).count(), 1, "{once} at {width} columns:\n{}", screen.text());
            }
            for gone in ["heldback", "120/1000", "inflight"] {
                assert!(!text.contains(gone), "{gone} at {width} columns:\n{}", screen.text());
            }
        }
    }

    #[test]
    fn a_hidden_bar_is_harmless() {
        let mut bars = Bars::on(ProgressDrawTarget::hidden(), &pending(9), true);
        bars.show(at(0.0), &[succeeded(1)], &in_flight(1));
        bars.end();
    }
}
