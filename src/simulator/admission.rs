//! Limits of the service for submissions per second, unfinished tasks, and submissions per day.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::model::limits::Rate;
use crate::model::time::Timestamp;
use crate::simulator::config::SimulatorConfig;
use crate::simulator::refusal::Refusal;

/// Offset of Asia/Shanghai from UTC, in milliseconds. Quota days begin at midnight there; Asia/Shanghai has no summer time.
const SHANGHAI_OFFSET_MILLIS: i64 = 8 * 3600 * 1000;
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Limits of the service and their current use. It stores one time per unfinished task; nothing else grows.
#[derive(Clone, Debug)]
pub(super) struct AdmissionLimiter {
    bucket: Option<Bucket>,
    concurrency: Option<usize>,
    quota: Option<u32>,
    model_quota: Option<u32>,
    /// End times of the unfinished tasks, earliest first.
    unfinished: BinaryHeap<Reverse<Timestamp>>,
    /// Day that `n_today` counts.
    day: i64,
    n_today: u32,
    /// Submissions of that day by model, if models have a quota.
    n_of_models: BTreeMap<String, u32>,
}

impl AdmissionLimiter {
    pub(super) fn new(config: &SimulatorConfig) -> Self {
        let mut gate = Self {
            bucket: None,
            concurrency: None,
            quota: config.quota,
            model_quota: config.model_quota,
            n_of_models: BTreeMap::new(),
            unfinished: BinaryHeap::new(),
            day: i64::MIN,
            n_today: 0,
        };
        gate.set_limits(config.rate, config.concurrency);
        gate
    }

    /// Replaces the limits; unfinished tasks stay unfinished.
    pub(super) fn set_limits(&mut self, rate: Option<Rate>, concurrency: Option<u32>) {
        self.bucket = rate.map(Bucket::new);
        self.concurrency = concurrency.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
    }

    /// Removes the tasks that have ended; returns the number of unfinished tasks.
    pub(super) fn n_unfinished(&mut self, now: Timestamp) -> usize {
        while self.unfinished.peek().is_some_and(|ends_at| ends_at.0 <= now) {
            self.unfinished.pop();
        }
        self.unfinished.len()
    }

    /// Admits one submission, or returns the reason for its refusal. A refused submission uses up nothing.
    pub(super) fn admit(&mut self, now: Timestamp, model: &str) -> Result<(), Refusal> {
        let n_unfinished = self.n_unfinished(now);
        let day = (now.millis() + SHANGHAI_OFFSET_MILLIS).div_euclid(DAY_MILLIS);
        if day != self.day {
            (self.day, self.n_today) = (day, 0);
            self.n_of_models.clear();
        }
        if self.quota_left() == Some(0) || self.model_quota_left(model) == Some(0) {
            return Err(Refusal::Quota(model.to_owned()));
        }
        if self.concurrency.is_some_and(|max| n_unfinished >= max) {
            return Err(Refusal::Concurrency);
        }
        if !self.bucket.as_mut().is_none_or(|bucket| bucket.take(now)) {
            return Err(Refusal::Rate);
        }
        self.n_today = self.n_today.saturating_add(1);
        if self.model_quota.is_some() {
            *self.n_of_models.entry(model.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Records an admitted task until its end; returns the number of unfinished tasks.
    pub(super) fn hold(&mut self, ends_at: Timestamp) -> usize {
        self.unfinished.push(Reverse(ends_at));
        self.unfinished.len()
    }

    /// Returns the daily quota and what is left of it today; `None` without a quota.
    pub(super) fn quota(&self) -> Option<(u32, u32)> {
        Some((self.quota?, self.quota_left()?))
    }

    /// Returns what is left today of this model's quota; `None` without such a quota.
    pub(super) fn model_quota_left(&self, model: &str) -> Option<u32> {
        Some(self.model_quota?.saturating_sub(self.n_of_models.get(model).copied().unwrap_or(0)))
    }

    fn quota_left(&self) -> Option<u32> {
        Some(self.quota?.saturating_sub(self.n_today))
    }
}

/// Token bucket for one second's worth of submissions, and at least one. It is stored as a single time: the generic cell rate algorithm.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "field names end in their unit")]
struct Bucket {
    interval_micros: i64,
    /// Largest lead of `full_at_micros` over the current time at which a submission is still accepted.
    slack_micros: i64,
    /// Time at which the bucket is full again.
    full_at_micros: i64,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let interval_micros = micros(rate.interval());
        let slack_micros = (1_000_000 - interval_micros).max(0);
        Self { interval_micros, slack_micros, full_at_micros: i64::MIN }
    }

    fn take(&mut self, now: Timestamp) -> bool {
        let now_micros = now.millis().saturating_mul(1000);
        let full_at = self.full_at_micros.max(now_micros);
        let has_one = full_at - now_micros <= self.slack_micros;
        if has_one {
            self.full_at_micros = full_at.saturating_add(self.interval_micros);
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_bucket_takes_a_second_at_once_and_then_its_rate() {
        let config = SimulatorConfig { rate: Some("10/s".parse().unwrap()), ..SimulatorConfig::default() };
        let mut gate = AdmissionLimiter::new(&config);
        let n_taken =
            |gate: &mut AdmissionLimiter, millis| (0..100).filter(|_| gate.admit(at(millis), "m").is_ok()).count();
        assert_eq!(n_taken(&mut gate, 1_000_000), 10);
        assert_eq!(gate.admit(at(1_000_000), "m"), Err(Refusal::Rate));
        assert_eq!(n_taken(&mut gate, 1_000_099), 0);
        assert_eq!(n_taken(&mut gate, 1_000_100), 1);
        assert_eq!(n_taken(&mut gate, 1_000_600), 5);
        assert_eq!(n_taken(&mut gate, 2_000_000), 10);
    }

    #[test]
    fn a_slow_rate_takes_one_at_a_time() {
        let config = SimulatorConfig { rate: Some("30/m".parse().unwrap()), ..SimulatorConfig::default() };
        let mut gate = AdmissionLimiter::new(&config);
        let taken: Vec<i64> = (0..8).map(|step| step * 500).filter(|t| gate.admit(at(*t), "m").is_ok()).collect();
        assert_eq!(taken, [0, 2000]);
    }

    #[test]
    fn the_day_turns_at_midnight_in_shanghai() {
        let mut gate = AdmissionLimiter::new(&SimulatorConfig { quota: Some(2), ..SimulatorConfig::default() });
        // Midnight in Shanghai: 1970-01-02T00:00.
        let midnight = 16 * 3600 * 1000;
        assert_eq!(gate.admit(at(midnight - 1), "a/b"), Ok(()));
        assert_eq!(gate.quota(), Some((2, 1)));
        assert_eq!(gate.admit(at(midnight - 1), "a/b"), Ok(()));
        assert_eq!(gate.admit(at(midnight - 1), "a/b"), Err(Refusal::Quota("a/b".into())));
        assert_eq!(gate.admit(at(midnight), "a/b"), Ok(()));
    }

    #[test]
    fn a_task_holds_its_place_until_it_ends() {
        let mut gate = AdmissionLimiter::new(&SimulatorConfig { concurrency: Some(2), ..SimulatorConfig::default() });
        for ends_at in [300, 200] {
            assert_eq!(gate.admit(at(100), "m"), Ok(()));
            gate.hold(at(ends_at));
        }
        assert_eq!(gate.admit(at(199), "m"), Err(Refusal::Concurrency));
        assert_eq!(gate.admit(at(200), "m"), Ok(()));
        assert_eq!(gate.hold(at(400)), 2);
        assert_eq!(gate.admit(at(299), "m"), Err(Refusal::Concurrency));
    }

    #[test]
    fn with_no_limits_everything_comes_in() {
        let mut gate = AdmissionLimiter::new(&SimulatorConfig::default());
        assert!((0..1000).all(|_| gate.admit(at(0), "m").is_ok()));
        assert_eq!(gate.quota(), None);
    }
}
