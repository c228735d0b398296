//! Optimal poll times for a known distribution of task durations, at the least expected cost of delay and polls.

use std::collections::VecDeque;

use crate::engine::schedule::ages::{AGES, STEPS};

/// Candidate poll. Its cost is a straight line in the share of tasks that are done when it is chosen.
struct PollCandidate {
    step: usize,
    slope: f64,
    base: f64,
}

impl PollCandidate {
    fn cost(&self, done: f64) -> f64 {
        self.base + self.slope * done
    }
}

/// Computes the best age of a running task's next poll, in seconds, for every age of the grid.
///
/// `done` is the share of tasks that are done by each age. A second of delay costs one, and a poll `price` (in seconds).
///
/// Let F be the share done, and E the expected cost of all later polls, over all tasks. After a poll at a, a poll at b costs
/// `price (1 - F(a)) + (integral from a to b of (b - t) dF) + E(b)`. For a fixed b, except for terms in a alone, that is a straight line
/// in F(a) of slope -b. The best b of every a lies on the lower hull of these lines. One pass from the last age down finds it.
pub(crate) fn next_polls(done: &[f64], price: f64, next: &mut [f64]) {
    let ages = &*AGES;
    let mut choices: VecDeque<PollCandidate> = VecDeque::with_capacity(64);
    let mut cost_after = 0.0;
    // Sum of the durations of all tasks done by an age.
    let mut taken: f64 = (0..STEPS).map(|i| (done[i + 1] - done[i]) * f64::midpoint(ages[i], ages[i + 1])).sum();
    next[STEPS] = ages[STEPS];
    for step in (0..STEPS).rev() {
        let at = ages[step + 1];
        let choice = PollCandidate { step: step + 1, slope: -at, base: at * done[step + 1] - taken + cost_after };
        while choices.len() >= 2 && is_hidden(&choices[choices.len() - 2], &choices[choices.len() - 1], &choice) {
            choices.pop_back();
        }
        choices.push_back(choice);
        // Fewer and fewer tasks are done from here on. A candidate that was once beaten by an earlier poll therefore stays beaten.
        while choices.len() >= 2 && choices[1].cost(done[step]) <= choices[0].cost(done[step]) {
            choices.pop_front();
        }
        taken -= (done[step + 1] - done[step]) * f64::midpoint(ages[step], at);
        let best = &choices[0];
        next[step] = ages[best.step];
        cost_after = price * (1.0 - done[step]) + taken + best.cost(done[step]);
    }
}

/// Returns whether the middle one of three lines of growing slope is nowhere the lowest.
fn is_hidden(first: &PollCandidate, middle: &PollCandidate, last: &PollCandidate) -> bool {
    (last.base - first.base) * (middle.slope - first.slope) <= (middle.base - first.base) * (last.slope - first.slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schedule::durations::PRIOR;

    /// Returns the least cost from every age of the grid on, per accepted task, found by trying every candidate.
    fn costs_by_trial(done: &[f64], price: f64) -> Vec<f64> {
        let ages = &*AGES;
        let mut costs = vec![0.0; STEPS + 1];
        for from in (0..STEPS).rev() {
            let (mut best, mut delay_part, mut ended) = (f64::INFINITY, 0.0, 0.0);
            for to in from + 1..=STEPS {
                let more = done[to] - done[to - 1];
                // Tasks that ended before have waited for one step more, and the new ones for half of it.
                let step = ages[to] - ages[to - 1];
                delay_part += ended * step + more * step / 2.0;
                ended += more;
                best = best.min(price * (1.0 - done[from]) + delay_part + costs[to]);
            }
            costs[from] = best;
        }
        costs
    }

    fn cost_of(done: &[f64], price: f64, next: &[f64]) -> f64 {
        let (mut from, mut cost) = (0, 0.0);
        while from < STEPS {
            let to = AGES.iter().position(|age| *age >= next[from] - 1e-9).unwrap();
            assert!(to > from, "a poll follows the one before");
            let delays = (from..to).map(|i| (done[i + 1] - done[i]) * (AGES[to] - f64::midpoint(AGES[i], AGES[i + 1])));
            cost += price * (1.0 - done[from]) + delays.sum::<f64>();
            from = to;
        }
        cost
    }

    /// Goal: the single pass over the hull finds the optimum. Method: try every candidate, for a broad, a sharp and a double distribution.
    #[test]
    fn no_other_plan_costs_less() {
        let step = |at: f64, sharp: f64| move |age: &f64| 1.0 - 1.0 / (1.0 + (age / at).powf(sharp));
        let sharp: Vec<f64> = AGES.iter().map(step(15.0, 12.0)).collect();
        let double: Vec<f64> =
            AGES.iter().map(|age| f64::midpoint(step(8.0, 9.0)(age), step(40.0, 9.0)(age))).collect();
        for done in [&PRIOR[..], &sharp, &double] {
            for price in [0.1, 0.6, 5.0] {
                let mut next = vec![0.0; STEPS + 1];
                next_polls(done, price, &mut next);
                let (least, found) = (costs_by_trial(done, price)[0], cost_of(done, price, &next));
                assert!((found / least - 1.0).abs() < 1e-9, "{found} s, and {least} s would do at {price} s a poll");
            }
        }
    }
}
