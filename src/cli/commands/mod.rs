//! Commands of the program: one file for each, with its arguments, its help and its work.

pub mod export;
pub mod gallery;
pub mod init;
pub mod log;
pub mod manuals;
pub mod plan;
pub mod results;
pub mod retry;
pub mod run;
pub mod simulate;
pub mod status;
pub mod validate;
pub mod verify;
