//! Estimate of the time left in a run, from the allowed rate and the duration of tasks.
//!
//! The measured rate replaces the expected rate only if it is lower, or if nothing else is known.

use std::time::Duration;

use crate::model::snapshot::{PauseReason, RunSnapshot};
use crate::model::time::Moment;

/// Part of the expected rate below which the measured rate counts: a larger deviation is not chance.
const CONTRADICTION: f64 = 0.8;

/// Period of a quota: one day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Measured rate of ended jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct MeasuredRate {
    /// Jobs ended per second.
    pub per_second: f64,
    /// Whether enough jobs have ended for a reliable rate.
    pub is_sure: bool,
}

/// Estimates the time until the last of `n_left` jobs has ended. `measured` is the observed rate of ended jobs. Returns
/// `None` if nothing is known.
///
/// The estimate is a sum. Waits come first: a hold, and, with a used-up quota, one day for every `quota_most` jobs.
/// `quota_most` is the largest quota left that was seen. Then the jobs still to be submitted leave at the expected
/// rate. The slowest tasks come last.
pub(super) fn time_left(
    now: Moment,
    n_left: u64,
    pace: &RunSnapshot,
    measured: Option<MeasuredRate>,
    quota_most: Option<u64>,
) -> Option<Duration> {
    let n_there = u64::try_from(pace.n_in_flight() + pace.n_downloading).unwrap_or(u64::MAX);
    let n_to_submit = if pace.stopping.is_some() { 0 } else { n_left.saturating_sub(n_there) };
    let tail = pace.latency.map(|latency| latency.tail);
    if n_left == 0 {
        return None;
    }
    if n_to_submit == 0 {
        return tail.filter(|tail| !tail.is_zero());
    }
    let hold = pace.hold.filter(|hold| hold.until > now);
    let wait = hold.map_or(Duration::ZERO, |hold| hold.until - now);
    let n_days = match (hold.map(|hold| hold.why), quota_most) {
        (Some(PauseReason::Quota), Some(most @ 1..)) => (n_to_submit - 1) / most,
        _ => 0,
    };
    let days = DAY.saturating_mul(u32::try_from(n_days).unwrap_or(u32::MAX));
    let submitting = Duration::try_from_secs_f64(float(n_to_submit) / throughput(pace, measured)?).ok()?;
    // On all days before the last one, submitting is part of the daily wait.
    let submitting = if n_days > 0 { submitting / u32::try_from(n_days + 1).unwrap_or(u32::MAX) } else { submitting };
    wait.checked_add(days)?.checked_add(submitting)?.checked_add(tail.unwrap_or_default())
}

/// Estimates the long-term rate, in submissions per second.
fn throughput(pace: &RunSnapshot, measured: Option<MeasuredRate>) -> Option<f64> {
    let by_rate = pace.allowed.map(|allowed| allowed.per_second);
    let by_places = pace.places.zip(pace.latency).map(|(places, latency)| {
        let places = u64::try_from(places).unwrap_or(u64::MAX);
        float(places) / latency.mean.as_secs_f64().max(0.001)
    });
    let should = match (by_rate, by_places) {
        (Some(rate), Some(places)) => Some(rate.min(places)),
        (by_rate, by_places) => by_rate.or(by_places),
    };
    match (should, measured) {
        (Some(should), Some(MeasuredRate { per_second, is_sure: true })) if per_second < CONTRADICTION * should => {
            Some(per_second)
        }
        (Some(should), _) => Some(should),
        (None, measured) => measured.map(|measured| measured.per_second),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no estimate needs the last digit of a number of jobs")]
fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Latency, StopCode, SubmitPause, SubmitRateLimit};
    use crate::report::fixtures::{at, throttled};

    fn rate(per_second: f64) -> SubmitRateLimit {
        SubmitRateLimit { per_second, is_told: true }
    }

    fn latency(mean: u64, tail: u64) -> Latency {
        Latency { mean: Duration::from_secs(mean), tail: Duration::from_secs(tail) }
    }

    fn left(n_left: u64, pace: &RunSnapshot, measured: Option<f64>) -> Option<u64> {
        let measured = measured.map(|per_second| MeasuredRate { per_second, is_sure: true });
        time_left(at(0.0), n_left, pace, measured, None).map(|left| left.as_secs())
    }

    #[test]
    fn a_run_that_has_just_begun_knows_it_from_its_rate() {
        assert_eq!(left(600, &RunSnapshot { allowed: Some(rate(0.5)), ..RunSnapshot::default() }, None), Some(1200));
        assert_eq!(left(600, &RunSnapshot::default(), None), None, "nobody knows anything");
    }

    #[test]
    fn the_slower_of_rate_and_places_decides_and_the_last_tasks_count() {
        let pace =
            RunSnapshot { n_running: 8, places: Some(8), latency: Some(latency(16, 40)), ..RunSnapshot::default() };
        assert_eq!(left(108, &pace, None), Some(200 + 40), "eight in sixteen seconds");
        assert_eq!(left(108, &RunSnapshot { allowed: Some(rate(0.25)), ..pace }, None), Some(400 + 40));
        assert_eq!(left(8, &pace, None), Some(40), "all are there");
        assert_eq!(left(0, &pace, None), None);
    }

    #[test]
    fn what_was_seen_counts_where_it_contradicts_or_is_all_there_is() {
        let pace = RunSnapshot { allowed: Some(rate(1.0)), ..RunSnapshot::default() };
        assert_eq!(left(100, &pace, Some(0.9)), Some(100), "that is chance");
        assert_eq!(left(100, &pace, Some(5.0)), Some(100), "that was a burst");
        assert_eq!(left(100, &pace, Some(0.5)), Some(200));
        assert_eq!(left(100, &RunSnapshot::default(), Some(0.5)), Some(200));
        let unsure = Some(MeasuredRate { per_second: 0.5, is_sure: false });
        assert_eq!(
            time_left(at(0.0), 100, &pace, unsure, None),
            Some(Duration::from_secs(100)),
            "that is the beginning"
        );
    }

    #[test]
    fn waits_come_on_top() {
        let pace = RunSnapshot { allowed: Some(rate(1.0)), hold: Some(throttled(30.0)), ..RunSnapshot::default() };
        assert_eq!(left(100, &pace, None), Some(130));
        assert_eq!(left(100, &RunSnapshot { hold: Some(throttled(-1.0)), ..pace }, None), Some(100));
    }

    /// Example: 250 jobs with a quota of 100 per day that resets in one hour. Two more days follow that reset.
    #[test]
    fn an_allowance_that_is_enough_for_a_part_takes_days() {
        let hold = Some(SubmitPause { why: PauseReason::Quota, until: at(3600.0) });
        let pace = RunSnapshot { allowed: Some(rate(1.0)), hold, ..RunSnapshot::default() };
        let left = |most| time_left(at(0.0), 250, &pace, None, most).map(|left| left.as_secs());
        assert_eq!(left(Some(100)), Some(3600 + 2 * 86_400 + 83));
        assert_eq!(left(None), Some(3600 + 250));
    }

    #[test]
    fn a_run_that_stops_submits_nothing_more() {
        let pace = RunSnapshot {
            n_running: 2,
            latency: Some(latency(5, 9)),
            stopping: Some(StopCode::Quota),
            ..RunSnapshot::default()
        };
        assert_eq!(left(1000, &pace, Some(1.0)), Some(9));
    }
}
