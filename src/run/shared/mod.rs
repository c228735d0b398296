//! Run that several machines share: its jobs go from a run folder to a server, are worked on from anywhere, and come back into a run folder.

mod common_limits;
pub mod error;
pub mod fetch;
mod folder;
pub mod import;
mod patience;
pub mod share;
pub mod start_limit;
pub mod status;
pub mod work;
