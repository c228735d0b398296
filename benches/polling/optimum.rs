//! Mathematical optimum for a known distribution: dynamic programming over a fine grid, without code of the program.

use fastrand::Rng;

use crate::Figures;
use crate::law::Law;

/// Number of durations that represent a distribution.
const SAMPLES: usize = 100_000;

/// Number of ages at which a poll may be placed.
const AGES: usize = 1200;

/// Optimum for one distribution, at any price.
pub struct Optimum {
    ages: Vec<f64>,
    /// Share of tasks that are done by each age.
    done: Vec<f64>,
    /// Sum of the durations of those tasks, divided by the number of all tasks.
    taken: Vec<f64>,
}

impl Optimum {
    pub fn of(law: Law) -> Self {
        let mut rng = Rng::with_seed(7);
        Self::of_durations((0..SAMPLES).map(|_| law.draw(&mut rng)).collect())
    }

    pub fn of_durations(mut durations: Vec<f64>) -> Self {
        durations.sort_by(f64::total_cmp);
        let (first, last) = (durations[0], durations[durations.len() - 1] * 1.0001);
        let growth = (last / first).powf(1.0 / (AGES - 1) as f64);
        let mut ages = vec![0.0];
        ages.extend((0..AGES).map(|i| first * growth.powi(i32::try_from(i).expect("hundreds"))));
        let mut rest = durations.iter().peekable();
        let (mut n_done, mut sum) = (0.0, 0.0);
        let (mut done, mut taken) = (vec![], vec![]);
        for age in &ages {
            while let Some(duration) = rest.next_if(|duration| *duration <= age) {
                (n_done, sum) = (n_done + 1.0, sum + duration);
            }
            done.push(n_done / durations.len() as f64);
            taken.push(sum / durations.len() as f64);
        }
        Self { ages, done, taken }
    }

    /// Returns the delay and the polls per task with the lowest cost, at this price of a poll. Also returns the age of
    /// the next poll for every age.
    pub fn at(&self, price: f64) -> (Figures, Vec<f64>) {
        let mut rest = vec![Figures::default(); AGES + 1];
        let mut next = vec![0.0; AGES + 1];
        for from in (0..AGES).rev() {
            let running = 1.0 - self.done[from];
            let best = (from + 1..=AGES).map(|to| {
                let done = self.done[to] - self.done[from];
                let delay = self.ages[to] * done - (self.taken[to] - self.taken[from]);
                (to, Figures { polls: running + rest[to].polls, delay: delay + rest[to].delay })
            });
            let (to, figures) = best.min_by(|a, b| a.1.cost(price).total_cmp(&b.1.cost(price))).expect("ages follow");
            (rest[from], next[from]) = (figures, self.ages[to]);
        }
        (rest[0], next)
    }

    /// Returns the shortest delay for this number of polls per task, on the line between two points of the curve.
    pub fn delay_for(&self, polls: f64) -> f64 {
        let (mut dear, mut cheap) = (100.0, 0.001);
        for _ in 0..24 {
            let price = f64::sqrt(dear * cheap);
            if self.at(price).0.polls < polls { dear = price } else { cheap = price }
        }
        let (few, many) = (self.at(dear).0, self.at(cheap).0);
        if many.polls - few.polls < 1e-9 {
            return few.delay;
        }
        few.delay + (many.delay - few.delay) * (polls - few.polls) / (many.polls - few.polls)
    }

    /// Returns the age of the next poll for a task that still ran at this age.
    pub fn next_after(&self, next: &[f64], age: f64) -> f64 {
        let step = self.ages.partition_point(|other| *other <= age + 1e-9) - 1;
        // The age is beyond all sampled durations.
        if step >= AGES { age * 1.1 } else { next[step] }
    }
}
