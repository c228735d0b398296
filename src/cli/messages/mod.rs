//! Texts that commands print, for people and for scripts.

pub(super) mod diagnostics;
pub(super) mod estimate;
pub(super) mod local_time;
pub(super) mod merged;
pub(super) mod notes;
pub(super) mod progress;
pub(super) mod reference;
pub(super) mod run_status;
pub(super) mod start;
pub(super) mod summary;
mod time_zone;
