//! Search for the limits of a provider after its first refusals: the next submission leaves when it is expected to cost least.
//!
//! Costs are counted in jobs. Waiting costs the submissions that a limit would have accepted meanwhile, and a refusal has a price. A better
//! knowledge of a rate is worth a refusal only if enough jobs are left that leave faster by it.

use std::cell::Cell;
use std::time::Duration;

use crate::engine::limit_posterior::{FirstRefusal, LimitPosterior, TokenBucket};
use crate::engine::submission_order::{PendingSubmission, Trial};
use crate::model::time::Moment;

/// Price of a refusal, in jobs that could have been submitted meanwhile.
const PRICE: f64 = 3.0;

/// Highest rate that counts for the price of a wait that a refusal names, in submissions per second.
const WAIT_RATE_MAX: f64 = 50.0;

/// Number of jobs that are assumed where many are left.
const MANY: f64 = 1000.0;

/// Probability from which a cause is certain, and the one of a rate besides slots up to which the rate plays no part.
const SURE: f64 = 0.99;
const BESIDES_MAX: f64 = 0.1;

/// Probability of a rate, and the standard deviation of its logarithm, from which it is shown.
const SHOWN: f64 = 0.95;
const SHOWN_SIGMA: f64 = 0.3;

/// Probabilities of slots between which ends of tasks tell more than time.
const DOUBT_MIN: f64 = 0.02;
const DOUBT_MAX: f64 = 0.999;

/// Probability of a rate, and the width of its logarithm, from which the rate is narrowed.
const NARROW: f64 = 0.9;
const NARROW_WIDTH: f64 = 2.5;

/// Width of a uniform distribution in standard deviations.
const UNIFORM: f64 = 3.46;

/// Probability of a refusal that is accepted at least when a rate is narrowed, times the price.
const REST: f64 = 0.5;

/// Width of the logarithm of a rate that ends the search: the least, and the greatest.
const TIGHT_MIN: f64 = 0.03;
const TIGHT_MAX: f64 = 0.25;

/// Number of expected refusals up to which submissions leave before the answers under way.
const RISK_MAX: f64 = 0.7;

/// Probability that a task ends within its mean duration.
const ENDS: f64 = 0.5;

/// Maximum number of repetitions for which a wait for the end of a task is charged.
const CYCLES_MAX: f64 = 100.0;

/// Shortest duration of a task that counts, in seconds.
const TASK_MIN: f64 = 0.05;

/// Longest wait between two submissions, in seconds.
const WAIT_MAX: f64 = 120.0;

/// Waits that differ by less count as equal: in seconds, and as a share.
const GRAIN: f64 = 0.001;
const GRAIN_SHARE: f64 = 0.01;

/// Weight of a bucket from which its next token is a moment to consider.
const CONSIDERED: f64 = 0.0001;

/// Probability of an acceptance from which a refusal is a surprise, and the number of them in a row that no limit in question explains.
const SURPRISE: f64 = 0.9;
const SURPRISES_MAX: usize = 3;

/// Answers after which the search ends.
const TRIALS_MAX: usize = 200;

/// Limits that a search has found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FoundLimits {
    /// Rate in submissions per second.
    pub rate: Option<f64>,
    /// Number of slots.
    pub slots: Option<usize>,
}

/// What is at stake: the jobs that are left, and the wait that a refusal names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stake {
    /// Jobs that are left to submit; `None` if many.
    pub n_jobs: Option<usize>,
    /// Wait that the last refusal has named, in seconds; 0 if none.
    pub wait: f64,
}

impl Stake {
    fn n_jobs(self) -> f64 {
        self.n_jobs.map_or(MANY, |n| float(n).clamp(1.0, MANY))
    }

    fn price(self, rate: f64) -> f64 {
        PRICE + self.wait * rate.min(WAIT_RATE_MAX)
    }
}

/// What is known when a submission could leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubmitOutlook<'a> {
    /// Present moment.
    pub now: Moment,
    /// Accepted tasks in flight, and those of them that may have ended undetected.
    pub n_busy: usize,
    /// See `n_busy`.
    pub n_undetected: usize,
    /// Submissions that no trial was made of yet.
    pub pending: &'a [PendingSubmission],
    /// What is at stake.
    pub stake: Stake,
    /// Mean duration of a task in seconds, or the time that the first one has taken so far.
    pub task: f64,
}

/// Next step of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchStep {
    /// Submission at that moment.
    Submit(Moment),
    /// Wait for the end of a task, and a new decision at that moment.
    End(Moment),
    /// Wait for an answer.
    Answer,
}

/// Search for a rate or slots.
#[derive(Debug)]
pub(crate) struct LimitSearch {
    posterior: LimitPosterior,
    n_trials: usize,
    n_accepted: usize,
    /// Consecutive refusals that were not expected.
    n_surprises: usize,
    /// Says whether the last answer in order was a refusal.
    is_refused: bool,
    /// Last decision, with the numbers of tasks in flight and of submissions under way for which it was made.
    decided: Cell<Option<(SearchStep, usize, usize)>>,
}

/// Moment at which a submission may leave.
#[derive(Clone, Copy)]
struct Choice {
    at: Moment,
    accepted: f64,
    cost: f64,
}

/// Buckets as they will be after the submissions under way, each with its weight without slots, and the probability that slots are free.
struct Forecast {
    rows: Vec<(TokenBucket, f64, f64)>,
    /// Expected number of refusals among the submissions under way.
    risk: f64,
    /// Free slots that are expected, per second of a task.
    idle: f64,
}

impl LimitSearch {
    /// Begins a search at a first refusal. Slots are `favour` times as likely as by default.
    pub(crate) fn new(first: FirstRefusal, favour: f64) -> Self {
        Self {
            posterior: LimitPosterior::new(first, favour),
            n_trials: 0,
            n_accepted: 0,
            n_surprises: 0,
            is_refused: true,
            decided: Cell::new(None),
        }
    }

    /// Returns whether it is open which limit refuses.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let by_slots = self.posterior.by_any_slots();
        by_slots > DOUBT_MIN && by_slots < DOUBT_MAX && self.posterior.by_rate() < SHOWN
    }

    /// Returns the rate that is known so far.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (mean, sigma) = self.posterior.log_rate();
        (self.posterior.by_rate() > SHOWN && sigma < SHOWN_SIGMA).then(|| (mean - sigma).exp())
    }

    /// Records an answer.
    pub(crate) fn observe(&mut self, trial: Trial) {
        self.n_trials += 1;
        self.n_accepted += usize::from(trial.is_accepted);
        self.is_refused = !trial.is_accepted;
        let is_surprise = self.is_refused && self.posterior.accepts(&trial) > SURPRISE;
        self.n_surprises = if is_surprise { self.n_surprises + 1 } else { 0 };
        self.posterior.observe(trial);
        self.decided.set(None);
    }

    /// Records that a task has ended.
    pub(crate) fn ended(&self) {
        self.decided.set(None);
    }

    /// Returns the next step.
    pub(crate) fn next(&self, outlook: &SubmitOutlook<'_>) -> SearchStep {
        let known = (outlook.n_busy, outlook.pending.len());
        if let Some((step, n_busy, n_pending)) = self.decided.get()
            && (n_busy, n_pending) == known
            && !matches!(step, SearchStep::End(at) if at <= outlook.now)
        {
            return step;
        }
        let step = self.decide(outlook);
        self.decided.set(Some((step, known.0, known.1)));
        step
    }

    fn decide(&self, outlook: &SubmitOutlook<'_>) -> SearchStep {
        if self.is_refused && outlook.pending.is_empty() && outlook.stake.wait > 0.0 {
            // The provider has named the wait, for which the caller holds submissions back.
            return SearchStep::Submit(outlook.now);
        }
        let forecast = self.forecast(outlook);
        let n_jobs = outlook.stake.n_jobs();
        let (mean, sigma) = self.posterior.log_rate();
        let (price, width) = (outlook.stake.price(mean.exp()), UNIFORM * sigma);
        // Halving what is left of a rate is worth its refusals for as long as many jobs will leave faster by it.
        let narrows = self.posterior.by_rate() > NARROW && width < NARROW_WIDTH;
        let threshold =
            narrows.then(|| (0.5 + price / (2.0 * n_jobs * width)).clamp(0.5, (1.0 - REST / price).max(0.5)));
        let best = forecast.best(outlook.now, n_jobs, price, threshold);
        if !outlook.pending.is_empty() {
            let is_risky = forecast.risk + 1.0 - best.accepted > RISK_MAX;
            return if is_risky { SearchStep::Answer } else { SearchStep::Submit(best.at) };
        }
        if outlook.n_busy > 0 && threshold.is_none() {
            // The end of a task may come first. It makes room if slots are the limit.
            let until = after(outlook.now, outlook.task);
            let cycles =
                if self.n_accepted > 0 { (n_jobs / float(outlook.n_busy)).clamp(1.0, CYCLES_MAX) } else { 1.0 };
            let accepted = (forecast.accepted(until) + ENDS * self.posterior.by_any_slots()).min(1.0);
            let cost = forecast.lost(outlook.now, until, n_jobs) * cycles + price * (1.0 - accepted);
            if best.at > until || cost < best.cost {
                return SearchStep::End(until);
            }
        }
        SearchStep::Submit(best.at)
    }

    fn forecast(&self, outlook: &SubmitOutlook<'_>) -> Forecast {
        let slots = self.posterior.slots();
        let by_slots = |n_more: usize| {
            let n_busy = outlook.n_busy + n_more;
            let trial = Trial {
                left_at: outlook.now,
                is_accepted: true,
                n_busy_max: n_busy,
                n_busy_min: n_busy,
                n_undetected: outlook.n_undetected,
            };
            slots.iter().map(|slots| slots.accepts(&trial)).collect::<Vec<_>>()
        };
        let mut rows: Vec<(TokenBucket, &[f64])> =
            self.posterior.rows().map(|(bucket, weights)| (*bucket, weights)).collect();
        let mut risk = 0.0;
        for (nth, PendingSubmission { left_at, is_accepted }) in outlook.pending.iter().enumerate() {
            if *is_accepted {
                for (bucket, _) in &mut rows {
                    bucket.submitted(*left_at, true);
                }
                continue;
            }
            let by_slots = by_slots(nth);
            for (bucket, weights) in &mut rows {
                let by_rate = bucket.accepts(*left_at);
                risk +=
                    weights.iter().zip(&by_slots).map(|(weight, free)| weight * (1.0 - by_rate * free)).sum::<f64>();
                bucket.submitted(*left_at, by_rate > 0.5);
            }
        }
        let n_busy = outlook.n_busy + outlook.pending.len();
        let alone = rows.last().map_or(&[] as &[f64], |(_, weights)| weights);
        let limits = slots.iter().zip(alone).filter(|(slots, _)| slots.is_limit());
        let n_free: f64 = limits.map(|(slots, weight)| weight * float(slots.0.saturating_sub(n_busy))).sum();
        let by_slots = by_slots(outlook.pending.len());
        let row = |(bucket, weights): (TokenBucket, &[f64])| {
            let alone = weights.last().copied().unwrap_or(0.0);
            (bucket, alone, weights.iter().zip(&by_slots).map(|(weight, free)| weight * free).sum())
        };
        Forecast { rows: rows.into_iter().map(row).collect(), risk, idle: n_free / outlook.task.max(TASK_MIN) }
    }

    /// Returns what is found; `None` as long as the search goes on.
    pub(crate) fn found(&self, stake: Stake) -> Option<FoundLimits> {
        let (by_rate, by_slots) = (self.posterior.by_rate(), self.posterior.by_any_slots());
        let (mean, sigma) = self.posterior.log_rate();
        let tight = (2.0 * stake.price(mean.exp()) / stake.n_jobs()).clamp(TIGHT_MIN, TIGHT_MAX);
        let rate = Some((mean - sigma).exp());
        let slots = Some(self.posterior.likeliest_slots());
        if by_slots > SURE && by_rate < BESIDES_MAX {
            return Some(FoundLimits { rate: None, slots });
        }
        if by_rate > SURE && UNIFORM * sigma < tight {
            if by_slots < 1.0 - SURE {
                return Some(FoundLimits { rate, slots: None });
            }
            if by_slots > SURE {
                return Some(FoundLimits { rate, slots });
            }
        }
        if by_rate < 1.0 - SURE && by_slots < 1.0 - SURE {
            return Some(FoundLimits::default());
        }
        let likelier = FoundLimits { rate: rate.filter(|_| by_rate > 0.5), slots: slots.filter(|_| by_slots > 0.5) };
        (self.n_trials >= TRIALS_MAX || self.n_surprises >= SURPRISES_MAX).then_some(likelier)
    }
}

impl Forecast {
    /// Returns the probability that a submission at that moment is accepted.
    fn accepted(&self, at: Moment) -> f64 {
        self.rows.iter().map(|(bucket, _, free)| free * bucket.accepts(at)).sum()
    }

    /// Returns how many submissions are lost by a wait until that moment.
    fn lost(&self, now: Moment, at: Moment, n_jobs: f64) -> f64 {
        let lost: f64 = self.rows.iter().map(|(bucket, alone, _)| alone * bucket.lost_at(at).min(n_jobs)).sum();
        lost + (self.idle * (at - now).as_secs_f64()).min(n_jobs)
    }

    /// Returns the moment that costs least. With a threshold it is the first one at which a submission is as likely to be accepted.
    fn best(&self, now: Moment, n_jobs: f64, price: f64, threshold: Option<f64>) -> Choice {
        let likely = self.rows.iter().filter(|(bucket, _, free)| bucket.is_limit() && *free > CONSIDERED);
        let waits = likely.map(|(bucket, ..)| bucket.wait(now)).filter(|wait| *wait < WAIT_MAX);
        let mut waits: Vec<f64> = waits.chain([0.0]).collect();
        waits.sort_by(f64::total_cmp);
        waits.dedup_by(|later, wait| *later - *wait < GRAIN + GRAIN_SHARE * *wait);
        let mut best = Choice { at: now, accepted: 0.0, cost: f64::INFINITY };
        for wait in waits {
            let at = after(now, wait);
            let accepted = self.accepted(at);
            let choice = Choice { at, accepted, cost: self.lost(now, at, n_jobs) + (1.0 - accepted) * price };
            if threshold.is_some_and(|threshold| accepted >= threshold) {
                return choice;
            }
            if choice.cost < best.cost - 1e-6 {
                best = choice;
            }
        }
        best
    }
}

fn after(now: Moment, seconds: f64) -> Moment {
    now + Duration::from_secs_f64(seconds)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
const fn float(n: usize) -> f64 {
    n as f64
}
