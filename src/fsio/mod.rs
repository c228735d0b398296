//! File operations that survive a power loss, and that no reader sees half done.
//!
//! A file is written under a temporary name, synced, renamed, and its folder is synced. Each step is here once.

pub mod atomic_file;
pub mod descriptors;
pub mod filesystem;
pub mod folder;
pub mod owned_file;
pub mod temp_file;
