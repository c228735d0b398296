//! Simulation of the lane alone against a minimal service, in virtual time: hours of submissions in a moment.
//!
//! There are a hundred submissions per second.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use promptbatch::internals::engine::lane::{Blocked, Lane};
use promptbatch::internals::engine::submit_permit::SubmitPermit;
use promptbatch::model::limits::{Limits, Rate};
use promptbatch::model::outcome::{Fault, FaultKind};
use promptbatch::model::time::{Moment, Timestamp};

/// Default of the median duration of a task, in seconds. `SIGMA` is the standard deviation of the logarithm.
const LATENCY: f64 = 5.0;
const SIGMA: f64 = 0.3;

/// Duration of an answer in seconds, plus or minus a fifth.
const ANSWER: f64 = 0.04;

/// Average time until the end of a task is noticed, in seconds.
const UNHEARD: f64 = 0.1;

/// Resolution of timers, which wake at whole milliseconds.
const GRAIN_MICROS: i64 = 1000;

/// Refusals of the simulated service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Share of submissions that the service refuses at random.
    pub chance: f64,
    /// Rate limit in addition, which allows bursts of one second's worth. `None` means no limit.
    pub rate: Option<Rate>,
    /// Number of tasks that run at the same time. `None` means no limit.
    pub slots: Option<usize>,
    /// Median duration of a task, in seconds.
    pub task: f64,
    /// Retry-After of every refusal. `None` means that there is no such header.
    pub retry_after: Option<Duration>,
    pub seed: u64,
}

impl Default for Service {
    fn default() -> Self {
        Self { chance: 0.0, rate: None, slots: None, task: LATENCY, retry_after: None, seed: 0 }
    }
}

impl Service {
    /// Returns the mean number of tasks that one slot completes in a second.
    pub fn ends_per_slot(self) -> f64 {
        1.0 / (self.task * (SIGMA * SIGMA / 2.0).exp())
    }
}

/// Numbers of submissions and acceptances.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub submits: u64,
    pub accepted: u64,
}

#[derive(Clone, Copy)]
enum What {
    Refused(SubmitPermit),
    /// Acceptance, and the time from then to the end of the task, in seconds.
    Accepted(SubmitPermit, f64),
    /// End of a task, which frees its slot.
    Freed,
    /// End of a task as the lane learns of it.
    Ended(f64),
}

/// Future event, at a moment in microseconds. The number keeps events of the same moment in order.
struct Event(i64, u64, What);

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct World {
    service: Service,
    lane: Lane,
    rng: fastrand::Rng,
    events: BinaryHeap<Reverse<Event>>,
    n_events: u64,
    now: i64,
    /// Time at which the service's token bucket is full again, in microseconds.
    full_at: i64,
    n_busy: usize,
    count: Count,
}

/// Simulates `end` seconds, and counts what happens after the first `warm_up` seconds.
pub fn play(service: Service, limits: &Limits, warm_up: u32, end: u32) -> Count {
    World::new(service, limits).count_between(warm_up, end)
}

/// Simulates `span` seconds with each of these numbers of slots, and counts what happens after the first `warm_up` seconds of each.
pub fn play_moves<const N: usize>(
    service: Service,
    limits: &Limits,
    slots: [usize; N],
    warm_up: u32,
    span: u32,
) -> [Count; N] {
    let mut world = World::new(service, limits);
    let mut began = 0;
    slots.map(|n| {
        world.service.slots = Some(n);
        let count = world.count_between(began + warm_up, began + span);
        began += span;
        count
    })
}

impl World {
    fn new(service: Service, limits: &Limits) -> Self {
        Self {
            service,
            lane: Lane::new(&Limits { seed: service.seed, ..limits.clone() }),
            rng: fastrand::Rng::with_seed(service.seed),
            events: BinaryHeap::new(),
            n_events: 0,
            now: 0,
            full_at: 0,
            n_busy: 0,
            count: Count::default(),
        }
    }

    fn count_between(&mut self, begin: u32, end: u32) -> Count {
        self.play_until(i64::from(begin) * 1_000_000);
        self.count = Count::default();
        self.play_until(i64::from(end) * 1_000_000);
        self.count
    }

    fn play_until(&mut self, end: i64) {
        while self.now < end {
            let wake = self.submit_all();
            let next = self.events.peek().map_or(i64::MAX, |event| event.0.0);
            self.now = next.min(wake).max(self.now);
            while self.events.peek().is_some_and(|event| event.0.0 <= self.now) {
                if let Some(Reverse(Event(_, _, what))) = self.events.pop() {
                    self.hear(what);
                }
            }
        }
    }

    fn at(&self) -> Moment {
        Moment::new(self.now, Timestamp::from_millis(1_790_000_000_000 + self.now / 1000))
    }

    fn after(&mut self, seconds: f64, what: What) {
        self.n_events += 1;
        self.events.push(Reverse(Event(self.now + micros(seconds), self.n_events, what)));
    }

    /// Submits as much as may leave, and returns when more may leave.
    fn submit_all(&mut self) -> i64 {
        loop {
            let ticket = match self.lane.take_submit(self.at()) {
                Ok(ticket) => ticket,
                Err(Blocked::Busy) => return i64::MAX,
                Err(Blocked::Until(moment)) => {
                    return (moment.micros() + GRAIN_MICROS - 1) / GRAIN_MICROS * GRAIN_MICROS;
                }
            };
            self.count.submits += 1;
            let answer = ANSWER * (0.8 + 0.4 * self.rng.f64());
            if self.rng.f64() < self.service.chance || !self.has_slot() || !self.has_token() {
                self.after(answer, What::Refused(ticket));
            } else {
                self.count.accepted += 1;
                let task = self.service.task * (SIGMA * self.normal()).exp();
                self.n_busy += 1;
                self.after(task, What::Freed);
                self.after(answer, What::Accepted(ticket, (task - answer).max(0.0)));
            }
        }
    }

    fn has_slot(&self) -> bool {
        self.service.slots.is_none_or(|slots| self.n_busy < slots)
    }

    /// Takes a token from the service's bucket. Returns `false` if there is none.
    fn has_token(&mut self) -> bool {
        let Some(rate) = self.service.rate else { return true };
        let interval = micros(rate.interval().as_secs_f64());
        let full_at = self.full_at.max(self.now);
        let has_one = full_at - self.now <= (1_000_000 - interval).max(0);
        if has_one {
            self.full_at = full_at + interval;
        }
        has_one
    }

    fn hear(&mut self, what: What) {
        let now = self.at();
        match what {
            What::Refused(ticket) => {
                let fault = Fault::new(FaultKind::Throttled { retry_after: self.service.retry_after }, "");
                // Other jobs are always available, so a single job that waits delays nothing.
                let _waits = self.lane.submit_refused(now, ticket, &fault);
            }
            What::Accepted(ticket, task) => {
                self.lane.submit_accepted(now, ticket, None);
                let took = task - UNHEARD * (1.0 - self.rng.f64()).ln();
                self.after(took, What::Ended(took));
            }
            What::Freed => self.n_busy -= 1,
            What::Ended(took) => {
                self.lane.task_done(now, Duration::from_secs_f64(took), Duration::from_secs_f64(UNHEARD));
                self.lane.task_ended();
            }
        }
    }

    /// Returns a standard normal number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.rng.f64()).cos()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "some hours")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6) as i64
}
