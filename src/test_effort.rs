//! Amount of work of the tests: a newcomer's `cargo test` is quick, and `.ci/run` plays every case.

use std::ops::{Add, Div};

/// Returns whether the tests play all of their cases: with `PROMPTBATCH_TEST_EFFORT=full`, as in `.ci/run`.
pub fn is_full() -> bool {
    std::env::var("PROMPTBATCH_TEST_EFFORT").is_ok_and(|effort| effort == "full")
}

/// Returns how many of `n` cases a test plays: all, or about a sixth.
pub fn cases<N: From<u8> + Div<Output = N> + Add<Output = N>>(n: N) -> N {
    if is_full() { n } else { n / 6.into() + 1.into() }
}
