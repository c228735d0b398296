//! Amount of work of the tests: a newcomer's `cargo test` is quick, and `.ci/run` plays every test and every case.
//!
//! The environment variable `PROMPTBATCH_TEST_EFFORT=full` decides it when the tests are compiled. Tests that take long have the
//! attribute `#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]`.

use std::ops::{Add, Div};

/// Returns whether the tests play all of their cases: if they were compiled with `PROMPTBATCH_TEST_EFFORT=full`, as in `.ci/run`.
pub const fn is_full() -> bool {
    cfg!(every_test)
}

/// Returns how many of `n` cases a test plays: all, or about a sixth.
pub fn cases<N: From<u8> + Div<Output = N> + Add<Output = N>>(n: N) -> N {
    if is_full() { n } else { n / 6.into() + 1.into() }
}

/// Returns the distance between the cases of a long sequence that a test plays: 1 for all of them, or else `n`.
pub const fn stride(n: usize) -> usize {
    if is_full() { 1 } else { n }
}
