//! Bayesian filter over token buckets: which rate and burst explain the accepted and the refused submissions.
//!
//! Every hypothesis simulates its own bucket. What it expects of a submission is kept with the submission and compared with the answer.
//! A small part of the weight returns to the prior with every acceptance, because limits move.

use std::time::Duration;

use crate::model::time::Moment;

/// Lowest rate of a hypothesis, in submissions per second, and the ratio of one rate to the one before.
const RATE_MIN: f32 = 0.02;
const STEP: f32 = 1.03;

/// Number of rates: up to 3,000 submissions per second.
const RATES: usize = 404;

/// Bursts of the hypotheses. At the last one, the bucket holds the submissions of a second, or as many as that if they are more.
const BURSTS: [f32; 3] = [1.0, 4.0, 16.0];

/// Number of hypotheses.
const ALL: usize = RATES * BURSTS.len();

/// Part of the weight that returns to the prior with every acceptance.
const SHARE: f32 = 0.004;

/// Probability of an answer that a hypothesis excludes.
const UNLIKELY: f32 = 0.03;

/// Tokens below a whole one at which a submission may still be accepted, and the uncertainty of its arrival in seconds.
const SOFT: f32 = 0.05;
const JITTER: f32 = 0.001;

/// Bins of waiting times: the shortest one in seconds, the ratio of one bin to the one before, and their number.
const WAIT_MIN: f32 = 0.0005;
const WAIT_STEP: f32 = 1.05;
const WAITS: usize = 280;

/// Expectations of all hypotheses about one submission, in 255ths.
pub type Expected = Box<[u8]>;

/// What the time of a submission is chosen for.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This probability of acceptance.
    Likely(f32),
    /// Least cost: of a refusal, and of a second of delay.
    Cheap { price: f32, per_second: f32 },
}

/// Weights of all hypotheses, under one assumption about the other limits.
#[derive(Clone, Debug)]
pub struct Weights(Vec<f32>);

/// Token buckets of all hypotheses.
#[derive(Clone, Debug)]
pub struct TokenBuckets {
    /// Rate in submissions per second, size and uncertain part of every bucket, and its tokens.
    rate: Vec<f32>,
    burst: Vec<f32>,
    soft: Vec<f32>,
    tokens: Vec<f32>,
    /// Accepted submissions since a refusal showed that the bucket holds less than a token; `None` before that. A hypothesis stands for
    /// all rates up to the next one, so that its tokens become uncertain.
    n_since: Option<f32>,
    counted_at: Option<Moment>,
}

impl TokenBuckets {
    /// Creates full buckets.
    pub fn new() -> Self {
        let rates = std::iter::successors(Some(RATE_MIN), |rate| Some(rate * STEP)).take(RATES);
        let rate: Vec<f32> = rates.flat_map(|rate| BURSTS.map(|_| rate)).collect();
        let burst: Vec<f32> = (0..ALL)
            .map(|i| if i % BURSTS.len() == 2 { rate[i].max(BURSTS[2]) } else { BURSTS[i % BURSTS.len()] })
            .collect();
        let soft = rate.iter().map(|rate| (SOFT + rate * JITTER).min(0.9)).collect();
        Self { tokens: burst.clone(), n_since: None, rate, burst, soft, counted_at: None }
    }

    /// Lets tokens arrive until now.
    pub fn advance(&mut self, now: Moment) {
        let since = self.counted_at.map_or(Duration::ZERO, |at| now - at).as_secs_f32();
        self.counted_at = Some(now);
        for ((tokens, rate), burst) in self.tokens.iter_mut().zip(&self.rate).zip(&self.burst) {
            *tokens = (*tokens + rate * since).min(*burst);
        }
    }

    /// Returns the tokens of a bucket from which a submission may be accepted, and from which it is.
    fn ramp(&self, i: usize) -> (f32, f32) {
        // A bucket for one token is full before each submission, so that its tokens are known.
        let doubt =
            self.n_since.filter(|_| self.burst[i] > 1.0).map_or(0.0, |n| (1.0 + n * (STEP - 1.0)).min(self.burst[i]));
        (1.0 - self.soft[i] - doubt / 2.0, (1.0 + doubt / 2.0).min(self.burst[i]))
    }

    fn accepts(&self) -> impl Iterator<Item = f32> {
        self.tokens.iter().enumerate().map(|(i, tokens)| {
            let (none, all) = self.ramp(i);
            ((tokens - none) / (all - none)).clamp(0.0, 1.0)
        })
    }

    /// Returns the probability that a submission now is accepted, with each of the weights.
    pub fn likely(&self, weights: &[Weights; 2]) -> [f32; 2] {
        let mut likely = [0.0; 2];
        for (i, accepts) in self.accepts().enumerate() {
            likely[0] += accepts * weights[0].0[i];
            likely[1] += accepts * weights[1].0[i];
        }
        likely
    }

    /// Takes the tokens of a submission that leaves now, and returns what every hypothesis expects of it.
    pub fn take(&mut self) -> Expected {
        let expected: Vec<f32> = self.accepts().collect();
        for (tokens, accepts) in self.tokens.iter_mut().zip(&expected) {
            *tokens -= accepts;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
        expected.into_iter().map(|accepts| (accepts * 255.0) as u8).collect()
    }

    /// Corrects the buckets after an acceptance.
    pub fn accepted(&mut self, expected: &Expected) {
        self.n_since = self.n_since.map(|n| n + 1.0);
        for (tokens, expected) in self.tokens.iter_mut().zip(expected) {
            *tokens = (*tokens - (1.0 - part(*expected))).max(0.0);
        }
    }

    /// Corrects the buckets after a refusal, `age` seconds after the submission left. If the rate refused it, no bucket had a whole token.
    pub fn refused(&mut self, expected: &Expected, age: f32, is_by_rate: bool) {
        if is_by_rate {
            self.n_since = Some(0.0);
        }
        for (i, expected) in expected.iter().enumerate() {
            let returned = (self.tokens[i] + part(*expected)).min(self.burst[i]);
            let is_unknown = is_by_rate && self.burst[i] > 1.0;
            self.tokens[i] = if is_unknown { (0.5 + self.rate[i] * age).min(returned.max(0.5)) } else { returned };
        }
    }

    /// Returns the cost and the time of the next submission, in seconds from now. `parts` are the shares of the two weights in the
    /// probability of acceptance, and `sure` is the rest of it. `None` means that the goal is never reached.
    pub fn wait(&self, parts: [(f32, &Weights); 2], sure: f32, goal: Goal) -> Option<(f32, f32)> {
        let mut bins = [0.0_f32; WAITS];
        for i in 0..ALL {
            let weight = parts[0].0 * parts[0].1.0[i] + parts[1].0 * parts[1].1.0[i];
            let (none, all) = self.ramp(i);
            let enough = if matches!(goal, Goal::Likely(_)) { f32::midpoint(none, all) } else { all };
            let seconds = ((enough - self.tokens[i]) / self.rate[i]).max(0.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded below and above")]
            let bin = if seconds <= WAIT_MIN { 0 } else { ((seconds / WAIT_MIN).ln() / WAIT_STEP.ln()) as usize + 1 };
            bins[bin.min(WAITS - 1)] += weight;
        }
        let (mut accepts, mut seconds, mut best) = (sure, 0.0, None);
        for bin in bins {
            accepts += bin;
            let cost = match goal {
                Goal::Likely(least) if accepts >= least => return Some((0.0, seconds)),
                Goal::Likely(_) => f32::INFINITY,
                Goal::Cheap { price, per_second } => price * (1.0 - accepts) + per_second * seconds,
            };
            if best.is_none_or(|(least, _)| cost < least) && cost.is_finite() {
                best = Some((cost, seconds));
            }
            seconds = if seconds == 0.0 { WAIT_MIN } else { seconds * WAIT_STEP };
        }
        best
    }

    /// Returns the rate below which this share of the weight lies, in submissions per second.
    pub fn rate(&self, weights: &Weights, share: f32) -> f32 {
        let mut sum = 0.0;
        let nth = weights.0.iter().position(|weight| {
            sum += weight;
            sum >= share
        });
        self.rate[nth.unwrap_or(ALL - 1)]
    }
}

impl Weights {
    /// Creates the prior: all rates are equally likely on a logarithmic scale.
    #[expect(clippy::cast_precision_loss, reason = "about a thousand")]
    pub fn new() -> Self {
        Self(vec![1.0 / ALL as f32; ALL])
    }

    /// Weighs the hypotheses by an acceptance.
    pub fn accepted(&mut self, expected: &Expected) {
        self.weigh(expected, SHARE, |accepts| accepts.max(UNLIKELY));
    }

    /// Weighs the hypotheses by a refusal. `others` is the probability that nothing else would have refused.
    /// Its evidence counts for the part `news`.
    pub fn refused(&mut self, expected: &Expected, others: f32, news: f32) {
        self.weigh(expected, 0.0, |accepts| (1.0 - others * accepts).max(UNLIKELY).powf(news));
    }

    #[expect(clippy::cast_precision_loss, reason = "about a thousand")]
    fn weigh(&mut self, expected: &Expected, share: f32, likelihood: impl Fn(f32) -> f32) {
        let table: [f32; 256] = std::array::from_fn(|nth| likelihood(nth as f32 / 255.0));
        let mut sum = 0.0;
        for (weight, expected) in self.0.iter_mut().zip(expected) {
            *weight *= table[usize::from(*expected)];
            sum += *weight;
        }
        let (scale, more) = ((1.0 - share) / sum.max(f32::MIN_POSITIVE), share / ALL as f32);
        for weight in &mut self.0 {
            *weight = *weight * scale + more;
        }
    }
}

/// Returns the probability that the hypotheses gave to an acceptance, with each of the weights.
pub fn expected(weights: &[Weights; 2], expected: &Expected) -> [f32; 2] {
    let mut likely = [0.0; 2];
    for (i, expected) in expected.iter().enumerate() {
        likely[0] += part(*expected) * weights[0].0[i];
        likely[1] += part(*expected) * weights[1].0[i];
    }
    likely
}

fn part(expected: u8) -> f32 {
    f32::from(expected) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    /// Goal: the rate of a bucket is found, whatever its burst. Method: a submission every 30 ms to buckets of 10 tokens a second.
    #[test]
    fn the_rate_of_a_bucket_is_found() {
        for burst in [1.0_f32, 4.0] {
            let (mut buckets, mut weights, mut tokens) = (TokenBuckets::new(), Weights::new(), burst);
            for nth in 0..100 {
                buckets.advance(at(30 * nth));
                let expected = buckets.take();
                tokens = (tokens + 0.3).min(burst);
                if tokens >= 1.0 {
                    tokens -= 1.0;
                    buckets.accepted(&expected);
                    weights.accepted(&expected);
                } else {
                    buckets.refused(&expected, 0.0, true);
                    weights.refused(&expected, 1.0, 1.0);
                }
            }
            // With a burst of one, every fourth submission is accepted, which any rate from 8.4 to 11 explains.
            let rate = buckets.rate(&weights, 0.5);
            assert!((8.2..11.2).contains(&rate), "burst {burst}: {rate}");
        }
    }

    #[test]
    fn a_full_bucket_accepts_its_burst_and_no_more() {
        let mut buckets = TokenBuckets::new();
        buckets.advance(at(0));
        let expected: Vec<Expected> = (0..20).map(|_| buckets.take()).collect();
        let accepted = |nth: usize| expected.iter().filter(|expected| expected[nth] > 127).count();
        assert_eq!([0, 1, 2].map(accepted), [1, 4, 16]);
    }

    #[test]
    fn the_time_of_a_submission_balances_refusal_and_delay() {
        let (mut buckets, weights) = (TokenBuckets::new(), Weights::new());
        buckets.advance(at(0));
        (0..20).for_each(|_| drop(buckets.take()));
        let wait =
            |price| buckets.wait([(1.0, &weights), (0.0, &weights)], 0.0, Goal::Cheap { price, per_second: 1.0 });
        let (cheap, dear) = (wait(1.5).unwrap().1, wait(50.0).unwrap().1);
        assert!(cheap < dear, "{cheap} s, and {dear} s where a refusal costs more");
        let likely = |least| buckets.wait([(1.0, &weights), (0.0, &weights)], 0.0, Goal::Likely(least)).unwrap().1;
        assert!(likely(0.2) < likely(0.8), "{} {}", likely(0.2), likely(0.8));
        assert_eq!(buckets.wait([(0.1, &weights), (0.1, &weights)], 0.0, Goal::Likely(0.5)), None);
    }
}
