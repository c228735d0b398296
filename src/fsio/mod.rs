//! Durable and atomic file operations that several modules share.

pub(crate) mod descriptors;
pub(crate) mod filesystem;
