//! Texts that commands print, for people and for scripts.

pub mod diagnostics;
pub mod estimate;
pub mod progress;
pub mod reference;
pub mod run_status;
pub mod summary;
