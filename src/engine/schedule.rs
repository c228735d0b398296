//! The one poll scheduler: an ordered set of (moment, job) and no timer per job.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::job::JobId;
use crate::model::time::Moment;

/// The shortest wait between two polls of a task.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// The longest.
const INTERVAL_MAX: Duration = Duration::from_secs(5);

/// So many times as often are tasks asked for whose places are waited for.
const HURRY: u32 = 8;

/// When each task is polled next.
///
/// A task is asked for again after half of its age, within the bounds above: quick ones are found soon, and slow
/// ones cost few polls.
#[derive(Debug)]
pub struct Schedule {
    due: BTreeSet<(Moment, JobId)>,
    jitter: fastrand::Rng,
    is_hurried: bool,
}

impl Schedule {
    /// An empty schedule, whose jitter repeats for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { due: BTreeSet::new(), jitter: fastrand::Rng::with_seed(seed), is_hurried: false }
    }

    /// Asks more often from now on, as jobs wait for the places of tasks that may be done; or no longer.
    pub const fn hurry(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
    }

    /// Plans the next poll of a task that is not done and was accepted at `accepted_at`.
    pub fn plan(&mut self, now: Moment, job: JobId, accepted_at: Moment) {
        let part = if self.is_hurried { HURRY } else { 1 };
        let wait = ((now - accepted_at) / 2 / part).clamp(INTERVAL_MIN / part, INTERVAL_MAX / part);
        // Tasks that were accepted together must not be asked for together for ever.
        let wait = wait.mul_f64(0.9 + 0.2 * self.jitter.f64());
        self.plan_at(now + wait, job);
    }

    /// Plans a poll for that moment.
    pub fn plan_at(&mut self, moment: Moment, job: JobId) {
        self.due.insert((moment, job));
    }

    /// Takes a job whose poll is due.
    pub fn take_due(&mut self, now: Moment) -> Option<JobId> {
        let is_due = self.next().is_some_and(|moment| moment <= now);
        is_due.then(|| self.due.pop_first()).flatten().map(|(_, job)| job)
    }

    /// When the next poll is due.
    pub fn next(&self) -> Option<Moment> {
        self.due.first().map(|(moment, _)| *moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    fn id(n: u8) -> JobId {
        JobId::from_bytes([n; 10])
    }

    #[test]
    fn jobs_come_in_the_order_of_their_moments() {
        let mut schedule = Schedule::new(1);
        for (millis, n) in [(300, 3), (100, 1), (200, 2), (100, 0)] {
            schedule.plan_at(at(millis), id(n));
        }
        assert_eq!(schedule.next(), Some(at(100)));
        assert_eq!(schedule.take_due(at(99)), None);
        let order: Vec<_> = std::iter::from_fn(|| schedule.take_due(at(250))).collect();
        assert_eq!(order, [id(0), id(1), id(2)]);
        assert_eq!(schedule.next(), Some(at(300)));
    }

    #[test]
    fn intervals_grow_with_age_within_bounds() {
        let mut schedule = Schedule::new(1);
        for (age, least, most) in [(0, 450, 550), (4000, 1800, 2200), (600_000, 4500, 5500)] {
            for _ in 0..50 {
                schedule.plan(at(age), id(1), at(0));
                let moment = schedule.next().unwrap();
                let wait = (moment - at(age)).as_millis();
                assert!((least..=most).contains(&wait), "at {age} ms: {wait}");
                assert_eq!(schedule.take_due(moment), Some(id(1)));
            }
        }
    }

    /// A task of 15 s is found within one interval of its end, for at most 10 polls: the figures of a sensible fixed plan.
    #[test]
    fn a_task_of_fifteen_seconds_is_found_soon_and_cheaply() {
        for seed in 0..20 {
            let mut schedule = Schedule::new(seed);
            let (mut now, mut n_polls) = (at(0), 0);
            while now < at(15_000) {
                schedule.plan(now, id(1), at(0));
                now = schedule.next().unwrap();
                schedule.take_due(now);
                n_polls += 1;
            }
            assert!(n_polls <= 10 && now - at(15_000) <= Duration::from_millis(5500), "{n_polls} polls, {now:?}");
        }
    }
}
