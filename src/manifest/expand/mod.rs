//! Expansion of an entry to its jobs: lists, vars and templates, combined in a fixed order.

pub(crate) mod grid;
pub(crate) mod job_limit;
pub(crate) mod jobs;
pub(crate) mod options;
mod permutation;
pub(crate) mod templates;
