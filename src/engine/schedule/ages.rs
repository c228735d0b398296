//! Grid of task ages whose steps grow with age: a second matters to short tasks, not to long ones.

use std::sync::LazyLock;

/// Number of steps of the grid.
pub(crate) const STEPS: usize = 880;

/// First age after zero, in seconds.
const FIRST: f64 = 0.002;

/// Relative growth from one age to the next: 880 steps reach beyond a day.
const GROWTH: f64 = 0.02;

/// Ages of the grid in seconds, from zero.
pub(crate) static AGES: LazyLock<[f64; STEPS + 1]> = LazyLock::new(|| {
    let mut ages = [0.0; STEPS + 1];
    let mut age = FIRST;
    for slot in &mut ages[1..] {
        *slot = age;
        age *= GROWTH.exp();
    }
    ages
});

/// Position of an age on the grid: a step, and the part of the next step that has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AgePosition {
    step: usize,
    part: f64,
}

impl AgePosition {
    /// Returns the position of an age in seconds. An age beyond the end of the grid counts as its end.
    pub(crate) fn of(age: f64) -> Self {
        let steps = if age < FIRST { 0.0 } else { 1.0 + (age / FIRST).ln() / GROWTH };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and bounded below")]
        let step = (steps as usize).min(STEPS - 1);
        let part = (age - AGES[step]) / (AGES[step + 1] - AGES[step]);
        Self { step, part: part.clamp(0.0, 1.0) }
    }

    /// Returns the value at this position, from values at every age of the grid.
    pub(crate) fn value(self, values: &[f64]) -> f64 {
        let (before, after) = (values[self.step], values[self.step + 1]);
        before + (after - before) * self.part
    }

    /// Returns the index of the nearest age of the grid.
    pub(crate) fn nearest(self) -> usize {
        self.step + usize::from(self.part >= 0.5)
    }
}
