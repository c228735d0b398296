//! Progress on a terminal: one calm block that is drawn over itself, with what is worth a line printed above it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What a bar is drawn with: done, its tip, and what is left.
pub(super) const BAR_CHARS: &str = "━╸─";

/// Draws on a terminal.
pub struct Bars {
    bar: ProgressBar,
    above: Above,
    tally: Tally,
    silence: Silence,
    is_verbose: bool,
}

impl Bars {
    /// A bar for a run that starts with these counts. If verbose, every acceptance and setback gets a line too.
    pub fn on(target: ProgressDrawTarget, above: Above, start: &Counts, is_verbose: bool) -> Self {
        let tally = Tally::new(start);
        let style =
            ProgressStyle::with_template(TEMPLATE).expect("the template is well formed").progress_chars(BAR_CHARS);
        let bar = ProgressBar::with_draw_target(Some(tally.n_jobs()), target);
        bar.set_style(style);
        above.follow(&bar);
        Self { bar, above, tally, silence: Silence::default(), is_verbose }
    }
}

/// Whether a bar can be drawn on standard error. It cannot in a pipe, nor on a terminal that cannot move its cursor.
pub fn can_be_drawn() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// Prints lines above the bar of this moment, from anywhere, without breaking it.
#[derive(Clone, Debug, Default)]
pub struct Above(Arc<Mutex<Option<ProgressBar>>>);

impl Above {
    /// Prints a line, if there is a bar.
    #[must_use]
    pub fn line(&self, line: &str) -> bool {
        let bar = self.bar();
        bar.iter().for_each(|bar| bar.println(line));
        bar.is_some()
    }

    /// Takes the bar away, if there is one: the process is about to end.
    pub fn clear(&self) {
        self.bar().iter().for_each(ProgressBar::finish_and_clear);
    }

    pub(super) fn follow(&self, bar: &ProgressBar) {
        *self.bar() = Some(bar.clone());
    }

    pub(super) fn leave(&self) {
        *self.bar() = None;
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.above.leave();
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::FaultKind;
    use crate::report::fixtures::{Screen, accepted, at, failed, in_flight, pending, succeeded, throttled};

    /// A run of 1,000 jobs after a minute at two a second, with one of each kind of trouble, throttled for another 12 s.
    fn minute(width: u16, is_verbose: bool) -> (Bars, Screen) {
        let screen = Screen::new(width);
        let mut bars = Bars::on(screen.target(), Above::default(), &pending(1000), is_verbose);
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
    fn a_bar_that_was_taken_away_does_not_come_back() {
        let (screen, above) = (Screen::new(80), Above::default());
        let mut bars = Bars::on(screen.target(), above.clone(), &pending(9), false);
        bars.show(at(0.0), &[succeeded(1)], &in_flight(1));
        assert!(above.line("stopping"));
        assert!(screen.text().contains("1/9"), "{}", screen.text());
        above.clear();
        assert_eq!(screen.text(), "stopping");
        bars.show(at(1.0), &[], &in_flight(1));
        assert_eq!(screen.text(), "stopping");
    }

    #[test]
    fn a_hidden_bar_is_harmless() {
        let mut bars = Bars::on(ProgressDrawTarget::hidden(), Above::default(), &pending(9), true);
        bars.show(at(0.0), &[succeeded(1)], &in_flight(1));
        bars.end();
    }
}
