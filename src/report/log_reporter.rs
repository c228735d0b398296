//! Progress for logs and pipes: one plain text line at intervals.

use std::io::Write;
use std::time::Duration;

use crate::model::escape::escape;
use crate::model::event::Event;
use crate::model::snapshot::{PauseReason, RunSnapshot, StopCode};
use crate::model::time::Moment;
use crate::report::facts::Fact;
use crate::report::outage_notice::OutageNotice;
use crate::report::progress_totals::ProgressTotals;
use crate::report::{Reporter, facts, format};

/// Interval between two progress lines.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Minimum length of a hold that gets its own line.
const HOLD_MIN: Duration = Duration::from_secs(2);

/// Writes progress lines to a log. Write errors are ignored, because a broken log must not stop paid work.
pub struct LogReporter {
    out: Box<dyn Write + Send>,
    totals: ProgressTotals,
    notice: OutageNotice,
    is_verbose: bool,
    next_at: Option<Moment>,
    last_pace: Option<RunSnapshot>,
    told: ReportedState,
}

/// State whose changes are printed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ReportedState {
    hold: Option<PauseReason>,
    stopping: Option<StopCode>,
}

impl LogReporter {
    /// Creates a reporter for a run that continues from `totals`. If `is_verbose`, every acceptance and every setback
    /// also gets a line.
    pub fn new(out: Box<dyn Write + Send>, totals: ProgressTotals, is_verbose: bool) -> Self {
        let (notice, told) = (OutageNotice::default(), ReportedState::default());
        Self { out, totals, notice, is_verbose, next_at: None, last_pace: None, told }
    }

    /// Formats the present progress as one line.
    fn progress(&self, now: Moment, pace: &RunSnapshot) -> String {
        let mut parts = self.standing();
        let long = |said: Fact| said.long;
        parts.extend(facts::flight(pace).into_iter().chain(facts::speed(&self.totals, pace)).map(long));
        parts.extend(self.totals.time_left(now, pace).map(|left| format!("about {} left", format::span(left))));
        parts.extend(facts::hold(now, pace).map(long));
        parts.join(", ")
    }

    fn standing(&self) -> Vec<String> {
        let done = format::done(&self.totals);
        std::iter::once(done).chain(facts::shortfall(&self.totals).map(|said| said.long)).collect()
    }

    /// Returns a line when a hold or a stop begins, and when submissions resume.
    fn change(&self, now: Moment, pace: &RunSnapshot) -> Option<String> {
        let (before, after) = (self.told, self.state(now, pace));
        if before == after || pace.n_in_flight() + pace.n_downloading == 0 && after.stopping.is_some() {
            return None;
        }
        match (after.stopping, after.hold) {
            (Some(stopping), _) => Some(facts::stop(stopping, pace).long),
            (None, Some(_)) => facts::hold(now, pace).map(|said| said.long),
            (None, None) => Some("submitting again".to_owned()),
        }
    }

    /// Returns the state to print. A printed hold counts until it is over, even when less than `HOLD_MIN` is left.
    fn state(&self, now: Moment, pace: &RunSnapshot) -> ReportedState {
        let hold = pace.hold.filter(|hold| {
            let is_told = self.told.hold == Some(hold.why);
            hold.until > now && (is_told || hold.until - now >= HOLD_MIN)
        });
        ReportedState { hold: hold.map(|hold| hold.why), stopping: pace.stopping }
    }

    fn write(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            let _ = self.out.write_all((lines.join("\n") + "\n").as_bytes());
            let _ = self.out.flush();
        }
    }
}

impl Reporter for LogReporter {
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot) {
        self.totals.add(now, events);
        self.totals.see(pace);
        self.last_pace = Some(*pace);
        let mut lines: Vec<_> = events.iter().filter_map(|event| format::event(event, self.is_verbose)).collect();
        lines.extend(self.notice.line(events, pace));
        if self.next_at.is_none_or(|next_at| now >= next_at) {
            self.next_at = Some(now + INTERVAL);
            lines.push(self.progress(now, pace));
        } else {
            lines.extend(self.change(now, pace));
        }
        self.told = self.state(now, pace);
        self.write(&lines);
    }

    fn note(&mut self, _now: Moment, text: &str) {
        self.write(&[escape(text)]);
    }

    fn end(&mut self) {
        if let Some(pace) = self.last_pace {
            let mut parts = self.standing();
            parts.extend(facts::flight(&pace).into_iter().map(|said| said.short));
            self.write(&[parts.join(", ")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::model::outcome::FaultKind;
    use crate::report::fixtures::{Log, accepted, at, failed, in_flight, succeeded, throttled, totals};

    /// Simulates one minute of a run: two jobs finish every second, and one fails halfway.
    fn minute(is_verbose: bool) -> String {
        let log = Log::default();
        let mut lines = LogReporter::new(Box::new(log.clone()), totals(1000), is_verbose);
        for sec in 0..60_u32 {
            let index = u64::from(sec);
            let mut events = vec![succeeded(index), succeeded(index)];
            if sec == 30 {
                events.push(accepted(31, "5075521"));
                events.push(failed(30, FaultKind::InvalidRequest, "no such model"));
            }
            let hold = (sec == 50).then(|| throttled(62.0));
            lines.show(at(sec.into()), &events, &RunSnapshot { hold, ..in_flight(16) });
            lines.show(at(f64::from(sec) + 0.5), &[], &in_flight(16));
        }
        lines.end();
        log.text()
    }

    #[test]
    fn a_log_gets_a_line_every_ten_seconds_and_every_failure() {
        insta::assert_snapshot!(minute(false), @r"
        2/1000 done, 16 in flight
        22/1000 done, 16 in flight, 2.0/s, about 8 min left
        42/1000 done, 16 in flight, 2.0/s, about 8 min left
        failed 000030 invalid_request: no such model
        63/1000 done, 1 failed, 16 in flight, 2.0/s, about 8 min left
        83/1000 done, 1 failed, 16 in flight, 2.0/s, about 7 min left
        103/1000 done, 1 failed, 16 in flight, 2.0/s, about 7 min left, throttled: next submission in 12 s
        submitting again
        121/1000 done, 1 failed, 16 in flight
        ");
    }

    #[test]
    fn a_verbose_log_gets_acceptances_too() {
        let text = minute(true);
        assert!(
            text.contains("\naccepted 000031 task 5075521\nfailed 000030 invalid_request: no such model\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), minute(false).lines().count() + 1);
    }

    #[test]
    fn a_run_that_never_began_is_not_mentioned() {
        let log = Log::default();
        LogReporter::new(Box::new(log.clone()), totals(9), true).end();
        assert_eq!(log.text(), "");
    }

    #[test]
    fn a_log_that_is_full_does_not_stop_the_run() {
        struct FullDisk;
        impl Write for FullDisk {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let mut lines = LogReporter::new(Box::new(FullDisk), totals(9), true);
        lines.show(at(0.0), &[succeeded(1)], &in_flight(1));
        lines.end();
    }
}
