//! File operations that survive a power loss, and that no reader sees half done.
//!
//! A file is written under a temporary name, synced, renamed, and its folder is synced. Each step is here once.

pub(crate) mod atomic_file;
pub(crate) mod descriptors;
pub(crate) mod filesystem;
pub(crate) mod folder;
pub(crate) mod owned_file;
pub(crate) mod temp_file;
