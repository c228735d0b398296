//! Running totals and rate of a run: a fold of its events, without any display code.

use std::time::Duration;

use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::{Event, EventKind, Stage};
use crate::model::outcome::{FaultKind, Outcome};
use crate::model::price::Price;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;
use crate::report::eta::{self, MeasuredRate};

/// Number of jobs that must have ended before their measured rate may contradict the expected rate.
const SURE_MIN: u64 = 30;

/// Totals of a run: its jobs by outcome, incidents, rate, time left and cost.
#[derive(Clone, Debug)]
pub struct ProgressTotals {
    n_jobs: u64,
    n_succeeded: u64,
    n_moderated: u64,
    n_failed: u64,
    incidents: RunStats,
    image_bytes: u64,
    last_minute: RateWindow,
    last_hour: RateWindow,
    /// Number of jobs that have ended in this process.
    n_ended: u64,
    /// Largest quota left that the provider ever reported. `None` before the first report.
    quota_most: Option<u64>,
    price: Option<Price>,
    /// Maximum number of jobs that this process works on. `None` means all unfinished jobs.
    jobs_max: Option<u64>,
}

impl ProgressTotals {
    /// Creates the totals from the counts at the start of this process.
    pub fn new(start: &StatusCounts) -> Self {
        Self {
            n_jobs: start.n_jobs(),
            n_succeeded: start.n_succeeded,
            n_moderated: start.n_moderated,
            n_failed: start.n_failed,
            incidents: RunStats::default(),
            image_bytes: 0,
            last_minute: RateWindow::new(Duration::from_secs(1)),
            last_hour: RateWindow::new(Duration::from_mins(1)),
            n_ended: 0,
            quota_most: None,
            price: None,
            jobs_max: None,
        }
    }

    /// Sets the price, whose unit the cost is shown in. `None` means that no cost is shown.
    #[must_use]
    pub fn with_price(self, price: Option<Price>) -> Self {
        Self { price, ..self }
    }

    /// Sets the maximum number of jobs that this process works on. `None` means all unfinished jobs.
    #[must_use]
    pub fn with_jobs_max(self, jobs_max: Option<u64>) -> Self {
        Self { jobs_max, ..self }
    }

    /// Adds the events up to `now`. Without events, the call records only that time has passed.
    pub fn add(&mut self, now: Moment, events: &[Event]) {
        let n_done = self.n_done();
        for event in events {
            self.add_one(&event.kind);
        }
        let n_finished = self.n_done() - n_done;
        // The first tasks need a full task duration to end, so the rate is measured from the first end.
        if self.n_ended > 0 {
            self.last_minute.add(now, n_finished);
            self.last_hour.add(now, n_finished);
        } else if n_finished > 0 {
            self.last_minute.add(now, 0);
            self.last_hour.add(now, 0);
        }
        self.n_ended += n_finished;
    }

    /// Records how much quota is left.
    pub fn see(&mut self, pace: &RunSnapshot) {
        self.quota_most = self.quota_most.max(pace.quota_left);
    }

    /// Counts as [`JobState`](crate::model::phase::JobState) does, so that these totals agree with the ledger.
    fn add_one(&mut self, kind: &EventKind) {
        match kind {
            EventKind::SubmitStarted => self.incidents.n_submits += 1,
            EventKind::Setback(Stage::Submit, fault) => {
                self.incidents.n_in_doubt += u64::from(fault.kind.leaves_doubt());
            }
            EventKind::Setback(Stage::Task, _) => self.incidents.n_lost += 1,
            EventKind::Setback(Stage::Poll | Stage::Download, _)
            | EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_) => (),
            EventKind::Finished(Outcome::Succeeded(artifacts)) => {
                self.n_succeeded += 1;
                self.image_bytes += artifacts.iter().map(|artifact| artifact.bytes).sum::<u64>();
            }
            EventKind::Finished(Outcome::Failed(fault)) if fault.kind == FaultKind::Moderated => self.n_moderated += 1,
            EventKind::Finished(Outcome::Failed(_)) => self.n_failed += 1,
            // Reopening happens before a run, so the starting counts include it.
            EventKind::Reopened(_) | EventKind::Redone(_) | EventKind::Restored(_) => (),
        }
    }

    /// Returns the number of all jobs of the manifest.
    pub fn n_jobs(&self) -> u64 {
        self.n_jobs
    }

    /// Returns the number of jobs that have ended, with or without an image.
    pub fn n_done(&self) -> u64 {
        self.n_succeeded + self.n_without_image()
    }

    /// Returns the number of jobs whose images are on disk.
    pub fn n_succeeded(&self) -> u64 {
        self.n_succeeded
    }

    /// Returns the number of jobs refused for their content (moderated).
    pub fn n_moderated(&self) -> u64 {
        self.n_moderated
    }

    /// Returns the number of jobs that ended without an image for any other reason than moderation.
    pub fn n_failed(&self) -> u64 {
        self.n_failed
    }

    /// Returns the number of jobs that ended without an image, for any reason.
    pub fn n_without_image(&self) -> u64 {
        self.n_moderated + self.n_failed
    }

    /// Returns the incidents of this process: submissions, lost answers and lost tasks.
    pub fn incidents(&self) -> RunStats {
        self.incidents
    }

    /// Returns the number of jobs that have not ended, limited to those that this process works on.
    pub fn n_left(&self) -> u64 {
        let n_left = self.n_jobs.saturating_sub(self.n_done());
        self.jobs_max.map_or(n_left, |max| n_left.min(max.saturating_sub(self.n_ended)))
    }

    /// Returns the number of jobs left that are neither in flight nor downloading.
    pub fn n_to_submit(&self, pace: &RunSnapshot) -> u64 {
        let n_there = u64::try_from(pace.n_in_flight() + pace.n_downloading).unwrap_or(u64::MAX);
        self.n_left().saturating_sub(n_there)
    }

    /// Formats the cost so far in the unit of the price: the full text, then a shorter one. `None` if the price or the
    /// cost is unknown.
    pub fn cost(&self, pace: &RunSnapshot) -> Option<(String, String)> {
        let (unit, cost) = (&self.price.as_ref()?.unit, pace.cost?);
        Some((cost.words(unit), cost.short_words(unit)))
    }

    /// Returns the size in bytes of the images that this process has saved.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// Returns the jobs finished per second over the last minute. If that minute saw too few, the last hour counts.
    /// `None` means that too little was measured.
    pub fn rate(&self) -> Option<f64> {
        let minute = self.last_minute.rate(5, Duration::from_secs(5));
        minute.or_else(|| self.last_hour.rate(2, Duration::from_mins(1)))
    }

    /// Estimates the time until the last job ends. `None` if no estimate is possible.
    pub fn time_left(&self, now: Moment, pace: &RunSnapshot) -> Option<Duration> {
        let measured = self.rate().map(|per_second| MeasuredRate { per_second, is_sure: self.n_ended >= SURE_MIN });
        eta::time_left(now, self.n_left(), pace, measured, self.quota_most)
    }
}

/// Number of equal time spans that a window covers.
const BUCKETS: u8 = 60;

/// Sliding window over recently finished jobs: a ring of counters, one for each equal time span.
#[derive(Clone, Debug)]
struct RateWindow {
    span_micros: i64,
    counts: [u64; BUCKETS as usize],
    /// First and last recorded moment, in microseconds. `None` before the first one.
    seen: Option<(i64, i64)>,
}

impl RateWindow {
    fn new(span: Duration) -> Self {
        let span_micros = i64::try_from(span.as_micros()).expect("a span of minutes fits");
        Self { span_micros, counts: [0; BUCKETS as usize], seen: None }
    }

    /// Returns the index of the span, counted from the origin of time, that contains a moment.
    fn span_of(&self, micros: i64) -> i64 {
        micros.div_euclid(self.span_micros)
    }

    fn bucket(&mut self, span: i64) -> &mut u64 {
        let at = usize::try_from(span.rem_euclid(i64::from(BUCKETS))).expect("a remainder of 60 fits");
        &mut self.counts[at]
    }

    fn add(&mut self, now: Moment, n: u64) {
        let (first, last) = self.seen.unwrap_or((now.micros(), now.micros()));
        let now = now.micros().max(last);
        let (from, to) = (self.span_of(last) + 1, self.span_of(now));
        for span in from.max(to - i64::from(BUCKETS) + 1)..=to {
            *self.bucket(span) = 0;
        }
        *self.bucket(to) += n;
        self.seen = Some((first, now));
    }

    /// Returns the rate per second over the time that the ring covers. `None` if the ring covers less than `span_min`,
    /// or counted fewer than `n_min`.
    fn rate(&self, n_min: u64, span_min: Duration) -> Option<f64> {
        let (first, last) = self.seen?;
        let oldest = (self.span_of(last) - i64::from(BUCKETS) + 1) * self.span_micros;
        let covered = Duration::from_micros(u64::try_from(last - first.max(oldest)).ok()?);
        let n: u64 = self.counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "no run finishes 2^53 jobs in an hour")]
        let rate = n as f64 / covered.as_secs_f64();
        (n >= n_min && covered >= span_min).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Fault, TaskId};
    use crate::report::fixtures::{accepted, at, event, failed, pending, succeeded};

    fn setback(stage: Stage, kind: FaultKind) -> Event {
        event(1, EventKind::Setback(stage, Fault::new(kind, "words")))
    }

    /// Returns the totals that a table can compare: succeeded, moderated, failed, submits, in doubt, lost, bytes.
    fn numbers(totals: &ProgressTotals) -> [u64; 7] {
        let RunStats { n_submits, n_in_doubt, n_lost, .. } = totals.incidents();
        [
            totals.n_succeeded(),
            totals.n_moderated(),
            totals.n_failed(),
            n_submits,
            n_in_doubt,
            n_lost,
            totals.image_bytes(),
        ]
    }

    #[test]
    fn every_event_counts_once() {
        let table = [
            (event(1, EventKind::SubmitStarted), [0, 0, 0, 1, 0, 0, 0]),
            (accepted(1, "7"), [0; 7]),
            (event(1, EventKind::Ready(vec![])), [0; 7]),
            (setback(Stage::Submit, FaultKind::Transient), [0; 7]),
            (setback(Stage::Submit, FaultKind::InDoubt), [0, 0, 0, 0, 1, 0, 0]),
            (setback(Stage::Submit, FaultKind::Rejected), [0, 0, 0, 0, 1, 0, 0]),
            (setback(Stage::Poll, FaultKind::InDoubt), [0; 7]),
            (setback(Stage::Download, FaultKind::BadOutput), [0; 7]),
            (setback(Stage::Task, FaultKind::TaskLost), [0, 0, 0, 0, 0, 1, 0]),
            (setback(Stage::Task, FaultKind::Transient), [0, 0, 0, 0, 0, 1, 0]),
            (succeeded(1), [1, 0, 0, 0, 0, 0, 1000]),
            (failed(1, FaultKind::Moderated, ""), [0, 1, 0, 0, 0, 0, 0]),
            (failed(1, FaultKind::InvalidRequest, ""), [0, 0, 1, 0, 0, 0, 0]),
            (failed(1, FaultKind::InDoubt, ""), [0, 0, 1, 0, 0, 0, 0]),
        ];
        for (event, expected) in table {
            let mut totals = ProgressTotals::new(&pending(10));
            totals.add(at(0.0), std::slice::from_ref(&event));
            assert_eq!(numbers(&totals), expected, "{event:?}");
        }
    }

    /// Goal: the live totals equal those of the ledger. Method: fold the same events both ways.
    #[test]
    fn incidents_are_those_of_the_jobs_states() {
        let story = [
            event(1, EventKind::SubmitStarted),
            setback(Stage::Submit, FaultKind::InDoubt),
            event(1, EventKind::SubmitStarted),
            event(1, EventKind::Accepted(TaskId("7".into()))),
            setback(Stage::Task, FaultKind::TaskLost),
            event(1, EventKind::SubmitStarted),
            failed(1, FaultKind::InDoubt, "words"),
        ];
        let mut totals = ProgressTotals::new(&pending(1));
        let mut state = crate::model::phase::JobState::default();
        for event in &story {
            totals.add(at(0.0), std::slice::from_ref(event));
            state.apply(event.at, &event.kind);
        }
        let RunStats { n_submits, n_in_doubt, n_lost, .. } = totals.incidents();
        let of_state = [state.n_submits, state.n_in_doubt, state.n_lost];
        assert_eq!([n_submits, n_in_doubt, n_lost], of_state.map(u64::from));
    }

    #[test]
    fn a_resumed_run_goes_on_from_its_counts() {
        let start =
            StatusCounts { n_pending: 5, n_in_doubt: 1, n_running: 2, n_succeeded: 90, n_moderated: 1, n_failed: 1 };
        let mut totals = ProgressTotals::new(&start);
        assert_eq!((totals.n_jobs(), totals.n_done(), totals.n_without_image()), (100, 92, 2));
        // A job accepted in an earlier process adds only its end event.
        totals.add(at(0.0), &[succeeded(1)]);
        assert_eq!((totals.n_done(), totals.n_succeeded()), (93, 91));
        assert_eq!(totals.incidents(), RunStats::default());
    }

    #[test]
    fn what_is_left_of_a_part_is_the_part() {
        let mut totals = ProgressTotals::new(&pending(10)).with_jobs_max(Some(3));
        assert_eq!((totals.n_left(), totals.n_jobs()), (3, 10));
        totals.add(at(0.0), &[succeeded(1), failed(2, FaultKind::Moderated, "")]);
        assert_eq!((totals.n_left(), totals.n_done()), (1, 2));
        let large = ProgressTotals::new(&pending(10)).with_jobs_max(Some(100));
        assert_eq!(large.n_left(), 10);
    }

    /// Returns the totals of 1,000 jobs after `secs` seconds, with `n_finished` jobs finished at each of those seconds.
    fn after(secs: u32, n_finished: impl Fn(u32) -> usize) -> ProgressTotals {
        let mut totals = ProgressTotals::new(&pending(1000));
        for sec in 0..=secs {
            totals.add(at(f64::from(sec)), &vec![succeeded(1); n_finished(sec)]);
        }
        totals
    }

    fn assert_close(rate: Option<f64>, expected: f64) {
        let rate = rate.expect("a rate");
        assert!((rate / expected - 1.0).abs() < 0.1, "{rate} is not about {expected}");
    }

    #[test]
    fn a_rate_is_told_only_when_enough_is_known() {
        assert_eq!(ProgressTotals::new(&pending(9)).rate(), None);
        assert_eq!(after(0, |_| 100).rate(), None, "no time has passed");
        assert_eq!(after(4, |_| 100).rate(), None, "too short");
        assert_eq!(after(30, |_| 0).rate(), None, "nothing has finished");
        assert_eq!(after(30, |sec| usize::from(sec == 9)).rate(), None, "one is no rate");
        assert_close(after(30, |_| 2).rate(), 2.0);
    }

    #[test]
    fn a_rate_follows_the_last_minute() {
        assert_close(after(300, |_| 3).rate(), 3.0);
        assert_close(after(300, |sec| if sec < 200 { 1 } else { 5 }).rate(), 5.0);
        assert_close(after(300, |sec| if sec < 270 { 4 } else { 0 }).rate(), 2.0);
        assert_close(after(3, |_| 0).rate().or(Some(1.0)), 1.0);
    }

    #[test]
    fn slow_jobs_are_measured_over_an_hour() {
        assert_close(after(1200, |sec| usize::from(sec % 100 == 99)).rate(), 0.01);
        assert_close(after(20_000, |sec| usize::from(sec % 100 == 99)).rate(), 0.01);
        assert_eq!(after(8000, |sec| usize::from(sec < 100)).rate(), None, "nothing for an hour is no rate any more");
    }

    #[test]
    fn a_rate_stands_still_while_the_pace_does() {
        let mut totals = ProgressTotals::new(&pending(100_000));
        let mut rates = vec![];
        for tick in 0..2400 {
            totals.add(at(f64::from(tick) / 10.0), &[succeeded(1)]);
            rates.extend(totals.rate());
        }
        let (low, high) = (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
        assert!(low > 9.8 && high < 10.3, "{low} to {high}");
    }

    #[test]
    fn long_silences_and_steps_backwards_are_survived() {
        let mut totals = ProgressTotals::new(&pending(100));
        totals.add(at(1e6), &[succeeded(1)]);
        totals.add(at(0.0), &[succeeded(1)]);
        totals.add(at(1e9), &[succeeded(1)]);
        assert_eq!((totals.n_done(), totals.rate()), (3, None));
    }
}
