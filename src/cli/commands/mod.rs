//! Commands of the program: one file for each, with its arguments, its help and its work.

pub(super) mod export;
pub(super) mod gallery;
pub(super) mod init;
pub(super) mod log;
pub(super) mod manuals;
pub(super) mod merge;
pub(super) mod plan;
pub(super) mod providers;
pub(super) mod redo;
pub(super) mod results;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod share;
pub(super) mod simulate;
pub(super) mod status;
pub(super) mod validate;
pub(super) mod verify;
pub(super) mod work;
