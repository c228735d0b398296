//! The ages that are told apart: a grid whose steps grow with age, as a second matters to a quick task and not to a slow one.

use std::sync::LazyLock;

/// Steps of the grid.
pub const STEPS: usize = 700;

/// The first age after zero, in seconds.
const FIRST: f64 = 0.1;

/// Each age is longer than the one before by this part: 700 steps reach beyond a day.
const GROWTH: f64 = 0.02;

/// Every age of the grid, in seconds, from zero.
pub static AGES: LazyLock<[f64; STEPS + 1]> = LazyLock::new(|| {
    let mut ages = [0.0; STEPS + 1];
    let mut age = FIRST;
    for slot in &mut ages[1..] {
        *slot = age;
        age *= GROWTH.exp();
    }
    ages
});

/// Where an age lies on the grid: a step, and how much of the next one has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    step: usize,
    part: f64,
}

impl Place {
    /// The place of an age in seconds; what is beyond the grid's end counts as its end.
    pub fn of(age: f64) -> Self {
        let steps = if age < FIRST { 0.0 } else { 1.0 + (age / FIRST).ln() / GROWTH };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and bounded below")]
        let step = (steps as usize).min(STEPS - 1);
        let part = (age - AGES[step]) / (AGES[step + 1] - AGES[step]);
        Self { step, part: part.clamp(0.0, 1.0) }
    }

    /// The value there of what is known at every age of the grid.
    pub fn value(self, values: &[f64]) -> f64 {
        let (before, after) = (values[self.step], values[self.step + 1]);
        before + (after - before) * self.part
    }

    /// The nearest age of the grid.
    pub fn nearest(self) -> usize {
        self.step + usize::from(self.part >= 0.5)
    }
}
